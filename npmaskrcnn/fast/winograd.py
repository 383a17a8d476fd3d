"""Convolution with a 3x3 kernel in 36 multiplications where the definition has 144.

A kernel of three numbers g moves over six numbers d and gives four, y[i] = d[i] g[0] + d[i+1] g[1] + d[i+2] g[2]:
twelve multiplications by the definition. Six will do, and here is why. Read g and four numbers y as the coefficients
of two polynomials. Their product has six coefficients; it is known when its values at six points are, and its value at
a point is *one* multiplication, that of the values of the two. So multiplying polynomials takes three steps: evaluate
both (sums with fixed factors: a matrix), multiply point by point, find the coefficients from the values (again a
matrix). With g given, that product is a 6x4 matrix that takes four coefficients to six numbers. Its column j is g,
moved down by j: entry (i, j) says with what the j-th of the four contributes to the i-th of the six. Convolution as
above asks with what the i-th of six contributes to the j-th of four, and the answer is the same: it is the transposed
matrix. A transposed product of three matrices is their transposes in the opposite order (Winograd).

Done along y and along x, a tile of 6x6 pixels gives 4x4 with 36 multiplications. Here the numbers are C-vectors: each
of the 36 is a matrix product for all tiles of a block, and the sums before and after are matrix products too. They cost
less than what is saved where channels are many. It costs digits: an error is about five times that of the definition.
The points 0, and plus and minus the root of 1/2 and of 2, keep it so small (whole numbers: eleven times); the sixth
point is infinity, the leading coefficient. An infinite number becomes NaN in every tile that sees it.

References: Winograd 1980, "Arithmetic complexity of computations"; Lavin and Gray 2016, "Fast algorithms for
convolutional neural networks", section 4; Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd
convolution", on points.
"""

import math

import numpy as np

from .frame import in_frame
from .product import product
from .threads import cores_for, even_blocks, spread_over_cores

SIDE = 4                # of the square of pixels that a tile gives
SEEN = SIDE + 2         # and of that which it sees
POINTS = np.array([0, -0.5**0.5, 0.5**0.5, -2**0.5, 2**0.5])
BLOCK_TILES = 256       # at a time: many enough for large products, few enough to stay near the processor
# With fewer channels, or fewer numbers in each of the 36 products, what is added takes longer than what is saved.
FEWEST_CHANNELS, FEWEST_NUMBERS, FEWEST_GRADIENT_NUMBERS = 64, 30_000, 50_000


def _matrices():
    """Return what evaluates the kernel, what evaluates the pixels, and what makes pixels of the products; for squares.

    Of the three steps, the kernel is evaluated as it stands (1). What is read backwards are the other two: the pixels
    meet the transpose of what finds coefficients (2), and the products that of what evaluates four of them (3).
    """
    others = [np.delete(POINTS, i) for i in range(len(POINTS))]
    denominators = np.array([np.prod(p - rest) for p, rest in zip(POINTS, others)])
    infinity = np.eye(SEEN)[-1]     # the value there is the last coefficient: [-3:] of three, [-SIDE:] of four
    # (1) At p it is the row 1, p, p**2 times the taps. The denominators belong to (2); put here, they cost nothing.
    kernel = np.vstack([np.vander(POINTS, 3, increasing=True) / denominators[:, None], infinity[-3:]])
    # (2) Lagrange's polynomial of p, the product of (x - q) over the other points q, is 0 at all of them: so many of it
    # as the value at p are added up. What then is missed is a multiple of the one that is 0 at every point: infinity's.
    seen = np.array([*(np.append(np.poly(rest)[::-1], 0) for rest in others), np.poly(POINTS)[::-1]])
    # (3)
    made = np.vstack([np.vander(POINTS, SIDE, increasing=True), infinity[-SIDE:]]).T
    # along y and x at once: more multiplications than one after the other, but a single product
    return tuple(np.kron(matrix, matrix) for matrix in (kernel, seen, made))


# (36, 9) of the kernel's taps, (36, 36) of a tile's pixels, (16, 36) of its products; row y * side + x, along both axes
FROM_KERNEL, FROM_PIXELS, TO_PIXELS = _matrices()


