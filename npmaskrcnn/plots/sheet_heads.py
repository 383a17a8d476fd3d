"""The lower half of the stage sheet: from anchors to proposals, classes, boxes and masks."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.plots.flow import draw_class_scores
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.page import MARGIN, PANEL, PITCH, SURE, WIDTH, column
from npmaskrcnn.plots.pyramid import feature_picture, input_image
from npmaskrcnn.plots.roi import zoom
from npmaskrcnn.plots.rpn import best_rows
from npmaskrcnn.plots.style import (LEVEL_NAMES, MUTED, class_color, class_name, count, draw_boxes,
                                    draw_label, faded, level_color, say_nothing, show_image)

NUM_CARDS, NUM_MASKS, MAX_RESULT = 4, 4, 20


def draw_proposals(page, trace, top, panel):
    """Section 5: the best anchors, moved, thinned by NMS."""
    page.heading(column(0), top, 5, "Proposals",
                 "anchors with high objectness, moved by their deltas, without doubles")
    y, ground = top + 0.5, faded(input_image(trace))
    best = best_rows(trace.top_k_scores, 25)
    kept = trace.proposal_rows[:12]
    flat = np.concatenate(trace.anchors)
    for i, (boxes, rows, title, note) in enumerate((
            (flat[trace.top_k[best]], best, f"Best {len(best)} of {len(flat):,} anchors", "colour: level"),
            (trace.top_k_boxes[best], best, f"Moved: best {len(best)} of {len(trace.top_k):,}",
             "deltas tx, ty, tw, th"),
            (trace.proposals[:12], kept, f"After NMS: best {len(kept)} of {len(trace.proposals):,}",
             "doubles are gone"))):
        ax = page.panel(column(i), y, PANEL, panel, title, note)
        show_image(ax, ground, axis_labels=False)
        colors = [level_color(level) for level in trace.top_k_levels[rows][::-1]]
        draw_boxes(ax, boxes[::-1], colors, 1.2, halo=False)
        if not len(rows):
            say_nothing(ax, "no proposal")
        page.arrow(column(i + 1) - PITCH + PANEL + 0.03, y + panel / 2, column(i + 1) - 0.03, y + panel / 2)


def draw_regions(page, trace, top, panel):
    """Section 6: RoIs by level, and for some of them what is pooled and what the box head says."""
    page.heading(column(3), top, 6, "RoIAlign and box head",
                 "each proposal becomes 7 × 7 vectors, and these a class and a box")
    y, picture = top + 0.5, input_image(trace)
    cards = _cards(trace)
    ax = page.panel(column(3), y, PANEL, panel, f"{count(len(trace.proposals), 'RoI')} by size",
                    "colour: level it is pooled from")
    show_image(ax, faded(picture), axis_labels=False)
    rest = np.setdiff1d(np.arange(len(trace.proposals))[:40], cards)
    draw_boxes(ax, trace.proposals[rest], [level_color(level) for level in trace.roi_levels[rest]], 0.8,
               alpha=0.6, halo=False)
    for number, roi in reversed(list(enumerate(cards, 1))):
        color = level_color(trace.roi_levels[roi])
        draw_boxes(ax, trace.proposals[roi], color, 2)
        draw_label(ax, trace.proposals[roi][0], trace.proposals[roi][1], str(number), color, above=False)
    if not len(cards):
        say_nothing(ax, "no proposal")
        return
    page.band(column(4) - 0.12, top + 0.2, WIDTH - column(4), panel + 0.55)
    step = (WIDTH - 0.2 - column(4)) / NUM_CARDS
    side = min(0.44 * step, 0.48 * panel)
    for number, roi in enumerate(cards, 1):
        x = column(4) + (number - 1) * step
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
        draw_class_scores(bars, ops.softmax(np.asarray(trace.class_logits[roi], np.float64)),
                          trace.class_names)
        bars.set_xticks([])
    page.text(column(4), y + panel + 0.04,
              "what the RoI covers, its 7 × 7 vectors, and the probabilities of the classes", size=8,
              color=MUTED, va="top")


def _cards(trace):
    """RoIs worth a closer look: those of the best detections, and the best proposal that is background."""
    rois = list(dict.fromkeys(int(roi) for roi in trace.candidate_rois[trace.detection_rows]))[:NUM_CARDS - 1]
    others = [int(roi) for roi in np.flatnonzero(trace.class_logits.argmax(axis=1) == 0)]
    others += list(range(len(trace.proposals)))
    rois += [roi for roi in dict.fromkeys(others) if roi not in rois]
    return rois[:NUM_CARDS]


def draw_detections(page, trace, top, panel):
    """Sections 7 and 8: candidates, detections, their masks, and the result."""
    width = 1.35 * PANEL
    ground, y = faded(input_image(trace)), top + 0.5
    page.heading(column(0), top, 7, "Detections", "boxes refined, per class without doubles")
    best = best_rows(trace.candidate_scores, 60)
    detections = trace.detections
    for i, (boxes, labels, title) in enumerate((
            (trace.candidate_boxes[best], trace.candidate_labels[best],
             count(len(trace.candidate_boxes), "candidate")),
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
        mask = ops.sigmoid(np.asarray(trace.mask_logits[i, :, :, label], np.float64))
        ax.imshow(mask, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, linewidth=3, color=class_color(label))
    if len(detections):
        h, w = trace.mask_logits.shape[1:3]
        page.text(left, y + (panel + side) / 2 + 0.07, f"{h} × {w} probabilities each, black 0, white 1",
                  size=8, color=MUTED, va="top")
    else:
        page.text((left + right - 0.3) / 2, y + panel / 2, "no detection, no mask", color=MUTED, ha="center")
    page.heading(right, top, 9, "Result", "pasted into the image")
    sure = detections[detections.scores >= SURE]
    some = f", best {MAX_RESULT} drawn" if len(sure) > MAX_RESULT else ""
    ax = page.panel(right, y, width, panel, f"{count(len(sure), 'object')} with score ≥ {SURE:g}{some}")
    sure = sure[:MAX_RESULT]
    show_image(ax, trace.image, axis_labels=False)
    draw_instances(ax, sure.boxes, sure.labels, sure.scores, sure.masks, trace.class_names, text=True)
    if not len(sure):
        say_nothing(ax, "no detection")
