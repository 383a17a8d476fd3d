"""Boxes are four numbers, and almost everything a detector says about them is one of two things: how
much two of them overlap (intersection over union), and how to get from one to another (the deltas that
a network predicts). This file has both, and the two ways of tidying boxes up that the model needs.

Legend: a box is ``(x1, y1, x2, y2)`` in continuous pixel coordinates, right and bottom exclusive, so its
width is ``x2 - x1`` without any ``+ 1``. No gradient flows through IoU, clipping or targets; the box
losses start at the deltas.
"""

import math

import numpy as np

# A width may grow at most from 16 px (a small anchor) to 1000 px (a large image): exp() stays finite.
MAX_LOG_RATIO = math.log(1000 / 16)


def as_float_boxes(boxes):
    """Return `boxes` as an array of floats: integer boxes become float64, float boxes keep their dtype."""
    boxes = np.asarray(boxes)
    return boxes if boxes.dtype.kind == "f" else boxes.astype(np.float64)


def as_wide_boxes(boxes):
    """Return `boxes` as floats whose areas are finite: those of 16 bits (at most 65504, a square of 256) in 32."""
    boxes = as_float_boxes(boxes)
    return boxes.astype(np.float32) if boxes.dtype == np.float16 else boxes


def box_area(boxes):
    """Area of each box, ``(x2 - x1) * (y2 - y1)``.

    Parameters
    ----------
    boxes : (..., (x1, y1, x2, y2)) ndarray

    Returns
    -------
    area : (...) float ndarray
        Square pixels; float32 for boxes of float16. A box with exactly one side inverted has a negative area.

    Examples
    --------
    >>> box_area(np.array([[0., 0., 4., 3.]]))
    array([12.])
    """
    boxes = as_wide_boxes(boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_intersection(boxes1, boxes2):
    """Area that every box of one set, (N, 4), shares with every box of another, (M, 4): (N, M)."""
    left1, top1, right1, bottom1 = as_wide_boxes(boxes1).T[:, :, None]  # (N, 1) each
    left2, top2, right2, bottom2 = as_wide_boxes(boxes2).T  # (M,) each
    width = np.maximum(np.minimum(right1, right2) - np.maximum(left1, left2), 0)  # (N, M)
    height = np.maximum(np.minimum(bottom1, bottom2) - np.maximum(top1, top2), 0)
    return width * height


def box_iou(boxes1, boxes2):
    """Intersection over union of every box of one set with every box of another.

    Parameters
    ----------
    boxes1 : (N, (x1, y1, x2, y2)) ndarray
    boxes2 : (M, (x1, y1, x2, y2)) ndarray

    Returns
    -------
    iou : (N, M) float ndarray
        In 0..1; ``nan`` (0/0) where both boxes are empty.

    Notes
    -----
    Matching compares these numbers for *equality* (all anchors that share an object's best IoU), so the
    order of the operations is part of the definition: ``inter / ((area1 + area2) - inter)``, every step
    in the dtype of the boxes, but for float16, which becomes float32.

    Examples
    --------
    Two 2x2 boxes that share one of their four cells: 1 / (4 + 4 - 1).

    >>> box_iou(np.array([[0., 0., 2., 2.]]), np.array([[1., 1., 3., 3.]]))
    array([[0.14285714]])
    """
    inter = box_intersection(boxes1, boxes2)
    with np.errstate(divide="ignore", invalid="ignore"):  # two empty boxes: 0/0 is nan, and no accident
        return inter / ((box_area(boxes1)[:, None] + box_area(boxes2)) - inter)


def clip_boxes_to_image(boxes, size):
    """Move box corners that lie outside the image to its border.

    Parameters
    ----------
    boxes : (..., (x1, y1, x2, y2)) ndarray
    size : (height, width)
        Of the image in pixels, before any padding.

    Returns
    -------
    clipped : (..., (x1, y1, x2, y2)) float ndarray
        A new array. A box wholly outside becomes one without area.

    Examples
    --------
    >>> clip_boxes_to_image(np.array([[-5., 2., 30., 40.]]), (10, 20))
    array([[ 0.,  2., 20., 10.]])
    """
    boxes = as_float_boxes(boxes)
    height, width = size
    upper = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.minimum(np.maximum(boxes, 0), upper)


def remove_small_boxes(boxes, min_size):
    """Indices of the boxes whose width and height are both at least `min_size`.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) ndarray
    min_size : float
        Pixels. A side of exactly `min_size` is kept.

    Returns
    -------
    keep : (K,) int64 ndarray
        Ascending.

    Examples
    --------
    >>> remove_small_boxes(np.array([[0., 0., 5., 1.], [0., 0., 2., 2.]]), 2)
    array([1])
    """
    boxes = as_float_boxes(boxes)
    min_size = boxes.dtype.type(min_size)  # float32(0.01) is kept by a threshold of 0.01
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.flatnonzero((widths >= min_size) & (heights >= min_size))


def _center_form(boxes):
    """Return center x, center y, width, height, each of shape (...)."""
    widths, heights = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return boxes[..., 0] + 0.5 * widths, boxes[..., 1] + 0.5 * heights, widths, heights


def encode_boxes(boxes, anchors, weights=(1, 1, 1, 1)):
    r"""Express boxes as offsets from anchors, the regression targets of Faster R-CNN.

    .. math:: t_x = w_x (x - x_a) / w_a, \quad t_w = w_w \log(w / w_a)   (same for y, h)

    Parameters
    ----------
    boxes : (..., (x1, y1, x2, y2)) ndarray
        Ground truth, x2 > x1 and y2 > y1.
    anchors : (..., (x1, y1, x2, y2)) ndarray
        Row i is the anchor that box i is matched to, in the same units; it must have an area.
    weights : four floats
        ``(w_x, w_y, w_w, w_h)``. The RPN uses ones, the box head (10, 10, 5, 5): typical deltas of a
        proposal are about 0.1 and 0.2, and the weights bring them to one.

    Returns
    -------
    deltas : (..., (tx, ty, tw, th)) float ndarray
        Dimensionless. ``decode_boxes(deltas, anchors, weights)`` gives `boxes` back, unless a side is
        more than 1000/16 times the anchor's.

    References
    ----------
    Ren et al. 2015, Eq. (2). He et al. 2017 leaves it unchanged.

    Examples
    --------
    >>> encode_boxes(np.array([[0., 0., 20., 10.]]), np.array([[0., 0., 10., 10.]]))
    array([[0.5       , 0.        , 0.69314718, 0.        ]])
    """
    weight_x, weight_y, weight_w, weight_h = map(float, weights)
    x, y, w, h = _center_form(as_float_boxes(boxes))
    anchor_x, anchor_y, anchor_w, anchor_h = _center_form(as_float_boxes(anchors))

    tx = weight_x * (x - anchor_x) / anchor_w
    ty = weight_y * (y - anchor_y) / anchor_h
    tw = weight_w * np.log(w / anchor_w)
    th = weight_h * np.log(h / anchor_h)
    return np.stack([tx, ty, tw, th], axis=-1)


def decode_boxes(deltas, anchors, weights=(1, 1, 1, 1)):
    """Apply predicted offsets to anchors: the inverse of `encode_boxes`, row by row.

    Parameters
    ----------
    deltas : (..., (tx, ty, tw, th)) ndarray
    anchors : (..., (x1, y1, x2, y2)) ndarray
        Of the same shape, or one that broadcasts: the box head decodes deltas (R, K, 4), one row per
        class, with proposals (R, 1, 4).
    weights : four floats
        Those of `encode_boxes`.

    Returns
    -------
    boxes : (..., (x1, y1, x2, y2)) float ndarray
        Not clipped to any image.

    Notes
    -----
    ``tw / weight`` and ``th / weight`` are clamped above at ``log(1000 / 16)``, so that an untrained
    network cannot overflow ``exp``. Nothing is clamped below: a box may shrink to nothing.

    Examples
    --------
    >>> decode_boxes(np.array([[0.5, 0., np.log(2), 0.]]), np.array([[0., 0., 10., 10.]]))
    array([[ 0.,  0., 20., 10.]])
    """
    weight_x, weight_y, weight_w, weight_h = map(float, weights)
    deltas = as_float_boxes(deltas)
    anchor_x, anchor_y, anchor_w, anchor_h = _center_form(as_float_boxes(anchors))

    x = deltas[..., 0] / weight_x * anchor_w + anchor_x
    y = deltas[..., 1] / weight_y * anchor_h + anchor_y
    half_w = 0.5 * (np.exp(np.minimum(deltas[..., 2] / weight_w, MAX_LOG_RATIO)) * anchor_w)
    half_h = 0.5 * (np.exp(np.minimum(deltas[..., 3] / weight_h, MAX_LOG_RATIO)) * anchor_h)
    return np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=-1)
