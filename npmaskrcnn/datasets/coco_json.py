"""Reading an annotation file in COCO's format, and saying what is wrong with it.

Most time with one's own images goes into the annotation file: a missing brace, an id used twice, a box
written as corners. So the whole file is judged once, when it is opened, and every message names the
file, the annotation, the field and the value. What comes out are the file's own entries, ready to use:
categories, images and their annotations.

The format: ``{"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
"annotations": [{"id", "image_id", "category_id", "bbox": [x, y, width, height], "segmentation", "area",
"iscrowd"}]}``. A segmentation is a list of polygons, or an RLE ``{"size": [height, width], "counts"}``.
"""

import re
import unicodedata
from collections import Counter

import numpy as np

from .. import rle
from ..errors import InputError, warn
from ..files import read_json
from ..judge import is_number, judge_size
from ..words import short
from .polygons import judge_polygons


def read_annotations(path, boxes_as_masks=False, skip_invalid=False, allow_empty=False):
    """A COCO annotation file, judged.

    Parameters
    ----------
    path : str or path
    boxes_as_masks : bool
        Take the box as the mask of an annotation that has no segmentation (otherwise an error).
    skip_invalid : bool
        Leave an annotation that cannot be used out with a warning (otherwise an error).
    allow_empty : bool
        Take a file without any annotation (otherwise an error).

    Returns
    -------
    categories : list of dict, by ascending id
    images : list of dict, in the file's order
    annotations : list of dict, in the file's order
        All as the file has them, but of annotations ``segmentation`` may be None (the box is the mask), ``area`` and
        ``iscrowd`` are there, at least as 0, and ``box`` is ``(x1, y1, x2, y2)`` inside the image, or None (to be
        taken from the mask).

    Raises
    ------
    InputError
        With the path, and the image or annotation with its field and value.
    """
    content = read_json(path)
    _judge_format(content, path)
    categories, images = _read_categories(content["categories"], path), _read_images(content["images"], path)
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    known = {category["id"]: category["name"] for category in categories}
    annotations = []
    for position, entry in enumerate(content["annotations"]):
        try:
            _read_annotation(entry, _judge_entry(entry, position, "annotation", path), sizes, known, boxes_as_masks)
            annotations.append(entry)
        except InputError as error:
            if not skip_invalid:
                raise
            warn(f"{error}; left out")
    _judge_unique([entry["id"] for entry in annotations], "annotation id", path)
    if not annotations and not allow_empty:
        raise InputError(f"{path}: has no annotation{' that can be used' if content['annotations'] else ''}")
    used = {entry["category_id"] for entry in annotations}
    unused = [name for category_id, name in known.items() if category_id not in used]
    if unused:
        warn(f"{path}: no annotation of {', '.join(unused)}; such a class cannot be learned, "
             "and its average precision is not defined")
    return categories, images, annotations


# ---- fields: which there must be, what fits, and how that is said ----

def listing(values, most=8):
    """The first of some ids or names as text."""
    values = list(values)
    return (", ".join(map(repr, values[:most])) + (", ..." if len(values) > most else "")) or "none"


def other_kind(value, ids):
    """A hint, if an id is among `ids` as a text for a number, or as a number for a text."""
    twin = next((one for one in ids if type(one) is not type(value) and str(one) == str(value)), None)
    return "" if twin is None else f"; {value!r} and {twin!r} differ: write ids as numbers, or as texts, in both places"


