"""The figures of lesson 10: one region and what the box head says of it, scores and their gradients, what the second
refinement gains, what becomes of every pair of a region and a class, and two shapes pushed over one another. A box has
the color of its class; the truth is dashed in black, a proposal dotted, and what is lost dashed in vermilion."""

import numpy as np
from drawings.matching import without_noise

from npmaskrcnn import ops
from npmaskrcnn.notebook import draw_cells, heading
from npmaskrcnn.plots.style import (CURVE, DASHED, GROUND_TRUTH, INK, MUTED, NEGATIVE, class_color,
                                    draw_boxes, faded, new_figure, show_image, zoom)
from npmaskrcnn.words import count

NAMES = ("background", "circle", "square", "triangle")
WEIGHTS = (10, 10, 5, 5)    # of the box coding
COLORS = [class_color(label) for label in range(4)]
SIDE = 45                   # of the two shapes that are pushed over one another, in pixels
FIRST = np.array([20, 5])   # x and y of the upper left corner of the shape behind


# ---- one region ----


def one_region(image, truth, trace, roi):
    """A region, its patch, and the four scores and four boxes that the head makes of it."""
    proposal, patch, scores = trace.proposals[roi], trace.box_features[roi], ops.softmax(trace.class_logits)[roi]
    boxes = ops.decode_boxes(trace.box_deltas[roi], trace.proposals[[roi] * 4], WEIGHTS)
    figure = new_figure(9, 2.9)
    place, pooled, bars, answers = figure.subplots(1, 4, width_ratios=[1, 1, 0.8, 1])
    show_image(place, faded(image), axis_labels=False)
    draw_boxes(place, proposal, INK, 2, "dotted", halo=False)
    place.set_title("1. the proposal (dotted)\nand the truth (dashed)")
    show_image(pooled, np.linalg.norm(patch, axis=2), axis_labels=False, cmap="Greys")
    pooled.set_title(f"2. its patch, 7x7x{patch.shape[2]}:\nlength of each bin's numbers")
    bars.barh(range(4), scores, color=COLORS)
    for label, score in enumerate(scores):
        bars.text(0.04 if score < 0.5 else 0.62, label, f"{score:.3f}", va="center",
                  color="white" if score > 0.5 else INK)
    bars.set(yticks=range(4), yticklabels=NAMES, xlim=(0, 1), xticks=[0, 0.5, 1], title="3. four scores\n")
    bars.invert_yaxis()
    show_image(answers, faded(image), axis_labels=False)
    draw_boxes(answers, boxes, COLORS, 2, halo=False)
    answers.set_title("4. four boxes,\none for each class")
    for ax in (place, answers):
        draw_boxes(ax, truth, GROUND_TRUTH, 1.5, DASHED, halo=False)
        zoom(ax, [42, 50, 80, 87])
    heading(figure, "One region goes in; a score and a box for each class come out")
    figure.set_label("The triangle with its proposal; the 7x7 patch; bars of four scores, .993 for triangle; and the "
                     "four boxes that the head gives for the four classes, of which the triangle's fits best.")
    return figure


# ---- the classification loss ----


def push(class_logits, gradient, labels, sampled, candidates):
    """Scores of some candidates, and the gradient of the loss by their logits; the right class is framed."""
    scores, regions = ops.softmax(class_logits), np.searchsorted(sampled, candidates)
    figure = new_figure(9, 3.5)
    tables = ((scores, (0, 1), "Greys", "scores"), (gradient, (-1, 1), "RdGy", "gradient by the logits, times 32"))
    for ax, (values, limits, cmap, title) in zip(figure.subplots(1, 2), tables):
        draw_cells(ax, values[regions], fmt="{:.3f}", cmap=cmap, limits=limits, frame_color=INK,
                   frame=[(row, int(label), 1, 1) for row, label in enumerate(labels[regions])])
        ax.set(aspect="auto", xticks=np.arange(4) + 0.5, xticklabels=NAMES, yticks=np.arange(len(regions)) + 0.5,
               yticklabels=[f"candidate {name}" for name in candidates], title=title)
        ax.tick_params(length=0)
    heading(figure, "Each score is pushed as hard as it is wrong (framed: the right class)")
    figure.set_label("Scores of ten regions for four classes and the gradient by the logits: the same table with 1 "
                     "taken off at the right class, negative there and positive elsewhere.")
    return figure


# ---- the second refinement ----


def refine(model, pictures):
    """Refine all proposals of some images that overlap an object by .5 or more.

    Returns their IoU with the object before and after, with the boxes of the two other classes, the object's labels,
    and the traces with the truth.
    """
    rows, others, traces = [], [], []
    for picture, truth in pictures:
        found = model.trace(picture, truth, rng=np.random.default_rng(0))
        traces.append((found, truth))
        for roi, overlaps in enumerate(ops.box_iou(found.proposals, truth.boxes)):
            best, label = overlaps.argmax(), truth.labels[overlaps.argmax()]
            if overlaps[best] >= 0.5:
                boxes = ops.decode_boxes(found.box_deltas[roi], found.proposals[[roi] * 4], WEIGHTS)
                fit = ops.box_iou(truth.boxes[[best]], ops.clip_boxes_to_image(boxes, found.image_size))[0]
                rows.append((overlaps[best], fit[label], label))
                others += [fit[other] for other in (1, 2, 3) if other != label]
    before, after, labels = np.array(rows).T
    return before, after, np.array(others), labels, traces


