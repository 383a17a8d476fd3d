"""The pictures of the lesson on losses: who pays them, the way of their gradients back through the model and where it
ends, what each part of the model hears, two decisions that jump, and what each loss asks of the pixels."""

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import matplotlib
from npmaskrcnn import nn, ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.style import (BACKGROUND_COLOR, CLASS_COLORS, CURVE, INK, LEVEL_NAMES, MUTED, NEGATIVE, NORMAL,
                                    SMALL, class_color, faded, ink_on, level_color, new_figure, show_image)
from npmaskrcnn.stages.roi_pooler import make_rois

OBJECTS = ("circle", "left square", "triangle", "right square")
LOSSES = {      # on what each is computed, and by what it is divided
    "loss_objectness": ("128 sampled anchors", "128"),
    "loss_rpn_box_reg": ("the 6 positives of them", "128, not 6"),
    "loss_classifier": ("32 sampled RoIs", "32"),
    "loss_box_reg": ("the 16 positives of them", "32, not 16"),
    "loss_mask": ("28x28 pixels of these 16", "16 x 784"),
}


def who_pays(shares, whose, training):
    """Each loss divided among the objects, and what each RoI pays for its class against its overlap."""
    figure = new_figure(8.8, 3.1)
    bars, dots = figure.subplots(1, 2, width_ratios=(1.45, 1))
    for line, (loss, share) in enumerate(shares.items()):
        left = 0.0
        for number, label in [*enumerate(training.gt_labels), (-1, 0)]:
            width = share[whose[loss] == number].sum() / share.sum()
            bars.barh(line, width, 0.7, left=left, color=class_color(label), edgecolor="white", linewidth=1)
            if width > 0.1:
                name = OBJECTS[number] if number >= 0 else "background"
                bars.text(left + width / 2, line, f"{name}\n{width:.0%}", ha="center", va="center", fontsize=SMALL,
                          color=ink_on(class_color(label)), linespacing=0.95)
            left += width
    bars.set_yticks(range(5), shares)
    bars.set(xlim=(0, 1), xticks=[], title="whose part of each loss")
    bars.invert_yaxis()
    bars.spines["bottom"].set_visible(False)
    overlap = training.candidate_iou[:, training.sampled_rois].max(axis=0)
    dots.axvline(0.5, color=MUTED, linewidth=1)
    dots.scatter(overlap, shares["loss_classifier"], s=28, color=[class_color(label) for label in training.roi_labels],
                 edgecolor="white", linewidth=0.6)
    dots.text(0.49, 0.049, "asked for\nbackground", ha="right", fontsize=SMALL, color=MUTED)
    dots.text(0.62, 0.049, "asked for a shape", fontsize=SMALL, color=MUTED)
    dots.set(xlabel="greatest IoU with an object", ylabel="share of loss_classifier", title="the 32 RoIs",
             ylim=(-0.002, 0.056))
    heading(figure, "Each loss has other payers, and the class is paid for at the border")
    return figure


def _box(ax, text, x, y, width, height=5.0, color="#E8EEF5", style="solid", ink=INK):
    ax.add_patch(FancyBboxPatch((x, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.7",
                                facecolor=color, edgecolor=MUTED, linewidth=1, linestyle=style))
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=SMALL + 0.5, color=ink, linespacing=1.1)


def _arrow(ax, start, end, gradient=True, bend=0.0):
    ax.add_patch(FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0, connectionstyle=f"arc3,rad={bend}",
        color=CURVE if gradient else MUTED, linewidth=2.0 if gradient else 1.1,
        linestyle="solid" if gradient else (0, (3, 2))))


def _stop(ax, x, y):
    ax.plot(x, y, "x", color=NEGATIVE, markersize=11, markeredgewidth=3, zorder=5)


def _join(ax, x, y):
    ax.plot(x, y, "o", color="white", markeredgecolor=CURVE, markersize=14, markeredgewidth=1.6, zorder=5)
    ax.plot(x, y, "+", color=CURVE, markersize=8, markeredgewidth=1.8, zorder=6)


