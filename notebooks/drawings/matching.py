"""The figures of lesson 07: what each anchor must do, which matches are forced, and a box written as four numbers.
An anchor has the color of the class of the object that it must find; ignored is gray, negative is vermilion. Dashed
boxes are the truth, and a dashed box in vermilion is an object that no anchor must find."""

import numpy as np
from matplotlib.patches import Rectangle

from npmaskrcnn import ops
from npmaskrcnn.notebook import draw_cells, heading
from npmaskrcnn.plots.style import (CURVE, DASHED, GROUND_TRUTH, IGNORED, INK, MUTED, NEGATIVE, SMALL, class_color,
                                    draw_boxes, draw_label, faded, new_figure, show_image, zoom)
from npmaskrcnn.stages.matching import match

NAMES = ("background", "circle", "square", "triangle")


def verdict(found, labels):
    """What an anchor must do, in words and in its color."""
    if found < 0:
        return ("negative", NEGATIVE) if found == -1 else ("ignored", IGNORED)
    return f"find {found}", class_color(labels[found])


def iou_table(ax, iou, columns, labels):
    """Write the IoU of some anchors (`columns`) with all objects; row and column names around it."""
    draw_cells(ax, iou[:, columns], fmt="{:.3f}", cmap="Greys", limits=(0, 1.6))
    for row, label in enumerate(labels):
        ax.text(-0.12, row + 0.5, f"{row} {NAMES[label]}", ha="right", va="center")
    for place, anchor in enumerate(columns):
        ax.text(place + 0.5, -0.12, anchor, ha="center", va="bottom", fontsize=SMALL, color=MUTED)
    ax.set(aspect="auto", xlim=(-1.15, len(columns) + 0.07), ylim=(len(labels) + 0.75, -0.6))


def frame_columns(ax, iou, columns, matches, labels):
    """Frame the greatest number of each column, and write below what the anchor must do."""
    for place, anchor in enumerate(columns):
        word, color = verdict(matches[anchor], labels)
        row = iou[:, anchor].argmax()
        ax.add_patch(_cell(place, row, color))
        ax.text(place + 0.5, len(labels) + 0.2, word, ha="center", va="top", color=color, fontweight="bold")


def _cell(column, row, color):
    """Return a frame around one cell of a table."""
    return Rectangle((column, row), 1, 1, fill=False, edgecolor=color, linewidth=2.5, zorder=5)


def verdicts(image, target, anchors, iou, columns):
    """Three anchors near the triangle, and the IoU table of some anchors with what the thresholds make of them."""
    matches = match(iou, 0.7, 0.3)
    figure = new_figure(9, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=[1, 2.1])
    show_image(left, faded(image))
    draw_boxes(left, target.boxes[2], GROUND_TRUTH, 1.8, DASHED)
    for anchor, place in ((1678, (73, 70)), (1774, (49, 88.5)), (1385, (44, 38))):
        color = verdict(matches[anchor], target.labels)[1]
        draw_boxes(left, anchors[anchor], color, 2)
        draw_label(left, *place, f"{anchor}", color)
    zoom(left, [34, 32, 90, 90])
    left.set_title("triangle (dashed), three anchors")
    iou_table(right, iou, columns, target.labels)
    frame_columns(right, iou, columns, matches, target.labels)
    right.set_title(f"IoU of four objects (rows) with {len(columns)} of the 3,072 anchors (columns)")
    heading(figure, "Each anchor looks down its column: the greatest IoU decides what it must do")
    figure.set_label("Left: three anchors at the triangle, one positive, one ignored, one negative. Right: the IoU of "
                     "four objects by seven anchors; the greatest of each column is framed in its verdict's color.")
    return figure


# ---- forced matches ----


def shares_without(tables, thresholds):
    """Shares of the objects in IoU tables that no anchor must find: by thresholds alone, and with forced matches."""
    reached, kept = [], []
    for table in tables:
        best = table.argmax(axis=0)
        for row, ious in enumerate(table):
            reached.append(ious[best == row].max(initial=0))              # by anchors that overlap no other more
            kept.append((best[ious == ious.max()] == row).any())          # one of its own best anchors
    reached, kept = np.array(reached), np.array(kept)
    without = [reached < high for high in thresholds]
    return [[alone.mean() for alone in without], [(alone & ~kept).mean() for alone in without]]


def without_noise(image, target):
    """The image with one color for each shape and one for the ground: a picture that takes little room."""
    picture = np.empty_like(image)
    for mask in [~target.masks.any(axis=0), *target.masks]:
        picture[mask] = image[mask].mean(axis=0)
    return faded(picture)


