"""How time and memory of a prediction grow with the image's area and with the number of proposals.

    python benchmarks/bench_scaling.py [--model resnet50] [--turns 3] [--threads 2] [--figure FILE]

The image's area grows from 1 to 16 times with the number of detections fixed; then, on one image, proposals
grow from 100 to 2,000. Printed are the slopes in double logarithmic scale: 1 is proportional, 2 is
quadratic; over the whole range and over the last step, where fixed costs hide less of the growth. The sizes
are visited over and over in turn, each in an idle process of its own, so that a noisy machine disturbs all
of them alike. Writes `docs/figures/scaling.png`. Needs no torch.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import machine
import sides

SIDE_FACTORS = (1, 1.5, 2, 3, 4)
PROPOSALS = (100, 200, 500, 1000, 2000)
BASE = {"resnet50": (192, 256), "tiny": (128, 160)}
PROPOSAL_FACTOR = 2         # of BASE, for the image on which the number of proposals grows
LABELS = {"prediction": "#1f77b4", "behind the RPN's head": "#d62728", "peak memory": "#2ca02c"}
FIGURE = Path(__file__).resolve().parent.parent / "docs/figures/scaling.png"
BEHIND = ("anchors", "proposals", "nms", "box pooler", "box head", "detections")


def build(kind):
    """Return a model whose activations have a trained model's spread."""
    import scenes

    import npmaskrcnn
    model = {"resnet50": npmaskrcnn.maskrcnn_resnet50_fpn, "tiny": npmaskrcnn.maskrcnn_tiny}[kind]()
    scenes.adjust(model, scenes.picture(BASE[kind]))
    return model


def prepare(model, size, num_proposals, folder, name):
    """Store the model and a scene for one point: always ten detections, if there are that many proposals.

    The score threshold is one that about one foreground score for each proposal passes, as with a trained
    model at .05.
    """
    import numpy as np
    import scenes

    import npmaskrcnn
    from npmaskrcnn.ops import softmax
    image = scenes.picture(size)
    options = dict(min_size=min(size), max_size=max(size), rpn_pre_nms_top_n_test=num_proposals,
                   rpn_post_nms_top_n_test=num_proposals, box_detections_per_img=10)
    config = model.config = dataclasses.replace(model.config, **options)
    model.transform = type(model.transform)(config.min_size, config.max_size, config.image_mean,
                                            config.image_std)
    found, = model.infer(model.transform.forward([image], model.dtype), score_threshold=1.0)
    scores = softmax(found.class_logits)[:, 1:]
    options["box_score_thresh"] = float(np.quantile(scores, 1 - 1 / scores.shape[1]))
    model.architecture["config"].update(options)
    model.untrained = False
    weights, scene = Path(folder) / f"{name}.npz", Path(folder) / f"{name}-scene.npz"
    npmaskrcnn.save(model, weights)
    scenes.write(scene, [image], [scenes.target_from(np.array([[0., 0, 8, 8]]), size, 2)])
    return weights, scene, len(scores)


def slope(x, y):
    """Return the slope of the straight line through (log x, log y)."""
    import numpy as np
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def last_slope(x, y):
    """Return the slope between the two largest x: where a fixed cost no longer hides the growth."""
    return slope(x[-2:], y[-2:])


def measure(points, turns, threads):
    """Return per point: median seconds of a prediction, of what stands behind the RPN's head, and peak MB."""
    import numpy as np
    open_sides = [sides.Side("ours", weights, scene, threads) for weights, scene, *_ in points]
    seconds, behind = [[] for _ in points], [[] for _ in points]
    peaks = [side.tell(do="memory", task="predict") / 1e6 - (side.memory_at_start["opened"]
             - side.memory_at_start["imported"]) / 1e6 for side in open_sides]
    for _ in range(turns):
        for i, side in enumerate(open_sides):
            time.sleep(sides.PAUSE)
            answer = side.tell(do="stages", task="predict", times=1, cpu_time=False)
            seconds[i].append(answer["total"])
            behind[i].append(sum(s for stage, _, s, _ in answer["stages"] if stage in BEHIND))
    for side in open_sides:
        side.close()
    return np.median(seconds, axis=1), np.median(behind, axis=1), np.array(peaks)


