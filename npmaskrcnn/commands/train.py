"""``npmaskrcnn train``: train a model on toy shapes, or on your own images in COCO format.

Writes into the output folder: log.csv (losses, learning rate, gradient norms), validation.csv, curves.png,
gradients.png, checkpoint.npz (what --resume takes), checkpoint-000100.npz and so on (--checkpoint-at) and, at the
end, model.npz (what --weights takes).
"""

import numpy as np

from ..errors import InputError
from ..judge import judge_number
from ..models import BODIES
from ..words import count
from .common import add_out, judge_classes, load_model

DEFAULT_STEPS = 1800
# Masks are learned last. In 1,000 steps of shapes a factor of 2 brought mask AP from .713 to .721 and box AP from
# .751 to .768, 4 brought .719 and .758 (one seed; two seeds differ by as much as .01).
SHAPES_MASK_WEIGHT = 2.0
NUM_SHAPES = 100_000     # not from --steps: a run that is taken up for more steps has the same images
MODELS = ("tiny",) + tuple(BODIES) + ("resnet50_v2",)


def add_parser(commands):
    """Say what can be typed."""
    parser = commands.add_parser("train", help="train a model", description=__doc__.split("\n\n", 1)[1],
                                 epilog="example: npmaskrcnn train shapes --seed 1")
    sources = parser.add_subparsers(dest="source", metavar="{shapes,coco}", required=True, parser_class=type(parser))
    shapes = sources.add_parser("shapes", help="toy shapes, drawn as needed", epilog="example: npmaskrcnn train shapes")
    shapes.add_argument("--kinds", nargs="+", default=["circle", "square", "triangle"], metavar="KIND",
                        help="of circle, square, triangle, ring, star (default: the first three)")
    coco = sources.add_parser(
        "coco", help="your own images, in COCO format",
        epilog="example: npmaskrcnn train coco --annotations instances.json --images pictures/ --min-size 256")
    coco.add_argument("--annotations", required=True, metavar="FILE", help="COCO annotation file")
    coco.add_argument("--images", required=True, metavar="DIR", help="folder of its images")
    coco.add_argument("--val-annotations", metavar="FILE", help="annotations of a validation set")
    coco.add_argument("--val-images", metavar="DIR", help="folder of its images")
    coco.add_argument("--model", choices=MODELS, help="default: tiny")
    coco.add_argument("--new-heads", action="store_true",
                      help="with --weights: draw the layers that name classes anew, for the classes of --annotations")
    coco.add_argument("--min-size", type=int, metavar="PIXELS", help="shorter side to which images are resized")
    coco.add_argument("--scale-jitter", type=float, nargs=2, metavar=("LOW", "HIGH"),
                      help="random zoom, such as 0.8 1.2")
    for source in (shapes, coco):
        _add_common(source, SHAPES_MASK_WEIGHT if source is shapes else 1.0)
        source.set_defaults(run=run)


