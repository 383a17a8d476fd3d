"""What several commands need: an option that names the output folder, and a model out of a file."""

from ..shipped import trained_tiny
from ..weights import load


def add_out(parser, folder):
    """Add the option --out."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="folder to write into (default: %(default)s)")


def load_model(weights):
    """Load a weight file, or the trained tiny model if `weights` is None."""
    return trained_tiny() if weights is None else load(weights)
