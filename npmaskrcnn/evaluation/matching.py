"""Which detection found which object: greedily, best score first.

Take the detections of one class in one image, best score first. Each claims the ground truth that it
overlaps most, if the overlap reaches the threshold and nobody with a better score has claimed it already.
A claim makes the detection a *true positive*. A detection that gets nothing is a *false positive*, and so
the second box on one object is one. A ground truth that nobody claims is *missed*.

Some ground truths do not count: crowds, and, when only small objects are asked for, all that are not small.
To find such an object is neither right nor wrong, so a detection that claims one is *ignored*. A detection
prefers any object that counts to one that does not. A crowd can be claimed again and again. A detection
without a match whose own area is out of range is ignored as well.

D detections, G ground truths, T overlap thresholds.
"""

from typing import NamedTuple

import numpy as np


class ImageMatches(NamedTuple):
    """The outcome for the detections of one class in one image, best score first."""

    scores: np.ndarray            # (D,)
    is_true_positive: np.ndarray  # (T, D) bool
    is_ignored: np.ndarray        # (T, D) bool; what is neither is a false positive
    num_ground_truth: int         # objects that count, found or not


def by_class(detections, target):
    """Yield every label with the indices of its detections, best score first, and of its ground truths."""
    by_score = np.argsort(-detections.scores, kind="stable")
    for label in np.union1d(detections.labels, target.labels).tolist():
        yield label, by_score[detections.labels[by_score] == label], np.flatnonzero(target.labels == label)


def match_greedily(iou, is_ignored, is_crowd, iou_thresholds):
    """Let each detection in turn claim the best ground truth that is left.

    Parameters
    ----------
    iou : (D, G) float ndarray
        Detections in descending order of their scores.
    is_ignored : (G,) bool ndarray
        Ground truths that do not count; every crowd is one of them.
    is_crowd : (G,) bool ndarray
        Ground truths that any number of detections may claim.
    iou_thresholds : (T,) sequence of float
        The matching is done anew for each.

    Returns
    -------
    matched_idxs : (T, D) int64 ndarray
        Index of the claimed ground truth, or -1.

    Notes
    -----
    Among equal overlaps the last ground truth is taken, as in COCO's reference code.

    Examples
    --------
    Both detections overlap the first object best; at .5 the second one must do with the other object.

    >>> iou = np.array([[.9, .1], [.8, .6]])
    >>> nothing = np.array([False, False])
    >>> match_greedily(iou, nothing, nothing, [.5, .75])
    array([[ 0,  1],
           [ 0, -1]])
    """
    # An overlap of 1 - 1e-10 passes as 1: the reference code's allowance for rounding.
    thresholds = np.minimum(np.asarray(iou_thresholds, dtype=np.float64), 1 - 1e-10)
    det, gt = np.nonzero(iou >= thresholds.min())
    # Wishes, in the order in which they are heard: by detection; then objects that count before those that do
    # not; then the larger overlap; then the later ground truth. (lexsort's last key is the first criterion.)
    order = np.lexsort((-gt, -iou[det, gt], is_ignored[gt], det))
    wishes = list(zip(det[order].tolist(), gt[order].tolist(), iou[det, gt][order].tolist(), strict=True))
    can_be_shared = is_crowd.tolist()
    matched_idxs = []
    for threshold in thresholds.tolist():
        claims, claimed = [-1] * len(iou), set()
        for d, g, overlap in wishes:
            if claims[d] == -1 and overlap >= threshold and g not in claimed:
                claims[d] = g
                if not can_be_shared[g]:
                    claimed.add(g)
        matched_idxs.append(claims)
    return np.array(matched_idxs, dtype=np.int64)


def match_image(scores, iou, det_area, gt_area, is_crowd, iou_thresholds, area_range):
    """Match the detections of one class in one image, and say which of them count.

    Parameters
    ----------
    scores : (D,) float ndarray
        Descending.
    iou : (D, G) float64 ndarray
    det_area : (D,) float64 ndarray
        Area of the detection: of its box or of its mask, whichever is evaluated.
    gt_area : (G,) float64 ndarray
        The ``area`` of the annotation.
    is_crowd : (G,) bool ndarray
    iou_thresholds : (T,) sequence of float
    area_range : (lowest, highest)
        Objects with another area do not count. Both ends belong to the range.

    Returns
    -------
    matches : ImageMatches
    """
    lowest, highest = area_range
    gt_ignored = is_crowd | (gt_area < lowest) | (gt_area > highest)
    det_out_of_range = (det_area < lowest) | (det_area > highest)
    matched_idxs = match_greedily(iou, gt_ignored, is_crowd, iou_thresholds)
    is_matched = matched_idxs >= 0
    # The False at the end is what -1, "nothing claimed", picks.
    claimed_ignored = np.append(gt_ignored, False)[matched_idxs]
    is_ignored = claimed_ignored | (~is_matched & det_out_of_range)
    return ImageMatches(scores, is_matched & ~is_ignored, is_ignored, int(np.count_nonzero(~gt_ignored)))
