"""From anchors to boxes as deltas: shifts in units of the anchor's size, and logarithms of the ratios of sizes."""

import numpy as np


def encode_boxes(boxes, anchors):
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    center, anchor_center = boxes[:, :2] + size / 2, anchors[:, :2] + anchor_size / 2
    return np.concatenate([(center - anchor_center) / anchor_size, np.log(size / anchor_size)], axis=1)
