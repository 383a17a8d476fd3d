"""The pyramid: what the backbone and the FPN make of an image, and the anchors that stand on it.

Maps are shown in the false colors of `views`, and are stretched over the pixels that they describe, so that all
panels align. A map of answers about anchors is laid where these are: they are centered on their cell's upper left
corner.
"""

import numpy as np

from ..views import feature_picture
from ..words import count
from .style import LEVEL_NAMES, MUTED, SMALL, draw_boxes, faded, level_color, panels, say_nothing, show_image, styled

NO_ANCHOR = "#9A9A9A"   # behind a map of answers: where no cell's anchors are centered


@styled
def features(trace, size=2.3):
    """Draw C2..C5 of the backbone over P2..P6 of the feature pyramid.

    Parameters
    ----------
    trace : Trace
    size : float
        Width of a panel in inches; all have the proportions of the input.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = trace.batch.shape[1:3]
    figure, axes = panels(2, 1 + len(trace.features), size, size * height / width + 0.55)
    for row, letter, maps in zip(axes[:, 1:], "CP", (trace.body_features, trace.features)):
        for ax in row[len(maps):]:
            ax.axis("off")
        for i, (ax, feature) in enumerate(zip(row, maps)):
            show_image(ax, feature_picture(feature[0]), (height, width), axis_labels=False)
            _, h, w, channels = feature.shape
            ax.set_title(f"{letter}{i + 2}: {h} × {w} cells of {trace.strides[i][0]:g} px")
            ax.set_xlabel(f"{channels} channels", fontsize=SMALL, color=MUTED)
    show_image(axes[0, 0], input_image(trace))
    axes[0, 0].set_title("Input")
    lengths = np.linalg.norm(trace.features[0][0], axis=-1)
    show_image(axes[1, 0], lengths, (height, width), axis_labels=False, cmap="magma")
    axes[1, 0].set_title("Length of P2's vectors")
    figure.set_label(f"An input of {height} x {width} pixels and its feature maps as false-color pictures: "
                     f"{len(trace.body_features)} of the backbone, {len(trace.features)} of the feature "
                     "pyramid, each half as fine as the one before.")
    return figure


@styled
def anchors(image, anchors, grid_sizes, cell=None, size=2.6):
    """Draw, level by level, the grid of cells and the anchors of one of them.

    Parameters
    ----------
    image : (H, W, 3) array
        The input that the anchors are laid over.
    anchors : list of (A_l, (x1, y1, x2, y2)) arrays
        Per level, in row order y, x, anchor.
    grid_sizes : list of (height, width)
        Cells of each level.
    cell : (y, x), optional
        Where the cell is, as parts of the map's height and width; the middle by default.
    size : float
        Width of a panel in inches.

    Returns
    -------
    figure : matplotlib Figure
    """
    height, width = np.asarray(image).shape[:2]
    figure, axes = panels(1, max(len(anchors), 1), size, 1.15 * size * height / width + 1.4)
    down, across = (0.5, 0.5) if cell is None else cell
    grids = [np.asarray(boxes, np.float64).reshape(h, w, -1, 4) for boxes, (h, w) in zip(anchors, grid_sizes)]
    ones = [grid[min(int(down * h), h - 1), min(int(across * w), w - 1)] for grid, (h, w) in zip(grids, grid_sizes)]
    reach = np.concatenate([[[0, 0, width, height]], *ones])     # all panels show the same piece of the plane
    for level, (ax, grid, one) in enumerate(zip(axes[0], grids, ones)):
        show_image(ax, faded(image))
        centers = grid[:, :, 0].reshape(-1, 2, 2).mean(axis=1)
        ax.scatter(*centers.T, s=(1, 3, 6, 12, 12)[min(level, 4)], color=level_color(level), linewidths=0, zorder=3)
        draw_boxes(ax, one, level_color(level), linewidth=1.8)
        shapes = "\n".join(f"{w:.0f} × {h:.0f} px" for w, h in (one[:, 2:] - one[:, :2]))
        ax.set(xlim=(reach[:, 0].min() - 2, reach[:, 2].max() + 2), ylim=(reach[:, 3].max() + 2, reach[:, 1].min() - 2),
               title=f"{LEVEL_NAMES[level]}: {grid.shape[0]} × {grid.shape[1]} cells,\n"
                     f"{count(grid[..., 0].size, 'anchor')}:\n{shapes}")
        ax.label_outer()
    if not len(anchors):
        say_nothing(axes[0, 0], "no anchor")
    figure.set_label("One panel per pyramid level with its grid of cells as dots and the anchors of one cell "
                     f"as boxes; {count(sum(map(len, anchors)), 'anchor')} in all.")
    return figure


def show_answers(ax, values, padded_size, axis_labels=False, **imshow_options):
    """Draw one number per cell, an answer about an anchor, with each cell centered where its anchors are.

    Anchors sit on their cell's upper left corner, so the map lies half a cell further up and left than
    the pixels that the cells stand for; at the right and lower edge a strip of the image, gray, has none.

    Parameters
    ----------
    ax : Axes
    values : (h, w) array
    padded_size : (height, width)
        Of the network's input, in pixels.
    axis_labels : bool
        As in `show_image`.
    """
    rows, columns = np.shape(values)
    down, across = padded_size[0] // rows, padded_size[1] // columns      # between anchors, as AnchorGenerator has it
    artist = show_image(ax, values, padded_size, axis_labels, **imshow_options)
    artist.set_extent((-across / 2, (columns - 0.5) * across, (rows - 0.5) * down, -down / 2))
    ax.set_facecolor(NO_ANCHOR)
    return artist


def input_image(trace):
    """The padded image that the net sees, (H', W', 3) in 0..1: the batch with its normalization undone.

    The trace does not hold mean and standard deviation of the normalization, but the image before and after
    it gives them away, channel by channel. Padding is zero after normalization: it shows as the mean color.
    """
    batch = np.asarray(trace.batch[0], np.float64)
    height, width = trace.image_size
    seen, given = batch[:height, :width].reshape(-1, 3), np.asarray(trace.image, np.float64).reshape(-1, 3)
    spread = seen.std(axis=0)
    scale = np.divide(given.std(axis=0), spread, out=np.ones(3), where=spread > 1e-6)
    return np.clip((batch - seen.mean(axis=0)) * scale + given.mean(axis=0), 0, 1)
