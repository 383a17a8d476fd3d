"""Stage 6, the RoI pooler: every region, large or small, becomes a feature patch of one fixed size.

The heads that follow want a 7x7 (or 14x14) patch of features for each region of interest (RoI), whatever
its size. First each RoI is sent to the pyramid level that fits it: one of about `canonical_scale` pixels
goes to P4, half of that to P3, and so on. Then RoIAlign reads the level's map at regularly spaced points
inside the RoI, between cells by bilinear interpolation, without ever rounding a coordinate.

Which level a RoI goes to is a decision, and its coordinates are constants: the gradient flows to the
feature maps only. Sources: Lin et al. 2017, Eq. 1 (levels); He et al. 2017, section 3 (RoIAlign).
"""

import numpy as np

from .. import ops

FIRST_LEVEL = 2             # P2
SAMPLING_RATIO = 2          # sample points per bin and axis
EPSILON = 1e-6              # lifts a RoI that falls short of a boundary by rounding only: side 223.9999 counts as 224


def assign_levels(boxes, canonical_scale=224, canonical_level=4, num_levels=4):
    r"""Send each box to a pyramid level by its size.

    .. math:: k = \lfloor k_0 + \log_2(\sqrt{wh} / s_0) + 10^{-6} \rfloor

    Parameters
    ----------
    boxes : (R, 4) ndarray
        In input pixels.
    canonical_scale : float
        s_0: side of the box that goes to `canonical_level` k_0 (224, as ImageNet's images; 56 in the tiny model).
    canonical_level : int
    num_levels : int

    Returns
    -------
    levels : (R,) int ndarray
        0 for P2, ..., ``num_levels - 1``.

    Examples
    --------
    >>> assign_levels(np.array([[0., 0, 112, 112], [0, 0, 223, 223], [0, 0, 448, 224]]))
    array([1, 1, 2])
    """
    side = np.sqrt(ops.box_area(boxes))
    side = np.maximum(side, np.finfo(side.dtype).tiny)      # log2(0): an empty box goes to the finest level
    k = np.floor(canonical_level + np.log2(side / side.dtype.type(canonical_scale)) + side.dtype.type(EPSILON))
    return np.clip(k, FIRST_LEVEL, FIRST_LEVEL + num_levels - 1).astype(np.int64) - FIRST_LEVEL


class RoIPooler:
    """RoIAlign over the levels of a pyramid.

    The scale of a level is its exact stride, 1/4, 1/8, 1/16, 1/32. (torchvision guesses it from the height of
    the first batch that it sees and keeps the guess for ever; for heights up to 22, 33-45 and 65-67 pixels
    it guesses wrong.)

    Parameters
    ----------
    output_size : int
        7 for boxes, 14 for masks.
    canonical_scale, canonical_level
        See `assign_levels`.
    """

    def __init__(self, output_size, canonical_scale=224, canonical_level=4):
        self.output_size = output_size
        self.canonical_scale, self.canonical_level = canonical_scale, canonical_level

    def levels(self, rois):
        """Return the level (0..3) of each RoI."""
        return assign_levels(rois[:, 1:], self.canonical_scale, self.canonical_level)

    def forward(self, features, rois):
        """Pool RoIs.

        Parameters
        ----------
        features : list of (N, h_l, w_l, C) ndarray
            P2, P3, P4, P5.
        rois : (R, (batch_index, x1, y1, x2, y2)) ndarray
            In input pixels.

        Returns
        -------
        y : (R, output_size, output_size, C) ndarray
            In the order of `rois`.
        cache
        """
        channels = features[0].shape[3]
        y = np.empty((len(rois), self.output_size, self.output_size, channels), dtype=features[0].dtype)
        levels = self.levels(rois)
        cache = []
        for level, level_features in enumerate(features):
            rows = np.flatnonzero(levels == level)
            y[rows], align_cache = ops.roi_align_forward(level_features, rois[rows], self.output_size,
                                                         self._scale(level), SAMPLING_RATIO)
            cache.append((rows, align_cache))
        return y, cache

    def backward(self, dy, cache):
        """Return dfeatures, one array per level; none by the RoIs, whose coordinates are constants."""
        return [ops.roi_align_backward(dy[rows], align_cache) for rows, align_cache in cache]

    def __call__(self, features, rois):
        channels = features[0].shape[3]
        y = np.empty((len(rois), self.output_size, self.output_size, channels), dtype=features[0].dtype)
        levels = self.levels(rois)
        for level in np.unique(levels):         # a level without a RoI costs nothing here
            rows = np.flatnonzero(levels == level)
            y[rows] = ops.roi_align(features[level], rois[rows], self.output_size, self._scale(level), SAMPLING_RATIO)
        return y

    @staticmethod
    def _scale(level):
        """Map cells per input pixel: the inverse of the level's stride."""
        return 1.0 / 2 ** (FIRST_LEVEL + int(level))


def make_rois(boxes_per_image):
    """Stack per-image boxes into (R, (batch_index, x1, y1, x2, y2))."""
    index = np.repeat(np.arange(len(boxes_per_image)), [len(boxes) for boxes in boxes_per_image])
    boxes = np.concatenate(boxes_per_image)
    return np.concatenate([index[:, None].astype(boxes.dtype), boxes], axis=1)
