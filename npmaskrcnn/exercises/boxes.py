"""Exercises about boxes: from masks, overlap, deltas, anchors, matching, suppression, detections."""

import math

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.exercises.exercise import Case, Exercise


def _box(*numbers):
    return np.array(numbers, dtype=np.float64)


def _boxes(*rows):
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _random_boxes(rng, number, size=100.0):
    corners = rng.uniform(0, 0.7 * size, (number, 2))
    return np.concatenate([corners, corners + rng.uniform(0.05 * size, 0.3 * size, (number, 2))], axis=1)


# ---- a box from a mask, and overlap ----


def _mask(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


def _box_from_mask_reference(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def _mask_cases():
    rng = np.random.default_rng(0)
    blob = np.zeros((30, 50), bool)
    blob[8:21, 30:37] = rng.random((13, 7)) < 0.6
    return [
        Case("one pixel, in row 1 and column 2", dict(mask=_mask("....", "..#.", "....")),
             "pixel (row 1, column 2) is the square from x = 2 to 3 and from y = 1 to 2: a box one pixel wide"),
        Case("a shape wider than high", dict(mask=_mask(".....", ".###.", ".#...")),
             "x comes first: x is the column, y is the row"),
        Case("a mask that touches all edges", dict(mask=_mask("#..", "..#")),
             "right and bottom edges are exclusive, so they may equal the image's width and height"),
        Case("two separate parts are one object", dict(mask=_mask("......", ".#....", "......", "....#.")),
             "the box holds all pixels of the object"),
        Case("a speckled blob in a 30x50 image", dict(mask=blob), "the first and the last row and column with a pixel"),
    ]


BOX_FROM_MASK = Exercise(
    name="box_from_mask",
    statement="""The tightest box around a mask. `mask` is `(H, W)` bool with at least one True; the box is
`x1, y1, x2, y2` in continuous coordinates, right and bottom edge exclusive: pixel (0, 0) is the square from 0 to 1.""",
    stub='''
def box_from_mask(mask):
    """(H, W) bool -> an array of four numbers x1, y1, x2, y2."""
    ...
''',
    outputs=("box",), reference=_box_from_mask_reference, cases=_mask_cases,
    hints=("`mask.any(axis=0)` says which columns have a pixel.",
           "`np.flatnonzero` gives their numbers; the last one plus 1 is the right edge."))


def _iou_cases():
    return [
        Case("two 2x2 boxes that share one of their cells", dict(box1=_box(0, 0, 2, 2), box2=_box(1, 1, 3, 3)),
             "1 cell is shared, 4 + 4 - 1 = 7 cells are covered: 1/7"),
        Case("the same box twice", dict(box1=_box(2, 3, 5, 9), box2=_box(2, 3, 5, 9)), "the shared part counts once"),
        Case("a box inside another", dict(box1=_box(0, 0, 4, 3), box2=_box(1, 1, 2, 2)), "intersection 1, union 12"),
        Case("boxes apart from each other", dict(box1=_box(0, 0, 1, 1), box2=_box(5, 0, 6, 1)),
             "a negative width of the overlap means that there is none"),
        Case("boxes apart along both x and y", dict(box1=_box(0, 0, 1, 1), box2=_box(5, 7, 6, 9)),
             "two negative sides have a positive product: set each side to at least 0 first"),
        Case("wide against high, with fractions", dict(box1=_box(0.5, 1.25, 10.5, 3.25), box2=_box(4, 0, 6, 8.5)),
             "widths come from x, heights from y, and there is no + 1"),
    ]


IOU = Exercise(
    name="iou",
    statement="""How much do two boxes overlap? Intersection over union: the area that both cover, divided by the area
that at least one covers. 0 for boxes apart, 1 for the same box.""",
    stub='''
def iou(box1, box2):
    """Two boxes (x1, y1, x2, y2) -> intersection over union, a number in 0..1."""
    ...
''',
    outputs=("iou",), reference=lambda box1, box2: ops.box_iou(box1[None], box2[None])[0, 0], cases=_iou_cases,
    hints=("The overlap reaches from the larger x1 to the smaller x2; the same for y.",
           "union = area1 + area2 - intersection."))


# ---- deltas ----


def _encode_cases():
    rng = np.random.default_rng(1)
    return [
        Case("the anchor itself", dict(boxes=_boxes([0, 0, 10, 20]), anchors=_boxes([0, 0, 10, 20])),
             "nothing to correct: four zeros"),
        Case("moved right by half the anchor's width", dict(boxes=_boxes([5, 0, 15, 20]), anchors=_boxes([0, 0, 10, 20])),
             "tx and ty are between centres: the anchor's is at (5, 10), the box's at (10, 10); in units of the anchor's size"),
        Case("twice as high about the same centre", dict(boxes=_boxes([0, -10, 10, 30]), anchors=_boxes([0, 0, 10, 20])),
             "th is the natural logarithm of the ratio of the heights; the order is tx, ty, tw, th"),
        Case("five random pairs", dict(boxes=_random_boxes(rng, 5), anchors=_random_boxes(rng, 5)),
             "row i of the boxes belongs to row i of the anchors; it is the anchor's size that one divides by"),
        Case("no box at all", dict(boxes=np.zeros((0, 4)), anchors=np.zeros((0, 4))), "an empty input gives (0, 4)"),
    ]


ENCODE_BOXES = Exercise(
    name="encode_boxes",
    statement="""Say how an anchor must change to become a box, in the four numbers that the network predicts:
`tx = (x - xa) / wa` and `ty = (y - ya) / ha` between centres, `tw = log(w / wa)` and `th = log(h / ha)`.""",
    stub='''
def encode_boxes(boxes, anchors):
    """boxes and anchors (N, (x1, y1, x2, y2)), row by row -> deltas (N, (tx, ty, tw, th))."""
    ...
''',
    outputs=("deltas",), reference=ops.encode_boxes, cases=_encode_cases,
    hints=("First centres, widths and heights of both: `w = boxes[:, 2] - boxes[:, 0]`, `x = boxes[:, 0] + w / 2`.",
           "`np.stack([tx, ty, tw, th], axis=1)`."))


def _decode_cases():
    rng = np.random.default_rng(2)
    anchor = _boxes([0, 0, 10, 20])
    return [
        Case("deltas of zero: the anchor stays", dict(deltas=_boxes([0, 0, 0, 0]), anchors=anchor), "exp(0) is 1"),
        Case("half a width to the right", dict(deltas=_boxes([0.5, 0, 0, 0]), anchors=anchor), "tx moves the centre"),
        Case("twice as high", dict(deltas=_boxes([0, 0, 0, math.log(2)]), anchors=anchor),
             "the box grows about its centre, up and down alike"),
        Case("four random ones", dict(deltas=rng.standard_normal((4, 4)) * 0.5, anchors=_random_boxes(rng, 4)),
             "from centre and size back to corners: x1 = x - w / 2"),
        Case("an untrained network that says tw = 100", dict(deltas=_boxes([0, 0, 100, 0]), anchors=anchor),
             "exp(100) is out of the question: tw and th are cut off at log(1000 / 16) before exp"),
        Case("no box at all", dict(deltas=np.zeros((0, 4)), anchors=np.zeros((0, 4))), "an empty input gives (0, 4)"),
    ]


DECODE_BOXES = Exercise(
    name="decode_boxes",
    statement="""The inverse of `encode_boxes`: apply deltas to anchors. Widths and heights are multiplied by
`exp(tw)` and `exp(th)`, where tw and th are first cut off above at `log(1000 / 16)`.""",
    stub='''
def decode_boxes(deltas, anchors):
    """deltas (N, (tx, ty, tw, th)) and anchors (N, 4) -> boxes (N, (x1, y1, x2, y2))."""
    ...
''',
    outputs=("boxes",), reference=ops.decode_boxes, cases=_decode_cases,
    hints=("x = tx * wa + xa; w = wa * exp(min(tw, log(1000 / 16))).", "x1 = x - w / 2, x2 = x + w / 2."))


# ---- anchors ----


def _anchors_reference(row, column, stride, size, ratios):
    from npmaskrcnn.stages.anchors import cell_anchors

    shift = np.array([column, row, column, row], dtype=np.float64) * stride
    return cell_anchors([size], ratios, np.float64) + shift


def _anchors_cases():
    return [
        Case("the first cell, ratio 1", dict(row=0, column=0, stride=4, size=8, ratios=(1.0,)),
             "the anchor's centre is the cell's upper left corner, (0, 0)"),
        Case("a cell further down", dict(row=2, column=1, stride=4, size=8, ratios=(1.0,)),
             "the row moves y, the column moves x, each by the stride"),
        Case("three ratios of size 32", dict(row=0, column=0, stride=8, size=32, ratios=(0.5, 1.0, 2.0)),
             "ratio = height / width, and the area stays 32 * 32: ratio 0.5 is wide and low; half its width, 22.6, is rounded to 23"),
        Case("size 12, where halves must be rounded", dict(row=1, column=3, stride=4, size=12, ratios=(0.5, 1.0, 2.0)),
             "it is the half sides that are rounded: half of 12 * sqrt(2) is 8.49, and becomes 8"),
    ]


ANCHORS_OF_CELL = Exercise(
    name="anchors_of_cell",
    statement="""The anchors that sit on one cell of a feature map: one for each ratio = height / width, all of area
`size * size`, centred on the cell's upper left corner, which is at `(column * stride, row * stride)` in the image. Half
widths and half heights are rounded to whole pixels with `np.round`, as torchvision does.""",
    stub='''
def anchors_of_cell(row, column, stride, size, ratios):
    """-> anchors (len(ratios), (x1, y1, x2, y2)) in image pixels."""
    ...
''',
    outputs=("anchors",), reference=_anchors_reference, cases=_anchors_cases,
    hints=("width = size / sqrt(ratio), height = size * sqrt(ratio): their product is size squared.",
           "half_w = np.round(width / 2); the box is x - half_w to x + half_w."))


def _locate_reference(index, grids, anchors_per_cell):
    sizes = [height * width * anchors_per_cell for height, width in grids]
    level = int(np.searchsorted(np.cumsum(sizes), index, side="right"))
    height, width = grids[level]
    row, column, anchor = np.unravel_index(index - sum(sizes[:level]), (height, width, anchors_per_cell))
    return level, int(row), int(column), int(anchor)


def _locate_cases():
    grids = ((2, 3), (1, 2))
    return [
        Case("the very first anchor", dict(index=0, grids=grids, anchors_per_cell=2), "everything counts from 0"),
        Case("the first anchor of the second cell", dict(index=2, grids=grids, anchors_per_cell=2),
             "the anchors of one cell stand together: index 0 and 1 are cell 0, index 2 is the next column"),
        Case("the first cell of the second row", dict(index=6, grids=grids, anchors_per_cell=2),
             "a row has 3 cells of 2 anchors each"),
        Case("the first anchor of the second level", dict(index=12, grids=grids, anchors_per_cell=2),
             "level 0 has 2 * 3 * 2 = 12 anchors, so number 12 is the next level's first"),
        Case("the last anchor of all", dict(index=15, grids=grids, anchors_per_cell=2), "level 1 has one row of two cells"),
        Case("anchor 3001 of a 96x128 image's pyramid", dict(index=3001, grids=((24, 32), (12, 16), (6, 8), (3, 4), (2, 2)),
                                                            anchors_per_cell=3)),
    ]


LOCATE_ANCHOR = Exercise(
    name="locate_anchor",
    statement="""Where does an anchor live? The anchors of all pyramid levels stand in one long list: level by level, in a level row by
row, in a row cell by cell, in a cell one after the other. `grids` has the `(rows, columns)` of each level's map. Say for the
anchor number `index` its level (0 for the first), the row and column of its cell, and which of the cell's anchors it is.""",
    stub='''
def locate_anchor(index, grids, anchors_per_cell):
    """index, ((rows, columns), ...), anchors per cell -> level, row, column, anchor: four ints."""
    ...  # return level, row, column, anchor
''',
    outputs=("level", "row", "column", "anchor"), reference=_locate_reference, cases=_locate_cases,
    hints=("How many anchors has level 0? Which number has the first anchor of level 1?",
           "Go through the levels; as long as `index` is not below the level's number of anchors, take that number away.",
           "Then `divmod` twice: by the anchors of a cell, and by the columns of a row."))


# ---- matching and suppression ----


def _match_reference(iou, high, low):
    from npmaskrcnn.stages.matching import match

    return match(iou, high, low, allow_low_quality_matches=True)


def _match_cases():
    rng = np.random.default_rng(3)
    return [
        Case("one object, three anchors: well above, between and below the thresholds",
             dict(iou=np.array([[0.9, 0.5, 0.1]]), high=0.7, low=0.3),
             "at least high: the object's row; below low: -1; in between: -2, ignored"),
        Case("two objects: each anchor takes the one it overlaps most",
             dict(iou=np.array([[0.8, 0.1, 0.0], [0.7, 0.9, 0.0]]), high=0.7, low=0.3),
             "anchor 0 overlaps both enough; the better one wins"),
        Case("an object that no anchor overlaps enough",
             dict(iou=np.array([[0.9, 0.0, 0.1], [0.0, 0.5, 0.2]]), high=0.7, low=0.3),
             "object 1's best anchor is anchor 1; it is matched although 0.5 is below 0.7: no object goes empty"),
        Case("two anchors that are equally good for such an object",
             dict(iou=np.array([[0.4, 0.4, 0.2]]), high=0.7, low=0.3), "all anchors that reach the object's best count"),
        Case("the best anchor of an object belongs to another object",
             dict(iou=np.array([[0.6, 0.1], [0.5, 0.2]]), high=0.7, low=0.3),
             "a rescued anchor still goes to the object that the *anchor* overlaps most"),
        Case("exactly on a threshold", dict(iou=np.array([[0.7, 0.3, 0.9]]), high=0.7, low=0.3),
             "high itself is a match, low itself is already ignored"),
        Case("no object in the image", dict(iou=np.zeros((0, 4)), high=0.7, low=0.3), "everything is background: -1"),
        Case("5 objects, 60 anchors", dict(iou=rng.random((5, 60)) ** 2, high=0.7, low=0.3)),
    ]


MATCH = Exercise(
    name="match",
    statement="""Give every anchor the object that it must find. `iou` is `(objects, anchors)`. An anchor whose best IoU is
at least `high` gets the row of that object; below `low` it is background, `-1`; in between it is ignored, `-2`. Then
no object may go empty: all anchors that reach an object's best IoU are matched however low that is, each to the object that is
best for the anchor.""",
    stub='''
def match(iou, high, low):
    """iou (objects, anchors) -> matches (anchors,) of int: an object's row, -1 or -2."""
    ...
''',
    outputs=("matches",), reference=_match_reference, cases=_match_cases,
    hints=("`iou.argmax(axis=0)` is each anchor's best object; with no object there is nothing to take the maximum of.",
           "`(iou == iou.max(axis=1, keepdims=True)).any(axis=0)` marks the anchors to rescue."))


def _nms_cases():
    rng = np.random.default_rng(4)
    pair = _boxes([0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30])
    return [
        Case("one box", dict(boxes=_boxes([0, 0, 4, 4]), scores=np.array([0.5]), iou_threshold=0.5), "it is kept"),
        Case("two boxes on one object and one elsewhere, not in order of their scores",
             dict(boxes=pair, scores=np.array([0.6, 0.9, 0.8]), iou_threshold=0.5),
             "the best score goes first; the indices refer to the boxes as they came, best score first"),
        Case("a chain: A overlaps B, B overlaps C, A does not overlap C",
             dict(boxes=_boxes([0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]), scores=np.array([0.9, 0.8, 0.7]),
                  iou_threshold=0.3), "a box that has been dropped does not drop others: C stays"),
        Case("an overlap that equals the threshold",
             dict(boxes=_boxes([0, 0, 2, 1], [0, 0, 1, 1]), scores=np.array([0.9, 0.8]), iou_threshold=0.5),
             "dropped is only what overlaps by more than the threshold"),
        Case("equal scores", dict(boxes=_boxes([0, 0, 9, 9], [0, 0, 9, 8], [30, 0, 39, 9]),
                                  scores=np.array([0.5, 0.5, 0.5]), iou_threshold=0.5),
             "among equals the earlier one goes first: a stable sort, np.argsort(-scores, kind='stable')"),
        Case("no box", dict(boxes=np.zeros((0, 4)), scores=np.zeros(0), iou_threshold=0.5),
             "an empty array of integers: np.array(keep, dtype=int)"),
        Case("120 random boxes", dict(boxes=_random_boxes(rng, 120), scores=rng.random(120), iou_threshold=0.3)),
    ]


NMS = Exercise(
    name="nms",
    statement="""Non-maximum suppression: go through the boxes from the best score down, and keep a box unless it overlaps
a box that was kept already by *more than* `iou_threshold`. Return the indices of the kept boxes, best score first; among equal
scores the earlier box goes first.""",
    stub='''
def nms(boxes, scores, iou_threshold):
    """boxes (N, 4), scores (N,) -> keep (K,) of int, best score first."""
    ...
''',
    outputs=("keep",), reference=ops.nms, cases=_nms_cases,
    hints=("`order = np.argsort(-scores, kind='stable')`, then a loop over it and a list of what is kept.",
           "You may use your own `iou`, or `npmaskrcnn.reference.box_iou`."))


# ---- from scores to detections ----

BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def _detections_reference(scores, deltas, proposals, score_threshold, iou_threshold):
    rows, labels = np.nonzero(scores[:, 1:] > score_threshold)
    labels = labels + 1
    boxes = ops.decode_boxes(deltas[rows, labels], proposals[rows], BOX_WEIGHTS)
    keep = ops.batched_nms(boxes, scores[rows, labels], labels, iou_threshold)
    return boxes[keep], labels[keep], scores[rows, labels][keep]


def _detections_cases():
    rng = np.random.default_rng(5)
    moved = np.zeros((1, 3, 4))
    moved[0, 1], moved[0, 2] = (5, 0, 0, 0), (0, 0, 0, 5 * math.log(2))
    met = np.zeros((2, 2, 4))
    met[1, 1, 0] = -20
    heap = _boxes([0, 0, 10, 10], [0, 0, 10, 9], [40, 0, 50, 10])
    return [
        Case("one region that is surely of class 1 and fits already",
             dict(scores=np.array([[0.1, 0.7, 0.1, 0.1]]), deltas=np.zeros((1, 4, 4)), proposals=_boxes([0, 0, 10, 20]),
                  score_threshold=0.5, iou_threshold=0.5), "the label is the column: 1; deltas of zero leave the proposal as it is"),
        Case("scores at the threshold, and a sure background",
             dict(scores=np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.3, 0.6]]), deltas=np.zeros((3, 3, 4)),
                  proposals=_boxes([0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]), score_threshold=0.5, iou_threshold=0.5),
             "column 0 is background and never reported; a score that equals the threshold is not above it"),
        Case("a region whose box moves to the right as class 1, and doubles its height as class 2",
             dict(scores=np.array([[0.1, 0.3, 0.6]]), deltas=moved, proposals=_boxes([0, 0, 10, 20]), score_threshold=0.5,
                  iou_threshold=0.5), "take the numbers of the candidate's own class, deltas[row, label], and divide them by (10, 10, 5, 5)"),
        Case("one region that may be class 1 or class 2",
             dict(scores=np.array([[0.1, 0.5, 0.4]]), deltas=np.zeros((1, 3, 4)), proposals=_boxes([0, 0, 10, 20]),
                  score_threshold=0.05, iou_threshold=0.5), "both are reported: suppression is per class"),
        Case("two regions that are apart and refined to one place",
             dict(scores=np.array([[0.2, 0.8], [0.3, 0.7]]), deltas=met, proposals=_boxes([0, 0, 10, 10], [20, 0, 30, 10]),
                  score_threshold=0.05, iou_threshold=0.5), "it is the refined boxes that suppress one another, not the proposals"),
        Case("two regions on one object and a surer one elsewhere",
             dict(scores=np.array([[0.4, 0.6], [0.5, 0.5], [0.1, 0.9]]), deltas=np.zeros((3, 2, 4)), proposals=heap,
                  score_threshold=0.05, iou_threshold=0.5), "the answer is in the order of the scores over all classes, best first"),
        Case("nothing but background",
             dict(scores=np.array([[0.98, 0.02]]), deltas=np.zeros((1, 2, 4)), proposals=_boxes([0, 0, 9, 9]),
                  score_threshold=0.05, iou_threshold=0.5), "three empty arrays, of shapes (0, 4), (0,) and (0,)"),
        Case("60 random regions, three classes and background",
             dict(scores=rng.dirichlet((1, 1, 1, 1), 60), deltas=rng.standard_normal((60, 4, 4)), proposals=_random_boxes(rng, 60),
                  score_threshold=0.2, iou_threshold=0.3)),
    ]


