"""Normalization, quickly: a piece at a time goes through all steps while it is in the cache. See `plain.norm`.

The steps of a batch norm are short, and stay on one core: handing one to another thread takes as long. A frozen norm
has two, and those of large maps are worth it.
"""

import math

import numpy as np

from ..plain.norm import BatchNormCache, FrozenBatchNormCache
from .threads import spread_pixels

# A batch norm goes through its features in pieces of this many numbers, so that the few steps on each find it in the
# cache: 1.3 times as quick as whole-array steps on a large map. The pieces' sums are added up in float64,
# and a piece has no more rows than float32 can add up well.
NORM_NUMBERS, NORM_ROWS = 2**16, 2**11
LONG_ROW = 512
PIXELS_OF_A_SHARE = 64


def batch_norm_forward(x, weight, bias, eps=1e-5):
    """See plain."""
    rows, each = _long_rows(x)
    y = np.empty_like(rows)
    count = max(x.size // x.shape[-1], 1)
    mean = (sum_over_pixels(x) / count).astype(x.dtype)
    means, squares = np.tile(mean, each), np.zeros(rows.shape[1])
    for piece in _pieces(rows):
        centered = rows[piece] - means
        squares += np.einsum("pc,pc->c", centered, centered)
    squares = squares.reshape(each, -1).sum(axis=0)
    inv_std = (1 / np.sqrt(squares / count + eps)).astype(x.dtype)
    scales, biases = np.tile(inv_std * weight, each), np.tile(bias, each)
    for piece in _pieces(rows):
        np.subtract(rows[piece], means, out=y[piece])
        y[piece] *= scales
        y[piece] += biases
    unbiased_var = (squares / max(count - 1, 1)).astype(x.dtype)
    return y.reshape(x.shape), BatchNormCache(x, weight, mean, inv_std, unbiased_var)


def batch_norm_backward(dy, cache):
    """See plain."""
    x, weight, mean, inv_std, _ = cache
    (rows, each), (dy_rows, _) = _long_rows(x), _long_rows(dy)
    dx = np.empty_like(dy_rows)
    count = max(x.size // x.shape[-1], 1)
    means, dweight = np.tile(mean, each), np.zeros(rows.shape[1])
    for piece in _pieces(rows):
        dweight += np.einsum("pc,pc->c", dy_rows[piece], rows[piece] - means)
    dweight = dweight.reshape(each, -1).sum(axis=0) * inv_std
    dbias, dweight = sum_over_pixels(dy).astype(dy.dtype), dweight.astype(dy.dtype)
    along_x, mean_dy, scales = (np.tile(v, each) for v in (-inv_std * dweight / count, dbias / count, weight * inv_std))
    for piece in _pieces(rows):
        np.subtract(rows[piece], means, out=dx[piece])
        dx[piece] *= along_x
        dx[piece] += dy_rows[piece]
        dx[piece] -= mean_dy
        dx[piece] *= scales
    return dx.reshape(x.shape), dweight, dbias


def frozen_batch_norm_forward(x, weight, bias, running_mean, running_var, eps=1e-5):
    """See plain."""
    scale = weight * (1 / np.sqrt(running_var + eps))
    shift = bias - running_mean * scale
    y = np.empty(x.shape, np.result_type(x, scale))

    def normalize(x, y):
        np.multiply(x, scale, out=y)
        y += shift

    spread_pixels(normalize, x, y)
    return y, FrozenBatchNormCache(scale)


def frozen_batch_norm_backward(dy, cache):
    """See plain."""
    dx = np.empty(dy.shape, np.result_type(dy, cache.scale))
    spread_pixels(lambda dy, dx: np.multiply(dy, cache.scale, out=dx), dy, dx)
    return dx


def sum_over_pixels(values):
    """(..., C) -> (C,) in float64: shares of 64 pixels in the dtype of the values, which is quick, and their sums.

    Shares of far more pixels would round off too much, and a product with ones does that, too, where there is no BLAS.
    """
    pixels = values.reshape(-1, values.shape[-1])
    shares, channels = len(pixels) // PIXELS_OF_A_SHARE, pixels.shape[1]
    whole, rest = pixels[:shares * PIXELS_OF_A_SHARE], pixels[shares * PIXELS_OF_A_SHARE:]
    sums = whole.reshape(PIXELS_OF_A_SHARE, shares * channels).sum(axis=0).reshape(shares, channels)
    return sums.sum(axis=0, dtype=np.float64) + rest.sum(axis=0, dtype=np.float64)


def _long_rows(x):
    """x with several pixels in a row, and how many: NumPy's steps go quicker through long rows."""
    channels = x.shape[-1]
    each = math.gcd(x.size // channels, 2 ** max(0, (LONG_ROW // channels).bit_length() - 1))
    return x.reshape(-1, each * channels), each


def _pieces(rows):
    """Slices that cut an array of rows into pieces."""
    step = max(1, min(NORM_ROWS, NORM_NUMBERS // rows.shape[1]))
    return [slice(start, start + step) for start in range(0, len(rows), step)]
