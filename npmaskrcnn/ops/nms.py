"""A detector looks at every place many times over and finds each object many times over. Non-maximum
suppression keeps the best-scored box of every heap: walk through the boxes from the best score down,
keep a box unless it overlaps too much with one that has been kept already.

Nothing here has a gradient: the result is a choice of indices.
"""

import numpy as np

from npmaskrcnn.ops.boxes import as_float_boxes, box_iou

# With more boxes than this, torchvision stops shifting classes apart and runs one NMS per class.
COORDINATE_TRICK_LIMIT = 1000
BLOCK = 64  # boxes decided at a time; larger blocks compute IoUs in vain, smaller ones loop more


def nms(boxes, scores, iou_threshold, max_kept=None):
    """Keep boxes that overlap no better-scored kept box by more than a threshold.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) ndarray
    scores : (N,) float ndarray
        A ``nan`` ranks below every number.
    iou_threshold : float
        A box is dropped if its IoU with a kept one is strictly larger.
    max_kept : int, optional
        Stop when so many are kept: the result is the start of the full one, found sooner.

    Returns
    -------
    keep : (K,) int64 ndarray
        Indices into `boxes`, best score first; among equal scores the earlier box comes first and wins.

    Notes
    -----
    As in torchvision, IoU is computed in the dtype of the boxes and compared in double precision: with
    float32 boxes an IoU of 3/10 is 0.3000000119 and *is* larger than a threshold of 0.3. Two boxes
    without area have IoU 0/0, which suppresses nothing.

    The walk is done in blocks. The next `BLOCK` boxes that are still alive are compared with each other
    and decided one by one; then those kept remove, in one go, all that they overlap further down.

    Examples
    --------
    >>> boxes = np.array([[0., 0., 10., 10.], [0., 0., 10., 9.], [20., 20., 30., 30.]])
    >>> nms(boxes, np.array([.6, .9, .8]), 0.5)
    array([1, 2])
    """
    boxes, scores = as_float_boxes(boxes), np.asarray(scores)
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    threshold = _largest_at_most(iou_threshold, boxes.dtype)
    alive = np.argsort(-scores, kind="stable")  # indices not yet decided, best first; nan sorts last
    kept_blocks, num_kept = [], 0
    while len(alive) and (max_kept is None or num_kept < max_kept):
        block, rest = alive[:BLOCK], alive[BLOCK:]
        suppresses = box_iou(boxes[block], boxes[block]) > threshold
        suppressed = np.zeros(len(block), dtype=bool)
        kept = []
        for i in range(len(block)):
            if not suppressed[i]:
                kept.append(i)
                suppressed |= suppresses[i]
        kept = block[kept]
        kept_blocks.append(kept)
        num_kept += len(kept)
        alive = rest[~(box_iou(boxes[kept], boxes[rest]) > threshold).any(axis=0)]  # 0/0 > x is False
    return np.concatenate(kept_blocks + [alive[:0]])[:max_kept]


def batched_nms(boxes, scores, idxs, iou_threshold, max_kept=None):
    """Non-maximum suppression within each class (or pyramid level), never across.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) ndarray
    scores : (N,) float ndarray
    idxs : (N,) int ndarray
        The class of each box. Boxes of different classes do not suppress each other.
    iou_threshold : float
    max_kept : int, optional
        Of all classes together; see `nms`.

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
    boxes, scores, idxs = as_float_boxes(boxes), np.asarray(scores), np.asarray(idxs)
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    if len(boxes) <= COORDINATE_TRICK_LIMIT:
        offsets = idxs.astype(boxes.dtype) * (boxes.max() + boxes.dtype.type(1))
        return nms(boxes + offsets[:, None], scores, iou_threshold, max_kept)
    keep = []
    for label in np.unique(idxs):
        members = np.flatnonzero(idxs == label)
        keep.append(members[nms(boxes[members], scores[members], iou_threshold, max_kept)])
    keep = np.sort(np.concatenate(keep))  # input order first, so that the stable sort leaves ties in it
    return keep[np.argsort(-scores[keep], kind="stable")][:max_kept]


def _largest_at_most(value, dtype):
    """The largest t of `dtype` with t <= value: ``iou > t`` says what ``double(iou) > value`` says."""
    rounded = dtype.type(value)
    return np.nextafter(rounded, dtype.type(-np.inf)) if float(rounded) > value else rounded
