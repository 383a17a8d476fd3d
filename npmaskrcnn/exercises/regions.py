"""Exercises about regions: which level, RoIAlign forward and backward, pasting a mask."""

import numpy as np

from .. import ops
from ..stages.paste import paste_masks
from ..stages.roi_pooler import assign_levels
from .exercise import case, exercise
from .inputs import floats

# ---- levels ----


@exercise("level")
def assign_level(box, canonical_scale):
    """One box (x1, y1, x2, y2) in image pixels -> 2, 3, 4 or 5, an int.

    Which pyramid level should a box be pooled from? `floor(4 + log2(sqrt(w * h) / canonical_scale))`, but at least 2
    and at most 5: a box of the canonical size goes to P4, one of half that size to P3.

    Hints
    -----
    - `np.floor` gives a float: make it an `int`.
    - `min(max(level, 2), 5)`.
    """
    return int(assign_levels(box[None], canonical_scale)[0]) + 2


@assign_level.tried_on
def _():
    yield case("a box of the canonical size", "log2(1) is 0: level 4",
               box=floats(10, 10, 234, 234), canonical_scale=224)
    yield case("half as wide and high", "one level finer: 3", box=floats(0, 0, 112, 112), canonical_scale=224)
    yield case("just below the canonical size", "rounded down, not to the nearest",
               box=floats(0, 0, 223, 223), canonical_scale=224)
    yield case("long and thin", "what counts is the square root of the area, here 158",
               box=floats(0, 50, 448, 106), canonical_scale=224)
    yield case("tiny", "there is nothing finer than P2", box=floats(5, 5, 8, 7), canonical_scale=224)
    yield case("huge", "P6 is the RPN's alone: at most P5", box=floats(0, 0, 4000, 3000), canonical_scale=224)
    yield case("twice the canonical size of the tiny model, which is 56", "log2(2) is 1: level 5",
               box=floats(3, 4, 115, 120), canonical_scale=56)


# ---- RoIAlign, one channel and one region ----


def _align(feature, box, size):
    roi = np.concatenate([[0.0], box])[None]
    return ops.roi_align_forward(feature[None, :, :, None], roi, size, 1.0, 2)     # 2x2 samples in a bin


@exercise("y")
def roi_align_forward(feature, box, size):
    """feature (H, W), box (x1, y1, x2, y2) in cells, size (P, Q) -> y (P, Q).

    RoIAlign for one channel and one region. Cut the box into `size = (P, Q)` bins of equal size. In each bin put 2x2
    sample points at a quarter and three quarters of its height and width. Read the map at each point by bilinear
    interpolation, where the value of cell `(i, j)` sits at the point `y = i, x = j`, and average the four. The box is
    in cells of the map; one that is narrower or lower than a cell counts as one cell wide or high, from `x1` or `y1`
    on.

    Hints
    -----
    - With `height = max(y2 - y1, 1)`, point number k of the 2 * P along y is at `y1 + (k + 0.5) * height / (2 * P)`.
    - Between cells: `top = int(y)`, `fy = y - top`; the row above has weight `1 - fy`, the one below `fy`.
    - Clamp first: `y = min(max(y, 0), H - 1)`, and `bottom = min(top + 1, H - 1)`.
    """
    return _align(feature, box, size)[0][0, :, :, 0]


@roi_align_forward.tried_on
def _():
    rng = np.random.default_rng(0)
    ramp = np.tile(np.arange(6.0), (4, 1))
    yield case("a ramp f(x) = x, one bin: the answer is the middle of the box",
               "the sample points of a bin from 1 to 3 are at 1.5 and 2.5, and the answer is the mean of the four",
               feature=ramp, box=floats(1, 0, 3, 2), size=(1, 1))
    yield case("f(x) = x * x, which is steeper to the right, 1x2 bins",
               "size is (rows, columns); a bin is 4 / 2 = 2 cells wide. The first has its points at x = 1.5 and 2.5, "
               "where the map is 2.5, halfway from 1 to 4, and 6.5, halfway from 4 to 9",
               feature=ramp ** 2, box=floats(1, 0, 5, 3), size=(1, 2))
    yield case("a ramp downwards, 2x1 bins",
               "y is the row; the box reaches from 0.5 to 2.5, and no part of it is rounded",
               feature=np.tile(np.arange(0.0, 40.0, 10.0)[:, None], (1, 6)), box=floats(0, 0.5, 4.4, 2.5), size=(2, 1))
    yield case("a single cell that is 1 among zeros",
               "a point between four cells takes each of them times the area of the rectangle opposite",
               feature=np.eye(1, 12, 6).reshape(3, 4), box=floats(0.5, 0.2, 2.9, 1.8), size=(2, 2))
    yield case("a box that ends at the map's right and lower edge",
               "points beyond the last row or column of cells are moved onto it: min(y, H - 1), min(x, W - 1)",
               feature=rng.integers(0, 9, (4, 5)).astype(float), box=floats(2.5, 1.5, 5, 4), size=(2, 2))
    yield case("a box 0.4 cells wide and 0.6 high",
               "a box narrower or lower than one cell counts as one cell wide or high, from x1 and y1 on: "
               "max(x2 - x1, 1)",
               feature=ramp + 10 * np.arange(4.0)[:, None], box=floats(2, 1, 2.4, 1.6), size=(1, 2))
    yield case("a 9x12 map, a box with fractions, 3x4 bins",
               feature=rng.standard_normal((9, 12)), box=floats(1.3, 2.1, 10.6, 7.7), size=(3, 4))


