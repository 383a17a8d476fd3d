"""Common wrong answers about boxes: from masks, overlap, deltas, anchors, matching, suppression, detections."""

import numpy as np

from ... import ops
from .. import boxes as right

LARGEST = np.log(1000 / 16)     # tw and th are cut off at it

# ---- an anchor's place in the long list ----


def _level(index, grids, anchors_per_cell, side="right"):
    """The level of an anchor, its number within the level, and the (rows, columns) of the level's map."""
    ends = np.cumsum([height * width * anchors_per_cell for height, width in grids])
    level = int(np.searchsorted(ends, index, side=side))
    return level, int(index - (ends[level - 1] if level else 0)), grids[level]


@right.locate_anchor.mistake("Row and column have changed places. A row has as many cells as there are columns: cell "
                             "// columns is the row, cell % columns the column.")
def _(index, grids, anchors_per_cell):
    level, row, column, anchor = right.locate_anchor.reference(index, grids, anchors_per_cell)
    return level, column, row, anchor


@right.locate_anchor.mistake("Cells are counted down the columns. They stand row by row, and a row is as long as "
                             "there are columns.")
def _(index, grids, anchors_per_cell):
    level, rest, (height, _) = _level(index, grids, anchors_per_cell)
    return level, rest // anchors_per_cell % height, rest // anchors_per_cell // height, rest % anchors_per_cell


@right.locate_anchor.mistake("First come the first anchors of all cells, then the second ones. In the list, the "
                             "anchors of *one cell* stand together.")
def _(index, grids, anchors_per_cell):
    level, rest, (height, width) = _level(index, grids, anchors_per_cell)
    return level, rest // width % height, rest % width, rest // (height * width)


@right.locate_anchor.mistake("Within its level, the anchor is still counted from the start of the whole list. Take "
                             "the anchors of the levels before it away first.")
def _(index, grids, anchors_per_cell):
    level, _, (_, width) = _level(index, grids, anchors_per_cell)
    return level, index // anchors_per_cell // width, index // anchors_per_cell % width, index % anchors_per_cell


@right.locate_anchor.mistake("The number that equals a level's number of anchors is still put into this level. They "
                             "count from 0, so it is the first one of the next.")
def _(index, grids, anchors_per_cell):
    level, rest, (_, width) = _level(index, grids, anchors_per_cell, side="left")
    return level, rest // anchors_per_cell // width, rest // anchors_per_cell % width, rest % anchors_per_cell


# ---- a box from a mask ----


@right.box_from_mask.mistake("The box ends where its last pixel begins. The right and the lower edge are exclusive, "
                             "one more than the last column and row.")
def _(mask):
    return right.box_from_mask.reference(mask) - [0, 0, 1, 1]


@right.box_from_mask.mistake("The box is (y1, x1, y2, x2). x comes first, and x is the column.")
def _(mask):
    return right.box_from_mask.reference(mask)[[1, 0, 3, 2]]


@right.box_from_mask.mistake("The box is x, y, width, height, as COCO writes it. Here its last two numbers are the "
                             "right and the lower edge.")
def _(mask):
    x1, y1, x2, y2 = right.box_from_mask.reference(mask)
    return np.array([x1, y1, x2 - x1, y2 - y1])


@right.box_from_mask.mistake("The box goes from pixel center to pixel center. A pixel is a square: the box holds the "
                             "whole of the outer ones.")
def _(mask):
    return right.box_from_mask.reference(mask) + [0.5, 0.5, -0.5, -0.5]


@right.box_from_mask.mistake("The order is x1, x2, y1, y2. A box is two corners: first x1, y1, then x2, y2.")
def _(mask):
    return right.box_from_mask.reference(mask)[[0, 2, 1, 3]]


@right.box_from_mask.mistake("The box goes from the first pixel to the last, row by row. Others reach further left or "
                             "right: ask for the first and the last *column* with a pixel.")
