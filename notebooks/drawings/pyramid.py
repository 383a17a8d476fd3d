"""The figures of lesson 05: what one cell of each of the backbone's maps sees and how much of the triangle it has to
place, the wiring of the pyramid with the way forward and the way back, the sum at P2 as it is built up from C5 down to
C2, what one cell of P2 looks at with and without what comes from above, and the dots of which only a distant ring says
whether they are in or out."""

import matplotlib
import numpy as np

from npmaskrcnn import nn, ops
from npmaskrcnn.datasets import RingsDataset
from npmaskrcnn.notebook import THE_OBJECT, heading
from npmaskrcnn.plots.style import (CURVE, INK, MUTED, NEGATIVE, NORMAL, as_picture, draw_boxes, level_color,
                                    new_figure, panels, show_image, styled)

FORWARD, BACKWARD = CURVE, NEGATIVE
TAG = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
BLUES, BOTH_SIGNS = (matplotlib.colormaps[name].resampled(steps) for name, steps in (("Blues", 20), ("RdBu_r", 29)))
CELL = 17, 15                       # of P2: where the anchor stands from which the triangle is found
ANCHOR = 1678


# ---- what a cell sees ----


def influence(model, trace, level, cell, through="C", every=1):
    """How much each pixel counts for one cell's vector, (H, W), as in lesson 04: the sizes of the gradients of its
    numbers (of all, or of every eighth), added up; all pixels together have 1.

    Of the backbone's map ("C"), of the pyramid's ("P"), or of the pyramid's through the level's own map alone ("own").
    """
    body, fpn, notes, total = model.backbone.body, model.backbone.fpn, nn.Notes(batch_statistics=False), 0
    features = body.forward(trace.batch, notes.of("body"))
    maps = features if through == "C" else fpn.forward(features, notes.of("fpn"))
    for channel in range(0, maps[level].shape[3], every):
        dmaps = [np.zeros_like(one) for one in maps]
        dmaps[level][0][cell][channel] = 1
        if through != "C":
            dmaps = fpn.backward(dmaps, notes["fpn"])
        if through == "own":
            dmaps = [d if k == level else np.zeros_like(d) for k, d in enumerate(dmaps)]
        total = total + np.abs(body.backward(dmaps, notes["body"], need_dx=True)[0]).sum(axis=2)
    return total / total.sum()


def extent(strength):
    """The rows and columns that a cell depends on at all, as a box."""
    rows, columns = np.nonzero(strength)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@styled
def what_a_cell_sees(model, trace):
    """The image four times, in full color where the cell of C2 to C5 at the triangle looks, with the map's grid."""
    height, width = trace.batch.shape[1:3]
    figure, axes = panels(1, 4, 2.25, 2.5)
    triangle, picture = trace.training.gt_boxes[THE_OBJECT], as_picture(trace.image)
    for k, ax in enumerate(axes[0]):
        stride, (y, x) = 4 * 2 ** k, (CELL[0] >> k, CELL[1] >> k)
        x1, y1, x2, y2 = extent(influence(model, trace, k, (y, x), every=8))
        shown = 0.8 + 0.2 * picture
        shown[y1:y2, x1:x2] = picture[y1:y2, x1:x2]
        show_image(ax, shown, axis_labels=False)
        ax.vlines(np.arange(0, width, stride), 0, height, "white", linewidth=0.4)
        ax.hlines(np.arange(0, height, stride), 0, width, "white", linewidth=0.4)
        draw_boxes(ax, [[x * stride, y * stride, (x + 1) * stride, (y + 1) * stride]], INK, 2)
        ax.set_title(f"C{k + 2}: cells of {stride} px")
        ax.set_xlabel(f"one cell sees {x2 - x1} × {y2 - y1} px;\n"
                      f"the triangle is {(triangle[2] - triangle[0]) / stride:g} cells wide")
    heading(figure, "A fine cell sees little and places well; a coarse one sees everything and places badly")
    figure.set_label("The image four times under the grids of C2 to C5. The cell at the triangle sees a small square "
                     "around it on C2, most of the image on C3, all of it on C4 and C5; the triangle shrinks from 6 "
                     "cells to 0.75.")
    return figure


