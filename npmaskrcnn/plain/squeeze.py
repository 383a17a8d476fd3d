"""Squeeze and excitation's two ends: a map's channels become one number each, and numbers scale a map's channels.

Squeezed, an image is one pixel: the mean of each channel over all pixels. Backward, every pixel had the same share in
that mean, so each gets dy divided by their number. In between, two small layers decide how much each channel matters
in this image. What they say, one number a channel, scales that channel at all pixels; backward, a pixel gets dy times
the scale, and the scale the sum of dy times the pixels. Sums over pixels are taken in float64.

Source: Hu et al. 2018, Eq. 2 and 4.
"""

from typing import NamedTuple

import numpy as np


class GlobalAvgPool2dCache(NamedTuple):
    shape: tuple  # (N, H, W, C)


def global_avg_pool2d_forward(x):
    """Take the mean of each image's pixels.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray

    Returns
    -------
    y : (N, 1, 1, C) float ndarray
    cache : GlobalAvgPool2dCache
    """
    y = x.sum(axis=(1, 2), keepdims=True, dtype=np.float64) / (x.shape[1] * x.shape[2])
    return y.astype(x.dtype), GlobalAvgPool2dCache(x.shape)


def global_avg_pool2d_backward(dy, cache):
    """Return dx: to every pixel the same share of dy."""
    _, h, w, _ = cache.shape
    return np.broadcast_to(dy / (h * w), cache.shape).copy()


class ScaleChannelsCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C)
    scale: np.ndarray  # (N, 1, 1, C)


def scale_channels_forward(x, scale):
    """``y = x * scale``, with one number for each image and channel; returns ``(y, cache)``.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    scale : (N, 1, 1, C) float ndarray

    Examples
    --------
    >>> y, cache = scale_channels_forward(np.ones((1, 2, 2, 3)), np.array([0.0, 0.5, 1.0]).reshape(1, 1, 1, 3))
    >>> y[0, 1]
    array([[0. , 0.5, 1. ],
           [0. , 0.5, 1. ]])
    """
    return x * scale, ScaleChannelsCache(x, scale)


def scale_channels_backward(dy, cache):
    """Return ``(dx, dscale)``: ``dy * scale``, and the sum of ``dy * x`` over the pixels."""
    x, scale = cache
    return dy * scale, (dy * x).sum(axis=(1, 2), keepdims=True, dtype=np.float64).astype(dy.dtype)
