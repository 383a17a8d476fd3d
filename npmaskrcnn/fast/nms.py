"""Non-maximum suppression, quickly: the walk from the best score down is done in blocks. See `plain.nms`.

The next `BLOCK` boxes that are still alive are compared with each other and decided one by one; then those kept
remove, in one go, all that they overlap further down. Whoever needs only the best can stop the walk early.
"""

import numpy as np

from ..plain.boxes import as_wide_boxes
from ..plain.nms import COORDINATE_TRICK_LIMIT
from .boxes import box_iou

BLOCK = 64  # boxes decided at a time; larger blocks compute IoUs in vain, smaller ones loop more


def nms(boxes, scores, iou_threshold):
    """See plain."""
    return _walk(boxes, scores, iou_threshold)


def batched_nms(boxes, scores, idxs, iou_threshold):
    """See plain."""
    return batched_nms_best(boxes, scores, idxs, iou_threshold, None)


def batched_nms_best(boxes, scores, idxs, iou_threshold, max_kept):
    """The walk stops when so many are kept. See plain."""
    boxes, scores, idxs = as_wide_boxes(boxes), np.asarray(scores), np.asarray(idxs)
    if len(boxes) <= COORDINATE_TRICK_LIMIT:
        offsets = idxs.astype(boxes.dtype) * (boxes.max(initial=-np.inf) + boxes.dtype.type(1))
        return _walk(boxes + offsets[:, None], scores, iou_threshold, max_kept)
    keep = []
    for label in np.unique(idxs):
        members = np.flatnonzero(idxs == label).astype(np.int64, copy=False)
        keep.append(members[_walk(boxes[members], scores[members], iou_threshold, max_kept)])
    keep = np.sort(np.concatenate(keep))  # input order first, so that the stable sort leaves ties in it
    return keep[np.argsort(-scores[keep], kind="stable")][:max_kept]


def _walk(boxes, scores, iou_threshold, max_kept=None):
    """Non-maximum suppression that stops when `max_kept` are kept: the start of the full result, found sooner."""
    boxes, scores = as_wide_boxes(boxes), np.asarray(scores)
    threshold = _largest_at_most(iou_threshold, boxes.dtype)
    # Indices not yet decided, best first; nan sorts last. Of 64 bits, also where the system's own have 32.
    alive = np.argsort(-scores, kind="stable").astype(np.int64, copy=False)
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


def _largest_at_most(value, dtype):
    """The largest t of `dtype` with t <= value: ``iou > t`` says what ``double(iou) > value`` says."""
    rounded = dtype.type(value)
    return np.nextafter(rounded, dtype.type(-np.inf)) if float(rounded) > value else rounded
