"""From thousands of anchors to a few objects: how many are left at each step, and the way of a single one."""

import numpy as np

from .. import ops
from ..words import count, printable
from .pyramid import input_image, show_answers
from .rpn import best_rows
from .style import (CURVE, DASHED, INK, LEVEL_NAMES, MUTED, NORMAL, SMALL, class_color, class_name, draw_boxes, faded,
                    ink_on, level_color, new_figure, show_image, styled, tiles, without_content, zoom)


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
    names, numbers, _ = zip(*steps)
    lengths = np.log10(np.add(numbers, 1))
    ax.barh(range(len(steps)), lengths, height=0.5, color=CURVE)
    for i, (_, number, why) in enumerate(steps):
        ax.text(lengths[i] + 0.05, i, f"{number:,}", va="center", fontsize=NORMAL, fontweight="bold")
        if why:     # between the two bars
            ax.text(lengths.max() * 0.015, i - 0.5, f"\u2193 {why}", va="center", fontsize=SMALL, color=MUTED)
    ax.set(yticks=range(len(steps)), yticklabels=names, ylim=(len(steps) - 0.5, -0.6),
           xticks=[], xlim=(0, lengths.max() * 1.2),
           title=f"From {count(numbers[0], 'anchor')} to {count(numbers[-1], 'detection')} (logarithmic bars)")
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
    """Follow one detection back: cell and anchor, proposal, class scores, box and, with a mask branch, mask.

    Parameters
    ----------
    trace : Trace
    detection : int
        Row of the detections.
    size : float
        Width of a panel in inches.
    columns : int
        How many of the panels, five or without a mask branch four, stand side by side.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    masks = trace.mask_logits is not None
    figure, axes = tiles(4 + masks, min(columns, 4 + masks), size, size * max(height / width, 0.75) + 0.75)
    if not len(trace.detection_boxes):
        return without_content(figure, "no detection", "There is no detection to follow back.")
    step = trace.provenance(detection)
    level, roi, box = step["level"], step["roi"], trace.detection_boxes[detection]
    label = int(trace.detections.labels[detection])
    name, color = class_name(label, trace.class_names), class_color(label)
    picture = input_image(trace)

    _show_cell(axes[0], trace, step)
    _show_move(axes[1], picture, (step["anchor_box"], MUTED), (step["proposal_box"], level_color(level), 2))
    axes[1].set_title(f"2  Its anchor (dashed), moved:\nrow {roi} of {count(len(trace.proposals), 'proposal')}")
    scores = ops.softmax(trace.class_logits[roi])
    draw_class_scores(axes[2], scores, trace.class_names)
    axes[2].set(xlabel="probability", box_aspect=height / width,
                title=f"3  Pooled from {LEVEL_NAMES[step['roi_level']]}, classified:\n{name} {scores[label]:.2f}")
    _show_move(axes[3], picture, (step["proposal_box"], level_color(level)), (box, color, 2.2))
    axes[3].set_title(f"4  Proposal (dashed), refined:\nbox of the {name}")
    if masks:
        show_image(axes[4], picture)
        mask = ops.sigmoid(trace.mask_logits[detection, :, :, label])
        axes[4].imshow(mask, extent=box[[0, 2, 3, 1]], cmap="gray", vmin=0, vmax=1, alpha=0.85)
        zoom(axes[4], box, 0.15)
        draw_boxes(axes[4], box, color, 2.2)
        axes[4].set(title=f"5  Its {mask.shape[0]} × {mask.shape[1]} mask, laid into\nthe box", ylabel="")
    y, x = step["cell"]
    figure.set_label(f"{'Five' if masks else 'Four'} panels follow detection {detection}, a {name} with score "
                     f"{scores[label]:.2f}: row {y}, column {x} of {LEVEL_NAMES[level]}, its anchor moved to proposal "
                     f"{roi}, class scores, refined box{', mask' * masks}.")
    return figure


def _show_cell(ax, trace, step):
    """The objectness map of the anchor's shape, with the anchor's cell; a cell lies about its anchors' center."""
    level, (y, x) = step["level"], step["cell"]
    belief = ops.sigmoid(trace.objectness[level][:, :, step["anchor_of_cell"]])
    h, w = trace.strides[level]
    show_answers(ax, belief, trace.batch.shape[1:3], axis_labels=True, cmap="magma", vmin=0, vmax=1)
    draw_boxes(ax, [(x - 0.5) * w, (y - 0.5) * h, (x + 0.5) * w, (y + 0.5) * h], level_color(level), 2)
    ax.set_title(f"1  Row {y}, column {x} of {LEVEL_NAMES[level]}, shape {step['anchor_of_cell']}:\n"
                 f"objectness {belief[y, x]:.2f}")


def _show_move(ax, picture, before, after):
    """One box with its color, dashed, and what became of it, with color and line width."""
    show_image(ax, faded(picture))
    ax.set_ylabel("")
    draw_boxes(ax, *before, 1.6, linestyle=DASHED)
    draw_boxes(ax, *after)


def draw_class_scores(ax, scores, class_names=None):
    """Bars of the class probabilities (K,) of one RoI: all if few, else the four best ones."""
    rows = np.sort(best_rows(scores, 4))
    names = [class_name(k, class_names) for k in rows]
    ax.barh(range(len(rows)), scores[rows], height=0.7, color=[class_color(k) for k in rows])
    for i, k in enumerate(rows):
        inside = scores[k] > 0.6
        ax.text(scores[k] + (-0.03 if inside else 0.03), i, f"{scores[k]:.2f}", va="center", fontsize=SMALL,
                ha="right" if inside else "left", color=ink_on(class_color(k)) if inside else INK)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)),
           yticklabels=[printable(name, 11) for name in names])
    ax.tick_params(axis="y", length=0, pad=2)
