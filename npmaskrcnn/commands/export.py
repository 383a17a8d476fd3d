"""``npmaskrcnn export``: convert a weight file, for example into one that torchvision loads.

From .npz, .pth or .safetensors to .npz or .safetensors; keys and shapes are torchvision's in all of them. A file that
is there already is replaced only with --overwrite.

example: npmaskrcnn export model.npz model.safetensors
"""

from ..weights import export
from .common import add_overwrite, judge_file, load_model


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("destination", metavar="TO")
    add_overwrite(parser, "a file of that name")


def run(options):
    """Convert."""
    judge_file(options.destination, options.source, options.overwrite)
    export(options.source, options.destination)
    model = load_model(options.destination)         # what was written can be read again
    print(f"wrote {options.destination}: {model.architecture['builder']}, {model.num_classes} classes, "
          f"{len(model.state_dict())} tensors")
