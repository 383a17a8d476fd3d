"""Each anchor asks for its best object; then each object makes sure that it does not go empty."""

import numpy as np


def match(iou, high, low):
    num_objects, num_anchors = iou.shape
    matches = np.full(num_anchors, -1)
    for anchor in range(num_anchors if num_objects else 0):
        best = iou[:, anchor].argmax()
        is_best_of_an_object = any(iou[o, anchor] == iou[o].max() for o in range(num_objects))
        if iou[best, anchor] >= high or is_best_of_an_object:
            matches[anchor] = best
        elif iou[best, anchor] >= low:
            matches[anchor] = -2
    return matches
