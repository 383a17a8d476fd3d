"""A region of interest has any size; the heads want 7x7 or 14x14 features. RoIAlign cuts the region into
that many bins, puts a few sample points into each, reads the feature map at each point by bilinear
interpolation, and averages. Nothing is rounded on the way, so a region that moves by a tenth of a pixel
moves its features by a tenth of a pixel; that is what made good masks possible.

Along one axis, a point reads a cell with a weight that falls from one to zero over one cell: a hat. The hats of a
bin's points, averaged, are one row of a small matrix with a column for each cell. A region has one such matrix for
y and one for x; forward is ``weight_y @ features @ weight_x.T``, backward the same with both transposed.

RoIPool is what RoIAlign replaced, and is here to be compared with. It rounds the region to whole cells, rounds every
bin to whole cells again, and takes the maximum. So boxes and masks are shifted by up to a cell of the map, which
is 4 to 32 pixels of the image. Slow twins: `reference.roi_align`, `reference.roi_pool`.

Legend: R regions, P x Q bins per region, g sample points per bin and axis; maps are (N, H, W, C).
"""

from typing import NamedTuple

import numpy as np

from .boxes import as_float_boxes
from .windows import pair


class RoIAlignCache(NamedTuple):
    features_shape: tuple  # (N, H, W, C)
    output_size: tuple  # (P, Q)
    regions: list  # of R tuples (image, rows, columns, weight_y, weight_x); see `region_weights`


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
        (Detectron2): it sits half a cell further, at the cell's center, and nothing is widened.

    Returns
    -------
    y : (R, P, Q, C) float ndarray
    cache : RoIAlignCache

    Notes
    -----
    A sample point more than one cell outside the map counts as zero, one at most one cell outside as
    the border. The coordinates are rounded as in torchvision, step by step, so both find the same points
    outside and count the same number of points. A bin's weights are added up before they meet the features,
    so results differ from torchvision's in the last bits.

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
    features, rois = in_one_dtype(features, rois)
    output_size = pair(output_size)
    regions = region_weights(rois, features.shape[1:3], output_size, spatial_scale, sampling_ratio, aligned)
    y = np.empty((len(rois), *output_size, features.shape[3]), dtype=features.dtype)
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(regions):
        patch = features[image, rows, columns]                  # weight_y @ patch @ weight_x.T, for each channel
        y[r] = weight_x @ np.tensordot(weight_y, patch, 1)
    return y, RoIAlignCache(features.shape, output_size, regions)


def roi_align_backward(dy, cache):
    """Return dfeatures: each bin hands its gradient back to the cells it has read.

    The regions get no gradient: torchvision (and the paper) treat their coordinates as constants.
    """
    dfeatures = np.zeros(cache.features_shape, dtype=dy.dtype)
    for r, (image, rows, columns, weight_y, weight_x) in enumerate(cache.regions):
        dfeatures[image, rows, columns] += np.tensordot(weight_y.T, weight_x.T @ dy[r], 1)
    return dfeatures


