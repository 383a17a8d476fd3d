"""Exercises about feature maps: convolution, its backward and its transpose, batch norm, the pyramid."""

import numpy as np

from .. import ops
from .exercise import case, exercise
from .inputs import floats

COUNTING = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
SLOPE = [[1, 0], [0, -1]]
POWERS = [[1, 10], [100, 1000]]     # a sum's digits tell which pixels took part


def _map(rows):
    """A small gray image as (1, H, W, 1) floats."""
    return floats(*rows)[None, :, :, None]


def _kernel(rows):
    """A small kernel from one channel to one channel, (kh, kw, 1, 1)."""
    return floats(*rows)[:, :, None, None]


# ---- convolution ----


@exercise("y")
def conv2d_forward(x, weight, bias, stride, padding):
    """(N, H, W, C_in) images, (kh, kw, C_in, C_out) weight -> y (N, oh, ow, C_out).

    Slide a kernel over images. `x` is `(N, H, W, C_in)`, `weight` is `(kh, kw, C_in, C_out)`, `bias` is `(C_out,)`;
    `stride` and `padding` are whole numbers. Output number `y[n, i, j, c]` is the sum of the window of `x` that begins
    at row `i * stride` and column `j * stride` (of the image with `padding` zeros around it), times
    `weight[:, :, :, c]`, plus `bias[c]`. Loops are fine; a matrix product is faster.

    Hints
    -----
    - `np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))` puts the zeros around.
    - The output has `(H + 2 * padding - kh) // stride + 1` rows.
    - Loop over the kernel's cells `(a, b)`, not over pixels: `padded[:, a::stride, b::stride]`, cut to the output's
      size, is what all outputs meet there; `@ weight[a, b]` maps its channels.
    """
    return ops.conv2d(x, weight, bias, stride, padding)


@conv2d_forward.tried_on
def _():
    rng = np.random.default_rng(0)
    zero, one = np.zeros(1), np.ones(1)
    yield case("a 3x4 image and a 1x1 kernel that doubles",
               "with a 1x1 kernel every output pixel is its own input pixel times the weight",
               x=_map(COUNTING), weight=_kernel([[2]]), bias=zero, stride=1, padding=0)
    yield case("a 2x2 kernel that is not symmetric",
               "the output has (H - kh + 1) rows; and the kernel is laid on as it is, not flipped",
               x=_map(COUNTING), weight=_kernel(SLOPE), bias=zero, stride=1, padding=0)
    yield case("the same with a bias", "the bias is added once to each output number, not once per kernel cell",
               x=_map(COUNTING), weight=_kernel(SLOPE), bias=one, stride=1, padding=0)
    yield case("padding of one pixel",
               "zeros go on all four sides, so the image grows by 2 * padding in each direction",
               x=_map(COUNTING), weight=_kernel(SLOPE), bias=zero, stride=1, padding=1)
    yield case("stride 2, and a kernel of powers of 10",
               "window (i, j) begins at row i * stride; a last window that does not fit is left out",
               x=_map(COUNTING), weight=_kernel(POWERS), bias=zero, stride=2, padding=0)
    yield case("two images, three channels in, two out, a 3x2 kernel, stride 2, padding 1",
               "an output channel sums over the window and over all input channels",
               x=rng.standard_normal((2, 6, 5, 3)), weight=rng.standard_normal((3, 2, 3, 2)),
               bias=rng.standard_normal(2), stride=2, padding=1)


