"""Figures of lesson 06. Anchors have the color of their pyramid level, what a person drew is dashed and black, and a
class color marks an object of that class. One figure shows the three anchors of a cell, one the anchors of all levels,
one the two areas of an IoU; a map says which objects the anchors reach, and frames what one size alone reaches.
"""

import numpy as np
from npmaskrcnn import ops
from npmaskrcnn.plots.style import (
    CURVE,
    DASHED,
    GROUND_TRUTH,
    INK,
    LEVEL_NAMES,
    MUTED,
    SMALL,
    class_color,
    draw_boxes,
    draw_label,
    faded,
    level_color,
    new_figure,
    show_image,
    styled,
)

SHAPES = ("ratio ½", "number 1678", "ratio 2")
SHARED, COVERED = "#9CC3E6", "#DDE2E8"      # areas: of both boxes, of at least one
ONE_SIZE = ("Left: in color, the objects by width and height that anchors of one size reach: a patch that moves up the "
            "diagonal with the size. Right: the shares reached; no size reaches half of the objects at IoU .7.")


def pale(image):
    """An image so pale that even lines of its own color stand out, and without its noise."""
    return np.round((0.45 + 0.55 * faded(image)) * 25) / 25


@styled
def cell(image, box, anchors, corner, stride=4):
    """Draw the three anchors of one cell, enlarged, and where that cell is in the image."""
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2, width_ratios=(1.05, 1))
    for ax in (left, right):
        show_image(ax, pale(image))
    x, y = corner
    window = (x - 24, y - 22, x + 26, y + 22)
    left.set(xlim=window[::2], ylim=window[:0:-2], title="the dot is the cell's corner, and the center of all three")
    left.set(xticks=np.arange(window[0], window[2], 8), yticks=np.arange(window[1] + 2, window[3], 8))
    for line in np.arange(window[0], window[2], stride):
        left.axvline(line, color="#C9CDD3", linewidth=0.5, zorder=0.5)
    for line in np.arange(window[1] + 2, window[3], stride):
        left.axhline(line, color="#C9CDD3", linewidth=0.5, zorder=0.5)
    left.fill([x, x + stride, x + stride, x], [y, y, y + stride, y + stride], color=level_color(0), alpha=0.45)
    for name, anchor, width in zip(SHAPES, anchors, (1.3, 2.6, 1.3)):
        draw_boxes(left, anchor, level_color(0), width, halo=False)
        draw_label(left, anchor[2] + 0.5, anchor[3] - 0.3, name, level_color(0))
    left.plot(x, y, "o", color=level_color(0), markersize=6)
    columns, rows = np.meshgrid(np.arange(0, image.shape[1], stride), np.arange(0, image.shape[0], stride))
    right.plot(columns.ravel(), rows.ravel(), ".", color=level_color(0), markersize=1.8, clip_on=False)
    draw_boxes(right, [window], INK, 1.2)
    for ax in (left, right):
        draw_boxes(ax, box, GROUND_TRUTH, 1.6, linestyle=DASHED, halo=False)
    right.set_title(f"the corners of all {columns.size} cells of P2")
    figure.set_label(f"Left: a cell of P2 and its three anchors, centered on the cell's upper left corner, beside the "
                     f"triangle's box, which the square anchor nearly equals. Right: the corners of all {columns.size} "
                     "cells of P2, and a frame around the enlarged part.")
    return figure


@styled
def levels(image, box, per_level, grids):
    """Draw every level's corners, and of each level the three anchors of the cell that fits a box best."""
    figure = new_figure(9, 2.5)
    axes = figure.subplots(1, len(grids), sharey=True)
    for level, (ax, boxes, (rows, columns)) in enumerate(zip(axes, per_level, grids)):
        show_image(ax, pale(image))
        centers = boxes[::3].reshape(-1, 2, 2).mean(axis=1)
        ax.plot(*centers.T, ".", color=level_color(level), markersize=(1, 2.5, 4, 5, 5)[level], clip_on=False)
        best = ops.box_iou(box[None].astype(np.float32), boxes)[0].argmax() // 3 * 3
        draw_boxes(ax, boxes[best:best + 3], level_color(level), 1.6, halo=False)
        draw_boxes(ax, box, GROUND_TRUTH, 1.2, linestyle=DASHED, halo=False)
        ax.set(xlim=(-8, 136), ylim=(122, -25), xticks=(0, 64, 128), yticks=(0, 48, 96))
        ax.set_title(f"{LEVEL_NAMES[level]}: {rows} × {columns} cells,\n{len(boxes):,} anchors", fontsize=SMALL)
        ax.label_outer()
    figure.set_label("Five panels, P2 to P6. From level to level there are fewer dots and larger anchors: 2,304 "
                     "anchors on P2, 12 on P6. P2's are as large as the triangle; P6's reach beyond the image.")
    return figure


