"""The figures of the lesson on RoIAlign. On a map of features, a cell is drawn around the point where its number is
taken to be: cell 15 from 14.5 to 15.5. The region that was asked for is black; what RoIPool makes of it is vermilion,
and where the two are compared as curves, RoIAlign is dark blue."""

import numpy as np
from matplotlib.patches import Rectangle

from npmaskrcnn import ops
from npmaskrcnn.notebook import draw_cells, heading
from npmaskrcnn.plots.style import (CURVE, INK, MUTED, NEGATIVE, NORMAL, SMALL, class_color, draw_boxes, draw_label,
                                    new_figure, show_image)

STRIDE, BINS = 4, 7     # pixels a cell of P2; bins a side
COLORS = {"cmap": "viridis", "vmin": -2.7, "vmax": 2.7}     # of the channel that the lesson follows
POINT_COLOR = "white"


def patches(image, boxes, names, labels):
    """Some regions of an image, and the 7x7 patches that they become if the image itself is the map."""
    rois = np.array([[0, *box] for box in boxes], np.float64)
    pooled = ops.roi_align(image[None] / 255, rois, BINS)
    figure = new_figure(9, 3)
    picture, *axes = figure.subplots(1, 1 + len(boxes), width_ratios=[2.4] + [1.7] * len(boxes))
    show_image(picture, image)
    for ax, patch, box, name, label in zip(axes, pooled, boxes, names, labels):
        color = class_color(label)
        draw_boxes(picture, [box], color, linewidth=2.5)
        draw_label(picture, box[0] + 1, box[3] - 1, name, color)
        show_image(ax, patch, axis_labels=False)
        ax.spines[:].set(color=color, linewidth=3)
        ax.set_title(f"{name}: {box[2] - box[0]:.1f} x {box[3] - box[1]:.1f} px\nbecome 7 x 7")
    heading(figure, "Regions of any size and shape, patches of one size")
    figure.set_label("The image with framed regions of several sizes, each in the color of the class found in it, and "
                     "the patches of 7x7 bins that they become.")
    return figure


def sampling(channel, box, y, x, pooled):
    """One channel of P2 with the region, its bins and sample points; one point close up; the patch that comes out."""
    figure = new_figure(9, 3.6)
    whole, near, out = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    artist = whole.imshow(channel, **COLORS)
    edges_x, edges_y = (np.linspace(box[k], box[k + 2], BINS + 1) for k in (0, 1))
    whole.vlines(edges_x, box[1], box[3], color=INK, linewidth=0.8)
    whole.hlines(edges_y, box[0], box[2], color=INK, linewidth=0.8)
    draw_boxes(whole, [box], INK, linewidth=2)
    points = [start + (np.arange(2 * BINS) + 0.5) * (stop - start) / (2 * BINS)
              for start, stop in ((box[0], box[2]), (box[1], box[3]))]
    whole.scatter(*np.meshgrid(*points), s=5, color=POINT_COLOR, linewidths=0, zorder=4)
    whole.scatter([x], [y], s=45, color=NEGATIVE, edgecolor="white", zorder=5)
    whole.set(xlim=(box[0] - 2, box[2] + 2), ylim=(box[3] + 2, box[1] - 2), xlabel="x (cells)", ylabel="y (cells)",
              title="P2: the region, 49 bins, 196 points")
    close_up(near, channel, y, x)
    out.imshow(pooled, **COLORS)
    out.add_patch(Rectangle((2.5, 2.5), 1, 1, fill=False, edgecolor=NEGATIVE, linewidth=2.5))
    out.text(3, 3, f"{pooled[3, 3]:.2f}", ha="center", va="center", fontsize=SMALL, color="white")
    out.set(xticks=range(BINS), yticks=range(BINS), xlabel="column of bins", ylabel="row of bins",
            title="the patch: each bin the mean\nof its four points")
    figure.colorbar(artist, ax=out, shrink=0.6, label="value of the channel")
    heading(figure, "Read between the cells: four points a bin, four cells a point")
    figure.set_label("Left, one channel of P2 with the triangle's region, its 49 bins and 196 sample points. Middle, "
                     "one point among its four cells, with their values and weights. Right, the patch of 7x7 bins.")
    return figure


