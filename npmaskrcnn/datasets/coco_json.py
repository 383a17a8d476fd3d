"""Reading an annotation file in COCO's format, and saying what is wrong with it.

Most time with one's own images goes into the annotation file: a missing brace, an id used twice, a box
written as corners. So the whole file is judged once, when it is opened, and every message names the
file, the annotation, the field and the value. What comes out are plain records, ready to use:
categories, images and their annotations.

The format: ``{"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}],
"annotations": [{"id", "image_id", "category_id", "bbox": [x, y, width, height], "segmentation", "area",
"iscrowd"}]}``. A segmentation is a list of polygons, or an RLE ``{"size": [height, width], "counts"}``.
"""

from collections import Counter
from typing import NamedTuple

from .. import rle
from ..errors import InputError, warn
from ..files import read_json
from ..judge import is_number, judge_size
from ..words import short
from .polygons import judge_polygons


class Category(NamedTuple):
    id: int
    name: str


class ImageRecord(NamedTuple):
    id: object           # int or str
    file_name: str
    size: tuple          # (height, width)


class Annotation(NamedTuple):
    id: object           # int or str
    image_id: object
    category_id: int
    box: tuple           # (x1, y1, x2, y2) inside the image, or None: taken from the mask
    segmentation: object     # list of polygons, an RLE, or None: the box is the mask
    area: float          # 0.0: counted from the mask
    is_crowd: bool


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
    categories : list of Category, by ascending id
    images : list of ImageRecord, in the file's order
    annotations : list of Annotation, in the file's order

    Raises
    ------
    InputError
        With the path, and the image or annotation with its field and value.
    """
    content = read_json(path)
    _judge_format(content, path)
    categories = _read_categories(content["categories"], path)
    images = _read_images(content["images"], path)
    sizes = {image.id: image.size for image in images}
    known = {category.id: category.name for category in categories}
    annotations = []
    for position, entry in enumerate(content["annotations"]):
        name = f"{path}: annotation {position} of the list"
        _judge_ids(entry, name)
        name = f"{path}: annotation {entry['id']!r} (image {entry['image_id']!r})"
        if entry["image_id"] not in sizes:
            raise InputError(f"{name}: no image has the id {entry['image_id']!r}")
        if entry["category_id"] not in known:
            raise InputError(f"{name}: category_id is {entry['category_id']!r}, the declared categories are "
                             + ", ".join(f"{key} {text}" for key, text in list(known.items())[:20]))
        try:
            annotations.append(_read_annotation(entry, sizes[entry["image_id"]], boxes_as_masks, name))
        except InputError as error:
            if not skip_invalid:
                raise
            warn(f"{error}; left out")
    _judge_unique([a.id for a in annotations], "annotation id", path)
    if not annotations and not allow_empty:
        raise InputError(f"{path}: has no annotation{' that can be used' if content['annotations'] else ''}")
    used = {a.category_id for a in annotations}
    unused = [category.name for category in categories if category.id not in used]
    if unused:
        warn(f"{path}: no annotation of {', '.join(unused)}; such a class cannot be learned, "
             "and its average precision is not defined")
    return categories, images, annotations


# ---- the three lists ----

def _judge_format(content, path):
    """InputError unless the content has COCO's three lists; names the other formats that people have."""
    wanted = ("images", "annotations", "categories")
    if not isinstance(content, dict):
        hint = ("; this looks like detection results" if isinstance(content, list) and content
                and isinstance(content[0], dict) and "score" in content[0] else "")
        raise InputError(f"{path}: expected a JSON object with images, annotations and categories, got a "
                         f"{type(content).__name__}{hint}")
    missing = [key for key in wanted if not isinstance(content.get(key), list)]
    if not missing:
        return
    hint = ""
    entries = [value for value in content.values() if isinstance(value, dict)]
    if "_via_img_metadata" in content or any("regions" in entry for entry in entries):
        hint = "; this is a VIA file (_via_img_metadata, regions): export it in COCO format"
    elif "shapes" in content:
        hint = "; this is a labelme file (shapes): convert it to COCO format"
    raise InputError(f"{path}: has no list {', '.join(repr(key) for key in missing)}{hint}")


def _read_categories(entries, path):
    """Categories by ascending id, so that files of one collection agree on the labels."""
    categories = []
    for position, entry in enumerate(entries):
        name = f"{path}: category {position} of the list"
        if not isinstance(entry, dict) or not _is_whole(entry.get("id")):
            raise InputError(f"{name}: needs an id that is a whole number, got {short(entry)}")
        text = entry.get("name")
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{path}: category {entry['id']}: name is {short(text)}, expected a text")
        if text == "background":
            raise InputError(f"{path}: category {entry['id']} is called background; leave it out, "
                             "what is not annotated is background")
        categories.append(Category(entry["id"], text))
    if not categories:
        raise InputError(f"{path}: has no category")
    _judge_unique([category.id for category in categories], "category id", path)
    _judge_unique([category.name for category in categories], "category name", path)
    return sorted(categories)


