"""Common wrong answers about regions: which level, RoIAlign forward and backward, pasting a mask."""

import numpy as np

from ... import ops, reference
from .. import regions as right

# ---- levels ----


def _level(size, canonical_scale, whole=np.floor, logarithm=np.log2):
    return int(np.clip(whole(4 + logarithm(size / canonical_scale)), 2, 5))


def _sides(box):
    return box[2:] - box[:2]


@right.assign_level.mistake("The level is rounded to the nearest. It is rounded down: a box stays on the finer level "
                            "until it is twice as large.")
def _(box, canonical_scale):
    return _level(np.sqrt(_sides(box).prod()), canonical_scale, whole=np.round)


@right.assign_level.mistake("The area is compared with the canonical size. That is a length: take the square root of "
                            "the area first.")
def _(box, canonical_scale):
    return _level(_sides(box).prod(), canonical_scale)


@right.assign_level.mistake("The longer side decides. What counts is the square root of the area, so that long and "
                            "thin boxes go to a finer level.")
def _(box, canonical_scale):
    return _level(_sides(box).max(), canonical_scale)


@right.assign_level.mistake("There is no lowest and no highest level. Let the level be at least 2 and at most 5.")
def _(box, canonical_scale):
    return int(np.floor(4 + np.log2(np.sqrt(_sides(box).prod()) / canonical_scale)))


@right.assign_level.mistake("The logarithm is the natural one. A level is a factor of 2 in size, so it is log2.")
def _(box, canonical_scale):
    return _level(np.sqrt(_sides(box).prod()), canonical_scale, logarithm=np.log)


# ---- RoIAlign ----


def _points(box, size, shape, places=(0.25, 0.75), least=1):
    """Rows and columns of the sample points, which are at these places of each bin, moved onto the map."""
    for low, high, bins, cells in zip(box[[1, 0]], box[[3, 2]], size, shape):
        bin_size = max(high - low, least) / bins
        yield np.clip([low + (k + place) * bin_size for k in range(bins) for place in places], 0, cells - 1)


