"""Common wrong answers about feature maps: convolution, its backward and its transpose, batch norm, the pyramid."""

import numpy as np

from ... import ops
from .. import convolution as right

# ---- convolution ----


@right.conv2d_forward.mistake("The kernel is turned by 180 degrees, as in mathematics. Here it is laid on as it is: "
                              "`weight[0, 0]` meets the window's upper left pixel.")
def _(x, weight, bias, stride, padding):
    return ops.conv2d(x, weight[::-1, ::-1], bias, stride, padding)


@right.conv2d_forward.mistake("There is no padding. First put `padding` zeros on all four sides of the image, then "
                              "slide the kernel over the larger one.")
def _(x, weight, bias, stride, padding):
    return ops.conv2d(x, weight, bias, stride, 0)


every_pixel = right.conv2d_forward.mistake(
    "Window (i, j) begins at row i and column j. With a stride, it is row i * stride and column j * stride.")


@every_pixel
def _(x, weight, bias, stride, padding):
    return ops.conv2d(x, weight, bias, 1, padding)


@every_pixel
def _(x, weight, bias, stride, padding):
    _, height, width, _ = ops.conv2d(x, weight, bias, stride, padding).shape
    return ops.conv2d(x, weight, bias, 1, padding)[:, :height, :width]


@right.conv2d_forward.mistake("The bias is missing. `bias[c]` is added to each output number of channel c.")
def _(x, weight, bias, stride, padding):
    return ops.conv2d(x, weight, None, stride, padding)


@right.conv2d_forward.mistake("The bias is added for each cell of the kernel. It belongs to the output number: once, "
                              "outside the sum over the window.")
def _(x, weight, bias, stride, padding):
    return ops.conv2d(x, weight, bias * weight.shape[0] * weight.shape[1], stride, padding)


# ---- convolution backward ----


@right.conv2d_backward.mistake("dx uses the kernel the wrong way round. If you slide it over dy, turn it by 180 "
                               "degrees first: what was read at (a, b) goes back to (a, b).")
def _(dy, x, weight, stride, padding):
    dx, _, _ = right.conv2d_backward.reference(dy, x, weight[::-1, ::-1], stride, padding)
    return dx, *right.conv2d_backward.reference(dy, x, weight, stride, padding)[1:]


@right.conv2d_backward.mistake("The last window overwrites what others have sent to a pixel. Several windows have seen "
                               "it, and what they send back adds up: `+=`.")
def _(dy, x, weight, stride, padding):
    dpadded = np.pad(np.zeros_like(x), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for i, j in np.ndindex(dy.shape[1:3]):
        window = np.s_[:, i * stride:i * stride + len(weight), j * stride:j * stride + weight.shape[1]]
        dpadded[window] = np.einsum("nd,abcd->nabc", dy[:, i, j], weight)
    dx = dpadded[:, padding:padding + x.shape[1], padding:padding + x.shape[2]]
    return dx, *right.conv2d_backward.reference(dy, x, weight, stride, padding)[1:]


@right.conv2d_backward.mistake("dy is handled as if the stride were 1. Window (i, j) began at row i * stride, column "
                               "j * stride, and that is where its gradient goes.")
def _(dy, x, weight, stride, padding):
    margin = [(0, 0), *((0, size + 2 * padding - kernel + 1 - out)
                        for size, kernel, out in zip(x.shape[1:3], weight.shape, dy.shape[1:3])), (0, 0)]
    return right.conv2d_backward.reference(np.pad(dy, margin), x, weight, 1, padding)


@right.conv2d_backward.mistake("The turned kernel slides over dy as if the stride were 1. At stride 2, first put a row "
                               "and a column of zeros between dy's numbers.")
def _(dy, x, weight, stride, padding):
    size = np.add(dy.shape[1:3], weight.shape[:2]) - 1 - 2 * padding
    dx, _, _ = right.conv2d_backward.reference(dy, np.zeros((len(x), *size, x.shape[3])), weight, 1, padding)
    return dx, *right.conv2d_backward.reference(dy, x, weight, stride, padding)[1:]


@right.conv2d_backward.mistake("dx still has the border of the padded image. Those pixels are zeros that nobody "
                               "learns from: cut them off, so that dx is as large as x.")
def _(dy, x, weight, stride, padding):
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return right.conv2d_backward.reference(dy, padded, weight, stride, 0)


@right.conv2d_backward.mistake("dx is cut to the right size, but at its lower right. The border is on all four sides: "
                               "the part without it begins at row and column `padding`.")
def _(dy, x, weight, stride, padding):
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dpadded, dweight, dbias = right.conv2d_backward.reference(dy, padded, weight, stride, 0)
    return dpadded[:, :x.shape[1], :x.shape[2]], dweight, dbias


@right.conv2d_backward.mistake("dweight is made with x without its border. Window (i, j) begins at row i * stride of "
                               "the *padded* image.")
def _(dy, x, weight, stride, padding):
    shifted = np.pad(x, ((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0)))
    dx, _, dbias = right.conv2d_backward.reference(dy, x, weight, stride, padding)
    return dx, right.conv2d_backward.reference(dy, shifted, weight, stride, 0)[1], dbias


@right.conv2d_backward.mistake("dbias is the mean of dy. The bias was added to every output, so it gets the sum, over "
                               "images, rows and columns.")
def _(dy, x, weight, stride, padding):
    return *right.conv2d_backward.reference(dy, x, weight, stride, padding)[:2], dy.mean(axis=(0, 1, 2))


@right.conv2d_backward.mistake("dweight and dbias are divided by the number of images. They are sums: if the loss is a "
                               "mean, dy knows that already.")
def _(dy, x, weight, stride, padding):
    dx, dweight, dbias = right.conv2d_backward.reference(dy, x, weight, stride, padding)
    return dx, dweight / len(x), dbias / len(x)


# ---- transposed convolution ----


@right.conv_transpose2d_forward.mistake("Where stamps overlap, the later one covers the earlier. They add up: `+=`.")
def _(x, weight, stride):
    (n, h, w, _), (kh, kw, _, channels) = x.shape, weight.shape
    y = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, channels))
    for i, j in np.ndindex(h, w):
        y[:, i * stride:i * stride + kh, j * stride:j * stride + kw] = np.einsum("nc,abcd->nabd", x[:, i, j], weight)
    return y


