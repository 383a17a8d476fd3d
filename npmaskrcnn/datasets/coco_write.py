"""Writing a dataset down in COCO's format, and comparing two that were read.

What can be written can be looked at with other tools, changed by hand and read again: `write_coco` turns
any dataset, drawn shapes included, into PNG files and one annotation file.
"""

import functools
import hashlib
import json
import os

from PIL import Image

from .. import rle
from ..errors import InputError, warn
from ..files import atomic_writer, make_folder
from ..words import count


def write_coco(dataset, folder, overwrite=False):
    """Write a dataset as PNG files and one annotation file, ``instances.json``, in one folder.

    Parameters
    ----------
    dataset : dataset
        Anything with `class_names` whose items are ``(image, target)``.
    folder : str or path
        Made if it is missing.
    overwrite : bool
        Replace an ``instances.json`` that is there; otherwise that is an error.

    Returns
    -------
    annotation_file : Path
        ``CocoDataset(annotation_file, folder)`` reads it back: the same pixels, the same masks.
    """
    folder = make_folder(folder, "folder")
    if not (hasattr(dataset, "class_names") and hasattr(dataset, "__getitem__")):
        raise InputError("dataset: expected a dataset with class_names, as in write_coco(dataset, folder), got "
                         f"{dataset!r:.60}")
    annotation_file = folder / "instances.json"
    if annotation_file.exists() and not overwrite:
        raise InputError(f"{annotation_file}: is there already; overwrite=True replaces it")
    labels = range(1, len(dataset.class_names))
    category_ids = getattr(dataset, "category_ids", (None, *labels))
    categories = [{"id": category_ids[label], "name": dataset.class_names[label]} for label in labels]
    images, annotations = [], []
    for i in range(len(dataset)):
        image, target = dataset[i]
        height, width = image.shape[:2]
        images.append({"id": i + 1, "file_name": f"{i:06d}.png", "width": width, "height": height})
        with atomic_writer(folder / images[i]["file_name"]) as file:
            Image.fromarray(image).save(file, "PNG", optimize=True)
        for k, (x1, y1, x2, y2) in enumerate(target.boxes.tolist()):
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": category_ids[target.labels[k]],
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(target.area[k]),
                "iscrowd": int(target.is_crowd[k]), "segmentation": rle.encode(target.masks[k])})
    lists = {"categories": categories, "images": images, "annotations": annotations}
    lines = {key: ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)     # to be read by eye
             for key, entries in lists.items()}
    text = ",\n".join(f'"{key}": [\n{entries}\n]' for key, entries in lines.items())
    with atomic_writer(annotation_file) as file:
        file.write(f"{{\n{text}\n}}\n".encode())
    return annotation_file


def warn_of_shared_images(train, validation):
    """Warn if two `CocoDataset` share a picture (the same file content): the result would be too good.

    Returns
    -------
    pairs : list of (int, int)
        Indices of equal pictures.
    """
    by_length = {}
    for j in range(len(validation)):
        by_length.setdefault(os.path.getsize(validation.path(j)), []).append(j)

    @functools.cache
    def digest(path):
        return hashlib.sha256(path.read_bytes()).digest()

    pairs = [(i, j) for i in range(len(train)) for j in by_length.get(os.path.getsize(train.path(i)), [])
             if digest(train.path(i)) == digest(validation.path(j))]
    if pairs:
        i, j = pairs[0]
        warn(f"{count(len(pairs), 'picture')} in both sets, for example {train.path(i)} and "
             f"{validation.path(j)}; what was trained on says nothing about new pictures")
    return pairs
