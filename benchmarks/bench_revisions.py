"""This checkout against another one, such as the last release: has a change made the package slower, or larger?

    python benchmarks/bench_revisions.py OTHER_CHECKOUT [--turns 15] [--only tiny] [--weights FILE] [--size 800 1088]

Both revisions run in processes of their own, side by side in one run, on the same weights and images, and take
turns (A B, B A, ...); the ratio is taken turn by turn. The tiny model makes a training step (a batch of four
128x128 images, with AdamW), a prediction, and a prediction of the batch; `maskrcnn_resnet50_fpn` a prediction and a
training step of all layers, both of one image of `--size` (a batch of two would take twice as long and say the
same). Then the peak memory of each task, in fresh processes. At the end, what the plain hand of this checkout takes
beside the fast one, for a training step of the tiny model. The other revision needs only what all have: `load`,
`predict`, `loss_and_grads` and `AdamW`. Both have to read the weights: beside a revision that does not know this tiny
model, give `--weights` of its own. Needs no torch; 15 turns take a quarter of an hour.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import sides

# model -> its tasks (method of the worker's sides, title, images that the seconds are divided by)
TASKS = {"tiny": [("train", "tiny model, training step, batch of 4", 1), ("predict", "tiny model, prediction", 1),
                  ("predict_batch", "tiny model, prediction, per image in a batch of 4", 4)],
         "resnet50": [("predict", "ResNet-50, prediction", 1), ("train", "ResNet-50, training step, batch of 1", 1)]}
TIMES = {"tiny": (3, 1), "resnet50": (1, 0)}        # repetitions in a turn: counted, and before them uncounted
MEMORY_RUNS = {"tiny": 3, "resnet50": 1}            # fresh processes, of which the median counts
NAMES = "this checkout", "the other"


def compare(kind, weights, scene, other, args):
    """Time both checkouts in turns, then their memory, task by task."""
    for task, title, per in TASKS[kind]:
        with sides.Side("ours", weights, scene, args.threads) as this, \
                sides.Side("ours", weights, scene, args.threads, other) as that:
            times = sides.take_turns([this, that], task, args.turns, *TIMES[kind])
        print(f"\n{title}, {args.threads} threads")
        sides.print_times(times, NAMES, per, ".3f")
        peaks, loaded = zip(*(memory(kind, weights, scene, args.threads, task, checkout) for checkout in (None, other)))
        print(f"  peak memory beyond import {peaks[0]:.0f} / {peaks[1]:.0f} MB (of which model and images: "
              f"{loaded[0]:.0f} / {loaded[1]:.0f} MB); ratio {peaks[0] / peaks[1]:.3f}", flush=True)


def can_read(checkout, weights):
    """Tell whether another checkout's package loads a file."""
    read = subprocess.run([sys.executable, "-c", "import sys, npmaskrcnn; npmaskrcnn.load(sys.argv[1])", str(weights)],
                          env={**os.environ, "PYTHONPATH": str(checkout)}, cwd=checkout, capture_output=True)
    return read.returncode == 0


def memory(kind, weights, scene, threads, task, checkout):
    """Return (peak, after loading) in MB: medians of fresh processes."""
    runs = [sides.peak_memory(sides.Side("ours", weights, scene, threads, checkout), task)
            for _ in range(MEMORY_RUNS[kind])]
    return [statistics.median(column) for column in zip(*runs)]


def compare_hands(weights, scene, args):
    """Time the plain hand beside the fast one."""
    with sides.Side("plain", weights, scene, args.threads) as plain, \
            sides.Side("ours", weights, scene, args.threads) as fast:
        times = sides.take_turns([plain, fast], "train", args.turns, times=1)
    print(f"\n{TASKS['tiny'][0][1]}, both hands of this checkout, {args.threads} threads")
    sides.print_times(times, ["plain hand", "fast hand"])


def main():
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", metavar="OTHER_CHECKOUT", type=Path, help="folder that holds the other npmaskrcnn/")
    parser.add_argument("--turns", type=sides.positive, default=15, help="of each side")
    parser.add_argument("--only", choices=list(TASKS))
    parser.add_argument("--weights", help="an .npz of a tiny model that both can read (default: the shipped one)")
    parser.add_argument("--size", type=sides.image_side, nargs=2, default=(800, 1088), metavar=("H", "W"),
                        help="for ResNet-50")
    parser.add_argument("--threads", type=sides.num_threads, default=2)
    args = parser.parse_args()
    other = args.other.resolve()
    if not (other / "npmaskrcnn" / "__init__.py").is_file():
        parser.error(f"there is no npmaskrcnn/ in {args.other}")
    sides.limit_threads(args.threads)       # before numpy is imported, which scenes does
    machine.print_machine()
    import scenes
    for kind in TASKS if args.only is None else [args.only]:
        with tempfile.TemporaryDirectory() as folder:
            with sides.refusals(parser):
                weights, scene = (scenes.tiny(folder, weights=args.weights) if kind == "tiny" else
                                  scenes.resnet50(folder, tuple(args.size)))
            if not can_read(other, weights):
                parser.error(f"{args.other} cannot read {weights}: --weights names a file that both can")
            compare(kind, weights, scene, other, args)
            if kind == "tiny":
                compare_hands(weights, scene, args)
    print("\nagain, now that all is done:")
    machine.print_product_rate()


if __name__ == "__main__":
    main()
