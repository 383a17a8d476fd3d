"""Stage 9, pasting: each 28x28 mask is stretched over its box in the image.

The mask head answers in the coordinates of a RoI; people want pixels of the image. The small mask gets a
border of zeros, so that it can fade out at the box's edge; its box grows by the same proportion; then the
mask is resized to the box's size in whole pixels and copied to its place. What falls outside the image is
cut off. Values stay probabilities: whoever wants a yes or no compares them with .5.

Source: torchvision `paste_masks_in_image`, whose rounding (toward zero) and ``+ 1`` are kept to the pixel.
"""

import numpy as np

from .. import ops

PADDING = 1     # cells of zeros around the small mask


def expand_boxes(boxes, scale):
    """Grow boxes about their centers."""
    half_width = (boxes[:, 2] - boxes[:, 0]) * 0.5 * scale
    half_height = (boxes[:, 3] - boxes[:, 1]) * 0.5 * scale
    center_x = (boxes[:, 2] + boxes[:, 0]) * 0.5
    center_y = (boxes[:, 3] + boxes[:, 1]) * 0.5
    return np.stack([center_x - half_width, center_y - half_height,
                     center_x + half_width, center_y + half_height], axis=1)


def paste_mask(mask, box, canvas):
    """Stretch one padded mask over its integer box and copy it into the canvas, in place.

    Parameters
    ----------
    mask : (M + 2, M + 2) ndarray
    box : four ints
        Expanded and truncated; its last row and column are *inclusive* (the one inclusive box in this package).
    canvas : (H, W) ndarray
        Zeros, written to.
    """
    x1, y1, x2, y2 = (int(v) for v in box)
    left, right = max(x1, 0), min(x2 + 1, canvas.shape[1])
    top, bottom = max(y1, 0), min(y2 + 1, canvas.shape[0])
    if left < right and top < bottom:
        low, high, fraction = ops.bilinear_neighbors(len(mask), max(y2 - y1 + 1, 1), mask.dtype)
        seen = slice(top - y1, bottom - y1)                     # rows of the stretched mask that are in the image
        low, high, fraction = low[seen], high[seen], fraction[seen, None]
        rows = mask[low] * (1 - fraction) + mask[high] * fraction
        low, high, fraction = ops.bilinear_neighbors(len(mask), max(x2 - x1 + 1, 1), mask.dtype)
        seen = slice(left - x1, right - x1)
        low, high, fraction = low[seen], high[seen], fraction[seen]
        canvas[top:bottom, left:right] = rows[:, low] * (1 - fraction) + rows[:, high] * fraction


def paste_masks(masks, boxes, image_size):
    """Paste all masks of an image.

    Parameters
    ----------
    masks : (D, M, M) ndarray
        Probabilities.
    boxes : (D, 4) ndarray
        In pixels of the image that is pasted into.
    image_size : (H, W)

    Returns
    -------
    pasted : (D, H, W) ndarray
        Probabilities, 0 outside the boxes.
    """
    pasted = np.zeros((len(masks),) + tuple(image_size), dtype=masks.dtype)
    padded, expanded = _pad(masks, boxes)
    ops.for_each(lambda k: paste_mask(padded[k], expanded[k], pasted[k]), range(len(masks)))
    return pasted


def paste_when_asked(masks, boxes, image_size):
    """Return a function that pastes one mask, by its row: what `paste_masks` returns, one at a time."""
    padded, expanded = _pad(masks, boxes)

    def pasted(row):
        canvas = np.zeros(image_size, masks.dtype)
        paste_mask(padded[row], expanded[row], canvas)
        return canvas
    return pasted


def _pad(masks, boxes):
    """Return the masks with their border of zeros, and the boxes that they then fill, in whole pixels."""
    padded = np.pad(masks, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    scale = float(padded.shape[1]) / (padded.shape[1] - 2 * PADDING)
    return padded, expand_boxes(boxes, scale).astype(np.int64)  # toward zero, as torch converts
