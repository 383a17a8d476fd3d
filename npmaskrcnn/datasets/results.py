"""Detections as a file: COCO's results format, which every COCO tool reads.

A results file is one list; each entry is one detection: ``{"image_id", "category_id", "bbox": [x, y, width,
height], "score", "segmentation": RLE}``, with the ids of the annotation file it belongs to. Masks in it
are yes or no, so probabilities are thresholded on the way out, and do not come back.

An entry may also name its picture and its class (``file_name``, ``category_name``), as ``npmaskrcnn detect``
does, which sees no annotation file and so numbers pictures and classes in its own way. Names win over numbers.
"""

import json
from collections import Counter
from pathlib import PureWindowsPath

import numpy as np

from .. import rle
from ..errors import InputError
from ..files import atomic_writer, read_json
from ..judge import judge_number, judge_numbers
from ..structures import Detections
from .label_maps import judge_mask_memory


def detections_to_coco(detections, image_ids, category_ids=None, mask_threshold=0.5):
    """Detections as the entries of a COCO results file.

    Parameters
    ----------
    detections : list of Detections
        One for each image.
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
    if len(detections) != len(image_ids):
        raise InputError(f"detections: {len(detections)} for {len(image_ids)} images, expected one for each")
    entries = []
    for i, (image_id, found) in enumerate(zip(image_ids, detections)):
        _judge_found(found, f"detections[{i}]", None if category_ids is None else len(category_ids))
        for box, label, score, mask in zip(found.boxes, found.labels, found.scores, found.masks):
            x1, y1, x2, y2 = (_shortest(value) for value in box)
            entries.append({
                "image_id": _plain(image_id),
                "category_id": int(label) if category_ids is None else _plain(category_ids[label]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": _shortest(score),
                "segmentation": rle.encode(mask if mask.dtype == bool else mask > mask_threshold),
            })
    return entries


def _judge_found(found, name, num_classes):
    """Refuse what no results file can hold: numbers that are none, and labels without a category."""
    if not isinstance(found, Detections):
        raise InputError(f"{name}: expected Detections, got {type(found).__name__}")
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise InputError(f"{name}: scores and boxes must be finite numbers, some are NaN or infinite")
    wrong = found.labels[(found.labels < 1) | (found.labels >= (num_classes or np.inf))]
    if len(wrong):
        known = "from 1 on" if num_classes is None else f"1 to {num_classes - 1}, as in category_ids"
        raise InputError(f"{name}: has a detection of label {wrong[0]}; labels are {known}")


def _plain(value):
    """A number of NumPy's as Python's, which JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


def write_detections(path, detections, image_ids, category_ids=None, mask_threshold=0.5):
    """Write `detections_to_coco` to a JSON file, one detection a line."""
    entries = detections_to_coco(detections, image_ids, category_ids, mask_threshold)
    with atomic_writer(path) as file:
        file.write(("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n").encode("utf-8"))


