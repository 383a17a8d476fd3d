"""Who learns from which ground truth: matching boxes to objects, and sampling the ones that will count.

Both the RPN (for its anchors) and the box head (for its proposals) ask the same question: for each of
many boxes, which object should it find, if any? A box whose IoU with some object is high enough must find
that object; one that touches nothing well is background; one in between is ignored. Since almost
everything is background, a balanced random sample is drawn and the losses look at nothing else.

There are no gradients in this file: matches and samples are decisions, and the backward pass treats them
as given. Sources: Ren et al. 2015, section 3.1.2; torchvision `Matcher`, `BalancedPositiveNegativeSampler`.
"""

from typing import NamedTuple

import numpy as np

from .. import ops

BACKGROUND = -1     # below the low threshold
IGNORED = -2        # between the thresholds


class Matching(NamedTuple):
    """Who must find what, in one image."""

    iou: np.ndarray         # (G, B) of every object with every box
    matches: np.ndarray     # (B,) row of the object that the box must find, or `BACKGROUND`, or `IGNORED`


def match_boxes(objects, boxes, high_threshold, low_threshold, allow_low_quality_matches=False):
    """Match (B, 4) boxes with the (G, 4) boxes of the objects; see `match`."""
    iou = ops.box_iou(objects, boxes)
    return Matching(iou, match(iou, high_threshold, low_threshold, allow_low_quality_matches))


def match(iou, high_threshold, low_threshold, allow_low_quality_matches=False):
    """Give every box the object that it must find.

    Parameters
    ----------
    iou : (G, B) ndarray
        IoU of G objects with B boxes.
    high_threshold, low_threshold : float
        ``iou >= high`` is a match, ``iou < low`` background, in between ignored.
    allow_low_quality_matches : bool
        Also match, for each object, *all* boxes whose IoU equals the best that this object has, however
        low it is. Such a box gets the object that is best for the box, which may be another one. (An object
        that overlaps nothing has a best IoU of 0, and so makes every box with IoU 0 positive: torchvision's
        behavior, harmless as long as anchors cover the image.)

    Returns
    -------
    matches : (B,) int ndarray
        Row of the object, or `BACKGROUND`, or `IGNORED`. All `BACKGROUND` if there is no object.

    Examples
    --------
    >>> iou = np.array([[.9, .2, .2, .65, .1], [.8, .25, .1, .65, 0], [.1, .25, .2, .1, 0]])
    >>> match(iou, .7, .3, allow_low_quality_matches=True)
    array([ 0,  1, -1, -2, -1])
    """
    num_objects, num_boxes = iou.shape
    if num_objects == 0 or num_boxes == 0:
        return np.full(num_boxes, BACKGROUND, dtype=np.int64)
    best_object = iou.argmax(axis=0)                    # the first maximum wins
    best_iou = iou.max(axis=0)
    matches = best_object.copy()
    matches[best_iou < low_threshold] = BACKGROUND
    matches[(best_iou >= low_threshold) & (best_iou < high_threshold)] = IGNORED
    if allow_low_quality_matches:
        best_of_object = iou.max(axis=1, keepdims=True)
        # Exact equality: boxes of equal IoU are the normal case (an object inside several anchors).
        restored = (iou == best_of_object).any(axis=0)
        matches[restored] = best_object[restored]
    return matches


def sample(is_positive, is_negative, batch_size, positive_fraction, rng):
    """Draw a balanced sample of boxes.

    Parameters
    ----------
    is_positive, is_negative : (B,) bool ndarray
    batch_size : int
        Wanted number of boxes.
    positive_fraction : float
        At most this share is positive; negatives fill up the rest.
    rng : np.random.Generator
        Two draws, ``permutation(number of positives)`` and ``permutation(number of negatives)``, always
        in this order: torchvision's.

    Returns
    -------
    positives, negatives : (P,), (Q,) int ndarray
        Rows, ascending.
    """
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(is_negative)
    num_positives = min(len(positives), int(batch_size * positive_fraction))
    num_negatives = min(len(negatives), batch_size - num_positives)
    chosen_positives = rng.permutation(len(positives))[:num_positives]
    chosen_negatives = rng.permutation(len(negatives))[:num_negatives]
    return np.sort(positives[chosen_positives]), np.sort(negatives[chosen_negatives])
