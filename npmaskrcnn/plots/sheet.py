"""The stage sheet: one image on its way through the whole model, on one page.

Read it like a text. The image becomes the input, the input becomes maps, the maps say where objects may
be; the best places become proposals, a proposal becomes a class and a box, and at last a mask. Every
panel shows arrays of a `Trace`, none is drawn for show.
"""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.plots.flow import draw_class_scores, funnel, funnel_steps
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.page import Page
from npmaskrcnn.plots.pyramid import feature_picture, input_image
from npmaskrcnn.plots.roi import zoom
from npmaskrcnn.plots.rpn import best_rows
from npmaskrcnn.plots.style import (LEVEL_NAMES, MUTED, class_color, class_name, count, draw_boxes, draw_label, faded,
                                    level_color, say_nothing, show_image, styled)

WIDTH, MARGIN = 16.0, 0.3              # inches
PITCH, PANEL = 2.2, 1.92               # from column to column, and a panel's width
SURE = 0.5                             # the result shows detections with at least this score
NUM_CARDS, NUM_MASKS = 4, 4


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
    page.text(MARGIN, 0.38, f"Mask R-CNN, stage by stage: from {height * width:,} pixels to {count(num_sure, 'object')}",
              size=17, fontweight="bold", va="center")
    page.text(WIDTH - 0.12, 0.4, "On grey: layers that learn.  On white: fixed rules.", color=MUTED, ha="right", va="center")
    _pyramid(page, trace, 0.9, panel, row)
    second = 1.3 + 3 * row
    _proposals(page, trace, second, panel)
    _regions(page, trace, second, panel)
    _detections(page, trace, second + row + 0.42, 1.35 * panel)
    steps = ", ".join(f"{number:,} {name}" for name, number, _ in funnel_steps(trace))
    page.figure.set_label(f"One image of {height} x {width} pixels on its way through all stages of Mask R-CNN: "
                          f"input, feature maps, objectness, proposals, classes, boxes and masks; {steps}.")
    return page.figure


def _column(i):
    """Left edge of a column."""
    return MARGIN + i * PITCH


def _pyramid(page, trace, top, panel, row):
    """Sections 1 to 4: the input, C2..C5, P2..P6 with their objectness, the anchors, and the funnel."""
    size = trace.batch.shape[1:3]
    picture = input_image(trace)
    first = top + 0.38                                        # upper edge of the first row of panels
    rows = [first, first + row, first + 2 * row]
    page.band(_column(2) - 0.12, top - 0.2, WIDTH - _column(2), 3 * row + 0.15)
    page.heading(_column(0), top, 1, "Transform")
    given = trace.image.shape
    show_image(page.panel(_column(0), rows[0], PANEL, panel, "Image", f"{given[0]} × {given[1]} px, 0 to 1"),
               trace.image, axis_labels=False)
    show_image(page.panel(_column(1), rows[0], PANEL, panel, "Input",
                          f"normalised, padded to {size[0]} × {size[1]}"), picture, axis_labels=False)
    page.heading(_column(2), top, 2, "Backbone", "C2 to C5: coarser and coarser maps, deeper and deeper")
    for i, feature in enumerate(trace.body_features):
        h, w, channels = feature.shape[1:]
        show_image(page.panel(_column(2 + i), rows[0], PANEL, panel, f"C{i + 2}", f"{h} × {w} × {channels} channels"),
                   feature_picture(feature[0]), size, axis_labels=False)
    page.text(_column(6), rows[0], "Maps in false colours:\nsame colour, similar vector.\nFPN: each P is its C plus\n"
              "the coarser P, enlarged.\nRPN: the same small head\nasks every cell of every\nlevel: is there an object?",
              color=MUTED, va="top", linespacing=1.3)
    for level, feature in enumerate(trace.features):
        h, w, channels = feature.shape[1:]
        show_image(page.panel(_column(2 + level), rows[1], PANEL, panel, "", f"{h} × {w} × {channels} channels"),
                   feature_picture(feature[0]), size, axis_labels=False)
        page.text(_column(2 + level), rows[1] - 0.05, LEVEL_NAMES[level], color=level_color(level), fontweight="bold")
        belief = ops.sigmoid(np.asarray(trace.objectness[level], np.float64)).max(axis=2)
        ax = page.panel(_column(2 + level), rows[2], PANEL, panel, f"objectness, highest {belief.max():.2f}")
        show_image(ax, faded(picture), axis_labels=False)
        show_image(ax, belief, size, axis_labels=False, cmap="YlOrRd", vmin=0, vmax=1, alpha=np.sqrt(belief))
    _pyramid_arrows(page, rows, panel, len(trace.body_features), len(trace.features))
    page.text(_column(2) - 0.17, rows[1] + panel / 2, "3  FPN", size=11, rotation=90, va="center", ha="center",
              fontweight="bold", bbox=dict(boxstyle="square,pad=0.15", facecolor="white", edgecolor="none"))
    page.text(_column(2) - 0.17, rows[2] + panel / 2, "4  RPN", size=11, rotation=90, va="center", ha="center",
              fontweight="bold", bbox=dict(boxstyle="square,pad=0.15", facecolor="white", edgecolor="none"))
    _anchors(page, trace, picture, rows[1], panel)
    ax = page.panel(_column(0) + 0.75, rows[2], 2 * PITCH - 1.25, panel)
    funnel(trace, ax=ax)
    ax.set_title("")
    page.text(_column(0), rows[2] - 0.05, "How many are left", fontweight="bold", va="bottom")


