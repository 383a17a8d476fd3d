"""COCO's evaluation of detections, from beginning to end.

1. In each image, for each class, measure how much every detection overlaps every ground truth (`overlap`).
2. Match them, best score first, for ten overlap thresholds and four ranges of area (`matching`).
3. Pool all images, draw the curve of precision against recall, read it at 101 recalls (`curves`).
4. Take means: COCO's twelve figures (`figures`).

The definition is that of pycocotools' COCOeval (Lin et al. 2014, "Microsoft COCO: Common Objects in
Context"), and the tests hold this file to it.
"""

import numpy as np

from ..errors import warn
from .curves import RECALL_POINTS, interpolate_precision, pool_images, precision_recall_curve
from .figures import AREA_RANGES, IOU_THRESHOLDS, MAX_DETECTIONS, UNDEFINED, Evaluation, Figures
from .inputs import judge_dataset, judge_options, judged_pairs
from .matching import by_class, match_image
from .overlap import overlap


def evaluate(dataset, detections, iou_types=("bbox", "segm"), mask_threshold=0.5):
    """Compare detections with ground truth and return COCO's twelve figures.

    Parameters
    ----------
    dataset : ShapesDataset, CocoDataset or the like
        Has a length, ``class_names`` with "background" first, and ``dataset[i] -> (image, Target)``. Where
        there is ``dataset.target(i)``, that is used, and no image is read.
    detections : list of Detections
        One for each image, in the order of the dataset. Detections with ``class_names``, as a model's have them, go by
        these names; labels of others count from 1 as in ``dataset.class_names``. Any number of detections, also none.
    iou_types : str or tuple of str
        "bbox" (overlap of boxes), "segm" (overlap of masks) or both.
    mask_threshold : float
        A pixel belongs to a detection if its probability is *above* this, as in torchvision's reference
        script.

    Returns
    -------
    evaluation : Evaluation
        ``.bbox`` and ``.segm`` with the figures (``.bbox.AP``), ``.summary()`` for reading.

    Raises
    ------
    InputError
        If the list has another length than the dataset, a label is outside the class list, a score is no
        finite number, masks are missing or of another size than the image, or no class name is on both sides.

    Warns
    -----
    InputWarning
        If a class has no ground truth: its average precision is undefined and left out of all means. If detections
        are left out, because the dataset has no class of that name.

    Notes
    -----
    With no detection at all, AP is 0. Without ground truth a figure is undefined: -1 among the figures and in
    the arrays, None in ``per_class``. Small, medium and large go by ``Target.area`` for the ground truth, by
    the box's or the mask's own area for a detection. Of an image, 100 detections per class are looked at.
    """
    iou_types = (iou_types,) if isinstance(iou_types, str) else iou_types
    judge_options(iou_types, mask_threshold)
    class_names = judge_dataset(dataset, detections)
    matches = match_dataset(dataset, detections, class_names, iou_types, mask_threshold)
    results = {iou_type: Figures(*accumulate(matches[iou_type], len(class_names)), class_names)
               for iou_type in iou_types}
    _warn_of_missing_classes(results[iou_types[0]])
    return Evaluation(results.get("bbox"), results.get("segm"), class_names, len(dataset))


def match_dataset(dataset, detections, class_names, iou_types, mask_threshold, iou_thresholds=IOU_THRESHOLDS,
                  area_ranges=AREA_RANGES):
    """Match every image, class and area range.

    Returns
    -------
    matches : dict
        ``matches[iou_type][label, area]`` is a list of ImageMatches. Images that have neither a ground truth
        nor a detection of the class are left out.
    """
    keys = [(label, area) for label in range(1, len(class_names) + 1) for area in area_ranges]
    matches = {iou_type: {key: [] for key in keys} for iou_type in iou_types}
    for target, found in judged_pairs(dataset, detections, class_names, iou_types):
        for iou_type in iou_types:
            iou, det_area = overlap(target, found, iou_type, mask_threshold)
            for label, det, gt in by_class(found, target):
                det = det[:MAX_DETECTIONS[-1]]   # the rest never counts
                of_class = found.scores[det], iou[np.ix_(det, gt)], det_area[det], target.area[gt], target.is_crowd[gt]
                for area, area_range in area_ranges.items():
                    matches[iou_type][label, area].append(match_image(*of_class, iou_thresholds, area_range))
    return matches


def accumulate(matches, num_classes):
    """Draw all curves.

    Parameters
    ----------
    matches : dict
        ``matches[label, area]`` is a list of ImageMatches.
    num_classes : int
        K, without the background.

    Returns
    -------
    precision : (T, R, K, A, M) float64 ndarray
        Interpolated at the 101 recall points; -1 where there is no ground truth.
    recall : (T, K, A, M) float64 ndarray
        Part of the objects that was found in the end; -1 likewise.
    """
    shape = (num_classes, len(AREA_RANGES), len(MAX_DETECTIONS))
    precision = np.full((len(IOU_THRESHOLDS), len(RECALL_POINTS), *shape), UNDEFINED)
    recall = np.full((len(IOU_THRESHOLDS), *shape), UNDEFINED)
    for k in range(num_classes):
        for a, area in enumerate(AREA_RANGES):
            images = matches[k + 1, area]
            num_ground_truth = sum(image.num_ground_truth for image in images)
            if num_ground_truth == 0:
                continue
            for m, max_detections in enumerate(MAX_DETECTIONS):
                for t in range(len(IOU_THRESHOLDS)):
                    _, is_true_positive = pool_images(images, t, max_detections)
                    p, r = precision_recall_curve(is_true_positive, num_ground_truth)
                    precision[t, :, k, a, m] = interpolate_precision(p, r)
                    recall[t, k, a, m] = r[-1] if len(r) else 0.0
    return precision, recall


def _warn_of_missing_classes(figures):
    missing = [name for name, values in figures.per_class.items() if values["AP"] is None]
    if missing:
        names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        warn(f"evaluate: no ground truth for {names}: average precision is undefined there, and "
             "left out of the means")