def gains(before, after, labels):
    """IoU with the object before and after the second refinement, for one class in each panel."""
    figure = new_figure(9, 3.2)
    for label, ax in zip((1, 2, 3), figure.subplots(1, 3, sharey=True)):
        of_class = labels == label
        ax.scatter(before[of_class], after[of_class], s=9, color=class_color(label), alpha=0.6, linewidths=0)
        ax.plot([0.5, 1], [0.5, 1], color=INK, linewidth=1)
        ax.set(xlim=(0.49, 1.01), ylim=(0.35, 1.02), xlabel="IoU of the proposal",
               title=f"{NAMES[label]}: {of_class.sum()} proposals, "
                     f"{(after > before)[of_class].mean():.0%} improve")
        if label == 1:
            ax.set_ylabel("IoU of the refined box")
            ax.text(0.99, 0.56, "on the line:\nno change", ha="right", va="top")
    heading(figure, "Above the line the second refinement helps, below it hurts")
    figure.set_label("Three scatter plots, one a class, of the IoU after against the IoU before the second "
                     "refinement. Nearly all points lie above the diagonal, most of them above .8.")
    return figure


# ---- from scores to detections ----


def fates(image, target, trace):
    """Every pair of a region and a class by its score, and what becomes of it; the detections above .5."""
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.9, 1])
    scores, number = ops.softmax(trace.class_logits), len(trace.proposals)
    for label in (1, 2, 3):
        left.plot(range(number), scores[:, label], ".", color="#B9BEC6", markersize=4, zorder=1)
    kept = np.isin(np.arange(len(trace.candidate_rois)), trace.detection_rows)
    for rows, filled in ((~kept, False), (kept, True)):
        colors = [class_color(label) for label in trace.candidate_labels[rows]]
        left.scatter(trace.candidate_rois[rows], trace.candidate_scores[rows], s=36,
                     facecolors=colors if filled else "white", edgecolors=colors, linewidths=1.4, zorder=3)
    left.axhline(0.05, color=INK, linewidth=1, linestyle=DASHED)
    left.set(yscale="log", ylim=(2e-5, 5), xlim=(-1, number), xlabel="RoI (row of the proposals)", ylabel="score",
             yticks=[0.0001, 0.001, 0.01, 0.05, 0.5, 1], yticklabels=["0.0001", "0.001", "0.01", "0.05", "0.5", "1"],
             title=f"{3 * number} pairs: gray, below .05; circles, {len(kept)} candidates; filled, {kept.sum()} kept")
    left.minorticks_off()
    left.annotate("RoI 3", (3, 1.15), (3, 2.4), ha="center", arrowprops={"arrowstyle": "-", "color": INK})
    sure = trace.detections.scores > 0.5
    show_image(right, without_noise(image, target), axis_labels=False)
    draw_boxes(right, trace.detection_boxes[sure], [class_color(c) for c in trace.detections.labels[sure]], 2.5)
    right.set_title(f"the {sure.sum()} with a score above .5")
    heading(figure, "The threshold takes most pairs away, suppression most of what is left")
    figure.set_label("Left: the score of each of 120 pairs of a region and a class; 43 lie above .05, 11 of them are "
                     "kept. Right: the four detections above .5, one on each object.")
    return figure


# ---- two shapes, one over the other ----


def two_shapes(image, target, kind, shift, seed=0):
    """A square and, `shift` pixels further right and down, a square or circle in front, in the colors of the image.

    Returns the picture with noise as strong as the image's, drawn with `seed`, the picture without it, and both boxes.
    """
    y, x = np.mgrid[:96, :128] + 0.5
    colors = [image[mask].mean(axis=0) for mask in (~target.masks.any(axis=0), target.masks[1], target.masks[3])]
    picture, boxes = np.full((96, 128, 3), colors[0]), []
    for corner, color in zip((FIRST, FIRST + shift), colors[1:]):
        dx, dy = x - corner[0] - SIDE / 2, y - corner[1] - SIDE / 2       # from the center
        is_round = kind == "circle" and len(boxes) == 1
        inside = dx ** 2 + dy ** 2 < (SIDE / 2) ** 2 if is_round else np.maximum(abs(dx), abs(dy)) < SIDE / 2
        picture[inside] = color
        boxes.append([*corner, *(corner + SIDE)])
    noise = np.random.default_rng(seed).standard_normal(picture.shape) * 255 * 0.03
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return noisy, picture.astype(np.uint8), np.array(boxes, float)


