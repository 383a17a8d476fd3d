"""From thousands of anchors to a few objects: how many are left at each step, and the way of a single one."""

import math

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.plots.pyramid import NO_ANCHOR, input_image
from npmaskrcnn.plots.roi import zoom
from npmaskrcnn.plots.rpn import best_rows
from npmaskrcnn.plots.style import (CURVE, INK, LEVEL_NAMES, MUTED, NORMAL, SMALL, class_color, class_name,
                                    count, draw_boxes, faded, ink_on, level_color, new_figure, panels,
                                    say_nothing, show_image, styled)


@styled
def funnel(trace, ax=None):
    """Draw how many boxes are left after each step, from all anchors to the detections.

    Parameters
    ----------
    trace : Trace
    ax : Axes, optional
        Draw here instead of in a new figure.

    Returns
    -------
    figure : matplotlib Figure
    """
    steps = funnel_steps(trace)
    if ax is None:
        figure = new_figure(7, 3)
        figure.set_label("Bar chart of how many boxes are left: "
                         + ", ".join(f"{number:,} {name}" for name, number, _ in steps) + ".")
        ax = figure.subplots()
    numbers = np.array([number for _, number, _ in steps])
    ax.barh(range(len(steps)), np.log10(numbers + 1), height=0.5, color=CURVE)
    for i, (name, number, why) in enumerate(steps):
        ax.text(np.log10(number + 1) + 0.05, i, f"{number:,}", va="center", fontsize=NORMAL,
                fontweight="bold")
        if why:     # between the two bars
            ax.text(np.log10(numbers.max() + 1) * 0.015, i - 0.5, f"\u2193 {why}", va="center", fontsize=SMALL,
                    color=MUTED)
    ax.set(yticks=range(len(steps)), yticklabels=[name for name, _, _ in steps],
           ylim=(len(steps) - 0.5, -0.6), xlim=(0, np.log10(numbers.max() + 1) * 1.2), xticks=[],
           title=f"From {count(steps[0][1], 'anchor')} to {count(steps[-1][1], 'detection')}"
                 " (logarithmic bars)")
    ax.tick_params(length=0)
    ax.spines["bottom"].set_visible(False)
    return ax.figure


def funnel_steps(trace):
    """(name, number, what was done to get there) of each step."""
    return [("anchors", sum(len(boxes) for boxes in trace.anchors), ""),
            ("best boxes", len(trace.top_k), "best objectness, per level"),
            ("proposals", len(trace.proposals), "NMS per level, best of all"),
            ("candidates", len(trace.candidate_labels), "class score above threshold"),
            ("detections", len(trace.detection_rows), "NMS per class, best of all")]