def _(mask):
    (y1, x1), (y2, x2) = np.argwhere(mask)[[0, -1]]
    return np.array([x1, y1, x2 + 1, y2 + 1])


@right.box_from_mask.mistake("y is measured from the lower edge. In an image it begins at the upper edge and grows "
                             "downward, as the rows do.")
def _(mask):
    return right.box_from_mask.reference(mask[::-1])


# ---- overlap ----


def _areas(box1, box2, more=0):
    """Sides of the overlap, which may be negative, and the areas of both boxes; `more` is added to each side."""
    sides = np.minimum(box1[2:], box2[2:]) - np.maximum(box1[:2], box2[:2]) + more
    return sides, np.prod(box1[2:] - box1[:2] + more), np.prod(box2[2:] - box2[:2] + more)


one_more = right.iou.mistake(
    "Sides are one pixel too long. The right and the lower edge are exclusive: a width is x2 - x1, without + 1.")


@one_more
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2, more=1)
    shared = sides.clip(0).prod()
    return shared / (area1 + area2 - shared)


@one_more       # in the overlap alone
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    shared = (sides + 1).clip(0).prod()
    return shared / (area1 + area2 - shared)


@right.iou.mistake("The sum of the two areas is taken for the union. It counts the shared part twice: take it away "
                   "once.")
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    return sides.clip(0).prod() / (area1 + area2)


@right.iou.mistake("The overlap of boxes that are apart has negative sides, and they are used as they are. There is "
                   "no overlap then: let each side be at least 0.")
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    return sides.prod() / (area1 + area2 - sides.prod())


@right.iou.mistake("Only the product of the overlap's sides is kept from being negative. Two negative sides give a "
                   "positive one: let *each* be at least 0.")
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    shared = max(sides.prod(), 0)
    return shared / (area1 + area2 - shared)


@right.iou.mistake("The smallest box around both is taken for the union. It holds corners that neither of them "
                   "covers: the union is made of the three areas.")
def _(box1, box2):
    around = np.maximum(box1[2:], box2[2:]) - np.minimum(box1[:2], box2[:2])
    return _areas(box1, box2)[0].clip(0).prod() / around.prod()


one_area = right.iou.mistake(
    "The overlap is divided by the area of one box. Divide it by the area that at least one of the two covers: "
    "area1 + area2 - intersection.")


@one_area
def _(box1, box2):
    sides, *areas = _areas(box1, box2)
    return sides.clip(0).prod() / min(areas)


@one_area
def _(box1, box2):
    sides, *areas = _areas(box1, box2)
    return sides.clip(0).prod() / max(areas)


@right.iou.mistake("It is twice the overlap by the sum of the areas (the Dice score). IoU divides the overlap itself "
                   "by area1 + area2 - intersection.")
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    return 2 * sides.clip(0).prod() / (area1 + area2)


@right.iou.mistake("The last two numbers of a box are taken for width and height. They are its right and lower edge: "
                   "a width is x2 - x1.")
def _(box1, box2):
    return right.iou.reference(*(np.concatenate([box[:2], box[:2] + box[2:]]) for box in (box1, box2)))


@right.iou.mistake("The sides of the overlap have lost their sign. Where min(x2) - max(x1) is negative the boxes are "
                   "apart: let each side be at least 0.")
def _(box1, box2):
    sides, area1, area2 = _areas(box1, box2)
    shared = np.abs(sides).prod()
    return shared / (area1 + area2 - shared)


@right.iou.mistake("It is the area of the overlap alone. Divide it by the area that at least one of the two covers.")
def _(box1, box2):
    return _areas(box1, box2)[0].clip(0).prod()


# ---- anchors ----


def _anchors(x, y, widths, heights, whole=np.round):
    half_w, half_h = whole(widths / 2), whole(heights / 2)
    return np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=1)


@right.anchors_of_cell.mistake("The anchor is on the middle of its cell. Here it is centered on the cell's upper left "
                               "corner, without half a cell more.")
