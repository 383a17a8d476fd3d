"""Convolution: the same small linear map applied to every window of an image.

Lay the window under each output pixel out as one long row (its pixels are C-vectors, so a 3x3 window
of 64 channels is a row of 576 numbers) and a convolution is one matrix product: `windows @ weight`.
Its two gradients are products too. The gradient of the weight is `windows.T @ dy`. The gradient of the
input asks, for one input pixel, which outputs saw it: again a window, now of `dy`, met by the kernel
turned round. So one routine, `_correlate`, is the forward pass, the backward pass and the transposed
convolution. Slow twin: `reference.conv2d`.

N images, H x W pixels, C_in and C_out channels, kernel kh x kw; `oh, ow` is the output's size.
"""

from typing import NamedTuple

import numpy as np

# Windows are copied out of the image in blocks of this many bytes, so that the matrix product finds them in the cache.
BLOCK_BYTES = 2**20


class Conv2dCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C_in)
    weight: np.ndarray  # (kh, kw, C_in / groups, C_out)
    has_bias: bool
    stride: tuple  # (along y, along x)
    padding: tuple  # (above and below, left and right)
    groups: int


def conv2d_forward(x, weight, bias=None, stride=1, padding=0, groups=1):
    """Slide `weight` over zero-padded images (a correlation, as in every network library).

    ``y[n, i, j] = bias + sum over (a, b) of x[n, i * stride + a - padding, j * stride + b - padding] @ weight[a, b]``

    Parameters
    ----------
    x : (N, H, W, C_in) float ndarray
    weight : (kh, kw, C_in / groups, C_out) float ndarray
    bias : (C_out,) float ndarray, optional
    stride, padding : int or (along y, along x)
        Padding is in pixels on each side, with zeros.
    groups : int
        Splits the channels into this many separate convolutions: group g maps the g-th share of
        the input channels to the g-th share of the output channels.

    Returns
    -------
    y : (N, oh, ow, C_out) float ndarray
        ``oh = (H + 2 * padding - kh) // stride + 1``; input that does not fill a last step is not seen.
    cache : Conv2dCache

    Examples
    --------
    >>> x = np.arange(12.0).reshape(1, 3, 4, 1)
    >>> blur = np.full((2, 2, 1, 1), 0.25)
    >>> y, cache = conv2d_forward(x, blur)
    >>> y[0, :, :, 0]
    array([[2.5, 3.5, 4.5],
           [6.5, 7.5, 8.5]])
    """
    cache = Conv2dCache(x, weight, bias is not None, _pair(stride), _pair(padding), groups)
    return conv2d(x, weight, bias, stride, padding, groups), cache


def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    """`conv2d_forward` without the cache, for inference."""
    stride, padding = _pair(stride), _pair(padding)
    out_size = _output_size(x.shape[1:3], weight.shape[:2], stride, padding)
    y = _correlate(x, weight, stride, padding, out_size, groups)
    if bias is not None:
        y += bias
    return y


def conv2d_backward(dy, cache, need_dx=True):
    """Return ``(dx, dweight, dbias)``; dbias is None without a bias, dx is None if not `need_dx`.

    ``dweight[a, b] = sum over pixels of x[seen at (a, b)].T @ dy`` and
    ``dx[pixel] = sum over (a, b) of dy[output that saw the pixel at (a, b)] @ weight[a, b].T``.
    The first layer of a network has nobody to hand dx to.
    """
    x, weight, has_bias, stride, padding, groups = cache
    dbias = dy.sum(axis=(0, 1, 2)) if has_bias else None
    dweight = _weight_gradient(x, dy, weight.shape, stride, padding, groups)
    dx = _input_gradient(dy, weight, x.shape[1:3], stride, padding, groups) if need_dx else None
    return dx, dweight, dbias


class ConvTranspose2dCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C_in)
    weight: np.ndarray  # (kh, kw, C_in, C_out)
    has_bias: bool
    stride: tuple


def conv_transpose2d_forward(x, weight, bias=None, stride=1):
    """Stamp ``x[n, i, j] @ weight`` onto a larger image at ``(i, j) * stride``; overlapping stamps add up.

    This is a convolution's gradient by its input, used as a layer: in the mask head, kernel 2 and
    stride 2 turn every pixel into 2 x 2 pixels.

    Parameters
    ----------
    x : (N, H, W, C_in) float ndarray
    weight : (kh, kw, C_in, C_out) float ndarray
    bias : (C_out,) float ndarray, optional
    stride : int or (along y, along x)

    Returns
    -------
    y : (N, (H - 1) * stride + kh, (W - 1) * stride + kw, C_out) float ndarray
    cache : ConvTranspose2dCache
    """
    stride = _pair(stride)
    kh, kw, _, _ = weight.shape
    size = (x.shape[1] - 1) * stride[0] + kh, (x.shape[2] - 1) * stride[1] + kw
    y = _input_gradient(x, weight.transpose(0, 1, 3, 2), size, stride, (0, 0), groups=1)
    if bias is not None:
        y += bias
    return y, ConvTranspose2dCache(x, weight, bias is not None, stride)


