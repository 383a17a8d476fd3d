"""Common wrong answers about anchors, boxes, matching and suppression."""

import numpy as np

from ... import ops
from .. import boxes as right


@right.nms.mistake("The worst box goes first. Sort by descending score, `np.argsort(-scores)`: who is kept decides "
                   "who is dropped.")
def _(boxes, scores, iou_threshold):
    return ops.nms(boxes, -scores, iou_threshold)


@right.nms.mistake("A box that overlaps by exactly the threshold is dropped. Only who overlaps by *more* goes.")
def _(boxes, scores, iou_threshold):
    return ops.nms(boxes, scores, np.nextafter(iou_threshold, 0))


@right.nms.mistake("A box that was dropped drops others. Compare with the boxes that were kept, and with no others.")
def _(boxes, scores, iou_threshold):
    order = np.argsort(-scores, kind="stable")
    iou = ops.box_iou(boxes[order], boxes[order])
    return order[~(np.tril(iou, -1) > iou_threshold).any(axis=1)]


@right.nms.mistake("These are places in the sorted list. Return the indices of the boxes as they came: `order[place]`.")
def _(boxes, scores, iou_threshold):
    order = np.argsort(-scores, kind="stable")
    return ops.nms(boxes[order], scores[order], iou_threshold)
