"""Exercises about proposals: how many of the objects they find, and a gentler way to thin them out."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.exercises.exercise import Case, Exercise


def _array(*numbers):
    return np.array(numbers, dtype=np.float64)


def _boxes(*rows):
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _random_boxes(rng, number):
    corners = rng.uniform(0, 60, (number, 2))
    return np.concatenate([corners, corners + rng.uniform(10, 40, (number, 2))], axis=1)


# ---- recall ----


def _recall_reference(proposals, scores, objects, number, iou_threshold):
    best = np.argsort(-scores, kind="stable")[:number]
    return float((ops.box_iou(objects, proposals[best]).max(axis=1, initial=0) >= iou_threshold).mean())


def _recall_cases():
    rng = np.random.default_rng(6)
    thing, other = [0, 0, 10, 10], [50, 50, 70, 60]
    objects = _random_boxes(rng, 12)
    near = np.concatenate([objects + rng.normal(0, 3, objects.shape), _random_boxes(rng, 48)])
    return [
        Case("one object of two is found", dict(proposals=_boxes(thing, [30, 0, 40, 10]), scores=_array(0.9, 0.8),
                                                objects=_boxes(thing, other), number=2, iou_threshold=0.7),
             "1 of 2 objects has a proposal: 0.5. It is the objects that are counted, not the proposals"),
        Case("two proposals on one object", dict(proposals=_boxes(thing, [0, 0, 10, 9]), scores=_array(0.9, 0.8),
                                                 objects=_boxes(thing, other), number=2, iou_threshold=0.7),
             "an object that is found twice counts once"),
        Case("one proposal that fits two objects", dict(proposals=_boxes(thing), scores=_array(0.9), objects=_boxes(thing, [0, 0, 10, 8]),
                                                        number=5, iou_threshold=0.7),
             "each object asks for its own best proposal; it may be the same one. And there may be fewer proposals than `number`"),
        Case("the right proposal is not among the best", dict(proposals=_boxes(thing, other, [30, 0, 40, 10]), scores=_array(0.2, 0.9, 0.8),
                                                              objects=_boxes(thing, other), number=2, iou_threshold=0.7),
             "only the `number` proposals with the highest scores count, and they do not come sorted"),
        Case("an overlap that equals the threshold", dict(proposals=_boxes([0, 0, 10, 5]), scores=_array(0.9), objects=_boxes(thing),
                                                          number=1, iou_threshold=0.5), "at least the threshold is enough"),
        Case("no proposal at all", dict(proposals=np.zeros((0, 4)), scores=np.zeros(0), objects=_boxes(thing), number=40,
                                        iou_threshold=0.5), "nothing is found: 0. (The maximum of nothing needs a start: `initial=0`)"),
        Case("60 proposals, the best 25, 12 objects", dict(proposals=near, scores=rng.random(60), objects=objects, number=25,
                                                           iou_threshold=0.6)),
    ]


PROPOSAL_RECALL = Exercise(
    name="proposal_recall",
    statement="""The recall of proposals in one image: of the `number` proposals with the highest scores, does any overlap the object with an
IoU of at least `iou_threshold`? Return the share of objects for which the answer is yes. There is at least one object.""",
    stub='''
def proposal_recall(proposals, scores, objects, number, iou_threshold):
    """proposals (N, 4), scores (N,), objects (G, 4), G >= 1, number int -> recall, in 0..1."""
    ...
''',
    outputs=("recall",), reference=_recall_reference, cases=_recall_cases,
    hints=("Whose maximum do you need: that of each proposal, or that of each object?",
           "`np.argsort(-scores, kind='stable')[:number]` are the rows of the best proposals.",
           "You may use your own `iou`, or `npmaskrcnn.reference.box_iou(objects, proposals)`, one row per object."))


# ---- Soft-NMS ----


def _soft_reference(boxes, scores, iou_threshold):
    scores, waiting, overlap = scores.copy(), np.ones(len(scores), bool), ops.box_iou(boxes, boxes)
    while waiting.any():
        best = int(np.where(waiting, scores, -1).argmax())
        waiting[best] = False
        lowered = waiting & (overlap[best] > iou_threshold)
        scores[lowered] *= 1 - overlap[best, lowered]
    return scores


def _soft_cases():
    rng = np.random.default_rng(7)
    pair = _boxes([0, 0, 10, 10], [0, 0, 10, 8])
    return [
        Case("two boxes, IoU 0.8", dict(boxes=pair, scores=_array(0.9, 0.5), iou_threshold=0.3),
             "the best keeps its score, the other is multiplied by 1 - 0.8"),
        Case("the same the other way round", dict(boxes=pair[::-1].copy(), scores=_array(0.5, 0.9), iou_threshold=0.3),
             "the answer stands in the order of the boxes, not of the scores"),
        Case("boxes that overlap by less than the threshold", dict(boxes=_boxes([0, 0, 10, 10], [8, 0, 18, 10]), scores=_array(0.9, 0.8),
                                                                   iou_threshold=0.3), "only what overlaps by more than the threshold is lowered"),
        Case("the order changes on the way", dict(boxes=_boxes([0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 6]), scores=_array(0.9, 0.8, 0.7),
                                                  iou_threshold=0.3),
             "box 1 falls to 0.16, behind box 2 with 0.28; so box 2 is next, and lowers box 1 once more"),
        Case("two lots of boxes, far apart", dict(boxes=np.concatenate([pair, pair + 50]), scores=_array(0.4, 0.3, 0.2, 0.1), iou_threshold=0.5),
             "each lot has a best box that keeps its score"),
        Case("no box", dict(boxes=np.zeros((0, 4)), scores=np.zeros(0), iou_threshold=0.5), "an empty array"),
        Case("50 random boxes", dict(boxes=_random_boxes(rng, 50), scores=rng.permutation(np.linspace(0.02, 1, 50)), iou_threshold=0.2)),
    ]


SOFT_NMS = Exercise(
    name="soft_nms",
    statement="""Soft-NMS removes nothing. It takes the waiting box with the highest score; the score of every box that is still waiting
and overlaps it by *more than* `iou_threshold` is multiplied by `1 - IoU`. Then it takes the best of those that wait, by the *new* scores, and so on
until nobody waits. Return the new scores, in the order of the boxes. (A threshold on the score then decides who stays.)""",
    stub='''
def soft_nms(boxes, scores, iou_threshold):
    """boxes (N, 4), scores (N,) above 0 -> new_scores (N,), in the order of the boxes."""
    ...
''',
    outputs=("new_scores",), reference=_soft_reference, cases=_soft_cases,
    hints=("Like `nms`, but the best must be looked for anew in each round, because scores change.",
           "Keep a list of the rows that wait; `max(waiting, key=lambda i: new_scores[i])` is the best of them.",
           "Begin with `new_scores = scores.copy()`: the given scores must stay as they are."))


EXERCISES = (PROPOSAL_RECALL, SOFT_NMS)
