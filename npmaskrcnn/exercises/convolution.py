"""Exercises about feature maps: convolution, its backward and its transpose, batch norm, the pyramid."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.exercises.exercise import Case, Exercise


def _map(rows):
    """A small grey image as (1, H, W, 1) floats."""
    return np.array(rows, dtype=np.float64)[None, :, :, None]


def _kernel(rows):
    """A small kernel from one channel to one channel, (kh, kw, 1, 1)."""
    return np.array(rows, dtype=np.float64)[:, :, None, None]


COUNTING = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
SLOPE = [[1, 0], [0, -1]]


# ---- convolution ----


def _forward_cases():
    rng = np.random.default_rng(0)
    zero, one = np.zeros(1), np.ones(1)
    return [
        Case("a 3x4 image and a 1x1 kernel that doubles",
             dict(x=_map(COUNTING), weight=_kernel([[2]]), bias=zero, stride=1, padding=0),
             "with a 1x1 kernel every output pixel is its own input pixel times the weight"),
        Case("a 2x2 kernel that is not symmetric",
             dict(x=_map(COUNTING), weight=_kernel(SLOPE), bias=zero, stride=1, padding=0),
             "the output has (H - kh + 1) rows; and the kernel is laid on as it is, not flipped"),
        Case("the same with a bias", dict(x=_map(COUNTING), weight=_kernel(SLOPE), bias=one, stride=1, padding=0),
             "the bias is added once to each output number, not once per kernel cell"),
        Case("padding of one pixel", dict(x=_map(COUNTING), weight=_kernel(SLOPE), bias=zero, stride=1, padding=1),
             "zeros go on all four sides, so the image grows by 2 * padding in each direction"),
        Case("stride 2", dict(x=_map(COUNTING), weight=_kernel(SLOPE), bias=zero, stride=2, padding=0),
             "window (i, j) begins at row i * stride; a last window that does not fit is left out"),
        Case("two images, three channels in, two out, a 3x2 kernel, stride 2, padding 1",
             dict(x=rng.standard_normal((2, 6, 5, 3)), weight=rng.standard_normal((3, 2, 3, 2)),
                  bias=rng.standard_normal(2), stride=2, padding=1),
             "an output channel sums over the window and over all input channels"),
    ]


CONV2D_FORWARD = Exercise(
    name="conv2d_forward",
    statement="""Slide a kernel over images. `x` is `(N, H, W, C_in)`, `weight` is `(kh, kw, C_in, C_out)`, `bias`
is `(C_out,)`; `stride` and `padding` are whole numbers. Output number `y[n, i, j, c]` is the sum of the window of
`x` that begins at row `i * stride` and column `j * stride` (of the image with `padding` zeros around it), times
`weight[:, :, :, c]`, plus `bias[c]`. Loops are fine; a matrix product is faster.""",
    stub='''
def conv2d_forward(x, weight, bias, stride, padding):
    """(N, H, W, C_in) images, (kh, kw, C_in, C_out) weight -> y (N, oh, ow, C_out)."""
    ...
''',
    outputs=("y",),
    reference=lambda x, weight, bias, stride, padding: ops.conv2d(x, weight, bias, stride, padding),
    cases=_forward_cases,
    hints=("`np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))` puts the zeros around.",
           "The output has `(H + 2 * padding - kh) // stride + 1` rows.",
           "Loop over the kernel's cells `(a, b)`, not over pixels: `padded[:, a::stride, b::stride]`, cut to the "
           "output's size, is what all outputs meet there; `@ weight[a, b]` maps its channels."))


def _backward_reference(dy, x, weight, stride, padding):
    _, cache = ops.conv2d_forward(x, weight, np.zeros(weight.shape[3]), stride, padding)
    return ops.conv2d_backward(dy, cache)


def _backward_cases():
    rng = np.random.default_rng(1)
    square = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    return [
        Case("one window only: the image is as large as the kernel",
             dict(dy=_map([[10]]), x=_map([[1, 2], [3, 4]]), weight=_kernel([[5, 6], [7, 8]]), stride=1, padding=0),
             "with one window y = sum(x * weight) + bias: so dx is dy times the weight, and dweight is dy times x"),
        Case("a 3x3 image under a 2x2 kernel: windows overlap",
             dict(dy=_map([[1, 1], [1, 1]]), x=_map(square), weight=_kernel([[1, 10], [100, 1000]]), stride=1,
                  padding=0),
             "the pixel in the middle is seen by four windows; what they send back adds up (`+=`, not `=`)"),
        Case("the same with a different gradient for each output",
             dict(dy=_map([[1, 2], [3, 4]]), x=_map(square), weight=_kernel([[1, 10], [100, 1000]]), stride=1,
                  padding=0), "each window takes its own number dy[n, i, j]"),
        Case("stride 2 on a 4x5 image: the last column is seen by no window",
             dict(dy=_map([[1, 2], [3, 4]]), x=_map(np.arange(20).reshape(4, 5)),
                  weight=_kernel([[1, 10], [100, 1000]]), stride=2, padding=0),
             "dx has the shape of x; pixels that no window saw get 0"),
        Case("padding of one pixel", dict(dy=_map(np.arange(20).reshape(4, 5)), x=_map(COUNTING),
                                          weight=_kernel([[1, 10], [100, 1000]]), stride=1, padding=1),
             "compute the gradient of the padded image, then cut the border off: zeros do not learn"),
        Case("two images, three channels in, two out, a 3x2 kernel, stride 2, padding 1",
             dict(dy=rng.standard_normal((2, 3, 3, 2)), x=rng.standard_normal((2, 6, 5, 3)),
                  weight=rng.standard_normal((3, 2, 3, 2)), stride=2, padding=1),
             "dweight and dbias sum over all images too"),
    ]


CONV2D_BACKWARD = Exercise(
    name="conv2d_backward",
    statement="""The backward pass of a convolution. `dy` `(N, oh, ow, C_out)` is the gradient of the loss by the
