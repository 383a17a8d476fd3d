"""Exercises about places: a pixel's two addresses, the way back to the given image, how far a layer sees."""

import numpy as np

from .exercise import case, exercise
from .inputs import floats

# ---- one pixel, two languages ----


def _marked(height, width, row, column):
    marked = np.zeros((height, width), bool)
    marked[row, column] = True
    return marked


@exercise("row", "column", "x", "y")
def marked_pixel(marked):
    """(H, W) bool, True at one pixel -> row, column, x, y (of its center).

    One pixel of an image is marked. Say where it is in both languages: its row and column, as whole numbers, and the
    coordinates x and y of its center.

    Hints
    -----
    - Which of the four numbers are equal but for a half?
    - `np.nonzero(marked)` gives the rows and the columns.
    """
    row, column = (int(i) for i in np.argwhere(marked)[0])
    return row, column, column + 0.5, row + 0.5


@marked_pixel.tried_on
def _():
    yield case("an image of 2 rows and 5 columns, its lower left pixel",
               "it is in row 1 and column 0, the square from x = 0 to 1 and from y = 1 to 2; its center is (0.5, 1.5)",
               marked=_marked(2, 5, 1, 0))
    yield case("an image wider than high", "x counts columns, y counts rows", marked=_marked(3, 6, 1, 4))
    yield case("an image higher than wide", "the row comes first, but x comes before y", marked=_marked(5, 2, 4, 1))
    yield case("the pixel of this lesson, in a 96x144 image", marked=_marked(96, 144, 60, 105))


# ---- from the network's input back to the given image ----


@exercise("boxes")
def to_image_frame(boxes, padded, resized, given):
    """boxes (N, (x1, y1, x2, y2)) and three sizes (height, width) -> boxes (N, 4) in the given image.

    The network has found boxes in its own input; somebody wants them in pixels of the image that was given. Three sizes
    `(height, width)` are known: of the padded canvas, of the resized image in its upper left corner, and of the given
    image.

    Hints
    -----
    - Follow one point: which two of the three sizes decide where it comes from?
    - One ratio for x, from the widths, and one for y, from the heights; `boxes * [rx, ry, rx, ry]`.
    """
    del padded      # the image lies in the canvas's upper left corner, so its size plays no part
    (height, width), (given_height, given_width) = resized, given      # in float64; the package's ratios are float32
    return boxes * np.array([given_width / width, given_height / height] * 2)


@to_image_frame.tried_on
def _():
    yield case("the image was halved; nothing was padded", "everything in the given image is twice as large",
               boxes=floats([8, 4, 20, 16]), padded=(32, 64), resized=(32, 64), given=(64, 128))
    yield case("halved, and padded below",
               "the image stays in the upper left corner of the canvas: the padded size plays no part",
               boxes=floats([8, 4, 20, 16]), padded=(32, 64), resized=(24, 64), given=(48, 128))
    yield case("one ratio for each axis", "this box is the whole image; x is multiplied by 150/128, y by 90/76",
               boxes=floats([0, 0, 128, 76]), padded=(96, 128), resized=(76, 128), given=(90, 150))
    yield case("an image higher than wide, two boxes", "sizes are (height, width), boxes are (x1, y1, x2, y2)",
               boxes=floats([10, 20, 30, 50], [0.5, 100, 85, 128]), padded=(128, 96), resized=(128, 85),
               given=(200, 133))
    yield case("no box at all", "an empty input gives (0, 4)",
               boxes=np.zeros((0, 4)), padded=(96, 128), resized=(76, 128), given=(90, 150))


# ---- the receptive field ----


@exercise("width")
def receptive_field(layers):
    """layers ((kernel, stride), ...), the first one first -> the width of the field in pixels.

    How many pixels wide is the part of the image that one number of the last map depends on? `layers` has
    `(kernel, stride)` of each layer, the first one first; padding does not matter for the width.

    Hints
    -----
    - Begin at the last map with one cell, and go back layer by layer: how many input cells do `n` output cells read?
    - `n` windows with stride s overlap: the first reads `kernel` cells, each further one adds s:
      `(n - 1) * stride + kernel`.
    """
    width, cell = 1, 1      # of the field, and of one input cell of the next layer, in pixels
    for kernel, stride in layers:
        width += (kernel - 1) * cell
        cell *= stride
    return width


@receptive_field.tried_on
def _():
    stage = ((3, 2), (3, 1), (3, 1), (3, 1))
    yield case("one 3x3 convolution", "one output sees one window: 3 pixels", layers=((3, 1),))
    yield case("two 3x3 convolutions",
               "the second sees 3 cells side by side; the outer two of them each see one pixel more: 5",
               layers=((3, 1), (3, 1)))
    yield case("no layer at all", "a pixel sees itself: 1", layers=())
    yield case("stride 2, then 3x3",
               "neighboring cells are 2 pixels apart after the first layer, so the second reaches 2 pixels further "
               "to either side: 7",
               layers=((3, 2), (3, 1)))
    yield case("3x3, then stride 2", "the last layer's own stride says where the next output looks: still 5",
               layers=((3, 1), (3, 2)))
    yield case("a 1x1 convolution with stride 2 between two 3x3",
               "1x1 adds nothing itself, but its stride counts for what follows",
               layers=((3, 1), (1, 2), (3, 1)))
    yield case("down to C3 of the tiny model", layers=((3, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)))
    yield case("two stages of four blocks behind a 7x7 stem", layers=((7, 2), (3, 2), *stage, *stage))
