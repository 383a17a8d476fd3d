"""A region of interest has any size; the heads want 7x7 or 14x14 features. RoIAlign cuts the region into
that many bins, puts a few sample points into each, reads the feature map at each point by bilinear
interpolation, and averages. Nothing is rounded on the way, so a region that moves by a tenth of a pixel
moves its features by a tenth of a pixel; that is what made good masks possible.

Every step is linear in the features, so RoIAlign is a matrix: one row per bin, one column per cell of the
map, holding the weight with which the bin sees the cell. Forward is ``matrix @ features``, backward is
``matrix.T @ dy``. For one region the matrix is a Kronecker product: y and x are sampled independently, and
the weight of cell (y, x) in bin (p, q) is ``weight_y[p, y] * weight_x[q, x]``. With two sample points a
side a row has at most sixteen weights, and the matrix is kept sparse. With an adaptive number of sample
points (one per cell, as for mask targets) a bin sees most of its cells, and it is cheaper to apply the two
small dense factors one after the other. The numbers mean the same.

Legend: R regions, P x Q bins per region, g sample points per bin and axis; maps are (N, H, W, C).
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from npmaskrcnn.ops.boxes import as_float_boxes


class RoIAlignCache(NamedTuple):
    features_shape: tuple  # (N, H, W, C)
    output_size: tuple  # (P, Q)
    matrix: sparse.csr_matrix  # (R*P*Q, N*H*W), or None if the sampling was adaptive
    factors: list  # per region (image, rows, columns, weight_y, weight_x), or None if it was not


def roi_align(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Pool each region of interest to a fixed size: `roi_align_forward` without its cache."""
    return roi_align_forward(features, rois, output_size, spatial_scale, sampling_ratio, aligned)[0]