@right.conv_transpose2d_forward.mistake("The stamps are turned by 180 degrees. A pixel puts the kernel down as it is: "
                                        "`weight[0, 0]` to the upper left.")
def _(x, weight, stride):
    return right.conv_transpose2d_forward.reference(x, weight[::-1, ::-1], stride)


@right.conv_transpose2d_forward.mistake("The stamp of pixel (i, j) begins at row i and column j. With a stride, it is "
                                        "row i * stride and column j * stride.")
def _(x, weight, stride):
    near = right.conv_transpose2d_forward.reference(x, weight, 1)
    y = np.zeros_like(right.conv_transpose2d_forward.reference(x, weight, stride))
    y[:, :near.shape[1], :near.shape[2]] = near
    return y


@right.conv_transpose2d_forward.mistake("The output has H * stride rows. The last stamp begins at row "
                                        "(H - 1) * stride and needs kh rows from there.")
def _(x, weight, stride):
    y = right.conv_transpose2d_forward.reference(x, weight, stride)
    return y[:, :x.shape[1] * stride, :x.shape[2] * stride]


# ---- batch norm ----


def _normalized(dy, x, weight, eps):
    """The normalized input, the standard deviation, and the three right answers."""
    std = np.sqrt(x.var(axis=(0, 1, 2)) + eps)
    return (x - x.mean(axis=(0, 1, 2))) / std, std, right.batch_norm_backward.reference(dy, x, weight, eps)


@right.batch_norm_backward.mistake("In dx, mean and variance are taken for constants. They are made of x themselves: "
                                   "moving one pixel moves both, and so every output.")
def _(dy, x, weight, eps):
    _, std, (_, dweight, dbias) = _normalized(dy, x, weight, eps)
    return dy * weight / std, dweight, dbias


@right.batch_norm_backward.mistake("In dx, the mean moves with x, but the variance is taken for a constant. It moves "
                                   "too: one more term, along the normalized input.")
def _(dy, x, weight, eps):
    _, std, (_, dweight, dbias) = _normalized(dy, x, weight, eps)
    return (dy - dy.mean(axis=(0, 1, 2))) * weight / std, dweight, dbias


@right.batch_norm_backward.mistake("dweight is made with x as it came. The weight multiplied the normalized input, so "
                                   "it is that which dy is multiplied by.")
def _(dy, x, weight, eps):
    _, _, (dx, _, dbias) = _normalized(dy, x, weight, eps)
    return dx, (dy * x).sum(axis=(0, 1, 2)), dbias


