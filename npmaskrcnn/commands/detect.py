"""``npmaskrcnn detect``: find and cut out the objects in pictures.

For each picture it writes an overlay (``NAME-detections.png``) and a label map (``NAME-labels.png``, 16 bit:
pixel value i is the i-th detection, 0 none), and for all of them together ``detections.json`` in COCO's results
format with run-length encoded masks. A model without a mask branch gives boxes alone: no label maps, and no masks in
the file. After Ctrl-C detections.json holds the pictures that were done. Nothing that is there already is replaced,
unless --overwrite says so.

example: npmaskrcnn detect photo.jpg --weights model.npz --out found
"""

import glob
import os
from pathlib import Path

import numpy as np
from PIL import Image

from .. import images
from ..datasets import detections_to_coco
from ..datasets.results import write_entries
from ..errors import InputError
from ..files import atomic_writer, make_folder
from ..judge import judge_fraction, judge_white
from ..progress import ProgressLine
from ..training.validation import folded, iou_types
from ..words import count, printable
from .common import (add_mask_threshold, add_model, add_out, add_overwrite, add_white, judge_writing,
                     judged_mask_threshold, the_model)

LONGEST_STEM = 200      # bytes of a picture's name that its results have: file systems take 255, with what follows


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or a pattern such as 'photos/*.jpg'")
    add_model(parser)
    parser.add_argument("--score", type=float, default=0.5, metavar="S",
                        help="show detections with a higher score than this (default: %(default)s)")
    parser.add_argument("--iou", type=float, default=0.5, metavar="T",
                        help="of two detections of a class that overlap more, keep the better (default: %(default)s)")
    add_mask_threshold(parser)
    add_white(parser)
    add_out(parser, "npmaskrcnn-out")
    add_overwrite(parser)


def run(options):
    """Detect in every image; all are judged before the work begins, and one at a time is in memory."""
    judge_fraction(options.score, "--score")
    judge_fraction(options.iou, "--iou")
    judge_white(options.white, "--white")
    judged_mask_threshold(options)
    pictures = _distinct_stems(_pictures(options.images))
    for path in pictures.values():
        images.read_image(path, options.white)
    model = the_model(options)
    names = model.class_names or ["background"] + [f"class {i}" for i in range(1, model.num_classes)]
    folder = make_folder(options.out, "--out")
    masks = "segm" in iou_types(model)
    kinds = ("detections", "labels") if masks else ("detections",)
    written = ["detections.json", *(f"{stem}-{kind}.png" for stem in pictures for kind in kinds)]
    judge_writing(folder, written, pictures.values(), options.overwrite)

    progress, entries, done = ProgressLine("detecting", len(pictures)), [], 0
    try:
        for stem, path in pictures.items():
            entries += _detect(model, path, folder / stem, done + 1, names, options,
                               lambda stage: progress.update(done, stage))
            done += 1
            progress.update(done)
    finally:                                # Ctrl-C, a full disk: what is done is not lost
        if done:
            write_entries(folder / "detections.json", entries)
            print(f"wrote overlays{' and label maps' * masks} of {done} of {count(len(pictures), 'image')}, "
                  f"and {folder / 'detections.json'}")


def _detect(model, path, place, image_id, names, options, tell):
    """Detect in one picture, write its files, return its entries of the results file."""
    from .. import plots

    image = images.read_image(path, options.white)
    try:
        found = model.predict(image, options.score, options.iou, tell, paste_all=False)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if options.mask_threshold is not None:      # at the usual one probabilities make smoother outlines
        found = folded(found, options.mask_threshold)
    print(f"{printable(path)}: {found.table(names)}")
    figure = plots.instances(image, found.boxes, found.labels, found.scores, found.masks, names)
    plots.save_figure(figure, f"{place}-detections.png")
    if found.masks is not None:
        with atomic_writer(f"{place}-labels.png") as file:
            Image.fromarray(_label_map(found)).save(file, "PNG")
    return [{**entry, "file_name": str(path), "category_name": names[entry["category_id"]]}
            for entry in detections_to_coco([found], [image_id])]


def _pictures(named):
    """List the pictures: patterns resolved where the shell did not, each once."""
    paths = []
    for name in named:
        if os.path.isdir(name):
            raise InputError(f"{name}: is a folder; name the pictures in it, such as {os.path.join(name, '*.png')}")
        paths += [name] if os.path.exists(name) else sorted(glob.glob(name)) or [name]
    return list(dict.fromkeys(paths))


def _distinct_stems(paths):
    """Give every image a name of its own in the output folder, on every system; return the path by that name."""
    path_of, taken = {}, set()
    for path in paths:
        short = os.fsdecode(os.fsencode(Path(path).stem)[:LONGEST_STEM])
        stem, number = short, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{short}-{number}"
        path_of[stem] = path
        taken.add(stem.casefold())
    return path_of


def _label_map(found):
    """Return an (H, W) uint16 image: pixel value i + 1 is detection i; better ones lie on top."""
    picture = np.zeros(found.masks.shape[1:], np.uint16)
    for i in reversed(range(len(found))):
        picture[found.masks[i] > 0.5] = i + 1
    return picture