output; return the gradients by the input, the weight and the bias: `dx` (shape of `x`), `dweight` (shape of
`weight`), `dbias` `(C_out,)`. To reach: a relative difference below 1e-9 on all six cases.""",
    stub='''
def conv2d_backward(dy, x, weight, stride, padding):
    """dy (N, oh, ow, C_out) -> dx, dweight, dbias with the shapes of x, weight and bias."""
    ...  # return dx, dweight, dbias
''',
    outputs=("dx", "dweight", "dbias"), reference=_backward_reference, cases=_backward_cases,
    hints=("Do case 1 on paper first: one window, four pixels. By how much does the loss grow if one of the pixels grows by 1? "
           "And if one of the weights does?",
           "Start from the loop of the forward pass: each statement `y[i, j] += x[...] * weight[a, b]` becomes two, "
           "`dx[...] += dy[i, j] * weight[a, b]` and `dweight[a, b] += dy[i, j] * x[...]`.",
           "With channels: `dy[:, i, j] @ weight[a, b].T` has the shape of a pixel of `x`, and "
           "`x_pixel.T @ dy[:, i, j]` that of `weight[a, b]`.",
           "Work on the padded image and on a `dpadded` of its shape; return the part without the border."))


def _transpose_cases():
    rng = np.random.default_rng(2)
    return [
        Case("one pixel: its stamp is the kernel times the pixel",
             dict(x=_map([[3]]), weight=_kernel([[1, 2], [3, 4]]), stride=2), "the output has (H - 1) * stride + kh rows"),
        Case("two pixels, kernel 2, stride 2: stamps side by side",
             dict(x=_map([[1, 10]]), weight=_kernel([[1, 2], [3, 4]]), stride=2),
             "the stamp of pixel (i, j) begins at row i * stride, column j * stride"),
        Case("two pixels, kernel 3, stride 2: stamps overlap in one column",
             dict(x=_map([[1, 10]]), weight=_kernel([[1, 2, 3], [1, 2, 3]]), stride=2), "where stamps overlap they add up"),
        Case("two images, three channels in, two out, a 3x2 kernel, stride 2",
             dict(x=rng.standard_normal((2, 4, 3, 3)), weight=rng.standard_normal((3, 2, 3, 2)), stride=2),
             "`x[:, i, j] @ weight[a, b]` maps the channels"),
    ]


CONV_TRANSPOSE2D_FORWARD = Exercise(
    name="conv_transpose2d_forward",
    statement="""Stamp a kernel: pixel `x[n, i, j]` (a vector of `C_in` channels) puts `x[n, i, j] @ weight` onto a
