"""Of each object, the best overlap with one of the best proposals; then count the objects for which it is enough."""

import numpy as np


def proposal_recall(proposals, scores, objects, number, iou_threshold):
    proposals = proposals[np.argsort(-scores, kind="stable")[:number]]
    found = 0
    for thing in objects:
        sides = np.minimum(proposals[:, 2:], thing[2:]) - np.maximum(proposals[:, :2], thing[:2])
        shared = np.maximum(sides, 0).prod(axis=1)
        covered = (proposals[:, 2:] - proposals[:, :2]).prod(axis=1) + (thing[2:] - thing[:2]).prod() - shared
        found += (shared / covered >= iou_threshold).any()
    return found / len(objects)
