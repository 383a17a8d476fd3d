"""How a target is judged: boxes, labels, flags, areas and masks, one section each.

A box with its width where x2 should be, labels that count from 0, masks that were smoothed when they were
saved: each of these trains without complaint and learns nothing. The functions here say so before the
first step. `Target` calls them in order; each returns its array in the form that the package computes
with, or raises an `InputError` that names the target, the object, the value and what would do.

N objects, H, W height and width of the image; `name` is what messages call the target.
"""

import numpy as np

from .errors import InputError, warn
from .judge import judge_array
from .plain.boxes import box_iou
from .words import short

# Below this IoU a box and the extent of its mask are taken to speak of different things.
BOX_MASK_IOU = 0.5


# ---- boxes ----

def as_boxes(boxes, name):
    """(N, 4) float32, a copy."""
    given = judge_array(boxes, f"{name}: boxes", "an (N, 4) array of numbers x1, y1, x2, y2")
    with np.errstate(over="ignore"):   # too large for float32 becomes inf, which is refused below
        cast = np.array(given, np.float32)
    if cast.size == 0 and cast.shape in ((0,), (0, 4), (1, 0)):
        return cast.reshape(0, 4)
    if cast.ndim != 2 or cast.shape[1] != 4:
        hint = "; one box is boxes[None]" if cast.shape == (4,) else ""
        raise InputError(f"{name}: boxes must have shape (N, 4), got {cast.shape}{hint}")
    if (i := _first(~np.isfinite(cast).all(axis=1))) is not None:
        raise InputError(f"{name}: box {i} is {_shown(cast[i])}; coordinates must be finite")
    return cast


def judge_boxes(boxes, extents, size, name):
    """Boxes inside the image, after refusing what cannot be one and warning of what looks wrong."""
    height, width = size
    x1, y1, x2, y2 = boxes.T
    hint = _other_reading(boxes, extents)
    flat = (x2 <= x1) | (y2 <= y1)
    if (i := _first(flat)) is not None:
        fault = "has x2 < x1 or y2 < y1" if x2[i] < x1[i] or y2[i] < y1[i] else "has no area"
        raise InputError(f"{name}: box {i} {_shown(boxes[i])} {fault} ({flat.sum()} of {len(boxes)} boxes); "
                         f"expected x1, y1, x2, y2{hint}")
    if boxes.max() <= 1 < max(size) and not (extents <= 1).all():
        raise InputError(f"{name}: all box coordinates are at most 1 in an image of {width} x {height} "
                         "pixels; normalized boxes? multiply x by the width and y by the height")
    if (i := _first((x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0))) is not None:
        raise InputError(f"{name}: box {i} {_shown(boxes[i])} lies outside the image of "
                         f"{width} x {height} pixels (width x height){hint}")
    clipped = np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))
    overlap = _paired_iou(clipped, extents)
    changed, strange = (clipped != boxes).any(axis=1), overlap < BOX_MASK_IOU
    hint = hint if strange.any() else ""
    if (i := _first(changed)) is not None:
        warn(f"{name}: box {i} {_shown(boxes[i])} reaches outside the image of {width} x {height} pixels "
             f"({changed.sum()} of {len(boxes)} boxes); clipped to the image{hint}")
    if (i := _first(strange)) is not None:
        warn(f"{name}: box {i} {_shown(boxes[i])} does not fit its mask, which spans {_shown(extents[i])} "
             f"(IoU of the two {overlap[i]:.2f}; {strange.sum()} of {len(boxes)} boxes){hint}")
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
    """IoU of box i with box i."""
    with np.errstate(invalid="ignore", divide="ignore"):    # of what is no box at all: not a number, or 0
        return box_iou(boxes1.astype(np.float64), boxes2.astype(np.float64)).diagonal()


# ---- labels, flags, areas ----

def as_labels(labels, name):
    """(N,) int64, all at least 1."""
    given = judge_array(labels, f"{name}: labels", "integers")
    if given.ndim != 1:
        raise InputError(f"{name}: labels must have shape (N,), got {given.shape}")
    if (i := _first(~((given >= 1) & (given < 2**31) & (given == np.floor(given))))) is not None:   # NaN is wrong too
        value = given[i].item()
        reason = ("0 is the background, which is no object; classes count from 1" if value == 0
                  else "labels are whole numbers from 1 up")
        raise InputError(f"{name}: object {i} has label {value}; {reason}")
    return given.astype(np.int64)


def as_flags(is_crowd, count, name):
    """(N,) bool."""
    if is_crowd is None:
        return np.zeros(count, bool)
    expected = f"{count} times True or False"
    given = judge_array(is_crowd, f"{name}: is_crowd", expected, kinds="biuf")
    if given.shape != (count,) or not np.isin(given, (0, 1)).all():
        raise InputError(f"{name}: is_crowd must be {expected}, got {short(given)}")
    return given.astype(bool)


def as_area(area, masks, name):
    """(N,) float64; what is missing or zero is counted from the mask."""
    given = np.zeros(len(masks)) if area is None else judge_array(area, f"{name}: area", f"{len(masks)} numbers")
    given = given.astype(np.float64)
    if given.shape != (len(masks),):
        raise InputError(f"{name}: area must be {len(masks)} numbers, got {short(given)}")
    if (i := _first(~(np.isfinite(given) & (given >= 0)))) is not None:
        raise InputError(f"{name}: object {i} has area {given[i]}; it must be a positive number")
    for i in np.flatnonzero(given == 0):
        given[i] = np.count_nonzero(masks[i])
    return given


# ---- masks ----

def as_masks(masks, count, name):
    """(N, H, W) bool, a copy."""
    given = judge_array(masks, f"{name}: masks", "bool, 0/1 or 0/255", kinds="biuf")
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

def _first(flags):
    """The index of the first that is True, or None."""
    return int(np.argmax(flags)) if flags.any() else None


def _shown(row):
    return "(" + ", ".join(f"{value:g}" for value in row.tolist()) + ")"