@styled
def provenance(trace, detection=0, size=2.9, columns=5):
    """Follow one detection back: cell and anchor, proposal, class scores, box, mask.

    Parameters
    ----------
    trace : Trace
    detection : int
        Row of the detections.
    size : float
        Width of a panel in inches.
    columns : int
        How many of the five panels stand side by side.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    figure, axes = panels(math.ceil(5 / columns), columns, size, size * max(height / width, 0.75) + 0.75)
    for ax in axes.flat[5:]:
        ax.axis("off")
    axes = axes.flat[:5]
    if not len(trace.detection_boxes):
        for ax in axes:
            ax.axis("off")
        say_nothing(axes[2], "no detection")
        figure.set_label("There is no detection to follow back.")
        return figure
    step = trace.provenance(detection)
    level, box = step["level"], trace.detection_boxes[detection]
    label = int(trace.detections.labels[detection])
    name, color = class_name(label, trace.class_names), class_color(label)
    picture = input_image(trace)

    _show_cell(axes[0], trace, step)
    show_image(axes[1], faded(picture))
    draw_boxes(axes[1], step["anchor_box"], MUTED, 1.6, linestyle=(0, (4, 2)))
    draw_boxes(axes[1], step["proposal_box"], level_color(level), 2)
    axes[1].set_title("2  Its anchor (dashed), moved:\n"
                      f"row {step['roi']} of {count(len(trace.proposals), 'proposal')}")

    scores = ops.softmax(np.asarray(trace.class_logits[step["roi"]], np.float64))
    draw_class_scores(axes[2], scores, trace.class_names)
    axes[2].set_title(f"3  Pooled from {LEVEL_NAMES[step['roi_level']]}, classified:\n"
                      f"{name} {scores[label]:.2f}")
    axes[2].set_xlabel("probability")
    axes[2].set_box_aspect(height / width)

    show_image(axes[3], faded(picture))
    draw_boxes(axes[3], step["proposal_box"], level_color(level), 1.6, linestyle=(0, (4, 2)))
    draw_boxes(axes[3], box, color, 2.2)
    axes[3].set_title(f"4  Proposal (dashed), refined:\nbox of the {name}")

    _show_mask(axes[4], trace, detection, label, picture)
    for ax in (axes[1], axes[3], axes[4]):
        ax.set_ylabel("")
    y, x = step["cell"]
    figure.set_label(f"Five panels follow detection {detection}, a {name} with score {scores[label]:.2f}: "
                     f"row {y}, column {x} of {LEVEL_NAMES[level]}, its anchor moved to proposal "
                     f"{step['roi']}, class scores, refined box, mask.")
    return figure


def _show_cell(ax, trace, step):
    """The objectness map of the anchor's shape, with the anchor's cell; a cell lies about its anchors' centre."""
    level, (y, x) = step["level"], step["cell"]
    belief = ops.sigmoid(np.asarray(trace.objectness[level][:, :, step["anchor_of_cell"]], np.float64))
    (height, width), (h, w) = trace.batch.shape[1:3], trace.strides[level]
    show_image(ax, belief, (height, width), cmap="magma", vmin=0, vmax=1)
    ax.images[0].set_extent((-w / 2, width - w / 2, height - h / 2, -h / 2))
    ax.set_facecolor(NO_ANCHOR)
    draw_boxes(ax, [[(x - 0.5) * w, (y - 0.5) * h, (x + 0.5) * w, (y + 0.5) * h]], level_color(level), 2)
    ax.set_title(f"1  Row {y}, column {x} of {LEVEL_NAMES[level]}, shape {step['anchor_of_cell']}:\n"
                 f"objectness {belief[y, x]:.2f}")


def _show_mask(ax, trace, detection, label, picture):
    """The mask of the detection's class, stretched over its box."""
    box = trace.detection_boxes[detection]
    mask = ops.sigmoid(np.asarray(trace.mask_logits[detection, :, :, label], np.float64))
    show_image(ax, picture)
    ax.imshow(mask, extent=(box[0], box[2], box[3], box[1]), cmap="gray", vmin=0, vmax=1, alpha=0.85)
    zoom(ax, box, 0.15)
    draw_boxes(ax, box, class_color(label), 2.2)
    ax.set_title(f"5  Its {mask.shape[0]} × {mask.shape[1]} mask, laid into\nthe box")


def draw_class_scores(ax, scores, class_names=None, max_classes=4):
    """Bars of the class probabilities (K,) of one RoI: all if few, else the best ones."""
    rows = np.arange(len(scores)) if len(scores) <= max_classes else np.sort(best_rows(scores, max_classes))
    names = [class_name(k, class_names) for k in rows]
    ax.barh(range(len(rows)), scores[rows], height=0.7, color=[class_color(k) for k in rows])
    for i, k in enumerate(rows):
        inside = scores[k] > 0.6
        ax.text(scores[k] + (-0.03 if inside else 0.03), i, f"{scores[k]:.2f}", va="center", fontsize=SMALL,
                ha="right" if inside else "left", color=ink_on(class_color(k)) if inside else INK)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)),
           yticklabels=[name if len(name) <= 11 else name[:10] + "…" for name in names])
    ax.tick_params(axis="y", length=0, pad=2)
