"""Apply deltas to anchors: move the center, multiply the size."""

import numpy as np


def decode_boxes(deltas, anchors):
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    center = anchors[:, :2] + anchor_size / 2 + deltas[:, :2] * anchor_size
    size = anchor_size * np.exp(np.minimum(deltas[:, 2:], np.log(1000 / 16)))
    return np.concatenate([center - size / 2, center + size / 2], axis=1)
