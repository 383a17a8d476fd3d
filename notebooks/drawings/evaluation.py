"""The figures of the lesson on evaluation. What is right is dark blue and round, what is wrong vermilion and crossed.
True boxes are dashed and black, those of a detection are drawn through. Where boxes and masks are compared as curves,
boxes are black and masks purple. What is counted for the figure of errors and for the bootstrap is here as well."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from npmaskrcnn.evaluation import match_detections
from npmaskrcnn.evaluation.coco_ap import match_dataset
from npmaskrcnn.evaluation.curves import RECALL_POINTS
from npmaskrcnn.evaluation.figures import IOU_THRESHOLDS
from npmaskrcnn.notebook import heading
from npmaskrcnn.ops import box_iou
from npmaskrcnn.plots.style import (CURVE, DASHED, INK, MUTED, NEGATIVE, NORMAL, SMALL, class_color, draw_boxes,
                                    draw_label, new_figure, show_image, zoom)

RIGHT, WRONG, MASK = CURVE, NEGATIVE, "#7B3F98"
SHARED, TOO_MUCH, LACKING = "#CBD0D6", NEGATIVE, INK     # pixels of a mask
KINDS = ("missed", "double", "wrong class", "loose", "loose, wrong class", "background")

# Two images with two objects each, and six detections, best score first: image, box. For the walk along the curve.
THERE = (((5, 10, 35, 40), (50, 15, 80, 45)), ((10, 5, 30, 45), (45, 20, 75, 50)))
REPORTED = ((0, (6, 11, 36, 41)), (1, (10, 7, 31, 45)), (1, (60, 2, 82, 16)), (0, (8, 8, 34, 38)),
            (0, (58, 24, 88, 52)), (1, (44, 21, 75, 52)))


def judged(image, target, found, row, box_iou, mask_iou):
    """One detection: its box and its mask upon the true ones, and from which IoU on each is wrong."""
    figure = new_figure(9, 3.1)
    boxes, masks, verdict = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    show_image(boxes, image)
    draw_boxes(boxes, [target.boxes[row]], INK, linestyle=DASHED)
    draw_boxes(boxes, [found.boxes[row]], class_color(found.labels[row]), halo=False)
    boxes.set_title(f"the boxes: IoU {box_iou:.3f}")
    mask, true = found.masks[row] > 0.5, target.masks[row]
    picture = np.ones((*mask.shape, 3))
    for pixels, color in ((mask & true, SHARED), (mask & ~true, TOO_MUCH), (~mask & true, LACKING)):
        picture[pixels] = [int(color[k:k + 2], 16) / 255 for k in (1, 3, 5)]
    show_image(masks, picture)
    masks.set_title(f"the masks: IoU {mask_iou:.3f}")
    for ax in (boxes, masks):
        zoom(ax, target.boxes[row], 0.2)
    for y, iou in ((1, box_iou), (0, mask_iou)):
        passes = iou >= IOU_THRESHOLDS
        verdict.plot(IOU_THRESHOLDS[passes], np.full(passes.sum(), y), "o", color=RIGHT, markersize=9)
        verdict.plot(IOU_THRESHOLDS[~passes], np.full((~passes).sum(), y), "X", color=WRONG, markersize=9)
    verdict.set(xlabel="IoU threshold", yticks=[0, 1], yticklabels=["mask", "box"], ylim=(-0.6, 1.6),
                xticks=IOU_THRESHOLDS[::2], title="right (round) or wrong (crossed)?")
    pixels = [Patch(color=SHARED, label="shared"), Patch(color=TOO_MUCH, label="found, not there"),
              Patch(color=LACKING, label="there, not found")]
    figure.legend(handles=[Line2D([], [], color=INK, linestyle=DASHED, label="true box"),
                           Line2D([], [], color=class_color(found.labels[row]), label="box found"), *pixels],
                  loc="outside lower center", ncols=5)
    heading(figure, "The same detection is right or wrong, as the threshold has it")
    figure.set_label("Left, the triangle's true box and the one found, less than a pixel apart. Middle, its mask: "
                     "shared pixels, and few along the outline in one only. Right, ten thresholds: the box passes up "
                     "to .90, the mask up to .80.")
    return figure


def walk(n, scores, right, precision, recall):
    """The first `n` detections in their two images, and the curve of precision against recall that far."""
    figure = new_figure(8, 2.7)
    *pictures, curve = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
    for i, ax in enumerate(pictures):
        show_image(ax, np.ones((60, 90, 3)), axis_labels=False)
        ax.spines[:].set_visible(True)
        draw_boxes(ax, THERE[i], INK, linestyle=DASHED)
        ax.set_title(f"image {i}: two objects (dashed)")
    for k, (i, box) in enumerate(REPORTED[:n]):
        color = RIGHT if right[k] else WRONG
        draw_boxes(pictures[i], [box], color, linewidth=2.5 if k == n - 1 else 1.2)
        below = k in (2, 3)     # their tops are at the edge, and at the label of another
        draw_label(pictures[i], box[0], box[3] if below else box[1], f"{scores[k]:.2f}", color, above=not below)
    draw_walk(curve, right[:n], precision[:n], recall[:n], 9)
    curve.set(xlim=(-0.03, 1.05), ylim=(0, 1.1), xlabel="recall", ylabel="precision")
    curve.grid(alpha=0.3)
    said = "nothing reported yet" if n == 0 else (
        f"detection {n}, score {scores[n - 1]:.2f}: {'right' if right[n - 1] else 'wrong'}. Precision "
        f"{right[:n].sum()}/{n} = {precision[n - 1]:.2f}, recall {right[:n].sum()}/4 = {recall[n - 1]:.2f}")
    heading(figure, said)
    return figure


def draw_walk(ax, right, precision, recall, size):
    """A marker after each detection, round where it is right, and a thin line from one to the next."""
    ax.plot(recall, precision, color=MUTED, linewidth=1)
    ax.plot(recall[right], precision[right], "o", color=RIGHT, markersize=size)
    ax.plot(recall[~right], precision[~right], "X", color=WRONG, markersize=size)


def filled(right, precision, recall, values):
    """The curve of the six detections with its teeth filled: the area beneath, and the 101 points of COCO."""
    figure = new_figure(9, 3.3)
    ax = figure.subplots()
    ax.fill_between([0, 0.5, 0.5, 0.75], [1, 1, 0.5, 0.5], color="#DCE4EE", label="area under the filled curve")
    ax.plot(RECALL_POINTS, values, ".", color=INK, markersize=5, label="the 101 values of COCO")
    draw_walk(ax, right, precision, recall, 9)
    for x, y, text in ((0.25, 0.6, "area 0.5 x 1 = 0.500\n51 values of 1"), (0.625, 0.2, "area 0.25 x 0.5\n= 0.125\n"
                       "25 values of 0.5"), (0.88, 0.2, "area 0\n25 values of 0")):
        ax.text(x, y, text, ha="center", va="center", fontsize=NORMAL)
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.015), ylim=(-0.04, 1.09))
    markers = [Line2D([], [], marker=marker, linestyle="", color=color, label=text, markersize=8)
               for marker, color, text in (("o", RIGHT, "after a right detection"), ("X", WRONG, "after a wrong one"))]
    ax.legend(handles=[*ax.get_legend_handles_labels()[0], *markers], loc="upper right", bbox_to_anchor=(1, 1.02))
    heading(figure, "Mean of the 101 values: 0.629, which is COCO's AP. Area under the filled curve: 0.625")
    figure.set_label("Precision against recall of the six detections. The filled curve is 1 up to recall .5, a half up "
                     "to .75, then 0; the 101 values of COCO lie on its upper edge.")
    return figure


def draw_example(ax, image, target, found, d, row, ious):
    """A detection upon its object: both boxes, and the outline of the mask found."""
    show_image(ax, image)
    draw_boxes(ax, [target.boxes[row]], INK, linestyle=DASHED)
    draw_boxes(ax, [found.boxes[d]], class_color(found.labels[d]), linewidth=2)
    middles = [np.arange(size) + 0.5 for size in found.masks[d].shape[::-1]]
    for color, width in (("white", 3.2), (MASK, 1.8)):
        ax.contour(*middles, found.masks[d], [0.5], colors=color, linewidths=width)
    zoom(ax, target.boxes[row], 0.3)
    ax.set_title("IoU of the boxes {:.3f},\nof the masks {:.3f}".format(*ious))


def mask_above_box(images, targets, found_in, examples, box_ap, mask_ap):
    """Two triangles whose masks fit better than their boxes, and the triangles' AP at each threshold.

    `examples` holds image, detection, object and the two IoUs of each; `box_ap` and `mask_ap` are (10,).
    """
    figure = new_figure(9, 3.4)
    *pictures, curves = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    for ax, (i, d, row, ious) in zip(pictures, examples):
        draw_example(ax, images[i], targets[i], found_in[i], d, row, ious)
    for ap, color, marker, name in ((box_ap, INK, "o", "boxes"), (mask_ap, MASK, "s", "masks")):
        curves.plot(IOU_THRESHOLDS, ap, color=color, marker=marker, markersize=4, label=f"{name}, mean {ap.mean():.3f}")
    curves.legend(loc="lower left", fontsize=NORMAL)
    curves.set(xlabel="IoU threshold", ylabel="AP of the triangles", ylim=(0, 1.05), xticks=IOU_THRESHOLDS[::2])
    curves.grid(alpha=0.3)
    lines = [Line2D([], [], color=color, linestyle=style, label=text) for color, style, text in (
        (INK, DASHED, "true box"), (class_color(3), "-", "box found"), (MASK, "-", "outline of the mask found"))]
    figure.legend(handles=lines, loc="outside lower center", ncols=3)
    heading(figure, "A strip at the edge costs the box much and the triangle's mask little")
    figure.set_label("Left, a triangle whose found box is 8 pixels too wide at the right, while the mask fits. Middle, "
                     "a triangle whose found box ends before its thin left tip. Right, AP of the triangles against the "
                     "IoU threshold: masks above boxes up to .85, below them at .9 and .95.")
    return figure


def errors(counts):
    """How many errors there are of each kind; `counts` maps the lowest score looked at to numbers by kind."""
    figure = new_figure(9, 2.9)
    for ax, (lowest, numbers) in zip(figure.subplots(1, len(counts)), counts.items()):
        bars = ax.barh(KINDS, [numbers[kind] for kind in KINDS], color=NEGATIVE)
        ax.bar_label(bars, padding=3, fontsize=SMALL)
        ax.set(xlabel="number of errors", xlim=(0, 1.15 * max(numbers.values())),
               title=f"detections with a score of at least {lowest}")
        ax.invert_yaxis()
    heading(figure, "From .05 on: wrong classes and loose boxes. From .5 on: missed objects and loose boxes")
    figure.set_label("Bars for six kinds of error. From a score of .05 on: most are of the wrong class or loose. From "
                     ".5 on: most are missed objects and loose boxes. The scales of the two panels differ.")
    return figure


def count_errors(targets, found_in, lowest, kind_of_error):
    """Count the errors of each kind among detections from a score of `lowest` on, matched class by class at IoU .5.

    Also returns how many missed objects have a loose box on them, and how many wrong classes are on objects that are
    found. `kind_of_error` takes a wrong detection's largest IoU with its own class and with the others.
    """
    counts, seen_loosely, second_opinions = dict.fromkeys(KINDS, 0), 0, 0
    for target, found in zip(targets, found_in):
        found = found[found.scores >= lowest]
        match = match_detections(target, found)
        iou, same, loose = box_iou(found.boxes, target.boxes), found.labels[:, None] == target.labels, set()
        for d in np.flatnonzero(match.matched_idxs < 0):
            own, other = np.where(same[d], iou[d], 0), np.where(same[d], 0, iou[d])
            kind = kind_of_error(own.max(), other.max())
            counts[kind] += 1
            if kind == "loose":
                loose.add(int(own.argmax()))
            second_opinions += kind == "wrong class" and not match.is_missed[other.argmax()]
        counts["missed"] += int(match.is_missed.sum())
        seen_loosely += sum(row in loose for row in np.flatnonzero(match.is_missed))
    return counts, seen_loosely, second_opinions


class OneImage(list):
    """A dataset of one image: a list with its target."""

    target = list.__getitem__

    def __init__(self, target, class_names):
        super().__init__([target])
        self.class_names = class_names


def lists(class_names, targets, found_in):
    """All images' detections in one list for each kind of IoU and class, best score first, for the bootstrap.

    Returns a dict: ``[kind, label]`` has (10, D) right or not at each threshold, (D,) image, (images,) objects.
    """
    matched = [match_dataset(OneImage(target, class_names), [found], class_names[1:], ("bbox", "segm"), 0.5)
               for target, found in zip(targets, found_in)]
    result = {}
    for kind in ("bbox", "segm"):
        for label in range(1, len(class_names)):
            parts = [(i, match) for i, of_image in enumerate(matched) for match in of_image[kind][label, "all"]]
            image_of = np.concatenate([np.full(len(match.scores), i) for i, match in parts])
            order = np.argsort(-np.concatenate([match.scores for _, match in parts]), kind="stable")
            right = np.concatenate([match.is_true_positive for _, match in parts], axis=1)
            objects = np.array([(target.labels == label).sum() for target in targets])
            result[kind, label] = right[:, order], image_of[order], objects
    return result


def by_threshold(levels, sets, chosen):
    """Precision and recall against the score threshold on two sets of images: (name, precision, recall) of each."""
    figure = new_figure(8, 3)
    ax = figure.subplots()
    for style, (name, precision, recall) in zip(("--", "-"), sets):
        ax.plot(levels, precision, style, color=CURVE, label=f"precision, {name}")
        ax.plot(levels, recall, style, color="#00818A", label=f"recall, {name}")
    ax.axvline(chosen, color=MUTED, linestyle="dotted")
    ax.text(chosen + 0.01, 0.3, f"chosen: {chosen:.2f}", color=MUTED)
    ax.set(xlabel="score threshold", ylabel="share", xlim=(0.05, 0.99), ylim=(0, 1.03))
    figure.legend(loc="outside lower center", ncols=4)
    heading(figure, "A higher threshold: fewer false ones, fewer found")
    figure.set_label("Precision rises and recall falls with the score threshold, nearly alike on both sets of images; "
                     "a dotted line marks the threshold chosen.")
    return figure