def _nodes(ax):
    """What computes, the five losses, and the decisions between them."""
    for text, x, y, width in (
            ("pixels", 1, 20, 7), ("backbone\nC2 to C5", 12, 20, 10), ("pyramid\nP2 to P6", 28, 20, 9),
            ("RPN head", 53, 35, 11), ("RoIAlign 7x7", 48, 14, 11), ("RoIAlign 14x14", 48, 4, 11),
            ("box head", 64, 14, 9), ("mask head", 64, 4, 9)):
        _box(ax, text, x, y, width)
    for text, y in zip(("objectness", "rpn_box_reg", "classifier", "box_reg", "mask"), (37.4, 32.6, 16.4, 11.6, 4)):
        _box(ax, "loss_" + text, 76.5, y, 13, 3.8, INK, ink="white")
    for text, x, y, width in (
            ("decisions about anchors:\nmatching, sampling", 50, 41.6, 18),
            ("decisions about regions: proposals' corners,\nNMS, matching, sampling, level", 47, 25, 28)):
        _box(ax, text, x, y, width, 4.8, "white", (0, (3, 2)), MUTED)


def way_back(on_p2):
    """Where the gradients of the five losses enter, meet and stop; `on_p2`: their lengths on P2, by consumer."""
    figure = new_figure(9, 4.4, layout=None)
    ax = figure.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, 90), ylim=(0.5, 44.5))
    ax.axis("off")
    _nodes(ax)
    for start, end in (
            ((76.5, 37.4), (64, 35.8)), ((76.5, 32.6), (64, 34.2)), ((76.5, 16.4), (73, 14.8)),
            ((76.5, 11.6), (73, 13.2)), ((76.5, 4), (73, 4)), ((64, 14), (59, 14)), ((64, 4), (59, 4)),
            ((53, 35), (40, 21.4)), ((48, 14), (40.6, 19.2)), ((48, 4), (40, 18.4)), ((38.2, 20), (37.1, 20)),
            ((28, 20), (24.4, 20)), ((12, 20), (8, 20))):
        _arrow(ax, start, end)
    for start, end, bend in (((68, 41.6), (82, 39.4), -0.15), ((58, 32.5), (58, 27.5), 0), ((57, 22.5), (57, 16.6), 0),
                             ((57, 11.5), (57, 6.6), 0), ((75, 25), (82, 18.4), -0.2)):
        _arrow(ax, start, end, gradient=False, bend=bend)
    for x, y in ((75.2, 41.5), (58, 30), (57, 19.6), (57, 9), (79.9, 23.4)):
        _stop(ax, x, y)
    for x, y in ((39.4, 20), (23.3, 20), (65, 35), (74, 14)):
        _join(ax, x, y)
    for (name, length), (x, y, side) in zip(on_p2.items(), ((44.5, 29.6, "right"), (44.4, 19.6, "left"),
                                                            (42.6, 9.2, "right"))):
        ax.text(x, y, f"P2 gets {length:.4f}\nfrom the {name}", fontsize=SMALL, color=CURVE, ha=side, va="center")
    _legend(ax)
    return figure


def _legend(ax):
    _arrow(ax, (6, 38), (1, 38))
    _arrow(ax, (1, 34.5), (6, 34.5), gradient=False)
    _stop(ax, 3.5, 31)
    _join(ax, 3.5, 27.5)
    for y, text in ((38, "a gradient, on its way back"), (34.5, "a decision, handed on as a constant"),
                    (31, "here the way back ends"), (27.5, "gradients meet, and are added")):
        ax.text(8, y, text, fontsize=SMALL + 0.5, va="center")
    ax.text(1, 43.6, "Five losses, one way back", fontsize=NORMAL + 2, fontweight="bold", va="top")


