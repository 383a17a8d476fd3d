"""Detections as a file: COCO's results format, which every COCO tool reads.

A results file is one list; each entry is one detection: ``{"image_id", "category_id", "bbox": [x, y, width,
height], "score", "segmentation": RLE}``, with the ids of the annotation file it belongs to. Masks in it
are yes or no, so probabilities are thresholded on the way out, and do not come back.
"""

import json

import numpy as np

from npmaskrcnn.datasets.coco_json import read_json
from npmaskrcnn.datasets.label_maps import judge_mask_memory
from npmaskrcnn.errors import InputError
from npmaskrcnn.evaluation import rle
from npmaskrcnn.structures import Detections
from npmaskrcnn.weights.files import atomic_writer


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
    for image_id, found in zip(image_ids, detections):
        for box, label, score, mask in zip(found.boxes, found.labels, found.scores, found.masks):
            x1, y1, x2, y2 = (_shortest(value) for value in box)
            entries.append({
                "image_id": image_id,
                "category_id": int(label) if category_ids is None else category_ids[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": _shortest(score),
                "segmentation": rle.encode(mask if mask.dtype == bool else mask > mask_threshold),
            })
    return entries


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
        That the results are for: its `image_ids`, `category_ids` and `size(i)`.

    Returns
    -------
    detections : list of Detections
        One for each image in the dataset's order, best first; masks (D, H, W) float32 of zeros and ones.

    Raises
    ------
    InputError
        With the path and the entry: for ids that the dataset does not have, and for fields that are wrong.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of detections, got a {type(entries).__name__}")
    index_of = {image_id: i for i, image_id in enumerate(dataset.image_ids)}
    label_of = {category_id: label for label, category_id in enumerate(dataset.category_ids) if label}
    per_image = [[] for _ in index_of]
    for position, entry in enumerate(entries):
        name = f"{path}: detection {position}"
        if not isinstance(entry, dict):
            raise InputError(f"{name}: expected an object, got {type(entry).__name__}")
        index = _look_up(entry, "image_id", index_of, name)
        label = _look_up(entry, "category_id", label_of, name)
        x, y, w, h = _numbers(entry.get("bbox"), 4, f"{name}: bbox")
        if w < 0 or h < 0:
            raise InputError(f"{name}: bbox is {entry['bbox']!r:.60}, expected x, y, width, height, no side below 0")
        score, = _numbers([entry.get("score")], 1, f"{name}: score")
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


def _look_up(entry, key, table, name):
    value = entry.get(key)
    if isinstance(value, (int, str)) and value in table:
        return table[value]
    shown = ", ".join(map(repr, list(table)[:8])) + (", ..." if len(table) > 8 else "")
    raise InputError(f"{name}: {key} is {value!r}, the dataset has {shown}")


def _numbers(values, count, name):
    try:
        array = np.array(values, np.float64)
        if any(isinstance(value, (bool, str)) for value in values):
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise InputError(f"{name} is {values!r:.60}, expected {count} finite number(s)")
    return array.tolist()


def _shortest(value):
    """A float32 as the shortest decimal that gives it back (0.9, not 0.8999999761581421)."""
    return float(np.format_float_positional(np.float32(value)))
