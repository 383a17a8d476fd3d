"""Detections as a file: COCO's results format, which every COCO tool reads.

A results file is one list; each entry is one detection: ``{"image_id", "category_id", "bbox": [x, y, width,
height], "score", "segmentation": RLE}``, with the ids of the annotation file it belongs to. Masks in it
are yes or no, so probabilities are thresholded on the way out, and do not come back.

An entry may also name its picture and its class (``file_name``, ``category_name``), as ``npmaskrcnn detect``
does, which sees no annotation file and so numbers pictures and classes in its own way. Names win over numbers.
A file may hold boxes alone or masks alone, as COCO's own results files do.
"""

import json
import os
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import NamedTuple

import numpy as np

from .. import rle
from ..detection_checks import judge_detections
from ..errors import InputError, warn
from ..files import atomic_writer, read_json
from ..judge import judge_number, judge_numbers, refusal
from ..structures import Detections, MaskSequence, as_corners
from ..words import short
from .coco_json import fits_along_rows, is_normalized, listing, one_spelling, other_kind

LARGEST = 1e30      # of a score or a coordinate: it and its sums fit into a float32


def detections_to_coco(detections, image_ids, category_ids=None, mask_threshold=0.5):
    """Detections as the entries of a COCO results file.

    Parameters
    ----------
    detections : list of Detections
        One for each image. If none of them has masks, the entries have no ``segmentation``.
    image_ids : list
        The images' ids, in the same order; `dataset.image_ids`.
    category_ids : sequence, optional
        ``category_ids[label]`` is written for a label; `dataset.category_ids`. By default the label itself.
    mask_threshold : float
        A pixel belongs to the mask if its probability is above this.

    Returns
    -------
    entries : list of dict
        Ready for `json.dump`.
    """
    judge_number(mask_threshold, "mask_threshold", 0, below=1)
    for values, name in ((detections, "detections"), (image_ids, "image_ids")):
        if not hasattr(values, "__len__"):
            raise refusal(name, "a list", values)
    if len(detections) != len(image_ids):
        raise InputError(f"detections: {len(detections)} for {len(image_ids)} images, expected one for each")
    entries, has_masks = [], any(getattr(found, "masks", None) is not None for found in detections)
    names = None if category_ids is None else [f"category {category_id}" for category_id in category_ids[1:]]
    for i, (image_id, found) in enumerate(zip(map(_plain, image_ids), detections, strict=True)):
        if not isinstance(image_id, (int, str)):
            raise refusal(f"image_ids[{i}]", "a whole number or a text", image_id)
        found = judge_detections(found, f"detections[{i}]", names, needs_masks=has_masks)
        for k, label in enumerate(found.labels.astype(np.int64).tolist()):
            entries.append({
                "image_id": image_id,
                "category_id": label if category_ids is None else _plain(category_ids[label]),
                "bbox": _bbox(found, k),
                "score": _shortest(found.scores[k]) if found.xywh is None else float(found.exact_scores[k]),
            })
            if has_masks:
                mask = found.masks[k]
                entries[-1]["segmentation"] = rle.encode(mask if mask.dtype == bool else mask > mask_threshold)
    return entries


def _bbox(found, k):
    """``[x, y, width, height]`` of detection `k`: as the file had it that it comes from, if it does."""
    if found.xywh is not None:
        return found.xywh[k].tolist()
    x1, y1, x2, y2 = map(_shortest, found.boxes[k])     # x2 - x1 is not rounded: it must give x2 again
    return [x1, y1, x2 - x1, y2 - y1]


def _plain(value):
    """A number of NumPy's as Python's, which JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


def write_detections(path, detections, image_ids, category_ids=None, mask_threshold=0.5):
    """Write `detections_to_coco` to a JSON file, one detection a line."""
    write_entries(path, detections_to_coco(detections, image_ids, category_ids, mask_threshold))


def write_entries(path, entries):
    """Write the entries of a results file, one a line."""
    with atomic_writer(path) as file:
        file.write(("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n").encode("utf-8"))


def read_detections(path, dataset):
    """A COCO results file as detections for every image of a dataset.

    Parameters
    ----------
    path : str or path
    dataset : CocoDataset or ShapesDataset
        That the results are for: its `image_ids`, `category_ids` and `size(i)`. Entries with a ``file_name`` or a
        ``category_name`` go by these, against `file_names` and `class_names`. A path and a file name belong together
        if one ends with the other (``photos/val/1.png`` with ``val/1.png``); several that do are told apart by where
        the dataset's pictures are, or refused.

    Returns
    -------
    detections : Results
        A sequence of Detections, one for each image in the dataset's order, best first; masks are a `MaskSequence` of
        (H, W) bool arrays. Of a file with boxes alone masks are None; in one with masks alone, the box of a mask is its
        extent.

    Raises
    ------
    InputError
        With the path and the entry: for ids and names that the dataset does not have, and for wrong fields.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of detections, got a {type(entries).__name__}")
    picture_of, class_of = _Pictures(dataset), _Classes(dataset)
    # No entry at all: nothing was found, in boxes and in masks.
    has_masks = not entries or any(isinstance(entry, dict) and entry.get("segmentation") for entry in entries)
    per_image = [[] for _ in dataset.image_ids]
    for position, entry in enumerate(entries):
        name = f"{path}: detection {position}"
        if not isinstance(entry, dict):
            raise InputError(f"{name}: expected an object, got {type(entry).__name__}")
        index, label = picture_of(entry, name), class_of(entry, name)
        segmentation, extent = _read_mask(entry, dataset.size(index), name) if has_masks else (None, None)
        score = judge_number(entry.get("score"), f"{name}: score")
        _judge_magnitude([score], f"{name}: score")
        per_image[index].append(_Found(score, label, _read_box(entry, extent, name), segmentation, extent))
    sizes = [dataset.size(i) for i in range(len(per_image))]
    _warn_of_other_meanings([(one, size) for found, size in zip(per_image, sizes, strict=True) for one in found], path)
    return Results(per_image, sizes, has_masks)


