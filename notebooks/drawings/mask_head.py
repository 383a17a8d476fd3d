"""The figures of lesson 11: what the mask head makes of one region step by step, what it must answer when the region
moves, what a softmax across classes loses, two squares that share pixels, and what 28x28 cells keep of a shape with
fine teeth. A mask is white where its probability is 1 and black where it is 0, framed in the color of the class that
it is asked for."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.notebook import heading
from npmaskrcnn.plots.pyramid import feature_picture
from npmaskrcnn.plots.style import (CURVE, DASHED, INK, MUTED, NEGATIVE, class_color, draw_boxes, faded,
                                    new_figure, show_image, show_mask, zoom)
from npmaskrcnn.stages.mask_head import mask_targets
from npmaskrcnn.stages.paste import paste_masks
from npmaskrcnn.stages.roi_pooler import make_rois
from npmaskrcnn.structures import mask_extents

NAMES = ("background", "circle", "square", "triangle")


def inside(image, box, steps, masks, label):
    """One region on its way through the mask head: features above, the masks of all classes below.

    `steps` are (name, (h, w, C) array), `masks` (28, 28, K) probabilities, `label` the detection's class.
    """
    figure = new_figure(9, 5.2)
    above, below = figure.subplots(2, 4)
    show_image(above[0], image, axis_labels=False)
    draw_boxes(above[0], box, class_color(label), 2)
    zoom(above[0], [box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8])
    above[0].set(title="the image and the box", aspect="auto", box_aspect=1)
    for ax, (name, values) in zip(above[1:], steps):
        show_image(ax, feature_picture(values), axis_labels=False)
        ax.set_title(f"{name}\n" + "x".join(str(length) for length in values.shape))
    for k, ax in enumerate(below):
        color, width = (class_color(k), 5) if k == label else (MUTED, 0.6)
        heat = show_mask(ax, masks[:, :, k], color, width)
        ax.set_title(f"mask {k}: {NAMES[k]}" + ", the box head's class" * (k == label), color=color)
    figure.colorbar(heat, ax=below, label="probability", shrink=0.8, aspect=14)
    heading(figure, "From 14x14 cells to four masks of 28x28; the class of the box head picks one")
    figure.set_label("Above: the triangle in its box, and three pictures of features, in which it comes out clearer "
                     "from step to step. Below: masks of four classes. That of the triangle is sharp and framed.")
    return figure


# ---- targets ----


def flat(image, target):
    """The image with one color for each object and one for the ground: a picture that takes little room."""
    picture = np.empty_like(image)
    for mask in [~target.masks.any(axis=0), *target.masks]:
        picture[mask] = image[mask].mean(axis=0)
    return picture


def answers(model, features, boxes, label):
    """The small masks (P, 28, 28) that the model's mask head draws in any regions of an image, for one class."""
    heads = model.roi_heads
    pooled = heads.mask_pooler(features[:4], make_rois([np.asarray(boxes, np.float32)]))
    return ops.sigmoid(heads.mask_predictor(heads.mask_head(pooled))[:, :, :, label])


def moved_frames(model, image, target, features, row):
    """Make the function that draws one frame: the region moved to the right, its target, and the head's answer."""
    picture, label = faded(flat(image, target)), int(target.labels[row])

    def frame(shift):
        roi = target.boxes[row:row + 1] + np.float32(shift) * np.array([1, 0, 1, 0], np.float32)
        wanted = mask_targets(target.masks, roi, np.array([row]), 28, np.float64)[0]
        answer = answers(model, features, roi, label)[0]
        figure = new_figure(8, 3)
        left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
        show_image(left, picture, axis_labels=False)
        draw_boxes(left, roi, class_color(label), 2.5)
        zoom(left, [28, 46, 98, 90])
        left.set_title("the region")
        for ax, values, name in ((middle, wanted, "what it must answer"), (right, answer, "what it answers")):
            show_mask(ax, values, class_color(label), 2)
            ax.set_title(f"{name}, 28x28")
        over = ((answer > 0.5) & (wanted > 0.5)).sum() / ((answer > 0.5) | (wanted > 0.5)).sum()
        heading(figure, f"Region moved by {shift:g} px: IoU of answer and target {over:.2f}")
        return figure
    return frame


# ---- no competition ----


def sigmoid_and_softmax(stored, meta, number):
    """One object of those stored, for which a softmax fails: masks by two heads, four classes each."""
    row = stored["example"][number]
    crowd = ShapesDataset(meta["test_images"], seed=meta["test_seed"], **meta["crowded"])
    image, target = crowd[int(stored["image"][row])]
    box, label = target.boxes[stored["object"][row]], int(stored["label"][row])
    masks = stored["example_masks"][number, :2] / 255
    figure = new_figure(9, 4.1)
    axes = figure.subplots(2, 5, width_ratios=[1.3, 1, 1, 1, 1])
    show_image(axes[0, 0], image, axis_labels=False)
    draw_boxes(axes[0, 0], box, class_color(label), 2.5)
    axes[0, 0].set_title(f"asked for: the {NAMES[label]}")
    axes[1, 0].axis("off")
    for row, name in enumerate(("sigmoids", "softmax")):
        for k, ax in enumerate(axes[row, 1:]):
            color, width = (class_color(label), 4) if k == label else (MUTED, 1)
            heat = show_mask(ax, masks[row, :, :, k], color, width)
            ax.set_title(f"{NAMES[k]}: {middle(masks[row, :, :, k]):.2f}")
        axes[row, 1].set_ylabel(name, fontweight="bold", color=INK)
    figure.colorbar(heat, ax=axes, label="probability", shrink=0.6, aspect=16)
    heading(figure, "By softmax the classes share the probability; in the titles: means over the middle")
    figure.set_label(f"A partly hidden {NAMES[label]} in a crowd, and its masks of four classes by two heads. By "
                     f"sigmoids that of the {NAMES[label]} is bright; by softmax all are dim, the square least.")
    return figure


