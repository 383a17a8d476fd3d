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
from ..detection_checks import judge_detections
from ..errors import InputError
from ..files import atomic_writer, read_json
from ..judge import judge_number, judge_numbers, refusal
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
    judge_number(mask_threshold, "mask_threshold", 0, below=1)
    if len(detections) != len(image_ids):
        raise InputError(f"detections: {len(detections)} for {len(image_ids)} images, expected one for each")
    entries = []
    names = None if category_ids is None else [f"category {category_id}" for category_id in category_ids[1:]]
    for i, (image_id, found) in enumerate(zip(image_ids, detections, strict=True)):
        found = judge_detections(found, f"detections[{i}]", names)
        for k, label in enumerate(found.labels.astype(np.int64).tolist()):
            x1, y1, x2, y2 = map(_shortest, found.boxes[k])
            mask = found.masks[k]
            entries.append({
                "image_id": _plain(image_id),
                "category_id": label if category_ids is None else _plain(category_ids[label]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": _shortest(found.scores[k]),
                "segmentation": rle.encode(mask if mask.dtype == bool else mask > mask_threshold),
            })
    return entries


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
    image_of = _Finder("image_id", dataset.image_ids, "file_name", getattr(dataset, "file_names", None), _base_name)
    class_of = _Finder("category_id", dataset.category_ids, "category_name", getattr(dataset, "class_names", None))
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
    for mask, (_, _, _, segmentation, name) in zip(masks, found, strict=True):
        mask[...] = rle.decode(segmentation, f"{name}: segmentation: RLE", size)
    return Detections(np.array([entry[2] for entry in found], np.float32).reshape(-1, 4),
                      np.array([entry[1] for entry in found], np.int64),
                      np.array([entry[0] for entry in found], np.float32), masks)


class _Finder:
    """Finds the number of what an entry belongs to, its picture or its class.

    No name: by its id. A name: by the name. A name that several have: by its id, and the name must agree.

    Parameters
    ----------
    id_key, name_key : str
        Fields of an entry.
    ids, names : list
        The dataset's, in the order of its numbers; None instead of the names if it has none.
    read_name : function
        What of a name counts.
    """

    def __init__(self, id_key, ids, name_key, names, read_name=str):
        self.id_key, self.name_key, self.read_name = id_key, name_key, read_name
        self.names = [read_name(name) for name in names or ()]
        self.by_id = {value: number for number, value in enumerate(ids) if value is not None}
        self.by_name = {name: number for number, name in enumerate(self.names) if ids[number] is not None}
        self.repeated = {name for name, count in Counter(self.names).items() if count > 1}
        self.spellings = {}     # as the entries name what was found: two pictures must not become one

    def __call__(self, entry, what):
        written = entry.get(self.name_key)
        if written is None:
            return _look_up(entry.get(self.id_key), self.by_id, f"{what}: {self.id_key}")
        if not isinstance(written, str):
            raise refusal(f"{what}: {self.name_key}", "a text", written)
        name = self.read_name(written)
        found = _look_up(name, self.by_name, f"{what}: {self.name_key}")
        if name in self.repeated:
            found = _look_up(entry.get(self.id_key), self.by_id, f"{what}: {self.id_key}")
            if self.names[found] != name:
                raise InputError(f"{what}: {self.id_key} {entry[self.id_key]!r} is "
                                 f"{self.names[found]!r} in the dataset, not {name!r}")
        if self.spellings.setdefault(found, written) != written:
            raise InputError(f"{what}: {self.name_key} {written!r} and {self.spellings[found]!r} are both taken for "
                             f"the dataset's {name!r}")
        return found


def _base_name(path):
    return PureWindowsPath(path).name       # which also knows the other system's slashes


def _look_up(value, table, name):
    if isinstance(value, (int, str)) and value in table:
        return table[value]
    shown = ", ".join(map(repr, list(table)[:8])) + (", ..." if len(table) > 8 else "")
    raise InputError(f"{name} is {value!r}, the dataset has {shown or 'none'}")


def _shortest(value):
    """A float32 as the shortest decimal that gives it back (0.9, not 0.8999999761581421)."""
    return float(np.format_float_positional(np.float32(value)))