def one_spelling(name):
    """A file name in the spelling by which names are compared: composed letters (NFC), all of them small."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, float) and value.is_integer()


def _is_id(value):
    return _is_whole(value) or isinstance(value, str)


WHOLE = _is_whole, "a whole number"
ID = _is_id, "a whole number or a text"
TEXT = lambda value: isinstance(value, str) and value.strip(), "a text"
NAME = (lambda value: isinstance(value, str) and value.strip() and not re.search("[\ud800-\udfff]", value),
        "a text without halves of characters")
SIDE = lambda value: _is_whole(value) and value > 0, "a positive whole number"
CROWD = lambda value: value in (None, 0, 1), "0 or 1"
AREA = lambda value: value is None or (is_number(value) and value >= 0), "a number of pixels"
BOX = (lambda value: value is None or (isinstance(value, list) and len(value) == 4 and all(map(is_number, value))),
       "four finite numbers x, y, width, height")
FIELDS = {"category": {"id": WHOLE, "name": NAME},
          "image": {"id": ID, "file_name": TEXT, "width": SIDE, "height": SIDE},
          "annotation": {"id": ID, "image_id": ID, "category_id": WHOLE}}
OPTIONAL = {"iscrowd": CROWD, "area": AREA, "bbox": BOX}      # of an annotation, which may lack them


def _judge_fields(entry, fields, name):
    for key, (fits, expected) in fields.items():
        if not fits(entry.get(key)):
            raise InputError(f"{name}: {key} is {short(entry.get(key))}, expected {expected}")
        if isinstance(entry.get(key), float) and fields is not OPTIONAL:
            entry[key] = int(entry[key])        # 1.0, as some programs write whole numbers


# ---- the three lists ----

def _judge_format(content, path):
    """InputError unless the content has COCO's three lists; names the other formats that people have."""
    if not isinstance(content, dict):
        is_results = isinstance(content, list) and any("score" in entry for entry in content if isinstance(entry, dict))
        raise InputError(f"{path}: expected a JSON object with images, annotations and categories, got a "
                         f"{type(content).__name__}{'; this looks like detection results' if is_results else ''}")
    missing = [repr(key) for key in ("images", "annotations", "categories") if not isinstance(content.get(key), list)]
    if missing:
        hint = "; this is a labelme file (shapes): convert it to COCO format" if "shapes" in content else ""
        if "_via_img_metadata" in content or any("regions" in x for x in content.values() if isinstance(x, dict)):
            hint = "; this is a VIA file (_via_img_metadata, regions): export it in COCO format"
        raise InputError(f"{path}: has no list {', '.join(missing)}{hint}")


def _judged(entries, kind, path):
    """Yield the entries of one list, each with what messages call it, after judging the fields that it must have."""
    for position, entry in enumerate(entries):
        yield _judge_entry(entry, position, kind, path), entry


def _judge_entry(entry, position, kind, path):
    """Judge the fields that an entry of a list must have, and return what messages call it."""
    if not isinstance(entry, dict):
        raise InputError(f"{path}: {kind} {position} of the list: expected an object, got {short(entry)}")
    called = short(entry["id"]) if _is_id(entry.get("id")) else f"{position} of the list"
    _judge_fields(entry, FIELDS[kind], f"{path}: {kind} {called}")
    return f"{path}: {kind} {called}"


def _read_categories(entries, path):
    """Categories by ascending id, so that files of one collection agree on the labels."""
    for name, category in _judged(entries, "category", path):
        category["name"] = category["name"].strip()
        if category["name"].lower() == "background":
            raise InputError(f"{name} is called {category['name']}; leave it out, what is not annotated is background")
    _judge_ids(entries, "category", path)
    _judge_unique([category["name"] for category in entries], "category name", path)
    return sorted(entries, key=lambda category: category["id"])


def _read_images(entries, path):
    for name, image in _judged(entries, "image", path):
        judge_size((image["height"], image["width"]), f"{name} ({image['file_name']})")
    _judge_ids(entries, "image", path)
    return entries


def _judge_ids(entries, kind, path):
    if not entries:
        raise InputError(f"{path}: has no {kind}")
    _judge_unique([entry["id"] for entry in entries], f"{kind} id", path)


def _judge_unique(values, what, path):
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        shown = ", ".join(repr(value) for value in repeated[:5]) + (", ..." if len(repeated) > 5 else "")
        raise InputError(f"{path}: {what} used more than once: {shown} ({len(repeated)} in all); "
                         "each needs its own")


# ---- one annotation ----

