"""``npmaskrcnn convert``: make COCO files of pictures whose objects have a mask file each.

FOLDER has a folder for every picture, each with ``images/`` (one picture) and ``masks/`` (one file an object, white
where it is), as the nuclei of the Data Science Bowl 2018 (BBBC038) have. Every fifth picture goes into ``val``, to
measure on, the others into ``train``; both get their pictures and ``instances.json``. Nothing that is there already is
replaced, unless --overwrite says so.

example: npmaskrcnn convert stage1_train --class-name nucleus --stretch --out nuclei
"""

from pathlib import Path

from ..datasets import MaskFolders, write_coco
from ..errors import InputError
from ..judge import judge_count
from ..progress import ProgressLine
from ..words import count
from .common import add_out


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
    add_out(parser, "npmaskrcnn-coco")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same names in that folder")


def run(options):
    """Read, split, write."""
    every = judge_count(options.val_every, "--val-every", 2)
    whole = MaskFolders(options.folder, options.class_name, options.stretch, options.only_size, options.min_area)
    if len(whole) < every:
        raise InputError(f"{options.folder}: has {count(len(whole), 'picture')}, and --val-every {every} needs as many")
    val = range(every - 1, len(whole), every)
    parts = {"train": whole.part([i for i in range(len(whole)) if i not in val]), "val": whole.part(val)}
    for name, part in parts.items():
        line = ProgressLine(f"{name}: pictures", len(part))
        path = write_coco(part, Path(options.out) / name, options.overwrite, line.update)
        print(f"{name}: {count(len(part), 'picture')}, {path}")
