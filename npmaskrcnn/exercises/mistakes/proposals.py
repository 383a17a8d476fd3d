"""Common wrong answers about proposals: how many of the objects they find, and a gentler way to thin them out."""

import numpy as np

from ... import ops
from .. import proposals as right

# ---- recall ----


@right.proposal_recall.mistake("It is the share of proposals that fit an object. Recall is the share of *objects* that "
                               "have a fitting proposal.")
def _(proposals, scores, objects, number, iou_threshold):
    best = np.argsort(-scores, kind="stable")[:number]
    return (ops.box_iou(proposals[best], objects).max(axis=1) >= iou_threshold).sum() / max(len(best), 1)


@right.proposal_recall.mistake("Fitting proposals are counted, and divided by the number of objects. An object that "
                               "is found twice counts once: ask each object for its best.")
def _(proposals, scores, objects, number, iou_threshold):
    best = np.argsort(-scores, kind="stable")[:number]
    return (ops.box_iou(proposals[best], objects).max(axis=1) >= iou_threshold).sum() / len(objects)


@right.proposal_recall.mistake("The first `number` proposals are taken as they come. They are not sorted: take those "
                               "with the highest scores.")
def _(proposals, scores, objects, number, iou_threshold):
    return right.proposal_recall.reference(proposals, np.zeros(len(scores)), objects, number, iou_threshold)


@right.proposal_recall.mistake("The proposals with the lowest scores are taken. `np.argsort` sorts in ascending order: "
                               "sort by `-scores`.")
def _(proposals, scores, objects, number, iou_threshold):
    return right.proposal_recall.reference(proposals, -scores, objects, number, iou_threshold)


@right.proposal_recall.mistake("An overlap that equals the threshold does not count. At least the threshold is enough: "
                               "`>=`.")
def _(proposals, scores, objects, number, iou_threshold):
    return right.proposal_recall.reference(proposals, scores, objects, number, np.nextafter(iou_threshold, 1))


# ---- Soft-NMS ----


@right.soft_nms.mistake("What overlaps gets 0, as if it were removed. Soft-NMS only lowers it: multiply its score by "
                        "1 - IoU.")
def _(boxes, scores, iou_threshold):
    return np.where(np.isin(np.arange(len(scores)), ops.nms(boxes, scores, iou_threshold)), scores, 0)


@right.soft_nms.mistake("Scores are multiplied by the IoU. It is 1 - IoU: the more a box overlaps, the less it keeps.")
def _(boxes, scores, iou_threshold):
    return _lowered(boxes, scores, iou_threshold, lambda iou: iou)


@right.soft_nms.mistake("The answer stands in the order of the scores. Bring it back into the order in which the boxes "
                        "came.")
def _(boxes, scores, iou_threshold):
    return right.soft_nms.reference(boxes, scores, iou_threshold)[np.argsort(-scores, kind="stable")]


@right.soft_nms.mistake("Every overlap lowers a score, however small it is. Only what overlaps by more than the "
                        "threshold is lowered.")
def _(boxes, scores, iou_threshold):
    return right.soft_nms.reference(boxes, scores, 0)


@right.soft_nms.mistake("The boxes take their turns in the order of the old scores. Lowered scores change the order: "
                        "look for the best anew in each round.")
def _(boxes, scores, iou_threshold):
    return _lowered(boxes, scores, iou_threshold, lambda iou: 1 - iou, anew=False)


def _lowered(boxes, scores, iou_threshold, factor, anew=True):
    """Soft-NMS with another factor, or with the order of the old scores."""
    new, waiting, iou = scores.copy(), list(range(len(scores))), ops.box_iou(boxes, boxes)
    while waiting:
        best = max(waiting, key=(new if anew else scores).__getitem__)
        waiting.remove(best)
        for i in waiting:
            new[i] *= factor(iou[best, i]) if iou[best, i] > iou_threshold else 1
    return new
