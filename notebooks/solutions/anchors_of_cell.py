"""One anchor for each ratio, of equal area, centered on the cell's upper left corner."""

import numpy as np


def anchors_of_cell(row, column, stride, size, ratios):
    x, y = column * stride, row * stride
    anchors = []
    for ratio in ratios:
        half_w = np.round(size / np.sqrt(ratio) / 2)
        half_h = np.round(size * np.sqrt(ratio) / 2)
        anchors.append([x - half_w, y - half_h, x + half_w, y + half_h])
    return np.array(anchors)
