"""RoIAlign, quickly: all regions at once, as one sparse matrix of bilinear weights. See `plain.roi_align`.

Every step is linear in the features, so RoIAlign is a matrix: one row per bin, one column per cell of the
map, holding the weight with which the bin sees the cell. Forward is ``matrix @ features``, backward is
``matrix.T @ dy``. For one region the matrix is the Kronecker product of the two that `plain` applies one after the
other. With two sample points a side a row has at most sixteen weights, and the matrix is kept sparse. With an
adaptive number of sample points (one per cell, as for mask targets) a bin sees most of its cells, and the two
small dense factors are applied as in `plain`, but found for all regions at once.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..plain import roi_align as plain
from ..plain.boxes import as_float_boxes
from ..plain.roi_align import in_one_dtype, matrix_dtype
from ..plain.windows import pair
from .product import product


class RoIAlignMatrixCache(NamedTuple):
    features_shape: tuple  # (N, H, W, C)
    matrix: sparse.csr_matrix  # (R*P*Q, N*H*W), or None if there are no regions


def roi_align_forward(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """See plain."""
    features, rois = in_one_dtype(features, rois)
    n, h, w, c = features.shape
    num_bins_y, num_bins_x = output_size = pair(output_size)
    sampling = (spatial_scale, sampling_ratio, aligned)
    if len(rois) == 0:  # a pyramid level to which no region goes: half a millisecond for its matrix is spared
        return np.zeros((0, num_bins_y, num_bins_x, c), features.dtype), RoIAlignMatrixCache(features.shape, None)
    if sampling_ratio > 0:
        matrix = _bilinear_matrix(rois, (n, h, w), output_size, *sampling)
        y = (matrix @ features.reshape(n * h * w, c)).astype(features.dtype, copy=False)   # of float16, too
        return y.reshape(len(rois), num_bins_y, num_bins_x, c), RoIAlignMatrixCache(features.shape, matrix)

    regions = _dense_factors(rois, (h, w), output_size, *sampling)
    y = np.empty((len(rois), num_bins_y, num_bins_x, c), dtype=features.dtype)
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(regions):
        window = features[image, rows, columns]  # (h', w', C)
        pooled_y = product(weight_y, window.reshape(len(window), -1))  # (P, w' * C)
        product(weight_x, pooled_y.reshape(num_bins_y, -1, c), out=y[r])
    return y, plain.RoIAlignCache(features.shape, output_size, regions)


def roi_align_backward(dy, cache):
    """See plain."""
    if isinstance(cache, plain.RoIAlignCache):
        return plain.roi_align_backward(dy, cache)
    n, h, w, c = cache.features_shape
    if cache.matrix is None:
        return np.zeros(cache.features_shape, dy.dtype)
    return (cache.matrix.T @ dy.reshape(-1, c)).reshape(n, h, w, c).astype(dy.dtype, copy=False)


def roi_align(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """See plain."""
    return roi_align_forward(features, rois, output_size, spatial_scale, sampling_ratio, aligned)[0]


def roi_align_matrix(rois, map_size, output_size, spatial_scale=1.0, sampling_ratio=2, aligned=False):
    """The bilinear weights of all regions at once, summed per cell. See plain."""
    matrix = _bilinear_matrix(as_float_boxes(rois), map_size, pair(output_size), spatial_scale, sampling_ratio, aligned)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _bilinear_matrix(rois, map_size, output_size, *sampling):
    """(R*P*Q, N*H*W): in each row the weights of all neighbors of the bin's points; of a cell there may be several."""
    n, h, w = map_size
    num_bins_y, num_bins_x = output_size
    if num_bins_y == num_bins_x:    # both axes at once: for few regions it is the number of steps that takes the time
        low, high, length = rois[:, 2:0:-1].T, rois[:, 4:2:-1].T, np.array([[h], [w]], np.int32)
        (cells_y, cells_x), (weights_y, weights_x) = _axis_weights(low, high, length, num_bins_y, *sampling)
    else:
        cells_y, weights_y = _axis_weights(rois[:, 2], rois[:, 4], h, num_bins_y, *sampling)
        cells_x, weights_x = _axis_weights(rois[:, 1], rois[:, 3], w, num_bins_x, *sampling)
    cells_y = (rois[:, 0].astype(np.int32)[:, None, None] * h + cells_y) * w    # index of a row's first cell

    # Outer product: every y neighbor with every x neighbor, (R, P, Q, K, K).
    weights = weights_y[:, :, None, :, None] * weights_x[:, None, :, None, :]
    cells = cells_y[:, :, None, :, None] + cells_x[:, None, :, None, :]
    num_rows, each = math.prod(weights.shape[:3]), math.prod(weights.shape[3:])
    row_ends = np.arange(0, weights.size + 1, each, dtype=np.int32)
    return sparse.csr_matrix((weights.ravel(), cells.ravel(), row_ends), (num_rows, n * h * w), matrix_dtype(rois))


