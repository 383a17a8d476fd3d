"""``npmaskrcnn detect``: find and cut out the objects in pictures.

For each picture it writes an overlay (``NAME-detections.png``) and a label map (``NAME-labels.png``, 16 bit:
pixel value i is the i-th detection, 0 none), and for all of them together ``detections.json`` in COCO's results
format with run-length encoded masks.
"""

import json
from collections import Counter
from pathlib import Path

from PIL import Image

from ..config import check_fraction
from ..errors import InputError
from ..weights.files import atomic_writer
from .common import ProgressLine, class_names_of, label_map, load_model, output_folder, save_figure


def add_parser(commands):
    """Say what can be typed."""
    parser = commands.add_parser("detect", help="find the objects in pictures", description=__doc__.split("\n\n", 1)[1],
                                 epilog="example: npmaskrcnn detect photo.jpg --weights model.npz --score 0.7 --out found")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--weights", metavar="FILE",
                        help=".npz, .pth or .safetensors (default: the tiny model that knows three shapes)")
    parser.add_argument("--score", type=float, default=0.5, metavar="S",
                        help="show detections with a higher score than this (default: %(default)s)")
    parser.add_argument("--iou", type=float, default=0.5, metavar="T",
                        help="of two detections of a class that overlap more than this, keep the better (default: %(default)s)")
    parser.add_argument("--classes", metavar="FILE", help="text file with one class name a line, without background")
    parser.add_argument("--out", default="npmaskrcnn-out", metavar="DIR", help="folder to write into (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options):
    """Detect in every image; a picture that cannot be read stops nothing that comes before it."""
    from .. import plots
    from ..datasets import detections_to_coco
    from ..images import read_image

    check_fraction("--score", options.score)
    check_fraction("--iou", options.iou)
    paths = list(dict.fromkeys(options.images))             # a picture that was named twice is done once
    stems = _distinct_stems(paths)
    images = {path: read_image(path) for path in paths}      # all are judged before the work begins
    folder = output_folder(options.out)
    model = load_model(options.weights)
    names = class_names_of(model) if options.classes is None else _read_class_names(options.classes, model.num_classes)

    progress, entries = ProgressLine("detecting", len(images)), []
    for i, (path, image) in enumerate(images.items(), start=1):
        found = model.predict(image, options.score, options.iou, lambda stage: progress.update(i - 1, stage))
        print(f"{path}: {found.table(names)}")
        figure = plots.instances(image, found.boxes, found.labels, found.scores, found.masks, names)
        save_figure(figure, folder / f"{stems[path]}-detections.png")
        _write(folder / f"{stems[path]}-labels.png", lambda file: Image.fromarray(label_map(found)).save(file, "PNG"))
        for entry in detections_to_coco([found], [i]):
            entries.append({**entry, "file_name": str(path), "category_name": names[entry["category_id"]]})
        progress.update(i)
    text = json.dumps(entries, indent=1)
    _write(folder / "detections.json", lambda file: file.write(text.encode("utf-8")))
    print(f"wrote {len(images)} overlays and label maps, and {folder / 'detections.json'}")


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
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read as a list of class names, it is not UTF-8 text") from None
    names = [line.strip() for line in lines if line.strip()]
    if len(names) != num_classes - 1:
        raise InputError(f"{path}: has {len(names)} class names, but the model has {num_classes - 1} classes besides background")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: has the class name {repeated[0]!r} more than once")
    return ["background"] + names