class _Found(NamedTuple):
    """One entry of a results file, judged."""
    score: float
    label: int
    xywh: tuple
    segmentation: dict      # RLE; None in a file without masks
    extent: tuple           # of the mask, (x1, y1, x2, y2); None likewise


class Results(Sequence):
    """The detections of a results file, one `Detections` for each image; a mask is unfolded when it is asked for.

    Attributes
    ----------
    has_masks : bool
        False for a file with boxes alone: ``evaluate(dataset, results, iou_types="bbox")``.
    """

    def __init__(self, per_image, sizes, has_masks):
        # The sort is stable: equal scores stay in the file's order.
        self._per_image = [sorted(found, key=lambda one: -one.score) for found in per_image]
        self._sizes, self.has_masks = sizes, has_masks

    def __len__(self):
        return len(self._per_image)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        found, masks = self._per_image[index], None
        if self.has_masks:
            masks = encoded_masks([one.segmentation for one in found], self._sizes[index])
        xywh = np.array([one.xywh for one in found], np.float64).reshape(-1, 4)
        scores = np.array([one.score for one in found], np.float64)
        detections = Detections(as_corners(xywh), np.array([one.label for one in found], np.int64),
                                scores.astype(np.float32), masks)
        detections.xywh, detections.exact_scores = xywh, scores
        return detections


def encoded_masks(codes, size):
    """The masks of run lengths that have been judged, for an image of `size` (height, width), as a `MaskSequence`."""
    return MaskSequence(lambda row: rle.decode(codes[row]), range(len(codes)), size, bool)


# ---- one entry ----

def _judge_magnitude(numbers, name):
    """Return numbers, or raise InputError for one that no float32 can hold."""
    for number in numbers:
        if abs(number) > LARGEST:
            raise refusal(name, f"from {-LARGEST:g} to {LARGEST:g}", number)
    return numbers


