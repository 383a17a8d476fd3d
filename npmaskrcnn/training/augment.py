"""Augmentation: more pictures out of the same pictures.

A mirrored circle is a circle, a smaller triangle is a triangle. Showing the model such variants tells it
what does not matter. In detection the picture never changes alone: box, mask and pixels have to move
together, or the model learns from a lie. Every function here takes and returns all of them.

`zoom` keeps the size of the picture (it cuts, or fills with the mean color): the model resizes every
picture to its working size, so a picture that was merely enlarged would come out as it went in.

References: Ghiasi et al. 2021, "Simple copy-paste" (scale jitter with crop and pad).
"""

from dataclasses import fields

import numpy as np

from ..judge import judge_number
from ..ops import resize_bilinear, resize_nearest
from ..structures import Target, mask_extents

SMALLEST_ZOOM, LARGEST_ZOOM = 0.1, 10   # beyond these a picture is a dot, or a single object's inside
MIN_VISIBLE = 16  # pixels; what the cut leaves of an object has to be at least this large to teach anything


def augment(image, target, rng, flip=True, scale_jitter=None, quarter_turns=False):
    """Draw one variant of an image and its target.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray, or float in 0..1
    target : Target
    rng : np.random.Generator
    flip : bool
        Mirror left and right in half of the cases.
    scale_jitter : (smallest, largest) or None
        Zoom by a factor drawn evenly on a logarithmic scale, so that half and double are equally likely.
    quarter_turns : bool
        Turn by none, one, two or three quarters, for pictures that have no up and down.

    Returns
    -------
    image, target
        Of the same size, or height and width exchanged; not the caller's arrays where anything changed.
    """
    if flip and rng.random() < 0.5:
        image, target = flip_horizontal(image, target)
    if quarter_turns:
        for _ in range(rng.integers(4)):
            image, target = turn_left(image, target)
    if scale_jitter is not None:
        scale = float(np.exp(rng.uniform(*np.log(scale_jitter))))
        image, target = zoom(image, target, scale, rng.random(2))
    return image, target


def flip_horizontal(image, target):
    """Mirror an image and its target left and right.

    Pixel column i becomes column W - 1 - i; the coordinate x, which counts edges, becomes W - x.

    Parameters
    ----------
    image : (H, W, 3) ndarray
    target : Target

    Returns
    -------
    image, target
    """
    width = image.shape[1]
    x1, y1, x2, y2 = target.boxes.T
    boxes = np.stack([width - x2, y1, width - x1, y2], axis=1)
    masks = np.ascontiguousarray(target.masks[:, :, ::-1])
    target = Target.from_judged(boxes, target.labels, masks, target.is_crowd, target.area)
    return np.ascontiguousarray(image[:, ::-1]), target


def turn_left(image, target):
    """Turn an image and its target by a quarter, counterclockwise.

    What was at (x, y) is then at (y, W - x).

    Parameters
    ----------
    image : (H, W, 3) ndarray
    target : Target

    Returns
    -------
    image : (W, H, 3) ndarray
    target
    """
    width = image.shape[1]
    x1, y1, x2, y2 = target.boxes.T
    boxes = np.stack([y1, width - x2, y2, width - x1], axis=1)
    masks = np.ascontiguousarray(np.rot90(target.masks, axes=(1, 2)))
    target = Target.from_judged(boxes, target.labels, masks, target.is_crowd, target.area)
    return np.ascontiguousarray(np.rot90(image)), target


def zoom(image, target, scale, place=(0.5, 0.5)):
    """Enlarge or shrink an image and its target inside a frame of the same size.

    1. Resize everything by `scale`, each axis rounded to whole pixels.
    2. Cut out, or pad to, the old size; `place` says where.
    3. Drop objects of which fewer than 16 pixels remain. One that was cut gets the box of what remains.

    Parameters
    ----------
    image : (H, W, 3) uint8 ndarray, or float in 0..1
    target : Target
    scale : float
        From 0.1 to 10; over 1 enlarges.
    place : (float, float)
        Down and right, in 0..1: which part is cut out, or where the small picture is put. 0.5 is the middle.

    Returns
    -------
    image : (H, W, 3) float32 ndarray in 0..1
    target : Target
    """
    size, scale = image.shape[:2], judge_number(scale, "scale", SMALLEST_ZOOM, LARGEST_ZOOM)
    resized = tuple(max(1, round(side * scale)) for side in size)
    into, out_of = zip(*(_window(old, new, p) for old, new, p in zip(size, resized, place)))
    image = image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32)
    frame = np.full_like(image, image.mean(axis=(0, 1)))
    frame[into] = resize_bilinear(image, resized)[out_of]

    masks = np.zeros((len(target), *size), bool)
    if len(target):                                 # masks of no object may have no size
        masks[(slice(None), *into)] = resize_nearest(target.masks, resized)[(slice(None), *out_of)]
    height, width = size
    shift_y, shift_x = (i.start - o.start for i, o in zip(into, out_of))
    boxes = target.boxes * np.array([resized[1] / width, resized[0] / height] * 2, np.float32)
    boxes += np.array([shift_x, shift_y] * 2, np.float32)
    keep = masks.sum(axis=(1, 2)) >= MIN_VISIBLE
    boxes, masks = boxes[keep], masks[keep]
    is_cut = (boxes < 0).any(axis=1) | (boxes[:, 2] > width) | (boxes[:, 3] > height)
    boxes[is_cut] = mask_extents(masks[is_cut])
    area = masks.sum(axis=(1, 2)).astype(np.float64)
    return frame, Target.from_judged(boxes, target.labels[keep], masks, target.is_crowd[keep], area)


def without_crowds(target):
    """Leave out crowd objects: many things drawn as one, so there is no box that the model should find."""
    if not target.is_crowd.any():
        return target
    return Target.from_judged(*(getattr(target, field.name)[~target.is_crowd] for field in fields(target)))


def _window(old, new, place):
    """Along one axis: where in the frame of `old` pixels, and out of which of the `new` pixels, to copy."""
    length = min(old, new)
    start = int(place * (max(old, new) - length) + 0.5)
    at_start, shifted = slice(0, length), slice(start, start + length)
    return (at_start, shifted) if new > old else (shifted, at_start)
