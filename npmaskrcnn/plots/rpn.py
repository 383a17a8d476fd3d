"""The region proposal network: who learns from what, what it believes, and what it proposes.

The RPN answers two questions for every anchor: is there an object (objectness), and how must the anchor
be moved to fit it (deltas)? Its answers are pictures, one value per cell, and this is where one sees them.
"""

import numpy as np
from matplotlib.lines import Line2D

from .. import ops
from ..words import count
from .pyramid import input_image, show_answers
from .style import (DASHED, GROUND_TRUTH, IGNORED, LEVEL_NAMES, NEGATIVE, POSITIVE, SMALL, draw_boxes,
                    draw_ranked_boxes, faded, level_color, panels, say_nothing, show_image, styled)


@styled
def matches(image, anchors, matches, gt_boxes, max_boxes=40, size=3.6):
    """Draw which anchors must find an object (positive), which must not (negative), and which are left alone.

    Parameters
    ----------
    image : (H, W, 3) array
        The input that the anchors are laid over.
    anchors : (A, (x1, y1, x2, y2)) array
        All levels together.
    matches : (A,) int array
        Row of `gt_boxes`, or -1 for negative, -2 for ignored.
    gt_boxes : (G, 4) array
    max_boxes : int
        Of each kind so many are drawn at most, evenly picked.
    size : float
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    anchors, matches = np.asarray(anchors).reshape(-1, 4), np.asarray(matches)
    height, width = np.asarray(image).shape[:2]
    figure, axes = panels(1, 3, size, 0.85 * size * height / width + 1.0)
    kinds = (("positive", matches >= 0, POSITIVE, "must find an object"),
             ("ignored", matches == -2, IGNORED, "half on an object: no loss"),
             ("negative", matches == -1, NEGATIVE, "must say: no object"))
    for ax, (name, chosen, color, meaning) in zip(axes[0], kinds):
        rows = np.flatnonzero(chosen)
        shown = rows[np.linspace(0, len(rows) - 1, min(len(rows), max_boxes)).astype(int)]
        show_image(ax, faded(image))
        draw_boxes(ax, anchors[shown], color, linewidth=1.2, halo=False)
        draw_boxes(ax, gt_boxes, GROUND_TRUTH, linewidth=2, linestyle=DASHED)
        if not len(rows):
            say_nothing(ax, f"no {name} anchor")
        some = f" ({len(shown)} shown)" if len(shown) < len(rows) else ""
        ax.set_title(f"{len(rows):,} {name}{some}\n{meaning}", color=color)
    counts = ", ".join(f"{np.count_nonzero(chosen)} {name}" for name, chosen, _, _ in kinds)
    figure.set_label(f"Three panels of one image with its ground truth dashed and {counts} anchors.")
    return figure


@styled
def objectness(trace, size=2.1):
    """Draw the RPN's belief as heat maps: a column per level, a row per anchor shape.

    Parameters
    ----------
    trace : Trace
    size : float
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    num_levels, per_cell = len(trace.objectness), trace.objectness[0].shape[2]
    figure, axes = panels(per_cell, num_levels, size, size * height / width + 0.2)
    for level, logits in enumerate(trace.objectness):
        probability = ops.sigmoid(logits)
        shapes = trace.anchors[level][:per_cell, 2:] - trace.anchors[level][:per_cell, :2]
        for row, ax in enumerate(axes[:, level]):
            heat = show_answers(ax, probability[:, :, row], (height, width), cmap="magma", vmin=0, vmax=1)
            draw_boxes(ax, ground_truth_boxes(trace), "white", linewidth=1, linestyle=DASHED, halo=False)
            name = f"{LEVEL_NAMES[level]}, " if row == 0 else ""
            highest = probability[:, :, row].max()
            ax.set_title(f"{name}{shapes[row, 0]:.0f}×{shapes[row, 1]:.0f} px: max {highest:.2f}")
    figure.colorbar(heat, ax=axes, label="objectness (probability)", shrink=0.8, aspect=30)
    figure.suptitle("Objectness (width × height of the anchor): an object lights up where an anchor of its "
                    "size is centered", x=0.01, ha="left")
    rows = "three rows" if per_cell == 3 else f"{per_cell} rows"
    best = np.argmax([logits.max() for logits in trace.objectness])
    figure.set_label(f"Heat maps of objectness in {rows} for the anchor shapes and {num_levels} columns for "
                     f"the pyramid levels; the highest value is on {LEVEL_NAMES[best]}.")
    return figure


@styled
def proposals(trace, num_before=12, num_after=12, size=3.6):
    """Draw how anchors become proposals: the best anchors, moved by their deltas, thinned by NMS.

    Parameters
    ----------
    trace : Trace
    num_before, num_after : int
        How many of the best to draw before and after NMS.
    size : float
        Width of one of the three panels in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    figure, axes = panels(1, 3, size, 0.85 * size * height / width + 1.75)
    boxes_and_rows = proposal_steps(trace, num_before, num_after)
    (_, before), _, (_, kept) = boxes_and_rows
    num_proposals = count(len(trace.proposals), "proposal")
    titles = (f"The {len(before)} surest anchors of {sum(map(len, trace.anchors)):,}",
              "The same, moved by their deltas",
              f"After NMS: the {len(kept)} surest of\n{num_proposals}")
    for ax, (boxes, rows), title in zip(axes[0], boxes_and_rows, titles):
        show_image(ax, faded(input_image(trace)))
        draw_ranked_boxes(ax, boxes, [level_color(level) for level in trace.top_k_levels[rows]], "proposal", 1.3)
        draw_boxes(ax, ground_truth_boxes(trace), GROUND_TRUTH, linewidth=1.6, linestyle=DASHED)
        ax.set_title(title)
    levels = trace.top_k_levels[np.concatenate([before, kept])]
    level_legend(figure, levels, np.unique(levels), "Level: boxes drawn in the first and the last panel")
    figure.suptitle("Move, then thin out", x=0.01, ha="left")
    figure.set_label(f"Three panels: the {len(before)} anchors of highest objectness, the same after their deltas, and "
                     f"the best {len(kept)} of {num_proposals} that NMS keeps.")
    return figure


def proposal_steps(trace, num_before, num_after):
    """Three times boxes and their rows of `top_k`, best first: anchors, the same moved, and what NMS leaves."""
    best = best_rows(trace.top_k_scores, num_before)
    anchors = np.concatenate(trace.anchors)[trace.top_k[best]]
    return ((anchors, best), (trace.top_k_boxes[best], best),
            (trace.proposals[:num_after], trace.proposal_rows[:num_after]))


def ground_truth_boxes(trace):
    """The objects' boxes in the input frame; none if the trace has no training path."""
    return np.zeros((0, 4)) if trace.training is None else trace.training.gt_boxes


def best_rows(scores, num_best):
    """Rows of the highest scores, best first, ties in input order."""
    return np.argsort(-np.asarray(scores), kind="stable")[:num_best]


def level_legend(figure, levels, shown, title):
    """Which color is which of the `shown` levels, and how many boxes, of which `levels` (N,) says the level, it has."""
    handles = [Line2D([], [], color=level_color(level), linewidth=4,
                      label=f"{LEVEL_NAMES[level]}: {np.count_nonzero(levels == level):,}") for level in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(len(handles), 1), title=title,
                  title_fontsize=SMALL)
