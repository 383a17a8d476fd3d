"""Changing an image's size, quickly: of the matrices only the weights that are not zero. See `plain.resample`.

Maps of twice the size, which is what a pyramid asks for, are made and summed up by slices.
"""

import math

import numpy as np
import scipy.sparse

from ..plain import resample as plain
from ..plain.resample import ResampleCache, bilinear_neighbors


def upsample_nearest_forward(x, size):
    """See plain."""
    n, h, w, c = x.shape
    if tuple(size) != (2 * h, 2 * w):
        return plain.upsample_nearest_forward(x, size)
    y = np.empty((n, h, 2, w, 2, c), x.dtype)
    y[...] = x[:, :, None, :, None]
    return y.reshape(n, 2 * h, 2 * w, c), ResampleCache((h, w), tuple(size))


def upsample_nearest_backward(dy, cache):
    """See plain."""
    (h, w), out_size = cache
    if out_size != (2 * h, 2 * w):
        return plain.upsample_nearest_backward(dy, cache)
    cells = dy.reshape(len(dy), h, 2, w, 2, dy.shape[3])
    dx = cells[:, :, 0, :, 0] + cells[:, :, 0, :, 1]
    dx += cells[:, :, 1, :, 0]
    dx += cells[:, :, 1, :, 1]
    return dx


def resize_bilinear(x, size):
    """See plain."""
    rows = _bilinear_matrix(x.shape[-3], size[0], x.dtype)
    columns = _bilinear_matrix(x.shape[-2], size[1], x.dtype)
    return _apply(rows, _apply(columns, x, axis=-2), axis=-3)


def resize_bilinear_forward(x, size):
    """See plain."""
    return resize_bilinear(x, size), ResampleCache(x.shape[-3:-1], tuple(size))


def resize_bilinear_backward(dy, cache):
    """See plain."""
    (h, w), (height, width) = cache
    rows, columns = _bilinear_matrix(h, height, dy.dtype), _bilinear_matrix(w, width, dy.dtype)
    return _apply(columns.T, _apply(rows.T, dy, axis=-3), axis=-2)


def _bilinear_matrix(in_size, out_size, dtype):
    """``(out_size, in_size)`` sparse matrix: a row holds the weights of the two pixels beside an output."""
    low, high, fraction = bilinear_neighbors(in_size, out_size, dtype)
    weights, columns = np.stack([1 - fraction, fraction], axis=1), np.stack([low, high], axis=1)
    starts = 2 * np.arange(out_size + 1)
    return scipy.sparse.csr_matrix((weights.ravel(), columns.ravel(), starts), shape=(out_size, in_size))


def _apply(matrix, x, axis):
    """Multiply every line of `x` along `axis` by `matrix`."""
    lines = np.moveaxis(x, axis, 0)
    y = matrix @ lines.reshape(len(lines), math.prod(lines.shape[1:]))
    return np.ascontiguousarray(np.moveaxis(y.reshape(len(y), *lines.shape[1:]), 0, axis))
