"""The region proposal network: who learns from what, what it believes, and what it proposes.

The RPN answers two questions for every anchor: is there an object (objectness), and how must the anchor
be moved to fit it (deltas)? Its answers are pictures, one value per cell, and this is where one sees them.
"""

import numpy as np
from matplotlib.lines import Line2D

from npmaskrcnn import ops
from npmaskrcnn.plots.pyramid import input_image, level_panels, show_answers
from npmaskrcnn.plots.style import (GROUND_TRUTH, IGNORED, LEVEL_NAMES, NEGATIVE, POSITIVE, SMALL, count,
                                    draw_boxes, faded, level_color, panels, say_nothing, show_image, styled)

DASHED = (0, (4, 2))


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
    counts = []
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
        counts.append(f"{len(rows)} {name}")
    figure.set_label("Three panels of one image with its ground truth dashed and "
                     f"{', '.join(counts)} anchors.")
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
    num_levels, per_cell = len(trace.objectness), trace.objectness[0].shape[2]
    figure, axes, padded_size = level_panels(trace, per_cell, size, 0.2)
    best = max(range(num_levels), key=lambda level: trace.objectness[level].max())
    for level, logits in enumerate(trace.objectness):
        probability = ops.sigmoid(np.asarray(logits, np.float64))
        shapes = trace.anchors[level][:per_cell, 2:] - trace.anchors[level][:per_cell, :2]
        for row, ax in enumerate(axes[:, level]):
            heat = show_answers(ax, probability[:, :, row], padded_size, cmap="magma", vmin=0, vmax=1)
            name = f"{LEVEL_NAMES[level]}, " if row == 0 else ""
            highest = probability[:, :, row].max()
            ax.set_title(f"{name}{shapes[row, 0]:.0f}×{shapes[row, 1]:.0f} px: max {highest:.2f}")
            draw_boxes(ax, ground_truth_boxes(trace), "white", linewidth=1, linestyle=DASHED, halo=False)
    figure.colorbar(heat, ax=axes, label="objectness (probability)", shrink=0.8, aspect=30)
    rows = "three rows" if per_cell == 3 else f"{per_cell} rows"
    figure.suptitle("Objectness (width × height of the anchor): an object lights up where an anchor of its "
                    "size is centred", x=0.01, ha="left")
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
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    figure, axes = panels(1, 3, size, 0.85 * size * height / width + 1.75)
    before = best_rows(trace.top_k_scores, num_before)
    flat = np.concatenate(trace.anchors)
    kept = trace.proposal_rows[:num_after]
    texts = (f"The {len(before)} surest anchors of {len(flat):,}", "The same, moved by their deltas",
             f"After NMS: the {len(kept)} surest of\n{count(len(trace.proposals), 'proposal')}")
    for ax, boxes, rows, text in zip(axes[0], (flat[trace.top_k[before]], trace.top_k_boxes[before],
                                               trace.proposals[:num_after]), (before, before, kept), texts):
        show_image(ax, faded(input_image(trace)))
        draw_boxes(ax, boxes[::-1], [level_color(level) for level in trace.top_k_levels[rows][::-1]],
                   linewidth=1.3, halo=False)
        draw_boxes(ax, ground_truth_boxes(trace), GROUND_TRUTH, linewidth=1.6, linestyle=DASHED)
        if not len(rows):
            say_nothing(ax, "no proposal")
        ax.set_title(text)
    level_legend(figure, trace.top_k_levels[np.concatenate([before, kept])], all_levels=False,
                 title="Level: boxes drawn in the first and the last panel")
    figure.suptitle("Move, then thin out", x=0.01, ha="left")
    figure.set_label(f"Three panels: the {len(before)} anchors of highest objectness, the same after their "
                     f"deltas, and the best {len(kept)} of {count(len(trace.proposals), 'proposal')} "
                     "that NMS keeps.")
    return figure


def ground_truth_boxes(trace):
    """The objects' boxes in the input frame; none if the trace has no training path."""
    return np.zeros((0, 4)) if trace.training is None else trace.training.gt_boxes


def best_rows(scores, num_best):
    """Rows of the highest scores, best first, ties in input order."""
    return np.argsort(-np.asarray(scores), kind="stable")[:num_best]


def level_legend(figure, levels, num_levels=5, title="Level: boxes", all_levels=True):
    """Which colour is which level, and how many boxes come from it; those that have none if `all_levels`."""
    counts = np.bincount(np.asarray(levels, int), minlength=num_levels)
    handles = [Line2D([], [], color=level_color(level), linewidth=4,
                      label=f"{LEVEL_NAMES[level]}: {counts[level]:,}") for level in range(num_levels)
               if counts[level] or all_levels]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(len(handles), 1), title=title,
                  title_fontsize=SMALL)
