"""Intersection over union, quickly: coordinate by coordinate, with no array of pairs of corners. See `plain.boxes`."""

import numpy as np

from ..plain.boxes import as_wide_boxes


def box_iou(boxes1, boxes2):
    """Columns that lie contiguously, and results written in place: half the time for many boxes. See plain."""
    left1, top1, right1, bottom1 = as_wide_boxes(boxes1).T[:, :, None]  # (N, 1)
    left2, top2, right2, bottom2 = np.ascontiguousarray(as_wide_boxes(boxes2).T)  # (M,)

    inter = np.minimum(right1, right2)  # (N, M), like all below
    inter -= np.maximum(left1, left2)
    np.maximum(inter, 0, out=inter)
    height = np.minimum(bottom1, bottom2)
    height -= np.maximum(top1, top2)
    np.maximum(height, 0, out=height)
    inter *= height

    area1 = (right1 - left1) * (bottom1 - top1)
    area2 = (right2 - left2) * (bottom2 - top2)
    union = np.add(area1, area2, out=height)
    union -= inter
    with np.errstate(divide="ignore", invalid="ignore"):  # two empty boxes: 0/0 is nan, and no accident
        inter /= union
    return inter
