"""``npmaskrcnn cost``: measure what one prediction costs, stage by stage and layer by layer.

Multiply-adds, parameters, bytes and milliseconds, of an image of toy shapes or a picture of one's own. What the heads
cost depends on what they find in it.

example: npmaskrcnn cost --weights model.npz --size 128 160
"""

from ..costs import REPEATS, cost
from ..errors import InputError
from ..files import make_folder
from ..images import read_image
from ..judge import judge_count, judge_numbers
from ..progress import ProgressLine
from .common import add_model, the_model


def add_arguments(parser):
    """Say what can be typed."""
    add_model(parser)
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="size of the image (default: 128 128); "
                        "the model resizes it (--min-size, --max-size)")
    parser.add_argument("--image", metavar="FILE", help="a picture in its place")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="predictions to time (default: %(default)s)")
    parser.add_argument("--layers", action="store_true", help="also list the layers")
    parser.add_argument("--out", metavar="DIR", help="also write the figure costs.png here")


def run(options):
    """Measure, print, draw."""
    from .. import plots

    if options.size is not None and options.image is not None:
        raise InputError("--size and --image exclude each other: a picture has a size of its own")
    repeats = judge_count(options.repeats, "--repeats")
    if options.size is not None:
        judge_numbers(options.size, "--size", 2, lowest=1, whole=True)
    image = None if options.image is None else read_image(options.image)
    model = the_model(options)
    folder = None if options.out is None else make_folder(options.out, "--out")      # all else is right
    line = ProgressLine("predicting", repeats + 1)
    found = cost(model, options.size, image, repeats, line.update)
    print(found.table(options.layers))
    if folder is not None:
        path = folder / "costs.png"
        plots.save_figure(plots.cost_bars(found), path)
        print(f"wrote {path}")