def _add_common(parser, mask_weight):
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS,
                        help="in all, --resume included; the rate falls to zero over them (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="images a step (default: %(default)s)")
    parser.add_argument("--optimizer", default="muon", help="muon, adamw or sgd (default: %(default)s)")
    parser.add_argument("--lr", type=float, help="highest learning rate (default: the optimizer's)")
    parser.add_argument("--mask-weight", type=float, default=mask_weight, metavar="FACTOR",
                        help="of the mask loss in the sum of the five (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and samples (default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="start from these weights")
    parser.add_argument("--resume", metavar="FILE", help="take up a checkpoint of the same training")
    parser.add_argument("--eval-every", type=int, metavar="STEPS",
                        help="steps between two evaluations (default: at the end)")
    parser.add_argument("--checkpoint-at", type=int, nargs="*", default=[], metavar="STEP",
                        help="keep checkpoints of these steps")
    parser.add_argument("--no-flip", action="store_true", help="do not mirror half of the images")
    add_out(parser, "npmaskrcnn-run")


def run(options):
    """Train."""
    from ..training import train

    judge_number(options.seed, "--seed", 0, whole=True)
    if getattr(options, "min_size", None) is not None:
        judge_number(options.min_size, "--min-size", 1)
    judge_number(options.mask_weight, "--mask-weight", 0)
    _judge_model_options(options)
    make = _shapes if options.source == "shapes" else _coco
    model, dataset, validation = make(options)
    if late := [step for step in options.checkpoint_at if step > options.steps]:
        raise InputError(f"--checkpoint-at {late[0]} comes after the last of {options.steps} steps (--steps)")
    train(
        model, dataset, num_steps=options.steps, out_dir=options.out, optimizer=options.optimizer, lr=options.lr,
        resume=options.resume, batch_size=options.batch_size, rng=options.seed, validation=validation,
        eval_every=options.eval_every, checkpoint_at=options.checkpoint_at, flip=not options.no_flip,
        scale_jitter=getattr(options, "scale_jitter", None), loss_weights={"loss_mask": options.mask_weight})


def _judge_model_options(options):
    """Refuse two different answers to the question which model is trained."""
    given = [name for name in ("--resume", "--weights", "--model", "--min-size")
             if getattr(options, name.lstrip("-").replace("-", "_"), None) is not None]
    new_heads = getattr(options, "new_heads", False)
    if new_heads and options.weights is None:
        raise InputError("--new-heads goes with --weights: all else comes from that file")
    together = [["--model", "--min-size"]]
    if new_heads:
        together.append(["--weights", "--min-size"])
    if len(given) > 1 and given not in together:
        raise InputError(f"{given[0]} and {given[1]} exclude each other: the file of {given[0]} says what the model is")


def _stored_model(options):
    """Return the model of --resume or --weights; None if a new one is wanted."""
    source = options.weights if options.resume is None else options.resume
    return None if source is None else load_model(source)


def _shapes(options):
    """Return (model, training set, test set) for toy shapes; 25,000 steps of 4 see no image twice."""
    from ..datasets import ShapesDataset
    from ..models import maskrcnn_tiny

    dataset = ShapesDataset(NUM_SHAPES, seed=options.seed, kinds=tuple(options.kinds))
    model = _stored_model(options) or maskrcnn_tiny(len(dataset.class_names), rng=np.random.default_rng(options.seed))
    return _with_classes(model, dataset, "the shapes"), dataset, shapes_validation(options)


def shapes_validation(options):
    """Return the standard test set, or one like it of other kinds."""
    from ..datasets import ShapesDataset, shapes_test_set

    if tuple(options.kinds) == ("circle", "square", "triangle"):
        return shapes_test_set()
    return ShapesDataset(200, seed=2 ** 31 + options.seed, kinds=tuple(options.kinds))


def _coco(options):
    """Return (model, training set, validation set or None) for a COCO annotation file."""
    from ..datasets import CocoDataset, warn_of_shared_images

    if (options.val_annotations is None) != (options.val_images is None):
        raise InputError("--val-annotations and --val-images go together")
    dataset = CocoDataset(options.annotations, options.images)
    validation = None
    if options.val_annotations is not None:
        validation = CocoDataset(options.val_annotations, options.val_images)
        warn_of_shared_images(dataset, validation)
    model = _coco_model(options, len(dataset.class_names), np.random.default_rng(options.seed))
    return _with_classes(model, dataset, options.annotations), dataset, validation


def _coco_model(options, num_classes, rng):
    """Build the model that was asked for, or load it."""
    from .. import models

    size = {} if options.min_size is None else {"min_size": options.min_size}
    if options.new_heads:
        from ..weights import CLASS_LAYERS, load_with_new_heads
        model = load_with_new_heads(options.weights, num_classes, rng, **size)
        print(f"random at first, for {count(num_classes - 1, 'class')}: {', '.join(CLASS_LAYERS)}; all else is from "
              f"{options.weights}")
        return model
    model = _stored_model(options)
    if model is not None:
        return model
    if options.model in (None, "tiny"):
        if size:
            size["max_size"] = 2 * options.min_size         # images are not squares: leave the longer side room
        return models.maskrcnn_tiny(num_classes, rng=rng, **size)
    if options.model == "resnet50_v2":
        return models.maskrcnn_resnet50_fpn_v2(num_classes=num_classes, rng=rng, **size)
    return models.maskrcnn_resnet_fpn(options.model, num_classes=num_classes, rng=rng, **size)


def _with_classes(model, dataset, what):
    if model.class_names is None:
        model.class_names = list(dataset.class_names)
    judge_classes(model, dataset, what)
    return model
