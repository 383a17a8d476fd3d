"""A detector looks at every place many times over and finds each object many times over. Non-maximum
suppression keeps the best-scored box of every heap: walk through the boxes from the best score down,
keep a box unless it overlaps too much with one that has been kept already.

Nothing here has a gradient: the result is a choice of indices. Slow twin: `reference.nms`.
"""

import numpy as np

from .boxes import as_wide_boxes, box_iou

# With more boxes than this, torchvision stops shifting classes apart and runs one NMS per class.
COORDINATE_TRICK_LIMIT = 1000


def nms(boxes, scores, iou_threshold):
    """Keep boxes that overlap no better-scored kept box by more than a threshold.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) ndarray
    scores : (N,) float ndarray
        A ``nan`` ranks below every number.
    iou_threshold : float
        A box is dropped if its IoU with a kept one is strictly larger.

    Returns
    -------
    keep : (K,) int64 ndarray
        Indices into `boxes`, best score first; among equal scores the earlier box comes first and wins.

    Notes
    -----
    As in torchvision, IoU is computed in the dtype of the boxes and compared in double precision: with
    float32 boxes an IoU of 3/10 is 0.3000000119 and *is* larger than a threshold of 0.3. Two boxes
    without area have IoU 0/0, which suppresses nothing.

    Examples
    --------
    >>> boxes = np.array([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
    >>> nms(boxes, np.array([.6, .9, .8]), 0.5)
    array([1, 2])
    """
    overlaps = box_iou(boxes, boxes).astype(np.float64) > iou_threshold
    suppressed, keep = np.zeros(len(boxes), dtype=bool), []
    for i in np.argsort(-np.asarray(scores), kind="stable"):  # best first; nan sorts last
        if not suppressed[i]:
            keep.append(i)
            suppressed |= overlaps[i]
    return np.array(keep, dtype=np.int64)


def batched_nms(boxes, scores, idxs, iou_threshold):
    """Non-maximum suppression within each class (or pyramid level), never across.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) ndarray
    scores : (N,) float ndarray
    idxs : (N,) int ndarray
        The class of each box. Boxes of different classes do not suppress each other.
    iou_threshold : float

    Returns
    -------
    keep : (K,) int64 ndarray
        Indices into `boxes` of all classes together, best score first, ties in input order.

    Notes
    -----
    torchvision has two ways and chooses by the number of boxes; the answer depends on the choice, so it
    is part of the semantics. Up to 1,000 boxes, every class is shifted to a place of its own and one NMS
    does it all; the shift rounds the coordinates, and an IoU very near the threshold may flip. Above
    1,000, each class has its own NMS on the coordinates as they are.

    torchvision leaves the order of equal scores open in the second way; here they keep input order.
    """
    boxes, scores, idxs = as_wide_boxes(boxes), np.asarray(scores), np.asarray(idxs)
    if len(boxes) <= COORDINATE_TRICK_LIMIT:
        offsets = idxs.astype(boxes.dtype) * (boxes.max(initial=-np.inf) + boxes.dtype.type(1))
        return nms(boxes + offsets[:, None], scores, iou_threshold)
    classes = [np.flatnonzero(idxs == label) for label in np.unique(idxs)]
    keep = np.concatenate([own[nms(boxes[own], scores[own], iou_threshold)] for own in classes])
    keep = np.sort(keep)  # input order first, so that the stable sort leaves ties in it
    return keep[np.argsort(-scores[keep], kind="stable")]


def batched_nms_best(boxes, scores, idxs, iou_threshold, max_kept):
    """The `max_kept` best of `batched_nms`: proposals and detections are limited in number.

    Parameters
    ----------
    boxes, scores, idxs, iou_threshold
        As in `batched_nms`.
    max_kept : int
        Of all classes together.

    Returns
    -------
    keep : (K,) int64 ndarray, K <= max_kept
    """
    return batched_nms(boxes, scores, idxs, iou_threshold)[:max_kept]
