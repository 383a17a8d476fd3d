"""What several commands need: options that they share, and a model out of a file."""

from ..config import LARGEST_NUMBER
from ..errors import InputError
from ..files import judge_replacing, read_text
from ..judge import judge_number
from ..models import reconfigure
from ..shipped import trained_tiny
from ..weights import load


def add_out(parser, folder):
    """Add the option --out."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="folder to write into (default: %(default)s)")


def add_white(parser):
    """Add the option --white."""
    parser.add_argument("--white", type=float, metavar="VALUE",
                        help="number that is white in pictures of 16 or 32 bits, such as 4095 for 12 bits")


def add_mask_threshold(parser):
    """Add the option --mask-threshold."""
    parser.add_argument("--mask-threshold", type=float, metavar="P",
                        help="a pixel belongs to an object if the model's probability is above this (default: 0.5)")


def judged_mask_threshold(options):
    """Return the value of --mask-threshold, 0.5 without one."""
    value = judge_number(options.mask_threshold, "--mask-threshold", above=0, below=1, optional=True)
    return 0.5 if value is None else value


def add_boxes_only(parser):
    """Add the option --boxes-only."""
    parser.add_argument("--boxes-only", action="store_true",
                        help="a model without the mask branch: a Faster R-CNN, which learns boxes and no masks")


def add_model(parser):
    """Add the options that say which model looks at pictures, and what its file may not know."""
    parser.add_argument("--weights", metavar="FILE",
                        help=".npz, .pth or .safetensors (default: the tiny model that knows three shapes)")
    parser.add_argument("--classes", metavar="FILE", help="text file with one class name a line, without background")
    parser.add_argument("--min-size", type=int, metavar="PIXELS",
                        help="shorter side to which images are resized (default: what the weight file says, 800 if it "
                        "is a bare state dict)")
    parser.add_argument("--max-size", type=int, metavar="PIXELS",
                        help="bound on their longer side, which wins (default: the same, 1333)")


def add_overwrite(parser, what="files of the same names in that folder"):
    """Add the option --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def judge_writing(folder, names, sources, overwrite):
    """Refuse to replace files of these names in a folder, unless told to, and a source of this command in any case."""
    judge_replacing([folder / name for name in names], sources, overwrite, "another folder (--out)", "--overwrite")


def judge_file(path, source, overwrite):
    """Refuse to replace a file that was named, unless told to, and the one that it is made of in any case."""
    judge_replacing([path], [source], overwrite, "another name", "--overwrite")


def load_model(weights):
    """Load a weight file, or the trained tiny model if `weights` is None."""
    return trained_tiny() if weights is None else load(weights)


def the_model(options):
    """Load the model that the options of `add_model` name; class names and sizes that they give replace the file's."""
    given = {"min_size": judge_number(options.min_size, "--min-size", 1, LARGEST_NUMBER, whole=True, optional=True),
             "max_size": judge_number(options.max_size, "--max-size", 1, LARGEST_NUMBER, whole=True, optional=True)}
    sizes = {name: size for name, size in given.items() if size is not None}
    model = load_model(options.weights)
    if sizes:
        reconfigure(model, **sizes)
    if options.classes is not None:
        model.class_names = _read_class_names(options.classes, model.num_classes)
    return model


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
