"""The pictures of the lesson on region proposals: what one cell says, how sure the cells become while they learn, what
an error costs, and how non-maximum suppression thins out the boxes on one object."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.pyramid import show_answers
from npmaskrcnn.plots.style import (CURVE, DASHED, GROUND_TRUTH, INK, LEVEL_NAMES, MUTED, NEGATIVE, SMALL, draw_boxes,
                                    faded, level_color, new_figure, panels, show_image, zoom)

AROUND = (34, 40, 86, 92)       # the piece of the image around the triangle, in pixels
THRESHOLDS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def ground():
    """The image that all lessons follow, pale and without its noise: to draw boxes on."""
    return faded(ShapesDataset(12, image_size=(96, 128), seed=90003, noise=0)[11][0])


def one_cell(true_box, anchor, proposal, cell=(17, 15), stride=4):
    """A cell of P2, the nine cells that the head reads, the cell's square anchor, and where its deltas move that."""
    figure = new_figure(8.4, 3.4)
    axes = figure.subplots(1, 2)
    for ax in axes:
        show_image(ax, ground())
        draw_boxes(ax, true_box, GROUND_TRUTH, 1.6, linestyle=DASHED)
    row, column = cell
    window = stride * np.array([column - 1, row - 1, column + 2, row + 2])
    draw_boxes(axes[0], [window + [i * stride, j * stride, (i - 2) * stride, (j - 2) * stride]
                         for i in range(3) for j in range(3)], MUTED, 0.8, halo=False)
    draw_boxes(axes[0], window, INK, 2)
    axes[0].set_title("asked: the 3 x 3 cells of P2 around row 17, column 15")
    draw_boxes(axes[1], anchor, MUTED, 2)
    draw_boxes(axes[1], proposal, level_color(0), 2)
    zoom(axes[1], (40, 48, 80, 86))
    axes[1].set_title("answered: gray the anchor, purple the proposal")
    return figure


def learning(traces, true_boxes, point=(60, 68)):
    """Objectness on all levels, the best of each cell's three anchors, in a row for each moment of a training."""
    figure, axes = panels(len(traces), 5, width=1.75, height=1.4)
    for line, (name, trace) in zip(axes, traces.items()):
        for level, (ax, logits) in enumerate(zip(line, trace.objectness)):
            values = ops.sigmoid(logits).max(axis=2)
            heat = show_answers(ax, values, (96, 128), cmap="magma", vmin=0, vmax=1)
            draw_boxes(ax, true_boxes, "white", 0.8, linestyle=DASHED, halo=False)
            ax.set_title(f"{LEVEL_NAMES[level]}: highest {values.max():.2f}")
        line[0].plot(*point, "o", markersize=11, markerfacecolor="none", markeredgecolor="white")
        line[0].set_ylabel(name)
    figure.colorbar(heat, ax=axes, label="objectness (probability)", shrink=0.7, aspect=30)
    heading(figure, "First it learns to say no, then where an object is")
    return figure


def smooth_l1(errors, beta=1 / 9):
    """What an error costs and how hard it pulls: smooth L1 between a parabola and the absolute value."""
    figure = new_figure(8.4, 3.1)
    axes = figure.subplots(1, 2)
    d = np.linspace(-3, 3, 1201)
    ours = np.where(abs(d) < beta, d ** 2 / (2 * beta), abs(d) - beta / 2)
    curves = (("d² / 2", (0, (5, 3)), MUTED, d ** 2 / 2, d), ("|d|", "dotted", MUTED, abs(d), np.sign(d)),
              ("smooth L1, beta 1/9", "solid", CURVE, ours, np.clip(d / beta, -1, 1)))
    for name, style, color, cost, slope in curves:
        for ax, values in zip(axes, (cost, slope)):
            ax.plot(d, values, linestyle=style, color=color, label=name, linewidth=2 if color == CURVE else 1.4)
    for ax, base, label in ((axes[0], -0.25, "cost"), (axes[1], -3.3, "slope: how hard it pulls")):
        ax.plot(errors, np.full(len(errors), base), "|", color=INK, markersize=9)
        ax.set(xlabel="error d = delta answered - delta wanted", ylabel=label)
    axes[0].annotate("the 24 errors of this image", (0, -0.25), (0.9, -0.32), fontsize=SMALL, color=INK)
    axes[0].set(ylim=(-0.5, 4.6))
    axes[0].legend(loc="upper center")
    heading(figure, "Far out a parabola pulls ever harder, smooth L1 never harder than 1")
    return figure


