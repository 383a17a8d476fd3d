"""Exercises about boxes: from masks, overlap, deltas, anchors, matching, suppression, detections."""

import math

import numpy as np

from .. import ops
from ..stages import matching
from ..stages.anchors import cell_anchors
from .exercise import case, exercise
from .inputs import floats, random_boxes

# ---- an anchor's place in the long list ----


@exercise("level", "row", "column", "anchor")
def locate_anchor(index, grids, anchors_per_cell):
    """index, ((rows, columns), ...), anchors per cell -> level, row, column, anchor: four ints.

    Where does an anchor live? The anchors of all pyramid levels stand in one long list: level by level, in a level row
    by row, in a row cell by cell, in a cell one after the other. `grids` has the `(rows, columns)` of each level's map.
    Say for the anchor number `index` its level (0 for the first), the row and column of its cell, and which of the
    cell's anchors it is.

    Hints
    -----
    - How many anchors has level 0? Which number has the first anchor of level 1?
    - Go through the levels; as long as `index` is not below the level's number of anchors, take that number away.
    - Then `divmod` twice: by the anchors of a cell, and by the columns of a row.
    """
    sizes = [height * width * anchors_per_cell for height, width in grids]
    level = int(np.searchsorted(np.cumsum(sizes), index, side="right"))
    height, width = grids[level]
    row, column, anchor = np.unravel_index(index - sum(sizes[:level]), (height, width, anchors_per_cell))
    return level, int(row), int(column), int(anchor)


@locate_anchor.tried_on
def _():
    grids = ((2, 3), (1, 2))
    yield case("the very first anchor", "everything counts from 0", index=0, grids=grids, anchors_per_cell=2)
    yield case("the first anchor of the second cell",
               "the anchors of one cell stand together: index 0 and 1 are cell 0, index 2 is the next column",
               index=2, grids=grids, anchors_per_cell=2)
    yield case("the first cell of the second row", "a row has 3 cells of 2 anchors each",
               index=6, grids=grids, anchors_per_cell=2)
    yield case("the first anchor of the second level",
               "level 0 has 2 * 3 * 2 = 12 anchors, so number 12 is the next level's first",
               index=12, grids=grids, anchors_per_cell=2)
    yield case("the last anchor of all", "level 1 has one row of two cells", index=15, grids=grids, anchors_per_cell=2)
    yield case("anchor 3001 of a 96x128 image's pyramid",
               index=3001, grids=((24, 32), (12, 16), (6, 8), (3, 4), (2, 2)), anchors_per_cell=3)


# ---- a box from a mask, and overlap ----