@exercise("dx", "dweight", "dbias")
def conv2d_backward(dy, x, weight, stride, padding):
    """dy (N, oh, ow, C_out) -> dx, dweight, dbias with the shapes of x, weight and bias.

    The backward pass of a convolution. `dy` `(N, oh, ow, C_out)` is the gradient of the loss by the output; return the
    gradients by the input, the weight and the bias: `dx` (shape of `x`), `dweight` (shape of `weight`), `dbias`
    `(C_out,)`. To reach: a relative difference below 1e-9 on all six cases.

    Hints
    -----
    - Do case 1 on paper first: one window, four pixels. By how much does the loss grow if one of the pixels grows by 1?
      And if one of the weights does?
    - Start from the loop of the forward pass: each statement `y[i, j] += x[...] * weight[a, b]` becomes two,
      `dx[...] += dy[i, j] * weight[a, b]` and `dweight[a, b] += dy[i, j] * x[...]`.
    - With channels: `dy[:, i, j] @ weight[a, b].T` has the shape of a pixel of `x`, and `x_pixel.T @ dy[:, i, j]` that
      of `weight[a, b]`.
    - Work on the padded image and on a `dpadded` of its shape; return the part without the border.
    """
    _, cache = ops.conv2d_forward(x, weight, np.zeros(weight.shape[3]), stride, padding)
    return ops.conv2d_backward(dy, cache)


@conv2d_backward.tried_on
def _():
    rng = np.random.default_rng(1)
    powers = _kernel(POWERS)
    square = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    yield case("one window only: the image is as large as the kernel",
               "with one window y = sum(x * weight) + bias: so dx is dy times the weight, and dweight is dy times x",
               dy=_map([[10]]), x=_map([[1, 2], [3, 4]]), weight=_kernel([[5, 6], [7, 8]]), stride=1, padding=0)
    yield case("a 3x3 image under a 2x2 kernel: windows overlap",
               "the pixel in the middle is seen by four windows; what they send back adds up (`+=`, not `=`), for "
               "each weight and the bias as well",
               dy=_map([[1, 1], [1, 1]]), x=_map(square), weight=powers, stride=1, padding=0)
    yield case("the same with a different gradient for each output", "each window takes its own number dy[n, i, j]",
               dy=_map([[1, 2], [3, 4]]), x=_map(square), weight=powers, stride=1, padding=0)
    yield case("stride 2 on a 4x5 image: the last column is seen by no window",
               "dx has the shape of x; pixels that no window saw get 0",
               dy=_map([[1, 2], [3, 4]]), x=_map(np.arange(20).reshape(4, 5)), weight=powers, stride=2, padding=0)
    yield case("padding of one pixel",
               "the windows lie on the padded image, for dweight as well; of its gradient, cut the border off on all "
               "four sides: zeros do not learn",
               dy=_map(np.arange(20).reshape(4, 5)), x=_map(COUNTING), weight=powers, stride=1, padding=1)
    yield case("two images, three channels in, two out, a 3x2 kernel, stride 2, padding 1",
               "dweight and dbias are sums, over all images too",
               dy=rng.standard_normal((2, 3, 3, 2)), x=rng.standard_normal((2, 6, 5, 3)),
               weight=rng.standard_normal((3, 2, 3, 2)), stride=2, padding=1)


@exercise("y")
def conv_transpose2d_forward(x, weight, stride):
    """(N, H, W, C_in) -> y (N, (H - 1) * stride + kh, (W - 1) * stride + kw, C_out).

    Stamp a kernel: pixel `x[n, i, j]` (a vector of `C_in` channels) puts `x[n, i, j] @ weight` onto a larger image,
    beginning at row `i * stride`, column `j * stride`. Overlapping stamps add up. `weight` is `(kh, kw, C_in, C_out)`.

    Hints
    -----
    - Two loops over the pixels of `x`, and `+=` into a slice of `y` as large as the kernel.
    - `np.einsum('nc,abcd->nabd', x[:, i, j], weight)` is the stamp of pixel (i, j) of every image.
    """
    return ops.conv_transpose2d_forward(x, weight, None, stride)[0]


@conv_transpose2d_forward.tried_on
def _():
    rng = np.random.default_rng(2)
    yield case("one pixel: its stamp is the kernel times the pixel", "the output has (H - 1) * stride + kh rows",
               x=_map([[3]]), weight=_kernel([[1, 2], [3, 4]]), stride=2)
    yield case("two pixels, kernel 2, stride 2: stamps side by side",
               "the stamp of pixel (i, j) begins at row i * stride, column j * stride",
               x=_map([[1, 10]]), weight=_kernel([[1, 2], [3, 4]]), stride=2)
    yield case("two pixels, kernel 3, stride 2: stamps overlap in one column", "where stamps overlap they add up",
               x=_map([[1, 10]]), weight=_kernel([[1, 2, 3], [1, 2, 3]]), stride=2)
    yield case("two images, three channels in, two out, a 3x2 kernel, stride 2",
               "`x[:, i, j] @ weight[a, b]` maps the channels",
               x=rng.standard_normal((2, 4, 3, 3)), weight=rng.standard_normal((3, 2, 3, 2)), stride=2)