def _pyramid_arrows(page, rows, panel, num_body, num_levels):
    """Image to input to C2..C5; down to P and objectness; from P5 up the pyramid, and on to P6."""
    gap = PITCH - PANEL
    middle = [y + panel / 2 for y in rows]
    for i in range(1 + num_body):
        page.arrow(_column(i + 1) - gap + 0.03, middle[0], _column(i + 1) - 0.03, middle[0])
    for level in range(num_levels):
        x = _column(2 + level) + 0.86 * PANEL
        if level < num_body:
            page.arrow(x, rows[0] + panel + 0.05, x, rows[1] - 0.05)
        page.arrow(x, rows[1] + panel + 0.05, x, rows[2] - 0.25)
    for level in range(1, num_body):
        page.arrow(_column(2 + level) - 0.03, middle[1], _column(2 + level) - gap + 0.03, middle[1])
    if num_levels > num_body:
        page.arrow(_column(2 + num_body) - gap + 0.03, middle[1], _column(2 + num_body) - 0.03, middle[1])


def _anchors(page, trace, picture, top, panel):
    """One cell's anchors of every level, and the table of the levels."""
    ax = page.panel(_column(0), top, PANEL, panel, "Anchors of the middle cells")
    show_image(ax, faded(picture), axis_labels=False)
    for level in reversed(range(len(trace.anchors))):
        h, w, per_cell = trace.objectness[level].shape
        grid = trace.anchors[level].reshape(h, w, per_cell, 4)
        draw_boxes(ax, grid[h // 2, w // 2], level_color(level), 1.6, halo=False)
    line = min(0.25, panel / 7)
    for i, (text, x) in enumerate((("level", 0), ("cell", 0.55), ("anchors", 1.05))):
        page.text(_column(1) + x, top + 0.1, text, color=MUTED, va="center")
    for level, boxes in enumerate(trace.anchors):
        y = top + 0.1 + (level + 1.1) * line
        page.text(_column(1), y, LEVEL_NAMES[level], color=level_color(level), fontweight="bold", va="center")
        page.text(_column(1) + 0.55, y, f"{trace.strides[level][0]:g} px", va="center")
        page.text(_column(1) + 1.05, y, f"{len(boxes):,}", va="center")


def _proposals(page, trace, top, panel):
    """Section 5: the best anchors, moved, thinned by NMS."""
    page.heading(_column(0), top, 5, "Proposals", "anchors with high objectness, moved by their deltas, without doubles")
    y, ground = top + 0.5, faded(input_image(trace))
    best = best_rows(trace.top_k_scores, 25)
    kept = trace.proposal_rows[:12]
    flat = np.concatenate(trace.anchors)
    for i, (boxes, rows, title, note) in enumerate((
            (flat[trace.top_k[best]], best, f"Best {len(best)} of {len(flat):,} anchors", "colour: level"),
            (trace.top_k_boxes[best], best, f"Moved: best {len(best)} of {len(trace.top_k):,}", "deltas tx, ty, tw, th"),
            (trace.proposals[:12], kept, f"After NMS: best {len(kept)} of {len(trace.proposals):,}",
             "doubles are gone"))):
        ax = page.panel(_column(i), y, PANEL, panel, title, note)
        show_image(ax, ground, axis_labels=False)
        colors = [level_color(level) for level in trace.top_k_levels[rows][::-1]]
        draw_boxes(ax, boxes[::-1], colors, 1.2, halo=False)
        if not len(rows):
            say_nothing(ax, "no proposal")
        page.arrow(_column(i + 1) - PITCH + PANEL + 0.03, y + panel / 2, _column(i + 1) - 0.03, y + panel / 2)


def _regions(page, trace, top, panel):
    """Section 6: RoIs by level, and for some of them what is pooled and what the box head says."""
    page.heading(_column(3), top, 6, "RoIAlign and box head", "each proposal becomes 7 × 7 vectors, and these a class and a box")
    y, picture = top + 0.5, input_image(trace)
    cards = _cards(trace)
    ax = page.panel(_column(3), y, PANEL, panel, f"{count(len(trace.proposals), 'RoI')} by size",
                    "colour: level it is pooled from")
    show_image(ax, faded(picture), axis_labels=False)
    rest = np.setdiff1d(np.arange(len(trace.proposals))[:40], cards)
    draw_boxes(ax, trace.proposals[rest], [level_color(level) for level in trace.roi_levels[rest]], 0.8, alpha=0.6,
               halo=False)
    for number, roi in reversed(list(enumerate(cards, 1))):
        color = level_color(trace.roi_levels[roi])
        draw_boxes(ax, trace.proposals[roi], color, 2)
        draw_label(ax, trace.proposals[roi][0], trace.proposals[roi][1], str(number), color, above=False)
    if not len(cards):
        say_nothing(ax, "no proposal")
        return
    page.band(_column(4) - 0.12, top + 0.2, WIDTH - _column(4), panel + 0.55)
    step = (WIDTH - 0.2 - _column(4)) / NUM_CARDS
    side = min(0.44 * step, 0.48 * panel)
    for number, roi in enumerate(cards, 1):
        x = _column(4) + (number - 1) * step
        level = trace.roi_levels[roi]
        page.text(x, y - 0.05, f"{number}", color=level_color(level), fontweight="bold")
        page.text(x + 0.16, y - 0.05, f"from {LEVEL_NAMES[level]}", va="baseline")
        crop = page.panel(x, y, side, side)
        show_image(crop, picture, axis_labels=False)
        zoom(crop, trace.proposals[roi])
        crop.set_aspect("auto")
        show_image(page.panel(x + side + 0.06, y, side, side), feature_picture(trace.box_features[roi]),
                   axis_labels=False)
        names = 0.72                                          # inches for the names of the classes
        bars = page.panel(x + names, y + side + 0.08, 2 * side + 0.06 - names + 0.1, panel - side - 0.08)
        draw_class_scores(bars, ops.softmax(np.asarray(trace.class_logits[roi], np.float64)), trace.class_names)
        bars.set_xticks([])
    page.text(_column(4), y + panel + 0.04, "what the RoI covers, its 7 × 7 vectors, and the probabilities of the classes",
              size=8, color=MUTED, va="top")


def _cards(trace):
    """RoIs worth a closer look: those of the best detections, and the best proposal that is background."""
    rois = list(dict.fromkeys(int(roi) for roi in trace.candidate_rois[trace.detection_rows]))[:NUM_CARDS - 1]
    others = [int(roi) for roi in np.flatnonzero(trace.class_logits.argmax(axis=1) == 0)]
    others += list(range(len(trace.proposals)))
    rois += [roi for roi in dict.fromkeys(others) if roi not in rois]
    return rois[:NUM_CARDS]


def _detections(page, trace, top, panel):
    """Sections 7 and 8: candidates, detections, their masks, and the result."""
    width = 1.35 * PANEL
    ground, y = faded(input_image(trace)), top + 0.5
    page.heading(_column(0), top, 7, "Detections", "boxes refined, per class without doubles")
    best = best_rows(trace.candidate_scores, 60)
    detections = trace.detections
    for i, (boxes, labels, title) in enumerate((
            (trace.candidate_boxes[best], trace.candidate_labels[best], count(len(trace.candidate_boxes), "candidate")),
            (trace.detection_boxes, detections.labels, f"After NMS: {count(len(detections), 'detection')}"))):
        ax = page.panel(MARGIN + i * (width + 0.3), y, width, panel, title)
        show_image(ax, ground, axis_labels=False)
        draw_boxes(ax, boxes[::-1], [class_color(label) for label in labels[::-1]], 1.5, halo=False)
        if not len(boxes):
            say_nothing(ax, f"no {('candidate', 'detection')[i]}")
    left, right = MARGIN + 2 * (width + 0.3), WIDTH - MARGIN - width
    for x in (MARGIN + width, MARGIN + 2 * width + 0.3, right - 0.3):
        page.arrow(x + 0.03, y + panel / 2, x + 0.27, y + panel / 2)
    page.heading(left, top, 8, "Mask head", "one mask per class; the detection's class picks one")
    page.band(left - 0.1, top + 0.2, right - 0.3 - left + 0.1, panel + 0.4)
    step = (right - 0.3 - left) / NUM_MASKS
    side = min(step - 0.12, panel - 0.3)
    for i in range(min(NUM_MASKS, len(detections))):
        label = int(detections.labels[i])
        ax = page.panel(left + i * step, y + (panel - side) / 2, side, side,
                        f"{class_name(label, trace.class_names)} {detections.scores[i]:.2f}")
        ax.imshow(ops.sigmoid(np.asarray(trace.mask_logits[i, :, :, label], np.float64)), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, linewidth=3, color=class_color(label))
    if len(detections):
        h, w = trace.mask_logits.shape[1:3]
        page.text(left, y + (panel + side) / 2 + 0.07, f"{h} × {w} probabilities each, black 0, white 1", size=8,
                  color=MUTED, va="top")
    else:
        page.text((left + right - 0.3) / 2, y + panel / 2, "no detection, no mask", color=MUTED, ha="center")
    page.heading(right, top, 9, "Result", "pasted into the image")
    sure = detections[detections.scores >= SURE]
    ax = page.panel(right, y, width, panel, f"{count(len(sure), 'object')} with score ≥ {SURE:g}")
    show_image(ax, trace.image, axis_labels=False)
    draw_instances(ax, sure.boxes, sure.labels, sure.scores, sure.masks, trace.class_names, text=True)
    if not len(sure):
        say_nothing(ax, "no detection")