def conv_transpose2d_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: the transpose of a transpose is the convolution again."""
    x, weight, has_bias, stride = cache
    kh, kw, c_in, c_out = weight.shape
    dbias = dy.sum(axis=(0, 1, 2)) if has_bias else None
    dweight = _weight_gradient(dy, x, (kh, kw, c_out, c_in), stride, (0, 0), groups=1).transpose(0, 1, 3, 2)
    dx = _correlate(dy, weight.transpose(0, 1, 3, 2), stride, (0, 0), x.shape[1:3], groups=1)
    return dx, np.ascontiguousarray(dweight), dbias


# ---- the three products ----


def _correlate(x, weight, stride, padding, out_size, groups):
    """``y[i, j] = sum over (a, b) of x[i * stride + a - padding, ...] @ weight[a, b]``, x being zero outside.

    `padding` may be negative (start inside the image); `out_size` says how far to go.
    """
    kh, kw, c_group, c_out = weight.shape
    n = len(x)
    y = np.empty((n, *out_size, c_out), x.dtype)
    # (groups, kh * kw * c_group, c_out / groups)
    matrix = weight.reshape(kh * kw * c_group, groups, -1).transpose(1, 0, 2)
    for block, windows in _window_blocks(x, (kh, kw), stride, padding, out_size, groups):
        out = y.reshape(n * out_size[0], out_size[1], groups, -1)[block]
        rows = windows.reshape(groups, -1, kh * kw * c_group) @ matrix
        out[...] = rows.transpose(1, 0, 2).reshape(out.shape)
    return y


def _weight_gradient(x, dy, weight_shape, stride, padding, groups):
    """``dweight[a, b] = sum over (i, j) of x[i * stride + a - padding, ...].T @ dy[i, j]``."""
    kh, kw, c_group, c_out = weight_shape
    n, oh, ow, _ = dy.shape
    dmatrix = np.zeros((groups, kh * kw * c_group, c_out // groups), dy.dtype)
    for block, windows in _window_blocks(x, (kh, kw), stride, padding, (oh, ow), groups):
        dblock = dy.reshape(n * oh, ow, groups, -1)[block].reshape(-1, groups, c_out // groups)
        dmatrix += windows.reshape(groups, -1, kh * kw * c_group).transpose(0, 2, 1) @ dblock.transpose(1, 0, 2)
    return dmatrix.transpose(1, 0, 2).reshape(weight_shape)


def _input_gradient(dy, weight, size, stride, padding, groups):
    """``dx[y, x] = sum over (a, b) of dy[(y + padding - a) / stride, ...] @ weight[a, b].T`` where that divides.

    With stride s, the rows y, y + s, y + 2s, ... meet the same kernel rows a (every s-th one), so each of
    the s * s phases of the image is a stride-1 correlation of dy with its own part of the kernel, flipped.
    """
    c_group, c_out = weight.shape[2:]
    dx = np.zeros((len(dy), *size, c_group * groups), dy.dtype)
    # input and output channels change places, within each group
    turned = weight.reshape(*weight.shape[:2], c_group, groups, c_out // groups).transpose(0, 1, 4, 3, 2)
    turned = turned.reshape(*weight.shape[:2], c_out // groups, groups * c_group)
    for y in range(min(stride[0], size[0])):
        for x in range(min(stride[1], size[1])):
            part = turned[(y + padding[0]) % stride[0] :: stride[0], (x + padding[1]) % stride[1] :: stride[1]]
            before = len(part) - 1 - (y + padding[0]) // stride[0], part.shape[1] - 1 - (x + padding[1]) // stride[1]
            phase = dx[:, y :: stride[0], x :: stride[1]]
            if part.size:
                phase[...] = _correlate(dy, part[::-1, ::-1], (1, 1), before, phase.shape[1:3], groups)
    return dx


# ---- windows ----


def _window_blocks(x, kernel, stride, padding, out_size, groups):
    """Yield ``(block, windows)``: the windows under some rows of output pixels, in a buffer that is used again.

    `block` is a slice of the ``N * oh`` output rows, `windows` is (groups, rows, ow, kh, kw, C_in / groups).
    """
    n, _, _, c_in = x.shape
    (kh, kw), (oh, ow) = kernel, out_size
    if n * oh * ow == 0:
        return
    height, width = (oh - 1) * stride[0] + kh, (ow - 1) * stride[1] + kw
    x = _seen_through(x, -padding[0], -padding[1], height, width)
    sn, sy, sx, sc = x.strides
    views = np.lib.stride_tricks.as_strided(
        x,
        (groups, n, oh, ow, kh, kw, c_in // groups),
        (sc * (c_in // groups), sn, sy * stride[0], sx * stride[1], sy, sx, sc),
        writeable=False,
    )
    row_bytes = ow * kh * kw * c_in * x.itemsize
    rows = min(n * oh, max(1, BLOCK_BYTES // row_bytes))
    buffer = np.empty((groups, rows, ow, kh, kw, c_in // groups), x.dtype)
    for start in range(0, n * oh, rows):
        stop = min(start + rows, n * oh)
        image = start
        while image < stop:  # a block may begin in one image and end in another
            which, row = divmod(image, oh)
            taken = min(oh - row, stop - image)
            buffer[:, image - start : image - start + taken] = views[:, which, row : row + taken]
            image += taken
        yield slice(start, stop), buffer[:, : stop - start]


def _seen_through(x, top, left, height, width):
    """The part of `x` in a height x width frame whose corner is at (top, left); zeros where there is no x."""
    n, h, w, c = x.shape
    if 0 <= top and 0 <= left and top + height <= h and left + width <= w:
        return x[:, top : top + height, left : left + width]
    frame = np.zeros((n, height, width, c), x.dtype)
    y1, y2 = max(top, 0), min(top + height, h)
    x1, x2 = max(left, 0), min(left + width, w)
    if y1 < y2 and x1 < x2:
        frame[:, y1 - top : y2 - top, x1 - left : x2 - left] = x[:, y1:y2, x1:x2]
    return frame


def _output_size(size, kernel, stride, padding):
    return tuple((size[d] + 2 * padding[d] - kernel[d]) // stride[d] + 1 for d in (0, 1))


def _pair(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