def nms_steps(boxes, scores, steps):
    """Each step of non-maximum suppression: what is kept, what it removes, and at last what is left."""
    figure, axes = panels(2, 4, width=2.15, height=2.5)
    for number, (ax, (best, removed, waiting)) in enumerate(zip(axes.ravel(), steps)):
        show_image(ax, ground(), axis_labels=False)
        draw_boxes(ax, boxes[[step[0] for step in steps[:number]]], CURVE, 1.2, halo=False)
        draw_boxes(ax, boxes[removed], NEGATIVE, 1.4, linestyle=DASHED, halo=False)
        draw_boxes(ax, boxes[best], INK, 2.6)
        gone = "removes " + (", ".join(str(i + 1) for i in removed) or "none")
        ax.set_title(f"step {number + 1}: keep {best + 1} ({scores[best]:.3f})\n{gone}; {len(waiting)} wait")
        zoom(ax, AROUND)
    last = axes.ravel()[len(steps)]
    show_image(last, ground(), axis_labels=False)
    draw_boxes(last, boxes[[step[0] for step in steps]], CURVE, 1.4, halo=False)
    last.set_title(f"the end:\n{len(steps)} of {len(boxes)} boxes")
    zoom(last, AROUND)
    heading(figure, "Keep the surest, remove what overlaps it by more than 0.7, repeat")
    return figure


def kept_at(trace, threshold):
    """Boxes that stay at a threshold of suppression, level by level, best first."""
    rows = ops.remove_small_boxes(trace.top_k_boxes, 1e-3)
    boxes, scores, levels = trace.top_k_boxes[rows], trace.top_k_scores[rows], trace.top_k_levels[rows]
    return boxes[ops.batched_nms(boxes, scores, levels, threshold)]


def recall_curves(many):
    """For each threshold: recall at IoU 0.7 of the best 10 and the best 40, and how many boxes stay in an image."""
    rows = []
    for threshold in THRESHOLDS:
        kept = [kept_at(trace, threshold) for trace, _ in many]
        rows.append([np.concatenate([ops.box_iou(target.boxes, boxes[:number]).max(axis=1) >= 0.7
                                     for (_, target), boxes in zip(many, kept)]).mean() for number in (10, 40)]
                    + [np.mean([len(boxes) for boxes in kept])])
    return np.array(rows)


def at_threshold(threshold, trace, true_box, curves):
    """What stays on the triangle at one threshold, beside the recall over many images at all of them."""
    figure = new_figure(8.4, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.7])
    kept = kept_at(trace, threshold)[:40]
    on_it = kept[ops.box_iou(true_box[None], kept)[0] >= 0.5]
    show_image(left, ground(), axis_labels=False)
    draw_boxes(left, on_it, CURVE, 1.1, halo=False)
    draw_boxes(left, true_box, GROUND_TRUTH, 1.8, linestyle=DASHED)
    zoom(left, AROUND)
    left.set_title(f"of {len(kept)} proposals {len(on_it)} on the triangle")
    at = THRESHOLDS.index(threshold)
    for values, style, name, above in zip(curves.T, ("o--", "o-"), ("the best 10 proposals", "the best 40"), (-17, 7)):
        right.plot(THRESHOLDS, values, style, color=CURVE, markersize=3, label=name)
        right.plot(threshold, values[at], "o", color=INK, markersize=7)
        right.annotate(f"{values[at]:.2f}", (threshold, values[at]), (0, above), textcoords="offset points",
                       ha="center")
    right.set(ylim=(0.75, 1), xlim=(0.05, 1.05), xlabel="NMS threshold (1: none)", ylabel="recall at IoU 0.7",
              title=f"threshold {threshold:g}: {curves[at, 2]:.0f} boxes left in an image (mean)")
    right.legend(loc="upper left")
    return figure