@styled
def where_it_looks(model, trace):
    """What a cell depends on, pixel by pixel: of C2, of P2 if nothing came from above, and of P2 as it is."""
    figure, axes = panels(1, 3, 3, 3.2)
    strengths = [influence(model, trace, 0, CELL, through) for through in ("C", "own", "P")]
    titles = "C2's cell (17, 15)", "P2's, if nothing came from above", "P2's cell (17, 15)"
    left, top, right, bottom = trace.anchors[0][ANCHOR].astype(int)
    for ax, strength, title in zip(axes[0], strengths, titles):
        show_image(ax, strength / strength.max(), axis_labels=False, cmap=BLUES, vmin=0, vmax=0.5)
        draw_boxes(ax, [[left, top, right, bottom]], level_color(0), halo=False)
        x1, y1, x2, y2 = extent(strength)
        rows, columns = np.indices(strength.shape) + 0.5        # the pixels' centers
        x, y = (strength * columns).sum(), (strength * rows).sum()
        ax.set_title(title)
        ax.set_xlabel(f"reaches {x2 - x1} × {y2 - y1} px; center at ({x:.1f}, {y:.1f});\n"
                      f"{100 * strength[top:bottom, left:right].sum():.0f} % of it in the anchor's box")
    heading(figure, "What comes from above lets a cell of P2 see the whole image")
    figure.set_label("How strongly a cell depends on each pixel. C2's cell: a spot in the anchor's box. P2's through "
                     "C2 alone: a little more. P2's: the same spot, and a pale cloud over the lower half of the image.")
    return figure


# ---- the wiring ----


@styled
def wiring():
    """C2 to C5 on the left, P2 to P6 on the right, with the way forward (dark blue) and back (vermilion)."""
    figure = new_figure(9, 3.7)
    ax = figure.subplots()
    for y in range(4):
        for left, right in ((0.4, 2.05), (2.95, 4.55), (5.45, 7.05), (7.95, 9.6)):
            both_ways(ax, (left, y), (right, y))
        for x, text in zip((0, 2.5, 5, 7.5, 10), (f"C{y + 2}", "1x1", "+" if y < 3 else "M5", "3x3", f"P{y + 2}")):
            box(ax, x, y, text, "bold" if x in (0, 10) else "normal")
        if y < 3:
            both_ways(ax, (5, y + 0.76), (5, y + 0.26))
            ax.text(5.25, y + 0.55, "each cell copied to 2x2", va="center", color=FORWARD)
    both_ways(ax, (10, 3.26), (10, 3.74))
    box(ax, 10, 4, "P6", "bold")
    ax.text(9.6, 3.6, "every second cell", ha="right", va="center", color=FORWARD)
    for y in range(3):
        ax.text(6.25, y + 0.11, f"M{y + 2}", ha="center", color=FORWARD)
    ax.text(1.2, 3.75, "forward", color=FORWARD, fontweight="bold", ha="center")
    ax.text(1.2, 3.45, "backward: gradients", color=BACKWARD, fontweight="bold", ha="center")
    ax.set(xlim=(-0.5, 10.5), ylim=(-0.4, 4.35))
    ax.axis("off")
    heading(figure, "Forward from coarse to fine, backward from fine to coarse")
    figure.set_label("From left to right: C2 to C5, a 1x1 convolution each, sums that are connected from top to "
                     "bottom, a 3x3 convolution each, P2 to P5, P6 above P5. Beside each arrow a second one runs back.")
    return figure


def both_ways(ax, start, end):
    """An arrow forward, and beside it one back."""
    aside = np.array([0, -0.17]) if start[1] == end[1] else np.array([-0.18, 0])
    for tail, head, color in ((start, end, FORWARD), (end + aside, start + aside, BACKWARD)):
        ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "linewidth": 1.6, "color": color,
                                                "shrinkA": 0, "shrinkB": 0})