# ---- batch norm ----


@exercise("dx", "dweight", "dbias")
def batch_norm_backward(dy, x, weight, eps):
    """dy and x (N, H, W, C), weight (C,) -> dx (N, H, W, C), dweight (C,), dbias (C,).

    The backward pass of batch normalization. Forward was, for each channel, `xhat = (x - mean) / sqrt(var + eps)` and
    `y = weight * xhat + bias`, with mean and (biased) variance of the batch itself over images, rows and columns.
    Return `dx`, `dweight`, `dbias`.

    Hints
    -----
    - `dbias = sum(dy)` and `dweight = sum(dy * xhat)`, both over the first three axes.
    - `dx` has three terms: `dy`, minus its mean, minus `xhat` times the mean of `dy * xhat`; all of it times
      `weight / sqrt(var + eps)`.
    """
    _, cache = ops.batch_norm_forward(x, weight, np.zeros_like(weight), eps)
    return ops.batch_norm_backward(dy, cache)


@batch_norm_backward.tried_on
def _():
    rng = np.random.default_rng(3)
    yield case("one channel of four pixels, gradient at one of them",
               "moving one pixel also moves the mean and the (biased) variance, over all four pixels, and with them "
               "every other output",
               dy=_map([[1, 0], [0, 0]]), x=_map([[-1, 1], [-1, 1]]), weight=np.ones(1), eps=0.0)
    yield case("the same gradient everywhere: nothing should change",
               "the mean of dy is taken away: adding one number to a whole channel is invisible after the norm",
               dy=_map([[1, 1], [1, 1]]), x=_map([[1, 2], [4, 9]]), weight=np.full(1, 2.0), eps=0.0)
    yield case("a gradient that follows the input",
               "stretching a channel is invisible too: the part of dy along the normalized input is taken away",
               dy=_map([[0, 1], [2, 3]]), x=_map([[0, 1], [2, 3]]), weight=np.full(1, 2.0), eps=0.0)
    yield case("two images of 3x4 pixels with two channels, eps 0.1",
               "statistics are per channel, over images, rows and columns; eps is added to the variance, not to the "
               "std",
               dy=rng.standard_normal((2, 3, 4, 2)), x=rng.standard_normal((2, 3, 4, 2)) * 3 + 5,
               weight=floats(0.5, 2.0), eps=0.1)


# ---- the pyramid ----


@exercise("merged3", "merged4", "merged5")
def fpn_merge(c3, c4, c5, w3, w4, w5):
    """c3 (4h, 4w, C3), c4 (2h, 2w, C4), c5 (h, w, C5); w3 (C3, C), w4 (C4, C), w5 (C5, C)
    -> merged3 (4h, 4w, C), merged4 (2h, 2w, C), merged5 (h, w, C).

    The heart of the pyramid's forward pass: laterals and top-down path, for the three levels C3, C4 and C5. A lateral
    is a 1x1 convolution without bias: each cell's vector of `c3` `(h, w, C3)` times the matrix `w3` `(C3, C)`, and
    likewise for the others. Beginning at C5, enlarge each merged map to twice its size, every cell copied to 2x2 cells,
    and add it to the lateral of the next finer level. Return the three merged maps, the finest first. (The 3x3
    convolutions that smooth them are left out.)

    Hints
    -----
    - Which of the three can be computed first, without the other two?
    - `merged5 = c5 @ w5`; the other two are each a lateral plus the enlarged map of the level above.
    - `x.repeat(2, axis=0).repeat(2, axis=1)` copies each cell to 2x2.
    """
    merged = []
    for feature, weight in ((c5, w5), (c4, w4), (c3, w3)):
        lateral, _ = ops.conv2d_forward(feature[None], weight[None, None])
        if merged:
            lateral = lateral + ops.upsample_nearest_forward(merged[0][None], lateral.shape[1:3])[0]
        merged.insert(0, lateral[0])
    return tuple(merged)


