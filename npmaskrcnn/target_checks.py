"""How a target is judged: boxes, labels, flags, areas and masks, one section each.

A box with its width where x2 should be, labels that count from 0, masks that were smoothed when they were
saved: each of these trains without complaint and learns nothing. The functions here say so before the
first step. `Target` calls them in order; each returns its array in the form that the package computes
with, or raises an `InputError` that names the target, the object, the value and what would do.

N objects, H, W height and width of the image; `name` is what messages call the target.
"""

import warnings

import numpy as np

from .errors import InputError, InputWarning

# Below this IoU a box and the extent of its mask are taken to speak of different things.
BOX_MASK_IOU = 0.5


# ---- boxes ----

def as_boxes(boxes, name):
    """(N, 4) float32, a copy."""
    try:
        given = np.asarray(boxes)
    except ValueError:   # ragged
        given = np.array(None)
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name}: boxes must be an (N, 4) array of numbers x1, y1, x2, y2, "
                         f"got {_what(boxes)}")
    with np.errstate(over="ignore"):   # too large for float32 becomes inf, which is refused below
        cast = np.array(given, np.float32)
    if cast.size == 0 and cast.shape in ((0,), (0, 4), (1, 0)):
        return cast.reshape(0, 4)
    if cast.ndim != 2 or cast.shape[1] != 4:
        hint = "; one box is boxes[None]" if cast.shape == (4,) else ""
        raise InputError(f"{name}: boxes must have shape (N, 4), got {cast.shape}{hint}")
    finite = np.isfinite(cast).all(axis=1)
    if not finite.all():
        index = int(np.argmin(finite))
        raise InputError(f"{name}: box {index} is {_numbers(cast[index])}; coordinates must be finite")
    return cast


def judge_boxes(boxes, extents, size, name):
    """Boxes inside the image, after refusing what cannot be one and warning of what looks wrong."""
    height, width = size
    x1, y1, x2, y2 = boxes.T
    flat = (x2 <= x1) | (y2 <= y1)
    if flat.any():
        index = int(np.argmax(flat))
        inverted = x2[index] < x1[index] or y2[index] < y1[index]
        fault = "has x2 < x1 or y2 < y1" if inverted else "has no area"
        hint = _other_reading(boxes, extents)
        raise InputError(f"{name}: box {index} {_numbers(boxes[index])} {fault} "
                         f"({flat.sum()} of {len(boxes)} boxes); expected x1, y1, x2, y2{hint}")
    if boxes.max() <= 1 < max(size) and not (extents <= 1).all():
        raise InputError(f"{name}: all box coordinates are at most 1 in an image of {width} x {height} "
                         "pixels; normalised boxes? multiply x by the width and y by the height")
    outside = (x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0)
    if outside.any():
        index = int(np.argmax(outside))
        hint = _other_reading(boxes, extents)
        raise InputError(f"{name}: box {index} {_numbers(boxes[index])} lies outside the image of "
                         f"{width} x {height} pixels (width x height){hint}")
    clipped = np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))
    changed = (clipped != boxes).any(axis=1)
    overlap = _paired_iou(clipped, extents)
    hint = _other_reading(boxes, extents) if overlap.min() < BOX_MASK_IOU else ""
    if changed.any():
        index = int(np.argmax(changed))
        _warn(f"{name}: box {index} {_numbers(boxes[index])} reaches outside the image of {width} x {height} "
              f"pixels ({changed.sum()} of {len(boxes)} boxes); clipped to the image{hint}")
    if overlap.min() < BOX_MASK_IOU:
        index = int(np.argmin(overlap))
        _warn(f"{name}: box {index} {_numbers(boxes[index])} does not fit its mask, which spans "
              f"{_numbers(extents[index])} (IoU of the two {overlap[index]:.2f}; "
              f"{(overlap < BOX_MASK_IOU).sum()} of {len(boxes)} boxes){hint}")
    return clipped


def _other_reading(boxes, extents):
    """A hint, if most boxes would fit their masks when read in another of the usual ways."""
    x, y, w, h = boxes.T.astype(np.float64)   # float64: w * h of a wrong box can be anything
    readings = {"x, y, width, height": np.stack([x, y, x + w, y + h], axis=1),
                "y1, x1, y2, x2": np.stack([y, x, h, w], axis=1)}
    for words, reading in readings.items():
        if (_paired_iou(reading, extents) >= BOX_MASK_IOU).sum() > len(boxes) / 2:
            return f"; this looks like {words}"
    return ""


def _paired_iou(boxes1, boxes2):
    """IoU of box i with box i; a box without area has 0."""
    boxes1, boxes2 = boxes1.astype(np.float64), boxes2.astype(np.float64)
    overlap = np.minimum(boxes1[:, 2:], boxes2[:, 2:]) - np.maximum(boxes1[:, :2], boxes2[:, :2])
    overlap = np.maximum(overlap, 0).prod(axis=1)
    union = sum(np.maximum(b[:, 2:] - b[:, :2], 0).prod(axis=1) for b in (boxes1, boxes2)) - overlap
    return overlap / np.maximum(union, np.finfo(np.float32).tiny)


