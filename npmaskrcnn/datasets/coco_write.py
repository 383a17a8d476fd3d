"""Writing a dataset down in COCO's format, and comparing two that were read.

What can be written can be looked at with other tools, changed by hand and read again: `write_coco` turns
any dataset, drawn shapes included, into PNG files and one annotation file.
"""

import functools
import hashlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from .. import rle
from ..errors import InputError, warn
from ..files import judge_replacing, make_folder
from ..images import as_float_image
from ..structures import as_xywh, judged_pair
from ..words import count

LIST_NAME, FILE_NAME = "instances.json", "{:06d}.png"


def write_coco(dataset, folder, overwrite=False, tell=None):
    """Write a dataset as PNG files and one annotation file, ``instances.json``, in one folder.

    Parameters
    ----------
    dataset : dataset
        Anything with `class_names` whose items are ``(image, target)``. Images of all kinds that a model
        takes: 16 bits and floats become 8 bits, gray becomes RGB, and what is transparent lies on white.
    folder : str or path
        Made if it is missing.
    overwrite : bool
        Replace files of these names (``instances.json``, ``000000.png``, ...) that are there, after everything was
        read; otherwise that is an error. Files that the dataset says it reads (`path(i)`, `annotation_file`) are never
        replaced.
    tell : callable, optional
        ``tell(done)`` hears how many images are done.

    Returns
    -------
    annotation_file : Path
        ``CocoDataset(annotation_file, folder)`` reads it back: the same pixels, the same masks.

    Raises
    ------
    InputError
        If `dataset` is none, an item of it cannot be used, or a file would be replaced that must not be: then nothing
        has been written.
    """
    folder = make_folder(folder, "folder")
    if not all(hasattr(dataset, name) for name in ("class_names", "__getitem__", "__len__")):
        raise InputError("dataset: expected a dataset with class_names, as in write_coco(dataset, folder), got "
                         f"{dataset!r:.60}")
    names = files_of(dataset)
    paths = map(dataset.path, range(len(dataset))) if callable(getattr(dataset, "path", None)) else ()
    sources = [path for path in (*paths, getattr(dataset, "annotation_file", None)) if path is not None]
    judge_replacing([folder / name for name in names], sources, overwrite)
    labels = range(1, len(dataset.class_names))
    category_ids = getattr(dataset, "category_ids", (None, *labels))
    categories = [{"id": int(category_ids[label]), "name": dataset.class_names[label]} for label in labels]
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as waiting:
            lists = {"categories": categories, **_write_pictures(dataset, category_ids, Path(waiting), tell)}
            _write_lists(Path(waiting) / LIST_NAME, lists)
            for name in reversed(names):        # now all is read: what is replaced is needed no more
                os.replace(Path(waiting) / name, folder / name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written into ({error.strerror or error})") from None
    return folder / LIST_NAME


def files_of(dataset):
    """The names of the files that `write_coco` writes."""
    return [LIST_NAME, *(FILE_NAME.format(i) for i in range(len(dataset)))]


def _write_pictures(dataset, category_ids, folder, tell):
    """Write the pictures of a dataset, and return the lists of images and annotations."""
    from PIL import Image   # only here: who writes no pictures needs no Pillow
    images, annotations = [], []
    tell = tell or (lambda done: None)
    tell(0)
    for i in range(len(dataset)):
        image, target = judged_pair(dataset[i], f"dataset[{i}]")
        image = as_float_image(image, f"dataset[{i}]: image")
        target.check(image.shape[:2], class_names=dataset.class_names, name=f"dataset[{i}]: target")
        height, width = image.shape[:2]
        images.append({"id": i + 1, "file_name": FILE_NAME.format(i), "width": width, "height": height})
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(folder / FILE_NAME.format(i), optimize=True)
        for k, bbox in enumerate(as_xywh(target).tolist()):
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": int(category_ids[target.labels[k]]),
                "bbox": bbox, "area": float(target.area[k]),
                "iscrowd": int(target.is_crowd[k]), "segmentation": rle.encode(target.masks[k])})
        tell(i + 1)
    return {"images": images, "annotations": annotations}


def _write_lists(path, lists):
    """Write the lists as one JSON object, an entry a line, to be read by eye."""
    lines = {key: ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
             for key, entries in lists.items()}
    text = ",\n".join(f'"{key}": [\n{entries}\n]' for key, entries in lines.items())
    path.write_bytes(f"{{\n{text}\n}}\n".encode())


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