def is_worthwhile(x, out_size, weight_shape, stride, groups, gradient=False):
    """Whether a convolution, or its weight's gradient, can be done so and is quicker for it.

    In double precision, which is for comparing, the definition does the work.
    """
    fewest_channels = min(weight_shape[2:])
    numbers = len(x) * math.prod(_tiles(out_size)) * fewest_channels
    return (weight_shape[:2] == (3, 3) and stride == (1, 1) and groups == 1 and x.dtype == np.float32
            and fewest_channels >= FEWEST_CHANNELS
            and numbers >= (FEWEST_GRADIENT_NUMBERS if gradient else FEWEST_NUMBERS))


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
    kernels = product(FROM_KERNEL.astype(x.dtype), weight.reshape(9, -1)).reshape(-1, c_in, c_out)
    y = np.empty((len(x), *out_size, c_out), x.dtype)
    tiles, to_pixels = _tiles(out_size), TO_PIXELS.astype(x.dtype)

    def multiply(blocks):
        space = _space(blocks, tiles, max(c_in, c_out), x.dtype)
        for image, num, row, rows in blocks:
            seen = _evaluated(x[image:image + num], row, rows, tiles[1], padding, *space)
            products = product(seen, kernels, out=_shaped(space[0], (len(seen), seen.shape[1], c_out)))
            made = _shaped(space[1], (SIDE**2, products[0].size))
            product(to_pixels, products.reshape(len(products), -1), out=made)
            part = np.s_[image:image + num, SIDE * row:SIDE * (row + rows)]
            out = y[part]
            for position, pixels in enumerate(made.reshape(-1, num, rows, tiles[1], c_out)):
                places = out[:, position // SIDE::SIDE, position % SIDE::SIDE]
                places[...] = pixels[:, :places.shape[1], :places.shape[2]]     # the last may lie beyond the image
            finish(out, part)

    spread_over_cores(multiply, _blocks(len(x), tiles, c_in * c_out))
    return y


def weight_gradient_of_tiles(x, dy, padding):
    """``dweight[a, b] = sum over (i, j) of x[i + a - padding, ...].T @ dy[i, j]``: the way back by the same products.

    The matrices, transposed, take gradients back: dy to the products, and the kernels' gradient, which is what was seen
    times that of the products, summed over the tiles, to the nine taps.

    Parameters
    ----------
    x : (N, H, W, C_in) ndarray
    dy : (N, oh, ow, C_out) ndarray
    padding : (int, int)
    """
    c_in, c_out = x.shape[-1], dy.shape[-1]
    tiles, from_pixels = _tiles(dy.shape[1:3]), TO_PIXELS.T.astype(dy.dtype)

    def multiply(blocks):
        dkernels = np.zeros((SEEN**2, c_in, c_out), dy.dtype)
        space = [_space(blocks, tiles, channels, dy.dtype) for channels in (c_in, c_out)]
        for image, num, row, rows in blocks:
            seen = _evaluated(x[image:image + num], row, rows, tiles[1], padding, *space[0])
            frame = in_frame(dy[image:image + num], SIDE * row, 0, SIDE * rows, SIDE * tiles[1])
            dproducts = _in_tiles(frame, SIDE, rows, tiles[1], from_pixels, *space[1])
            dkernels += product(seen.swapaxes(1, 2), dproducts)
        return dkernels

    dkernels = sum(spread_over_cores(multiply, _blocks(len(x), tiles, c_in * c_out)))
    return product(FROM_KERNEL.T.astype(dy.dtype), dkernels.reshape(SEEN**2, -1)).reshape(3, 3, c_in, c_out)


def _tiles(out_size):
    """How many tiles cover an image, along y and along x."""
    return tuple(-(-side // SIDE) for side in out_size)


def _blocks(num_images, tiles, kernel_size):
    """Cut all tiles into blocks ``(first image, number of images, first row, number of rows)`` of tiles."""
    rows = min(tiles[0], -(-BLOCK_TILES // tiles[1]))
    images = max(1, BLOCK_TILES // math.prod(tiles))
    cores = cores_for(SEEN**2 * num_images * math.prod(tiles) * kernel_size)
    return even_blocks(num_images, images, tiles[0], rows, cores)


def _space(blocks, tiles, channels, dtype):
    """Two flat arrays with room for all values of a block: each step reads from one and writes into the other."""
    most_tiles = max((num * rows for _, num, _, rows in blocks), default=0) * tiles[1]
    return [np.empty(SEEN**2 * most_tiles * channels, dtype) for _ in range(2)]


def _evaluated(x, row, rows, columns, padding, *space):
    """What the products take of rows of tiles, (36, tiles, C)."""
    frame = in_frame(x, SIDE * row - padding[0], -padding[1], SIDE * rows + 2, SIDE * columns + 2)
    return _in_tiles(frame, SEEN, rows, columns, FROM_PIXELS.astype(x.dtype), *space)


def _in_tiles(frame, side, rows, columns, matrix, space, more_space):
    """Cut frames into squares, every `SIDE` pixels one, and multiply their pixels by a matrix: (its rows, tiles, C)."""
    num, _, _, channels = frame.shape
    s_image, s_y, s_x, s_c = frame.strides
    squares = np.lib.stride_tricks.as_strided(frame, (side, side, num, rows, columns, channels),
                                              (s_y, s_x, s_image, SIDE * s_y, SIDE * s_x, s_c), writeable=False)
    laid_out = _shaped(space, squares.shape)
    laid_out[...] = squares
    result = _shaped(more_space, (len(matrix), num * rows * columns * channels))
    product(matrix, laid_out.reshape(side * side, -1), out=result)
    return result.reshape(len(matrix), -1, channels)


def _shaped(space, shape):
    """The beginning of a flat array as one of this shape."""
    return space[:math.prod(shape)].reshape(shape)