def read_detections(path, dataset):
    """A COCO results file as detections for every image of a dataset.

    Parameters
    ----------
    path : str or path
    dataset : CocoDataset or ShapesDataset
        That the results are for: its `image_ids`, `category_ids` and `size(i)`. Entries with a ``file_name`` or a
        ``category_name`` go by these (of paths the last part counts), against `file_names` and `class_names`.

    Returns
    -------
    detections : list of Detections
        One for each image in the dataset's order, best first; masks (D, H, W) float32 of zeros and ones.

    Raises
    ------
    InputError
        With the path and the entry: for ids and names that the dataset does not have, and for wrong fields.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of detections, got a {type(entries).__name__}")
    image_of, class_of = _Finder.of_images(dataset), _Finder.of_classes(dataset)
    per_image = [[] for _ in dataset.image_ids]
    for position, entry in enumerate(entries):
        name = f"{path}: detection {position}"
        if not isinstance(entry, dict):
            raise InputError(f"{name}: expected an object, got {type(entry).__name__}")
        index, label = image_of(entry, name), class_of(entry, name)
        x, y, w, h = judge_numbers(entry.get("bbox"), f"{name}: bbox", 4)
        if w < 0 or h < 0:
            raise InputError(f"{name}: bbox is {entry['bbox']!r:.60}, expected x, y, width, height, no side below 0")
        score = judge_number(entry.get("score"), f"{name}: score")
        if entry.get("segmentation") is None:
            raise InputError(f"{name}: has no segmentation")
        per_image[index].append((score, label, (x, y, x + w, y + h), entry["segmentation"], name))
    return [_one_image(found, dataset.size(i), path) for i, found in enumerate(per_image)]


def _one_image(found, size, path):
    """The entries of one image as Detections, best first, equal scores in the file's order."""
    judge_mask_memory(4 * len(found), size, path)
    found = sorted(found, key=lambda entry: -entry[0])
    masks = np.zeros((len(found), *size), np.float32)
    for mask, (_, _, _, segmentation, name) in zip(masks, found):
        try:
            decoded = rle.decode(segmentation)
        except InputError as error:
            raise InputError(f"{name}: segmentation: {error}") from None
        if decoded.shape != size:
            raise InputError(f"{name}: segmentation is {decoded.shape[0]} x {decoded.shape[1]}, the image "
                             f"{size[0]} x {size[1]} (height x width)")
        mask[...] = decoded
    return Detections(np.array([entry[2] for entry in found], np.float32).reshape(-1, 4),
                      np.array([entry[1] for entry in found], np.int64),
                      np.array([entry[0] for entry in found], np.float32), masks)


class _Finder:
    """Finds what an entry belongs to.

    No name: by its id. A name: by the name. A name that several have: by its id, and the name must agree.

    Parameters
    ----------
    id_key, name_key : str
        Fields of an entry.
    ids, names : list
        The dataset's; row i of both is number ``first + i``. Names that occur twice only confirm an id.
    first : int
    """

    def __init__(self, id_key, name_key, ids, names, first=0):
        self.id_key, self.name_key, self.names, self.first = id_key, name_key, names, first
        self.by_id = {value: i for i, value in enumerate(ids, start=first)}
        self.count = Counter(names)
        self.by_name = {name: i for i, name in enumerate(names, start=first)}
        self.spellings = {}     # as the entries name what was found: two pictures must not become one

    @classmethod
    def of_images(cls, dataset):
        names = [_base_name(name) for name in getattr(dataset, "file_names", None) or ()]
        return cls("image_id", "file_name", dataset.image_ids, names)

    @classmethod
    def of_classes(cls, dataset):
        return cls("category_id", "category_name", dataset.category_ids[1:],
                   list(getattr(dataset, "class_names", None) or ())[1:], first=1)

    def __call__(self, entry, what):
        written = entry.get(self.name_key)
        if written is None:
            return _look_up(entry, self.id_key, self.by_id, what)
        if not isinstance(written, str):
            raise InputError(f"{what}: {self.name_key} is {written!r:.60}, expected a text")
        name = _base_name(written) if self.name_key == "file_name" else written
        found = _look_up({self.name_key: name}, self.name_key, self.by_name, what)
        if self.count[name] > 1:
            found = _look_up(entry, self.id_key, self.by_id, what)
            if self.names[found - self.first] != name:
                raise InputError(f"{what}: {self.id_key} {entry[self.id_key]!r} is "
                                 f"{self.names[found - self.first]!r} in the dataset, not {name!r}")
        if self.spellings.setdefault(found, written) != written:
            raise InputError(f"{what}: {self.name_key} {written!r} and {self.spellings[found]!r} are both taken for "
                             f"the dataset's {name!r}")
        return found


def _base_name(path):
    return PureWindowsPath(path).name       # which also knows the other system's slashes


def _look_up(entry, key, table, name):
    value = entry.get(key)
    if isinstance(value, (int, str)) and value in table:
        return table[value]
    shown = ", ".join(map(repr, list(table)[:8])) + (", ..." if len(table) > 8 else "")
    raise InputError(f"{name}: {key} is {value!r}, the dataset has {shown or 'none'}")


def _shortest(value):
    """A float32 as the shortest decimal that gives it back (0.9, not 0.8999999761581421)."""
    return float(np.format_float_positional(np.float32(value)))