def _read_annotation(entry, name, sizes, categories, boxes_as_masks):
    """Judge all that one annotation says, and put it into one form; `sizes` (of images) and `categories` are by id."""
    image_id, category_id = entry["image_id"], entry["category_id"]
    name = f"{name} (image {short(image_id)})"
    if image_id not in sizes:
        raise InputError(f"{name}: no image has the id {short(image_id)}{other_kind(image_id, sizes)}")
    if category_id not in categories:
        raise InputError(f"{name}: category_id is {short(category_id)}, the declared categories are "
                         + ", ".join(f"{key} {text}" for key, text in list(categories.items())[:20]))
    size = sizes[image_id]
    _judge_fields(entry, OPTIONAL, name)
    bbox, segmentation = entry.get("bbox"), entry.get("segmentation") or None
    if segmentation is None:
        if not boxes_as_masks or bbox is None:
            raise InputError(f"{name}: has no segmentation (a box only); Mask R-CNN learns masks. "
                             "A model without a mask branch needs none (train --boxes-only); "
                             "in Python, CocoDataset(..., boxes_as_masks=True) takes the box as the mask")
    else:
        extent = _read_extent(segmentation, size, name)
        if bbox is not None:
            _judge_meaning(bbox, segmentation, extent, name)
    box = None if bbox is None else _read_box(bbox, size, name)
    entry.update(box=box, segmentation=segmentation, area=entry.get("area") or 0, iscrowd=entry.get("iscrowd") or 0)


def _read_extent(segmentation, size, name):
    """The box around a segmentation, ``(x1, y1, x2, y2)``, after judging it."""
    if isinstance(segmentation, dict):
        extent = rle.extent(segmentation, f"{name}: segmentation: RLE", size)
        if extent == (0, 0, 0, 0):
            raise InputError(f"{name}: segmentation holds no pixel")
        return extent
    corners = np.concatenate(judge_polygons(segmentation, f"{name}: segmentation"))
    _judge_pixels(corners.ravel().tolist(), size, f"{name}: segmentation")
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def _judge_pixels(values, size, name):
    """InputError for coordinates in parts of the image's sides, as some programs write them: all from 0 to 1."""
    if is_normalized(values) and max(size) > 1:
        raise InputError(f"{name} has only numbers from 0 to 1, {short(values)}, expected pixels; normalized? Multiply "
                         "x and width by the image's width, and y and height by its height")


def is_normalized(values):
    """Whether coordinates are fractions from 0 to 1 (up to rounding), and not the corners of a pixel."""
    return all(-.01 <= value <= 1.01 for value in values) and any(value not in (0, 1) for value in values)


def _judge_meaning(bbox, segmentation, extent, name):
    """InputError if box and segmentation speak of one object only when one of them is read in another way.

    Near the image's origin corners make a box inside the image as well, so that nothing else would be noticed.
    """
    x, y, w, h = bbox
    if _are_near((x, y, x + w, y + h), extent):
        return
    if _are_near(bbox, extent):
        raise InputError(f"{name}: bbox {short(bbox)} fits its segmentation only as corners x1, y1, x2, y2; expected "
                         f"x, y, width, height: {short([x, y, w - x, h - y])}")
    if isinstance(segmentation, dict) and fits_along_rows(bbox, segmentation):
        raise InputError(f"{name}: segmentation: RLE fits the bbox {short(bbox)} only if its runs go along the "
                         "rows; COCO's go down the columns, one after the other: encode the mask in that order")


def fits_along_rows(bbox, code):
    """Whether an RLE fits a box ``(x, y, width, height)`` if its runs are taken to go along the rows."""
    x, y, w, h = bbox
    y1, x1, y2, x2 = rle.extent({**code, "size": code["size"][::-1]})       # rows as columns: x and y change places
    return _are_near((x, y, x + w, y + h), (x1, y1, x2, y2))


def _are_near(box, other):
    return all(abs(a - b) <= 1.5 for a, b in zip(box, other, strict=True))      # rounded outwards, or with a pixel more


def _read_box(bbox, size, name):
    """COCO's ``[x, y, width, height]`` as corners inside the image."""
    x, y, w, h = bbox
    height, width = size
    _judge_pixels(bbox, size, f"{name}: bbox")
    if w <= 0 or h <= 0:
        raise InputError(f"{name}: bbox is {short(bbox)}, expected x, y, width, height, both sides above 0")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise InputError(f"{name}: bbox {short(bbox)} lies outside the image of {width} x {height} pixels")
    if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:   # up to a pixel is rounding
        looks_like = "; this looks like corners x1, y1, x2, y2" if x < w <= width and y < h <= height else ""
        warn(f"{name}: bbox {short(bbox)} (x, y, width, height) reaches outside the image of "
             f"{width} x {height} pixels; clipped{looks_like}")
    return max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
