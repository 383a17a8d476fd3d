"""What is judged before an evaluation: that the detections belong to this data set.

A wrong figure looks like any other figure. So what could make one silently wrong is looked for here: a list
for other images, labels outside the class list, scores that are not numbers, masks of another size.
"""

import numpy as np

from ..errors import InputError
from ..judge import judge_number

IOU_TYPES = ("bbox", "segm")
ROUNDING = 1e-3     # by which an interpolated probability may exceed 1


def judge_dataset(dataset, detections):
    """Return the class names of `dataset` without the background, after judging both lengths."""
    class_names = getattr(dataset, "class_names", None)
    if class_names is None or len(class_names) < 2:
        raise InputError("dataset: class_names must list background and at least one class, "
                         f"got {class_names!r}")
    if hasattr(detections, "scores") or not hasattr(detections, "__len__"):
        raise InputError("detections: expected a list of Detections, one for each image, "
                         f"got {type(detections).__name__}")
    if len(detections) != len(dataset):
        raise InputError(f"detections: expected one Detections for each of the {len(dataset)} images of the "
                         f"dataset, in the same order, got {len(detections)}")
    return [str(name) for name in class_names[1:]]


def judge_options(iou_types, iou_thresholds, mask_threshold):
    """Raise InputError for an option that has no meaning."""
    if not isinstance(iou_types, (list, tuple)) or not len(iou_types):
        raise InputError(f"iou_types: expected 'bbox', 'segm' or both in a tuple, got {iou_types!r:.60}")
    for iou_type in iou_types:
        if iou_type not in IOU_TYPES:
            raise InputError(f"iou type: expected 'bbox' or 'segm', got {iou_type!r}")
    for threshold in iou_thresholds:
        judge_number(threshold, "iou_threshold", above=0, highest=1)
    judge_number(mask_threshold, "mask_threshold", 0, below=1)


def target_of(dataset, i):
    """Return the target of image `i`, without reading the image if the dataset can do that."""
    return dataset.target(i) if hasattr(dataset, "target") else dataset[i][1]


def size_of(dataset, i):
    """Return the ``(height, width)`` of image `i`, None if the dataset cannot tell it."""
    return tuple(dataset.size(i)) if hasattr(dataset, "size") else None


def judge_detections(detections, target, class_names, name, needs_masks, size=None):
    """Raise InputError if the detections of one image cannot be compared with its target.

    Parameters
    ----------
    detections : Detections
    target : Target
    class_names : list of K str, or None
        Without the background; None leaves the labels unjudged.
    name : str
        What the message calls the detections, for example ``detections[3]``.
    needs_masks : bool
    size : (height, width), optional
        Of the image; without it the target's masks tell, if there are any.
    """
    for field in ("boxes", "labels", "scores"):
        if not hasattr(detections, field):
            raise InputError(f"{name}: expected Detections, got {type(detections).__name__}")
    num = len(detections.scores)
    labels, scores = np.asarray(detections.labels), np.asarray(detections.scores)
    if np.shape(detections.boxes) != (num, 4) and num or labels.shape != (num,) or scores.ndim != 1:
        raise InputError(f"{name}: expected boxes (D, 4), labels (D,) and scores (D,), got "
                         f"{np.shape(detections.boxes)}, {labels.shape} and {scores.shape}")
    if num and not all(np.asarray(part).dtype.kind in "iuf" for part in (labels, scores, detections.boxes)):
        raise InputError(f"{name}: boxes, labels and scores must be numbers, got {np.asarray(detections.boxes).dtype}, "
                         f"{labels.dtype} and {scores.dtype}")
    if num and not (np.isfinite(scores).all() and np.isfinite(detections.boxes).all()):
        raise InputError(f"{name}: scores and boxes must be finite numbers, some are NaN or infinite")
    if num and (np.asarray(detections.boxes)[:, 2:] < np.asarray(detections.boxes)[:, :2]).any():
        raise InputError(f"{name}: a box has x2 < x1 or y2 < y1; expected x1, y1, x2, y2")
    if num and class_names is not None:
        judge_labels(labels, class_names, name)
    if needs_masks and num:
        masks = getattr(detections, "masks", None)
        if masks is None:
            raise InputError(f"{name}: there are no masks; evaluate boxes alone with iou_types=('bbox',)")
        size = np.shape(target.masks)[1:] if len(target.masks) else size or np.shape(masks)[1:]
        wanted = (num, *size)
        if np.ndim(masks) != 3 or np.shape(masks) != wanted:
            raise InputError(f"{name}: expected masks {wanted}, of the image's size, got {np.shape(masks)}")
        masks = np.asarray(masks)
        if masks.dtype != bool and not (masks.min() >= 0 and masks.max() <= 1 + ROUNDING):    # NaN neither
            raise InputError(f"{name}: masks must be bool, or probabilities in 0..1, and they go from "
                             f"{masks.min():g} to {masks.max():g}")


def judge_labels(labels, class_names, name):
    """Raise InputError if a label is not the index of a class, 1 to K."""
    wrong = labels[(labels < 1) | (labels > len(class_names)) | (labels != np.floor(labels))]
    if len(wrong):
        known = ", ".join(f"{i} {text}" for i, text in enumerate(class_names[:8], start=1))
        known += ", ..." if len(class_names) > 8 else ""
        raise InputError(f"{name}: label {wrong[0]} is none of the {len(class_names)} classes ({known})")
