"""Batch normalization: give every channel zero mean and unit variance, then let it learn a scale and a shift.

In training the mean and variance are those of the batch, so every pixel's output depends on every other
pixel and the gradient has three terms: dy itself, minus its mean, minus its share along the normalized
input. With stored statistics the pixels are independent, and only the first term is left. A frozen batch norm
does not even learn: it is a multiplication and an addition per channel, which is how detectors use a body that
was trained on larger batches. Sums over pixels are taken in float64: a map has too many pixels for float32.
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
    """Normalize each channel by the batch's own mean and (biased) variance.

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
    count = max(x.size // x.shape[3], 1)
    mean = (_sum_over_pixels(x) / count).astype(x.dtype)
    squares = _sum_over_pixels((x - mean) ** 2)
    inv_std = (1 / np.sqrt(squares / count + eps)).astype(x.dtype)
    y = (x - mean) * (inv_std * weight) + bias
    return y, BatchNormCache(x, weight, mean, inv_std, (squares / max(count - 1, 1)).astype(x.dtype))


def batch_norm_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``.

    With ``xhat = (x - mean) * inv_std``: ``dbias = sum(dy)``, ``dweight = sum(dy * xhat)`` and
    ``dx = weight * inv_std * (dy - dbias / count - xhat * dweight / count)``.
    """
    x, weight, mean, inv_std, _ = cache
    count = max(x.size // x.shape[3], 1)
    xhat = (x - mean) * inv_std
    dbias, dweight = (_sum_over_pixels(product).astype(dy.dtype) for product in (dy, dy * xhat))
    return weight * inv_std * (dy - dbias / count - xhat * (dweight / count)), dweight, dbias


class StoredBatchNormCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C)
    weight: np.ndarray  # (C,)
    mean: np.ndarray  # (C,) stored
    inv_std: np.ndarray  # (C,) 1 / sqrt(stored variance + eps)


def stored_batch_norm_forward(x, weight, bias, running_mean, running_var, eps=1e-5):
    """Normalize with stored statistics, and learn the scale and the shift (torch's batch norm in eval mode).

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    weight, bias : (C,) float ndarray
    running_mean, running_var : (C,) float ndarray
        Constants: they get no gradient.
    eps : float

    Returns
    -------
    y : (N, H, W, C) float ndarray
        ``(x - running_mean) / sqrt(running_var + eps) * weight + bias``
    cache : StoredBatchNormCache
    """
    y, _ = frozen_batch_norm_forward(x, weight, bias, running_mean, running_var, eps)
    return y, StoredBatchNormCache(x, weight, running_mean, 1 / np.sqrt(running_var + eps))


def stored_batch_norm_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: `dy * weight * inv_std`, `sum(dy * xhat)` and `sum(dy)`."""
    x, weight, mean, inv_std = cache
    xhat = (x - mean) * inv_std
    dbias, dweight = (_sum_over_pixels(product).astype(dy.dtype) for product in (dy, dy * xhat))
    return dy * (weight * inv_std), dweight, dbias


class FrozenBatchNormCache(NamedTuple):
    scale: np.ndarray  # (C,)


def frozen_batch_norm_forward(x, weight, bias, running_mean, running_var, eps=1e-5):
    """Normalize with stored statistics: one multiplication and one addition a channel.

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


def _sum_over_pixels(values):
    """(N, H, W, C) -> (C,) in float64."""
    return values.sum(axis=(0, 1, 2), dtype=np.float64)
