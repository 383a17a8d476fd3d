"""Depthwise convolution, quickly: one pass over long rows for each place of the kernel. See `plain.depthwise`.

There is no matrix in it, so no product that BLAS could make. What NumPy has instead is `einsum`, which multiplies
and adds in one pass, and is quick where the numbers follow one another in memory for long. A row of pixels is such a
run if the kernel's row is repeated for each pixel: with stride 1, what a place of the kernel sees of a row is that row,
shifted. With a larger stride every s-th pixel is first put beside its like. Blocks of rows stay in the cache while all
places of the kernel go over them, and are shared out among the cores.
"""

import math

import numpy as np

from ..plain.conv import Conv2dCache
from ..plain.windows import output_size, pair
from .conv import through_phases
from .frame import in_frame
from .norm import sum_over_pixels
from .threads import cores_for, even_blocks, spread_over_cores

BLOCK_BYTES = 2**18
LONG_ROW = 4096     # numbers: for so many the kernel is repeated
DEARER = 10         # than one of a matrix product is a multiplication here


def depthwise_conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    """See plain."""
    cache = Conv2dCache(x, weight, bias is not None, pair(stride), pair(padding), x.shape[3])
    return depthwise_conv2d(x, weight, bias, stride, padding), cache


def depthwise_conv2d(x, weight, bias=None, stride=1, padding=0):
    """See plain."""
    stride, padding = pair(stride), pair(padding)
    return _correlate(x, weight, stride, padding, output_size(x.shape, weight.shape, stride, padding), bias)


def depthwise_conv2d_backward(dy, cache):
    """See plain."""
    x, weight, has_bias, stride, padding, _ = cache
    dx = through_phases(_correlate, dy, weight, x.shape[1:3], stride, padding)
    dweight = _weight_gradient(x, dy, weight.shape, stride, padding)
    return dx, dweight, sum_over_pixels(dy).astype(dy.dtype) if has_bias else None


def _correlate(x, weight, stride, padding, out_size, bias=None):
    """``y[i, j] = bias + sum over (a, b) of x[i * stride + a - padding, ...] * weight[a, b]``, as in `conv`."""
    c = x.shape[3]
    y = np.empty((len(x), out_size[0], out_size[1] * c), x.dtype)
    columns = max(1, LONG_ROW // max(1, c))
    kernel = np.tile(weight[:, :, 0], (1, 1, min(columns, out_size[1])))
    biases = None if bias is None else np.tile(bias, min(columns, out_size[1]))

    def multiply(blocks):
        for block in blocks:
            for pixels, phase, seen in _seen(x, block, weight.shape[:2], stride, padding, out_size, columns):
                out, taps = y[pixels], kernel[:, phase :: stride[1], : seen.shape[-1]]
                if phase == 0:
                    np.einsum("abnim,abm->nim", seen, taps, out=out)
                    out += 0 if bias is None else biases[: seen.shape[-1]]
                else:
                    out += np.einsum("abnim,abm->nim", seen, taps)

    spread_over_cores(multiply, _blocks(x, weight.shape, out_size))
    return y.reshape(len(x), *out_size, c)


def _weight_gradient(x, dy, weight_shape, stride, padding):
    """``dweight[a, b] = sum over (i, j) of x[i * stride + a - padding, ...] * dy[i, j]``."""
    (n, oh, ow, c), (kh, kw) = dy.shape, weight_shape[:2]
    dy_rows, columns = dy.reshape(n, oh, ow * c), max(1, LONG_ROW // max(1, c))

    def multiply(blocks):
        dweight = np.zeros((kh, kw, c))
        for block in blocks:
            for pixels, phase, seen in _seen(x, block, (kh, kw), stride, padding, (oh, ow), columns):
                products = np.einsum("abnim,nim->abm", seen, dy_rows[pixels])
                dweight[:, phase :: stride[1]] += products.reshape(*products.shape[:2], -1, c).sum(axis=2)
        return dweight

    return sum(spread_over_cores(multiply, _blocks(x, weight_shape, (oh, ow)))).astype(dy.dtype).reshape(weight_shape)


def _blocks(x, weight_shape, out_size):
    """Cut the output pixels into blocks ``(first image, number of images, first row, number of rows)``."""
    (n, _, _, c), (oh, ow) = x.shape, out_size
    rows = max(1, BLOCK_BYTES // max(1, min(ow * c, LONG_ROW) * x.itemsize))
    work = DEARER * n * oh * ow * c * math.prod(weight_shape[:2])
    return even_blocks(n * bool(ow * c), max(1, rows // max(1, oh)), oh, rows, cores_for(work))


def _seen(x, block, kernel, stride, padding, out_size, most_columns):
    """Yield ``(pixels, phase, seen)`` for a block, some columns at a time and for each phase of the columns.

    `pixels` is where they are among the (N, oh, ow * C) output pixels. `seen` is what the places (a, phase), (a, phase
    + stride), ... of the kernel see for them: (kh, places, images, rows, columns * C), all in one copy of the block.
    """
    (image, num, row, height), (kh, kw), (sy, sx), c = block, kernel, stride, x.shape[3]
    for column in range(0, out_size[1], most_columns):
        width = min(most_columns, out_size[1] - column)
        frame = in_frame(x[image : image + num], row * sy - padding[0], column * sx - padding[1],
                         (height - 1) * sy + kh, (width - 1) * sx + kw)
        pixels = np.s_[image : image + num, row : row + height, column * c : (column + width) * c]
        for phase in range(min(sx, kw)):
            part = frame if sx == 1 else np.ascontiguousarray(frame[:, :, phase::sx])
            s_image, s_y, s_x, s_c = part.strides
            shape = kh, len(range(phase, kw, sx)), num, height, width * c
            yield pixels, phase, np.lib.stride_tricks.as_strided(
                part, shape, (s_y, s_x, s_image, s_y * sy, s_c), writeable=False)
