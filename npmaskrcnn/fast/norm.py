"""Batch normalization, quickly: a piece at a time goes through all steps while it is in the cache. See `plain.norm`."""

import numpy as np

from ..plain.norm import BatchNormCache

# Features are gone through in pieces of this many numbers, so that the few steps on each find it in the
# cache: 1.3 times as quick as whole-array steps on a large map. The pieces' sums are added up in float64,
# and a piece has no more pixels than float32 can add up well.
PIECE_NUMBERS, PIECE_PIXELS = 2**16, 2**11
PIXELS_OF_A_SHARE = 64


def batch_norm_forward(x, weight, bias, eps=1e-5):
    """See plain."""
    pixels = x.reshape(-1, len(weight))
    y = np.empty_like(pixels)
    count = max(len(pixels), 1)
    mean = (sum_over_pixels(x) / count).astype(x.dtype)
    squares = np.zeros(len(weight))
    for piece in _pieces(pixels):
        centered = pixels[piece] - mean
        squares += np.einsum("pc,pc->c", centered, centered)
    inv_std = (1 / np.sqrt(squares / count + eps)).astype(x.dtype)
    for piece in _pieces(pixels):
        np.subtract(pixels[piece], mean, out=y[piece])
        y[piece] *= inv_std * weight
        y[piece] += bias
    unbiased_var = (squares / max(count - 1, 1)).astype(x.dtype)
    return y.reshape(x.shape), BatchNormCache(x, weight, mean, inv_std, unbiased_var)


def batch_norm_backward(dy, cache):
    """See plain."""
    x, weight, mean, inv_std, _ = cache
    pixels, dy_pixels = x.reshape(-1, len(weight)), dy.reshape(-1, len(weight))
    dx = np.empty_like(dy_pixels)
    count = max(len(pixels), 1)
    dbias, dweight = sum_over_pixels(dy), np.zeros(len(weight))
    for piece in _pieces(pixels):
        dweight += np.einsum("pc,pc->c", dy_pixels[piece], pixels[piece] - mean)
    dweight *= inv_std
    dbias, dweight = dbias.astype(dy.dtype), dweight.astype(dy.dtype)
    for piece in _pieces(pixels):
        np.subtract(pixels[piece], mean, out=dx[piece])
        dx[piece] *= -inv_std * dweight / count
        dx[piece] += dy_pixels[piece]
        dx[piece] -= dbias / count
        dx[piece] *= weight * inv_std
    return dx.reshape(x.shape), dweight, dbias


def sum_over_pixels(values):
    """(..., C) -> (C,) in float64: shares of 64 pixels in the dtype of the values, which is quick, and their sums.

    Shares of far more pixels would round off too much, and a product with ones does that, too, where there is no BLAS.
    """
    pixels = values.reshape(-1, values.shape[-1])
    shares, channels = len(pixels) // PIXELS_OF_A_SHARE, pixels.shape[1]
    whole, rest = pixels[:shares * PIXELS_OF_A_SHARE], pixels[shares * PIXELS_OF_A_SHARE:]
    sums = whole.reshape(PIXELS_OF_A_SHARE, shares * channels).sum(axis=0).reshape(shares, channels)
    return sums.sum(axis=0, dtype=np.float64) + rest.sum(axis=0, dtype=np.float64)


def _pieces(pixels):
    """Slices that cut (pixels, C) into pieces."""
    step = max(1, min(PIECE_PIXELS, PIECE_NUMBERS // pixels.shape[1]))
    return [slice(start, start + step) for start in range(0, len(pixels), step)]