def draw_pair(ax, picture, found, boxes, name):
    """Draw the detections above .5, and dashed what suppression has taken from the shape behind, if it is lost."""
    sure = found.detections.scores > 0.5
    show_image(ax, faded(picture), axis_labels=False)
    labels = found.detections.labels[sure]
    draw_boxes(ax, found.detection_boxes[sure], [class_color(label) for label in labels], 2.5, halo=False)
    if len(labels) < 2:
        draw_boxes(ax, found.candidate_boxes[best_behind(found, boxes)[0]], NEGATIVE, 2, DASHED, halo=False)
    ax.set_title(f"{name}: {count(len(labels), 'detection')}")
    zoom(ax, [14, 0, 104, 92])


def best_behind(found, boxes):
    """Return the candidate with a score above .5 that fits the shape behind best, and its IoU."""
    behind, before = ops.box_iou(boxes, found.candidate_boxes)
    fit = np.where((found.candidate_scores > 0.5) & (behind > before), behind, 0)
    return fit.argmax(), fit.max()


def lost_from(model, image, target, seed):
    """Push a square over a square, 12 pixels apart and then nearer: the first shift at which one of them is lost."""
    for shift in range(12, 0, -1):
        found = model.trace(two_shapes(image, target, "square", shift, seed)[0])
        if (found.detections.scores > 0.5).sum() < 2:
            return shift
    return None


def overlap_frames(model, image, target):
    """Make the function that draws one frame: a square behind a square, and behind a circle, `shift` pixels apart."""
    share = np.maximum(SIDE - np.arange(0, SIDE + 1), 0) ** 2
    curve = share / (2 * SIDE ** 2 - share)

    def frame(shift):
        figure = new_figure(8.6, 3.1)
        *maps, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.1])
        for ax, kind in zip(maps, ("square", "circle")):
            noisy, picture, boxes = two_shapes(image, target, kind, shift)
            draw_pair(ax, picture, model.trace(noisy), boxes, f"{kind} in front")
        right.plot(curve, color=CURVE)
        right.plot(shift, curve[shift], "o", color=CURVE, markersize=8)
        for level, text in ((0.5, "box head's NMS, each class alone"), (0.7, "RPN's NMS, blind for classes")):
            right.axhline(level, color=MUTED, linewidth=1, linestyle=DASHED)
            right.text(SIDE, level + 0.015, text, ha="right", va="bottom", color=MUTED)
        right.set(xlabel="shift (px)", ylabel="IoU of the two true boxes", ylim=(0, 1), xlim=(0, SIDE),
                  title=f"IoU of the true boxes: {curve[shift]:.2f}")
        heading(figure, f"Two shapes of {SIDE} pixels, {shift} further right and down")
        return figure
    return frame


# ---- templates ----


def mean_bins(traces, bins_for):
    """Means of what each bin adds, over all proposals that overlap an object by .5 or more, by the object's label.

    Returns {label: for it, against background} and {(first, second): what tells first from second}.
    """
    regions = {1: [], 2: [], 3: []}
    for found, truth in traces:
        for roi, overlaps in enumerate(ops.box_iou(found.proposals, truth.boxes)):
            if overlaps.max() >= 0.5:
                regions[truth.labels[overlaps.argmax()]].append(found.box_features[roi])

    def mean(of, label, other=0):
        return np.mean([bins_for(region, label, other) for region in regions[of]], axis=0)
    apart = {(first, second): mean(first, first, second) - mean(second, first, second)
             for first, second in ((1, 2), (1, 3), (2, 3))}
    return {label: mean(label, label) for label in regions}, apart


def templates(own, of_classes, apart):
    """What each of 7x7 bins adds to a logit: for one region, for each class, and to tell two classes apart."""
    figure = new_figure(9, 5.6)
    axes = figure.subplots(2, 4)
    axes[1, 0].axis("off")
    axes[1, 0].text(0, 0.5, "Above: for the class,\nagainst background.\n\nBelow: what tells two\nclasses apart.\n\n"
                    "Red: for it (below: for\nthe first). Gray: against.", va="center", transform=axes[1, 0].transAxes)
    panels = [(axes[0, 0], own, 0.4, "RoI 3, for triangle")]
    panels += [(ax, values, 0.4, f"mean, for {NAMES[label]}") for ax, (label, values) in
               zip(axes[0, 1:], of_classes.items())]
    panels += [(ax, values, 0.7, f"{NAMES[first]} from {NAMES[second]}") for ax, ((first, second), values) in
               zip(axes[1, 1:], apart.items())]
    for ax, values, limit, title in panels:
        draw_cells(ax, np.round(values, 1), fmt="{:.1f}", cmap="RdGy_r", limits=(-limit, limit), fontsize=8,
                   title=title)
    heading(figure, "Which bins speak for a class")
    figure.set_label("Seven maps of 7x7 bins: contributions to the triangle's logit for RoI 3, means for circle, "
                     "square and triangle against background, and what tells pairs of classes apart.")
    return figure