@exercise("dfeature")
def roi_align_backward(dy, shape, box):
    """dy (P, Q), shape (H, W) of the map, box in cells -> dfeature (H, W).

    The backward pass of `roi_align_forward`. `dy` `(P, Q)` is the gradient of each bin; return the gradient of each
    cell of the map, of the given `shape = (H, W)`. To reach: the sums agree, `dfeature.sum() == dy.sum()`, to 1e-12.

    Hints
    -----
    - The same loops as forward. Where forward read `weight * feature[i, j]`, backward writes
      `dfeature[i, j] += weight * dy[p, q] / 4`.
    - `+=` with single numbers as indices adds; with arrays of indices use `np.add.at`.
    """
    _, cache = _align(np.zeros(shape), box, dy.shape)
    return ops.roi_align_backward(dy[None, :, :, None], cache)[0, :, :, 0]


@roi_align_backward.tried_on
def _():
    rng = np.random.default_rng(1)
    yield case("one bin whose four points lie on cells",
               "each of the four points takes a quarter of dy and adds it to the cell that it has read; `=` in place "
               "of `+=` wipes out what another point has left there, even if its own weight is 0",
               dy=floats([4]), shape=(3, 4), box=floats(0.5, 0.5, 2.5, 2.5))
    yield case("one bin whose points lie between cells",
               "a cell gets the gradient times the weight with which it was read; cells read twice add up",
               dy=floats([16]), shape=(4, 4), box=floats(0, 0, 2, 2))
    yield case("two bins side by side", "the middle cells were read by both bins",
               dy=floats([1, 10]), shape=(3, 5), box=floats(0, 0, 3, 1.5))
    yield case("a box at the map's lower right corner",
               "what was moved onto the last row or column is handed back there: nothing gets lost, "
               "sum(dfeature) = sum(dy)",
               dy=floats([1, 2], [3, 4]), shape=(4, 5), box=floats(2.5, 1.5, 5, 4))
    yield case("a box 0.4 cells wide", "as in forward, a box narrower than one cell counts as one cell wide",
               dy=floats([8], [16]), shape=(4, 5), box=floats(2, 1, 2.4, 3))
    yield case("a 9x12 map, a box with fractions, 3x4 bins",
               dy=rng.standard_normal((3, 4)), shape=(9, 12), box=floats(1.3, 2.1, 10.6, 7.7))


# ---- pasting ----


@exercise("pasted")
def paste_mask(mask, box, image_size):
    """mask (M, M), box (x1, y1, x2, y2), image_size (H, W) -> pasted (H, W).

    Put an `(M, M)` mask of probabilities into an image, as torchvision does: (1) put a border of one zero around the
    mask; (2) let the box grow about its center by the same proportion, `(M + 2) / M`; (3) cut its coordinates to whole
    numbers toward zero; (4) stretch the padded mask to `x2 - x1 + 1` by `y2 - y1 + 1` pixels, bilinearly; (5) copy it
    to its place in an image of zeros, leaving off what falls outside. `ops.resize_bilinear` (for `(H, W, 1)` images)
    does step 4.

    Hints
    -----
    - The center is `(x1 + x2) / 2`, half the new width `(x2 - x1) / 2 * (M + 2) / M`.
    - `left, right = max(x1, 0), min(x2 + 1, W)` in the image is `left - x1` to `right - x1` in the stretched mask.
    """
    return paste_masks(mask[None], box[None], image_size)[0]


@paste_mask.tried_on
def _():
    rng = np.random.default_rng(2)
    yield case("a 2x2 mask of ones, its box 4x4 pixels in the middle of the image",
               "the box grows to (M + 2) / M = 2 times its size: from 4 to 12; both ends count, so it is 9 pixels wide",
               mask=np.ones((2, 2)), box=floats(6, 6, 10, 10), image_size=(16, 18))
    yield case("a box that is wider than high", "image_size is (height, width); the box is x1, y1, x2, y2",
               mask=np.ones((2, 2)), box=floats(6, 5, 14, 9), image_size=(14, 24))
    yield case("a mask with a gradient", "bilinear: output pixel i reads at (i + 0.5) * in / out - 0.5, not below 0",
               mask=floats([0, 1], [0, 1]), box=floats(5, 4, 11, 8), image_size=(12, 16))
    yield case("coordinates with fractions", "the grown box is cut to whole numbers toward zero (int), not rounded",
               mask=np.ones((2, 2)), box=floats(4.3, 3.6, 9.9, 7.4), image_size=(12, 14))
    yield case("a box that leaves the image",
               "first stretch, then cut off what falls outside; a negative index would count from the end, and int "
               "cuts -5.25 to -5",
               mask=rng.random((4, 4)), box=floats(-3, 5, 6, 14), image_size=(10, 12))
    yield case("a 28x28 mask in a 40x60 image",
               mask=rng.random((28, 28)), box=floats(10.4, 3.9, 47.2, 33.1), image_size=(40, 60))