def _read_mask(entry, size, name):
    """The run lengths of an entry, judged, and the extent of the mask."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        raise InputError(f"{name}: segmentation: expected an RLE {{\"size\": ..., \"counts\": ...}} by itself, got a "
                         f"list, {short(segmentation)}")
    if not segmentation:
        raise InputError(f"{name}: has no segmentation, and other detections of the file have one; expected masks for "
                         "all, or for none")
    return segmentation, rle.extent(segmentation, f"{name}: segmentation: RLE", size)


def _read_box(entry, extent, name):
    """The box of an entry, ``(x, y, width, height)``; if it has none the extent of its mask."""
    bbox = entry.get("bbox")
    if extent is not None and (bbox is None or bbox == []):
        x1, y1, x2, y2 = extent
        return x1, y1, x2 - x1, y2 - y1
    if bbox is None:
        raise InputError(f"{name}: has no bbox and no segmentation; expected one of them at least")
    x, y, w, h = _judge_magnitude(judge_numbers(bbox, f"{name}: bbox", 4), f"{name}: bbox")
    if w < 0 or h < 0:
        raise InputError(f"{name}: bbox is {bbox!r:.60}, expected x, y, width, height, no side below 0")
    return x, y, w, h


def _warn_of_other_meanings(found, path):
    """Warn if the boxes of a file, of `found` ``(entry, size of its image)``, look like something else than they are.

    One detection may be as wrong as it likes; if all of them mean another thing, the figures say nothing.
    """
    if not found:
        return
    if all(is_normalized(one.xywh) and max(size) > 1 for one, size in found):
        warn(f"{path}: every bbox has only numbers from 0 to 1, expected pixels; normalized? Multiply x and width by "
             "the image's width, and y and height by its height")
        return
    boxes, sizes = np.array([one.xywh for one, _ in found]), np.array([size[::-1] for _, size in found])
    position, side = boxes[:, :2], boxes[:, 2:]
    could_be = ((side >= position) & (side <= sizes + 1)).all()
    does_not_fit = (position + side > sizes + 1).any()
    if found[0][0].extent is not None:      # nearer to the masks than the boxes that they are taken for?
        extents = np.array([one.extent for one, _ in found])
        as_corners_off = np.abs(boxes - extents).max(axis=1)
        off = np.abs(np.append(position, position + side, axis=1) - extents).max(axis=1)
        does_not_fit = (off > 2 * as_corners_off + 2).mean() > .5
        misfits = [one for (one, _), distance in zip(found, off, strict=True) if distance > 2]
        if len(misfits) > len(found) / 2 and all(fits_along_rows(one.xywh, one.segmentation) for one in misfits[:20]):
            warn(f"{path}: the RLEs fit their bbox only if their runs go along the rows; COCO's go down the columns, "
                 "one after the other: encode the masks in that order")
            return
    if could_be and does_not_fit:
        warn(f"{path}: every bbox can be read as corners x1, y1, x2, y2, and as x, y, width, height they do not fit "
             f"their {'images' if found[0][0].extent is None else 'masks'}; expected x, y, width, height")


# ---- whose entry it is ----

class _Classes:
    """Finds the label of an entry: by its ``category_name`` if it has one, or else by its ``category_id``."""

    def __init__(self, dataset):
        labels = range(1, len(dataset.category_ids))
        names = getattr(dataset, "class_names", None)
        self.by_id = {dataset.category_ids[label]: label for label in labels}
        self.by_name = {} if names is None else {names[label]: label for label in labels}

    def __call__(self, entry, what):
        if entry.get("category_name") is None:
            return _look_up(entry.get("category_id"), self.by_id, f"{what}: category_id")
        return _look_up(entry["category_name"], self.by_name, f"{what}: category_name")


class _Pictures:
    """Finds the image of an entry: by its ``file_name`` if it has one, or else by its ``image_id``."""

    def __init__(self, dataset):
        self.by_id = {image_id: number for number, image_id in enumerate(dataset.image_ids)}
        self.names = list(getattr(dataset, "file_names", ()))
        paths = map(dataset.path, range(len(self.names))) if callable(getattr(dataset, "path", None)) else ()
        self.by_path = {os.path.abspath(path): number for number, path in enumerate(paths) if path is not None}
        self.by_base = {}
        for number, name in enumerate(self.names):
            self.by_base.setdefault(_parts(name)[0], []).append(number)
        self.spellings = {}     # as the entries name what was found: two pictures must not become one

    def __call__(self, entry, what):
        written, what_name = entry.get("file_name"), f"{what}: file_name"
        if written is None:
            return _look_up(entry.get("image_id"), self.by_id, f"{what}: image_id")
        if not isinstance(written, str) or not _parts(written):
            raise refusal(what_name, "a text, the name of a picture", written)
        found = self.by_path.get(os.path.abspath(written))
        if found is None:
            found = self._by_name(written, what_name)
        if self.spellings.setdefault(found, written) != written:
            raise InputError(f"{what_name} {written!r} and {self.spellings[found]!r} are both taken for "
                             f"the dataset's {self.names[found]!r}")
        return found

    def _by_name(self, written, what):
        parts = _parts(written)
        similar = self.by_base.get(parts[0], [])
        fitting = [number for number in similar if _end_alike(parts, _parts(self.names[number]))]
        if not fitting:     # of a path on somebody's disk only the last part is the same on another's
            fitting = [number for number in similar if PureWindowsPath(self.names[number]).anchor]
        equal = [number for number in fitting if _parts(self.names[number]) == parts]
        if len(equal or fitting) == 1:
            return (equal or fitting)[0]
        shown = listing([self.names[number] for number in fitting or similar] or self.names)
        if not fitting:
            raise InputError(f"{what} is {written!r}, the dataset has {shown}")
        raise InputError(f"{what} {written!r} fits {len(fitting)} images of the dataset, {shown}: write one of these, "
                         "give the folder of the images (--images, image_dir), or leave it out and go by image_id")


def _end_alike(parts, others):
    """Whether one path ends with the other, part by part."""
    return all(a == b for a, b in zip(parts, others))       # which stops at the end of the shorter


def _parts(name):
    """The parts of a path from its end, ``photos/a/1.PNG`` as ``("1.png", "a", "photos")``, in one spelling."""
    return tuple(reversed(PureWindowsPath(one_spelling(name)).parts))


def _look_up(value, table, name):
    if isinstance(value, (int, float, str)) and not isinstance(value, bool) and value in table:
        return table[value]
    raise InputError(f"{name} is {short(value)}, the dataset has {listing(table)}{other_kind(value, table)}")


def _shortest(value):
    """A float32 as the shortest decimal that gives it back (0.9, not 0.8999999761581421)."""
    return float(np.format_float_positional(np.float32(value)))
