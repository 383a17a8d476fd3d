"""Max pooling, quickly: rows and columns one after the other, a block of rows at a time. See `plain.pool`."""

import numpy as np

from ..plain.pool import MaxPool2dCache
from ..plain.windows import output_size, pair

# Images are gone through in blocks of rows of about this size, so that the few steps on each find it in the
# cache: twice as quick on a large map.
BLOCK_BYTES = 2**18


def max_pool2d_forward(x, kernel_size, stride, padding=0):
    """The maximum along x of the maxima along y. See plain."""
    kernel_size, stride, padding = pair(kernel_size), pair(stride), pair(padding)
    n, h, w, c = x.shape
    oh, ow = output_size(x.shape, kernel_size, stride, padding)
    if kernel_size == (1, 1) and padding == (0, 0):  # P6 of the pyramid: every second pixel
        y = x[:, :: stride[0], :: stride[1]].copy()
        return y, MaxPool2dCache(x, y, kernel_size, stride, padding)

    y = np.full((n, oh, ow, c), -np.inf, x.dtype)
    for image, rows in _row_blocks(x, oh, stride):
        tall = np.full((rows[1] - rows[0], w, c), -np.inf, x.dtype)
        for seen, outputs in _places(h, rows, kernel_size[0], stride[0], padding[0]):
            np.maximum(tall[outputs], x[image, seen], out=tall[outputs])
        y_block = y[image, slice(*rows)]
        for seen, outputs in _places(w, (0, ow), kernel_size[1], stride[1], padding[1]):
            np.maximum(y_block[:, outputs], tall[:, seen], out=y_block[:, outputs])
    return y, MaxPool2dCache(x, y, kernel_size, stride, padding)


def max_pool2d_backward(dy, cache):
    """See plain."""
    x, y, kernel_size, stride, padding = cache
    (_, h, w, _), (_, oh, ow, _) = x.shape, y.shape
    dx = np.zeros(x.shape, dy.dtype)
    if kernel_size == (1, 1) and padding == (0, 0):
        dx[:, :: stride[0], :: stride[1]] = dy
        return dx

    for image, rows in _row_blocks(x, oh, stride):
        y_block, dy_block = y[image, slice(*rows)], dy[image, slice(*rows)]
        waiting = np.ones(y_block.shape, bool)  # outputs whose maximum has not been met yet
        for seen_y, outputs_y in _places(h, rows, kernel_size[0], stride[0], padding[0]):
            for seen_x, outputs_x in _places(w, (0, ow), kernel_size[1], stride[1], padding[1]):
                won = x[image, seen_y, seen_x] == y_block[outputs_y, outputs_x]
                won &= waiting[outputs_y, outputs_x]
                waiting[outputs_y, outputs_x] ^= won
                dx[image, seen_y, seen_x] += dy_block[outputs_y, outputs_x] * won
    return dx


def _row_blocks(x, out_height, stride):
    """Yield ``(image, (start, stop))``: which rows of which output make the next block."""
    step = max(1, BLOCK_BYTES // max(1, x[0].nbytes // x.shape[1] * stride[0])) if x.size else 1
    for image in range(len(x)):
        for start in range(0, out_height, step):
            yield image, (start, min(start + step, out_height))


def _places(size, outputs, kernel_size, stride, padding):
    """Yield, for each place in the window, which of `size` inputs are met there and by which of the outputs.

    `outputs` is a range ``(start, stop)``; the second slice counts from its start. Outputs for which that
    place lies in the padding are left out.
    """
    start, stop = outputs
    for offset in range(-padding, kernel_size - padding):
        first = max(start, -(offset // stride))  # the first output that sees an input here
        last = max(first - 1, min(stop - 1, (size - 1 - offset) // stride))
        yield (
            slice(first * stride + offset, last * stride + offset + 1, stride),
            slice(first - start, last + 1 - start),
        )
