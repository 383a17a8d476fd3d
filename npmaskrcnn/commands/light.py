"""``npmaskrcnn light``: make a lighter model of a weight file: pruned, of int8 or float16.

Options may be combined; channels and weights are pruned first, then rounded. What is pruned away is missed, and a short
training on the pruned model's images brings most of it back; --fine-tune does that on toy shapes. A file that is there
already is replaced only with --overwrite.

example: npmaskrcnn light model.npz small.npz --keep-channels 0.5 --fine-tune 300 --int8
"""

import os

from .. import light
from ..datasets import ShapesDataset
from ..errors import InputError
from ..files import judge_writable
from ..images import read_image
from ..judge import MAX_COUNT, judge_fraction, judge_number
from ..light.pruning import not_quantized
from ..training import train
from ..training.options import judge_classes
from ..weights import load, model_bytes, save
from .common import add_overwrite, judge_file

SEED, BATCH_SIZE = 5000, 4     # of the shapes of a fine-tuning


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("destination", metavar="TO", help="an .npz file")
    parser.add_argument("--keep-channels", type=float, metavar="SHARE", help="take channels out but this share")
    parser.add_argument("--zero-weights", type=float, metavar="SHARE", help="set this share of weights to zero")
    parser.add_argument("--fine-tune", type=int, metavar="STEPS", help="then train on toy shapes for so many steps")
    parser.add_argument("--int8", action="store_true", help="weights of eight bits")
    parser.add_argument("--int8-inputs", nargs="+", metavar="IMAGE", help="and inputs of eight bits, with "
                        "the steps that suit these pictures")
    parser.add_argument("--half", action="store_true", help="store numbers with sixteen bits")
    add_overwrite(parser, "a file of that name")


def run(options):
    """Load, make lighter, write."""
    if os.path.splitext(options.destination)[1].lower() != ".npz":
        raise InputError(f"{options.destination}: expected a name that ends in .npz")
    judge_file(options.destination, options.source, options.overwrite)
    keep = judge_number(options.keep_channels, "--keep-channels", above=0, highest=1, optional=True)
    zeros = judge_fraction(options.zero_weights, "--zero-weights", optional=True)
    steps = judge_number(options.fine_tune, "--fine-tune", 1, MAX_COUNT // BATCH_SIZE, whole=True, optional=True)
    if keep is zeros is options.int8_inputs is None and not options.int8 and not options.half:
        raise InputError("nothing is to become lighter; say --keep-channels, --zero-weights, --int8, "
                         "--int8-inputs or --half")
    images = None if options.int8_inputs is None else [read_image(path) for path in options.int8_inputs]
    model = load(options.source)
    if options.int8 or any(wanted is not None for wanted in (keep, zeros, steps, images)):     # more than --half
        not_quantized(model.architecture.get("light", {}), options.source)
    shapes = None if steps is None else ShapesDataset(BATCH_SIZE * steps, seed=SEED)
    if shapes is not None:
        judge_classes(model, shapes, f"--fine-tune of {options.source} on toy shapes", some_suffice=True)
        judge_writable(options.destination)
    if keep is not None:
        model = light.prune_channels(model, keep)
    if zeros is not None:
        model = light.zero_small_weights(model, zeros)
    if shapes is not None:
        _fine_tune(model, shapes, steps, zeros is not None, options.destination)
    if options.int8 or images is not None:
        model = light.quantize(model, images)
    if options.half:
        model = light.half(model)
    save(model, options.destination)
    before, after = (model_bytes(path) for path in (options.source, options.destination))
    print(f"wrote {options.destination}: {after:,} bytes of weights, {100 * after / before:.0f} % of the {before:,} in "
          f"{options.source} (both uncompressed)")


def _fine_tune(model, shapes, steps, keep_zeros, path):
    """Train, and write what came out: pictures may turn out not to suit, and what took long must not be lost."""
    try:
        train(model, shapes, steps, optimizer="muon", batch_size=BATCH_SIZE, keep_zeros=keep_zeros)
    except KeyboardInterrupt:
        save(model, path)
        print(f"{path} holds the model with what it has learned so far, not rounded")
        raise
    save(model, path)
