"""Resizing, quickly: of the matrices of weights only those that are not zero. See `plain.resample`."""

import math

import numpy as np
import scipy.sparse

from ..plain import resample as plain
from ..plain.resample import ResampleCache, bilinear_neighbors


def upsample_nearest_backward(dy, cache):
    """Where all pixels had been doubled, as nearly always in the pyramid: sums of pairs. See plain."""
    if cache.out_size != tuple(2 * side for side in cache.in_size):
        return plain.upsample_nearest_backward(dy, cache)
    pairs = dy[:, 0::2] + dy[:, 1::2]
    return pairs[:, :, 0::2] + pairs[:, :, 1::2]


def resize_bilinear(x, size):
    """See plain."""
    rows, columns = (_bilinear_matrix(x.shape[d - 3], size[d], x.dtype) for d in (0, 1))
    return _apply(rows, _apply(columns, x, axis=-2), axis=-3)


def resize_bilinear_forward(x, size):
    """See plain."""
    return resize_bilinear(x, size), ResampleCache(x.shape[-3:-1], tuple(size))


def resize_bilinear_backward(dy, cache):
    """See plain."""
    rows, columns = (_bilinear_matrix(old, new, dy.dtype) for old, new in zip(*cache))
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