def _mean_of(samples, size):
    return samples.reshape(size[0], -1, size[1], len(samples[0]) // size[1]).mean(axis=(1, 3))


def _read(feature, rows, columns):
    """The map at each row and column, interpolated."""
    weights = [np.maximum(1 - np.abs(points[:, None] - np.arange(cells)), 0)
               for points, cells in zip((rows, columns), feature.shape)]
    return weights[0] @ feature @ weights[1].T


@right.roi_align_forward.mistake("The sample points are at the corners of the bins. They are inside, at a quarter and "
                                 "three quarters of a bin's height and width.")
def _(feature, box, size):
    return _mean_of(_read(feature, *_points(box, size, feature.shape, (0, 1))), size)


@right.roi_align_forward.mistake("There is one sample point, in the middle of each bin. Take 2x2, at a quarter and "
                                 "three quarters of its height and width, and average.")
def _(feature, box, size):
    return _mean_of(_read(feature, *_points(box, size, feature.shape, (0.5,))), size)


transposed = right.roi_align_forward.mistake(
    "x and y of the box have changed places. A box is (x1, y1, x2, y2); x is the column of the map, its second index.")


@transposed
def _(feature, box, size):
    return right.roi_align_forward.reference(feature, box[[1, 0, 3, 2]], size)


@transposed
def _(feature, box, size):
    return right.roi_align_forward.reference(feature.T, box, size)


@right.roi_align_forward.mistake("Half a cell is subtracted from the points (aligned=True). Here cell (i, j) sits at "
                                 "y = i, x = j itself, so nothing is subtracted.")
def _(feature, box, size):
    return right.roi_align_forward.reference(feature, box - 0.5, size)


one_cell = right.roi_align_forward.mistake(
    "Each point reads one cell alone. Between cells it takes its four neighbors, each the more the nearer it is.")


@one_cell
def _(feature, box, size):
    rows, columns = (points.astype(int) for points in _points(box, size, feature.shape))
    return _mean_of(feature[np.ix_(rows, columns)], size)


@one_cell
def _(feature, box, size):
    rows, columns = (np.round(points).astype(int) for points in _points(box, size, feature.shape))
    return _mean_of(feature[np.ix_(rows, columns)], size)


rounded = right.roi_align_forward.mistake(
    "The box is rounded to whole cells, as RoIPool does. RoIAlign rounds nothing: its points lie where the box's "
    "fractions put them.")


@rounded
def _(feature, box, size):
    return right.roi_align_forward.reference(feature, np.round(box), size)


@rounded
def _(feature, box, size):
    return right.roi_align_forward.reference(feature, np.floor(box), size)


@rounded
def _(feature, box, size):
    return right.roi_align_forward.reference(feature, np.concatenate([np.floor(box[:2]), np.ceil(box[2:])]), size)


@rounded
def _(feature, box, size):
    return reference.roi_pool(feature[None, :, :, None], np.array([[0, *box]]), size)[0, :, :, 0]


@right.roi_align_forward.mistake("A bin is the largest of its four samples. It is their mean.")
def _(feature, box, size):
    return _samples(feature, box, size).max(axis=(1, 3))


@right.roi_align_forward.mistake("The four samples of a bin are added up. A bin is their mean: divide by 4.")
def _(feature, box, size):
    return _samples(feature, box, size).sum(axis=(1, 3))


def _samples(feature, box, size):
    return _read(feature, *_points(box, size, feature.shape)).reshape(size[0], 2, size[1], 2)


@right.roi_align_forward.mistake("The sample points are at thirds of a bin. They are at a quarter and three quarters "
                                 "of its height and width.")
def _(feature, box, size):
    return _mean_of(_read(feature, *_points(box, size, feature.shape, (1 / 3, 2 / 3))), size)


@right.roi_align_forward.mistake("A narrow box keeps its width. One that is narrower or lower than a cell counts as "
                                 "one cell: `max(x2 - x1, 1)`.")
def _(feature, box, size):
    return _mean_of(_read(feature, *_points(box, size, feature.shape, least=0)), size)


@right.roi_align_forward.mistake("A bin's height is the box's height / Q. `size` is (P, Q), rows and columns: P goes "
                                 "with the height, Q with the width.")
def _(feature, box, size):
    wide_and_high = np.maximum(_sides(box), 1) * np.divide(size[::-1], size)
    points = _points(np.concatenate([box[:2], box[:2] + wide_and_high]), size, feature.shape, least=0)
    return _mean_of(_read(feature, *points), size)


@right.roi_align_forward.mistake("The nearer a cell is, the less it counts. The weights are the wrong way round: the "
                                 "row above has 1 - fy, the one below fy.")
def _(feature, box, size):
    rows, columns = _points(box, size, feature.shape)
    rows, columns = (2 * np.floor(points) + 1 - points for points in (rows, columns))
    return _mean_of(_read(np.pad(feature, ((0, 1), (0, 1)), mode="edge"), rows, columns), size)


@right.roi_align_forward.mistake("Beyond the last row or column there are zeros. Points that lie there are moved onto "
                                 "it: min(y, H - 1), min(x, W - 1).")
def _(feature, box, size):
    return right.roi_align_forward.reference(np.pad(feature, ((0, 1), (0, 1))), box, size)


# ---- RoIAlign backward ----


@right.roi_align_backward.mistake("What a point writes wipes out what others have left in a cell. A cell that is read "
                                  "several times gets the sum: `+=`.")
def _(dy, shape, box):
    dfeature, (rows, columns) = np.zeros(shape), _points(box, dy.shape, shape)
    for (p, row), (q, column) in ((a, b) for a in enumerate(rows) for b in enumerate(columns)):
        for i, fy in _neighbors(row, shape[0]):
            for j, fx in _neighbors(column, shape[1]):
                dfeature[i, j] = fy * fx * dy[p // 2, q // 2] / 4
    return dfeature


def _neighbors(place, cells):
    low = int(place)
    return (low, 1 - (place - low)), (min(low + 1, cells - 1), place - low)


@right.roi_align_backward.mistake("Each of a bin's four points hands back the whole of dy. Forward averaged them, so "
                                  "each takes a quarter.")
def _(dy, shape, box):
    return 4 * right.roi_align_backward.reference(dy, shape, box)


@right.roi_align_backward.mistake("The cell that a point is in gets everything. Its four neighbors were read, each "
                                  "with its weight, and each gets dy times this weight.")
def _(dy, shape, box):
    dfeature, (rows, columns) = np.zeros(shape), _points(box, dy.shape, shape)
    cells = np.ix_(rows.astype(int), columns.astype(int))
    np.add.at(dfeature, cells, dy.repeat(2, axis=0).repeat(2, axis=1) / 4)
    return dfeature


@right.roi_align_backward.mistake("Half a cell is subtracted from the points (aligned=True). As in forward, cell "
                                  "(i, j) sits at y = i, x = j itself.")
def _(dy, shape, box):
    return right.roi_align_backward.reference(dy, shape, box - 0.5)


@right.roi_align_backward.mistake("x and y of the box have changed places. x is the column of the map, its second "
                                  "index.")
def _(dy, shape, box):
    return right.roi_align_backward.reference(dy, shape, box[[1, 0, 3, 2]])


# ---- pasting ----


def _stretched(mask, size):
    return ops.resize_bilinear(mask[:, :, None], size)[:, :, 0]


def _pasted(mask, box, image_size, beyond=1, stretch=_stretched):
    """The mask stretched over a box of whole numbers, `beyond` of them after the last, in an image of zeros."""
    (x1, y1, x2, y2), edge = box.astype(int), 100
    image = np.zeros(np.add(image_size, 2 * edge))
    image[edge + y1:edge + y2 + beyond, edge + x1:edge + x2 + beyond] = stretch(
        mask, (y2 - y1 + beyond, x2 - x1 + beyond))
    return image[edge:-edge, edge:-edge]


def _grown(mask, box):
    center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * (len(mask) + 2) / len(mask)
    return np.concatenate([center - half, center + half])


@right.paste_mask.mistake("The mask is stretched over its own box, without a border. Put the border of zeros around "
                          "it, and let the box grow with it.")
def _(mask, box, image_size):
    return _pasted(mask, box, image_size)


@right.paste_mask.mistake("The mask has its border, but the box has not grown, so the object shrinks. The box grows "
                          "about its center by (M + 2) / M.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), box, image_size)


@right.paste_mask.mistake("The last row and column are missing. In whole numbers both ends belong to the box: it is "
                          "x2 - x1 + 1 pixels wide.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _grown(mask, box), image_size, beyond=0)


@right.paste_mask.mistake("x and y of the box have changed places. It is (x1, y1, x2, y2), while an image is indexed "
                          "[y, x].")
def _(mask, box, image_size):
    return right.paste_mask.reference(mask, box[[1, 0, 3, 2]], image_size)


@right.paste_mask.mistake("The grown box is rounded to the nearest whole numbers. It is cut toward zero, as `int` "
                          "does.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), np.round(_grown(mask, box)), image_size)


@right.paste_mask.mistake("The grown box is rounded down. It is cut toward zero, as `int` does: -5.25 becomes -5.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), np.floor(_grown(mask, box)), image_size)


@right.paste_mask.mistake("The box grows from its upper left corner. It grows about its center, to all sides alike.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _grown(mask, box) + np.tile(box[:2] - _grown(mask, box)[:2], 2), image_size)


@right.paste_mask.mistake("The box is cut to the image first, and the mask is squeezed into what is left. Stretch it "
                          "over the whole grown box, then leave off what falls outside.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _within(_grown(mask, box).astype(int), np.array(image_size) - 1), image_size)


@right.paste_mask.mistake("The box is cut to the image before it grows. Let it grow as it is, stretch the mask over "
                          "it, and leave off at the end what falls outside.")
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _grown(mask, _within(box, image_size)), image_size)


def _within(box, limits):
    return np.clip(box, 0, [*limits[::-1], *limits[::-1]])


turned = right.paste_mask.mistake(
    "The image is as wide as it should be high. image_size is (height, width), as an array's shape is.")


@turned
def _(mask, box, image_size):
    return right.paste_mask.reference(mask, box, image_size[::-1])


@turned
def _(mask, box, image_size):
    return right.paste_mask.reference(mask, box, image_size).T


binary = right.paste_mask.mistake(
    "The pasted mask holds only 0 and 1. It keeps its probabilities: a threshold comes later, and is the caller's.")


@binary
def _(mask, box, image_size):
    return right.paste_mask.reference(mask, box, image_size) >= 0.5


@binary
def _(mask, box, image_size):
    return right.paste_mask.reference(mask, box, image_size) > 0.5


nearest = right.paste_mask.mistake(
    "Each pixel takes the nearest of the mask's numbers. The mask is stretched bilinearly: between two, both count.")


@nearest
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _grown(mask, box), image_size, stretch=_nearest)


@nearest
def _(mask, box, image_size):
    return _pasted(np.pad(mask, 1), _grown(mask, box), image_size, stretch=lambda mask, size: _nearest(mask, size, 0))


def _nearest(mask, size, middle=0.5):
    rows, columns = (((np.arange(n) + middle) * len(mask) / n).astype(int) for n in size)
    return mask[np.ix_(rows, columns)]