def box(ax, x, y, text, weight):
    """A box of the wiring."""
    ax.text(x, y, text, ha="center", va="center", zorder=5, fontsize=NORMAL, fontweight=weight,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": "#EDEFF2", "edgecolor": MUTED})


# ---- the sum ----


@styled
def sum_so_far(model, trace, last):
    """The merged map of P2 with the laterals of C5 down to level `last` (5 to 2), and what the RPN would say of it."""
    fpn, height, width = model.backbone.fpn, *trace.batch.shape[1:3]
    laterals = [block(c) for block, c in zip(fpn.inner_blocks, trace.body_features)]
    spread = [lateral.repeat(2 ** k, axis=1).repeat(2 ** k, axis=2) for k, lateral in enumerate(laterals)]
    at_the_cell = sum(spread)[0][CELL]
    channel = int(np.argmax(at_the_cell))
    added, merged = spread[last - 2], sum(spread[last - 2:])
    logits = model.rpn.head([fpn.layer_blocks[0](merged)])[0][0][0][..., 1]
    figure, axes = panels(1, 3, 3, 2.75)
    limit = float(at_the_cell[channel])
    for ax, values, title in zip(axes[0], (added, merged), (f"C{last}'s lateral", "the sum so far")):
        shown = show_image(ax, values[0, ..., channel], (height, width), False, cmap=BOTH_SIGNS, vmin=-limit,
                           vmax=limit)
        ax.set_title(f"{title}: {values[0][CELL][channel]:+.1f} at the cell")
    answers = show_image(axes[0, 2], ops.sigmoid(logits), (height, width), False, cmap=BLUES, vmin=0, vmax=1)
    axes[0, 2].set_title(f"objectness from it: {ops.sigmoid(logits[CELL]):.3f}")
    for ax, drawn in ((axes[0, 1], shown), (axes[0, 2], answers)):
        figure.colorbar(drawn, ax=ax, shrink=0.6)
    for ax in axes[0]:
        draw_boxes(ax, [[4 * CELL[1], 4 * CELL[0], 4 * CELL[1] + 4, 4 * CELL[0] + 4]], INK, 1.2)
    names = " + ".join(f"C{k}" for k in range(5, last - 1, -1))
    heading(figure, f"P2's sum from {names}: one of its {len(at_the_cell)} channels")
    return figure


# ---- dots and rings ----


@styled
def seen_around_the_dots(dataset, answers, radius):
    """Images of dots and a ring, hidden but for what lies within `radius` pixels of a dot, and what a model says.

    `answers` are its detections by the image's number. The images are drawn without the noise that the model sees.
    """
    clean = RingsDataset(len(dataset), seed=dataset.seed, noise=0)
    figure, axes = panels(1, len(answers), 3, 3.75)
    for ax, (index, found) in zip(axes[0], answers.items()):
        image, target = clean[index]
        y, x = np.mgrid[:image.shape[0], :image.shape[1]] + 0.5
        centers = (target.boxes[:, :2] + target.boxes[:, 2:]) / 2
        seen = np.any([np.hypot(x - one[0], y - one[1]) < radius for one in centers], axis=0)
        show_image(ax, np.where(seen[..., None], as_picture(image), 0.93), axis_labels=False)
        lines = []
        for name, box, label in zip("AB", target.boxes, target.labels):
            x, y = np.maximum(box[:2] - 2, 12)
            ax.text(x, y, name, fontweight="bold", ha="right", va="bottom", bbox=TAG)
            scores = scores_at(found, box)
            truth = f"; it is {('in', 'out')[label - 1]}" if radius >= 128 else ""
            lines.append(f"model on {name}: in {scores[1]:.2f}, out {scores[2]:.2f}{truth}")
        ax.set_xlabel("\n".join(lines))
    heading(figure, f"{radius} pixels around each dot. Which of them, A or B, is in the ring?")
    return figure


def scores_at(detections, box):
    """{label: the best score of a detection around the center of `box`}, 0 where there is none."""
    center = (box[:2] + box[2:]) / 2
    around = ((detections.boxes[:, :2] < center) & (detections.boxes[:, 2:] > center)).all(axis=1)
    return {label: float(max(detections.scores[around & (detections.labels == label)], default=0)) for label in (1, 2)}

