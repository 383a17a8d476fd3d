"""Convolution: the same small linear map applied to every window of an image.

Look at one place (a, b) of the kernel. The pixels that it meets, as the kernel steps over the image, are
themselves an image: every `stride`-th pixel, starting at (a, b). Each of these pixels is a vector of C_in numbers,
and ``weight[a, b]`` is a matrix that turns it into C_out numbers. A convolution is the sum of these products over
all places of the kernel: `y += seen @ weight[a, b]`. Its gradients are read off that line: `seen` gets ``dy @
weight[a, b].T``, and ``weight[a, b]`` gets ``seen.T @ dy``. A transposed convolution is the same with the images
changing places: what was seen is now written, so that every pixel stamps its kernel onto a larger image.
Slow twin: `reference.conv2d`.

N images, H x W pixels, C_in and C_out channels, kernel kh x kw; `oh, ow` is the output's size.
"""

from typing import NamedTuple

import numpy as np

from .linear import relu_forward
from .windows import output_size, pad, pair, unpad, windows


class Conv2dCache(NamedTuple):
    x: np.ndarray  # (N, H, W, C_in)
    weight: np.ndarray  # (kh, kw, C_in / groups, C_out)
    has_bias: bool
    stride: tuple  # (along y, along x)
    padding: tuple  # (above and below, left and right)
    groups: int


def conv2d_forward(x, weight, bias=None, stride=1, padding=0, groups=1):
    """Slide `weight` over zero-padded images (a correlation, as in every network library).

    ``y[n, i, j] = bias + sum over (a, b) of x[n, i * stride + a - padding, j * stride + b - padding] @ weight[a, b]``.

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
    cache = Conv2dCache(x, weight, bias is not None, pair(stride), pair(padding), groups)
    size = output_size(x.shape, weight.shape, cache.stride, cache.padding)
    y = np.zeros((len(x), *size, weight.shape[3]), x.dtype)
    padded = pad(x, cache.padding)
    for (a, b), place in windows(weight.shape, size, cache.stride):
        seen = padded[place]
        for inputs, outputs in _channels_of_groups(weight, groups):
            y[outputs] += seen[inputs] @ weight[a, b][outputs]
    return (y if bias is None else y + bias), cache


def conv2d_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``; dbias is None without a bias.

    ``dweight[a, b] = sum over pixels of x[seen at (a, b)].T @ dy`` and
    ``dx[pixel] = sum over (a, b) of dy[output that saw the pixel at (a, b)] @ weight[a, b].T``.
    """
    x, weight, has_bias, stride, padding, groups = cache
    padded, dweight = pad(x, padding), np.zeros_like(weight)
    dpadded = np.zeros_like(padded)
    for (a, b), place in windows(weight.shape, dy.shape[1:3], stride):
        seen, dseen = padded[place], dpadded[place]
        for inputs, outputs in _channels_of_groups(weight, groups):
            dseen[inputs] += dy[outputs] @ weight[a, b][outputs].T
            dweight[a, b][outputs] = np.tensordot(seen[inputs], dy[outputs], axes=((0, 1, 2), (0, 1, 2)))
    return unpad(dpadded, padding), dweight, dy.sum(axis=(0, 1, 2)) if has_bias else None


def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    """`conv2d_forward` without the cache, for inference."""
    return conv2d_forward(x, weight, bias, stride, padding, groups)[0]


def conv2d_weight_gradient(dy, cache):
    """Return ``(dweight, dbias)`` of `conv2d_backward`: the first layer of a network has nobody to hand dx to."""
    return conv2d_backward(dy, cache)[1:]


def conv2d_add_relu(x, weight, bias=None, stride=1, padding=0, groups=1, shortcut=None, relu=True):
    """``relu(conv2d(x) + shortcut)``: the end of a residual block at inference, its norm folded into the weight.

    Parameters
    ----------
    x, weight, bias, stride, padding, groups
        As in `conv2d_forward`.
    shortcut : (N, oh, ow, C_out) float ndarray, optional
        What is added to the convolution.
    relu : bool
        Whether the sum goes through a ReLU.

    Returns
    -------
    y : (N, oh, ow, C_out) float ndarray
    """
    y = conv2d_forward(x, weight, bias, stride, padding, groups)[0]
    y = y if shortcut is None else y + shortcut
    return relu_forward(y)[0] if relu else y


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
    (n, h, w, _), (kh, kw, _, c_out), (sy, sx) = x.shape, weight.shape, pair(stride)
    y = np.zeros((n, (h - 1) * sy + kh, (w - 1) * sx + kw, c_out), x.dtype)
    for place, stamped in windows(weight.shape, (h, w), (sy, sx)):
        y[stamped] += x @ weight[place]
    return (y if bias is None else y + bias), ConvTranspose2dCache(x, weight, bias is not None, (sy, sx))


def conv_transpose2d_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: the transpose of a transpose is the convolution again."""
    x, weight, has_bias, stride = cache
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for place, stamped in windows(weight.shape, x.shape[1:3], stride):
        dx += dy[stamped] @ weight[place].T
        dweight[place] = np.tensordot(x, dy[stamped], axes=((0, 1, 2), (0, 1, 2)))
    return dx, dweight, dy.sum(axis=(0, 1, 2)) if has_bias else None


def _channels_of_groups(weight, groups):
    """List, for each group, its share of the input and of the output channels, as indices of arrays (..., C)."""
    c_in, c_out = weight.shape[2], weight.shape[3] // groups
    return [(np.s_[..., g * c_in : (g + 1) * c_in], np.s_[..., g * c_out : (g + 1) * c_out]) for g in range(groups)]
