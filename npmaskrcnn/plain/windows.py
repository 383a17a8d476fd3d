"""Windows: which pixels of an image a small frame meets while it steps over it.

Convolution and pooling both look at an image through a frame of kh x kw places. At the place (a, b) of the frame
the pixels that come by are the rows a, a + stride, a + 2 * stride, ... and the columns b, b + stride, ...: a slice
of the image, as large as the output. So both go through the places of the frame, and never through the pixels.
"""

import numpy as np


def windows(kernel, size, stride):
    """Yield, for each place of the frame, ``(a, b)`` and the slices of the (N, H, W, C) image that are seen there.

    Parameters
    ----------
    kernel : (kh, kw, ...)
        Size of the frame; what follows is ignored.
    size : (oh, ow)
        How many steps the frame makes along y and x.
    stride : (along y, along x)
    """
    for a, b in np.ndindex(*kernel[:2]):
        yield (a, b), np.s_[:, a : a + size[0] * stride[0] : stride[0], b : b + size[1] * stride[1] : stride[1]]


def output_size(image, kernel, stride, padding):
    """Steps (oh, ow) of a (kh, kw, ...) frame over (N, H, W, C) images; a last step that is not filled is left out."""
    return tuple((image[1 + d] + 2 * padding[d] - kernel[d]) // stride[d] + 1 for d in (0, 1))


def pad(x, padding, value=0):
    """Lay `padding` pixels of a constant around (N, H, W, C) images."""
    return np.pad(x, ((0, 0), (padding[0], padding[0]), (padding[1], padding[1]), (0, 0)), constant_values=value)


def unpad(x, padding):
    """Cut them off again."""
    return x[:, padding[0] : x.shape[1] - padding[0], padding[1] : x.shape[2] - padding[1]]


def pair(value):
    """An int twice, or a pair as it is: (along y, along x), of Python's ints, which change no dtype."""
    along_y, along_x = value if isinstance(value, (tuple, list)) else (value, value)
    return int(along_y), int(along_x)
