"""``npmaskrcnn detect``: find and cut out the objects in pictures.

For each picture it writes an overlay (``NAME-detections.png``) and a label map (``NAME-labels.png``, 16 bit:
pixel value i is the i-th detection, 0 none), and for all of them together ``detections.json`` in COCO's results
format with run-length encoded masks. After Ctrl-C detections.json holds the pictures that were done. Nothing that is
there already is replaced, unless --overwrite says so.

example: npmaskrcnn detect photo.jpg --weights model.npz --out found
"""

import glob
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from .. import images
from ..datasets import detections_to_coco
from ..errors import InputError
from ..files import atomic_writer, make_folder, read_text
from ..judge import judge_fraction, judge_number
from ..progress import ProgressLine
from ..words import count, printable
from .common import add_out, add_sizes, add_white, load_model


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or a pattern such as 'photos/*.jpg'")
    parser.add_argument("--weights", metavar="FILE",
                        help=".npz, .pth or .safetensors (default: the tiny model that knows three shapes)")
    parser.add_argument("--score", type=float, default=0.5, metavar="S",
                        help="show detections with a higher score than this (default: %(default)s)")
    parser.add_argument("--iou", type=float, default=0.5, metavar="T",
                        help="of two detections of a class that overlap more, keep the better (default: %(default)s)")
    parser.add_argument("--classes", metavar="FILE", help="text file with one class name a line, without background")
    add_sizes(parser)
    add_white(parser)
    add_out(parser, "npmaskrcnn-out")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same names in that folder")


def run(options):
    """Detect in every image; all are judged before the work begins, and one at a time is in memory."""
    judge_fraction(options.score, "--score")
    judge_fraction(options.iou, "--iou")
    judge_number(options.white, "--white", above=0, optional=True)
    pictures = _distinct_stems(_pictures(options.images))
    for path in pictures.values():
        images.read_image(path, options.white)
    model = load_model(options.weights, options.min_size, options.max_size)
    names = model.class_names or ["background"] + [f"class {i}" for i in range(1, model.num_classes)]
    if options.classes is not None:
        names = _read_class_names(options.classes, model.num_classes)
    folder = make_folder(options.out, "--out")
    if not options.overwrite:
        _refuse_to_replace(folder, pictures)

    progress, entries, done = ProgressLine("detecting", len(pictures)), [], 0
    try:
        for stem, path in pictures.items():
            entries += _detect(model, path, folder / stem, done + 1, names, options,
                               lambda stage: progress.update(done, stage))
            done += 1
            progress.update(done)
    finally:                                # Ctrl-C, a full disk: what is done is not lost
        if done:
            with atomic_writer(folder / "detections.json") as file:
                file.write(json.dumps(entries, indent=1).encode("utf-8"))
            print(f"wrote overlays and label maps of {done} of {count(len(pictures), 'image')}, "
                  f"and {folder / 'detections.json'}")


def _detect(model, path, place, image_id, names, options, tell):
    """Detect in one picture, write its two files, return its entries of the results file."""
    from .. import plots

    image = images.read_image(path, options.white)
    found = model.predict(image, options.score, options.iou, tell, paste_all=False)
    print(f"{printable(path)}: {found.table(names)}")
    figure = plots.instances(image, found.boxes, found.labels, found.scores, found.masks, names)
    plots.save_figure(figure, f"{place}-detections.png")
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


def _refuse_to_replace(folder, stems):
    names = ["detections.json"] + [f"{stem}-{what}.png" for stem in stems for what in ("detections", "labels")]
    found = [name for name in names if (folder / name).exists()]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise InputError(f"{folder}: holds {', '.join(found[:3])}{more} already; choose another folder (--out), or "
                         "replace them (--overwrite)")


def _distinct_stems(paths):
    """Give every image a name of its own in the output folder; return the path by that name."""
    path_of = {}
    for path in paths:
        stem, number = Path(path).stem, 1
        while stem in path_of:
            number += 1
            stem = f"{Path(path).stem}-{number}"
        path_of[stem] = path
    return path_of


def _label_map(found):
    """Return an (H, W) uint16 image: pixel value i + 1 is detection i; better ones lie on top."""
    picture = np.zeros(found.masks.shape[1:], np.uint16)
    for i in reversed(range(len(found))):
        picture[found.masks[i] > 0.5] = i + 1
    return picture


def _read_class_names(path, num_classes):
    lines = read_text(path, "a list of class names, one a line").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if len(names) != num_classes - 1:
        raise InputError(f"{path}: has {len(names)} class names, but the model has {num_classes - 1} classes besides "
                         "background")
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise InputError(f"{path}: has the class name {repeated[0]!r} more than once")
    return ["background"] + names
