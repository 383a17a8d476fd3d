"""What several commands need: options that they share, and a model out of a file."""

from ..shipped import trained_tiny
from ..weights import load


def add_out(parser, folder):
    """Add the option --out."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="folder to write into (default: %(default)s)")


def add_white(parser):
    """Add the option --white."""
    parser.add_argument("--white", type=float, metavar="VALUE",
                        help="number that is white in pictures of 16 or 32 bits, such as 4095 for 12 bits")


def load_model(weights):
    """Load a weight file, or the trained tiny model if `weights` is None."""
    return trained_tiny() if weights is None else load(weights)
