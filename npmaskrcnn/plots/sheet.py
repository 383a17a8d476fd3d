"""The stage sheet: one image on its way through the whole model, on one page.

Read it like a text. The image becomes the input, the input becomes maps, the maps say where objects may
be; the best places become proposals, a proposal becomes a class and a box, and at last a mask. Every
panel shows arrays of a `Trace`, none is drawn for show.
"""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.plots.flow import funnel, funnel_steps
from npmaskrcnn.plots.page import MARGIN, PANEL, PITCH, SURE, WIDTH, Page, column
from npmaskrcnn.plots.pyramid import feature_picture, input_image, show_answers
from npmaskrcnn.plots.sheet_heads import draw_detections, draw_proposals, draw_regions
from npmaskrcnn.plots.style import (LEVEL_NAMES, MUTED, count, draw_boxes, faded, level_color, show_image,
                                    styled)


@styled
def stage_sheet(trace):
    """Draw one image going through all stages of Mask R-CNN, from pixels to pasted masks.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    figure : matplotlib Figure
        1,600 pixels wide; the height follows the image's shape.
    """
    height, width = trace.batch.shape[1:3]
    panel = PANEL * min(max(height / width, 0.45), 1.3)       # height of a panel
    row = panel + 0.62
    page = Page(WIDTH, 1.3 + 3 * row + row + 0.42 + 1.35 * panel + 0.8)
    num_sure = int((trace.detections.scores >= SURE).sum())
    page.text(MARGIN, 0.38, f"Mask R-CNN, stage by stage: from {height * width:,} pixels "
              f"to {count(num_sure, 'object')}", size=17, fontweight="bold", va="center")
    page.text(WIDTH - 0.12, 0.4, "On grey: layers that learn.  On white: fixed rules.", color=MUTED,
              ha="right", va="center")
    _pyramid(page, trace, 0.9, panel, row)
    second = 1.3 + 3 * row
    draw_proposals(page, trace, second, panel)
    draw_regions(page, trace, second, panel)
    draw_detections(page, trace, second + row + 0.42, 1.35 * panel)
    steps = ", ".join(f"{number:,} {name}" for name, number, _ in funnel_steps(trace))
    page.figure.set_label(f"One image of {height} x {width} pixels on its way through all stages of "
                          "Mask R-CNN: input, feature maps, objectness, proposals, classes, boxes and masks; "
                          f"{steps}.")
    return page.figure


