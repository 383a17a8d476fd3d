"""The pictures of the lesson on trainings that go wrong: a patient's sheet beside a healthy training, a smaller card of
it, and faults put into a healthy model: what it is then told, and what it then finds."""

import numpy as np
from matplotlib.patches import Rectangle

from npmaskrcnn import ops
from npmaskrcnn.clinic.patients import CLASS_NAMES
from npmaskrcnn.clinic.runs import MOST_SHOWN, PICTURE, PICTURE_SEED
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.case import HEALTHY, ILL
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.style import (DASHED, GROUND_TRUTH, INK, SMALL, class_color, class_name, draw_boxes,
                                    faded, ink_on, new_figure, panels, say_nothing, show_image)

LOSSES = {"loss_objectness": "objectness", "loss_rpn_box_reg": "RPN boxes", "loss_classifier": "classes",
          "loss_box_reg": "boxes", "loss_mask": "masks"}
MOST_NAMES = 6      # detections whose names are written in
SURE = 0.5          # the score of what counts as found
NAME_SIZE = 28, 10  # pixels of the image that a name takes


def picture():
    """The image in which all patients were examined, pale and without its noise, and its target."""
    image, target = ShapesDataset(PICTURE + 1, seed=PICTURE_SEED, noise=0)[PICTURE]
    return faded(image), target


def rightly_found(run):
    """How many objects of the picture are covered at the end, with an IoU above one half, under their own name."""
    target, found = picture()[1], run.pictures[-1]
    right = (ops.box_iou(target.boxes, found.boxes) > 0.5) & (target.labels[:, None] == found.labels)
    return int(right.any(axis=1).sum())


def names_in(ax, boxes, labels):
    """Write each box's class into its middle, or below a name that is there already."""
    written = []
    for box, label in zip(boxes, labels):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        while any(abs(x - other_x) < NAME_SIZE[0] and abs(y - other_y) < NAME_SIZE[1] for other_x, other_y in written):
            y += 1
        written.append((x, y))
        ax.text(x, y, class_name(label, CLASS_NAMES), fontsize=SMALL,
                ha="center", va="center", color=ink_on(class_color(label)),
                bbox=dict(facecolor=class_color(label), edgecolor="none", pad=1.2))


def show_found(ax, found):
    """What a training found in the picture; what is there is dashed."""
    ground, target = picture()
    show_image(ax, ground, axis_labels=False)
    draw_boxes(ax, target.boxes, GROUND_TRUTH, 1, linestyle=DASHED, halo=False)
    few = len(found) <= MOST_NAMES
    draw_instances(ax, found.boxes, found.labels, masks=found.masks if few else None)
    if few:
        names_in(ax, found.boxes, found.labels)
    if not len(found):
        say_nothing(ax, "nothing")


def show_ap(ax, ill):
    """Average precision of boxes and masks, the patient's beside the healthy one's."""
    for shift, run, color in ((-0.2, ill.run, ILL), (0.2, ill.healthy, HEALTHY)):
        for place, column in enumerate(("bbox_AP", "segm_AP")):
            ax.bar(place + shift, run.ap[column], 0.38, color=color)
            ax.text(place + shift, run.ap[column], f"{run.ap[column]:.2f}".removeprefix("0"), ha="center", va="bottom",
                    fontsize=SMALL)
    ax.set(xticks=(0, 1), xticklabels=("boxes", "masks"), yticks=(), ylim=(0, 0.85), title="AP")
    ax.spines["left"].set_visible(False)


def sheet(ill):
    """The five losses over a healthy training's, average precision, and the picture at three moments."""
    figure = new_figure(8.4, 4.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.35))
    *axes, ap_ax = upper.subplots(1, 6)
    for ax, (column, title) in zip(axes, LOSSES.items()):
        ax.plot(ill.healthy.log["step"], ill.healthy.log[column], color=HEALTHY, linewidth=3)
        ax.plot(ill.run.log["step"], ill.run.log[column], color=ILL, linewidth=1.2)
        ax.set(ylim=(0, None), xticks=(0, 300), title=title)
    show_ap(ap_ax, ill)
    heading(upper, f"{ill.name}, and in gray the healthy training")
    moments = [(ill.name, step, found) for step, found in zip(ill.run.steps, ill.run.pictures)]
    moments.append(("healthy", ill.healthy.steps[-1], ill.healthy.pictures[-1]))
    for ax, (whose, step, found) in zip(lower.subplots(1, 4), moments):
        show_found(ax, found)
        ax.set_title(f"{whose}, step {step}: {len(found)}{'+' * (len(found) == MOST_SHOWN)} found")
    figure.set_label(f"Five losses of {ill.name} over those of the healthy training; AP of boxes "
                     f"{ill.run.ap['bbox_AP']:.2f} against {ill.healthy.ap['bbox_AP']:.2f}, of masks "
                     f"{ill.run.ap['segm_AP']:.2f} against {ill.healthy.ap['segm_AP']:.2f}; of four objects in a "
                     f"picture {', '.join(str(len(found)) for found in ill.run.pictures)} found at three moments, "
                     f"and {len(moments[-1][2])} by the healthy one.")
    return figure


