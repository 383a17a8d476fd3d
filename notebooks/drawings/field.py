"""Lesson 04: how the part of the image that a cell sees grows layer by layer, and how much each pixel of it counts.

Influences come as maps of the image's size that sum to 1; cells are (row, column). A square's side is an odd number of
pixels, around the pixel whose upper left corner is the cell's.
"""

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.lines import Line2D

from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.style import (CURVE, DASHED, INK, MUTED, NEGATIVE, SMALL, class_color, draw_boxes, new_figure,
                                    show_image)

LEVELS = ("C2", "C3", "C4", "C5")
UNTRAINED = MUTED


def square(corner, side):
    """The box of a square of `side` pixels around the pixel at `corner` (x, y)."""
    x, y = corner
    return [x + 0.5 - side / 2, y + 0.5 - side / 2, x + 0.5 + side / 2, y + 0.5 + side / 2]


def growth(image, target, names, fields, number):
    """The field after `number` layers, on the image and in the row of all layers; fields are (width, jump)."""
    figure = new_figure(8.2, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    width, jump = fields[number - 1]
    corner = 60 // jump * jump, 68 // jump * jump
    left.set_facecolor("#EDEFF2")
    left.imshow(without_noise(image, target), extent=(0, 128, 96, 0))
    draw_boxes(left, square(corner, width), INK, 2)
    draw_boxes(left, [*corner, corner[0] + jump, corner[1] + jump], "white", 1.5, halo=False)
    left.set(xlim=(-62, 160), ylim=(172, -44), aspect="equal", xlabel="x (px)", ylabel="y (px)")
    left.set_title(f"one cell reads {width} x {width} pixels")
    if width > 216:
        left.text(49, 140, "the frame is\noutside of this picture", ha="center", va="center", fontsize=SMALL)

    layers = np.arange(1, len(fields) + 1)
    right.bar(layers, [w for w, _ in fields], color="#D5D9DE")
    right.bar(layers[:number], [w for w, _ in fields[:number]], color=CURVE)
    for height, what in ((96, "its height"), (128, "width of the image")):
        right.axhline(height, color=INK, linewidth=0.8, linestyle=DASHED)
        right.text(0.5, height + 3, what, fontsize=SMALL, va="bottom")
    for last, level in zip((6, 10, 14, 18), LEVELS):
        right.annotate(level, (last, fields[last - 1][0]), (0, 4), textcoords="offset points", ha="center",
                       bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    right.set(xlabel="layers", ylabel="width of the field (px)", xticks=[1, 2, 6, 10, 14, 18], ylim=(0, 470))
    right.set_title(f"layer {number}, {names[number - 1]}: cells {jump} px apart")
    return figure


def without_noise(image, target):
    """The image with each object, and the ground, in its mean color: a small file."""
    plain = np.empty_like(image)
    plain[:] = np.median(image[~target.masks.any(axis=0)], axis=0)
    for mask in target.masks:
        plain[mask] = image[mask].mean(axis=0)
    return plain


def influences(rows, cells, fields):
    """Maps of influence of one cell of C2 to C5, a row for each name of `rows` ({name: four maps})."""
    figure = new_figure(9, 4.1)
    axes = figure.subplots(len(rows), 4)
    for k, (row, (name, maps)) in enumerate(zip(axes, rows.items())):
        for ax, level, weight, cell, field in zip(row, LEVELS, maps, cells, fields):
            stride = 2 ** int(level[1])
            corner = cell[1] * stride, cell[0] * stride
            artist = show_influence(ax, weight)
            draw_boxes(ax, square(corner, field), "white", 1.2, DASHED, halo=False)
            draw_boxes(ax, square(corner, width_holding(0.5, weight, corner)), "white", 1.5, halo=False)
            ax.set_title(f"{level}, cell {cell}" if k == 0 else "")
        row[0].set_ylabel(name)
    bar = figure.colorbar(artist, ax=axes, label="influence (largest = 1)", shrink=0.85, pad=0.01)
    bar.set_ticks([0, 0.05, 0.25, 0.5, 1])
    handles = [Line2D([], [], color=INK, linestyle=line, label=text) for line, text in
               ((DASHED, "the field"), ("solid", "half of the influence"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    heading(figure, "What a cell may read, and what it reads most")
    return figure


def show_influence(ax, weight):
    """A map of influence in 16 steps; the root shows what is weak."""
    return show_image(ax, weight / weight.max(), axis_labels=False, norm=PowerNorm(0.5, 0, 1),
                      cmap=matplotlib.colormaps["magma"].resampled(16))


def width_holding(share, weight, corner):
    """The side of the smallest square around the pixel at `corner` that holds this share of the influence."""
    rows, columns = np.indices(weight.shape)
    distance = np.maximum(np.abs(columns - corner[0]), np.abs(rows - corner[1]))
    within = np.cumsum(np.bincount(distance.ravel(), weight.ravel()))
    return 2 * int(np.searchsorted(within, share * within[-1])) + 1


def what_p2_sees(image, trace, row, maps):
    """The detection, its anchor and its cell on the image; beside it maps of influence ({title: map})."""
    found, origin = trace.detections, trace.provenance(row)
    anchor, (cell_row, cell_column) = origin["anchor_box"], origin["cell"]
    corner = 4 * cell_column, 4 * cell_row
    figure = new_figure(7.4, 5.4)
    axes = figure.subplots(2, 2).ravel()
    show_image(axes[0], image, axis_labels=False)
    draw_boxes(axes[0], found.boxes[row], class_color(found.labels[row]), 2, halo=False)
    draw_boxes(axes[0], anchor, "white", 1.3, DASHED, halo=False)
    axes[0].fill_between([corner[0], corner[0] + 4], corner[1], corner[1] + 4, color=INK, zorder=3)
    axes[0].set_title("the detection, its anchor (dashed), its cell")
    for ax, (title, weight) in zip(axes[1:], maps.items()):
        show_influence(ax, weight)
        draw_boxes(ax, anchor, "white", 1.3, DASHED, halo=False)
        ax.plot(*center_of_weight(weight), "+", color="white", markersize=11, markeredgewidth=1.8)
        ax.set_title(title)
    return figure


def center_of_weight(weight):
    """(x, y) of a map's center of weight; a pixel's own center is half a pixel from its corner."""
    height, width = weight.shape
    return weight.sum(axis=0) @ (np.arange(width) + 0.5), weight.sum(axis=1) @ (np.arange(height) + 0.5)


def offsets(stored):
    """How far, on average, the center of weight lies from the cell's upper left corner, for eight maps."""
    figure = new_figure(8.6, 3.4)
    ax = figure.subplots()
    for shift, who, color, face in ((-0.13, "random", UNTRAINED, "white"), (0.13, "trained", CURVE, CURVE)):
        for place, rows in enumerate(stored[who].values()):
            mean, error = mean_offset(rows)
            ax.errorbar(place + shift, mean, error, fmt="o", color=color, markerfacecolor=face, capsize=3,
                        label={"random": "untrained", "trained": "trained"}[who] if place == 0 else None)
    names = list(stored["trained"])
    middles = [2 ** int(name[1]) / 2 for name in names]
    ax.plot(range(len(names)), middles, "_", color=NEGATIVE, markersize=26, markeredgewidth=2, linestyle="none",
            label="the middle of the cell")
    ax.axhline(0, color=INK, linewidth=1)
    ax.text(-0.4, -0.5, "0 is the corner, where anchors stand", va="top", fontsize=SMALL)
    ax.set(xticks=range(len(names)), xticklabels=names, ylabel="px right of and below the corner", xlim=(-0.5, 7.5))
    ax.legend(loc="lower left", handlelength=4)
    heading(figure, "Where the influence is centered, on average over 60 images")
    return figure


def known(probes):
    """What two probes read from each level, trained and untrained, and from the colors alone."""
    figure = new_figure(8.6, 3)
    left, right = figure.subplots(1, 2)
    looks = {"trained": (CURVE, "o-"), "random": (UNTRAINED, "o--"), "colors": (NEGATIVE, "s:")}
    texts = {"trained": "trained", "random": "untrained", "colors": "colors of the cell's own pixels"}
    for who, (color, look) in looks.items():
        left.plot(LEVELS, probes[who]["what"], look, color=color, label=texts[who])
        right.plot(LEVELS, probes[who]["where"], look, color=color)
    left.axhline(1 / 3, color=INK, linewidth=0.8)
    left.text(3.1, 1 / 3 - 0.02, "guessing", ha="right", va="top", fontsize=SMALL)
    right.plot(LEVELS, probes["trained"]["possible"], "^-", color=INK, label="best that cells of this size could draw")
    left.set(title="the class, read from one cell", ylabel="share of right answers", ylim=(0, 1.05))
    right.set(title="the mask, read cell by cell", ylabel="IoU with the true mask", ylim=(-0.03, 1.05))
    left.legend(loc="lower center"), right.legend(loc="upper right")
    return figure


# ---- what scripts/field_centers.py has stored, in words ----


def stored_measurement():
    """What the script has measured; its first lines say what the names mean."""
    return json.loads((Path(__file__).parent.parent / "results" / "field_centers.json").read_text())


def table_of_widths(stored, counted):
    """How wide the squares are that hold half and nine tenths of the influence: medians, and of an even spread."""
    lines = ["width of the square in px that holds half, nine tenths of the influence",
             f"{'':<20}{'spread evenly':>15}{'untrained':>15}{'trained':>15}"]
    for name, (width, _) in counted.items():
        pairs = [width * np.sqrt(stored["shares"])]
        pairs += [np.median(stored[who][name], axis=0)[4:] for who in ("random", "trained")]
        lines.append(f"{name}, field {width:>3} px".ljust(20) + "".join(f"{a:>10.0f}, {b:>3.0f}" for a, b in pairs))
    return "\n".join(lines)


def table_of_centers(stored):
    """Where the centers of weight lie relative to the corner, on average, and how much one image varies."""
    lines = [f"{'px right of and below the corner':<34}{'untrained':>12}{'trained':>15}{'one image, trained':>21}"]
    for name in stored["trained"]:
        means = [mean_offset(stored[who][name]) for who in ("random", "trained")]
        varies = np.array(stored["trained"][name])[:, 2:4].std(ddof=1)
        lines.append(f"{name}, middle of the cell at {2 ** int(name[1]) // 2:>2}".ljust(31)
                     + "".join(f"{mean:>+8.1f} ± {error:.1f} " for mean, error in means) + f"{varies:>14.0f} or so")
    return "\n".join(lines)


def mean_offset(rows):
    """The mean over images of the distance from the corner, x and y together, and two standard errors."""
    of_images = np.array(rows)[:, 2:4].mean(axis=1)
    return of_images.mean(), 2 * of_images.std(ddof=1) / np.sqrt(len(of_images))
