"""Boxes from the network's input back to the given image: one ratio per axis; padding moved nothing."""

import numpy as np


def to_image_frame(boxes, padded, resized, given):
    ry, rx = given[0] / resized[0], given[1] / resized[1]
    return boxes * np.array([rx, ry, rx, ry])