larger image, beginning at row `i * stride`, column `j * stride`. Overlapping stamps add up. `weight` is
`(kh, kw, C_in, C_out)`.""",
    stub='''
def conv_transpose2d_forward(x, weight, stride):
    """(N, H, W, C_in) -> y (N, (H - 1) * stride + kh, (W - 1) * stride + kw, C_out)."""
    ...
''',
    outputs=("y",), reference=lambda x, weight, stride: ops.conv_transpose2d_forward(x, weight, None, stride)[0],
    cases=_transpose_cases,
    hints=("Two loops over the pixels of `x`, and `+=` into a slice of `y` as large as the kernel.",
           "`np.einsum('nc,abcd->nabd', x[:, i, j], weight)` is the stamp of pixel (i, j) of every image."))


# ---- batch norm and upsampling ----


def _batch_norm_reference(dy, x, weight, eps):
    _, cache = ops.batch_norm_forward(x, weight, np.zeros_like(weight), eps)
    return ops.batch_norm_backward(dy, cache)


def _batch_norm_cases():
    rng = np.random.default_rng(3)
    return [
        Case("one channel of four pixels, gradient at one of them",
             dict(dy=_map([[1, 0], [0, 0]]), x=_map([[-1, 1], [-1, 1]]), weight=np.ones(1), eps=0.0),
             "moving one pixel also moves the mean and the variance, and with them every other output"),
        Case("the same gradient everywhere: nothing should change",
             dict(dy=_map([[1, 1], [1, 1]]), x=_map([[1, 2], [4, 9]]), weight=np.full(1, 2.0), eps=0.0),
             "the mean of dy is taken away: adding one number to a whole channel is invisible after the norm"),
        Case("a gradient that follows the input",
             dict(dy=_map([[0, 1], [2, 3]]), x=_map([[0, 1], [2, 3]]), weight=np.full(1, 2.0), eps=0.0),
             "stretching a channel is invisible too: the part of dy along the normalised input is taken away"),
        Case("two images of 3x4 pixels with two channels, eps 0.1",
             dict(dy=rng.standard_normal((2, 3, 4, 2)), x=rng.standard_normal((2, 3, 4, 2)) * 3 + 5,
                  weight=np.array([0.5, 2.0]), eps=0.1),
             "statistics are per channel, over images, rows and columns; eps is added to the variance, not to the std"),
    ]


BATCH_NORM_BACKWARD = Exercise(
    name="batch_norm_backward",
    statement="""The backward pass of batch normalisation. Forward was, for each channel,
`xhat = (x - mean) / sqrt(var + eps)` and `y = weight * xhat + bias`, with mean and (biased) variance of the batch
itself over images, rows and columns. Return `dx`, `dweight`, `dbias`.""",
    stub='''
def batch_norm_backward(dy, x, weight, eps):
    """dy and x (N, H, W, C), weight (C,) -> dx (N, H, W, C), dweight (C,), dbias (C,)."""
    ...  # return dx, dweight, dbias
''',
    outputs=("dx", "dweight", "dbias"), reference=_batch_norm_reference, cases=_batch_norm_cases,
    hints=("`dbias = sum(dy)` and `dweight = sum(dy * xhat)`, both over the first three axes.",
           "`dx` has three terms: `dy`, minus its mean, minus `xhat` times the mean of `dy * xhat`; all of it times "
           "`weight / sqrt(var + eps)`."))


def _upsample_reference(dy, size):
    n, _, _, c = dy.shape
    _, cache = ops.upsample_nearest_forward(np.zeros((n, *size, c)), dy.shape[1:3])
    return ops.upsample_nearest_backward(dy, cache)


def _upsample_cases():
    rng = np.random.default_rng(4)
    return [
        Case("one pixel became 2x2", dict(dy=_map([[1, 2], [3, 4]]), size=(1, 1)),
             "the pixel was copied four times, so it is responsible for all four gradients"),
        Case("1x2 pixels became 2x4", dict(dy=_map([[1, 2, 3, 4], [10, 20, 30, 40]]), size=(1, 2)),
             "each input pixel has its own block of 2x2"),
        Case("3x2 pixels became 5x4, as when a map has an odd number of rows", dict(
             dy=_map(np.arange(1, 21).reshape(5, 4)), size=(3, 2)),
             "output row i copied input row i * H // height, here 0, 0, 1, 1, 2: not all rows have two copies"),
        Case("two images, three channels, 2x3 to 4x6", dict(dy=rng.standard_normal((2, 4, 6, 3)), size=(2, 3)),
             "images and channels do not mix"),
    ]


UPSAMPLE_BACKWARD = Exercise(
    name="upsample_backward",
    statement="""The backward pass of nearest-neighbour upsampling, with which the pyramid goes down. Forward copied:
