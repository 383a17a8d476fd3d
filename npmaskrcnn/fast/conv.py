"""Convolution, quickly: large products of what fits into the cache, shared out among the cores.

Lay the window under each output pixel out as one long row (its pixels are C-vectors, so a 3x3 window of 64 channels is
a row of 576 numbers) and a convolution is one matrix product: `windows @ weight`. Both gradients are products too. The
gradient of the weight is `windows.T @ dy`. The gradient of the input asks, for one input pixel, which outputs saw it:
again a window, now of `dy`, met by the kernel turned round; so `_correlate` is the forward pass and the gradient of the
input. A transposed convolution is done here if its stamps do not overlap, as in the mask head: each stamp is then a
plain product. All windows together would be nine times the input: they are laid out block by block, and
`threads.spread_over_cores` gives each core its share of the blocks. A 3x3 kernel between many channels takes fewer
multiplications: see `winograd`. See `plain.conv`.
"""

import functools
import math

import numpy as np

from ..plain import conv as plain
from ..plain.conv import Conv2dCache, ConvTranspose2dCache
from ..plain.windows import output_size, pair
from .frame import in_frame
from .linear import zero_row
from .norm import sum_over_pixels
from .product import product
from .threads import cores_for, even_blocks, even_length, spread_over_cores
from .winograd import correlate_tiles, is_worthwhile, weight_gradient_of_tiles

# Windows are laid out in blocks of about this size, so that the products find them in the cache,
BLOCK_BYTES = 2**21
# but of at least so many pixels, since each product also has to read the whole weight, or to add to its whole gradient.
BLOCK_PIXELS = 1024


def conv2d_forward(x, weight, bias=None, stride=1, padding=0, groups=1):
    """See plain."""
    cache = Conv2dCache(x, weight, bias is not None, pair(stride), pair(padding), groups)
    return conv2d(x, weight, bias, stride, padding, groups), cache


def conv2d_backward(dy, cache):
    """See plain."""
    x, weight, _, stride, padding, groups = cache
    dx = _input_gradient(dy, weight, x.shape[1:3], stride, padding, groups)
    return dx, *conv2d_weight_gradient(dy, cache)


def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    """See plain."""
    return conv2d_add_relu(x, weight, bias, stride, padding, groups, relu=False)


def conv2d_weight_gradient(dy, cache):
    """Without a gradient by the input. See plain."""
    x, weight, has_bias, stride, padding, groups = cache
    dweight = _weight_gradient(x, dy, weight.shape, stride, padding, groups)
    return dweight, sum_over_pixels(dy).astype(dy.dtype) if has_bias else None


def conv2d_add_relu(x, weight, bias=None, stride=1, padding=0, groups=1, shortcut=None, relu=True):
    """The sum and the ReLU are done to each block of the convolution while it is in the cache. See plain."""
    stride, padding = pair(stride), pair(padding)
    size = output_size(x.shape, weight.shape, stride, padding)
    return _correlate(x, weight, stride, padding, size, groups, bias, shortcut, relu)


def conv_transpose2d_forward(x, weight, bias=None, stride=1):
    """Stamps that do not overlap: one product, whose pieces are put in their places. See plain."""
    stride = pair(stride)
    (n, h, w, c_in), (kh, kw, _, c_out) = x.shape, weight.shape
    if (kh, kw) != stride:
        return plain.conv_transpose2d_forward(x, weight, bias, stride)
    matrix = weight.transpose(2, 0, 1, 3).reshape(c_in, kh * kw * c_out)
    y = np.empty((n, h, kh, w, kw, c_out), x.dtype)

    def multiply(blocks):
        for images in blocks:
            stamps = product(x[images].reshape(-1, c_in), matrix).reshape(-1, h, w, kh, kw, c_out)
            np.add(stamps.transpose(0, 1, 3, 2, 4, 5), 0 if bias is None else bias, out=y[images])

    spread_over_cores(multiply, _blocks_of_images(n, h * w, matrix))
    return y.reshape(n, h * kh, w * kw, c_out), ConvTranspose2dCache(x, weight, bias is not None, stride)


