"""RoIAlign, quickly: all regions at once, as one sparse matrix of bilinear weights. See `plain.roi_align`.

Every step is linear in the features, so RoIAlign is a matrix: one row per bin, one column per cell of the
map, holding the weight with which the bin sees the cell. Forward is ``matrix @ features``, backward is
``matrix.T @ dy``. For one region the matrix is the Kronecker product of the two that `plain` applies one after the
other. With two sample points a side a row has at most sixteen weights, and the matrix is kept sparse. With an
adaptive number of sample points (one per cell, as for mask targets) a bin sees most of its cells, and the two
small dense factors are applied as in `plain`, but found for all regions at once.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..plain import roi_align as plain
from ..plain.boxes import as_float_boxes
from ..plain.roi_align import in_one_dtype, matrix_dtype
from ..plain.windows import pair


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
        matrix = roi_align_matrix(rois, (n, h, w), output_size, *sampling)
        y = (matrix @ features.reshape(n * h * w, c)).astype(features.dtype, copy=False)   # of float16, too
        return y.reshape(len(rois), num_bins_y, num_bins_x, c), RoIAlignMatrixCache(features.shape, matrix)

    regions = _dense_factors(rois, (h, w), output_size, *sampling)
    y = np.empty((len(rois), num_bins_y, num_bins_x, c), dtype=features.dtype)
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(regions):
        window = features[image, rows, columns]  # (h', w', C)
        pooled_y = weight_y @ window.reshape(len(window), -1)  # (P, w' * C)
        np.matmul(weight_x, pooled_y.reshape(num_bins_y, -1, c), out=y[r])
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
    rois = as_float_boxes(rois)
    n, h, w = map_size
    num_bins_y, num_bins_x = pair(output_size)
    image = rois[:, 0].astype(np.int32)
    sampling = (spatial_scale, sampling_ratio, aligned)
    cells_y, weights_y = _merged(*_axis_weights(rois[:, 2], rois[:, 4], h, num_bins_y, *sampling))
    cells_x, weights_x = _merged(*_axis_weights(rois[:, 1], rois[:, 3], w, num_bins_x, *sampling))
    cells_y = (image[:, None, None] * h + cells_y) * w  # (R, P, 2g): index of the first cell of a row

    # Outer product: every y neighbor with every x neighbor, (R, P, Q, 2g, 2g).
    weights = weights_y[:, :, None, :, None] * weights_x[:, None, :, None, :]
    cells = cells_y[:, :, None, :, None] + cells_x[:, None, :, None, :]
    used = weights != 0
    row_ends = np.zeros(len(rois) * num_bins_y * num_bins_x + 1, dtype=np.int32)
    np.cumsum(used.sum(axis=(3, 4)).ravel(), out=row_ends[1:])
    shape = (len(row_ends) - 1, n * h * w)
    return sparse.csr_matrix((weights[used], cells[used], row_ends), shape, matrix_dtype(rois))


def _axis_weights(low, high, length, num_bins, spatial_scale, sampling_ratio, aligned):
    """Which cells the bins of each region read along one axis, and with which weights.

    Two arrays (R, num_bins, 2g): the two neighbors of each of g sample points (a cell may occur several times), and
    weights that are 0 where there is nothing to read: a point outside the map, or beyond this region's own g.
    """
    dtype = low.dtype
    offset = 0.5 if aligned else 0.0
    spatial_scale = float(spatial_scale)
    start = low * spatial_scale - offset
    extent = (high * spatial_scale - offset) - start
    if not aligned:
        extent = np.maximum(extent, 1)
    bin_size = (extent / num_bins)[:, None, None]
    grid = np.full_like(bin_size, sampling_ratio) if sampling_ratio > 0 else np.ceil(bin_size)

    # Sample points, in torchvision's order of operations: another order may floor to another cell.
    p = np.arange(num_bins, dtype=dtype)[:, None]
    i = np.arange(max(int(grid.max(initial=1)), 1), dtype=dtype)
    count = np.maximum(grid, 1)
    points = (start[:, None, None] + p * bin_size) + (i + dtype.type(0.5)) * bin_size / count

    inside = (points >= -1) & (points <= length) & (i < grid)
    points = np.where(inside, np.maximum(points, 0), 0)
    lower = np.minimum(points.astype(np.int32), length - 1)
    upper = np.minimum(lower + 1, length - 1)
    fraction = np.where(lower == upper, 0, points - lower.astype(dtype))  # the last cell stands alone

    share = inside / count  # bool / float keeps the float's dtype
    weights = np.stack([(1 - fraction) * share, fraction * share], axis=-1)
    cells = np.stack([lower, upper], axis=-1)
    neighbors = (len(low), num_bins, 2 * len(i))
    return cells.reshape(neighbors), weights.reshape(neighbors)


def _merged(cells, weights):
    """Add the weights of a cell that a bin meets again to its first occurrence, in place."""
    for later in range(1, cells.shape[-1]):
        for earlier in range(later):
            again = cells[..., later] == cells[..., earlier]
            weights[..., earlier] += weights[..., later] * again
            weights[..., later] *= ~again
    return cells, weights


def _dense_factors(rois, map_size, output_size, *sampling):
    """Per region: image, window (rows, columns) of the map that it reads, and the two dense factors."""
    all_y = _axis_weights(rois[:, 2], rois[:, 4], map_size[0], output_size[0], *sampling)
    all_x = _axis_weights(rois[:, 1], rois[:, 3], map_size[1], output_size[1], *sampling)
    factors = []
    for image, cells_y, weights_y, cells_x, weights_x in zip(rois[:, 0].astype(int), *all_y, *all_x):
        rows, weight_y = _dense_factor(cells_y, weights_y)
        columns, weight_x = _dense_factor(cells_x, weights_x)
        factors.append((image, rows, columns, weight_y, weight_x))
    return factors


def _dense_factor(cells, weights):
    """One axis of one region: the slice of cells it reads, and its (P, cells in the slice) weights."""
    num_bins = len(cells)
    read = cells[weights != 0]
    first, last = (int(read.min()), int(read.max())) if read.size else (0, 0)
    width = last - first + 1
    position = np.where(weights != 0, cells - first, 0) + width * np.arange(num_bins)[:, None]
    dense = np.bincount(position.ravel(), weights.ravel(), minlength=num_bins * width)
    return slice(first, last + 1), dense.reshape(num_bins, width).astype(weights.dtype)