def heard(lengths):
    """A table: the length of each loss's gradient in each part of the model, with the exact zeros in bold."""
    figure = new_figure(8.4, 2.9)
    ax = figure.subplots()
    table = np.array([list(row.values()) for row in lengths.values()])
    ax.imshow(np.log10(np.maximum(table, 1e-3)), cmap="Blues", vmin=-3, vmax=1.4, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        ax.text(column, row, f"{value:.4f}" if value else "0", ha="center", va="center",
                color="white" if value > 0.5 else INK, fontweight="normal" if value else "bold")
    ax.set_xticks(range(5), ["backbone", "pyramid", "RPN", "box head", "mask head"])
    ax.set_yticks(range(5), lengths)
    ax.tick_params(length=0, labelsize=NORMAL)
    ax.spines[:].set_visible(False)
    heading(figure, "Length of the gradient: backbone and pyramid hear all five losses, each head only its own")
    return figure


def class_losses(model, features, target, boxes):
    """For RoIs laid over the image: the answer that matching asks for, what its class costs, and the level."""
    overlap = ops.box_iou(target.boxes.astype(boxes.dtype), boxes)
    asked = np.where(overlap.max(axis=0) >= 0.5, target.labels[overlap.argmax(axis=0)], 0)
    rois = make_rois([boxes])
    _, logits, _ = model.roi_heads.classify(features, rois, nn.FORGET)
    return asked, ops.softmax_cross_entropy_per_row(logits, asked), model.roi_heads.box_pooler.levels(rois)


def decisions(model, features, target, proposal):
    """What a RoI's class costs while it slides off the triangle, and while it grows on the circle: curves that jump."""
    figure = new_figure(8.8, 3.1)
    left, right = figure.subplots(1, 2)
    shift = np.linspace(-14, 14, 225)
    asked, loss, _ = class_losses(model, features, target, proposal + shift[:, None] * [1, 0, 1, 0])
    for label, name in ((0, "asked for background"), (3, "asked for the triangle")):
        rows = asked == label
        left.plot(shift[rows], loss[rows], ".", markersize=4, label=name,
                  color=class_color(label) if label else BACKGROUND_COLOR)
    left.set(xlabel="proposal 3, moved to the right by (px)", ylabel="its cross-entropy",
             title="matching: where the IoU is .5, the answer flips", ylim=(-0.1, 3.6))
    left.legend(loc="upper left")
    circle = target.boxes[0].astype(features[0].dtype)
    center, side = (circle[:2] + circle[2:]) / 2, np.linspace(48, 63, 241)[:, None]
    _, loss, levels = class_losses(model, features, target, np.concatenate([center - side / 2, center + side / 2], 1))
    for level in np.unique(levels):
        rows = levels == level
        right.plot(side[rows], loss[rows], ".", markersize=4, color=level_color(level),
                   label=f"read from {LEVEL_NAMES[level]}")
    right.set(xlabel="side of a square RoI around the circle's center (px)", ylabel="its cross-entropy",
              title="level: at 56 pixels another map is read")
    right.legend(loc="upper left")
    heading(figure, "A decision makes the loss jump, and no derivative sees a jump")
    return figure


def asked_of_pixels(name, maps, target, loss):
    """The image with its objects outlined, and where one loss pulls at it, in cells of 4x4 pixels."""
    figure = new_figure(8.6, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    show_image(left, faded(ShapesDataset(12, image_size=(96, 128), seed=90003, noise=0)[11][0]))
    left.set_title("the image; the circle is partly hidden")
    cells = np.abs(maps[name]).sum(axis=2).reshape(24, 4, 32, 4).sum(axis=(1, 3))
    steps = np.linspace(0, cells.max(), 17)
    colors = ListedColormap(matplotlib.colormaps["magma"](np.linspace(0, 1, 16)))
    artist = show_image(right, cells, (96, 128), cmap=colors, norm=BoundaryNorm(steps, 16))
    right.set(ylabel="", title=f"where {name} = {loss:.4f} pulls")
    for ax, width in ((left, 1.8), (right, 1.6)):
        for label, mask in zip(target.labels, target.masks):
            ax.contour(np.arange(128) + 0.5, np.arange(96) + 0.5, mask, [0.5], linewidths=width,
                       colors=CLASS_COLORS[label - 1] if ax is left else "white")
    figure.colorbar(artist, ax=right, ticks=steps[::4], format="%.4f", label="sum of |gradient| in 4x4 pixels")
    return figure
