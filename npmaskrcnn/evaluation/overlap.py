"""How much a detection and a ground truth overlap: intersection over union, of boxes or of masks.

COCO asks this question of every detection and every ground truth of one image. A *crowd* (a region drawn
around many objects that nobody wanted to draw one by one) is asked differently: how much of the detection
lies inside it? So the intersection is divided by the area of the detection alone.

D detections, G ground truths. Numbers are float64, boxes are what COCO's files hold, x, y, width and height,
and all is computed in the order of COCO's reference code, because an overlap that is exactly at a threshold
must fall on the same side.
"""

import numpy as np

from ..structures import as_xywh


def box_overlap(det_xywh, gt_xywh, is_crowd):
    """Overlap of boxes.

    Parameters
    ----------
    det_xywh : (D, (x, y, width, height)) float ndarray
    gt_xywh : (G, (x, y, width, height)) float ndarray
    is_crowd : (G,) bool ndarray

    Returns
    -------
    iou : (D, G) float64 ndarray
        Intersection over union; for a crowd intersection over the detection's area.
    det_area : (D,) float64 ndarray

    Examples
    --------
    >>> det, gt = np.array([[0, 0, 4, 2]]), np.array([[2, 0, 4, 2], [2, 0, 4, 2]])
    >>> iou, area = box_overlap(det, gt, is_crowd=np.array([False, True]))
    >>> iou.round(3), area
    (array([[0.333, 0.5  ]]), array([8.]))
    """
    det, gt = (np.asarray(xywh, dtype=np.float64).reshape(-1, 4) for xywh in (det_xywh, gt_xywh))
    det_area, gt_area = det[:, 2] * det[:, 3], gt[:, 2] * gt[:, 3]
    det_end, gt_end = det[:, 2:] + det[:, :2], gt[:, 2:] + gt[:, :2]
    sides = np.minimum(det_end[:, None], gt_end) - np.maximum(det[:, None, :2], gt[:, :2])     # (D, G, 2)
    return _divide(sides.clip(0).prod(axis=2), det_area, gt_area, is_crowd), det_area


def mask_overlap(det_masks, gt_masks, is_crowd, mask_threshold=0.5):
    """Overlap of masks.

    Parameters
    ----------
    det_masks : (D, H, W) ndarray or MaskSequence
        bool, or probabilities. One is looked at at a time.
    gt_masks : (G, H, W) bool ndarray
    is_crowd : (G,) bool ndarray
    mask_threshold : float
        A pixel belongs to a detection if its probability is above this.

    Returns
    -------
    iou : (D, G) float64 ndarray
        Shared pixels over the pixels of either; for a crowd over the pixels of the detection.
    det_area : (D,) float64 ndarray
        Pixels of each detection.

    Examples
    --------
    >>> det, gt = np.zeros((1, 2, 4), bool), np.ones((1, 2, 4), bool)
    >>> det[0, :, 1:3] = True
    >>> mask_overlap(det, gt, is_crowd=np.array([False]))
    (array([[0.5]]), array([4.]))
    """
    gt_area = np.array([np.count_nonzero(mask) for mask in gt_masks], dtype=np.float64)
    det_area, intersection = np.zeros(len(det_masks)), np.zeros((len(det_masks), len(gt_masks)))
    # Only pixels inside a ground truth's box can be shared, so only those are looked at.
    boxes = [_box_of(mask) for mask in gt_masks]
    for d, mask in enumerate(det_masks):
        mask = mask if mask.dtype == bool else mask > mask_threshold
        det_area[d] = np.count_nonzero(mask)
        for g in np.flatnonzero(gt_area):
            intersection[d, g] = np.count_nonzero(mask[boxes[g]] & gt_masks[g][boxes[g]])
    return _divide(intersection, det_area, gt_area, is_crowd), det_area


def overlap(target, detections, iou_type, mask_threshold):
    """Overlap of one image's detections and ground truths, as boxes ("bbox") or as masks ("segm")."""
    is_crowd = np.asarray(target.is_crowd, dtype=bool)
    if iou_type == "bbox":
        return box_overlap(as_xywh(detections), as_xywh(target), is_crowd)
    return mask_overlap(detections.masks, target.masks, is_crowd, mask_threshold)


def _box_of(mask):
    """The rows and columns that hold a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1] if len(rows) else np.s_[:0, :0]


def _divide(intersection, det_area, gt_area, is_crowd):
    """(D, G) overlaps of (D, G) intersections, (D,) and (G,) areas; 0 where nothing is shared, also of nothing."""
    det_area = det_area[:, None]
    union = np.where(is_crowd, det_area, det_area + gt_area - intersection)
    return np.divide(intersection, union, out=np.zeros(union.shape), where=intersection > 0)