@styled
def overlap(box, anchor):
    """Draw what two boxes share, and what they cover together."""
    shared = np.concatenate([np.maximum(box[:2], anchor[:2]), np.minimum(box[2:], anchor[2:])])
    figure = new_figure(8.4, 3.9)
    axes = figure.subplots(1, 2, sharey=True)
    area = np.prod(shared[2:] - shared[:2])
    covered = np.prod(box[2:] - box[:2]) + np.prod(anchor[2:] - anchor[:2]) - area
    panels = (([shared], SHARED, f"shared by both\n{area:.0f} square pixels"),
              ([box, anchor], COVERED, f"covered by at least one\n{covered:.0f} square pixels"))
    for ax, (areas, color, text) in zip(axes, panels):
        for x1, y1, x2, y2 in areas:
            ax.fill([x1, x2, x2, x1], [y1, y1, y2, y2], color=color, linewidth=0)
        draw_boxes(ax, anchor, level_color(0), 2, halo=False)
        draw_boxes(ax, box, GROUND_TRUTH, 1.6, linestyle=DASHED, halo=False)
        ax.text(*shared.reshape(2, 2).mean(axis=0), text, ha="center", va="center", fontsize=11)
        ax.text(anchor[2] + 0.4, anchor[3] - 0.3, "anchor", color=level_color(0), va="bottom")
        ax.text(box[0] - 0.4, box[1] + 0.3, "triangle", color=GROUND_TRUTH, ha="right", va="top")
        ax.set(xlim=(40, 79), ylim=(82, 53), aspect="equal", xlabel="x (px)")
    axes[0].set(ylabel="y (px)", title="intersection")
    axes[1].set_title("union")
    figure.set_label("The triangle's box and anchor 1678, both 24 x 24 pixels and one pixel apart both ways. Left, "
                     "shaded: the 529 square pixels that they share. Right: the 623 that at least one of them covers.")
    return figure


@styled
def coverage(anchors, shapes, objects, followed, labels, places=96):
    """Draw the coverage maps: best IoU by width and height, centered on an anchor and as the mean over places."""
    fine, coarse = np.arange(4.0, 73), np.arange(4.0, 73, 4)
    centered = np.array([[-w / 2, -h / 2, w / 2, h / 2] for h in fine for w in fine])
    best = ops.box_iou(centered, shapes).max(axis=1).reshape(len(fine), -1)
    rng, mean = np.random.default_rng(0), np.zeros((len(coarse), len(coarse)))
    for i, j in np.ndindex(mean.shape):
        size = np.array([coarse[j], coarse[i]])
        corners = rng.uniform(0, np.array([128, 96]) - size, (places, 2))
        mean[i, j] = ops.box_iou(np.concatenate([corners, corners + size], axis=1), anchors).max(axis=1).mean()
    figure = new_figure(9, 4.3)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, sides, values in zip(axes, (fine, coarse), (best, mean)):
        artist = ax.contourf(sides, sides, values, levels=np.linspace(0, 1, 11), cmap="cividis")
        ax.contour(sides, sides, values, levels=[0.7], colors="white", linewidths=2.5)
        for group, marker, size, color in ((objects, ".", 3, "black"), (followed, "o", 9, None)):
            for (width, height), label in zip(group[:, 2:] - group[:, :2], labels if color is None else group):
                ax.plot(width, height, marker, markersize=size, color=color or class_color(label),
                        markeredgecolor="white" if color is None else color, markeredgewidth=1)
        ax.set(xlabel="object's width (px)", aspect="equal", xlim=(4, 72), ylim=(4, 72))
    axes[0].set(ylabel="object's height (px)", title="centered on an anchor: the best place")
    axes[1].set_title(f"anywhere: the mean over {places} places")
    figure.colorbar(artist, ax=axes, label="best IoU of all anchors", shrink=0.85, ticks=np.linspace(0, 1, 6))
    figure.set_label("Best IoU by an object's width and height. Centered on an anchor, a white line of IoU .7 encloses "
                     "most of the objects, drawn as dots; as the mean over places it encloses fewer.")
    return figure


@styled
def one_size(size, objects, best_of_size):
    """Draw which objects anchors of one size reach, and the shares reached against the size."""
    figure = new_figure(8, 3)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    widths, heights = (objects[:, 2:] - objects[:, :2]).T
    reached = best_of_size[size] >= 0.7
    left.plot(widths[~reached], heights[~reached], ".", color="#C4C8CE", markersize=4, label="not reached")
    left.plot(widths[reached], heights[reached], ".", color=level_color(0), markersize=5, label="IoU ≥ .7")
    left.set(xlim=(0, 66), ylim=(0, 66), aspect="equal", xlabel="object's width (px)", ylabel="object's height (px)",
             title=f"anchors of size {size}")
    left.legend(loc="upper left", handletextpad=0.1)
    sizes = list(best_of_size)
    for threshold, color in ((0.5, MUTED), (0.7, CURVE)):
        shares = [(best >= threshold).mean() for best in best_of_size.values()]
        right.plot(sizes, shares, "o-", color=color, markersize=3.5)
        share = shares[sizes.index(size)]
        right.plot(size, share, "o", color=color, markersize=9)
        right.text(69, 0.99 - 0.5 * (threshold - 0.5), f"IoU ≥ {threshold:.1f}: {share:.0%}", ha="right", va="top",
                   color=color)
    right.set(xlim=(10, 70), ylim=(-0.02, 1.02), xlabel="size of all anchors (px)", ylabel="share of the objects",
              title="one size on the grid of P2")
    return figure
