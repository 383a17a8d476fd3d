"""Looking behind the figures: single matches, a single curve, and what was taken for what.

`match_detections` says of each detection in one image whether it is right and which object it found.
`precision_recall` draws one curve: one class, one overlap threshold. `confusion_matrix` forgets about classes
while matching, and then counts which class was taken for which, with background for what was missed or made
up.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..judge import judge_fraction
from .coco_ap import match_dataset
from .curves import RECALL_POINTS, interpolate_precision, pool_images, precision_recall_curve
from .figures import AREA_RANGES
from .inputs import judge_dataset, judge_for, judge_options, judged_pairs
from .matching import by_class, match_greedily
from .overlap import overlap


class DetectionMatches(NamedTuple):
    """What became of the detections of one image, in the order in which they were given."""

    outcome: np.ndarray       # (D,) str: "true positive", "false positive" or "ignored" (it found a crowd)
    matched_idxs: np.ndarray  # (D,) int64: the ground truth that was found, or -1
    iou: np.ndarray           # (D,) float64: overlap with it; without a match, the best within the class
    is_missed: np.ndarray     # (G,) bool: ground truths (no crowds) that no detection found


def match_detections(target, detections, iou_threshold=0.5, iou_type="bbox", mask_threshold=0.5):
    """Say of each detection in one image whether it is right, and which object it found.

    Parameters
    ----------
    target : Target
    detections : Detections
    iou_threshold : float
        Overlap from which on a detection has found the object.
    iou_type : str
        "bbox" or "segm".
    mask_threshold : float
        As in `evaluate`.

    Returns
    -------
    matches : DetectionMatches
        Matched class by class, best score first, as in `evaluate`.

    Raises
    ------
    InputError
        If the detections do not fit the target.

    Examples
    --------
    The second detection comes too late for the first object; nobody finds the other.

    >>> from types import SimpleNamespace as Record
    >>> target = Record(boxes=np.array([[0, 0, 8, 4], [20, 0, 30, 9]]), labels=np.array([1, 2]),
    ...                 is_crowd=np.array([False, False]), masks=None)
    >>> found = Record(boxes=np.array([[0, 0, 8, 5], [1, 0, 8, 4]]), labels=np.array([1, 1]),
    ...                scores=np.array([.9, .8]), masks=None)
    >>> matches = match_detections(target, found)
    >>> matches.outcome.tolist(), matches.matched_idxs.tolist(), matches.is_missed.tolist()
    (['true positive', 'false positive'], [0, -1], [False, True])
    """
    judge_options((iou_type,), mask_threshold, iou_threshold)
    detections = judge_for(target, detections, "detections", (iou_type,))
    all_iou, _ = overlap(target, detections, iou_type, mask_threshold)
    is_crowd = np.asarray(target.is_crowd, dtype=bool)
    matched_idxs = np.full(len(detections), -1, dtype=np.int64)
    iou = np.zeros(len(detections))
    for _, det, gt in by_class(detections, target):
        of_class = all_iou[np.ix_(det, gt)]
        claimed = match_greedily(of_class, is_crowd[gt], is_crowd[gt], [iou_threshold])[0]
        found = claimed >= 0
        matched_idxs[det[found]] = gt[claimed[found]]
        iou[det] = of_class.max(axis=1, initial=0)
        iou[det[found]] = of_class[found, claimed[found]]
    is_missed = ~is_crowd & ~np.isin(np.arange(len(is_crowd)), matched_idxs)
    outcome = np.where(matched_idxs < 0, "false positive",
                       np.where(np.append(is_crowd, False)[matched_idxs], "ignored", "true positive"))
    return DetectionMatches(outcome, matched_idxs, iou, is_missed)


class PrecisionRecall(NamedTuple):
    """The curve of one class at one overlap threshold. D detections of the class in all images."""

    scores: np.ndarray            # (D,) descending
    is_true_positive: np.ndarray  # (D,) bool
    precision: np.ndarray         # (D,) after each detection
    recall: np.ndarray            # (D,)
    recall_points: np.ndarray     # (101,)
    interpolated: np.ndarray      # (101,) the best precision at each recall point or beyond
    average_precision: float      # mean of `interpolated`
    num_ground_truth: int


def precision_recall(dataset, detections, label, iou_threshold=0.5, iou_type="bbox", mask_threshold=0.5):
    """Draw the precision-recall curve of one class.

    Parameters
    ----------
    dataset, detections
        As in `evaluate`.
    label : int or str
        The class, by its label (1 to K) or its name.
    iou_threshold, iou_type, mask_threshold
        As in `match_detections`.

    Returns
    -------
    curve : PrecisionRecall
        Its ``average_precision`` is what `evaluate` finds for this class, threshold and all areas.

    Raises
    ------
    InputError
        As `evaluate`; and if the class is unknown, or has no ground truth and therefore no curve.
    """
    judge_options((iou_type,), mask_threshold, iou_threshold)
    class_names = judge_dataset(dataset, detections)
    if label not in class_names and label not in range(1, len(class_names) + 1):
        raise InputError(f"label: expected 1 to {len(class_names)} or one of {', '.join(class_names)}, "
                         f"got {label!r}")
    label = class_names.index(label) + 1 if label in class_names else int(label)
    matches = match_dataset(dataset, detections, class_names, (iou_type,), mask_threshold, [iou_threshold],
                            {"all": AREA_RANGES["all"]})[iou_type][label, "all"]
    num_ground_truth = sum(image.num_ground_truth for image in matches)
    if num_ground_truth == 0:
        raise InputError(f"label: {class_names[label - 1]} has no ground truth in this dataset, so no curve")
    scores, is_true_positive = pool_images(matches, 0, 100)
    precision, recall = precision_recall_curve(is_true_positive, num_ground_truth)
    interpolated = interpolate_precision(precision, recall)
    return PrecisionRecall(scores, is_true_positive, precision, recall, RECALL_POINTS, interpolated,
                           float(interpolated.mean()), num_ground_truth)


def confusion_matrix(dataset, detections, iou_threshold=0.5, score_threshold=0.5, iou_type="bbox",
                     mask_threshold=0.5):
    """Count which class was taken for which.

    Parameters
    ----------
    dataset, detections
        As in `evaluate`.
    iou_threshold, iou_type, mask_threshold
        As in `match_detections`.
    score_threshold : float
        Detections with a lower score are left out.

    Returns
    -------
    matrix : (1 + K, 1 + K) int64 ndarray
        ``matrix[true, predicted]``. Row 0 has the detections that found nothing, column 0 the objects that
        nobody found; ``matrix[0, 0]`` is 0. Row k therefore sums to the number of objects of class k.

    Notes
    -----
    A detection claims the object that it overlaps most, of whatever class. Crowds are no objects, and a
    detection that finds nothing but a crowd is left out.
    """
    judge_options((iou_type,), mask_threshold, iou_threshold)
    class_names = judge_dataset(dataset, detections)
    matrix = np.zeros((len(class_names) + 1, len(class_names) + 1), dtype=np.int64)
    for target, found in judged_pairs(dataset, detections, class_names, (iou_type,)):
        is_crowd = np.asarray(target.is_crowd, dtype=bool)
        kept = np.argsort(-found.scores, kind="stable")
        kept = kept[found.scores[kept] >= judge_fraction(score_threshold, "score_threshold")]
        iou, _ = overlap(target, found, iou_type, mask_threshold)
        claimed = match_greedily(iou[kept], is_crowd, is_crowd, [iou_threshold])[0]
        counts = ~np.append(is_crowd, False)[claimed]                    # those that claimed a crowd do not
        true_labels = np.append(target.labels, 0)[claimed]               # nothing claimed: background
        np.add.at(matrix, (true_labels[counts], found.labels[kept][counts]), 1)
        is_missed = ~is_crowd & ~np.isin(np.arange(len(is_crowd)), claimed)
        np.add.at(matrix, (target.labels[is_missed], 0), 1)
    return matrix
