"""Exercises about proposals: how many of the objects they find, and a gentler way to thin them out."""

import numpy as np

from .. import ops
from .exercise import case, exercise
from .inputs import floats, random_boxes

# ---- recall ----


@exercise("recall")
def proposal_recall(proposals, scores, objects, number, iou_threshold):
    """proposals (N, 4), scores (N,), objects (G, 4), G >= 1, number int -> recall, in 0..1.

    The recall of proposals in one image: of the `number` proposals with the highest scores, does any overlap the object
    with an IoU of at least `iou_threshold`? Return the share of objects for which the answer is yes. There is at least
    one object.

    Hints
    -----
    - Whose maximum do you need: that of each proposal, or that of each object?
    - `np.argsort(-scores, kind='stable')[:number]` are the rows of the best proposals.
    - You may use your own `iou`, or `npmaskrcnn.reference.box_iou(objects, proposals)`, one row per object.
    """
    best = np.argsort(-scores, kind="stable")[:number]
    return float((ops.box_iou(objects, proposals[best]).max(axis=1, initial=0) >= iou_threshold).mean())


@proposal_recall.tried_on
def _():
    rng = np.random.default_rng(6)
    thing, other, nothing = [0, 0, 10, 10], [50, 50, 70, 60], [30, 0, 40, 10]
    two = floats(thing, other)
    objects = random_boxes(rng, 12, sides=(10, 40))
    near = np.concatenate([objects + rng.normal(0, 3, objects.shape), random_boxes(rng, 48, sides=(10, 40))])
    yield case("one object of two is found",
               "1 of 2 objects has a proposal: 0.5. It is the objects that are counted, not the proposals",
               proposals=floats(thing, nothing), scores=floats(0.9, 0.8), objects=two, number=2, iou_threshold=0.7)
    yield case("two proposals on one object", "an object that is found twice counts once",
               proposals=floats(thing, [0, 0, 10, 9]), scores=floats(0.9, 0.8), objects=two, number=2,
               iou_threshold=0.7)
    yield case("one proposal that fits two objects",
               "each object asks for its own best proposal; it may be the same one. And there may be fewer proposals "
               "than `number`",
               proposals=floats(thing), scores=floats(0.9), objects=floats(thing, [0, 0, 10, 8]), number=5,
               iou_threshold=0.7)
    yield case("the right proposal is not among the best",
               "only the `number` proposals with the highest scores count, and they do not come sorted",
               proposals=floats(thing, other, nothing), scores=floats(0.2, 0.9, 0.8), objects=two, number=2,
               iou_threshold=0.7)
    yield case("an overlap that equals the threshold", "at least the threshold is enough",
               proposals=floats([0, 0, 10, 5]), scores=floats(0.9), objects=floats(thing), number=1, iou_threshold=0.5)
    yield case("no proposal at all", "nothing is found: 0. (The maximum of nothing needs a start: `initial=0`)",
               proposals=np.zeros((0, 4)), scores=np.zeros(0), objects=floats(thing), number=40, iou_threshold=0.5)
    yield case("60 proposals, the best 25, 12 objects",
               proposals=near, scores=rng.random(60), objects=objects, number=25, iou_threshold=0.6)


# ---- Soft-NMS ----


@exercise("new_scores")
def soft_nms(boxes, scores, iou_threshold):
    """boxes (N, 4), scores (N,) above 0 -> new_scores (N,), in the order of the boxes.

    Soft-NMS removes nothing. It takes the waiting box with the highest score; the score of every box that is still
    waiting and overlaps it by *more than* `iou_threshold` is multiplied by `1 - IoU`. Then it takes the best of those
    that wait, by the *new* scores, and so on until nobody waits. Return the new scores, in the order of the boxes. (A
    threshold on the score then decides who stays.)

    Hints
    -----
    - Like `nms`, but the best must be looked for anew in each round, because scores change.
    - Keep a list of the rows that wait; `max(waiting, key=lambda i: new_scores[i])` is the best of them.
    - Begin with `new_scores = scores.copy()`: the given scores must stay as they are.
    """
    scores, waiting, overlap = scores.copy(), np.ones(len(scores), bool), ops.box_iou(boxes, boxes)
    while waiting.any():
        best = int(np.where(waiting, scores, -1).argmax())
        waiting[best] = False
        lowered = waiting & (overlap[best] > iou_threshold)
        scores[lowered] *= 1 - overlap[best, lowered]
    return scores


@soft_nms.tried_on
def _():
    rng = np.random.default_rng(7)
    pair = floats([0, 0, 10, 10], [0, 0, 10, 8])
    yield case("two boxes, IoU 0.8", "the best keeps its score, the other is multiplied by 1 - 0.8",
               boxes=pair, scores=floats(0.9, 0.5), iou_threshold=0.3)
    yield case("the same the other way round", "the answer stands in the order of the boxes, not of the scores",
               boxes=pair[::-1].copy(), scores=floats(0.5, 0.9), iou_threshold=0.3)
    yield case("boxes that overlap by less than the threshold",
               "only what overlaps by more than the threshold is lowered",
               boxes=floats([0, 0, 10, 10], [8, 0, 18, 10]), scores=floats(0.9, 0.8), iou_threshold=0.3)
    yield case("the order changes on the way",
               "box 1 falls to 0.16, behind box 2 with 0.28; so box 2 is next, and lowers box 1 once more",
               boxes=floats([0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 6]), scores=floats(0.9, 0.8, 0.7),
               iou_threshold=0.3)
    yield case("two lots of boxes, far apart", "each lot has a best box that keeps its score",
               boxes=np.concatenate([pair, pair + 50]), scores=floats(0.4, 0.3, 0.2, 0.1), iou_threshold=0.5)
    yield case("no box", "an empty array", boxes=np.zeros((0, 4)), scores=np.zeros(0), iou_threshold=0.5)
    yield case("50 random boxes",
               boxes=random_boxes(rng, 50, sides=(10, 40)), scores=rng.permutation(np.linspace(0.02, 1, 50)),
               iou_threshold=0.2)
