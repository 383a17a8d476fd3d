"""``npmaskrcnn detect``: find and cut out the objects in pictures.

For each picture it writes an overlay (``NAME-detections.png``) and a label map (``NAME-labels.png``, 16 bit:
pixel value i is the i-th detection, 0 none), and for all of them together ``detections.json`` in COCO's results
format with run-length encoded masks. After Ctrl-C detections.json holds the pictures that were done. Nothing that is
there already is replaced, unless --overwrite says so.
"""

import glob
import json
import os
from collections import Counter
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..files import atomic_writer, make_folder, read_text
from ..judge import judge_fraction
from ..words import count
from ..progress import ProgressLine
from .common import add_out, class_names_of, label_map, load_model


def add_parser(commands):
    """Say what can be typed."""
    parser = commands.add_parser("detect", help="find the objects in pictures", description=__doc__.split("\n\n", 1)[1],
                                 epilog="example: npmaskrcnn detect photo.jpg --weights model.npz --out found")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or a pattern such as 'photos/*.jpg'")
    parser.add_argument("--weights", metavar="FILE",
                        help=".npz, .pth or .safetensors (default: the tiny model that knows three shapes)")
    parser.add_argument("--score", type=float, default=0.5, metavar="S",
                        help="show detections with a higher score than this (default: %(default)s)")
    parser.add_argument("--iou", type=float, default=0.5, metavar="T",
                        help="of two detections of a class that overlap more, keep the better (default: %(default)s)")
    parser.add_argument("--classes", metavar="FILE", help="text file with one class name a line, without background")
    add_out(parser, "npmaskrcnn-out")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same names in that folder")
    parser.set_defaults(run=run)


def run(options):
    """Detect in every image; all are judged before the work begins, and one at a time is in memory."""
    from ..images import read_image

    judge_fraction(options.score, "--score")
    judge_fraction(options.iou, "--iou")
    stems = _distinct_stems(_pictures(options.images))
    for path in stems:
        read_image(path)
    folder = make_folder(options.out, "--out")
    if not options.overwrite:
        _refuse_to_replace(folder, stems.values())
    model = load_model(options.weights)
    names = class_names_of(model) if options.classes is None else _read_class_names(options.classes, model.num_classes)

    progress, entries, done = ProgressLine("detecting", len(stems)), [], 0
    try:
        for path, stem in stems.items():
            entries += _detect(model, path, folder / stem, done + 1, names, options,
                               lambda stage: progress.update(done, stage))
            done += 1
            progress.update(done)
    finally:                                # Ctrl-C, a full disk: what is done is not lost
        if done:
            text = json.dumps(entries, indent=1)
            _write(folder / "detections.json", lambda file: file.write(text.encode("utf-8")))
            print(f"wrote overlays and label maps of {done} of {count(len(stems), 'image')}, "
                  f"and {folder / 'detections.json'}")


def _detect(model, path, place, image_id, names, options, tell):
    """Detect in one picture, write its two files, return its entries of the results file."""
    from .. import plots
    from ..datasets import detections_to_coco
    from ..images import read_image

    image = read_image(path)
    found = model.predict(image, options.score, options.iou, tell)
    print(f"{path}: {found.table(names)}")
    figure = plots.instances(image, found.boxes, found.labels, found.scores, found.masks, names)
    plots.save_figure(figure, f"{place}-detections.png")
    _write(f"{place}-labels.png", lambda file: Image.fromarray(label_map(found)).save(file, "PNG"))
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
    """Give every image a name of its own in the output folder."""
    stems, used = {}, set()
    for path in paths:
        stem, number = Path(path).stem, 1
        while stem in used:
            number += 1
            stem = f"{Path(path).stem}-{number}"
        used.add(stem)
        stems[path] = stem
    return stems


def _write(path, action):
    with atomic_writer(path) as file:
        action(file)


def _read_class_names(path, num_classes):
    lines = read_text(path, "a list of class names, one a line").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if len(names) != num_classes - 1:
        raise InputError(f"{path}: has {len(names)} class names, but the model has {num_classes - 1} classes besides "
                         "background")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: has the class name {repeated[0]!r} more than once")
    return ["background"] + names
