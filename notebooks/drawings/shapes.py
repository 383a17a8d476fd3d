"""Figures of lesson 01. What is true of an object is drawn dashed in the color of its class, as in all lessons; where
only the number of objects matters, each has a color and a number of its own. One figure shows pixels as numbers, one
paints the image shape by shape, one puts all masks into a single picture; frames move a cover over a circle, and two
figures show what the network is given and how large the objects of many images are.
"""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from npmaskrcnn.plots.instances import draw_instances
from npmaskrcnn.plots.style import (
    CURVE,
    DASHED,
    IGNORED,
    INK,
    MUTED,
    SMALL,
    TRACK_COLORS,
    class_color,
    draw_boxes,
    ink_on,
    new_figure,
    panels,
    show_image,
    styled,
)

NAMES = ("background", "circle", "square", "triangle")
OBJECT_COLORS = TRACK_COLORS[1], TRACK_COLORS[3], TRACK_COLORS[6], TRACK_COLORS[8]      # unlike those of classes
HIDDEN, SEEN = 0.82, 0.35       # gray of what is hidden of an object, and of its mask


@styled
def pixel(image, row, column):
    """The image, and a window of 5 x 8 pixels around one, each with its red, green and blue."""
    figure = new_figure(9, 3.5)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.35))
    top, start = row - 2, column - 4
    show_image(left, image)
    draw_boxes(left, [[start, top, start + 8, top + 5]], INK, 1.5)
    left.set_title("96 rows, 128 columns; the frame is enlarged")
    part = image[top:top + 5, start:start + 8]
    right.imshow(part, extent=(start, start + 8, top + 5, top))
    for (i, j) in np.ndindex(part.shape[:2]):
        right.text(start + j + 0.5, top + i + 0.5, "\n".join(map(str, part[i, j])), ha="center", va="center",
                   fontsize=SMALL, linespacing=1.05, color=ink_on(part[i, j] / 255))
    right.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=INK, linewidth=3, zorder=5))
    right.set(xticks=range(start, start + 9), yticks=range(top, top + 6), xlabel="x (px)", ylabel="y (px)",
              title=f"framed: image[{row}, {column}], from x = {column} to {column + 1}, from y = {row} to {row + 1}")
    right.grid(color="white", linewidth=0.8)
    right.set_axisbelow(False)
    figure.set_label(f"Left: the image, with a small frame at the triangle's left edge. Right: 5 x 8 pixels with their "
                     f"three numbers; pixel [{row}, {column}] is the first of the triangle in its row.")
    return figure


@styled
def painted(scene, target):
    """Above, the image after each shape that is painted; below, what is seen of that shape in the end, and its box."""
    figure, axes = panels(2, len(target), width=2.25, height=1.95)
    picture = np.full((*scene.layers.shape[1:], 3), scene.background, np.uint8)
    for k, (above, below) in enumerate(axes.T):
        picture[scene.layers[k]] = scene.colors[k]
        show_image(above, picture, axis_labels=False)
        above.set_title(f"{k + 1}. paint a {NAMES[target.labels[k]]}")
        shades = np.where(target.masks[k], SEEN, np.where(scene.layers[k], HIDDEN, 1))
        show_image(below, shades[:, :, None], axis_labels=False)
        draw_boxes(below, target.boxes[k], class_color(target.labels[k]), 2, linestyle=DASHED, halo=False)
        below.set_title(f"row {k}: {target.masks[k].sum():,} pixels")
    figure.set_label("Above: the image after circle, square, triangle and another square are painted. Below: the mask "
                     "of each, dark, in its box; what is hidden of the circle and of the first square is pale.")
    return figure


@styled
def merged(target):
    """What remains of the objects if all masks are one, if there is one map of classes, and with a mask for each."""
    one, classes, objects = (np.ones((*target.masks.shape[1:], 3)) for _ in range(3))
    one[target.masks.any(axis=0)] = SEEN
    for k, mask in enumerate(target.masks):
        classes[mask], objects[mask] = to_rgb(class_color(target.labels[k])), to_rgb(OBJECT_COLORS[k])
    figure, axes = panels(1, 3, width=3, height=2.5)
    titles = ("all masks in one: two pieces", "one map of classes: three pieces", "a mask for each object: four")
    for ax, picture, title in zip(axes[0], (one, classes, objects), titles):
        show_image(ax, picture, axis_labels=False)
        ax.set_title(title)
    for k, mask in enumerate(target.masks):
        y, x = np.argwhere(mask).mean(axis=0) + 0.5
        axes[0, 2].text(x, y, k, ha="center", va="center", fontweight="bold", fontsize=11,
                        color=ink_on(OBJECT_COLORS[k]))
    figure.set_label("Left: the union of all masks, gray: two pieces. Middle: each pixel in the color of its class; "
                     "the two squares are one piece. Right: each object in a color of its own, numbered 0 to 3.")
    return figure


