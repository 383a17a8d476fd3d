"""``npmaskrcnn export``: convert a weight file, for example into one that torchvision loads.

From .npz, .pth or .safetensors to .npz or .safetensors; keys and shapes are torchvision's in all of them.
"""

from .common import load_model


def add_parser(commands):
    """Say what can be typed."""
    parser = commands.add_parser("export", help="convert a weight file", description=__doc__.split("\n\n", 1)[1],
                                 epilog="example: npmaskrcnn export model.npz model.safetensors")
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("destination", metavar="TO")
    parser.set_defaults(run=run)


def run(options):
    """Convert."""
    from ..weights import export
    export(options.source, options.destination)
    model = load_model(options.destination)         # what was written can be read again
    print(f"wrote {options.destination}: {model.architecture['builder']}, {model.num_classes} classes, "
          f"{len(model.state_dict())} tensors")
