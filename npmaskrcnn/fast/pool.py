"""Max pooling, quickly: rows and columns one after the other, a block of rows at a time. See `plain.pool`."""

import functools

import numpy as np

from ..plain.pool import MaxPool2dCache
from ..plain.windows import output_size, pair, unpad

# Images are gone through in blocks of rows of about this size, so that the few steps on each find it in the
# cache: twice as quick on a large map.
BLOCK_BYTES = 2**18


def max_pool2d_forward(x, kernel_size, stride, padding=0):
    """The maximum along x of the maxima along y. See plain."""
    kernel_size, stride, padding = pair(kernel_size), pair(stride), pair(padding)
    (n, h, w, c), (kh, kw), (sy, sx) = x.shape, kernel_size, stride
    if kernel_size == (1, 1) and padding == (0, 0):  # P6 of the pyramid: every second pixel
        y = x[:, ::sy, ::sx].copy()
        return y, MaxPool2dCache(x, y, kernel_size, stride, padding)

    padded = np.full((n, h + 2 * padding[0], w + 2 * padding[1], c), -np.inf, x.dtype)
    unpad(padded, padding)[...] = x  # on a small map, np.pad would take half as long as all that follows
    oh, ow = output_size(x.shape, kernel_size, stride, padding)
    y = np.empty((n, oh, ow, c), x.dtype)
    step = max(1, BLOCK_BYTES // max(1, padded[:1, :sy].nbytes))  # rows of the output
    for image, outputs in zip(padded, y):
        for start in range(0, oh, step):
            block, seen = outputs[start : start + step], image[start * sy :]
            tall = functools.reduce(np.maximum, [seen[a : a + len(block) * sy : sy] for a in range(kh)])
            block[...] = functools.reduce(np.maximum, [tall[:, b : b + ow * sx : sx] for b in range(kw)])
    return y, MaxPool2dCache(x, y, kernel_size, stride, padding)