def _(row, column, stride, size, ratios):
    return right.anchors_of_cell.reference(row + 0.5, column + 0.5, stride, size, ratios)


@right.anchors_of_cell.mistake("The row moves x and the column moves y. Rows are one below the other: the row moves y.")
def _(row, column, stride, size, ratios):
    return right.anchors_of_cell.reference(column, row, stride, size, ratios)


@right.anchors_of_cell.mistake("Width and height have changed places. A ratio is height / width, so 0.5 is a box that "
                               "is wide and low.")
def _(row, column, stride, size, ratios):
    return right.anchors_of_cell.reference(row, column, stride, size, 1 / np.array(ratios))


@right.anchors_of_cell.mistake("The width is always `size`, only the height follows the ratio. The area must stay "
                               "size * size: what one side gains, the other gives up.")
def _(row, column, stride, size, ratios):
    return _anchors(column * stride, row * stride, np.full(len(ratios), size), size * np.array(ratios))


no_whole_halves = right.anchors_of_cell.mistake(
    "Half the width and half the height are not whole pixels. It is the halves that are rounded, with `np.round`.")


@no_whole_halves
def _(row, column, stride, size, ratios):
    roots = np.sqrt(ratios)
    return _anchors(column * stride, row * stride, size / roots, size * roots, whole=lambda half: half)


@no_whole_halves        # but the sides are
def _(row, column, stride, size, ratios):
    widths, heights = np.round(size / np.sqrt(ratios)), np.round(size * np.sqrt(ratios))
    return _anchors(column * stride, row * stride, widths, heights, whole=lambda half: half)


# ---- deltas ----


@right.encode_boxes.mistake("tx and ty are from corner to corner. Deltas are from center to center: a box that grows "
                            "about its center has tx = ty = 0.")
def _(boxes, anchors):
    deltas = right.encode_boxes.reference(boxes, anchors)
    deltas[:, :2] = (boxes[:, :2] - anchors[:, :2]) / (anchors[:, 2:] - anchors[:, :2])
    return deltas


@right.encode_boxes.mistake("tx and ty are divided by the size of the box. They are in units of the *anchor's* width "
                            "and height: those are known when the box is not.")
def _(boxes, anchors):
    deltas = right.encode_boxes.reference(boxes, anchors)
    deltas[:, :2] *= (anchors[:, 2:] - anchors[:, :2]) / (boxes[:, 2:] - boxes[:, :2])
    return deltas


@right.encode_boxes.mistake("tw and th are the ratios themselves. Take their logarithm: no change is then 0, and twice "
                            "and half are equally far from it.")
def _(boxes, anchors):
    deltas = right.encode_boxes.reference(boxes, anchors)
    return np.concatenate([deltas[:, :2], np.exp(deltas[:, 2:])], axis=1)


@right.encode_boxes.mistake("tx and ty are in pixels. Divide them by the anchor's width and height: large anchors move "
                            "further.")
def _(boxes, anchors):
    deltas = right.encode_boxes.reference(boxes, anchors)
    deltas[:, :2] *= anchors[:, 2:] - anchors[:, :2]
    return deltas


@right.encode_boxes.mistake("The deltas lead from the box to the anchor. They must say how the *anchor* becomes the "
                            "box.")
def _(boxes, anchors):
    return right.encode_boxes.reference(anchors, boxes)


@right.decode_boxes.mistake("Sizes are multiplied by tw and th as they are. tw is a logarithm: the factor is exp(tw), "
                            "and 0 changes nothing.")
def _(deltas, anchors):
    x1, y1, x2, y2 = anchors.T
    width, height = (x2 - x1) * deltas[:, 2], (y2 - y1) * deltas[:, 3]
    x, y = (x1 + x2) / 2 + deltas[:, 0] * (x2 - x1), (y1 + y2) / 2 + deltas[:, 1] * (y2 - y1)
    return np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)


@right.decode_boxes.mistake("The box is moved and stretched from the anchor's upper left corner. Deltas are about the "
                            "center: move that first, then lay the size around it.")