def card(ill):
    """A smaller sheet: the complaint, the last picture, the last losses and average precision."""
    figure = new_figure(8.4, 2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.9, 0.75))
    show_found(left, ill.run.pictures[-1])
    left.set_title(f"found at the end: {len(ill.run.pictures[-1])}")
    for shift, run, color, whose in ((-0.2, ill.run, ILL, ill.name), (0.2, ill.healthy, HEALTHY, "healthy")):
        for place, column in enumerate(LOSSES):
            middle.bar(place + shift, run.end[column], 0.38, color=color, label=whose if place == 0 else None)
            middle.text(place + shift, run.end[column], f"{run.end[column]:.2f}".removeprefix("0"), ha="center",
                        va="bottom", fontsize=SMALL)
    middle.set(xticks=range(5), xticklabels=LOSSES.values(), yticks=(), ylim=(0, 1.1), title="losses, last 50 steps")
    middle.spines["left"].set_visible(False)
    middle.legend(loc="upper left")
    show_ap(right, ill)
    heading(figure, ill.name)
    return figure


def plain_image():
    """The lessons' image, pale and without its noise."""
    return faded(ShapesDataset(12, image_size=(96, 128), seed=90003, noise=0)[11][0])


def entering(told):
    """What four faults make of one image and its target, before the model sees them."""
    figure, axes = panels(2, 2, width=3.4, height=2.7)
    ground, straight = plain_image(), next(iter(told.values()))[0]
    for ax, (name, (image, boxes, labels, masks)) in zip(axes.flat, told.items()):
        show_image(ax, ground if np.array_equal(image, straight) else ground[:, ::-1], axis_labels=False)
        draw_instances(ax, boxes, labels, masks=masks)
        names_in(ax, boxes, labels)
        ax.set_title(f"{name} is told")
    figure.set_label("Boxes mirrored at the diagonal, names of other classes, a circle called background, and masks "
                     "that were not mirrored with their image and boxes.")
    return figure


def leaving(traces, target):
    """What one model finds in one image without a fault, and with faults in the way to its answer."""
    figure, axes = panels(2, 2, width=3.4, height=2.7)
    ground, regions = plain_image(), ()
    for ax, (name, trace) in zip(axes.flat, traces.items()):
        show_image(ax, ground, axis_labels=False)
        draw_boxes(ax, target.boxes, GROUND_TRUTH, 1, linestyle=DASHED, halo=False)
        rows, regions = same_regions(trace, regions)
        found, sure = trace.detections[rows], int((trace.detections.scores > SURE).sum())
        draw_instances(ax, found.boxes, found.labels, masks=found.masks)
        names_in(ax, found.boxes, found.labels)
        ax.set_title(f"{name} finds {sure}" + f", {len(found)} drawn" * (len(found) < sure))
        if not sure:
            show_anchors(ax, trace)
    figure.set_label("What the same healthy weights find without a fault and with three: emma's circle fills its box, "
                     "felix's boxes lie beside their objects, jonas's anchors stand in the lower right quarter only "
                     "and nothing is found.")
    return figure


def show_anchors(ax, trace):
    """Where the finest anchors' centers are, as far as that is inside the image."""
    centers = (trace.anchors[0][:, :2] + trace.anchors[0][:, 2:]) / 2
    (left, top), (right, bottom) = centers.min(axis=0), centers.max(axis=0)
    height, width = trace.image.shape[:2]
    ax.add_patch(Rectangle((left, top), min(right, width) - left, min(bottom, height) - top, facecolor="none",
                           edgecolor=INK, hatch="...", linewidth=0.8))
    ax.text((left + width) / 2, (top + height) / 2, "its anchors", ha="center", va="center", fontsize=SMALL,
            bbox=dict(facecolor="white", edgecolor="none", pad=1.2))


def same_regions(trace, regions):
    """Detections over one half, or of them only those of the given regions, and the regions that they came from."""
    sure = np.flatnonzero(trace.detections.scores > SURE)
    own = trace.candidate_rois[trace.detection_rows[sure]]
    if not len(regions):
        return sure, own
    return sure[np.isin(own, regions)], regions


