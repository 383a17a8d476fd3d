"""Changing an image's size: nearest pixel and bilinear.

Both are linear, and they work on rows and columns one after the other: output row i is one input row
(nearest) or a mean of two (bilinear), which is a matrix with one or two numbers in each row. So
resizing is ``rows @ image @ columns.T``, and its gradient is the same with the matrices transposed.
Which input pixels meet an output pixel follows torch to the last bit, its float32 roundings included:
a neighbor more or less would be a different image.
"""

from typing import NamedTuple

import numpy as np


class ResampleCache(NamedTuple):
    in_size: tuple  # (H, W) of the input
    out_size: tuple  # (H, W) of the output


def upsample_nearest_forward(x, size):
    """Enlarge feature maps by repeating pixels (also shrink, by leaving pixels out).

    Parameters
    ----------
    x : (N, H, W, C) float ndarray
    size : (height, width)
        In the pyramid: exactly the size of the map that the result is added to.

    Returns
    -------
    y : (N, height, width, C) float ndarray
        ``y[n, i, j] = x[n, i * H // height, j * W // width]``, with the quotient rounded as torch does.
    cache : ResampleCache

    Examples
    --------
    >>> y, cache = upsample_nearest_forward(np.array([[[[1.0], [2.0]]]]), size=(1, 4))
    >>> y[0, 0, :, 0]
    array([1., 1., 2., 2.])
    """
    rows, columns = (nearest_index(x.shape[1 + d], size[d], x.dtype) for d in (0, 1))
    return x.take(rows, axis=1).take(columns, axis=2), ResampleCache(x.shape[1:3], tuple(size))


def upsample_nearest_backward(dy, cache):
    """Return dx: each input pixel collects the gradients of its copies."""
    rows, columns = (np.eye(old, dtype=dy.dtype)[nearest_index(old, new, dy.dtype)] for old, new in zip(*cache))
    return _along(_along(dy, columns.T, axis=2), rows.T, axis=1)


def resize_nearest(masks, size):
    """Resize ``(..., H, W)`` masks, of any dtype, to ``(..., height, width)`` by taking the nearest pixel."""
    h, w = masks.shape[-2:]
    return masks[..., nearest_index(h, size[0]), :][..., nearest_index(w, size[1])]


def resize_bilinear(x, size):
    """Resize images by linear interpolation between pixel centers (no antialiasing).

    Parameters
    ----------
    x : (H, W, C) or (N, H, W, C) float ndarray
    size : (height, width)

    Returns
    -------
    y : (height, width, C) or (N, height, width, C) float ndarray

    Notes
    -----
    torch: ``interpolate(mode="bilinear", align_corners=False)`` without a scale factor.

    Examples
    --------
    >>> ramp = np.arange(4.0).reshape(1, 4, 1)
    >>> resize_bilinear(ramp, (1, 6))[0, :, 0].round(3)
    array([0.   , 0.5  , 1.167, 1.833, 2.5  , 3.   ])
    """
    rows, columns = (bilinear_matrix(x.shape[d - 3], size[d], x.dtype) for d in (0, 1))
    return _along(_along(x, columns, axis=-2), rows, axis=-3)


def resize_bilinear_forward(x, size):
    """`resize_bilinear`, with the cache that its backward needs."""
    return resize_bilinear(x, size), ResampleCache(x.shape[-3:-1], tuple(size))


def resize_bilinear_backward(dy, cache):
    """Return dx: ``rows.T @ dy @ columns``."""
    rows, columns = (bilinear_matrix(old, new, dy.dtype) for old, new in zip(*cache))
    return _along(_along(dy, columns.T, axis=-2), rows.T, axis=-3)


def _along(x, matrix, axis):
    """Multiply every line of `x` along `axis` by `matrix`."""
    return np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)


# ---- which input pixels meet an output pixel ----


def nearest_index(in_size, out_size, dtype=np.float32):
    """``(out_size,)`` ints: the input pixel that each output pixel copies.

    As in torch, the quotient is rounded to the image's dtype and the product to float32: for one pair of
    sizes in a hundred, the exact ``i * in_size // out_size`` is another pixel somewhere.
    """
    dtype = np.dtype(dtype)
    ratio = dtype.type(in_size) / dtype.type(max(out_size, 1))
    index = (np.arange(out_size, dtype=dtype) * ratio).astype(np.float32).astype(np.int64)
    return np.minimum(index, in_size - 1)


def bilinear_neighbors(in_size, out_size, dtype=np.float32):
    """The two input pixels beside each output pixel, and how far it lies toward the second: low, high, fraction.

    Output pixel i has its center at ``(i + 0.5) * in_size / out_size - 0.5`` in input pixels. For float32,
    torch rounds the ratio and, once more, the coordinate (a fused multiply-add); for float64, neither.
    """
    dtype = np.dtype(dtype)
    ratio = float(dtype.type(in_size) / dtype.type(max(out_size, 1)))
    source = ((np.arange(out_size) + 0.5) * ratio - 0.5).astype(dtype)
    source = np.maximum(source, 0)
    low = np.minimum(source.astype(np.int64), in_size - 1)
    high = np.minimum(low + 1, in_size - 1)
    return low, high, np.clip(source - low.astype(dtype), 0, 1)


def bilinear_matrix(in_size, out_size, dtype=np.float32):
    """``(out_size, in_size)``: a row holds the weights of the two pixels beside an output, zeros elsewhere."""
    low, high, fraction = bilinear_neighbors(in_size, out_size, dtype)
    matrix, row = np.zeros((out_size, in_size), dtype), np.arange(out_size)
    matrix[row, low] += 1 - fraction
    matrix[row, high] += fraction
    return matrix
