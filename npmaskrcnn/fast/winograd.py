"""Convolution with a 3x3 kernel in 16 multiplications where the definition has 36.

A kernel of three numbers g moves over four numbers d, and gives two. By the definition that takes six multiplications.
Winograd found that four will do, if one adds and subtracts before and after them:

    m0 = (d0 - d2) g0             m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
    y0 = d0 g0 + d1 g1 + d2 g2 = m0 + m1 + m2,    y1 = d1 g0 + d2 g1 + d3 g2 = m1 - m2 - m3

Done along y and along x, a tile of 4x4 pixels gives 2x2 with 16 multiplications. Here the numbers are C-vectors, so
that each of the 16 is a matrix product for all tiles of a block. What is added before and after costs less than the
saved products where channels are many. Rounding is about twice that of the definition.

References: Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2016, "Fast algorithms for
convolutional neural networks", section 4.1.
"""

import math

import numpy as np

from .threads import cores_for, even_length, spread_over_cores

TAPS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])     # what the four products make of g
KERNEL = np.kron(TAPS, TAPS)    # (16, 9): along y and x
BLOCK_TILES = 192               # at a time: many enough for large products, few enough to stay in the cache
FEWEST_CHANNELS, FEWEST_TILES = 128, 100     # with fewer, what is added takes longer than what is saved


def is_worthwhile(x, weight, stride, groups, out_size):
    """Whether a convolution can be done so, and is quicker for it."""
    tiles = len(x) * math.prod(-(-side // 2) for side in out_size)
    return (weight.shape[:2] == (3, 3) and stride == (1, 1) and groups == 1
            and min(weight.shape[2:]) >= FEWEST_CHANNELS and tiles >= FEWEST_TILES)


def correlate_tiles(x, weight, padding, out_size, finish, in_frame):
    """``y[i, j] = sum over (a, b) of x[i + a - padding, ...] @ weight[a, b]``, with x zero outside the image.

    Parameters
    ----------
    x : (N, H, W, C_in) ndarray
    weight : (3, 3, C_in, C_out) ndarray
    padding, out_size : (int, int)
    finish : callable
        ``finish(out, part)`` does to a piece of the result what comes on top; `part` is where in y it lies.
    in_frame : callable
        ``in_frame(x, top, left, height, width)`` cuts out what may reach beyond the image.
    """
    c_in, c_out = weight.shape[2:]
    kernels = (KERNEL.astype(x.dtype) @ weight.reshape(9, -1)).reshape(16, c_in, c_out)
    y = np.empty((len(x), *out_size, c_out), x.dtype)
    tiles = tuple(-(-side // 2) for side in out_size)

    def multiply(blocks):
        largest = max((num * rows for _, num, _, rows in blocks), default=0) * tiles[1]
        space = [np.empty(16 * largest * channels, x.dtype) for channels in (c_in, c_in, c_out, c_out)]
        for image, num, row, rows in blocks:
            frame = in_frame(x[image:image + num], 2 * row - padding[0], -padding[1], 2 * rows + 2, 2 * tiles[1] + 2)
            seen = _differences(frame, space[0], space[1]).reshape(16, -1, c_in)
            products = np.matmul(seen, kernels, out=_shaped(space[2], (16, seen.shape[1], c_out)))
            part = np.s_[image:image + num, 2 * row:2 * (row + rows)]
            _put_together(products.reshape(4, 4, num, rows, tiles[1], c_out), y[part], space[3])
            finish(y[part], part)

    cores = cores_for(len(x) * math.prod(tiles) * 16 * c_in * c_out)
    spread_over_cores(multiply, _blocks(len(x), tiles, cores))
    return y


def _blocks(num_images, tiles, cores):
    """Cut all tiles into blocks ``(first image, number of images, first row, number of rows)`` of tiles."""
    rows = min(tiles[0], -(-BLOCK_TILES // tiles[1]))
    images = 1 if rows < tiles[0] else max(1, BLOCK_TILES // math.prod(tiles))
    if rows == tiles[0]:
        images = even_length(num_images, images, cores)
    if images == 1:
        rows = even_length(tiles[0], rows, -(-cores // max(num_images, 1)))
    return [(image, min(images, num_images - image), row, min(rows, tiles[0] - row))
            for image in range(0, num_images, images) for row in range(0, tiles[0], rows)]


def _differences(frame, space, more_space):
    """What the products take of each tile, (4, 4, images, rows, columns, C), from frames with two pixels a tile."""
    num, height, width, c = frame.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    d = [frame[:, i:i + 2 * rows - 1:2] for i in range(4)]
    along_y = _shaped(space, (4, num, rows, width, c))
    _four(d, along_y)
    result = _shaped(more_space, (4, 4, num, rows, columns, c))
    _four([along_y[:, :, :, j:j + 2 * columns - 1:2] for j in range(4)], result.swapaxes(0, 1))
    return result


def _four(d, out):
    """Put ``d0 - d2, d1 + d2, d2 - d1, d1 - d3`` into `out`."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


def _put_together(m, out, space):
    """Make of the products (4, 4, images, rows, columns, C) the pixels of `out`, of which the last may be beyond it."""
    along_y = _shaped(space, (2, *m.shape[1:]))
    np.add(m[0], m[1], out=along_y[0])
    along_y[0] += m[2]
    np.subtract(m[1], m[2], out=along_y[1])
    along_y[1] -= m[3]
    for i in (0, 1):
        even, odd = out[:, i::2, 0::2], out[:, i::2, 1::2]
        n = along_y[i, :, :, :even.shape[1]]
        np.add(n[0], n[1], out=even)
        even += n[2]
        n = n[:, :, :, :odd.shape[2]]
        np.subtract(n[1], n[2], out=odd)
        odd -= n[3]


def _shaped(space, shape):
    """The beginning of a flat array as one of this shape."""
    return space[:math.prod(shape)].reshape(shape)
