"""What is judged before an evaluation: that the detections belong to this data set.

A wrong figure looks like any other figure. So what could make one silently wrong is looked for here: a list
for other images, labels outside the class list, scores that are not numbers, masks of another size.
"""

from collections import Counter

import numpy as np

from ..detection_checks import judge_detections, judge_labels
from ..errors import InputError, warn
from ..judge import judge_number, refusal
from ..structures import judged_pair
from ..words import count, short

IOU_TYPES = ("bbox", "segm")


def judge_dataset(dataset, detections):
    """Return the class names of `dataset` without the background, after judging both lengths."""
    class_names = getattr(dataset, "class_names", None)
    if class_names is None or len(class_names) < 2:
        raise refusal("dataset.class_names", "a list of background and at least one class", class_names)
    if hasattr(detections, "scores") or not hasattr(detections, "__len__"):
        raise InputError("detections: expected a list of Detections, one for each image, "
                         f"got {type(detections).__name__}")
    if len(detections) != len(dataset):
        raise InputError(f"detections: expected one Detections for each of the {len(dataset)} images of the "
                         f"dataset, in the same order, got {len(detections)}")
    return [str(name) for name in class_names[1:]]


def judge_options(iou_types, mask_threshold, iou_threshold=0.5):
    """Raise InputError for an option that has no meaning."""
    if not isinstance(iou_types, (list, tuple)) or not len(iou_types):
        raise InputError(f"iou_types: expected 'bbox', 'segm' or both in a tuple, got {short(iou_types)}")
    for iou_type in iou_types:
        if iou_type not in IOU_TYPES:
            raise InputError(f"iou type: expected 'bbox' or 'segm', got {iou_type!r}")
    judge_number(mask_threshold, "mask_threshold", 0, below=1)
    judge_number(iou_threshold, "iou_threshold", above=0, highest=1)


def judged_pairs(dataset, detections, class_names, iou_types):
    """Yield each image's target, without reading the image if the dataset can do that, and its detections.

    In the order of the images' ids, if there are any: of equal scores the first counts first, and it must not matter
    in which order a file lists its images. Labels of the detections are made those of the dataset.
    """
    left_out = Counter()
    for i in _by_image_id(dataset):
        target = dataset.target(i) if hasattr(dataset, "target") else judged_pair(dataset[i], f"dataset[{i}]")[1]
        size = tuple(dataset.size(i)) if hasattr(dataset, "size") else None
        found = judge_for(target, detections[i], f"detections[{i}]", iou_types, class_names, size)
        judge_labels(target.labels, f"target {i}", class_names)
        yield target, _by_class_name(found, class_names, f"detections[{i}]", left_out)
    if left_out:
        warn(f"evaluate: {count(sum(left_out.values()), 'detection')} of classes that the dataset does not have left "
             f"out ({', '.join(sorted(left_out)[:8])}{', ...' if len(left_out) > 8 else ''})")


def labels_by_name(names, class_names, name):
    """For each label of a model its label in a dataset, by the names of the classes; 0 for none.

    Parameters
    ----------
    names : list of str
        The model's, background included.
    class_names : list of str
        The dataset's, without background.
    name : str
        What messages call the model or its detections.

    Returns
    -------
    labels : (len(names),) int64 ndarray

    Raises
    ------
    InputError
        If they have no name in common.
    """
    number = {text: label for label, text in enumerate(class_names, start=1)}
    labels = np.array([0, *(number.get(text, 0) for text in names[1:])], np.int64)
    if len(names) > 1 and not labels.any():
        raise InputError(f"{name}: the classes are {_first_of(names[1:])}, the dataset's are {_first_of(class_names)}, "
                         "and no name is in both; rename one side, so that classes can be told by their names")
    return labels


def _first_of(names, most=8):
    return ", ".join(map(str, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _by_class_name(found, class_names, name, left_out):
    """Detections with the dataset's labels, if they have names of their own; what has no label there is counted."""
    if found.class_names is None or list(found.class_names[1:]) == class_names:
        return found
    labels = labels_by_name(found.class_names, class_names, name)[found.labels.astype(np.int64)]
    left_out.update(str(found.class_names[int(label)]) for label in found.labels[labels == 0])
    kept = found[labels > 0]
    kept.labels = labels[labels > 0]
    return kept


def _by_image_id(dataset):
    """The numbers of the images by ascending id, texts after numbers; without ids in the dataset's order."""
    ids = getattr(dataset, "image_ids", None)
    numbers = range(len(dataset))
    return numbers if ids is None else sorted(numbers, key=lambda i: (isinstance(ids[i], str), ids[i]))


def judge_for(target, detections, name, iou_types, class_names=None, size=None):
    """Return the detections of one image as `Detections`, judged; masks by the size of the target's, if it has any.

    Scores are those of the results file, where the detections come from one.
    """
    if not all(hasattr(target, field) for field in ("boxes", "labels", "masks", "is_crowd")):
        raise refusal("target", "a Target", target)
    needs_masks = "segm" in iou_types
    if needs_masks and len(target.masks):
        size = np.shape(target.masks)[1:]
    own_names = getattr(detections, "class_names", None)
    if own_names is not None and class_names is not None:
        class_names = own_names[1:]
    found = judge_detections(detections, name, class_names, needs_masks, size)
    if found.exact_scores is not None:
        found.scores = found.exact_scores
    return found