def draw_matches(ax, image, target, anchors, matches):
    """Draw the positive anchors, and the truth dashed; an object without an anchor is dashed in vermilion."""
    show_image(ax, without_noise(image, target), axis_labels=False)
    for row, (box, label) in enumerate(zip(target.boxes, target.labels)):
        draw_boxes(ax, anchors[matches == row], class_color(label), 1.5, halo=False)
        color, width = (GROUND_TRUTH, 1.3) if row in matches else (NEGATIVE, 2.5)
        draw_boxes(ax, box, color, width, DASHED)
    return (matches >= 0).sum(), sum(row not in matches for row in range(len(target.boxes)))


def threshold_frames(image, target, anchors, iou, tables, thresholds):
    """Make the function that draws one frame: the positive anchors at one upper threshold."""
    curves = 100 * np.array(shares_without(tables, thresholds))

    def frame(high):
        figure = new_figure(9, 3)
        *maps, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
        for ax, forced, name in zip(maps, (False, True), ("thresholds alone", "with forced matches")):
            matches = match(iou, high, 0.3, allow_low_quality_matches=forced)
            positives, without = draw_matches(ax, image, target, anchors, matches)
            ax.set_title(f"{name}:\n{positives} positive, {without} of 4 objects without")
        for curve, color in zip(curves, (CURVE, MUTED)):
            right.plot(thresholds, curve, color=color, linewidth=1.5)
            right.plot(high, curve[thresholds.index(high)], "o", color=color, markersize=7)
        right.text(0.62, 62, "thresholds\nalone", color=CURVE)
        right.text(0.63, 4, "with forced matches", color=MUTED)
        right.set(xlabel="upper threshold", ylabel="objects without (%)", ylim=(-3, 103), title="722 objects")
        heading(figure, f"Positive from an IoU of {high:g}")
        return figure
    return frame


def claims(image, target, anchors):
    """One image in which an anchor is claimed by one object and must find another: the rule in two steps."""
    iou = ops.box_iou(target.boxes, anchors)
    matches = match(iou, 0.7, 0.3, allow_low_quality_matches=True)
    claimed = iou == iou.max(axis=1, keepdims=True)
    columns = np.flatnonzero(claimed.any(axis=0))
    columns = columns[np.argsort(matches[columns])]     # in the order of the objects that they find
    figure = new_figure(9, 3.1)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.25, 1.25])
    show_image(left, faded(image))
    draw_boxes(left, target.boxes[1:], [class_color(label) for label in target.labels[1:]], 2.5, DASHED)
    for anchor, above in zip(columns[1:], (True, False)):
        x1, y1, x2, y2 = anchors[anchor]
        color = class_color(target.labels[matches[anchor]])
        draw_boxes(left, anchors[anchor], color, 2, halo=False)
        draw_label(left, x1 if above else x1 + 20, y1 if above else y2, f"{anchor}", color, above)
    zoom(left, [44, 14, 92, 62])
    left.set_title("triangle and circle (dashed),\ntwo anchors")
    for ax in (middle, right):
        iou_table(ax, iou, columns, target.labels)
    for row, place in np.argwhere(claimed[:, columns]):
        middle.add_patch(_cell(place, row, INK))
    middle.set_title("1. each object claims all anchors\n    that have its row's greatest IoU")
    frame_columns(right, iou, columns, matches, target.labels)
    right.set_title("2. each claimed anchor gets the\n    greatest of its own column")
    heading(figure, "Which anchors are forced is decided along a row; what each must find, down its column")
    figure.set_label("Left: a triangle and a circle, dashed, and two anchors. Middle: IoU of three objects with three "
                     "anchors; the triangle claims two, .690 each. Right: one of the two goes to the circle, .750.")
    return figure


# ---- encoding ----