DETECTIONS = Exercise(
    name="detections",
    statement="""From the box head's answers to detections. `scores` are those after softmax, column 0 is background; `deltas` has four numbers
for each region and class, which are divided by (10, 10, 5, 5) and then decoded. (1) Every pair of a region and a class
other than background with a score above `score_threshold` is a candidate. (2) Its box is the proposal, moved and stretched by the numbers of
that class. (3) Among candidates of one class, non-maximum suppression at `iou_threshold`. Return what is left, best score first. (No
clipping here, and no limit of 100.) You may use your own `decode_boxes` and `nms`, or the package's.""",
    stub='''
def detections(scores, deltas, proposals, score_threshold, iou_threshold):
    """scores (R, K), deltas (R, K, 4), proposals (R, 4) -> boxes (D, 4), labels (D,), scores (D,)."""
    ...  # return boxes, labels, scores
''',
    outputs=("boxes", "labels", "scores"), reference=_detections_reference, cases=_detections_cases,
    hints=("`rows, labels = np.nonzero(scores[:, 1:] > score_threshold)`, and add 1 to the labels.",
           "`ops.decode_boxes(deltas[rows, labels], proposals[rows], (10, 10, 5, 5))` gives the candidates' boxes.",
           "One `nms` for each label in turn; collect the candidates it keeps, and sort them by score at the end.",
           "Or one `nms` for all: add `1000 * label` to all four coordinates of a box, and other classes are too far away to overlap."))


EXERCISES = (LOCATE_ANCHOR, BOX_FROM_MASK, IOU, ANCHORS_OF_CELL, ENCODE_BOXES, DECODE_BOXES, MATCH, NMS, DETECTIONS)
