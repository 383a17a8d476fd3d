"""From scores to detections: above the threshold, refined, the best of each heap of one class."""

import numpy as np


def detections(scores, deltas, proposals, score_threshold, iou_threshold):
    rows, labels = np.nonzero(scores[:, 1:] > score_threshold)
    labels = labels + 1                                             # column 0, background, was left out
    scores = scores[rows, labels]
    order = np.argsort(-scores, kind="stable")
    rows, labels, scores = rows[order], labels[order], scores[order]

    size = proposals[rows, 2:] - proposals[rows, :2]
    moves = deltas[rows, labels] / [10, 10, 5, 5]
    center = proposals[rows, :2] + size / 2 + moves[:, :2] * size
    size = size * np.exp(np.minimum(moves[:, 2:], np.log(1000 / 16)))
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=1)

    keep = []
    for i in range(len(boxes)):                                     # best first
        rivals = [j for j in keep if labels[j] == labels[i]]        # better ones of its own class
        corner1, corner2 = np.maximum(boxes[rivals, :2], boxes[i, :2]), np.minimum(boxes[rivals, 2:], boxes[i, 2:])
        shared = np.maximum(corner2 - corner1, 0).prod(axis=1)
        union = (boxes[rivals, 2:] - boxes[rivals, :2]).prod(axis=1) + size[i].prod() - shared
        if (shared <= iou_threshold * union).all():
            keep.append(i)
    return boxes[keep], labels[keep], scores[keep]