def conv_transpose2d_backward(dy, cache):
    """Each stamp's gradient, cut out of dy, is one row of the two products. See plain."""
    x, weight, has_bias, stride = cache
    (n, h, w, _), (kh, kw, c_in, c_out) = x.shape, weight.shape
    if (kh, kw) != stride:
        return plain.conv_transpose2d_backward(dy, cache)
    matrix, dx = weight.transpose(2, 0, 1, 3).reshape(c_in, kh * kw * c_out), np.empty_like(x)

    def multiply(blocks):
        dmatrix = np.zeros_like(matrix)
        for images in blocks:
            dstamps = dy[images].reshape(-1, h, kh, w, kw, c_out).transpose(0, 1, 3, 2, 4, 5)
            dstamps = dstamps.reshape(-1, kh * kw * c_out)
            dx[images] = product(dstamps, matrix.T).reshape(-1, h, w, c_in)
            dmatrix += product(x[images].reshape(-1, c_in).T, dstamps)
        return dmatrix

    dweight = sum(spread_over_cores(multiply, _blocks_of_images(n, h * w, matrix)))
    dweight = dweight.reshape(c_in, kh, kw, c_out).transpose(1, 2, 0, 3)
    return dx, np.ascontiguousarray(dweight), sum_over_pixels(dy).astype(dy.dtype) if has_bias else None


# ---- the three products ----