def roi_align_forward(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Pool each region of interest to a fixed size by averaging bilinear samples.

    Parameters
    ----------
    features : (N, H, W, C) float ndarray
        Maps of other types (bool masks) are converted to the dtype of `rois`.
    rois : (R, (batch_index, x1, y1, x2, y2)) float ndarray
        Which map, and where: boxes in image pixels.
    output_size : int or (int, int)
        Bins per region, (P, Q) = (height, width).
    spatial_scale : float
        Cells of the map per image pixel: 1/4 for P2.
    sampling_ratio : int
        Sample points per bin and axis; 0 or less means adaptive, ``ceil(bin size)``.
    aligned : bool
        False: a cell's value sits at its integer index, and regions are at least one cell wide. True
        (Detectron2): it sits half a cell further, at the cell's centre, and nothing is widened.

    Returns
    -------
    y : (R, P, Q, C) float ndarray
    cache : RoIAlignCache

    Notes
    -----
    A sample point more than one cell outside the map counts as zero, one at most one cell outside as
    the border. Meaning and order of rounding of the coordinates are torchvision's, so both floor the
    same points to the same cells. The matrix holds weights already summed per cell, so results differ
    from torchvision's in the last bits.

    References
    ----------
    He et al. 2017, section 3, "RoIAlign".

    Examples
    --------
    On a ramp, each bin reads the mean x of its sample points.

    >>> ramp = np.tile(np.arange(8.0)[None, None, :, None], (1, 6, 1, 1))
    >>> roi_align(ramp, np.array([[0, 1.0, 1.0, 5.0, 3.0]]), (1, 2), sampling_ratio=2)[0, :, :, 0]
    array([[2., 4.]])
    """
    features, rois = _in_one_dtype(features, rois)
    n, h, w, c = features.shape
    num_bins_y, num_bins_x = output_size = _pair(output_size)
    sampling = (spatial_scale, sampling_ratio, aligned)
    if sampling_ratio > 0:
        matrix = roi_align_matrix(rois, (n, h, w), output_size, *sampling)
        y = matrix @ features.reshape(n * h * w, c)
        cache = RoIAlignCache(features.shape, output_size, matrix, None)
        return y.reshape(len(rois), num_bins_y, num_bins_x, c), cache

    factors = _dense_factors(rois, (n, h, w), output_size, *sampling)
    y = np.empty((len(rois), num_bins_y, num_bins_x, c), dtype=features.dtype)
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(factors):
        window = features[image, rows, columns]  # (h', w', C)
        pooled_y = weight_y @ window.reshape(len(window), -1)  # (P, w' * C)
        np.matmul(weight_x, pooled_y.reshape(num_bins_y, -1, c), out=y[r])
    return y, RoIAlignCache(features.shape, output_size, None, factors)


def roi_align_backward(dy, cache):
    """Return dfeatures, ``matrix.T @ dy``: each bin hands its gradient back to the cells it has read.

    The regions get no gradient: torchvision (and the paper) treat their coordinates as constants.
    """
    n, h, w, c = cache.features_shape
    if cache.matrix is not None:
        return (cache.matrix.T @ dy.reshape(-1, c)).reshape(n, h, w, c)

    dfeatures = np.zeros(cache.features_shape, dtype=dy.dtype)
    num_bins_y, _ = cache.output_size
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(cache.factors):
        dpooled_y = weight_x.T @ dy[r]  # (P, w', C)
        dwindow = weight_y.T @ dpooled_y.reshape(num_bins_y, -1)  # (h', w' * C)
        dfeatures[image, rows, columns] += dwindow.reshape(len(dwindow), -1, c)
    return dfeatures


def roi_align_matrix(rois, map_size, output_size, spatial_scale=1.0, sampling_ratio=2, aligned=False):
    """RoIAlign as a sparse matrix of bilinear weights.

    Parameters
    ----------
    rois : (R, (batch_index, x1, y1, x2, y2)) float ndarray
    map_size : (N, H, W)
        Of the features.
    output_size, spatial_scale, sampling_ratio, aligned
        As in `roi_align_forward`.

    Returns
    -------
    matrix : (R*P*Q, N*H*W) scipy.sparse.csr_matrix of the dtype of `rois`
        Row ``(r, p, q)`` holds the weights with which bin (p, q) of region r reads the cells. A row
        sums to 1, less the share of its sample points that lie outside the map.

    Examples
    --------
    A region of one bin with one sample point, in the middle of four cells.

    >>> rois = np.array([[0, 0.0, 0.0, 1.0, 1.0]])
    >>> roi_align_matrix(rois, (1, 2, 3), 1, sampling_ratio=1).toarray()
    array([[0.25, 0.25, 0.  , 0.25, 0.25, 0.  ]])
    """
    rois = as_float_boxes(rois)
    n, h, w = map_size
    num_bins_y, num_bins_x = _pair(output_size)
    image = rois[:, 0].astype(np.int32)
    sampling = (spatial_scale, sampling_ratio, aligned)
    cells_y, weights_y = _merged(*_axis_weights(rois[:, 2], rois[:, 4], h, num_bins_y, *sampling))
    cells_x, weights_x = _merged(*_axis_weights(rois[:, 1], rois[:, 3], w, num_bins_x, *sampling))
    cells_y = (image[:, None, None] * h + cells_y) * w  # (R, P, 2g): index of the first cell of a row

    # Outer product: every y neighbour with every x neighbour, (R, P, Q, 2g, 2g).
    weights = weights_y[:, :, None, :, None] * weights_x[:, None, :, None, :]
    cells = cells_y[:, :, None, :, None] + cells_x[:, None, :, None, :]
    used = weights != 0
    row_ends = np.zeros(len(rois) * num_bins_y * num_bins_x + 1, dtype=np.int32)
    np.cumsum(used.sum(axis=(3, 4)).ravel(), out=row_ends[1:])
    shape = (len(row_ends) - 1, n * h * w)
    return sparse.csr_matrix((weights[used], cells[used], row_ends), shape=shape)


def _axis_weights(low, high, length, num_bins, spatial_scale, sampling_ratio, aligned):
    """Which cells the bins of each region read along one axis, and with which weights.

    Parameters
    ----------
    low, high : (R,) float ndarray
        First and last coordinate of each region in image pixels.
    length : int
        Cells of the map along the axis.

    Returns
    -------
    cells : (R, num_bins, 2g) int32 ndarray
        The two neighbours of each of g sample points. A cell may occur several times.
    weights : (R, num_bins, 2g) float ndarray
        0 where there is nothing to read: a point outside the map, or beyond this region's own g.
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
    neighbours = (len(low), num_bins, 2 * len(i))
    return cells.reshape(neighbours), weights.reshape(neighbours)


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
    _, h, w = map_size
    all_y = _axis_weights(rois[:, 2], rois[:, 4], h, output_size[0], *sampling)
    all_x = _axis_weights(rois[:, 1], rois[:, 3], w, output_size[1], *sampling)
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


def _in_one_dtype(features, rois):
    """Coordinates are computed in the dtype of the features, as in torchvision; masks adapt to the rois."""
    features, rois = np.asarray(features), np.asarray(rois)
    if features.dtype.kind != "f":
        features = features.astype(as_float_boxes(rois).dtype)
    return features, rois.astype(features.dtype, copy=False)


def _pair(size):
    return (int(size), int(size)) if np.ndim(size) == 0 else (int(size[0]), int(size[1]))