def middle(mask):
    """Mean over the 12x12 cells in the middle of a mask."""
    return mask[8:20, 8:20].mean()


def touching(image, boxes, masks, label):
    """Two regions that share pixels, and the mask of each; the shared pixels are framed in both."""
    figure = new_figure(9, 2.4)
    axes = figure.subplots(1, 3)
    shared = [*np.maximum(boxes[0, :2], boxes[1, :2]), *np.minimum(boxes[0, 2:], boxes[1, 2:])]
    around = [boxes[:, 0].min() - 4, boxes[:, 1].min() - 2, boxes[:, 2].max() + 4, boxes[:, 3].max() + 6]
    for ax, picture, own in zip(axes, (image, *masks), (boxes, boxes[0], boxes[1])):
        show_image(ax, picture, axis_labels=False, cmap="gray", vmin=0, vmax=1)
        draw_boxes(ax, own, class_color(label), 2.5, halo=False)
        draw_boxes(ax, shared, NEGATIVE, 1.6, DASHED, halo=False)
        zoom(ax, around)
    for ax, title in zip(axes, ("two squares, two regions", "mask of the left region", "mask of the right region")):
        ax.set_title(title)
    heading(figure, "Both regions contain the dashed pixels; each mask is about its own object")
    figure.set_label("Two touching squares with their boxes, which overlap in a strip, dashed. The mask of the left "
                     "region leaves the strip out, that of the right region contains all of it.")
    return figure


# ---- 28x28 and 200x90 ----


def toothed(canvas=(110, 220), box=(10, 10, 210, 100), tooth=5, length=15):
    """A block of 200x90 pixels whose upper and right edge are cut into teeth, in a (H, W) mask."""
    mask = np.zeros(canvas, bool)
    x1, y1, x2, y2 = box
    mask[y1 + length:y2, x1:x2 - length] = True
    for x in range(x1, x2 - length, 2 * tooth):
        mask[y1:y1 + length, x:x + tooth] = True
    for y in range(y1 + length, y2, 2 * tooth):
        mask[y:y + tooth, x2 - length:x2] = True
    return mask


def through_the_grid(mask, side):
    """The ideal small mask of an object, (side, side), and where it is pasted above .5."""
    box = mask_extents(mask[None]).astype(np.float64)
    small = mask_targets(mask[None], box, np.array([0]), side, np.float64)
    return small[0], paste_masks(small, box, mask.shape)[0] > 0.5


def teeth_frames(mask):
    """Make the function that draws one frame: a shape under a grid of side x side cells, and what comes back."""
    x1, y1, x2, y2 = mask_extents(mask[None])[0]

    def frame(side):
        small, pasted = through_the_grid(mask, side)
        figure = new_figure(9, 2.9)
        left, middle_ax, right = figure.subplots(1, 3, width_ratios=[2.05, 1, 2.05])
        picture = np.where(mask[:, :, None], np.uint8(150), np.uint8(245)) * np.ones(3, np.uint8)
        show_image(left, picture)
        thin = {"color": CURVE, "linewidth": 0.5 if side < 56 else 0.2}
        left.vlines(np.linspace(x1, x2, side + 1), y1, y2, **thin)
        left.hlines(np.linspace(y1, y2, side + 1), x1, x2, **thin)
        left.set_title(f"a cell: {(x2 - x1) / side:.1f} x {(y2 - y1) / side:.1f} px")
        show_image(middle_ax, small, axis_labels=False, cmap="gray", vmin=0, vmax=1)
        middle_ax.set_title(f"{side}x{side} cells")
        picture = picture.copy()
        picture[mask & ~pasted], picture[pasted & ~mask] = _rgb(NEGATIVE), _rgb(CURVE)
        show_image(right, picture)
        right.plot([], [], "s", color=NEGATIVE, label="missing")
        right.plot([], [], "s", color=CURVE, label="too much")
        right.set_title(f"pasted: {(mask & ~pasted).sum()} px missing, {(pasted & ~mask).sum()} too much")
        figure.legend(loc="outside lower right", ncols=2)
        iou = (mask & pasted).sum() / (mask | pasted).sum()
        heading(figure, f"A perfect mask of {side}x{side} cells comes back with IoU {iou:.3f}")
        return figure
    return frame


def _rgb(color):
    """A color "#RRGGBB" as three bytes."""
    return np.array([int(color[start:start + 2], 16) for start in (1, 3, 5)], np.uint8)
