"""Batch normalisation: give every channel zero mean and unit variance, then let it learn a scale and a shift.

In training the mean and variance are those of the batch, so every pixel's output depends on every other
pixel and the gradient has three terms: dy itself, minus its mean, minus its share along the normalised
input. A frozen batch norm takes stored statistics instead and is then only a multiplication and an
addition per channel, which is how detectors use a body that was trained on larger batches.
"""

from typing import NamedTuple

import numpy as np


class BatchNormCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,) of the batch
    inv_std: np.ndarray  # (C,) 1 / sqrt(biased variance + eps)
    unbiased_var: np.ndarray  # (C,) for the running statistics


def batch_norm_forward(x, weight, bias, eps=1e-5):
    """Normalise each channel by the batch's own mean and (biased) variance.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    weight, bias : (C,) float ndarray
    eps : float
        Added to the variance.

    Returns
    -------
    y : (N, H, W, C) float ndarray
        ``(x - mean) / sqrt(var + eps) * weight + bias``
    cache : BatchNormCache
        With `mean` and `unbiased_var`, from which a module keeps running statistics.

    References
    ----------
    Ioffe and Szegedy 2015, Algorithm 1.
    """
    count = max(x.size // len(weight), 1)
    mean = _channel_sum(x) / count
    y = x - mean
    squares = _channel_sum(y, y)
    inv_std = 1 / np.sqrt(squares / count + eps)
    y *= inv_std * weight
    y += bias
    return y, BatchNormCache(x, weight, mean, inv_std, squares / max(count - 1, 1))


def batch_norm_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``.

    With ``xhat = (x - mean) * inv_std``: ``dbias = sum(dy)``, ``dweight = sum(dy * xhat)`` and
    ``dx = weight * inv_std * (dy - dbias / count - xhat * dweight / count)``.
    """
    x, weight, mean, inv_std, _ = cache
    count = max(x.size // len(weight), 1)
    dx = x - mean
    dbias = _channel_sum(dy)
    dweight = _channel_sum(dy, dx) * inv_std
    dx *= -inv_std * dweight / count
    dx += dy
    dx -= dbias / count
    dx *= weight * inv_std
    return dx, dweight, dbias


class FrozenBatchNormCache(NamedTuple):
    scale: np.ndarray  # (C,)


def frozen_batch_norm_forward(x, weight, bias, running_mean, running_var, eps=1e-5):
    """Normalise with stored statistics: one multiplication and one addition a channel.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    weight, bias, running_mean, running_var : (C,) float ndarray
        Constants: they get no gradient.
    eps : float
        torchvision uses 0 with its published COCO weights, 1e-5 otherwise.

    Returns
    -------
    y : (N, H, W, C) float ndarray
    cache : FrozenBatchNormCache
    """
    scale = weight * (1 / np.sqrt(running_var + eps))
    y = x * scale
    y += bias - running_mean * scale
    return y, FrozenBatchNormCache(scale)


def frozen_batch_norm_backward(dy, cache):
    """Return ``dx = dy * scale``."""
    return dy * cache.scale


def _channel_sum(x, factor=None):
    """Sum `x` (or ``x * factor``) over all pixels, channel by channel: (..., C) -> (C,)."""
    if factor is not None:
        x = x * factor
    return x.sum(axis=(0, 1, 2), dtype=np.float64).astype(x.dtype)
