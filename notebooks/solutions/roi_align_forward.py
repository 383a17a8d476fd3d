"""RoIAlign of one region on one channel: the mean of four bilinear samples in each bin."""

import numpy as np


def roi_align_forward(feature, box, size):
    (h, w), (x1, y1, x2, y2) = feature.shape, box
    height, width = max(y2 - y1, 1), max(x2 - x1, 1)     # at least one cell
    y = np.zeros(size)
    for p in range(2 * size[0]):
        for q in range(2 * size[1]):
            v = min(max(y1 + (p + 0.5) * height / (2 * size[0]), 0), h - 1)
            u = min(max(x1 + (q + 0.5) * width / (2 * size[1]), 0), w - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            fv, fu = v - top, u - left
            upper = (1 - fu) * feature[top, left] + fu * feature[top, right]
            lower = (1 - fu) * feature[bottom, left] + fu * feature[bottom, right]
            y[p // 2, q // 2] += ((1 - fv) * upper + fv * lower) / 4
    return y