def _mask(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


@exercise("box")
def box_from_mask(mask):
    """(H, W) bool -> an array of four numbers x1, y1, x2, y2.

    The tightest box around a mask. `mask` is `(H, W)` bool with at least one True; the box is `x1, y1, x2, y2` in
    continuous coordinates, right and bottom edge exclusive: pixel (0, 0) is the square from 0 to 1.

    Hints
    -----
    - `mask.any(axis=0)` says which columns have a pixel.
    - `np.flatnonzero` gives their numbers; the last one plus 1 is the right edge.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


@box_from_mask.tried_on
def _():
    rng = np.random.default_rng(0)
    blob = np.zeros((30, 50), bool)
    blob[8:21, 30:37] = rng.random((13, 7)) < 0.6
    yield case("one pixel, in row 1 and column 2",
               "pixel (row 1, column 2) is the square from x = 2 to 3 and from y = 1 to 2: a box one pixel wide",
               mask=_mask("....", "..#.", "...."))
    yield case("a shape wider than high", "x comes first: x is the column, y is the row",
               mask=_mask(".....", ".###.", ".#..."))
    yield case("a mask that touches all edges",
               "right and bottom edges are exclusive, so they may equal the image's width and height",
               mask=_mask("#..", "..#"))
    yield case("two separate parts are one object", "the box holds all pixels of the object",
               mask=_mask("......", ".#....", "......", "....#."))
    yield case("a speckled blob in a 30x50 image", "the first and the last row and column with a pixel", mask=blob)


@exercise("iou")
def iou(box1, box2):
    """Two boxes (x1, y1, x2, y2) -> intersection over union, a number in 0..1.

    How much do two boxes overlap? Intersection over union: the area that both cover, divided by the area that at least
    one covers. 0 for boxes apart, 1 for the same box.

    Hints
    -----
    - The overlap reaches from the larger x1 to the smaller x2; the same for y.
    - union = area1 + area2 - intersection.
    """
    return ops.box_iou(box1[None], box2[None])[0, 0]


@iou.tried_on
def _():
    yield case("two 2x2 boxes that share one of their cells", "1 cell is shared, 4 + 4 - 1 = 7 cells are covered: 1/7",
               box1=floats(0, 0, 2, 2), box2=floats(1, 1, 3, 3))
    yield case("the same box twice", "the shared part counts once", box1=floats(2, 3, 5, 9), box2=floats(2, 3, 5, 9))
    yield case("a box inside another", "intersection 1, union 12", box1=floats(0, 0, 4, 3), box2=floats(1, 1, 2, 2))
    yield case("boxes apart from each other", "a negative width of the overlap means that there is none",
               box1=floats(0, 0, 1, 1), box2=floats(5, 0, 6, 1))
    yield case("boxes apart along both x and y",
               "two negative sides have a positive product: set each side to at least 0 first",
               box1=floats(0, 0, 1, 1), box2=floats(5, 7, 6, 9))
    yield case("wide against high, with fractions", "widths come from x, heights from y, and there is no + 1",
               box1=floats(0.5, 1.25, 10.5, 3.25), box2=floats(4, 0, 6, 8.5))


# ---- anchors and deltas ----


@exercise("anchors")
def anchors_of_cell(row, column, stride, size, ratios):
    """-> anchors (len(ratios), (x1, y1, x2, y2)) in image pixels.

    The anchors that sit on one cell of a feature map: one for each ratio = height / width, all of area `size * size`,
    centered on the cell's upper left corner, which is at `(column * stride, row * stride)` in the image. Half widths
    and half heights are rounded to whole pixels with `np.round`, as torchvision does.

    Hints
    -----
    - width = size / sqrt(ratio), height = size * sqrt(ratio): their product is size squared.
    - half_w = np.round(width / 2); the box is x - half_w to x + half_w.
    """
    shift = floats(column, row, column, row) * stride
    return cell_anchors([size], ratios, np.float64) + shift


@anchors_of_cell.tried_on
def _():
    yield case("the first cell, ratio 1", "the anchor's center is the cell's upper left corner, (0, 0)",
               row=0, column=0, stride=4, size=8, ratios=(1.0,))
    yield case("a cell further down", "the row moves y, the column moves x, each by the stride",
               row=2, column=1, stride=4, size=8, ratios=(1.0,))
    yield case("three ratios of size 32",
               "ratio = height / width, and the area stays 32 * 32: ratio 0.5 is wide and low; half its width, 22.6, "
               "is rounded to 23",
               row=0, column=0, stride=8, size=32, ratios=(0.5, 1.0, 2.0))
    yield case("size 12, where halves must be rounded",
               "it is the half sides that are rounded: half of 12 * sqrt(2) is 8.49, and becomes 8",
               row=1, column=3, stride=4, size=12, ratios=(0.5, 1.0, 2.0))


@exercise("deltas")
def encode_boxes(boxes, anchors):
    """boxes and anchors (N, (x1, y1, x2, y2)), row by row -> deltas (N, (tx, ty, tw, th)).

    Say how an anchor must change to become a box, in the four numbers that the network predicts: `tx = (x - xa) / wa`
    and `ty = (y - ya) / ha` between centers, `tw = log(w / wa)` and `th = log(h / ha)`.

    Hints
    -----
    - First centers, widths and heights of both: `w = boxes[:, 2] - boxes[:, 0]`, `x = boxes[:, 0] + w / 2`.
    - `np.stack([tx, ty, tw, th], axis=1)`.
    """
    return ops.encode_boxes(boxes, anchors)


@encode_boxes.tried_on
def _():
    rng = np.random.default_rng(1)
    yield case("the anchor itself", "nothing to correct: four zeros",
               boxes=floats([0, 0, 10, 20]), anchors=floats([0, 0, 10, 20]))
    yield case("moved right by half the anchor's width",
               "tx and ty are between centers: the anchor's is at (5, 10), the box's at (10, 10); in units of the "
               "anchor's size",
               boxes=floats([5, 0, 15, 20]), anchors=floats([0, 0, 10, 20]))
    yield case("twice as high about the same center",
               "th is the natural logarithm of the ratio of the heights; the order is tx, ty, tw, th",
               boxes=floats([0, -10, 10, 30]), anchors=floats([0, 0, 10, 20]))
    yield case("five random pairs",
               "row i of the boxes belongs to row i of the anchors; it is the anchor's size that one divides by",
               boxes=random_boxes(rng, 5), anchors=random_boxes(rng, 5))
    yield case("no box at all", "an empty input gives (0, 4)", boxes=np.zeros((0, 4)), anchors=np.zeros((0, 4)))


@exercise("boxes")
def decode_boxes(deltas, anchors):
    """deltas (N, (tx, ty, tw, th)) and anchors (N, 4) -> boxes (N, (x1, y1, x2, y2)).

    The inverse of `encode_boxes`: apply deltas to anchors. Widths and heights are multiplied by `exp(tw)` and
    `exp(th)`, where tw and th are first cut off above at `log(1000 / 16)`.

    Hints
    -----
    - x = tx * wa + xa; w = wa * exp(min(tw, log(1000 / 16))).
    - x1 = x - w / 2, x2 = x + w / 2.
    """
    return ops.decode_boxes(deltas, anchors)


@decode_boxes.tried_on
def _():
    rng = np.random.default_rng(2)
    anchor = floats([0, 0, 10, 20])
    yield case("deltas of zero: the anchor stays",
               "exp(0) is 1, so size and center are the anchor's; half the size lies to either side of the center",
               deltas=floats([0, 0, 0, 0]), anchors=anchor)
    yield case("half a width to the right", "tx moves the center along x, by tx times the anchor's width",
               deltas=floats([0.5, 0, 0, 0]), anchors=anchor)
    yield case("twice as high", "th = log(2) doubles the height, about the center, up and down alike",
               deltas=floats([0, 0, 0, math.log(2)]), anchors=anchor)
    yield case("four random ones",
               "tx and ty are in units of the anchor's width and height, not of the new ones; x1 = x - w / 2",
               deltas=rng.standard_normal((4, 4)) * 0.5, anchors=random_boxes(rng, 4))
    yield case("an untrained network that says tw = 100",
               "exp(100) is out of the question: tw and th are cut off at log(1000 / 16) before exp",
               deltas=floats([0, 0, 100, 0]), anchors=anchor)
    yield case("a box far away, and very narrow: tx = 9, tw = -9",
               "only tw and th are cut off, and only above: exp(-9) is a size like others, and tx may be anything",
               deltas=floats([9, 0, -9, 0]), anchors=anchor)
    yield case("no box at all", "an empty input gives (0, 4)", deltas=np.zeros((0, 4)), anchors=np.zeros((0, 4)))


# ---- matching and suppression ----


@exercise("matches")
def match(iou, high, low):
    """iou (objects, anchors) -> matches (anchors,) of int: an object's row, -1 or -2.

    Give every anchor the object that it must find. `iou` is `(objects, anchors)`. An anchor whose best IoU is at least
    `high` gets the row of that object; below `low` it is background, `-1`; in between it is ignored, `-2`. Then
    objects are helped that might go empty: all anchors that reach an object's best IoU are matched however low that
    is, each to the object that it overlaps most itself. With no object, `(0, anchors)`, everything is background.

    Hints
    -----
    - `iou.argmax(axis=0)` is each anchor's best object; with no object there is nothing to take the maximum of.
    - `(iou == iou.max(axis=1, keepdims=True)).any(axis=0)` marks the anchors to rescue.
    """
    return matching.match(iou, high, low, allow_low_quality_matches=True)


@match.tried_on
def _():
    rng = np.random.default_rng(3)
    yield case("one object, three anchors: well above, between and below the thresholds",
               "at least high: the object's row; below low: -1; in between: -2, ignored",
               iou=floats([0.9, 0.5, 0.1]), high=0.7, low=0.3)
    yield case("two objects: each anchor takes the one it overlaps most",
               "anchor 1 overlaps both by at least high; the better one wins, which is object 0",
               iou=floats([0.9, 0.8, 0.0], [0.0, 0.75, 0.9]), high=0.7, low=0.3)
    yield case("an object that no anchor overlaps enough",
               "object 1's best anchor is anchor 1; it is matched although 0.5 is below 0.7: no object goes empty",
               iou=floats([0.9, 0.0, 0.1], [0.0, 0.5, 0.2]), high=0.7, low=0.3)
    yield case("an object whose best IoU is below both thresholds",
               "however low that is: anchor 1 is object 1's best, so it is matched, with 0.2",
               iou=floats([0.9, 0.0, 0.1], [0.0, 0.2, 0.1]), high=0.7, low=0.3)
    yield case("two anchors that are equally good for such an object", "all anchors that reach the object's best count",
               iou=floats([0.4, 0.4, 0.2]), high=0.7, low=0.3)
    yield case("the best anchor of an object belongs to another object",
               "a rescued anchor still goes to the object that the *anchor* overlaps most",
               iou=floats([0.6, 0.1], [0.5, 0.2]), high=0.7, low=0.3)
    yield case("the best anchor of each of two objects",
               "anchor 0 is object 0's best and goes to object 1; object 1 keeps its own best anchor all the same",
               iou=floats([0.2, 0.0], [0.25, 0.5]), high=0.7, low=0.3)
    yield case("exactly on a threshold", "high itself is a match, low itself is already ignored",
               iou=floats([0.7, 0.3, 0.9]), high=0.7, low=0.3)
    yield case("no object in the image", "everything is background: -1", iou=np.zeros((0, 4)), high=0.7, low=0.3)
    yield case("5 objects, 60 anchors", "each anchor takes the object that it overlaps most",
               iou=rng.random((5, 60)) ** 2, high=0.7, low=0.3)


@exercise("keep")
def nms(boxes, scores, iou_threshold):
    """boxes (N, 4), scores (N,) -> keep (K,) of int, best score first.

    Non-maximum suppression: go through the boxes from the best score down, and keep a box unless it overlaps a box that
    was kept already by *more than* `iou_threshold`. Return the indices of the kept boxes, best score first; among equal
    scores the earlier box goes first.

    Hints
    -----
    - `order = np.argsort(-scores, kind='stable')`, then a loop over it and a list of what is kept.
    - You may use your own `iou`, or `npmaskrcnn.reference.box_iou`.
    """
    return ops.nms(boxes, scores, iou_threshold)


@nms.tried_on
def _():
    rng = np.random.default_rng(4)
    pair = floats([0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 9])
    yield case("one box", "it is kept", boxes=floats([0, 0, 4, 4]), scores=floats(0.5), iou_threshold=0.5)
    yield case("two boxes on one object and one elsewhere, not in order of their scores",
               "box 2 goes first and drops box 0; the indices refer to the boxes as they came, best score first",
               boxes=pair, scores=floats(0.6, 0.5, 0.9), iou_threshold=0.5)
    yield case("a chain: A overlaps B, B overlaps C, A does not overlap C",
               "a box that has been dropped does not drop others: C stays",
               boxes=floats([0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]), scores=floats(0.9, 0.8, 0.7),
               iou_threshold=0.3)
    yield case("a box that overlaps the first one kept, not the last",
               "compare with every box that was kept so far",
               boxes=floats([0, 0, 10, 10], [50, 0, 60, 10], [0, 0, 10, 9]), scores=floats(0.9, 0.8, 0.7),
               iou_threshold=0.5)
    yield case("an overlap that equals the threshold",
               "the IoU is 1/2: 1 shared, 2 + 1 - 1 covered. Dropped is only what overlaps by more than the threshold",
               boxes=floats([0, 0, 2, 1], [0, 0, 1, 1]), scores=floats(0.9, 0.8), iou_threshold=0.5)
    yield case("equal scores",
               "among equals the earlier one goes first: a stable sort, np.argsort(-scores, kind='stable')",
               boxes=floats([0, 0, 9, 9], [0, 0, 9, 8], [30, 0, 39, 9]), scores=floats(0.5, 0.5, 0.5),
               iou_threshold=0.5)
    yield case("no box", "an empty array of integers: np.array(keep, dtype=int)",
               boxes=np.zeros((0, 4)), scores=np.zeros(0), iou_threshold=0.5)
    yield case("120 random boxes", boxes=random_boxes(rng, 120), scores=rng.random(120), iou_threshold=0.3)


# ---- from scores to detections ----


@exercise("boxes", "labels", "scores")
def detections(scores, deltas, proposals, score_threshold, iou_threshold):
    """scores (R, K), deltas (R, K, 4), proposals (R, 4) -> boxes (D, 4), labels (D,), scores (D,).

    From the box head's answers to detections. `scores` are those after softmax, column 0 is background; `deltas` has
    four numbers for each region and class, which are divided by (10, 10, 5, 5) and then decoded. (1) Every pair of a
    region and a class other than background with a score above `score_threshold` is a candidate. (2) Its box is the
    proposal, moved and stretched by the numbers of that class. (3) Among candidates of one class, non-maximum
    suppression at `iou_threshold`. Return what is left, best score first. (No clipping here, and no limit of 100.) You
    may use your own `decode_boxes` and `nms`, or the package's.

    Hints
    -----
    - `rows, labels = np.nonzero(scores[:, 1:] > score_threshold)`, and add 1 to the labels.
    - `ops.decode_boxes(deltas[rows, labels], proposals[rows], (10, 10, 5, 5))` gives the candidates' boxes.
    - One `nms` for each label in turn; collect the candidates it keeps, and sort them by score at the end.
    - Or one `nms` for all: add `1000 * label` to all four coordinates of a box, and other classes are too far away to
      overlap.
    """
    rows, labels = np.nonzero(scores[:, 1:] > score_threshold)
    labels = labels + 1
    boxes = ops.decode_boxes(deltas[rows, labels], proposals[rows], (10, 10, 5, 5))
    keep = ops.batched_nms(boxes, scores[rows, labels], labels, iou_threshold)
    return boxes[keep], labels[keep], scores[rows, labels][keep]


@detections.tried_on
def _():
    rng = np.random.default_rng(5)
    moved = floats([[0, 0, 0, 0], [5, 0, 0, 0], [0, 0, 0, 5 * math.log(2)]])
    met = floats([[0, 0, 0, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [-20, 0, 0, 0]])
    heap = floats([0, 0, 10, 10], [0, 0, 10, 9], [40, 0, 50, 10])
    yield case("one region that is surely of class 1 and fits already",
               "the label is the column: 1; deltas of zero leave the proposal as it is",
               scores=floats([0.1, 0.7, 0.1, 0.1]), deltas=np.zeros((1, 4, 4)), proposals=floats([0, 0, 10, 20]),
               score_threshold=0.5, iou_threshold=0.5)
    yield case("scores at the threshold, and a sure background",
               "column 0 is background and never reported; a score that equals the threshold is not above it",
               scores=floats([0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.3, 0.6]), deltas=np.zeros((3, 3, 4)),
               proposals=floats([0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]), score_threshold=0.5, iou_threshold=0.5)
    yield case("a region whose box moves to the right as class 1, and doubles its height as class 2",
               "take the numbers of the candidate's own class, deltas[row, label], and divide them by (10, 10, 5, 5)",
               scores=floats([0.1, 0.3, 0.6]), deltas=moved, proposals=floats([0, 0, 10, 20]), score_threshold=0.5,
               iou_threshold=0.5)
    yield case("one region that may be class 1 or class 2", "both are reported: suppression is per class",
               scores=floats([0.1, 0.5, 0.4]), deltas=np.zeros((1, 3, 4)), proposals=floats([0, 0, 10, 20]),
               score_threshold=0.05, iou_threshold=0.5)
    yield case("two regions that are apart and refined to one place",
               "it is the refined boxes that suppress one another, not the proposals",
               scores=floats([0.2, 0.8], [0.3, 0.7]), deltas=met, proposals=floats([0, 0, 10, 10], [20, 0, 30, 10]),
               score_threshold=0.05, iou_threshold=0.5)
    yield case("two regions on one object and a surer one of another class elsewhere",
               "the answer is in the order of the scores over all classes, best first",
               scores=floats([0.4, 0.6, 0], [0.5, 0.5, 0], [0.1, 0, 0.9]), deltas=np.zeros((3, 3, 4)), proposals=heap,
               score_threshold=0.05, iou_threshold=0.5)
    yield case("nothing but background", "three empty arrays, of shapes (0, 4), (0,) and (0,)",
               scores=floats([0.98, 0.02]), deltas=np.zeros((1, 2, 4)), proposals=floats([0, 0, 9, 9]),
               score_threshold=0.05, iou_threshold=0.5)
    yield case("60 random regions, three classes and background",
               scores=rng.dirichlet((1, 1, 1, 1), 60), deltas=rng.standard_normal((60, 4, 4)),
               proposals=random_boxes(rng, 60), score_threshold=0.2, iou_threshold=0.3)