def _correlate(x, weight, stride, padding, out_size, groups, bias=None, shortcut=None, relu=False):
    """``y[i, j] = bias + sum over (a, b) of x[i * stride + a - padding, ...] @ weight[a, b]``.

    Outside the image x is zero. `padding` may be negative (start inside the image); `out_size` says how far
    to go. On top of that come the shortcut and the ReLU.
    """
    if is_worthwhile(x, out_size, weight.shape, stride, groups):
        def finish(out, part):
            _finish(out, bias, None if shortcut is None else shortcut[part], relu)

        return correlate_tiles(x, weight, padding, out_size, finish)

    c_out = weight.shape[3]
    # groups first, so that each group's product is written in place
    y = np.empty((groups, len(x) * math.prod(out_size), c_out // groups), x.dtype)
    matrices = weight.reshape(-1, groups, c_out // groups).swapaxes(0, 1)
    if bias is not None:
        bias = bias.reshape(groups, 1, -1)
    if shortcut is not None:
        shortcut = shortcut.reshape(-1, groups, c_out // groups).swapaxes(0, 1)

    def multiply(blocks):
        for block, windows in _windows(x, blocks, weight.shape[:2], stride, padding, out_size, groups):
            out = y[:, block]
            product(windows, matrices, out=out)
            _finish(out, bias, None if shortcut is None else shortcut[:, block], relu)

    spread_over_cores(multiply, _blocks(x, weight.shape, out_size))
    return y.swapaxes(0, 1).reshape(len(x), *out_size, c_out)


def _finish(out, bias, shortcut, relu):
    """Do what comes on top to a piece of the result, while it is in the cache."""
    if bias is not None:
        out += bias
    if shortcut is not None:
        out += shortcut
    if relu:
        np.maximum(out, zero_row(out), out=out)


def _weight_gradient(x, dy, weight_shape, stride, padding, groups):
    """``dweight[a, b] = sum over (i, j) of x[i * stride + a - padding, ...].T @ dy[i, j]``."""
    if is_worthwhile(x, dy.shape[1:3], weight_shape, stride, groups, gradient=True):
        return weight_gradient_of_tiles(x, dy, padding)

    kh, kw, c_group, c_out = weight_shape
    dy_pixels = dy.reshape(-1, groups, c_out // groups).swapaxes(0, 1)

    def multiply(blocks):
        dmatrices = np.zeros((groups, kh * kw * c_group, c_out // groups), dy.dtype)
        for block, windows in _windows(x, blocks, (kh, kw), stride, padding, dy.shape[1:3], groups):
            dmatrices += product(windows.swapaxes(1, 2), dy_pixels[:, block])
        return dmatrices

    dmatrices = sum(spread_over_cores(multiply, _blocks(x, weight_shape, dy.shape[1:3])))
    return dmatrices.swapaxes(0, 1).reshape(weight_shape)


def _input_gradient(dy, weight, size, stride, padding, groups):
    """``dx[y, x] = sum over (a, b) of dy[(y + padding - a) / stride, ...] @ weight[a, b].T`` if that divides."""
    kh, kw, c_group, c_out = weight.shape
    # input and output channels change places, within each group
    turned = weight.reshape(kh, kw, c_group, groups, c_out // groups).transpose(0, 1, 4, 3, 2)
    turned = turned.reshape(kh, kw, c_out // groups, groups * c_group)
    return through_phases(functools.partial(_correlate, groups=groups), dy, turned, size, stride, padding)


def through_phases(correlate, dy, turned, size, stride, padding):
    """The gradient by the input, from ``correlate(dy, flipped part of the kernel, (1, 1), padding, out_size)``.

    With stride s, the rows y, y + s, y + 2s, ... meet the same kernel rows a (every s-th one), so each of
    the s * s phases of the image is a stride-1 correlation of dy with its own part of the kernel, flipped. A 3x3 kernel
    with stride 2 and padding 1: even rows were met by kernel row 1 alone, odd ones by the rows 0 and 2.
    """
    (sy, sx), (kh, kw, _, c_in) = stride, turned.shape
    if stride == (1, 1):  # a single phase, and no need to copy it
        before = kh - 1 - padding[0], kw - 1 - padding[1]
        return correlate(dy, turned[::-1, ::-1], stride, before, size)
    dx = np.zeros((len(dy), *size, c_in), dy.dtype)
    for row in range(min(sy, size[0])):
        for column in range(min(sx, size[1])):
            part = turned[(row + padding[0]) % sy :: sy, (column + padding[1]) % sx :: sx]
            before = len(part) - 1 - (row + padding[0]) // sy, part.shape[1] - 1 - (column + padding[1]) // sx
            if part.size:
                phase = dx[:, row::sy, column::sx]
                phase[...] = correlate(dy, part[::-1, ::-1], (1, 1), before, phase.shape[1:3])
    return dx


# ---- windows ----


def _blocks(x, weight_shape, out_size):
    """Cut the output pixels into blocks ``(first image, number of images, first row, number of rows)``."""
    (n, _, _, c), (kh, kw, c_group, c_out), (oh, ow) = x.shape, weight_shape, out_size
    row_bytes = max(1, ow * max(kh * kw * c, 3 * c_out) * x.itemsize)    # bias, shortcut and ReLU go through it
    rows = max(BLOCK_BYTES // row_bytes, -(-BLOCK_PIXELS // max(1, ow)))
    images = max(BLOCK_BYTES // (row_bytes * max(1, oh)), -(-BLOCK_PIXELS // max(1, oh * ow)))
    cores = cores_for(n * oh * ow * kh * kw * c_group * c_out)
    return even_blocks(n * bool(ow), images, oh, rows, cores)


def _blocks_of_images(num_images, num_pixels, matrix):
    """Cut a batch into slices whose products with the matrix stay in the cache."""
    longest = max(1, BLOCK_BYTES // max(1, num_pixels * matrix[0].nbytes))
    step = even_length(num_images, longest, cores_for(num_images * num_pixels * matrix.size))
    return [slice(start, start + step) for start in range(0, num_images * bool(num_pixels), step)]


def _windows(x, blocks, kernel, stride, padding, out_size, groups):
    """Yield ``(pixels, windows)`` for each block.

    `pixels` is the block as a slice of the ``N * oh * ow`` output pixels, `windows` what each of them sees:
    (groups, pixels, kh * kw * C_in / groups), in a buffer that the next block overwrites.
    """
    (_, h, w, c), (kh, kw), (sy, sx), (oh, ow) = x.shape, kernel, stride, out_size
    is_inside = padding == (0, 0) and (oh - 1) * sy < h and (ow - 1) * sx < w
    nothing_to_lay_out = kernel == (1, 1) and is_inside and groups == 1
    if blocks and not nothing_to_lay_out:
        most_images, most_rows = max(block[1] for block in blocks), max(block[3] for block in blocks)
        buffer = np.empty((groups, most_images * most_rows * ow, kh * kw * (c // groups)), x.dtype)
    for image, num, row, height in blocks:
        start, count = (image * oh + row) * ow, num * height * ow
        pixels, x_block = slice(start, start + count), x[image : image + num]
        if nothing_to_lay_out:
            seen = x_block[:, row * sy : (row + height) * sy : sy, : ow * sx : sx]
            yield pixels, seen.reshape(1, count, c)
            continue
        top, left = row * sy - padding[0], -padding[1]
        frame = in_frame(x_block, top, left, (height - 1) * sy + kh, (ow - 1) * sx + kw)
        windows = buffer[:, :count]
        laid_out = windows.reshape(groups, num, height, ow, kh, kw, c // groups)
        s_image, s_y, s_x, s_c = frame.strides
        strides = s_c * (c // groups), s_image, s_y * sy, s_x * sx, s_y, s_x, s_c
        laid_out[...] = np.lib.stride_tricks.as_strided(frame, laid_out.shape, strides, writeable=False)
        yield pixels, windows