def _read_images(entries, path):
    images = []
    for position, entry in enumerate(entries):
        name = f"{path}: image {position} of the list"
        if not isinstance(entry, dict) or not _is_id(entry.get("id")):
            raise InputError(f"{name}: needs an id, got {short(entry)}")
        name = f"{path}: image {entry['id']!r}"
        if not isinstance(entry.get("file_name"), str) or not entry["file_name"].strip():
            raise InputError(f"{name}: file_name is {short(entry.get('file_name'))}, expected a text")
        size = (entry.get("height"), entry.get("width"))
        if not all(_is_whole(side) and side > 0 for side in size):
            raise InputError(f"{name} ({entry['file_name']}): width and height are {short(size[1])} and "
                             f"{short(size[0])}, expected positive whole numbers")
        judge_size(size, f"{name} ({entry['file_name']})")
        images.append(ImageRecord(entry["id"], entry["file_name"], size))
    if not images:
        raise InputError(f"{path}: has no image")
    _judge_unique([image.id for image in images], "image id", path)
    return images


def _judge_ids(entry, name):
    if not isinstance(entry, dict):
        raise InputError(f"{name}: expected an object, got {short(entry)}")
    for key in ("id", "image_id", "category_id"):
        if not (_is_whole(entry.get(key)) if key == "category_id" else _is_id(entry.get(key))):
            raise InputError(f"{name}: {key} is {short(entry.get(key))}, expected a whole number")


def _judge_unique(values, what, path):
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        shown = ", ".join(repr(value) for value in repeated[:5]) + (", ..." if len(repeated) > 5 else "")
        raise InputError(f"{path}: {what} used more than once: {shown} ({len(repeated)} in all); "
                         "each needs its own")


# ---- one annotation ----

def _read_annotation(entry, size, boxes_as_masks, name):
    is_crowd = entry.get("iscrowd", 0)
    if is_crowd not in (0, 1):
        raise InputError(f"{name}: iscrowd is {short(is_crowd)}, expected 0 or 1")
    area = entry.get("area") or 0
    if not is_number(area) or area < 0:
        raise InputError(f"{name}: area is {short(area)}, expected a number of pixels")
    box = None if entry.get("bbox") is None else _read_box(entry["bbox"], size, name)
    segmentation = entry.get("segmentation")
    if not segmentation:
        if not boxes_as_masks or box is None:
            raise InputError(f"{name}: has no segmentation (a box only); Mask R-CNN learns masks. "
                             "In Python, CocoDataset(..., boxes_as_masks=True) takes the box as the mask")
        segmentation = None
    elif isinstance(segmentation, dict):
        _judge_rle(segmentation, size, name)
    else:
        judge_polygons(segmentation, f"{name}: segmentation")
    return Annotation(entry["id"], entry["image_id"], entry["category_id"], box, segmentation, float(area),
                      bool(is_crowd))


def _read_box(bbox, size, name):
    """COCO's ``[x, y, width, height]`` as corners inside the image."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(is_number(value) for value in bbox):
        raise InputError(f"{name}: bbox is {short(bbox)}, expected four finite numbers x, y, width, height")
    x, y, w, h = bbox
    height, width = size
    if w <= 0 or h <= 0:
        raise InputError(f"{name}: bbox is {short(bbox)}, expected x, y, width, height, both sides above 0")
    looks_like = "; this looks like corners x1, y1, x2, y2" if x < w <= width and y < h <= height else ""
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise InputError(f"{name}: bbox {short(bbox)} lies outside the image of {width} x {height} pixels")
    if x < -1 or y < -1 or x + w > width + 1 or y + h > height + 1:   # up to a pixel is rounding
        warn(f"{name}: bbox {short(bbox)} (x, y, width, height) reaches outside the image of "
             f"{width} x {height} pixels; clipped{looks_like}")
    return max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)


def _judge_rle(segmentation, size, name):
    claimed = segmentation.get("size")
    if isinstance(claimed, (list, tuple)) and len(claimed) == 2 and tuple(claimed) != size:
        swapped = tuple(claimed) == size[::-1]
        hint = "; height and width look swapped (RLE sizes are height, width)" if swapped else ""
        raise InputError(f"{name}: segmentation has size {short(claimed)}, the image is "
                         f"{size[0]} x {size[1]} (height x width){hint}")
    try:
        area = rle.area(segmentation)   # reads all counts and judges them
    except InputError as error:
        raise InputError(f"{name}: segmentation: {error}") from None
    if area == 0:
        raise InputError(f"{name}: segmentation holds no pixel")


# ---- values ----

def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_id(value):
    return _is_whole(value) or isinstance(value, str)