def close_up(ax, channel, y, x):
    """A point among its four cells: their values, their weights, and the rectangle whose area is one of them."""
    top, left = int(y), int(x)
    ax.add_patch(Rectangle((left, top), x - left, y - top, facecolor="#F3D3BF", edgecolor="none"))
    ax.vlines(x, top, top + 1, color=MUTED, linewidth=0.8)
    ax.hlines(y, left, left + 1, color=MUTED, linewidth=0.8)
    ax.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=MUTED))
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            ax.scatter([column], [row], s=40, color=INK, zorder=4)
            ax.text(column, row - 0.1 if row == top else row + 0.1, ha="center", va="bottom" if row == top else "top",
                    s=f"value {channel[row, column]:.2f}\nweight {weight:.2f}", fontsize=SMALL)
    ax.scatter([x], [y], s=60, color=NEGATIVE, edgecolor="white", zorder=5)
    ax.set(xlim=(left - 0.45, left + 1.45), ylim=(top + 1.55, top - 0.55), xticks=[left, left + 1],
           yticks=[top, top + 1], xlabel="x (cells)", aspect="equal",
           title="one point; the shaded area is\nthe weight of the cell opposite")


def pool_edges(low, high):
    """First and last cell that RoIPool makes of a region's edges, both belonging to it."""
    return int(np.floor(low + 0.5)), int(np.floor(high + 0.5))


def glide(channel, box, shift):
    """The region moved to the right by `shift` cells, and its patch by RoIAlign and by RoIPool."""
    place, before = (np.array([[0, *box]]) + np.array([0, step, 0, step, 0]) for step in (shift, shift - 0.25))
    feature = channel[None, :, :, None]
    pools = {"RoIAlign": lambda roi: ops.roi_align(feature, roi, BINS, sampling_ratio=2)[0, :, :, 0],
             "RoIPool": lambda roi: ops.roi_pool(feature, roi, BINS)[0, :, :, 0]}
    figure = new_figure(8, 2.9)
    whole, *axes = figure.subplots(1, 3, width_ratios=[1.5, 1, 1])
    whole.imshow(channel, **COLORS)
    x1, y1, x2, y2 = place[0, 1:]
    draw_boxes(whole, [place[0, 1:]], INK, linewidth=2)
    (left, right), (top, bottom) = pool_edges(x1, x2), pool_edges(y1, y2)
    draw_boxes(whole, [[left - 0.5, top - 0.5, right + 0.5, bottom + 0.5]], NEGATIVE, linewidth=2, linestyle="dashed")
    whole.set(xlim=(9.5, 23.5), ylim=(22.5, 11.5), xlabel="x (cells)", ylabel="y (cells)",
              title="black: the region\nvermilion: the cells RoIPool takes")
    for ax, (name, pool) in zip(axes, pools.items()):
        patch = pool(place)
        artist = ax.imshow(patch, **COLORS)
        change = f"{np.abs(patch - pool(before)).mean():.2f}" if shift else "-"
        ax.set(xticks=range(BINS), yticks=range(BINS), xlabel="column of bins",
               title=f"{name}\nchange by this step: {change}")
    figure.colorbar(artist, ax=axes, shrink=0.8, label="value of the channel")
    return figure


def place_errors(box):
    """Where the bins of the middle row read, less where they lie, in pixels: by RoIAlign and by RoIPool."""
    ramp = np.tile(STRIDE * np.arange(32.0), (24, 1))[None, :, :, None]
    roi, (x1, _, x2, _) = np.array([[0, *box]], np.float64), box
    middles = x1 + (np.arange(BINS) + 0.5) * (x2 - x1) / BINS
    return [pooled[0, 3, :, 0] - middles for pooled in (ops.roi_align(ramp, roi, BINS, 1 / STRIDE, 2),
                                                        ops.roi_pool(ramp, roi, BINS, 1 / STRIDE))]


