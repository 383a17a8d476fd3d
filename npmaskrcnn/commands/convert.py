"""``npmaskrcnn convert``: make COCO files of pictures whose objects have a mask file each.

FOLDER has a folder for every picture, each with ``images/`` (one picture) and ``masks/`` (one file an object, white
where it is), as the nuclei of the Data Science Bowl 2018 (BBBC038) have. Every fifth picture goes into ``val``, to
measure on, the others into ``train``; both get their pictures and ``instances.json``. Nothing that is there already is
replaced, unless --overwrite says so.

example: npmaskrcnn convert stage1_train --class-name nucleus --stretch --out nuclei
"""

import os
import tempfile
from pathlib import Path

from ..datasets import MaskFolders, write_coco
from ..datasets.coco_write import LIST_NAME, files_of
from ..errors import InputError, warn
from ..files import make_folder, read_json
from ..judge import judge_count, refusal
from ..progress import ProgressLine
from ..words import count, printable
from .common import add_out, add_overwrite, add_white, judge_writing


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("folder", metavar="FOLDER", help="folder with a folder for every picture")
    parser.add_argument("--class-name", default="object", metavar="NAME",
                        help="what the objects are (default: %(default)s)")
    parser.add_argument("--only-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
                        help="leave out pictures of other sizes")
    parser.add_argument("--min-area", type=int, default=1, metavar="PIXELS",
                        help="leave out objects of fewer pixels (default: %(default)s)")
    parser.add_argument("--stretch", action="store_true",
                        help="make the darkest of each picture black and its brightest white")
    parser.add_argument("--val-every", type=int, default=5, metavar="N",
                        help="one picture of so many is to measure on (default: %(default)s)")
    add_white(parser)
    add_out(parser, "npmaskrcnn-coco")
    add_overwrite(parser)


def run(options):
    """Read, split, write."""
    every = judge_count(options.val_every, "--val-every", 2)
    name = options.class_name
    if name == "background" or name != printable(name):
        raise refusal("--class-name", "a name in one line, other than 'background'", name)
    whole = MaskFolders(options.folder, name, options.stretch, options.only_size, options.min_area, options.white)
    if len(whole) < every:
        raise InputError(f"{options.folder}: has {count(len(whole), 'picture')}, and --val-every {every} needs as many")
    val = range(every - 1, len(whole), every)
    parts = {"train": whole.part([i for i in range(len(whole)) if i not in val]), "val": whole.part(val)}
    names = [os.path.join(name, file) for name, part in parts.items() for file in files_of(part)]
    folder = make_folder(options.out, "--out")
    judge_writing(folder, names, map(whole.path, range(len(whole))), options.overwrite)
    for name in parts:
        if os.path.lexists(folder / name):      # else it is made when there is something to put into it
            make_folder(folder / name, "--out")
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as waiting:    # both parts appear, or none
        for name, part in parts.items():
            write_coco(part, Path(waiting) / name, tell=ProgressLine(f"{name}: pictures", len(part)).update)
        objects = {name: len(read_json(Path(waiting) / name / LIST_NAME)["annotations"]) for name in parts}
        for name in parts:
            make_folder(folder / name, "--out")
        for name in reversed(names):        # the lists last
            os.replace(Path(waiting) / name, folder / name)
    for name, part in parts.items():
        print(f"{name}: {count(len(part), 'picture')} with {count(objects[name], 'object')}, "
              f"{folder / name / LIST_NAME}")
    if not any(objects.values()):
        warn(f"{options.folder}: no object is in the pictures: they have no masks, all masks are black, or all have "
             f"fewer pixels than --min-area {options.min_area}")