def two_moves(image, target, anchors, pairs):
    """Two anchors and their objects, with both centers."""
    figure = new_figure(9, 3.5)
    for ax, (anchor, row) in zip(figure.subplots(1, len(pairs)), pairs):
        start, end = anchors[anchor], target.boxes[row]
        color = class_color(target.labels[row])
        show_image(ax, faded(image))
        draw_boxes(ax, start, color, 2, halo=False)
        draw_boxes(ax, end, GROUND_TRUTH, 1.8, DASHED, halo=False)
        (x1, y1), (x2, y2) = (start.reshape(2, 2).mean(axis=0), end.reshape(2, 2).mean(axis=0))
        ax.plot([x1, x2], [y1, y2], color=INK, linewidth=1)
        ax.plot(x1, y1, "o", color=color, markeredgecolor="white", markersize=8)
        ax.plot(x2, y2, "X", color=GROUND_TRUTH, markeredgecolor="white", markersize=8)
        low, high = np.minimum(start[:2], end[:2]), np.maximum(start[2:], end[2:])
        zoom(ax, [*low, *high], margin=0.12)
        tx, ty, tw, th = ops.encode_boxes(end, start) + 0.0
        ax.set_title(f"anchor {anchor} and object {row}, {NAMES[target.labels[row]]}\n"
                     f"tx {tx:+.3f}, ty {ty:+.3f}, tw {tw:+.3f}, th {th:+.3f}")
    heading(figure, "From the anchor (solid, dot) to the object (dashed, cross): shift, then stretch")
    figure.set_label("Two zooms. The triangle's anchor is one pixel off in both directions and of the right size. The "
                     "square's is 1 and 3 pixels off and too small: tx -0.031, ty -0.094, tw and th +0.223.")
    return figure


def why_this_code(pixels, small, large):
    """One error in pixels on two boxes; a size as a logarithm and as a plain factor; where decoding cuts off."""
    figure = new_figure(9, 3)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.3, 1, 1])
    for corner, size in ((3, small), (64, large)):
        anchor = np.array([corner, 5.0, corner + size, 5 + size])
        truth = anchor + [pixels, 0, pixels, 0]
        draw_boxes(left, anchor, CURVE, 1.8, halo=False)
        draw_boxes(left, truth, GROUND_TRUTH, 1.5, DASHED, halo=False)
        left.text(corner, size + 9, f"tx = {pixels}/{size}\n= {pixels / size:.4g}\n"
                  f"IoU {ops.box_iou(anchor[None], truth[None])[0, 0]:.2f}", va="top")
    left.set(xlim=(0, 170), ylim=(158, 0), aspect="equal", xticks=[], yticks=[],
             title=f"{pixels} pixels off: much for {small} pixels,\nlittle for {large}")
    left.spines[:].set_visible(False)
    t = np.linspace(-3, 2, 101)
    middle.plot(t, np.exp(t), color=CURVE)
    middle.plot(t, 1 + t, color=MUTED, linestyle=DASHED)
    middle.axhspan(-2.2, 0, color=MUTED, alpha=0.15)
    middle.text(-0.55, 4.6, "exp(tw)", color=CURVE)
    middle.text(0.95, 1.0, "1 + tw", color=MUTED)
    middle.text(-0.9, -1.5, "a width below zero")
    middle.set(xlabel="tw", ylabel="width / anchor's width", ylim=(-2.2, 7.5),
               title="whatever tw is, exp(tw)\nis above zero")
    t = np.linspace(-3, 6, 181)
    right.semilogy(t, np.exp(t), color=MUTED, linestyle=DASHED)
    right.semilogy(t, np.exp(np.minimum(t, np.log(1000 / 16))), color=CURVE)
    right.annotate("log(1000/16) = 4.135:\nfactor 62.5", (np.log(62.5), 62.5), (-2.8, 90), color=CURVE,
                   arrowprops={"arrowstyle": "->", "color": CURVE})
    right.set(xlabel="tw", ylabel="width / anchor's width", title="decoding cuts off what is\nabove it",
              yticks=[0.1, 1, 10, 100], yticklabels=["0.1", "1", "10", "100"])
    heading(figure, "Why divided by the anchor's size, why a logarithm, and where it ends")
    figure.set_label("Left: 6 pixels aside, tx is 0.25 and IoU 0.60 for a box of 24 pixels, 0.0625 and 0.88 for 96. "
                     "Middle: exp(tw) is above zero, 1 + tw is not. Right: exp(tw) is cut off at 4.135, factor 62.5.")
    return figure


# ---- a decision has no gradient ----


def glide(shifts, one_iou, numbers):
    """An object moves to the right: its IoU with one anchor, and the number of positive anchors."""
    figure = new_figure(8.5, 2.7)
    left, right = figure.subplots(1, 2)
    left.plot(shifts, one_iou, color=CURVE)
    left.set(ylabel="IoU with one anchor", ylim=(0, 1))
    right.step(shifts, numbers, where="post", color=CURVE)
    right.set(ylabel="positive anchors", ylim=(0, max(numbers) + 1))
    for ax in (left, right):
        ax.set_xlabel("object moved to the right by (px)")
    heading(figure, "The overlap changes gradually, the decision in jumps")
    return figure
