"""RoIPool is what RoIAlign replaced. It also cuts a region into bins, but rounds the region to whole cells,
rounds every bin to whole cells again, and takes the maximum. Classification hardly notices; a mask is
shifted by up to a cell of the map, which is 4 to 32 pixels of the image. It is here to be compared with.

Legend: R regions, P x Q bins per region; maps are (N, H, W, C).
"""

from typing import NamedTuple

import numpy as np

from npmaskrcnn.ops.roi_align import _in_one_dtype, _pair


class RoIPoolCache(NamedTuple):
    features_shape: tuple  # (N, H, W, C)
    argmax: np.ndarray  # (R, P, Q, C): flat index of the (n, y, x) cell that won, -1 for an empty bin


def roi_pool(features, rois, output_size, spatial_scale=1.0):
    """Pool each region of interest to a fixed size by maxima: `roi_pool_forward` without its cache."""
    return roi_pool_forward(features, rois, output_size, spatial_scale)[0]


def roi_pool_forward(features, rois, output_size, spatial_scale=1.0):
    """Pool each region of interest to a fixed size by taking the maximum over rounded bins.

    Parameters
    ----------
    features : (N, H, W, C) float ndarray
    rois : (R, (batch_index, x1, y1, x2, y2)) float ndarray
        Boxes in image pixels. Corners are rounded, halves away from zero, and both are *inclusive*.
    output_size : int or (int, int)
        Bins per region, (P, Q) = (height, width).
    spatial_scale : float
        Cells of the map per image pixel.

    Returns
    -------
    y : (R, P, Q, C) float ndarray
        0 for a bin that has no cell on the map.
    cache : RoIPoolCache

    References
    ----------
    Girshick 2015 (Fast R-CNN), section 2.1.

    Examples
    --------
    >>> features = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
    >>> roi_pool(features, np.array([[0, 0.0, 0.0, 3.0, 3.0]]), 2)[0, :, :, 0]
    array([[ 6.,  8.],
           [14., 16.]])
    """
    features, rois = _in_one_dtype(features, rois)
    n, h, w, c = features.shape
    num_bins_y, num_bins_x = _pair(output_size)
    top, bottom = _bin_edges(rois[:, 2], rois[:, 4], h, num_bins_y, spatial_scale)
    left, right = _bin_edges(rois[:, 1], rois[:, 3], w, num_bins_x, spatial_scale)

    y = np.zeros((len(rois), num_bins_y, num_bins_x, c), dtype=features.dtype)
    argmax = np.full(y.shape, -1, dtype=np.int64)
    for r, image in enumerate(rois[:, 0].astype(int)):
        for p in range(num_bins_y):
            for q in range(num_bins_x):
                cells = features[image, top[r, p]:bottom[r, p], left[r, q]:right[r, q]]
                if cells.size:
                    width = cells.shape[1]
                    winner = cells.reshape(-1, c).argmax(axis=0)  # row by row, the first maximum wins
                    winner_y, winner_x = top[r, p] + winner // width, left[r, q] + winner % width
                    y[r, p, q] = features[image, winner_y, winner_x, np.arange(c)]
                    argmax[r, p, q] = (image * h + winner_y) * w + winner_x
    return y, RoIPoolCache(features.shape, argmax)


def roi_pool_backward(dy, cache):
    """Return dfeatures: each bin's gradient goes to the cell that won it; an empty bin has none."""
    n, h, w, c = cache.features_shape
    dfeatures = np.zeros((n * h * w, c), dtype=dy.dtype)
    won = cache.argmax >= 0
    channel = np.broadcast_to(np.arange(c), cache.argmax.shape)
    np.add.at(dfeatures, (cache.argmax[won], channel[won]), dy[won])
    return dfeatures.reshape(n, h, w, c)


def _bin_edges(low, high, length, num_bins, spatial_scale):
    """First cell and cell after the last of each bin along one axis, two (R, num_bins) int arrays."""
    start = _round_half_away(low * float(spatial_scale))[:, None]
    end = _round_half_away(high * float(spatial_scale))[:, None]
    bin_size = np.maximum(end - start + 1, 1) / num_bins
    p = np.arange(num_bins, dtype=low.dtype)
    first = start + np.floor(p * bin_size)
    after = start + np.ceil((p + 1) * bin_size)
    return np.clip(first, 0, length).astype(int), np.clip(after, 0, length).astype(int)


def _round_half_away(x):
    """Round to the nearest integer, halves away from zero as C does (`np.round` takes halves to even)."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (np.abs(x - whole) >= 0.5)
