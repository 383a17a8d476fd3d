"""RoIAlign backward: each cell gets back the weight with which it was read, times the gradient of the bin."""

import numpy as np


def roi_align_backward(dy, shape, box):
    (h, w), (x1, y1, x2, y2), size = shape, box, dy.shape
    height, width = max(y2 - y1, 1), max(x2 - x1, 1)     # at least one cell
    dfeature = np.zeros(shape)
    for p in range(2 * size[0]):
        for q in range(2 * size[1]):
            v = min(max(y1 + (p + 0.5) * height / (2 * size[0]), 0), h - 1)
            u = min(max(x1 + (q + 0.5) * width / (2 * size[1]), 0), w - 1)
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            fv, fu, share = v - top, u - left, dy[p // 2, q // 2] / 4
            dfeature[top, left] += (1 - fv) * (1 - fu) * share
            dfeature[top, right] += (1 - fv) * fu * share
            dfeature[bottom, left] += fv * (1 - fu) * share
            dfeature[bottom, right] += fv * fu * share
    return dfeature
