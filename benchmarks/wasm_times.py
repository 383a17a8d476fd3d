"""The package in WebAssembly: how long do the first answer and the next ones take, and are they the same?

    python benchmarks/wasm_times.py --pyodide DIR [--node NODE] [--repeats 15] [--steps 5]

Predicts the lessons' image with the trained tiny model in a process of Node, in Pyodide, which is what a browser runs
the package in: on NumPy alone, and, where the distribution has them, with SciPy and Pillow. Both ways to make a matrix
product that `fast/product.py` chooses from take turns; then the losses and gradients of that image. The last lines say
how far boxes, scores and masks are from what this machine's own Python finds.
"""

import statistics
import time

import checkout  # noqa: F401
import numpy as np
import sides
import wasm_node

ALONE, WITH_ALL = ("numpy",), ("numpy", "scipy", "pillow")
FIELDS = "boxes", "scores", "masks"


def measure(args, packages):
    """Run one process; print its times and return what it found, by way: a dict of arrays."""
    began, times = time.perf_counter(), {}
    print(f"\nwith {', '.join(packages)}")
    with wasm_node.Process(args, wasm_node.wheels(args.pyodide, packages), do="predictions", repeats=args.repeats,
                           steps=args.steps) as process:
        for kind, *words, seconds in process.answers():
            if kind == "time":
                times.setdefault(tuple(words), []).append(1e3 * seconds)
            else:
                print(f"  {words[0]:<35}{seconds:>6.2f} s, {time.perf_counter() - began:.2f} s after the start of Node",
                      flush=True)
        if not process.ended_well():
            raise SystemExit(f"the process ended: {process.last_words}")
        for (what, way), taken in times.items():
            ratios = sides.summary([a / b for a, b in zip(taken, times[what, "matmul"])])
            print(f"  {what}, products by {way}: {sides.summary(taken):.0f} ms"
                  + (f", ratio {ratios:.2f}" if way != "matmul" else ""))
        found = {}
        for way in ("einsum", "matmul"):
            with np.load(process.exchange / f"{way}.npz") as arrays:
                found[way] = dict(arrays)
    return found


def native(repeats):
    """Return what this Python finds, and print how long it takes."""
    from npmaskrcnn.datasets.shapes import the_image
    from npmaskrcnn.shipped import trained_tiny
    model, (image, _), taken = trained_tiny(), the_image(), []
    for _ in range(repeats):
        began = time.perf_counter()
        found = model.predict(image)
        taken.append(1e3 * (time.perf_counter() - began))
    print(f"\nthis Python: prediction {statistics.median(taken):.0f} ms")
    return found


def main():
    """Parse the command line, measure and compare."""
    parser = wasm_node.options(__doc__)
    parser.add_argument("--repeats", type=sides.positive, default=15, help="predictions of either way")
    parser.add_argument("--steps", type=sides.positive, default=5, help="gradients of either way")
    args = parser.parse_args()
    wasm_node.judge(args.pyodide, args.node)
    sets = [ALONE, WITH_ALL]
    if not list(args.pyodide.glob("scipy-*.whl")):
        print("without SciPy and Pillow, whose wheels are not in the distribution")
        sets = [ALONE]
    found = {packages: measure(args, packages) for packages in sets}
    usual = native(args.repeats)
    for packages, ways in found.items():
        for way, arrays in ways.items():
            if not np.array_equal(arrays["labels"], usual.labels):
                raise SystemExit(f"with {', '.join(packages)}, by {way}: finds something else, labels "
                                 f"{arrays['labels'].tolist()}, here {usual.labels.tolist()}")
            far = {field: np.abs(arrays[field] - getattr(usual, field)).max() for field in FIELDS}
            print(f"  with {', '.join(packages)}, by {way}: " + ", ".join(f"{k} {v:.1e}" for k, v in far.items()))


if __name__ == "__main__":
    main()