def cost(box, runs):
    """Left and middle, the error of the place; right, the AP of masks at three strictnesses, a dot for each seed."""
    figure = new_figure(9, 3.3)
    bins, moved, worth = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    shifts = np.arange(0, 8.01, 0.05)
    means = np.array([[error.mean() for error in place_errors(box + step * np.array([1, 0, 1, 0]))]
                      for step in shifts])
    for k, (name, color) in enumerate((("RoIAlign", CURVE), ("RoIPool", NEGATIVE))):
        bins.plot(range(BINS), place_errors(box)[k], "o-", color=color, label=name)
        moved.plot(shifts, means[:, k], color=color)
    bins.set(xlabel="bin, from the left", ylabel="error of the place (px)", title="where the triangle's bins read",
             ylim=(-3, 3))
    moved.set(xlabel="region moved to the right by (px)", title="the mean over the seven bins", ylim=(-3, 3))
    names = {"baseline": ("RoIAlign", CURVE, "o"), "roi_pool": ("RoIPool", NEGATIVE, "o"),
             "unaligned": ("rounded regions, bilinear", MUTED, "s")}
    for k, (name, (text, color, marker)) in enumerate(names.items()):
        aps = np.array([[run[key] for key in ("AP50", "AP75", "AP90")] for run in runs[name]])
        worth.plot(range(3), aps.mean(axis=0), color=color, label=text if marker == "s" else None)
        worth.plot(range(3), aps.T, marker, color=color, markersize=4)
        worth.text(2.1, aps[:, 2].mean() + (0, -0.02, 0.02)[k], f"{aps[:, 2].mean():.2f}", color=color, va="center")
    worth.set(xticks=range(3), xticklabels=[".5", ".75", ".9"], xlim=(-0.1, 2.5), ylim=(0, 1), ylabel="AP of the masks",
              xlabel="IoU from which a mask counts as right", title="what it costs, three seeds each")
    figure.legend(loc="outside lower center", ncols=3, fontsize=NORMAL)
    heading(figure, "RoIPool reads elsewhere in each bin and each place, and strict AP pays for it")
    figure.set_label("Left, the error of the place in each bin: zero for RoIAlign, -1.5 to 1.5 pixels for RoIPool. "
                     "Middle, its mean while the region moves: a sawtooth for RoIPool. Right, AP of masks at IoU .5, "
                     ".75 and .9: alike at first, .58 against .19 at the end.")
    return figure


def matrix(A, size=2, shape=(3, 5)):
    """A matrix with one row and one column framed; below, the row as a map, and what two gradients stamp."""
    figure = new_figure(9, 4.3)
    above, below = figure.subplots(2, 1, height_ratios=[1, 0.95])
    draw_cells(above, np.where(A > 0, A, np.nan), fmt="{:.3g}", limits=(0, 0.5), fontsize=SMALL,
               frame=[(0, 0, 1, 15), (0, 7, 4, 1)], frame_color=(CURVE, NEGATIVE))
    above.set(xticks=np.arange(15) + 0.5, xticklabels=[f"{i},{j}" for i, j in np.ndindex(*shape)],
              yticks=np.arange(4) + 0.5, yticklabels=[f"bin {p},{q}" for p, q in np.ndindex(size, size)],
              xlabel="cell of the map: row,column")
    one, all_four = np.array([8.0, 0, 0, 0]), np.full(4, 8.0)
    draw_cells(below, np.where(A[0] > 0, A[0], np.nan).reshape(shape), "forward: what bin 0,0 reads", fmt="{:.3g}",
               limits=(0, 0.5), fontsize=SMALL)
    for k, (dy, text) in enumerate(((one, "backward: 8 at bin 0,0"), (all_four, "backward: 8 at all four bins"))):
        draw_cells(below, (A.T @ dy).reshape(shape), text, cmap="Purples", limits=(0, 7), fontsize=SMALL,
                   origin=(0, 6 * (k + 1)), frame=(1, 2, 1, 1) if k else None)
    heading(figure, "One matrix, two passes: rows say who reads what, columns who hears whom")
    figure.set_label("A 4x15 matrix with six weights in each row; one row and one column are framed. Below: the row as "
                     "a map, and the gradients that one bin and all four bins stamp onto the map.")
    return figure