`y[n, i, j] = x[n, i * H // height, j * W // width]`. Given `dy` `(N, height, width, C)` and the input's
`size = (H, W)`, return `dx` `(N, H, W, C)`.""",
    stub='''
def upsample_backward(dy, size):
    """dy (N, height, width, C), size = (H, W) of the input -> dx (N, H, W, C)."""
    ...
''',
    outputs=("dx",), reference=_upsample_reference, cases=_upsample_cases,
    hints=("Copy forward, add backward: loop over the output pixels and `+=` into the input pixel that was copied.",
           "Without loops: `np.add.at`. (`dx[:, rows] += dy` would count a repeated row once.)"))


# ---- the pyramid ----


def _merge_reference(c3, c4, c5, w3, w4, w5):
    merged = []
    for feature, weight in ((c5, w5), (c4, w4), (c3, w3)):
        lateral, _ = ops.conv2d_forward(feature[None], weight[None, None])
        if merged:
            lateral = lateral + ops.upsample_nearest_forward(merged[0][None], lateral.shape[1:3])[0]
        merged.insert(0, lateral[0])
    return tuple(merged)


def _merge_cases():
    rng = np.random.default_rng(5)
    one = np.ones((1, 1))

    def maps(rows, columns, channels=(1, 1, 1), draw=lambda shape: np.zeros(shape)):
        return {f"c{3 + k}": draw((rows << 2 >> k, columns << 2 >> k, c)) for k, c in enumerate(channels)}

    def weights(channels, out):
        return {f"w{3 + k}": rng.integers(-2, 3, (c, out)).astype(float) for k, c in enumerate(channels)}

    ones = dict(w3=one, w4=one, w5=one)
    random_maps = maps(2, 3, (3, 5, 7), rng.standard_normal)
    return [
        Case("only C5 has something to say: its one cell is 1", dict(maps(1, 1), c5=np.ones((1, 1, 1)), **ones),
             "what C5 knows must reach every cell of the levels below, and unchanged"),
        Case("C5 has two cells, side by side", dict(maps(1, 2), c5=_map([[1, 2]])[0], **ones),
             "each cell is copied to 2x2 cells, 1 1 2 2; it is not the map that is laid twice, 1 2 1 2"),
        Case("a one in C4 and a one in C5", dict(maps(1, 1), c4=_map([[1, 0], [0, 0]])[0], c5=np.ones((1, 1, 1)), **ones),
             "what goes on down to level 3 is the sum of level 4, not its lateral alone, nor C5's"),
        Case("laterals that double, treble, and change the sign", dict(maps(1, 1, draw=np.ones), w3=2 * one, w4=3 * one, w5=-one),
             "the lateral is the level's own map times its own weight; what comes from above is not multiplied again"),
        Case("maps of 1, 2 and 3 channels, laterals of 2", dict(maps(1, 2, (1, 2, 3), np.ones), **weights((1, 2, 3), 2)),
             "a 1x1 convolution is a product along the channels: feature @ weight"),
        Case("8x12, 4x6 and 2x3 cells of 3, 5 and 7 channels", dict(random_maps, **weights((3, 5, 7), 4))),
    ]


FPN_MERGE = Exercise(
    name="fpn_merge",
    statement="""The heart of the pyramid's forward pass: laterals and top-down path, for the three levels C3, C4 and C5. A lateral is a
1x1 convolution without bias: each cell's vector of `c3` `(h, w, C3)` times the matrix `w3` `(C3, C)`, and likewise for the others. Beginning
at C5, enlarge each merged map to twice its size, every cell copied to 2x2 cells, and add it to the lateral of the next finer level. Return
the three merged maps, the finest first. (The 3x3 convolutions that smooth them are left out.)""",
    stub='''
def fpn_merge(c3, c4, c5, w3, w4, w5):
    """c3 (4h, 4w, C3), c4 (2h, 2w, C4), c5 (h, w, C5); w3 (C3, C), w4 (C4, C), w5 (C5, C)
    -> merged3 (4h, 4w, C), merged4 (2h, 2w, C), merged5 (h, w, C)."""
    ...  # return merged3, merged4, merged5
''',
    outputs=("merged3", "merged4", "merged5"), reference=_merge_reference, cases=_merge_cases,
    hints=("Which of the three can be computed first, without the other two?",
           "`merged5 = c5 @ w5`; the other two are each a lateral plus the enlarged map of the level above.",
           "`x.repeat(2, axis=0).repeat(2, axis=1)` copies each cell to 2x2."))


EXERCISES = (CONV2D_FORWARD, CONV2D_BACKWARD, CONV_TRANSPOSE2D_FORWARD, BATCH_NORM_BACKWARD, FPN_MERGE, UPSAMPLE_BACKWARD)
