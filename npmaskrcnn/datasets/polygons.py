"""From an outline to pixels: how a polygon of a COCO file becomes a mask.

A polygon has corners at fractions of a pixel, a mask has whole pixels, and somebody has to decide about
those on the border. Two programs that decide differently disagree by a ring of pixels around every object,
which for a small object is a good part of its area. So this file follows the rule of COCO's own tools to
the pixel:

1. The corners are put on a grid five times as fine as the pixels, rounded.
2. The outline is walked from corner to corner, one fine step at a time along the longer axis.
3. A step that crosses the middle of a pixel's column is kept; its height, back in pixels and rounded up,
   is where that column changes between outside and inside.
4. Down each column, outside and inside alternate at these changes (the even-odd rule: where an outline
   crosses itself, the part that is enclosed twice is outside).

Several polygons of one object are joined. So a second ring inside the first does not cut a hole; COCO
writes holes as run lengths (RLE). x to the right, y down; the pixel in column j covers x from j to j + 1.
"""

import functools

import numpy as np

from ..errors import InputError, warn
from ..judge import judge_count, judge_numbers

FINE = 5   # fine steps per pixel
# A walk of more fine steps than this (30 times around a photograph of 12 megapixels) is a damaged file.
MAX_STEPS = 2_000_000


def polygons_to_mask(polygons, height, width, name="segmentation"):
    """Rasterize the polygons of one object.

    Parameters
    ----------
    polygons : list of [x1, y1, x2, y2, x3, y3, ...]
        At least three corners each, in pixels.
    height, width : int
        Of the image; what reaches outside is cut off.
    name : str
        What messages call the polygons.

    Returns
    -------
    mask : (H, W) bool ndarray
        May be empty, for polygons that lie outside or are thinner than a pixel.

    Raises
    ------
    InputError
        If a polygon is none; see `judge_polygons`.

    Notes
    -----
    Equal to pycocotools' ``frPyObjects`` and ``merge`` (rleFrPoly).

    Examples
    --------
    >>> polygons_to_mask([[1, 1, 4, 1, 4, 3, 1, 3]], 4, 6).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    height, width = judge_count(height, f"{name}: height"), judge_count(width, f"{name}: width")
    masks = [_rasterize(corners, height, width, name) for corners in judge_polygons(polygons, name)]
    for i, inner in enumerate(masks):
        outside = [not (inner & ~outer).any() for j, outer in enumerate(masks) if j != i]
        if any(outside) and inner.any():
            warn(f"{name}: polygon {i} lies inside another of the same object; COCO joins polygons, "
                 "so it cuts no hole (holes are written as RLE)")
            break
    return functools.reduce(np.logical_or, masks)


def judge_polygons(polygons, name="segmentation"):
    """The polygons of one object as arrays, or an InputError that says which is none.

    Returns
    -------
    corners : list of (P, (x, y)) float64 ndarrays
    """
    if not isinstance(polygons, (list, tuple)) or not polygons:
        raise InputError(f"{name}: expected a list of polygons [[x1, y1, x2, y2, x3, y3, ...], ...]")
    if isinstance(polygons[0], dict):
        raise InputError(f"{name}: expected a list of polygons, got a list of objects; an RLE "
                         '{"size": ..., "counts": ...} stands there by itself, without brackets around it')
    if not isinstance(polygons[0], (list, tuple)):
        hint = ("; four numbers are a box: x, y, width, height?" if len(polygons) == 4
                else "; put one more pair of brackets around a single polygon")
        raise InputError(f"{name}: expected a list of polygons, got a list of numbers{hint}")
    return [_judge_corners(polygon, f"{name}: polygon {i}") for i, polygon in enumerate(polygons)]


def _judge_corners(polygon, name):
    """One polygon as (P, (x, y)) float64."""
    if not isinstance(polygon, (list, tuple)):
        raise InputError(f"{name} is {polygon!r:.40}, expected a list of numbers")
    if len(polygon) == 4:
        raise InputError(f"{name} has 4 numbers: two corners, or a box x, y, width, height? "
                         "A polygon has at least three corners")
    if len(polygon) % 2:
        raise InputError(f"{name} has {len(polygon)} numbers, expected pairs x, y; "
                         "counts of an RLE belong into {\"size\": ..., \"counts\": ...}")
    if len(polygon) < 6:
        raise InputError(f"{name} has {len(polygon) // 2} corners, expected at least three")
    return np.array(judge_numbers(polygon, name, len(polygon))).reshape(-1, 2)


def _rasterize(corners, height, width, name):
    """One polygon, (P, (x, y)), as an (H, W) bool mask, by the four steps at the top of this file."""
    u, v = _walk(corners, name)

    # The middle of column j lies between fine steps 5 j + 2 and 5 j + 3: crossed where u goes from one to the
    # other.
    left = np.minimum(u[1:], u[:-1])
    crossing = (u[1:] != u[:-1]) & (left % FINE == FINE // 2) & (left >= 0) & (left < FINE * width)
    column = left[crossing] // FINE
    top = (np.minimum(v[1:], v[:-1])[crossing] + 0.5) / FINE - 0.5
    row = np.ceil(np.clip(top, 0, height)).astype(np.int64)

    mask = np.zeros((height, width), bool)
    if len(column):
        first, last = column.min(), column.max() + 1                   # only these columns change
        changes = np.sort((column - first) * (height + 1) + row)       # column after column, one row more
        runs = np.diff(changes, prepend=0, append=(last - first) * (height + 1)).astype(np.intp)
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)        # outside, inside, outside, ...
        mask[:, first:last] = inside.reshape(last - first, height + 1)[:, :height].T
    return mask


def _walk(corners, name):
    """The closed outline in fine steps, (u, v) int64: one step along each edge's longer axis at a time."""
    with np.errstate(over="ignore"):     # a length beyond all floats is too long as well
        steps = FINE * np.abs(np.diff(corners, axis=0, append=corners[:1])).max(axis=1).sum()
    if max(steps, np.abs(corners).max()) > MAX_STEPS:
        raise InputError(f"{name}: a polygon reaches from {corners.min():g} to {corners.max():g} pixels; "
                         "these are no pixels of the image")
    # Truncation after + .5 rounds half up, but toward zero below zero: COCO's tools cast to int.
    fine = np.trunc(FINE * corners + 0.5)
    edges = np.stack([fine, np.roll(fine, -1, axis=0)], axis=1)    # (P, (start, end), (x, y))
    steep = np.abs(edges[:, 1] - edges[:, 0]).argmax(axis=1) == 1
    edges[steep] = edges[steep, :, ::-1]                    # now (longer axis, shorter axis)
    # An edge is always walked in the direction in which its longer axis grows, so that rounding does not
    # depend on the direction of the outline, and put down in the outline's order.
    backward = edges[:, 0, 0] > edges[:, 1, 0]
    edges[backward] = edges[backward, ::-1]
    span, rise = (edges[:, 1] - edges[:, 0]).T
    slope = rise / np.maximum(span, 1)                      # span 0: a corner given twice

    num_points = span.astype(np.intp) + 1                   # what np.repeat counts in, on every system
    edge = np.repeat(np.arange(len(span)), num_points)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(num_points) - num_points, num_points)
    step = np.where(backward[edge], span[edge] - step, step)
    along = edges[:, 0, 0][edge] + step
    across = np.trunc(edges[:, 0, 1][edge] + slope[edge] * step + 0.5)
    u, v = np.where(steep[edge], across, along), np.where(steep[edge], along, across)
    return u.astype(np.int64), v.astype(np.int64)
