"""The stage sheet: one image on its way through the whole model, on one page.

Read it like a text. The image becomes the input, the input becomes maps, the maps say where objects may
be; the best places become proposals, a proposal becomes a class and a box, and at last a mask. Every
panel shows arrays of a `Trace`, none is drawn for show.
"""

import numpy as np

from .. import ops
from ..views import feature_picture
from ..words import count
from .flow import draw_class_scores, funnel, funnel_steps
from .instances import draw_instances
from .page import MARGIN, PANEL, PITCH, WIDTH, Page, column
from .pyramid import input_image, show_answers
from .rpn import best_rows, proposal_steps
from .style import (LEVEL_NAMES, MUTED, SMALL, class_color, class_name, draw_boxes, draw_label, draw_ranked_boxes,
                    faded, level_color, say_nothing, show_mask, styled, zoom)

SURE = 0.5                                          # the result shows detections with at least this score
NUM_CARDS, NUM_MASKS, MAX_RESULT = 4, 4, 20         # RoIs looked at, masks shown, detections drawn in the result


@styled
def stage_sheet(trace):
    """Draw one image going through all stages of Mask R-CNN, from pixels to pasted masks; or of Faster R-CNN, to boxes.

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
    model, masks = ("Faster R-CNN", "") if trace.mask_logits is None else ("Mask R-CNN", " and masks")
    page.text(MARGIN, 0.38, f"{model}, stage by stage: from {height * width:,} pixels "
              f"to {count(num_sure, 'object')}", size=17, fontweight="bold", va="center")
    page.text(WIDTH - 0.12, 0.4, "On gray: layers that learn.  On white: fixed rules.", color=MUTED, ha="right",
              va="center")
    _pyramid(page, trace, 0.9, panel, row)
    second = 1.3 + 3 * row
    _proposals(page, trace, second, panel)
    _regions(page, trace, second, panel)
    _detections(page, trace, second + row + 0.42, 1.35 * panel)
    steps = ", ".join(f"{number:,} {name}" for name, number, _ in funnel_steps(trace))
    page.figure.set_label(f"One image of {height} x {width} pixels on its way through all stages of {model}: input, "
                          f"feature maps, objectness, proposals, classes, boxes{masks}; {steps}.")
    return page.figure


def _pyramid(page, trace, top, panel, row):
    """Sections 1 to 4: the input, C2..C5, P2..P6 with their objectness, the anchors, and the funnel."""
    size = trace.batch.shape[1:3]
    picture = input_image(trace)
    first, second, third = rows = [top + 0.38 + i * row for i in range(3)]      # upper edges of the rows of panels
    page.band(column(2) - 0.12, top - 0.2, WIDTH - column(2), 3 * row + 0.15)
    page.heading(column(0), top, 1, "Transform")
    given = trace.image.shape
    page.picture(column(0), first, PANEL, panel, trace.image, "Image", f"{given[0]} × {given[1]} px, 0 to 1")
    page.picture(column(1), first, PANEL, panel, picture, "Input", f"normalized, padded to {size[0]} × {size[1]}")
    page.heading(column(2), top, 2, "Backbone", "C2 to C5: coarser and coarser maps, deeper and deeper")
    for i, feature in enumerate(trace.body_features):
        _show_map(page, column(2 + i), first, panel, feature, size, f"C{i + 2}")
    page.text(column(6), first, "Maps in false colors:\nsame color, similar vector.\n"
              "FPN: each P is its C plus\nthe coarser P, enlarged.\n"
              "RPN: the same small head\nasks every cell of every\nlevel: is there an object?", color=MUTED,
              va="top", linespacing=1.3)
    for level, (feature, logits) in enumerate(zip(trace.features, trace.objectness)):
        x = column(2 + level)
        _show_map(page, x, second, panel, feature, size)
        page.text(x, second - 0.05, LEVEL_NAMES[level], color=level_color(level), fontweight="bold")
        belief = ops.sigmoid(logits).max(axis=2)
        ax = page.picture(x, third, PANEL, panel, faded(picture), f"objectness, highest {belief.max():.2f}")
        show_answers(ax, belief, size, cmap="YlOrRd", vmin=0, vmax=1, alpha=np.sqrt(belief))
    _pyramid_arrows(page, rows, panel, len(trace.body_features), len(trace.features))
    for name, y in (("3  FPN", second), ("4  RPN", third)):
        page.text(column(2) - 0.17, y + panel / 2, name, size=11, rotation=90, va="center", ha="center",
                  fontweight="bold", bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"})
    _anchors(page, trace, picture, second, panel)
    ax = page.panel(column(0) + 0.75, third, 2 * PITCH - 1.25, panel)
    funnel(trace, ax=ax)
    ax.set_title("")
    page.text(column(0), third - 0.05, "How many are left", fontweight="bold", va="bottom")


def _show_map(page, x, y, panel, feature, size, title=""):
    """One map (1, h, w, C) in false colors, stretched over the input."""
    note = "{} × {} × {} channels".format(*feature.shape[1:])
    page.picture(x, y, PANEL, panel, feature_picture(feature[0]), title, note, size)


def _pyramid_arrows(page, rows, panel, num_body, num_levels):
    """Image to input to C2..C5; down to P and objectness; from P5 up the pyramid, and on to P6."""
    top, middle = (y + panel / 2 for y in rows[:2])
    for i in range(1 + num_body):
        page.arrow_to_column(i + 1, top)
    for level in range(num_levels):
        x = column(2 + level) + 0.86 * PANEL
        if level < num_body:
            page.arrow(x, rows[0] + panel + 0.05, x, rows[1] - 0.05)
        page.arrow(x, rows[1] + panel + 0.05, x, rows[2] - 0.25)
    for level in range(1, num_body):
        page.arrow(column(2 + level) - 0.03, middle, column(1 + level) + PANEL + 0.03, middle)
    if num_levels > num_body:
        page.arrow_to_column(2 + num_body, middle)


def _anchors(page, trace, picture, top, panel):
    """One cell's anchors of every level, and the table of the levels."""
    ax = page.picture(column(0), top, PANEL, panel, faded(picture), "Anchors of the middle cells")
    for text, x in (("level", 0), ("cell", 0.55), ("anchors", 1.05)):
        page.text(column(1) + x, top + 0.1, text, color=MUTED, va="center")
    for level, boxes in reversed(list(enumerate(trace.anchors))):      # the small ones on top
        h, w, per_cell = trace.objectness[level].shape
        draw_boxes(ax, boxes.reshape(h, w, per_cell, 4)[h // 2, w // 2], level_color(level), 1.6, halo=False)
        y = top + 0.1 + (level + 1.1) * min(0.25, panel / 7)
        page.text(column(1), y, LEVEL_NAMES[level], color=level_color(level), fontweight="bold", va="center")
        page.text(column(1) + 0.55, y, f"{trace.strides[level][0]:g} px", va="center")
        page.text(column(1) + 1.05, y, f"{len(boxes):,}", va="center")


def _proposals(page, trace, top, panel):
    """Section 5: the best anchors, moved, thinned by NMS."""
    page.heading(column(0), top, 5, "Proposals", "anchors with high objectness, moved by their deltas, without doubles")
    y, ground = top + 0.5, faded(input_image(trace))
    steps = proposal_steps(trace, 25, 12)
    totals = (f"Best {{}} of {sum(map(len, trace.anchors)):,} anchors", f"Moved: best {{}} of {len(trace.top_k):,}",
              f"After NMS: best {{}} of {len(trace.proposals):,}")
    notes = ("color: level", "deltas tx, ty, tw, th", "doubles are gone")
    for i, ((boxes, rows), title, note) in enumerate(zip(steps, totals, notes)):
        ax = page.picture(column(i), y, PANEL, panel, ground, title.format(len(rows)), note)
        colors = [level_color(level) for level in trace.top_k_levels[rows]]
        draw_ranked_boxes(ax, boxes, colors, "proposal", 1.2)
        page.arrow_to_column(i + 1, y + panel / 2)


def _regions(page, trace, top, panel):
    """Section 6: RoIs by level, and for some of them what is pooled and what the box head says."""
    page.heading(column(3), top, 6, "RoIAlign and box head",
                 "each proposal becomes 7 × 7 vectors, and these a class and a box")
    y, picture = top + 0.5, input_image(trace)
    ax = page.picture(column(3), y, PANEL, panel, faded(picture), f"{count(len(trace.proposals), 'RoI')} by size",
                      "color: level it is pooled from")
    if not len(trace.proposals):
        say_nothing(ax, "no proposal")
        return
    cards, colors = _cards(trace), [level_color(level) for level in trace.roi_levels]
    rest = np.setdiff1d(np.arange(len(trace.proposals))[:40], cards)
    draw_boxes(ax, trace.proposals[rest], [colors[roi] for roi in rest], 0.8, alpha=0.6, halo=False)
    for number, roi in reversed(list(enumerate(cards, 1))):
        draw_boxes(ax, trace.proposals[roi], colors[roi], 2)
        draw_label(ax, *trace.proposals[roi][:2], str(number), colors[roi], above=False)
    page.band(column(4) - 0.12, top + 0.2, WIDTH - column(4), panel + 0.55)
    step = (WIDTH - 0.2 - column(4)) / NUM_CARDS
    side = min(0.44 * step, 0.48 * panel)
    for i, roi in enumerate(cards):
        x = column(4) + i * step
        page.text(x, y - 0.05, f"{i + 1}", color=colors[roi], fontweight="bold")
        page.text(x + 0.16, y - 0.05, f"from {LEVEL_NAMES[trace.roi_levels[roi]]}")
        crop = page.picture(x, y, side, side, picture)
        zoom(crop, trace.proposals[roi])
        crop.set_aspect("auto")
        page.picture(x + side + 0.06, y, side, side, feature_picture(trace.box_features[roi]))
        names = 0.72                                          # inches for the names of the classes
        bars = page.panel(x + names, y + side + 0.08, 2 * side + 0.06 - names + 0.1, panel - side - 0.08)
        draw_class_scores(bars, ops.softmax(trace.class_logits[roi]), trace.class_names)
        bars.set_xticks([])
    page.text(column(4), y + panel + 0.04,
              "what the RoI covers, its 7 × 7 vectors, and the probabilities of the classes", SMALL, MUTED, va="top")


def _cards(trace):
    """RoIs worth a closer look: those of the best detections, and the best proposal that is background."""
    rois = list(dict.fromkeys(trace.candidate_rois[trace.detection_rows].tolist()))[:NUM_CARDS - 1]
    background = np.flatnonzero(trace.class_logits.argmax(axis=1) == 0).tolist()
    return list(dict.fromkeys([*rois, *background, *range(len(trace.proposals))]))[:NUM_CARDS]


def _detections(page, trace, top, panel):
    """Sections 7 to 9: candidates, detections, their masks if there are any, and the result."""
    width, gap, y, masks = 1.35 * PANEL, 0.3, top + 0.5, trace.mask_logits is not None
    second, third = MARGIN + width + gap, MARGIN + 2 * (width + gap)
    right = WIDTH - MARGIN - width if masks else third
    page.heading(MARGIN, top, 7, "Detections", "boxes refined, per class without doubles")
    best = best_rows(trace.candidate_scores, 60)
    for x, boxes, labels, noun, title in (
            (MARGIN, trace.candidate_boxes[best], trace.candidate_labels[best], "candidate",
             count(len(trace.candidate_boxes), "candidate")),
            (second, trace.detection_boxes, trace.detections.labels, "detection",
             f"After NMS: {count(len(trace.detections), 'detection')}")):
        ax = page.picture(x, y, width, panel, faded(input_image(trace)), title)
        draw_ranked_boxes(ax, boxes, [class_color(label) for label in labels], noun)
    for x in (second, third, right)[:2 + masks]:
        page.arrow(x - gap + 0.03, y + panel / 2, x - 0.03, y + panel / 2)
    if masks:
        page.heading(third, top, 8, "Mask head", "one mask per class; the detection's class picks one")
        page.band(third - 0.1, top + 0.2, right - gap - third + 0.1, panel + 0.4)
        _draw_masks(page, trace, third, y, right - gap - third, panel)
    page.heading(right, top, 8 + masks, "Result", "pasted into the image" if masks else "boxes, back in the image")
    sure = trace.detections[trace.detections.scores >= SURE]
    some = f", best {MAX_RESULT} drawn" if len(sure) > MAX_RESULT else ""
    ax = page.picture(right, y, width, panel, trace.image, f"{count(len(sure), 'object')} with score ≥ {SURE:g}{some}")
    sure = sure[:MAX_RESULT]
    draw_instances(ax, sure.boxes, sure.labels, sure.scores, sure.masks, trace.class_names, text=True)
    if not len(sure):
        say_nothing(ax, "no detection")


def _draw_masks(page, trace, x, y, width, height):
    """The masks of the best detections, each of the detection's own class, side by side in that rectangle."""
    detections, step = trace.detections, width / NUM_MASKS
    side = min(step - 0.12, height - 0.3)
    for i in range(min(NUM_MASKS, len(detections))):
        label = int(detections.labels[i])
        ax = page.panel(x + i * step, y + (height - side) / 2, side, side,
                        f"{class_name(label, trace.class_names)} {detections.scores[i]:.2f}")
        show_mask(ax, ops.sigmoid(trace.mask_logits[i, :, :, label]), class_color(label), 3)
    if len(detections):
        h, w = trace.mask_logits.shape[1:3]
        page.text(x, y + (height + side) / 2 + 0.07, f"{h} × {w} probabilities each, black 0, white 1", SMALL, MUTED,
                  va="top")
    else:
        page.text(x + width / 2, y + height / 2, "no detection, no mask", color=MUTED, ha="center")