def plot(experiments, path, title):
    """Draw time (above) and memory (below) of both experiments, double logarithmic, with their slopes."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, rows = plt.subplots(2, 2, figsize=(10, 7), sharex="col", layout="constrained")
    for column, (x_label, x, curves) in enumerate(experiments):
        for axis, kind in ((rows[0, column], "seconds"), (rows[1, column], "MB beyond the model, peak")):
            shown = {name: y for name, y in curves.items() if ("memory" in name) == kind.startswith("MB")}
            for name, y in shown.items():
                axis.loglog(x, y, "o-", color=LABELS[name], markersize=4, label=f"{name}: slope {slope(x, y):.2f}")
            first = next(iter(shown.values()))[0]
            axis.loglog(x, first * x / x[0], ":", color="0.6", label="proportional: slope 1")
            axis.set_ylabel(kind)
            axis.set_xticks(x, [f"{v:g}" for v in x])
            axis.tick_params(labelbottom=True)
            axis.xaxis.minorticks_off()
            axis.legend(fontsize=8, frameon=False)
        rows[1, column].set_xlabel(x_label)
        _same_decades(rows[:, column])
    figure.suptitle(title)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _same_decades(axes):
    """Let the vertical axes span the same number of decades, so that slopes can be compared by eye."""
    import numpy as np
    spans = [np.log10(axis.get_ylim()) for axis in axes]
    decades = max(high - low for low, high in spans)
    for axis, (low, high) in zip(axes, spans):
        middle = (low + high) / 2
        axis.set_ylim(10 ** (middle - decades / 2), 10 ** (middle + decades / 2))


def main():
    """Run both experiments."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(BASE), default="resnet50")
    parser.add_argument("--turns", type=sides.positive, default=3)
    parser.add_argument("--threads", type=sides.num_threads, default=2)
    parser.add_argument("--figure", type=sides.picture, default=str(FIGURE), metavar="FILE.png")
    args = parser.parse_args()
    sides.limit_threads(args.threads)       # before numpy is imported
    machine.print_machine()
    import numpy as np
    model = build(args.model)
    h, w = BASE[args.model]
    fixed = 1000 if args.model == "resnet50" else 100
    sizes = [(int(h * f), int(w * f)) for f in SIDE_FACTORS]
    experiments = []
    with tempfile.TemporaryDirectory() as folder:
        for x_label, jobs in [
                ("image area, multiples", [(f * f, size, fixed) for f, size in zip(SIDE_FACTORS, sizes)]),
                ("proposals", [(n, (h * PROPOSAL_FACTOR, w * PROPOSAL_FACTOR), n) for n in PROPOSALS])]:
            points = [prepare(model, size, n, folder, f"point{i}") for i, (_, size, n) in enumerate(jobs)]
            seconds, behind, peaks = measure(points, args.turns, args.threads)
            by_area = x_label.startswith("image")
            x = np.array([x if by_area else point[2] for (x, _, _), point in zip(jobs, points)], dtype=float)
            print(f"\n{x_label:<24}{'image':>12}{'proposals':>11}{'ms':>9}{'behind RPN head':>20}{'MB':>8}")
            for (label, size, _), point, t, b, m in zip(jobs, points, seconds, behind, peaks):
                print(f"{label:<24g}{size[0]:>7}x{size[1]:<4}{point[2]:>11}{1e3 * t:>9.0f}{1e3 * b:>20.1f}"
                      f"{m:>8.0f}")
            curves = {"prediction": seconds, "behind the RPN's head": behind, "peak memory": peaks}
            print("slopes: " + ", ".join(f"{name} {slope(x, y):.2f} (last step {last_slope(x, y):.2f})"
                                          for name, y in curves.items()), flush=True)
            experiments.append((x_label, x, curves))
    plot(experiments, args.figure, f"maskrcnn_{args.model}: one prediction (threads: {args.threads})")
    print(f"wrote {args.figure}")


if __name__ == "__main__":
    main()