def _pyramid(page, trace, top, panel, row):
    """Sections 1 to 4: the input, C2..C5, P2..P6 with their objectness, the anchors, and the funnel."""
    size = trace.batch.shape[1:3]
    picture = input_image(trace)
    first = top + 0.38                                        # upper edge of the first row of panels
    rows = [first, first + row, first + 2 * row]
    page.band(column(2) - 0.12, top - 0.2, WIDTH - column(2), 3 * row + 0.15)
    page.heading(column(0), top, 1, "Transform")
    given = trace.image.shape
    show_image(page.panel(column(0), rows[0], PANEL, panel, "Image", f"{given[0]} × {given[1]} px, 0 to 1"),
               trace.image, axis_labels=False)
    show_image(page.panel(column(1), rows[0], PANEL, panel, "Input",
                          f"normalised, padded to {size[0]} × {size[1]}"), picture, axis_labels=False)
    page.heading(column(2), top, 2, "Backbone", "C2 to C5: coarser and coarser maps, deeper and deeper")
    for i, feature in enumerate(trace.body_features):
        h, w, channels = feature.shape[1:]
        show_image(page.panel(column(2 + i), rows[0], PANEL, panel, f"C{i + 2}",
                              f"{h} × {w} × {channels} channels"),
                   feature_picture(feature[0]), size, axis_labels=False)
    page.text(column(6), rows[0], "Maps in false colours:\nsame colour, similar vector.\n"
              "FPN: each P is its C plus\nthe coarser P, enlarged.\n"
              "RPN: the same small head\nasks every cell of every\nlevel: is there an object?", color=MUTED,
              va="top", linespacing=1.3)
    for level, feature in enumerate(trace.features):
        h, w, channels = feature.shape[1:]
        show_image(page.panel(column(2 + level), rows[1], PANEL, panel, "",
                              f"{h} × {w} × {channels} channels"),
                   feature_picture(feature[0]), size, axis_labels=False)
        page.text(column(2 + level), rows[1] - 0.05, LEVEL_NAMES[level], color=level_color(level),
                  fontweight="bold")
        belief = ops.sigmoid(np.asarray(trace.objectness[level], np.float64)).max(axis=2)
        ax = page.panel(column(2 + level), rows[2], PANEL, panel, f"objectness, highest {belief.max():.2f}")
        show_image(ax, faded(picture), axis_labels=False)
        show_answers(ax, belief, size, cmap="YlOrRd", vmin=0, vmax=1, alpha=np.sqrt(belief))
    _pyramid_arrows(page, rows, panel, len(trace.body_features), len(trace.features))
    for name, y in (("3  FPN", rows[1]), ("4  RPN", rows[2])):
        page.text(column(2) - 0.17, y + panel / 2, name, size=11, rotation=90, va="center", ha="center",
                  fontweight="bold", bbox=dict(boxstyle="square,pad=0.15", fc="white", ec="none"))
    _anchors(page, trace, picture, rows[1], panel)
    ax = page.panel(column(0) + 0.75, rows[2], 2 * PITCH - 1.25, panel)
    funnel(trace, ax=ax)
    ax.set_title("")
    page.text(column(0), rows[2] - 0.05, "How many are left", fontweight="bold", va="bottom")


def _pyramid_arrows(page, rows, panel, num_body, num_levels):
    """Image to input to C2..C5; down to P and objectness; from P5 up the pyramid, and on to P6."""
    gap = PITCH - PANEL
    middle = [y + panel / 2 for y in rows]
    for i in range(1 + num_body):
        page.arrow(column(i + 1) - gap + 0.03, middle[0], column(i + 1) - 0.03, middle[0])
    for level in range(num_levels):
        x = column(2 + level) + 0.86 * PANEL
        if level < num_body:
            page.arrow(x, rows[0] + panel + 0.05, x, rows[1] - 0.05)
        page.arrow(x, rows[1] + panel + 0.05, x, rows[2] - 0.25)
    for level in range(1, num_body):
        page.arrow(column(2 + level) - 0.03, middle[1], column(2 + level) - gap + 0.03, middle[1])
    if num_levels > num_body:
        page.arrow(column(2 + num_body) - gap + 0.03, middle[1], column(2 + num_body) - 0.03, middle[1])


def _anchors(page, trace, picture, top, panel):
    """One cell's anchors of every level, and the table of the levels."""
    ax = page.panel(column(0), top, PANEL, panel, "Anchors of the middle cells")
    show_image(ax, faded(picture), axis_labels=False)
    for level in reversed(range(len(trace.anchors))):
        h, w, per_cell = trace.objectness[level].shape
        grid = trace.anchors[level].reshape(h, w, per_cell, 4)
        draw_boxes(ax, grid[h // 2, w // 2], level_color(level), 1.6, halo=False)
    line = min(0.25, panel / 7)
    for i, (text, x) in enumerate((("level", 0), ("cell", 0.55), ("anchors", 1.05))):
        page.text(column(1) + x, top + 0.1, text, color=MUTED, va="center")
    for level, boxes in enumerate(trace.anchors):
        y = top + 0.1 + (level + 1.1) * line
        page.text(column(1), y, LEVEL_NAMES[level], color=level_color(level), fontweight="bold", va="center")
        page.text(column(1) + 0.55, y, f"{trace.strides[level][0]:g} px", va="center")
        page.text(column(1) + 1.05, y, f"{len(boxes):,}", va="center")
