"""A frame around a part of an image, which may reach beyond it: there the image is zero."""

import numpy as np


def in_frame(x, top, left, height, width):
    """The part of `x` in a height x width frame whose corner is at (top, left); zeros where there is no x."""
    n, h, w, c = x.shape
    if 0 <= top and 0 <= left and top + height <= h and left + width <= w:
        return x[:, top : top + height, left : left + width]
    frame = np.zeros((n, height, width, c), x.dtype)
    y1, y2 = max(top, 0), min(top + height, h)
    x1, x2 = max(left, 0), min(left + width, w)
    if y1 < y2 and x1 < x2:
        frame[:, y1 - top : y2 - top, x1 - left : x2 - left] = x[:, y1:y2, x1:x2]
    return frame