def roi_align(features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """Pool each region of interest to a fixed size: `roi_align_forward` without its cache."""
    return roi_align_forward(features, rois, output_size, spatial_scale, sampling_ratio, aligned)[0]


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
    matrix : (R*P*Q, N*H*W) scipy.sparse.csr_matrix of the dtype of `rois`, at least float32
        Row ``(r, p, q)`` holds the weights with which bin (p, q) of region r reads the cells. A row
        sums to 1, less the share of its sample points that lie outside the map.

    Examples
    --------
    A region of one bin with one sample point, in the middle of four cells.

    >>> rois = np.array([[0, 0.0, 0.0, 1.0, 1.0]])
    >>> roi_align_matrix(rois, (1, 2, 3), 1, sampling_ratio=1).toarray()
    array([[0.25, 0.25, 0.  , 0.25, 0.25, 0.  ]])
    """
    from scipy import sparse    # only here: RoIAlign itself runs where SciPy is missing
    rois, (n, h, w), output_size = as_float_boxes(rois), map_size, pair(output_size)
    dtype = matrix_dtype(rois)
    rows_of = [sparse.csr_matrix((0, n * h * w))]
    regions = region_weights(rois, (h, w), output_size, spatial_scale, sampling_ratio, aligned)
    for image, rows, columns, weight_y, weight_x in regions:
        whole_y, whole_x = np.zeros((output_size[0], n, h), dtype), np.zeros((output_size[1], w), dtype)
        whole_y[:, image, rows], whole_x[:, columns] = weight_y, weight_x
        # weight_y[p, y] * weight_x[q, x]; of two dense matrices SciPy would make another type one day
        rows_of.append(sparse.kron(sparse.coo_matrix(whole_y.reshape(-1, n * h)), whole_x))
    return sparse.vstack(rows_of, format="csr", dtype=dtype)


def matrix_dtype(rois):
    """The dtype of a sparse matrix for regions: their own, but SciPy knows none of 16 bits."""
    return np.promote_types(rois.dtype, np.float32)


def region_weights(rois, map_size, output_size, *sampling):
    """For each region: its image, the rows and columns of the map that it reads (slices), and its two matrices."""
    along_y = axis_weights(rois[:, 2], rois[:, 4], map_size[0], output_size[0], *sampling)
    along_x = axis_weights(rois[:, 1], rois[:, 3], map_size[1], output_size[1], *sampling)
    return [(image, rows, columns, weight_y, weight_x) for image, (rows, weight_y), (columns, weight_x)
            in zip(rois[:, 0].astype(int), along_y, along_x)]


def axis_weights(low, high, length, num_bins, spatial_scale, sampling_ratio, aligned):
    """Yield for each region the slice of cells that it reads along one axis, and the (bins, cells) weights.

    Parameters
    ----------
    low, high : (R,) float ndarray
        First and last coordinate of each region in image pixels.
    length : int
        Cells of the map along the axis.
    """
    offset = 0.5 if aligned else 0.0
    start = low * float(spatial_scale) - offset
    extent = (high * float(spatial_scale) - offset) - start
    bin_sizes = (extent if aligned else np.maximum(extent, 1)) / num_bins
    p = np.arange(num_bins, dtype=low.dtype)[:, None]
    for first, bin_size in zip(start, bin_sizes):
        grid = sampling_ratio if sampling_ratio > 0 else max(int(np.ceil(bin_size)), 0)
        # Sample points, in torchvision's order of operations: another order may put one outside that is inside there.
        points = (first + p * bin_size) + (np.arange(grid, dtype=low.dtype) + 0.5) * bin_size / max(grid, 1)
        inside = (points >= -1) & (points <= length)  # what is farther out reads nothing; nearer, the border
        points = np.clip(points, 0, length - 1)[:, :, None]
        # Only the cells from that of the first point to the neighbor of the last: all others have weight 0.
        cells = slice(int(points.min(initial=length - 1)), int(points.max(initial=0)) + 2)
        hats = np.maximum(0, 1 - np.abs(points - np.arange(length, dtype=low.dtype)[cells]))
        yield cells, (hats * inside[:, :, None]).sum(axis=1) / max(grid, 1)


class RoIPoolCache(NamedTuple):
    features_shape: tuple  # (N, H, W, C)
    argmax: np.ndarray  # (R, P, Q, C): flat index of the (n, y, x) cell that won, -1 for an empty bin


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
    features, rois = in_one_dtype(features, rois)
    n, h, w, c = features.shape
    top, bottom = _bin_edges(rois[:, 2], rois[:, 4], h, pair(output_size)[0], spatial_scale)
    left, right = _bin_edges(rois[:, 1], rois[:, 3], w, pair(output_size)[1], spatial_scale)
    values, numbers = features.reshape(-1, c), np.arange(n * h * w).reshape(n, h, w)
    argmax = np.full((len(rois), *pair(output_size), c), -1)
    for r, p, q in np.ndindex(argmax.shape[:3]):
        bin_numbers = numbers[int(rois[r, 0]), top[r, p]:bottom[r, p], left[r, q]:right[r, q]].ravel()
        if bin_numbers.size:
            argmax[r, p, q] = bin_numbers[values[bin_numbers].argmax(axis=0)]  # row by row, the first maximum wins
    y = np.where(argmax >= 0, values[argmax, np.arange(c)], 0)
    return y.astype(features.dtype, copy=False), RoIPoolCache(features.shape, argmax)


def roi_pool_backward(dy, cache):
    """Return dfeatures: each bin's gradient goes to the cell that won it; an empty bin has none."""
    dfeatures = np.zeros(cache.features_shape, dtype=dy.dtype)
    won = cache.argmax >= 0
    channel = np.broadcast_to(np.arange(dy.shape[3]), dy.shape)
    np.add.at(dfeatures.reshape(-1, dy.shape[3]), (cache.argmax[won], channel[won]), dy[won])
    return dfeatures


def roi_pool(features, rois, output_size, spatial_scale=1.0):
    """Pool each region of interest to a fixed size by maxima: `roi_pool_forward` without its cache."""
    return roi_pool_forward(features, rois, output_size, spatial_scale)[0]


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


def in_one_dtype(features, rois):
    """Coordinates are computed in the dtype of the features, as in torchvision; masks adapt to the rois."""
    features, rois = np.asarray(features), np.asarray(rois)
    if features.dtype.kind != "f":
        features = features.astype(as_float_boxes(rois).dtype)
    return features, rois.astype(features.dtype, copy=False)
