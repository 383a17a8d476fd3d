"""Changing an image's size: nearest pixel and bilinear.

Both are linear, and they work on rows and columns one after the other: output row i is one input row
(nearest) or a mean of two (bilinear), which is a matrix with one or two numbers in each row. So
resizing is ``rows @ image @ columns.T``, and its gradient is the same with the matrices transposed.
Which input pixels meet an output pixel follows torch to the last bit, its float32 roundings included:
a neighbour more or less would be a different image.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.sparse


class ResampleCache(NamedTuple):
    in_size: tuple  # (H, W) of the input
    out_size: tuple  # (H, W) of the output


def upsample_nearest_forward(x, size):
    """Enlarge feature maps by repeating pixels (also shrink, by leaving pixels out).

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    size : (height, width)
        In the pyramid: exactly the size of the map that the result is added to.

    Returns
    -------
    y : (N, height, width, C) float ndarray
        ``y[n, i, j] = x[n, i * H // height, j * W // width]``, with the quotient rounded as torch does.
    cache : ResampleCache

    Examples
    --------
    >>> y, cache = upsample_nearest_forward(np.array([[[[1.0], [2.0]]]]), size=(1, 4))
    >>> y[0, 0, :, 0]
    array([1., 1., 2., 2.])
    """
    n, h, w, c = x.shape
    cache = ResampleCache((h, w), tuple(size))
    if cache.out_size == (2 * h, 2 * w):  # every map of a batch whose sides are multiples of 32
        y = np.empty((n, h, 2, w, 2, c), x.dtype)
        y[...] = x[:, :, None, :, None]
        return y.reshape(n, 2 * h, 2 * w, c), cache
    return x[:, nearest_index(h, size[0], x.dtype)][:, :, nearest_index(w, size[1], x.dtype)], cache


def upsample_nearest_backward(dy, cache):
    """Return dx: each input pixel collects the gradients of its copies."""
    (h, w), out_size = cache
    if out_size == (2 * h, 2 * w):
        cells = dy.reshape(len(dy), h, 2, w, 2, dy.shape[3])
        dx = cells[:, :, 0, :, 0] + cells[:, :, 0, :, 1]
        dx += cells[:, :, 1, :, 0]
        dx += cells[:, :, 1, :, 1]
        return dx
    rows, columns = _nearest_matrix(h, out_size[0], dy.dtype), _nearest_matrix(w, out_size[1], dy.dtype)
    return _apply(rows.T, _apply(columns.T, dy, axis=2), axis=1)


def resize_nearest(masks, size):
    """Resize ``(..., H, W)`` masks, of any dtype, to ``(..., height, width)`` by taking the nearest pixel."""
    h, w = masks.shape[-2:]
    return masks[..., nearest_index(h, size[0]), :][..., nearest_index(w, size[1])]


def resize_bilinear(x, size):
    """Resize images by linear interpolation between pixel centres (no antialiasing).

    Parameters
    ----------
    x : (H, W, C) or (N, H, W, C) float ndarray
    size : (height, width)

    Returns
    -------
    y : (height, width, C) or (N, height, width, C) float ndarray

    Notes
    -----
    torch: ``interpolate(mode="bilinear", align_corners=False)`` without a scale factor.

    Examples
    --------
    >>> ramp = np.arange(4.0).reshape(1, 4, 1)
    >>> resize_bilinear(ramp, (1, 6))[0, :, 0].round(3)
    array([0.   , 0.5  , 1.167, 1.833, 2.5  , 3.   ])
    """
    rows = bilinear_matrix(x.shape[-3], size[0], x.dtype)
    columns = bilinear_matrix(x.shape[-2], size[1], x.dtype)
    return _apply(rows, _apply(columns, x, axis=-2), axis=-3)


def resize_bilinear_forward(x, size):
    """`resize_bilinear`, with the cache that its backward needs."""
    return resize_bilinear(x, size), ResampleCache(x.shape[-3:-1], tuple(size))


def resize_bilinear_backward(dy, cache):
    """Return dx: ``rows.T @ dy @ columns``."""
    (h, w), (height, width) = cache
    rows, columns = bilinear_matrix(h, height, dy.dtype), bilinear_matrix(w, width, dy.dtype)
    return _apply(columns.T, _apply(rows.T, dy, axis=-3), axis=-2)


# ---- which input pixels meet an output pixel ----


def nearest_index(in_size, out_size, dtype=np.float32):
    """``(out_size,)`` ints: the input pixel that each output pixel copies.

    As in torch, the quotient is rounded to the image's dtype and the product to float32: for one pair of
    sizes in a hundred, the exact ``i * in_size // out_size`` is another pixel somewhere.
    """
    dtype = np.dtype(dtype)
    ratio = dtype.type(in_size) / dtype.type(max(out_size, 1))
    index = (np.arange(out_size, dtype=dtype) * ratio).astype(np.float32).astype(np.int64)
    return np.minimum(index, in_size - 1)


def bilinear_neighbours(in_size, out_size, dtype=np.float32):
    """The two input pixels beside each output pixel, and how far it lies towards the second: low, high, fraction.

    Output pixel i has its centre at ``(i + 0.5) * in_size / out_size - 0.5`` in input pixels. For float32,
    torch rounds the ratio and, once more, the coordinate (a fused multiply-add); for float64, neither.
    """
    dtype = np.dtype(dtype)
    ratio = float(dtype.type(in_size) / dtype.type(max(out_size, 1)))
    source = ((np.arange(out_size) + 0.5) * ratio - 0.5).astype(dtype)
    source = np.maximum(source, 0)
    low = np.minimum(source.astype(np.int64), in_size - 1)
    high = np.minimum(low + 1, in_size - 1)
    return low, high, np.clip(source - low.astype(dtype), 0, 1)


def bilinear_matrix(in_size, out_size, dtype=np.float32):
    """``(out_size, in_size)`` sparse matrix: a row holds the weights of the two pixels beside an output."""
    low, high, fraction = bilinear_neighbours(in_size, out_size, dtype)
    weights = np.stack([1 - fraction, fraction], axis=1)
    return _matrix(weights, np.stack([low, high], axis=1), in_size)


def _nearest_matrix(in_size, out_size, dtype):
    return _matrix(np.ones((out_size, 1), dtype), nearest_index(in_size, out_size, dtype)[:, None], in_size)


def _matrix(weights, columns, in_size):
    """A sparse matrix from each row's weights and their columns, both (rows, entries per row)."""
    rows, entries = weights.shape
    starts = np.arange(rows + 1) * entries
    return scipy.sparse.csr_matrix((weights.ravel(), columns.ravel(), starts), shape=(rows, in_size))


def _apply(matrix, x, axis):
    """Multiply every line of `x` along `axis` by `matrix`."""
    lines = np.moveaxis(x, axis, 0)
    y = matrix @ lines.reshape(len(lines), math.prod(lines.shape[1:]))
    return np.ascontiguousarray(np.moveaxis(y.reshape(len(y), *lines.shape[1:]), 0, axis))
