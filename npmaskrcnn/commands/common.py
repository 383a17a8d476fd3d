"""What several commands need: options that they share, and a model out of a file."""

from dataclasses import replace

from ..config import LARGEST_NUMBER
from ..judge import judge_number
from ..models import with_room
from ..shipped import trained_tiny
from ..stages.transform import Transform
from ..weights import load


def add_out(parser, folder):
    """Add the option --out."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="folder to write into (default: %(default)s)")


def add_white(parser):
    """Add the option --white."""
    parser.add_argument("--white", type=float, metavar="VALUE",
                        help="number that is white in pictures of 16 or 32 bits, such as 4095 for 12 bits")


def add_sizes(parser):
    """Add the options --min-size and --max-size."""
    parser.add_argument("--min-size", type=int, metavar="PIXELS",
                        help="shorter side to which images are resized (default: what the weight file says, 800 if it "
                        "is a bare state dict)")
    parser.add_argument("--max-size", type=int, metavar="PIXELS",
                        help="bound on their longer side, which wins (default: the same, 1333)")


def load_model(weights, min_size=None, max_size=None):
    """Load a weight file, or the trained tiny model if `weights` is None; sizes that are given replace the file's."""
    given = {"min_size": judge_number(min_size, "--min-size", 1, LARGEST_NUMBER, whole=True, optional=True),
             "max_size": judge_number(max_size, "--max-size", 1, LARGEST_NUMBER, whole=True, optional=True)}
    sizes = {name: size for name, size in given.items() if size is not None}
    model = trained_tiny() if weights is None else load(weights)
    if sizes:
        config = replace(model.config, **with_room(model.architecture["builder"], sizes))
        model.config = config
        model.transform = Transform(config.min_size, config.max_size, config.image_mean, config.image_std)
    return model