@right.batch_norm_backward.mistake("dx leaves out the weight. What went forward was multiplied by it, and so is what "
                                   "comes back.")
def _(dy, x, weight, eps):
    _, _, (dx, dweight, dbias) = _normalized(dy, x, weight, eps)
    return dx / weight, dweight, dbias


@right.batch_norm_backward.mistake("eps is added to the standard deviation. It belongs under the root, to the "
                                   "variance: `sqrt(var + eps)`.")
def _(dy, x, weight, eps):
    std = x.std(axis=(0, 1, 2)) + eps
    xhat = (x - x.mean(axis=(0, 1, 2))) / std
    along = (dy * xhat).mean(axis=(0, 1, 2))
    dx = weight / std * (dy - dy.mean(axis=(0, 1, 2)) - xhat * along)
    return dx, (dy * xhat).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))


def _with_statistics(dy, x, weight, eps, axes=(0, 1, 2), ddof=0, gather=np.mean):
    """All three answers, with the statistics over some axes only, and the two terms of dx gathered in another way."""
    std = np.sqrt(x.var(axis=axes, ddof=ddof, keepdims=True) + eps)
    xhat = (x - x.mean(axis=axes, keepdims=True)) / std
    shift, stretch = (gather(terms, axis=axes, keepdims=True) for terms in (dy, dy * xhat))
    return weight / std * (dy - shift - xhat * stretch), (dy * xhat).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))


unbiased = right.batch_norm_backward.mistake(
    "The variance is the unbiased one, divided by the number of pixels less 1. A batch norm divides by their number: "
    "`x.var(...)` as it is.")


@unbiased
def _(dy, x, weight, eps):
    return _with_statistics(dy, x, weight, eps, ddof=1)


@unbiased       # the gradient of such a norm
def _(dy, x, weight, eps):
    dx, dweight, dbias = _with_statistics(dy, x, weight, eps, ddof=1)
    num, axes = x.size / len(weight), (0, 1, 2)
    std = np.sqrt(x.var(axis=axes, ddof=1) + eps)
    xhat = (x - x.mean(axis=axes)) / std
    return dx - weight / std * xhat * (dy * xhat).mean(axis=axes) / (num - 1), dweight, dbias


@right.batch_norm_backward.mistake("In dx, sums are taken away where means belong: the mean of dy, and xhat times the "
                                   "mean of dy * xhat.")
def _(dy, x, weight, eps):
    return _with_statistics(dy, x, weight, eps, gather=np.sum)


other_axes = right.batch_norm_backward.mistake(
    "The statistics are not those of a whole channel. Mean and variance, and the means in dx, are over images, rows "
    "and columns: axis=(0, 1, 2).")


@other_axes
def _(dy, x, weight, eps):
    return _with_statistics(dy, x, weight, eps, axes=0)


@other_axes
def _(dy, x, weight, eps):
    return _with_statistics(dy, x, weight, eps, axes=(1, 2))


@other_axes
def _(dy, x, weight, eps):
    return _with_statistics(dy, x, weight, eps, axes=(0, 1, 2, 3))


@right.batch_norm_backward.mistake("dweight and dbias are means. Weight and bias take part in every output of their "
                                   "channel, and what comes back adds up: sums.")
def _(dy, x, weight, eps):
    dx, dweight, dbias = right.batch_norm_backward.reference(dy, x, weight, eps)
    return dx, dweight * len(weight) / x.size, dbias * len(weight) / x.size


# ---- the pyramid ----


def _twice(x):
    return x.repeat(2, axis=0).repeat(2, axis=1)


@right.fpn_merge.mistake("The enlarged map is the map laid side by side, 1 2 1 2. Each cell grows where it is: "
                         "1 1 2 2.")
def _(c3, c4, c5, w3, w4, w5):
    merged4 = c4 @ w4 + np.tile(c5 @ w5, (2, 2, 1))
    return c3 @ w3 + np.tile(merged4, (2, 2, 1)), merged4, c5 @ w5


@right.fpn_merge.mistake("Level 3 gets the lateral of level 4 alone. What goes down is the *merged* map, with all that "
                         "level 4 has from above.")
def _(c3, c4, c5, w3, w4, w5):
    return c3 @ w3 + _twice(c4 @ w4), c4 @ w4 + _twice(c5 @ w5), c5 @ w5


