"""Paste a small mask into an image, torchvision's way: border, grown box, whole pixels, bilinear."""

import numpy as np


def paste_mask(mask, box, image_size):
    side = len(mask)
    grow = (side + 2) / side
    center_x, center_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_w, half_h = (box[2] - box[0]) / 2 * grow, (box[3] - box[1]) / 2 * grow
    x1, y1 = int(center_x - half_w), int(center_y - half_h)
    x2, y2 = int(center_x + half_w), int(center_y + half_h)
    stretched = stretch(np.pad(mask, 1), max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
    pasted = np.zeros(image_size)
    left, right = max(x1, 0), min(x2 + 1, image_size[1])
    top, bottom = max(y1, 0), min(y2 + 1, image_size[0])
    if left < right and top < bottom:
        pasted[top:bottom, left:right] = stretched[top - y1:bottom - y1, left - x1:right - x1]
    return pasted


def stretch(image, height, width):
    """Resize bilinearly, rows first and then columns."""
    return stretch_rows(stretch_rows(image, height).T, width).T


def stretch_rows(image, height):
    source = np.maximum((np.arange(height) + 0.5) * len(image) / height - 0.5, 0)
    low = np.minimum(source.astype(int), len(image) - 1)
    high = np.minimum(low + 1, len(image) - 1)
    fraction = (source - low)[:, None]
    return (1 - fraction) * image[low] + fraction * image[high]
