"""Max pooling: keep the largest number of every window, channel by channel.

Backward, the whole gradient of an output goes to the one input that won; of several equal ones, to the
first in reading order. The winner is found again by comparing the input with the output, so nothing but
the two needs to be remembered. Slow twin: `reference.max_pool2d`.
"""

from typing import NamedTuple

import numpy as np


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
        ``oh = (H + 2 * padding - kernel_size) // stride + 1``; input that does not fill a last step is not seen.
    cache : MaxPool2dCache

    Examples
    --------
    >>> x = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> y, cache = max_pool2d_forward(x, kernel_size=2, stride=2)
    >>> y[0, :, :, 0]
    array([[5., 7.]])
    """
    kernel_size, stride, padding = _pair(kernel_size), _pair(stride), _pair(padding)
    oh, ow = ((x.shape[d + 1] + 2 * padding[d] - kernel_size[d]) // stride[d] + 1 for d in (0, 1))
    if kernel_size == (1, 1) and padding == (0, 0):  # P6 of the pyramid: every second pixel
        y = x[:, :: stride[0], :: stride[1]].copy()
    else:
        y = np.full((len(x), oh, ow, x.shape[3]), -np.inf, x.dtype)
        for seen, outputs in _offsets(x.shape, (oh, ow), kernel_size, stride, padding):
            np.maximum(y[outputs], x[seen], out=y[outputs])
    return y, MaxPool2dCache(x, y, kernel_size, stride, padding)


def max_pool2d_backward(dy, cache):
    """Return dx: each dy added at the first maximum of its window."""
    x, y, kernel_size, stride, padding = cache
    dx = np.zeros(x.shape, dy.dtype)
    if kernel_size == (1, 1) and padding == (0, 0):
        dx[:, :: stride[0], :: stride[1]] = dy
        return dx
    waiting = np.ones(y.shape, bool)  # outputs whose maximum has not been met yet
    for seen, outputs in _offsets(x.shape, y.shape[1:3], kernel_size, stride, padding):
        won = x[seen] == y[outputs]
        won &= waiting[outputs]
        waiting[outputs] ^= won
        dx[seen] += dy[outputs] * won
    return dx


def _offsets(shape, out_size, kernel_size, stride, padding):
    """Yield, for each place in the window in reading order, which inputs are met there and by which outputs.

    Both are index tuples; outputs for which that place lies in the padding are left out.
    """
    for a in range(kernel_size[0]):
        for b in range(kernel_size[1]):
            seen, outputs = [slice(None)], [slice(None)]
            for d, offset in enumerate((a - padding[0], b - padding[1])):
                first = max(0, -(offset // stride[d]))  # the first output that sees an input here
                last = min(out_size[d] - 1, (shape[d + 1] - 1 - offset) // stride[d])
                outputs.append(slice(first, last + 1))
                start = first * stride[d] + offset
                seen.append(slice(start, start + (last - first) * stride[d] + 1, stride[d]))
            yield tuple(seen), tuple(outputs)


def _pair(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