# ---- labels, flags, areas ----

def as_labels(labels, name):
    """(N,) int64, all at least 1."""
    given = _array(labels, "labels", name)
    if given.ndim != 1:
        raise InputError(f"{name}: labels must have shape (N,), got {given.shape}")
    if given.size == 0:
        return np.zeros(0, np.int64)
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name}: labels must be integers, got {given.dtype}")
    wrong = ~((given >= 1) & (given < 2**31) & (given == np.floor(given)))   # NaN is wrong too
    if wrong.any():
        index = int(np.argmax(wrong))
        value = given[index].item()
        reason = ("0 is the background, which is no object; classes count from 1" if value == 0
                  else "labels are whole numbers from 1 up")
        raise InputError(f"{name}: object {index} has label {value}; {reason}")
    return given.astype(np.int64)


def as_flags(is_crowd, count, name):
    """(N,) bool."""
    if is_crowd is None:
        return np.zeros(count, bool)
    given = _array(is_crowd, "is_crowd", name)
    if given.shape != (count,) or not np.isin(given, (0, 1)).all():
        raise InputError(f"{name}: is_crowd must be {count} times True or False, got {_what(given)}")
    return given.astype(bool)


def as_area(area, masks, name):
    """(N,) float64; what is missing or zero is counted from the mask."""
    if area is None:
        return _count_pixels(masks)
    given = _array(area, "area", name)
    if given.shape != (len(masks),) or (given.size and given.dtype.kind not in "iuf"):
        raise InputError(f"{name}: area must be {len(masks)} numbers, got {_what(given)}")
    given = given.astype(np.float64)
    wrong = ~(np.isfinite(given) & (given >= 0))
    if wrong.any():
        index = int(np.argmax(wrong))
        raise InputError(f"{name}: object {index} has area {given[index]}; it must be a positive number")
    missing = given == 0
    if missing.any():
        given[missing] = _count_pixels(masks[missing])
    return given


def _count_pixels(masks):
    return np.array([np.count_nonzero(mask) for mask in masks], np.float64)


# ---- masks ----

def as_masks(masks, count, name):
    """(N, H, W) bool, a copy."""
    given = _array(masks, "masks", name)
    if given.size == 0 and given.shape[:1] in ((0,), ()) and count == 0:
        return np.zeros(given.shape if given.ndim == 3 else (0, 0, 0), bool)
    if given.ndim != 3:
        hint = {2: "; one mask is masks[None], a map of object numbers needs masks_from_label_map",
                4: "; drop the axis of length 1"}.get(given.ndim, "")
        raise InputError(f"{name}: masks must have shape (N, H, W), got {given.shape}{hint}")
    if given.shape[0] != count and given.shape[2] == count:
        raise InputError(f"{name}: masks must have shape (N, H, W) with N = {count} as there are boxes, got "
                         f"{given.shape}; this looks like (H, W, N): np.moveaxis(masks, -1, 0)")
    if given.dtype == bool:
        return given.copy()
    if given.dtype.kind not in "iuf":
        raise InputError(f"{name}: masks must be bool, 0/1 or 0/255, got {given.dtype}")
    top = 255 if given.size and given.max() == 255 else 1
    on = given == top
    if not (on | (given == 0)).all():
        values = np.unique(given)
        shown = ", ".join(str(v.item()) for v in values[:6]) + (", ..." if len(values) > 6 else "")
        raise InputError(f"{name}: masks hold {len(values)} different values ({shown}); expected bool, 0/1 "
                         "or 0/255. Smoothed edges or JPEG? Save masks as PNG without smoothing. "
                         "Object numbers? masks_from_label_map")
    return on


def judge_mask_size(shape, image_size, name):
    """Masks (N, H, W) against the image's (height, width)."""
    if shape[1:] == image_size:
        return
    hint = ""
    if shape[:2] == image_size:
        hint = "; this looks like (H, W, N): np.moveaxis(masks, -1, 0)"
    elif shape[1:] == image_size[::-1]:
        hint = "; height and width look swapped (or the image was turned by its EXIF orientation)"
    raise InputError(f"{name}: masks have {shape[1]} x {shape[2]} pixels (height x width), "
                     f"the image has {image_size[0]} x {image_size[1]}{hint}")


# ---- words ----

def _array(value, what, name):
    """`value` as an array, with a readable error if it is ragged."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {what} do not form an array: {_what(value)}") from None


def _what(value):
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}, {value.dtype}"
    if isinstance(value, (list, tuple)):
        kinds = sorted({type(item).__name__ for item in value})
        return f"a {type(value).__name__} of {len(value)} ({', '.join(kinds)})"
    return type(value).__name__


def _numbers(row):
    return "(" + ", ".join(f"{value:g}" for value in row.tolist()) + ")"


def _warn(message):
    # Up to the caller of Target(...): _warn, judge_boxes, __post_init__, __init__.
    warnings.warn(message, InputWarning, stacklevel=5)
