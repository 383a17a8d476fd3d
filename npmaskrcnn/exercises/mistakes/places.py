"""Common wrong answers about places: a pixel's two addresses, the way back to the given image, receptive fields."""

import math

import numpy as np

from .. import places as right

# ---- a pixel's two addresses ----


@right.marked_pixel.mistake("x comes from the row and y from the column. x runs to the right, so it belongs to the "
                            "column; y belongs to the row.")
def _(marked):
    row, column, x, y = right.marked_pixel.reference(marked)
    return row, column, y, x


@right.marked_pixel.mistake("x and y are those of the pixel's upper left corner. Its center is half a pixel further, "
                            "to the right and down.")
def _(marked):
    row, column, _, _ = right.marked_pixel.reference(marked)
    return row, column, column, row


@right.marked_pixel.mistake("Row and column have changed places. The row comes first, in `marked[row, column]` and in "
                            "what `np.nonzero` gives.")
def _(marked):
    row, column, x, y = right.marked_pixel.reference(marked)
    return column, row, y, x


@right.marked_pixel.mistake("y is measured from the lower edge. In an image it begins at the upper edge and grows "
                            "downward, as the rows do.")
def _(marked):
    row, column, x, y = right.marked_pixel.reference(marked)
    return row, column, x, len(marked) - y


@right.marked_pixel.mistake("Rows and columns are counted from 1. They begin at 0, and the first pixel reaches from "
                            "0 to 1.")
def _(marked):
    return tuple(number + 1 for number in right.marked_pixel.reference(marked))


# ---- from the network's input back to the given image ----


@right.to_image_frame.mistake("The ratios are given / padded. Only the resized part of the canvas shows the image: "
                              "compare the given size with that.")
def _(boxes, padded, resized, given):
    return right.to_image_frame.reference(boxes, padded, padded, given)


@right.to_image_frame.mistake("The ratios are upside down. They take boxes of the given image to the network's input; "
                              "you want to come back.")
def _(boxes, padded, resized, given):
    return right.to_image_frame.reference(boxes, padded, given, resized)


@right.to_image_frame.mistake("x is multiplied by the ratio of the heights, y by that of the widths. A size is "
                              "(height, width), a box begins with x.")
def _(boxes, padded, resized, given):
    return right.to_image_frame.reference(boxes, padded, resized[::-1], given[::-1])


one_ratio = right.to_image_frame.mistake(
    "One ratio serves both axes. Sizes are whole pixels, so the two differ a little: take that of the widths for "
    "x, that of the heights for y.")


@one_ratio
def _(boxes, padded, resized, given):
    return boxes * (given[0] / resized[0])


@one_ratio
def _(boxes, padded, resized, given):
    return boxes * (given[1] / resized[1])


@right.to_image_frame.mistake("Half of the padding is subtracted first. The image is not in the middle: all padding "
                              "is on its right and below.")
def _(boxes, padded, resized, given):
    up, left = np.subtract(padded, resized) / 2
    return right.to_image_frame.reference(boxes - [left, up, left, up], padded, resized, given)


# ---- the receptive field ----


@right.receptive_field.mistake("The kernels are multiplied. Neighboring windows overlap, so a layer does not multiply "
                               "the width; it adds to it at both ends.")
def _(layers):
    return math.prod(kernel for kernel, _ in layers)


@right.receptive_field.mistake("The strides play no part. After a stride of 2, neighboring cells are 2 pixels apart, "
                               "and later kernels reach twice as far.")
def _(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


whole_kernels = right.receptive_field.mistake(
    "The kernels are added up whole. One of a kernel's cells is seen already: a layer adds kernel - 1 of its "
    "input's cells.")


@whole_kernels
def _(layers):
    return right.receptive_field.reference([(kernel + 1, stride) for kernel, stride in layers])


@whole_kernels
def _(layers):
    return sum(kernel for kernel, _ in layers)


@right.receptive_field.mistake("A layer's stride counts for its own kernel already. It is between this layer's "
                               "outputs, so only the layers after it reach further.")
def _(layers):
    return 1 + sum((kernel - 1) * math.prod(stride for _, stride in layers[:i + 1])
                   for i, (kernel, _) in enumerate(layers))


@right.receptive_field.mistake("The layers are walked through from the wrong end. To go from outputs to what they "
                               "have read, begin with the last layer.")
def _(layers):
    return right.receptive_field.reference(layers[::-1])