def _axis_weights(low, high, length, num_bins, spatial_scale, sampling_ratio, aligned):
    """Which cells the bins of each region read along an axis, or several, and with which weights.

    Two arrays (..., R, num_bins, K), for `low` and `high` (..., R). A cell may occur several times in a bin. Weights
    are 0 where there is nothing to read: for a point outside the map, or beyond this region's own g.
    """
    dtype = low.dtype
    offset = 0.5 if aligned else 0.0
    spatial_scale = float(spatial_scale)
    start = low * spatial_scale - offset
    extent = (high * spatial_scale - offset) - start
    if not aligned:
        extent = np.maximum(extent, 1)
    start, bin_size = start[..., None, None], (extent / num_bins)[..., None, None]
    grid = sampling_ratio if sampling_ratio > 0 else np.ceil(bin_size)

    # Sample points, in torchvision's order of operations: another order may put one outside that is inside there.
    p = np.arange(num_bins, dtype=dtype)[:, None]
    i = np.arange(max(int(np.max(grid, initial=1)), 1), dtype=dtype)
    count = np.maximum(grid, dtype.type(1))
    points = (start + p * bin_size) + (i + dtype.type(0.5)) * bin_size / count
    last = np.asarray(length, dtype)[..., None, None] - 1
    share = ((points >= -1) & (points <= last + 1) & (i < grid)) / count    # bool / float keeps the float's dtype
    points = np.clip(points, 0, last)

    first = np.floor(points.min(axis=-1, keepdims=True))
    window = int((points - first).max(initial=0)) + 2       # cells that a bin's points meet at most
    if sampling_ratio > 0 and window < 2 * len(i):      # small bins: each cell once
        cells = first + np.arange(window, dtype=dtype)
        weights = (_hats(points[..., None], cells[..., None, :]) * share[..., None]).sum(axis=-2)
    else:                                               # the two neighbors of each point
        cells = np.floor(points)[..., None] + np.arange(2, dtype=dtype)
        weights = _hats(points[..., None], cells) * share[..., None]
        cells, weights = (each.reshape(*points.shape[:-1], 2 * len(i)) for each in (cells, weights))
    return np.minimum(cells, last).astype(np.int32), weights        # the weight of a cell beyond the last is 0


def _hats(points, cells):
    """The weight of each cell for each point: 1 at the cell, 0 from one cell further on."""
    return np.maximum(0, 1 - np.abs(points - cells))


def _dense_factors(rois, map_size, output_size, *sampling):
    """Per region: image, window (rows, columns) of the map that it reads, and the two dense factors."""
    of_y = _dense_factor(*_axis_weights(rois[:, 2], rois[:, 4], map_size[0], output_size[0], *sampling))
    of_x = _dense_factor(*_axis_weights(rois[:, 1], rois[:, 3], map_size[1], output_size[1], *sampling))
    return [(image, slice(y1, y2), slice(x1, x2), weight_y[:, : y2 - y1], weight_x[:, : x2 - x1])
            for image, y1, y2, weight_y, x1, x2, weight_x in zip(rois[:, 0].astype(int).tolist(), *of_y, *of_x)]


def _dense_factor(cells, weights):
    """One axis of all regions: first cell that each reads, the one after its last, and its (P, cells) weights."""
    num_regions, num_bins, _ = cells.shape
    are_read = weights != 0
    after = np.where(are_read, cells, 0).max(axis=(1, 2)) + 1
    first = np.where(are_read, cells, after[:, None, None] - 1).min(axis=(1, 2))
    longest = int((after - first).max())
    rows = np.arange(num_regions * num_bins).reshape(num_regions, num_bins, 1)
    places = np.where(are_read, cells - first[:, None, None], 0) + longest * rows
    dense = np.bincount(places.ravel(), weights.ravel(), minlength=rows.size * longest)
    return first.tolist(), after.tolist(), dense.reshape(num_regions, num_bins, longest).astype(weights.dtype)
