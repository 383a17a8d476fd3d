"""Keep the best box, drop what overlaps it too much, and go on with the rest."""

import numpy as np


def nms(boxes, scores, iou_threshold):
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rest = np.argsort(-scores, kind="stable")
    keep = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        keep.append(best)
        corner1, corner2 = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        intersection = np.maximum(corner2 - corner1, 0).prod(axis=1)
        rest = rest[intersection / (area[best] + area[rest] - intersection) <= iou_threshold]
    return np.array(keep, dtype=int)