@right.fpn_merge.mistake("Level 3 gets the map of level 5, past level 4. Each level adds the merged map of the one "
                         "right above it.")
def _(c3, c4, c5, w3, w4, w5):
    return c3 @ w3 + _twice(_twice(c5 @ w5)), c4 @ w4 + _twice(c5 @ w5), c5 @ w5


@right.fpn_merge.mistake("What comes from above is multiplied by the lateral's weight. Multiply the level's own map "
                         "first, then add.")
def _(c3, c4, c5, w3, w4, w5):
    merged4 = (c4 + _twice(c5 @ w5)) @ w4
    return (c3 + _twice(merged4)) @ w3, merged4, c5 @ w5


@right.fpn_merge.mistake("The coarsest map comes first. They are computed in this order, but returned the finest "
                         "first: merged3, merged4, merged5.")
def _(c3, c4, c5, w3, w4, w5):
    return right.fpn_merge.reference(c3, c4, c5, w3, w4, w5)[::-1]


@right.fpn_merge.mistake("Nothing goes down: these are the laterals alone. Add to each the enlarged merged map of the "
                         "level above it.")
def _(c3, c4, c5, w3, w4, w5):
    return c3 @ w3, c4 @ w4, c5 @ w5


bottom_up = right.fpn_merge.mistake(
    "The maps are added from the finest up. The pyramid goes top-down: begin with level 5, enlarge it, and add it to "
    "level 4.")


@bottom_up
def _(c3, c4, c5, w3, w4, w5):
    return _from_below(lambda x: x[::2, ::2], c3 @ w3, c4 @ w4, c5 @ w5)


@bottom_up
def _(c3, c4, c5, w3, w4, w5):
    return _from_below(lambda x: _blocks(x).max(axis=(1, 3)), c3 @ w3, c4 @ w4, c5 @ w5)


@bottom_up
def _(c3, c4, c5, w3, w4, w5):
    return _from_below(lambda x: _blocks(x).mean(axis=(1, 3)), c3 @ w3, c4 @ w4, c5 @ w5)


def _blocks(x):
    return x.reshape(len(x) // 2, 2, x.shape[1] // 2, 2, -1)


def _from_below(smaller, lateral3, lateral4, lateral5):
    merged4 = lateral4 + smaller(lateral3)
    return lateral3, merged4, lateral5 + smaller(merged4)


@right.fpn_merge.mistake("A lateral and what comes from above are averaged. They are added.")
def _(c3, c4, c5, w3, w4, w5):
    merged4 = (c4 @ w4 + _twice(c5 @ w5)) / 2
    return (c3 @ w3 + _twice(merged4)) / 2, merged4, c5 @ w5


@right.fpn_merge.mistake("Enlarged maps are interpolated. Each cell is copied to 2x2 cells, as it is.")
def _(c3, c4, c5, w3, w4, w5):
    def larger(x):
        return ops.resize_bilinear(x, (2 * len(x), 2 * x.shape[1]))
    merged4 = c4 @ w4 + larger(c5 @ w5)
    return c3 @ w3 + larger(merged4), merged4, c5 @ w5


# ---- upsampling backward ----


@right.upsample_backward.mistake("The gradients of a pixel's copies are averaged. Each copy changes the loss on its "
                                 "own, so they add up.")
def _(dy, size):
    return right.upsample_backward.reference(dy, size) / right.upsample_backward.reference(np.ones_like(dy), size)


@right.upsample_backward.mistake("Each pixel gets the gradient of its first copy alone. All copies depend on it: add "
                                 "up what comes back from them.")
def _(dy, size):
    return dy[:, ::2, ::2]


@right.upsample_backward.mistake("Each pixel gets the gradient of its last copy alone. `=`, or `+=` with repeated "
                                 "indices, overwrites the others: add them up.")
def _(dy, size):
    dx = np.zeros((len(dy), *size, dy.shape[3]))
    for i, j in np.ndindex(dy.shape[1:3]):
        dx[:, i * size[0] // dy.shape[1], j * size[1] // dy.shape[2]] = dy[:, i, j]
    return dx


@right.upsample_backward.mistake("Output pixel i is taken for a copy of input pixel i % H. The copies of a pixel are "
                                 "side by side: i * H // height.")
def _(dy, size):
    dx = np.zeros((len(dy), *size, dy.shape[3]))
    for i, j in np.ndindex(dy.shape[1:3]):
        dx[:, i % size[0], j % size[1]] += dy[:, i, j]
    return dx