def _(deltas, anchors):
    moved, size = _center_and_size(deltas, anchors)
    corner = moved - (anchors[:, 2:] - anchors[:, :2]) / 2
    return np.concatenate([corner, corner + size], axis=1)


@right.decode_boxes.mistake("The answer is center and size. Go back to corners: half the size to either side of the "
                            "center.")
def _(deltas, anchors):
    return np.concatenate(_center_and_size(deltas, anchors), axis=1)


@right.decode_boxes.mistake("tx and ty are added as pixels. They are in units of the anchor: multiply them by its "
                            "width and height.")
def _(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    return right.decode_boxes.reference(deltas / np.concatenate([size, np.ones_like(size)], axis=1), anchors)


@right.decode_boxes.mistake("tw and th are not cut off. An untrained network can say 100, and exp(100) is no size: "
                            "let them be at most log(1000 / 16), before exp.")
def _(deltas, anchors):
    return _stretched(deltas, anchors, np.exp(deltas[:, 2:]))


one_plus = right.decode_boxes.mistake(
    "The factor is 1 + t. tw and th are logarithms: the factor is exp(tw), which is 1 + tw for small ones only.")


@one_plus
def _(deltas, anchors):
    return _stretched(deltas, anchors, 1 + np.minimum(deltas[:, 2:], LARGEST))


@one_plus
def _(deltas, anchors):
    return _stretched(deltas, anchors, 1 + deltas[:, 2:])


@right.decode_boxes.mistake("tx and ty are multiplied by the new width and height. They are in units of the "
                            "*anchor's*.")
def _(deltas, anchors):
    scale = np.exp(np.minimum(deltas[:, 2:], LARGEST))
    return right.decode_boxes.reference(np.concatenate([deltas[:, :2] * scale, deltas[:, 2:]], axis=1), anchors)


@right.decode_boxes.mistake("The whole width and height lie to either side of the center. Only half of them does.")
def _(deltas, anchors):
    center, size = _center_and_size(deltas, anchors)
    return np.concatenate([center - size, center + size], axis=1)


@right.decode_boxes.mistake("tw and th have changed places. The third delta is that of the width, the fourth that of "
                            "the height.")
def _(deltas, anchors):
    return right.decode_boxes.reference(deltas[:, [0, 1, 3, 2]], anchors)


@right.decode_boxes.mistake("Each pair has changed places: ty comes first. The order is tx, ty, tw, th, the x axis "
                            "before the y axis.")
def _(deltas, anchors):
    return right.decode_boxes.reference(deltas[:, [1, 0, 3, 2]], anchors)


@right.decode_boxes.mistake("The anchor's width and height have changed places. x2 - x1 is the width and goes with tx "
                            "and tw.")
def _(deltas, anchors):
    center, half = (anchors[:, :2] + anchors[:, 2:]) / 2, (anchors[:, 2:] - anchors[:, :2])[:, ::-1] / 2
    return right.decode_boxes.reference(deltas, np.concatenate([center - half, center + half], axis=1))


@right.decode_boxes.mistake("tx and ty are counted from the anchor's upper left corner. They move its center, which is "
                            "(x1 + x2) / 2.")
def _(deltas, anchors):
    return right.decode_boxes.reference(deltas, anchors) - np.tile((anchors[:, 2:] - anchors[:, :2]) / 2, 2)


other_limit = right.decode_boxes.mistake(
    "tw and th are cut off at another number. It is tw that is at most log(1000 / 16), so exp(tw) is at most 62.5.")


@other_limit        # the logarithm is missing
def _(deltas, anchors):
    return _stretched(deltas, anchors, np.exp(np.minimum(deltas[:, 2:], 1000 / 16)))


@other_limit        # the factor is cut off
def _(deltas, anchors):
    return _stretched(deltas, anchors, np.minimum(np.exp(deltas[:, 2:]), LARGEST))


@right.decode_boxes.mistake("tw and th are cut off below as well. Only exp of large numbers is a danger: exp(-9) is a "
                            "size like others.")
def _(deltas, anchors):
    return _stretched(deltas, anchors, np.exp(np.clip(deltas[:, 2:], -LARGEST, LARGEST)))


all_four = right.decode_boxes.mistake(
    "tx and ty are cut off as well. They go into no exp: a box may be as far away as it likes. Cut tw and th only, "
    "above.")


@all_four
def _(deltas, anchors):
    return right.decode_boxes.reference(np.minimum(deltas, LARGEST), anchors)


@all_four
def _(deltas, anchors):
    return right.decode_boxes.reference(np.clip(deltas, -LARGEST, LARGEST), anchors)


def _stretched(deltas, anchors, factors):
    center, _ = _center_and_size(deltas, anchors)
    half = (anchors[:, 2:] - anchors[:, :2]) * factors / 2
    return np.concatenate([center - half, center + half], axis=1)


def _center_and_size(deltas, anchors):
    boxes = right.decode_boxes.reference(deltas, anchors)
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


# ---- matching ----


def _by_thresholds(iou, high, low):
    """The matches before objects are helped that might go empty."""
    best = iou.max(axis=0, initial=-1)
    return np.where(best >= high, iou.argmax(axis=0) if len(iou) else 0, np.where(best < low, -1, -2))


@right.match.mistake("Objects that no anchor overlaps by `high` go empty. Give each object the anchors that reach its "
                     "best IoU, however low that is.")
def _(iou, high, low):
    return _by_thresholds(iou, high, low)


@right.match.mistake("A rescued anchor goes to the object that is rescued. It goes to the object that the *anchor* "
                     "overlaps most, which may be another one.")
def _(iou, high, low):
    matches = _by_thresholds(iou, high, low)
    for row, overlaps in enumerate(iou):
        matches[overlaps == overlaps.max()] = row
    return matches


@right.match.mistake("Only the first of several equally good anchors is rescued. All that reach the object's best IoU "
                     "are.")
def _(iou, high, low):
    matches = _by_thresholds(iou, high, low)
    for first in iou.argmax(axis=1):
        matches[first] = iou[:, first].argmax()
    return matches


@right.match.mistake("-1 and -2 have changed places. Below `low` is background, -1; between the thresholds is "
                     "ignored, -2.")
def _(iou, high, low):
    matches = right.match.reference(iou, high, low)
    return np.where(matches < 0, -3 - matches, matches)


@right.match.mistake("An IoU that equals `low` is taken for background. Only *below* `low` it is: `<`.")
def _(iou, high, low):
    return right.match.reference(iou, high, np.nextafter(low, 1))


@right.match.mistake("What is between the thresholds is background. It is neither: ignored, -2.")
def _(iou, high, low):
    return np.maximum(right.match.reference(iou, high, low), -1)


@right.match.mistake("An object is helped only by anchors of at least `low`. All that reach its best IoU are matched, "
                     "however low that is.")
def _(iou, high, low):
    return np.where(iou.max(axis=0, initial=-1) < low, -1, right.match.reference(iou, high, low))


@right.match.mistake("An object that has an anchor already is not helped. All anchors that reach its best IoU are "
                     "matched, whatever else it has.")
def _(iou, high, low):
    matches = _by_thresholds(iou, high, low)
    for row, overlaps in enumerate(iou):
        if row not in matches:
            is_best = overlaps == overlaps.max()
            matches[is_best] = iou[:, is_best].argmax(axis=0)
    return matches


last_object = right.match.mistake(
    "An anchor that several objects overlap by `high` goes to the last of them. It goes to the one that it overlaps "
    "most.")


@last_object
def _(iou, high, low):
    return np.where(_by_thresholds(iou, high, low) >= 0, _last(iou, high), right.match.reference(iou, high, low))


@last_object        # but for the anchors that are some object's best
def _(iou, high, low):
    matches, is_best = right.match.reference(iou, high, low), (iou == iou.max(axis=1, keepdims=True)).any(axis=0)
    return np.where((_by_thresholds(iou, high, low) >= 0) & ~is_best, _last(iou, high), matches)


def _last(iou, high):
    return len(iou) - 1 - (iou[::-1] >= high).argmax(axis=0) if len(iou) else 0


wrong_axis = right.match.mistake(
    "Each object is asked for its best anchor. Ask each *anchor* for its best object: there is an answer for every "
    "column, `iou.argmax(axis=0)`.")


@wrong_axis
def _(iou, high, low):
    return _by_thresholds(iou.T, high, low)


@wrong_axis
def _(iou, high, low):
    return right.match.reference(iou.T, high, low)


@right.match.mistake("An IoU that equals `high` is no match yet. At least `high` is enough: `>=`.")
def _(iou, high, low):
    return right.match.reference(iou, np.nextafter(high, 1), low)


# ---- suppression ----


@right.nms.mistake("The worst box goes first. Sort by descending score, `np.argsort(-scores)`: who is kept decides "
                   "who is dropped.")
def _(boxes, scores, iou_threshold):
    return ops.nms(boxes, -scores, iou_threshold)


@right.nms.mistake("A box that overlaps by exactly the threshold is dropped. Only who overlaps by *more* goes.")
def _(boxes, scores, iou_threshold):
    return ops.nms(boxes, scores, np.nextafter(iou_threshold, 0))


@right.nms.mistake("A box that was dropped drops others. Compare with the boxes that were kept, and with no others.")
def _(boxes, scores, iou_threshold):
    order = np.argsort(-scores, kind="stable")
    iou = ops.box_iou(boxes[order], boxes[order])
    return order[~(np.tril(iou, -1) > iou_threshold).any(axis=1)]


@right.nms.mistake("These are places in the sorted list. Return the indices of the boxes as they came: `order[place]`.")
def _(boxes, scores, iou_threshold):
    order = np.argsort(-scores, kind="stable")
    return ops.nms(boxes[order], scores[order], iou_threshold)


@right.nms.mistake("Among equal scores the later box goes first: turning an ascending order round does that. The "
                   "earlier one goes first.")
def _(boxes, scores, iou_threshold):
    return len(boxes) - 1 - ops.nms(boxes[::-1], scores[::-1], iou_threshold)


def _suppress(boxes, scores, iou_threshold, overlap, rivals=slice(None)):
    """Suppression by another overlap of two boxes, or against some of the boxes kept."""
    keep = []
    for i in np.argsort(-scores, kind="stable"):
        if all(overlap(boxes[i], boxes[j]) <= iou_threshold for j in keep[rivals]):
            keep.append(i)
    return np.array(keep, int)


@right.nms.mistake("In the IoU, sides are one pixel too long. A width is x2 - x1, without + 1.")
def _(boxes, scores, iou_threshold):
    def overlap(box1, box2):
        sides, area1, area2 = _areas(box1, box2, more=1)
        return sides.clip(0).prod() / (area1 + area2 - sides.clip(0).prod())
    return _suppress(boxes, scores, iou_threshold, overlap)


@right.nms.mistake("The overlap is divided by the area of the smaller box. IoU divides it by the union of the two: "
                   "area1 + area2 - intersection.")
def _(boxes, scores, iou_threshold):
    return _suppress(boxes, scores, iou_threshold,
                     lambda box1, box2: _areas(box1, box2)[0].clip(0).prod() / min(_areas(box1, box2)[1:]))


@right.nms.mistake("Boxes that are apart drop each other: the overlap has two negative sides, whose product is "
                   "positive. Let each side be at least 0.")
def _(boxes, scores, iou_threshold):
    def overlap(box1, box2):
        sides, area1, area2 = _areas(box1, box2)
        return sides.prod() / (area1 + area2 - sides.prod())
    return _suppress(boxes, scores, iou_threshold, overlap)


@right.nms.mistake("A box is compared with the last one kept only. It must not overlap *any* of those kept so far.")
def _(boxes, scores, iou_threshold):
    return _suppress(boxes, scores, iou_threshold, right.iou.reference, slice(-1, None))


@right.nms.mistake("All boxes are compared with the very first one only. Whoever is kept drops others in turn.")
def _(boxes, scores, iou_threshold):
    return _suppress(boxes, scores, iou_threshold, right.iou.reference, slice(1))


@right.nms.mistake("The boxes are gone through as they come. Begin with the best score: `np.argsort(-scores, "
                   "kind='stable')`.")
def _(boxes, scores, iou_threshold):
    return ops.nms(boxes, np.zeros(len(scores)), iou_threshold)


@right.nms.mistake("The right boxes, but in the order of their indices. The best score comes first.")
def _(boxes, scores, iou_threshold):
    return np.sort(ops.nms(boxes, scores, iou_threshold))


@right.nms.mistake("These are the boxes themselves. Return their indices, the rows in `boxes`.")
def _(boxes, scores, iou_threshold):
    return boxes[ops.nms(boxes, scores, iou_threshold)]


@right.nms.mistake("It says of each box whether it is kept. Return the indices of those that are, the best score "
                   "first.")
def _(boxes, scores, iou_threshold):
    return np.isin(np.arange(len(boxes)), ops.nms(boxes, scores, iou_threshold))


# ---- detections ----


def _candidates(scores, deltas, proposals, score_threshold, weights=(10, 10, 5, 5)):
    """Boxes, labels and scores of the pairs above the threshold, column 0 left out."""
    rows, labels = np.nonzero(scores[:, 1:] > score_threshold)
    boxes = ops.decode_boxes(deltas[rows, labels + 1], proposals[rows], weights)
    return boxes, labels + 1, scores[rows, labels + 1]


def _kept(candidates, keep):
    return tuple(values[keep] for values in candidates)


@right.detections.mistake("Column 0 is reported as a class. It is the background, and no detection, however sure: "
                          "look at the columns from 1 on.")
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    one_more = np.pad(scores, ((0, 0), (1, 0))), np.pad(deltas, ((0, 0), (1, 0), (0, 0)))
    boxes, labels, scores = right.detections.reference(*one_more, proposals, score_threshold, iou_threshold)
    return boxes, labels - 1, scores


one_too_low = right.detections.mistake(
    "Labels count from the first column after the background, so all are one too low. Add 1, before you take "
    "deltas or scores with them.")


@one_too_low
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    early = np.roll(deltas, 1, axis=1)
    boxes, labels, scores = right.detections.reference(scores, early, proposals, score_threshold, iou_threshold)
    return boxes, labels - 1, scores


@one_too_low
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    boxes, labels, found = right.detections.reference(scores, deltas, proposals, score_threshold, iou_threshold)
    return boxes, labels - 1, found


@right.detections.mistake("The deltas are decoded as they are. First divide them by (10, 10, 5, 5), by which they were "
                          "multiplied in training.")
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    candidates = _candidates(scores, deltas, proposals, score_threshold, (1, 1, 1, 1))
    return _kept(candidates, ops.batched_nms(candidates[0], candidates[2], candidates[1], iou_threshold))


@right.detections.mistake("Where boxes overlap, only one class is left. Suppression is per class: a region may be "
                          "reported for each class above the threshold.")
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    candidates = _candidates(scores, deltas, proposals, score_threshold)
    return _kept(candidates, ops.nms(candidates[0], candidates[2], iou_threshold))


@right.detections.mistake("The detections come class by class. At the end sort them all by score, the best first.")
def _(scores, deltas, proposals, score_threshold, iou_threshold):
    boxes, labels, scores = right.detections.reference(scores, deltas, proposals, score_threshold, iou_threshold)
    return _kept((boxes, labels, scores), np.argsort(labels, kind="stable"))
