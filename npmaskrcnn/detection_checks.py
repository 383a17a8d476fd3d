"""How detections are judged, wherever they are handed in: to be measured, to be written to a file.

A wrong detection looks like any other detection. So what could make a result silently wrong is looked for here:
arrays of different lengths, scores that are not numbers, labels outside the class list, masks of another size.

D detections, H, W height and width of the image; `name` is what messages call the detections.
"""

import numpy as np

from .errors import InputError
from .judge import judge_array
from .structures import Detections, as_corners

ROUNDING = 1e-3     # by which an interpolated probability may exceed 1


def judge_detections(detections, name, class_names=None, needs_masks=True, size=None):
    """Return the detections of one image as `Detections` of arrays, or raise `InputError`.

    Parameters
    ----------
    detections : Detections
        Or anything else with boxes, labels, scores and masks.
    name : str
        For example ``detections[3]``.
    class_names : list of K str, optional
        Without the background. By default any label from 1 on will do.
    needs_masks : bool
        False leaves the masks unjudged.
    size : (height, width), optional
        Of the image.
    """
    for field in ("boxes", "labels", "scores"):
        if not hasattr(detections, field):
            raise InputError(f"{name}: expected Detections, got {type(detections).__name__}")
    boxes, labels, scores = (judge_array(getattr(detections, field), f"{name}: {field}", "numbers")
                             for field in ("boxes", "labels", "scores"))
    masks, num = getattr(detections, "masks", None), scores.size
    if scores.shape != (num,) or labels.shape != (num,) or boxes.shape != (num, 4) and max(num, boxes.size):
        raise InputError(f"{name}: expected boxes (D, 4), labels (D,) and scores (D,), got "
                         f"{boxes.shape}, {labels.shape} and {scores.shape}")
    if masks is not None:
        masks = judge_array(masks, f"{name}: masks", "bools, or probabilities in 0..1", "biuf")
    found = Detections(boxes.reshape(-1, 4), labels, scores, masks, getattr(detections, "class_names", None))
    _keep_exact(found, detections)
    if num == 0:
        found.masks = np.zeros((0, *(size or (0, 0))), bool)        # None, too, is no mask
        return found
    if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
        raise InputError(f"{name}: scores and boxes must be finite numbers, some are NaN or infinite")
    if (boxes[:, 2:] < boxes[:, :2]).any():
        raise InputError(f"{name}: a box has x2 < x1 or y2 < y1; expected x1, y1, x2, y2")
    judge_labels(labels, name, class_names)
    if needs_masks:
        _judge_masks(found.masks, num, size, name)
    return found


def _keep_exact(found, detections):
    """Take over the numbers of a results file, unless somebody has changed boxes or scores since."""
    xywh, scores = getattr(detections, "xywh", None), getattr(detections, "exact_scores", None)
    if xywh is not None and (np.array_equal(as_corners(xywh), found.boxes)
                             and np.array_equal(scores.astype(found.scores.dtype), found.scores)):
        found.xywh, found.exact_scores = xywh, scores


def judge_labels(labels, name, class_names=None):
    """Raise `InputError` if a label is not the index of a class, 1 to K."""
    most = np.inf if class_names is None else len(class_names)
    wrong = labels[(labels < 1) | (labels > most) | (labels != np.floor(labels))]
    if len(wrong):
        known = "classes, which count from 1"
        if class_names is not None:
            shown = ", ".join(f"{i} {text}" for i, text in enumerate(class_names[:8], start=1))
            known = f"{len(class_names)} classes ({shown}{', ...' if len(class_names) > 8 else ''})"
        raise InputError(f"{name}: label {wrong[0]} is none of the {known}")


def _judge_masks(masks, num, size, name):
    if masks is None:
        raise InputError(f"{name}: there are no masks; only evaluate(..., iou_types=('bbox',)) can do without")
    expected = (num, *(size or masks.shape[1:]))
    if masks.ndim != 3 or masks.shape != expected:
        raise InputError(f"{name}: expected masks {expected}, of the image's size, got {masks.shape}")
    if masks.dtype != bool and not (masks.min() >= 0 and masks.max() <= 1 + ROUNDING):    # NaN neither
        raise InputError(f"{name}: masks must be bool, or probabilities in 0..1, and they go from "
                         f"{masks.min():g} to {masks.max():g}")
