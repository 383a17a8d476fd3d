"""Exercises about places: a pixel's two addresses, the way back to the given image, how far a layer sees."""

import numpy as np

from npmaskrcnn.exercises.exercise import Case, Exercise

# ---- one pixel, two languages ----


def _marked(height, width, row, column):
    marked = np.zeros((height, width), bool)
    marked[row, column] = True
    return marked


def _marked_pixel_reference(marked):
    row, column = (int(i) for i in np.argwhere(marked)[0])
    return row, column, column + 0.5, row + 0.5


def _marked_pixel_cases():
    return [
        Case("an image of 2 rows and 5 columns, its lower left pixel", dict(marked=_marked(2, 5, 1, 0)),
             "it is in row 1 and column 0, the square from x = 0 to 1 and from y = 1 to 2; its centre is (0.5, 1.5)"),
        Case("an image wider than high", dict(marked=_marked(3, 6, 1, 4)), "x counts columns, y counts rows"),
        Case("an image higher than wide", dict(marked=_marked(5, 2, 4, 1)), "the row comes first, but x comes before y"),
        Case("the pixel of this lesson, in a 96x144 image", dict(marked=_marked(96, 144, 60, 105))),
    ]


MARKED_PIXEL = Exercise(
    name="marked_pixel",
    statement="""One pixel of an image is marked. Say where it is in both languages: its row and column, as whole numbers,
and the coordinates x and y of its centre.""",
    stub='''
def marked_pixel(marked):
    """(H, W) bool, True at one pixel -> row, column, x, y (of its centre)."""
    ...  # return row, column, x, y
''',
    outputs=("row", "column", "x", "y"), reference=_marked_pixel_reference, cases=_marked_pixel_cases,
    hints=("Which of the four numbers are equal but for a half?", "`np.nonzero(marked)` gives the rows and the columns."))


# ---- from the network's input back to the given image ----


def _to_image_reference(boxes, padded, resized, given):
    (height, width), (given_height, given_width) = resized, given      # in float64; the package's ratios are float32
    return boxes * np.array([given_width / width, given_height / height] * 2)


def _to_image_cases():
    def case(about, boxes, padded, resized, given, hint=""):
        boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        return Case(about, dict(boxes=boxes, padded=padded, resized=resized, given=given), hint)

    return [
        case("the image was halved; nothing was padded", [[8, 4, 20, 16]], (32, 64), (32, 64), (64, 128),
             "everything in the given image is twice as large"),
        case("halved, and padded below", [[8, 4, 20, 16]], (32, 64), (24, 64), (48, 128),
             "the image stays in the upper left corner of the canvas: the padded size plays no part"),
        case("one ratio for each axis", [[0, 0, 128, 76]], (96, 128), (76, 128), (90, 150),
             "this box is the whole image; x is multiplied by 150/128, y by 90/76"),
        case("an image higher than wide, two boxes", [[10, 20, 30, 50], [0.5, 100, 85, 128]], (128, 96), (128, 85), (200, 133),
             "sizes are (height, width), boxes are (x1, y1, x2, y2)"),
        case("no box at all", [], (96, 128), (76, 128), (90, 150), "an empty input gives (0, 4)"),
    ]


TO_IMAGE_FRAME = Exercise(
    name="to_image_frame",
    statement="""The network has found boxes in its own input; somebody wants them in pixels of the image that was given. Three sizes
`(height, width)` are known: of the padded canvas, of the resized image in its upper left corner, and of the given image.""",
    stub='''
def to_image_frame(boxes, padded, resized, given):
    """boxes (N, (x1, y1, x2, y2)) and three sizes (height, width) -> boxes (N, 4) in the given image."""
    ...
''',
    outputs=("boxes",), reference=_to_image_reference, cases=_to_image_cases,
    hints=("Follow one point: which two of the three sizes decide where it comes from?",
           "One ratio for x, from the widths, and one for y, from the heights; `boxes * [rx, ry, rx, ry]`."))


# ---- the receptive field ----


def _receptive_field_reference(layers):
    width, cell = 1, 1      # of the field, and of one input cell of the next layer, in pixels
    for kernel, stride in layers:
        width += (kernel - 1) * cell
        cell *= stride
    return width


def _receptive_field_cases():
    stage = ((3, 2), (3, 1), (3, 1), (3, 1))
    return [
        Case("one 3x3 convolution", dict(layers=((3, 1),)), "one output sees one window: 3 pixels"),
        Case("two 3x3 convolutions", dict(layers=((3, 1), (3, 1))),
             "the second sees 3 cells side by side; the outer two of them each see one pixel more: 5"),
        Case("no layer at all", dict(layers=()), "a pixel sees itself: 1"),
        Case("stride 2, then 3x3", dict(layers=((3, 2), (3, 1))),
             "neighbouring cells are 2 pixels apart after the first layer, so the second reaches 2 pixels further to either side: 7"),
        Case("3x3, then stride 2", dict(layers=((3, 1), (3, 2))), "the last layer's own stride says where the next output looks: still 5"),
        Case("a 1x1 convolution with stride 2 between two 3x3", dict(layers=((3, 1), (1, 2), (3, 1))),
             "1x1 adds nothing itself, but its stride counts for what follows"),
        Case("down to C3 of the tiny model", dict(layers=((3, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)))),
        Case("two stages of four blocks behind a 7x7 stem", dict(layers=((7, 2), (3, 2), *stage, *stage))),
    ]


RECEPTIVE_FIELD = Exercise(
    name="receptive_field",
    statement="""How many pixels wide is the part of the image that one number of the last map depends on? `layers` has `(kernel, stride)` of each layer, the
first one first; padding does not matter for the width.""",
    stub='''
def receptive_field(layers):
    """layers ((kernel, stride), ...), the first one first -> the width of the field in pixels."""
    ...
''',
    outputs=("width",), reference=_receptive_field_reference, cases=_receptive_field_cases,
    hints=("Begin at the last map with one cell, and go back layer by layer: how many input cells do `n` output cells read?",
           "`n` windows with stride s overlap: the first reads `kernel` cells, each further one adds s: `(n - 1) * stride + kernel`."))

EXERCISES = (MARKED_PIXEL, TO_IMAGE_FRAME, RECEPTIVE_FIELD)
