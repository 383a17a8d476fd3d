"""The figures of the lesson on what each part is worth: average precision of trainings in which one part was exchanged,
beside that of the model as it is, and the mask that some of them make of the triangle. A dot is one training. Gray is
the model as it is, dark blue the variant; a diamond is what a paper says."""

import numpy as np

from npmaskrcnn.notebook import heading
from npmaskrcnn.plots import worth
from npmaskrcnn.plots.style import CURVE, INK, MUTED, NEGATIVE, NORMAL, SMALL, class_color, new_figure, say_nothing
from npmaskrcnn.variants import VARIANTS

NAMES = {"p4_only": "P4 alone", "c4_only": "C4 alone", "roi_pool": "RoIPool", "unaligned": "rounded regions",
         "softmax": "softmax masks", "mlp_masks": "fully connected masks", "no_masks": "no mask branch",
         "no_low_quality": "no low-quality matches", "no_ground_truth": "no true boxes in the sample",
         "one_ratio": "one anchor ratio", "one_mask": "one mask for all classes",
         "half_pixel": "half a cell's shift", "class_agnostic_boxes": "one box for all classes",
         "frozen_body": "frozen random body", "no_top_down": "no top-down path"}
KINDS = "mask", "box"
THRESHOLDS = {"AP50": ".5", "AP75": ".75", "AP90": ".9"}
RIGHT, MISSING, TOO_MUCH = class_color(3), "#B9BEC6", NEGATIVE


def values(runs, name, kind, figure="AP"):
    """A figure of all seeds of a variant, on its own task or on a baseline's: (name, task)."""
    return np.array([run[kind][figure] for run in runs[name] if kind in run])


def overview(runs, bound):
    """All variants beside the baseline; dotted, how far what was trained once must move to count."""
    groups, papers = {}, {}
    for task in ("shapes", "rings"):
        group = groups[f"on {task}"] = {"baseline": {kind: values(runs, ("baseline", task), kind) for kind in KINDS}}
        for name, text in NAMES.items():
            if VARIANTS[name].task == task:
                group[text] = {kind: values(runs, (name, task), kind) for kind in KINDS}
                papers[text] = VARIANTS[name].differences
    figure = worth(groups, papers)
    last = len(groups["on shapes"]) - 0.6
    for ax, kind in zip(figure.axes, KINDS):
        middle = values(runs, ("baseline", "shapes"), kind).mean()
        ax.plot([middle - bound] * 2, [0, last], ":", color=MUTED, linewidth=1.2)
        ax.text(middle - bound, -0.1, f"-{bound:.2f}".replace("0.", "."), ha="center", va="bottom", fontsize=SMALL,
                color=MUTED)
    heading(figure, "One part exchanged: how far the model falls, a dot for each training")
    return figure


def by_threshold(runs, name):
    """A variant and its baseline at three strictnesses, masks left and boxes right; a dot for each seed."""
    figure, task = new_figure(8, 3.1), VARIANTS[name].task
    for ax, kind in zip(figure.subplots(1, 2), KINDS):
        means = {}
        for which, color, text in (("baseline", MUTED, "the model as it is"), (name, CURVE, NAMES[name])):
            seeds = np.array([values(runs, (which, task), kind, figure) for figure in THRESHOLDS])
            if seeds.size:
                means[which] = seeds.mean(axis=1)
                ax.plot(range(3), means[which], color=color, label=text, linewidth=1.6)
                ax.plot(range(3), seeds, "o", color=color, markersize=4)
        ax.set(xticks=range(3), xticklabels=THRESHOLDS.values(), xlim=(-0.3, 2.35), ylim=(-0.03, 1.19),
               xlabel="IoU from which one counts as right", ylabel="average precision",
               title=f"{'masks' if kind == 'mask' else 'boxes'}, on {task}")
        if name in means:
            for k, lost in enumerate(means[name] - means["baseline"]):
                ax.text(k, 1.11, f"{lost:+.3f}".replace("0.", "."), ha="center", fontsize=NORMAL, color=CURVE)
        else:
            say_nothing(ax, "has no masks")
    handles = [ax.plot([], [], color=color, label=text)[0]
               for color, text in ((MUTED, "the model as it is"), (CURVE, NAMES[name]))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=NORMAL)
    return figure


# ---- one object ----


def best_masks(found, target):
    """For each object, the mask of its class (score above .5) that covers it best, and its IoU."""
    best = []
    for truth, label in zip(target.masks, target.labels):
        masks = found.masks[(found.labels == label) & (found.scores > 0.5)] > 0.5
        overlaps = [(mask & truth).sum() / (mask | truth).sum() for mask in masks]
        best.append((masks[np.argmax(overlaps)], max(overlaps)))
    return [mask for mask, _ in best], np.array([iou for _, iou in best])


def one_object(truth, masks, margin=3):
    """The pixels of one object in the masks of several models: right, missing, and too much."""
    rows, columns = (np.flatnonzero(truth.any(axis=axis)) for axis in (1, 0))
    crop = np.s_[rows[0] - margin:rows[-1] + margin + 1, columns[0] - margin:columns[-1] + margin + 1]
    figure = new_figure(9, 2.9)
    for ax, (name, mask) in zip(figure.subplots(1, len(masks)), masks.items()):
        picture = np.ones((*truth[crop].shape, 3))
        for where, color in ((truth & mask, RIGHT), (truth & ~mask, MISSING), (~truth & mask, TOO_MUCH)):
            picture[where[crop]] = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        ax.imshow(picture)
        iou = (truth & mask).sum() / (truth | mask).sum()
        ax.set(xticks=[], yticks=[], title=f"{name}\nmask IoU {iou:.3f}".replace("0.", "."))
        ax.spines[:].set(visible=True, color=MUTED, linewidth=0.6)
    handles = [ax.plot([], [], "s", color=color, label=text)[0] for color, text in (
        (RIGHT, "right"), (MISSING, "missing"), (TOO_MUCH, "too much"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=NORMAL, labelcolor=INK)
    heading(figure, "The triangle's pixels")
    figure.set_label("The triangle's pixels by four models: most are right, with a fringe that is missing or too much. "
                     "Mask IoU " + ", ".join(
                         f"{name} {(truth & mask).sum() / (truth | mask).sum():.3f}" for name, mask in masks.items()))
    return figure