@fpn_merge.tried_on
def _():
    rng = np.random.default_rng(5)

    def maps(rows, columns, channels=(1, 1, 1), draw=np.zeros, **others):
        """c3, c4 and c5 for a C5 of rows x columns cells; `others` go in place of them."""
        return {name: draw((scale * rows, scale * columns, c))
                for name, scale, c in zip(("c3", "c4", "c5"), (4, 2, 1), channels, strict=True)} | others

    def weights(channels, out):
        return {f"w{level}": rng.integers(-2, 3, (c, out)).astype(float) for level, c in enumerate(channels, 3)}

    one = np.ones((1, 1))
    ones = {"w3": one, "w4": one, "w5": one}
    random_maps = maps(2, 3, (3, 5, 7), rng.standard_normal)
    yield case("only C5 has something to say: its one cell is 1",
               "what C5 knows must reach every cell of the levels below, and unchanged",
               **maps(1, 1, c5=np.ones((1, 1, 1))), **ones)
    yield case("C5 has two cells, side by side",
               "each cell is copied to 2x2 cells, 1 1 2 2; it is not the map that is laid twice, 1 2 1 2",
               **maps(1, 2, c5=_map([[1, 2]])[0]), **ones)
    yield case("a one in C4 and a one in C5",
               "what goes on down to level 3 is the sum of level 4, not its lateral alone, nor C5's",
               **maps(1, 1, c4=_map([[1, 0], [0, 0]])[0], c5=np.ones((1, 1, 1))), **ones)
    yield case("laterals that double, treble, and change the sign",
               "the lateral is the level's own map times its own weight; what comes from above is not multiplied again",
               **maps(1, 1, draw=np.ones), w3=2 * one, w4=3 * one, w5=-one)
    yield case("maps of 1, 2 and 3 channels, laterals of 2",
               "a 1x1 convolution is a product along the channels: feature @ weight",
               **maps(1, 2, (1, 2, 3), np.ones), **weights((1, 2, 3), 2))
    yield case("8x12, 4x6 and 2x3 cells of 3, 5 and 7 channels", **random_maps, **weights((3, 5, 7), 4))


@exercise("dx")
def upsample_backward(dy, size):
    """dy (N, height, width, C), size = (H, W) of the input -> dx (N, H, W, C).

    The backward pass of nearest-neighbor upsampling, with which the pyramid goes down. Forward copied:
    `y[n, i, j] = x[n, i * H // height, j * W // width]`. Given `dy` `(N, height, width, C)` and the input's
    `size = (H, W)`, return `dx` `(N, H, W, C)`.

    Hints
    -----
    - Copy forward, add backward: loop over the output pixels and `+=` into the input pixel that was copied.
    - Without loops: `np.add.at`. (`dx[:, rows] += dy` would count a repeated row once.)
    """
    n, _, _, c = dy.shape
    _, cache = ops.upsample_nearest_forward(np.zeros((n, *size, c)), dy.shape[1:3])
    return ops.upsample_nearest_backward(dy, cache)


@upsample_backward.tried_on
def _():
    rng = np.random.default_rng(4)
    yield case("one pixel became 2x2", "the pixel was copied four times, so it is responsible for all four gradients",
               dy=_map([[1, 2], [3, 4]]), size=(1, 1))
    yield case("1x2 pixels became 2x4", "each input pixel has its own block of 2x2",
               dy=_map([[1, 2, 3, 4], [10, 20, 30, 40]]), size=(1, 2))
    yield case("3x2 pixels became 5x4, as when a map has an odd number of rows",
               "output row i copied input row i * H // height, here 0, 0, 1, 1, 2: not all rows have two copies",
               dy=_map(np.arange(1, 21).reshape(5, 4)), size=(3, 2))
    yield case("two images, three channels, 2x3 to 4x6", "images and channels do not mix",
               dy=rng.standard_normal((2, 4, 6, 3)), size=(2, 3))
