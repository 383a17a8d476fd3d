"""Convolution with a 3x3 kernel in 16 multiplications where the definition has 36.

A kernel of three numbers g moves over four numbers d, and gives two. By the definition that takes six multiplications.
Winograd found that four will do, if one adds and subtracts before and after them:

    m0 = (d0 - d2) g0             m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
    y0 = d0 g0 + d1 g1 + d2 g2 = m0 + m1 + m2,    y1 = d1 g0 + d2 g1 + d3 g2 = m1 - m2 - m3

Done along y and along x, a tile of 4x4 pixels gives 2x2 with 16 multiplications. Here the numbers are C-vectors, so
that each of the 16 is a matrix product for all tiles of a block. What is added before and after costs less than the
saved products where channels are many. Rounding is about twice that of the definition, and an infinite number spoils
its whole tile.

References: Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2016, "Fast algorithms for
convolutional neural networks", section 4.1.
"""

import math

import numpy as np

from .frame import in_frame
from .threads import cores_for, even_blocks, spread_over_cores

TAPS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])     # what the four products make of g
KERNEL = np.kron(TAPS, TAPS)    # (16, 9): along y and x
BLOCK_TILES = 192               # at a time: many enough for large products, few enough to stay in the cache
GRADIENT_BLOCK_TILES = 512      # the weight's gradient: after each block 16 matrices are added up, which takes its time
# With fewer, what is added takes longer than what is saved.
FEWEST_CHANNELS, FEWEST_TILES, FEWEST_GRADIENT_TILES = 128, 100, 200


def is_worthwhile(num_images, out_size, weight_shape, stride, groups, gradient=False):
    """Whether a convolution, or its weight's gradient, can be done so and is quicker for it."""
    tiles, fewest = num_images * math.prod(_tiles(out_size)), FEWEST_GRADIENT_TILES if gradient else FEWEST_TILES
    return (weight_shape[:2] == (3, 3) and stride == (1, 1) and groups == 1
            and min(weight_shape[2:]) >= FEWEST_CHANNELS and tiles >= fewest)


def correlate_tiles(x, weight, padding, out_size, finish):
    """``y[i, j] = sum over (a, b) of x[i + a - padding, ...] @ weight[a, b]``, with x zero outside the image.

    Parameters
    ----------
    x : (N, H, W, C_in) ndarray
    weight : (3, 3, C_in, C_out) ndarray
    padding, out_size : (int, int)
    finish : callable
        ``finish(out, part)`` does to a piece of the result what comes on top; `part` is where in y it lies.
    """
    c_in, c_out = weight.shape[2:]
    kernels = (KERNEL.astype(x.dtype) @ weight.reshape(9, -1)).reshape(16, c_in, c_out)
    y = np.empty((len(x), *out_size, c_out), x.dtype)
    tiles = _tiles(out_size)

    def multiply(blocks):
        space = [np.empty(16 * _most_tiles(blocks, tiles) * c_out, x.dtype) for _ in range(2)]
        for (image, num, row, rows), seen in _seen(x, blocks, tiles, padding):
            products = np.matmul(seen, kernels, out=_shaped(space[0], (16, seen.shape[1], c_out)))
            part = np.s_[image:image + num, 2 * row:2 * (row + rows)]
            _put_together(products.reshape(4, 4, num, rows, tiles[1], c_out), y[part], space[1])
            finish(y[part], part)

    spread_over_cores(multiply, _blocks(len(x), tiles, c_in * c_out, BLOCK_TILES))
    return y


def weight_gradient_of_tiles(x, dy, padding):
    """``dweight[a, b] = sum over (i, j) of x[i + a - padding, ...].T @ dy[i, j]``: the way back by the same products.

    Of two pixels, y0 = m0 + m1 + m2 and y1 = m1 - m2 - m3, so dm0 = dy0, dm1 = dy0 + dy1, dm2 = dy0 - dy1, dm3 = -dy1.
    Each m is a product of what was seen and of a kernel; so that kernel's gradient is ``seen.T @ dm``, summed over the
    tiles, and the taps that made the kernels of g bring their gradients back to g.

    Parameters
    ----------
    x : (N, H, W, C_in) ndarray
    dy : (N, oh, ow, C_out) ndarray
    padding : (int, int)
    """
    c_in, c_out = x.shape[-1], dy.shape[-1]
    tiles = _tiles(dy.shape[1:3])

    def multiply(blocks):
        dkernels = np.zeros((16, c_in, c_out), dy.dtype)
        space = [np.empty(16 * _most_tiles(blocks, tiles) * c_out, dy.dtype) for _ in range(2)]
        for (image, num, row, rows), seen in _seen(x, blocks, tiles, padding):
            frame = in_frame(dy[image:image + num], 2 * row, 0, 2 * rows, 2 * tiles[1])
            dkernels += seen.swapaxes(1, 2) @ _taken_apart(frame, *space).reshape(16, -1, c_out)
        return dkernels

    dkernels = sum(spread_over_cores(multiply, _blocks(len(x), tiles, c_in * c_out, GRADIENT_BLOCK_TILES)))
    return (KERNEL.T.astype(dy.dtype) @ dkernels.reshape(16, -1)).reshape(3, 3, c_in, c_out)


def _tiles(out_size):
    """How many tiles of 2x2 pixels cover an image, along y and along x."""
    return tuple(-(-side // 2) for side in out_size)


def _blocks(num_images, tiles, kernel_size, block_tiles):
    """Cut all tiles into blocks ``(first image, number of images, first row, number of rows)`` of tiles."""
    rows = min(tiles[0], -(-block_tiles // tiles[1]))
    images = max(1, block_tiles // math.prod(tiles))
    return even_blocks(num_images, images, tiles[0], rows, cores_for(16 * num_images * math.prod(tiles) * kernel_size))


def _most_tiles(blocks, tiles):
    return max((num * rows for _, num, _, rows in blocks), default=0) * tiles[1]


def _seen(x, blocks, tiles, padding):
    """Yield each block and what its 16 products take of x, (16, tiles, C), until the next block."""
    space = [np.empty(16 * _most_tiles(blocks, tiles) * x.shape[-1], x.dtype) for _ in range(2)]
    for image, num, row, rows in blocks:
        top, left = 2 * row - padding[0], -padding[1]
        frame = in_frame(x[image:image + num], top, left, 2 * rows + 2, 2 * tiles[1] + 2)
        yield (image, num, row, rows), _differences(frame, *space).reshape(16, -1, x.shape[-1])


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


def _taken_apart(dy, space, more_space):
    """The gradients by each tile's products, (4, 4, images, rows, columns, C), from frames with two pixels a tile."""
    num, height, width, c = dy.shape
    along_y = _shaped(space, (4, num, height // 2, width, c))
    _four_back(dy[:, 0::2], dy[:, 1::2], along_y)
    result = _shaped(more_space, (4, 4, num, height // 2, width // 2, c))
    _four_back(along_y[:, :, :, 0::2], along_y[:, :, :, 1::2], result.swapaxes(0, 1))
    return result


def _four_back(dy0, dy1, out):
    """Put ``dy0, dy0 + dy1, dy0 - dy1, -dy1`` into `out`."""
    out[0] = dy0
    np.add(dy0, dy1, out=out[1])
    np.subtract(dy0, dy1, out=out[2])
    np.negative(dy1, out=out[3])


def _shaped(space, shape):
    """The beginning of a flat array as one of this shape."""
    return space[:math.prod(shape)].reshape(shape)
