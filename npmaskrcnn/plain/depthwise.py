"""Depthwise convolution: every channel is blurred or sharpened by a small kernel of its own, and no two channels mix.

A usual convolution meets each place (a, b) of its kernel with a matrix, which mixes all channels. Here the matrix is
diagonal: one number a channel, so that ``seen @ weight[a, b]`` becomes ``seen * weight[a, b]``, C times as few
multiplications. What mixes the channels is a 1x1 convolution before or after it; the two together see what a usual
convolution sees, for 1 / C_out + 1 / (kh * kw) of its multiplications: for a kernel of 3x3 and many channels little
more than a ninth, for one of 5x5 little more than a twenty-fifth. The gradients are read off the same line: `seen` gets
``dy * weight[a, b]``, and ``weight[a, b]`` the sum of ``seen * dy`` over all pixels. It is `conv2d` with as many groups
as channels, and has that one's weight and cache.

Source: Howard et al. 2017 (MobileNet), section 3.1, which counts the multiplications.
"""

import numpy as np

from .conv import Conv2dCache
from .windows import output_size, pad, pair, unpad, windows


def depthwise_conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    """Slide each channel's own kernel over that channel of zero-padded images.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    weight : (kh, kw, 1, C) float ndarray
        That of ``conv2d_forward(..., groups=C)``.
    bias : (C,) float ndarray, optional
    stride, padding : int or (along y, along x)

    Returns
    -------
    y : (N, oh, ow, C) float ndarray
    cache : Conv2dCache

    Examples
    --------
    >>> x = np.arange(24.0).reshape(1, 3, 4, 2)
    >>> mean_and_corner = np.array([[0.25, 1], [0.25, 0], [0.25, 0], [0.25, 0]]).reshape(2, 2, 1, 2)
    >>> y, cache = depthwise_conv2d_forward(x, mean_and_corner)
    >>> y[0, :, :, 0]
    array([[ 5.,  7.,  9.],
           [13., 15., 17.]])
    >>> y[0, :, :, 1]
    array([[ 1.,  3.,  5.],
           [ 9., 11., 13.]])
    """
    cache = Conv2dCache(x, weight, bias is not None, pair(stride), pair(padding), x.shape[3])
    size = output_size(x.shape, weight.shape, cache.stride, cache.padding)
    y = np.zeros((len(x), *size, x.shape[3]), x.dtype)
    padded = pad(x, cache.padding)
    for (a, b), seen in windows(weight.shape, size, cache.stride):
        y += padded[seen] * weight[a, b]
    return (y if bias is None else y + bias), cache


def depthwise_conv2d_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``; dbias is None without a bias."""
    x, weight, has_bias, stride, padding, _ = cache
    padded, dweight = pad(x, padding), np.zeros_like(weight)
    dpadded = np.zeros_like(padded)
    for (a, b), seen in windows(weight.shape, dy.shape[1:3], stride):
        dpadded[seen] += dy * weight[a, b]
        dweight[a, b] = (padded[seen] * dy).sum(axis=(0, 1, 2))
    return unpad(dpadded, padding), dweight, dy.sum(axis=(0, 1, 2)) if has_bias else None


def depthwise_conv2d(x, weight, bias=None, stride=1, padding=0):
    """`depthwise_conv2d_forward` without the cache, for inference."""
    return depthwise_conv2d_forward(x, weight, bias, stride, padding)[0]