PASSING = ("Left: an orange circle, a gray cover in front of it, and the dashed box of what is seen. Right: the box's "
           "left and right edge for each place of the cover: they move only while the cover hides a side.")


def seen_of(layer, left, width=16):
    """The mask of a shape behind a cover, an upright bar whose left edge is at `left`."""
    mask = layer.copy()
    mask[:, max(left, 0):max(left + width, 0)] = False
    return mask


@styled
def passing(layer, left, places, width=16):
    """A cover in front of a shape, the box of what is seen, and that box's extent for all places of the cover."""
    figure = new_figure(8, 3)
    picture, chart = figure.subplots(1, 2, width_ratios=(1, 1.25))
    ground = np.ones((*layer.shape, 3))
    ground[layer] = to_rgb(class_color(1))
    show_image(picture, ground)
    picture.add_patch(Rectangle((left, 22), width, 60, facecolor=IGNORED, edgecolor="none"))
    for place in places:
        columns = np.flatnonzero(seen_of(layer, place).any(axis=0))
        here = place == left
        chart.plot([columns[0], columns[-1] + 1], [place] * 2, color=class_color(1) if here else "#B9BEC6",
                   linewidth=7 if here else 4, solid_capstyle="butt")
    mask = seen_of(layer, left)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    draw_boxes(picture, box, INK, 1.6, linestyle=DASHED, halo=False)
    picture.set(xlim=(-10, 74), ylim=(84, 20), title=f"{mask.sum():,} of {layer.sum():,} pixels are seen")
    chart.set(xlim=(0, 62), xticks=range(7, 56, 8), ylim=(places[-1] + 6, places[0] - 6), yticks=places,
              xlabel="from x1 to x2 of the box (px)", ylabel="left edge of the cover (px)",
              title="box " + " ".join(map(str, box)))
    figure.set_label(PASSING)
    return figure


@styled
def batch(given, target, canvases, sizes, targets):
    """An image as it is given, and the canvases of a batch in which it is the first, with the objects' boxes."""
    figure = new_figure(8.6, 2.9)
    axes = figure.subplots(1, 1 + len(canvases), width_ratios=(128, *[96] * len(canvases)))
    show_image(axes[0], given)
    draw_instances(axes[0], target.boxes, target.labels, truth=True)
    axes[0].set_title("given: 96 x 128")
    for ax, canvas, (height, width), there in zip(axes[1:], canvases, sizes, targets):
        show_image(ax, np.clip(canvas * 0.25 + 0.5, 0, 1))
        draw_instances(ax, there.boxes, there.labels, truth=True)
        ax.set_title(f"{height} x {width} on a canvas of {canvas.shape[0]} x {canvas.shape[1]}")
    for ax in axes:
        ax.set(yticks=range(0, 97, 32), xticks=range(0, int(ax.get_xlim()[1]) + 1, 32))
    figure.set_label("Left: the image with the dashed boxes of its objects. Middle: resized, in the upper left corner "
                     "of a gray canvas, with its boxes. Right: an upright image on a canvas of the same size.")
    return figure


@styled
def sizes(sides, areas):
    """Histograms of the objects' sizes: the root of the box's area and the root of the mask's."""
    figure = new_figure(8.5, 2.8)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, values, name in zip(axes, (sides, areas), ("box", "mask")):
        ax.hist(values, bins=np.arange(0, 61, 3), color=CURVE)
        ax.set(xlabel=f"square root of the {name}'s area (px)", xlim=(0, 60))
        ax.axvline(np.median(values), color=MUTED, linestyle=DASHED)
        ax.text(np.median(values) + 0.7, 0.98, f"median {np.median(values):.0f}", va="top", fontsize=SMALL,
                transform=ax.get_xaxis_transform())
        ax.margins(y=0.12)
    axes[0].set_ylabel("objects")
    figure.set_label("Two histograms. Roots of box areas lie mostly between 20 and 48 pixels, with a thin tail below; "
                     "roots of mask areas are smaller, because circles and triangles do not fill their boxes.")
    return figure
