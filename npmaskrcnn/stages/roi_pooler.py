"""Stage 6, the RoI pooler: every region, large or small, becomes a feature patch of one fixed size.

The heads that follow want a 7x7 (or 14x14) patch of features for each region of interest (RoI), whatever
its size. First each RoI is sent to the pyramid level that fits it: one of about `canonical_scale` pixels
goes to P4, half of that to P3, and so on. Then RoIAlign reads the level's map at regularly spaced points
inside the RoI, between cells by bilinear interpolation, without ever rounding a coordinate.

Which level a RoI goes to is a decision, and its coordinates are constants: the gradient flows to the
feature maps only. Sources: Lin et al. 2017, Eq. 1 (levels); He et al. 2017, section 3 (RoIAlign).
"""

import math
from typing import NamedTuple

import numpy as np

from .. import nn, ops

STRIDES = (4, 8, 16, 32)    # input pixels per cell of P2, P3, P4, P5
SAMPLING_RATIO = 2          # sample points per bin and axis
EPSILON = 1e-6              # lifts a RoI that falls short of a boundary by rounding only: side 223.9999 counts as 224


def assign_levels(boxes, canonical_scale=224, canonical_level=4, strides=STRIDES):
    r"""Send each box to a pyramid level by its size.

    .. math:: k = \lfloor k_0 + \log_2(\sqrt{wh} / s_0) + 10^{-6} \rfloor

    Parameters
    ----------
    boxes : (R, 4) ndarray
        In input pixels.
    canonical_scale : float
        s_0: side of the box that goes to `canonical_level` k_0 (224, as ImageNet's images; 112 in the tiny model).
    canonical_level : int
    strides : sequence of int
        Of the levels, powers of two; level k has stride ``2**k``.

    Returns
    -------
    levels : (R,) int ndarray
        0 for the finest (P2), ..., ``len(strides) - 1``.

    Examples
    --------
    >>> assign_levels(np.array([[0., 0, 112, 112], [0, 0, 223, 223], [0, 0, 448, 224]]))
    array([1, 1, 2])
    """
    side = np.sqrt(ops.box_area(boxes))
    side = np.maximum(side, np.finfo(side.dtype).tiny)      # log2(0): an empty box goes to the finest level
    k = np.floor(canonical_level + np.log2(side / side.dtype.type(canonical_scale)) + side.dtype.type(EPSILON))
    finest, coarsest = round(math.log2(strides[0])), round(math.log2(strides[-1]))
    return np.clip(k, finest, coarsest).astype(np.int64) - finest


class PooledLevel(NamedTuple):
    """What the pooler notes of a level."""

    rows: np.ndarray        # of the RoIs that were pooled from it
    cache: tuple            # of their RoIAlign


class RoIPooler(nn.Module):
    """RoIAlign over the levels of a pyramid.

    The scale of a level is one over its exact stride, 1/4, 1/8, 1/16, 1/32. (torchvision guesses it from the height of
    the first batch that it sees and keeps the guess for ever; for heights up to 22, 33-45 and 65-67 pixels
    it guesses wrong.)

    Parameters
    ----------
    output_size : int
        7 for boxes, 14 for masks.
    canonical_scale, canonical_level, strides
        See `assign_levels`.
    """

    def __init__(self, output_size, canonical_scale=224, canonical_level=4, strides=STRIDES):
        self.output_size, self.strides = output_size, tuple(strides)
        self.canonical_scale, self.canonical_level = canonical_scale, canonical_level

    def levels(self, rois):
        """Return the level (0..3) of each RoI."""
        return assign_levels(rois[:, 1:], self.canonical_scale, self.canonical_level, self.strides)

    def forward(self, features, rois, notes):
        """Pool RoIs; notes by level.

        Parameters
        ----------
        features : list of (N, h_l, w_l, C) ndarray
            P2, P3, P4, P5; further ones (P6) are not read.
        rois : (R, (batch_index, x1, y1, x2, y2)) ndarray
            In input pixels.

        Returns
        -------
        y : (R, output_size, output_size, C) ndarray
            In the order of `rois`.
        """
        channels = features[0].shape[3]
        y = np.empty((len(rois), self.output_size, self.output_size, channels), dtype=features[0].dtype)
        levels = self.levels(rois)
        for level, stride in enumerate(self.strides):
            rows = np.flatnonzero(levels == level)
            y[rows], cache = ops.roi_align_forward(features[level], rois[rows], self.output_size, 1 / stride,
                                                   SAMPLING_RATIO)
            notes[level] = PooledLevel(rows, cache)
        return y

    def backward(self, dy, notes):
        """Return dfeatures, one array per level; none by the RoIs, whose coordinates are constants."""
        return [ops.roi_align_backward(dy[pooled.rows], pooled.cache) for pooled in notes.values()]


def make_rois(boxes_per_image):
    """Stack per-image boxes into (R, (batch_index, x1, y1, x2, y2))."""
    return np.concatenate([rois_of_image(i, boxes) for i, boxes in enumerate(boxes_per_image)])


def rois_of_image(index, boxes):
    """Put the image's number in the batch before its (R, 4) boxes."""
    return np.concatenate([np.full((len(boxes), 1), index, boxes.dtype), boxes], axis=1)
