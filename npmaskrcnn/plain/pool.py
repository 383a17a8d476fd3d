"""Max pooling: keep the largest number of every window, channel by channel.

Go through the places of the window and keep whatever is larger than all before. Backward, the whole gradient of an
output goes to the one input that won; of several equal ones, to the first in reading order. The winner is found
again by comparing the input with the output, so nothing but the two needs to be remembered.
Slow twin: `reference.max_pool2d`.
"""

from typing import NamedTuple

import numpy as np

from .windows import output_size, pad, pair, unpad, windows


class MaxPool2dCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C)
    y: np.ndarray  # (N, oh, ow, C)
    kernel_size: tuple
    stride: tuple
    padding: tuple


def max_pool2d_forward(x, kernel_size, stride, padding=0):
    """Take the maximum of each window.

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    kernel_size, stride, padding : int or (along y, along x)
        Padding counts as -inf, so it never wins; at most half the kernel.

    Returns
    -------
    y : (N, oh, ow, C) float ndarray
        ``oh = (H + 2 * padding - kernel_size) // stride + 1``; what does not fill a last step is not seen.
    cache : MaxPool2dCache

    Examples
    --------
    >>> x = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> y, cache = max_pool2d_forward(x, kernel_size=2, stride=2)
    >>> y[0, :, :, 0]
    array([[5., 7.]])
    """
    kernel_size, stride, padding = pair(kernel_size), pair(stride), pair(padding)
    size, padded = output_size(x.shape, kernel_size, stride, padding), pad(x, padding, -np.inf)
    y = np.full((len(x), *size, x.shape[3]), -np.inf, x.dtype)
    for _, seen in windows(kernel_size, size, stride):
        y = np.maximum(y, padded[seen])
    return y, MaxPool2dCache(x, y, kernel_size, stride, padding)


def max_pool2d_backward(dy, cache):
    """Return dx: each dy added at the first maximum of its window."""
    x, y, kernel_size, stride, padding = cache
    padded = pad(x, padding, -np.inf)
    dpadded, waiting = np.zeros(padded.shape, dy.dtype), np.ones(y.shape, bool)
    for _, seen in windows(kernel_size, y.shape[1:3], stride):
        won = waiting & (padded[seen] == y)
        dpadded[seen] += dy * won
        waiting &= ~won
    return unpad(dpadded, padding)
