"""``npmaskrcnn train``: train a model on toy shapes, drawn cells, or on your own images in COCO format.

Writes into the output folder: log.csv (losses, learning rate, gradient norms), validation.csv, curves.png,
gradients.png, checkpoint.npz (what --resume takes), checkpoint-000100.npz and so on (--checkpoint-at) and, at the
end, model.npz (what --weights takes).

example: npmaskrcnn train shapes --seed 1
"""

import numpy as np

from .. import models
from ..datasets import TEST_SEED, CellsDataset, CocoDataset, ShapesDataset, warn_of_shared_images
from ..errors import InputError
from ..judge import judge_number
from ..stages.transform import resized_size
from ..training.options import judge_classes
from ..training.validation import iou_types
from ..weights import CLASS_LAYERS, load_with_new_heads
from ..words import count
from .common import add_boxes_only, add_out, add_white, load_model

# Masks are learned last. In 1,000 steps of version 1 of the tiny model a factor of 2 brought mask AP from .713 to .721
# and box AP from .751 to .768, 4 brought .719 and .758 (one seed; two seeds differ by as much as .01). Of a near
# relative of version 2 (four mask convolutions of 48), 3 is as good as 2.
SHAPES_MASK_WEIGHT = 2.0
NUM_SHAPES = 100_000     # not from --steps: a run that is taken up for more steps has the same images
MODELS = ("tiny", *models.BODIES, "resnet50_v2", "mobilenet_v3_large")


def add_arguments(parser):
    """Say what can be typed."""
    sources = parser.add_subparsers(dest="source", metavar="{shapes,cells,coco}", required=True)
    shapes = sources.add_parser("shapes", help="toy shapes, drawn as needed", epilog="example: npmaskrcnn train shapes")
    shapes.add_argument("--kinds", nargs="+", default=["circle", "square", "triangle"], metavar="KIND",
                        help="of circle, square, triangle, ring, star (default: the first three)")
    cells = sources.add_parser("cells", help="microscope pictures of cells, drawn as needed",
                               epilog="example: npmaskrcnn train cells --steps 600")
    for drawn, datasets in ((shapes, _shapes), (cells, _cells)):
        drawn.set_defaults(datasets=datasets, annotations=None, model=None, new_heads=False, min_size=None,
                           scale_jitter=None, quarter_turns=False)
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
    coco.add_argument("--quarter-turns", action="store_true",
                      help="turn images by quarters, where they have no up and down")
    add_white(coco)
    coco.set_defaults(datasets=_coco)
    _add_common(shapes, 1000, SHAPES_MASK_WEIGHT)
    _add_common(cells, 1000, SHAPES_MASK_WEIGHT)
    _add_common(coco, 1800, 1.0)


def _add_common(parser, steps, mask_weight):
    parser.add_argument("--steps", type=int, default=steps,
                        help="in all, --resume included; the rate falls to zero over them (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=4, help="images a step (default: %(default)s)")
    parser.add_argument("--optimizer", default="muon", help="muon, adamw or sgd (default: %(default)s)")
    parser.add_argument("--lr", type=float, help="highest learning rate (default: the optimizer's)")
    add_boxes_only(parser)
    parser.add_argument("--mask-weight", type=float, metavar="FACTOR",
                        help=f"of the mask loss in the sum of the five (default: {mask_weight})")
    parser.set_defaults(usual_mask_weight=mask_weight)
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and samples (default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="start from these weights")
    parser.add_argument("--resume", metavar="FILE", help="take up a checkpoint of the same training")
    parser.add_argument("--eval-every", type=int, metavar="STEPS",
                        help="steps between two evaluations (default: at the end)")
    parser.add_argument("--checkpoint-every", type=int, default=100, metavar="STEPS",
                        help="steps that a kill or a power failure may cost (default: %(default)s)")
    parser.add_argument("--checkpoint-at", type=int, nargs="*", default=[], metavar="STEP",
                        help="keep checkpoints of these steps")
    parser.add_argument("--no-flip", action="store_true", help="do not mirror half of the images")
    add_out(parser, "npmaskrcnn-run")


def run(options):
    """Train."""
    from ..training import train
    from ..training.checkpoint import read_checkpoint

    judge_number(options.seed, "--seed", 0, whole=True)
    judge_number(options.mask_weight, "--mask-weight", 0, optional=True)
    _judge_model_options(options)
    if late := [step for step in options.checkpoint_at if step > options.steps]:
        raise InputError(f"--checkpoint-at {late[0]} comes after the last of {options.steps} steps (--steps)")
    if options.resume is not None:
        read_checkpoint(options.resume)         # a model alone would be refused for its classes, perhaps
    stored = load_model(options.weights or options.resume) if options.weights or options.resume else None
    if stored is not None:
        options.boxes_only = "segm" not in iou_types(stored)    # nobody can have typed it
    dataset, validation = options.datasets(options)
    lines = []          # to be said when all options are judged
    model = _model(options, stored, len(dataset.class_names), np.random.default_rng(options.seed), lines.append)
    if options.mask_weight is not None and "loss_mask" not in model.loss_names:
        raise InputError("--mask-weight is of the mask loss, and the model has no mask branch")
    judge_classes(model, dataset, options.annotations or f"the {options.source}")
    if options.source != "shapes" and options.resume is None:
        _make_room(model, dataset.most_objects, lines.append)
    if options.source == "coco" and options.resume is None:
        _tell_size(model.config, dataset, lines.append)
    mask_weight = options.usual_mask_weight if options.mask_weight is None else options.mask_weight
    train(model, dataset, num_steps=options.steps, out_dir=options.out, optimizer=options.optimizer, lr=options.lr,
          resume=options.resume, batch_size=options.batch_size, rng=options.seed, validation=validation,
          eval_every=options.eval_every, checkpoint_every=options.checkpoint_every,
          checkpoint_at=options.checkpoint_at, flip=not options.no_flip, scale_jitter=options.scale_jitter,
          quarter_turns=options.quarter_turns, ready=lambda: print(*lines, sep="\n", end="\n" * bool(lines)),
          loss_weights={"loss_mask": mask_weight} if "loss_mask" in model.loss_names else {})


def _make_room(model, most, say):
    """Let a model propose enough for the fullest picture, of `most` objects."""
    config = model.config
    wanted = {"rpn_pre_nms_top_n_train": 20 * most, "rpn_pre_nms_top_n_test": 20 * most,
              "rpn_post_nms_top_n_train": 8 * most, "rpn_post_nms_top_n_test": 8 * most,
              "box_detections_per_img": 2 * most}
    more = {name: number for name, number in wanted.items()
            if name in model.architecture["config"] and number > getattr(config, name)}
    if more:
        models.reconfigure(model, **more)
        said = {"rpn_post_nms_top_n_test": "proposals", "box_detections_per_img": "detections"}
        said = [f"at most {more[name]:,} {what} (instead of {getattr(config, name):,})"
                for name, what in said.items() if name in more]
        say(f"up to {count(most, 'object')} in a picture: {', '.join(said) or 'more proposals in training'}")


def _tell_size(config, dataset, say):
    """Say at which size a model will see the pictures."""
    size = sorted(dataset.sizes, key=np.prod)[len(dataset) // 2]
    shown = resized_size(size, np.max(config.min_size), config.max_size)
    if shown != size:
        say(f"a picture of {size[1]} x {size[0]} pixels is resized to {shown[1]} x {shown[0]} (--min-size)")


def _judge_model_options(options):
    """Refuse two different answers to the question which model is trained."""
    answers = {"--resume": options.resume, "--weights": options.weights, "--model": options.model,
               "--min-size": options.min_size, "--boxes-only": options.boxes_only or None}
    given = [name for name, value in answers.items() if value is not None]
    if options.new_heads and options.weights is None:
        raise InputError("--new-heads goes with --weights: all else comes from that file")
    of_a_new_model = {"--model", "--min-size", "--boxes-only"}
    if len(given) > 1 and not of_a_new_model.issuperset(given) and not (
            options.new_heads and given == ["--weights", "--min-size"]):
        raise InputError(f"{given[0]} and {given[1]} exclude each other: the file of {given[0]} says what the model is")


def _shapes(options):
    """Return (training set, test set) of toy shapes; 25,000 steps of 4 see no image twice."""
    return ShapesDataset(NUM_SHAPES, seed=options.seed, kinds=tuple(options.kinds)), shapes_validation(options)


def shapes_validation(options):
    """Return the standard test set, or one like it of other kinds."""
    return ShapesDataset(200, seed=TEST_SEED, kinds=tuple(options.kinds))


def _cells(options):
    """Return (training set, test set) of drawn cells."""
    return CellsDataset(NUM_SHAPES, seed=options.seed), CellsDataset(100, seed=TEST_SEED)


def _coco(options):
    """Return (training set, validation set or None) of COCO annotation files."""
    if (options.val_annotations is None) != (options.val_images is None):
        raise InputError("--val-annotations and --val-images go together")
    dataset = CocoDataset(options.annotations, options.images, white=options.white, boxes_as_masks=options.boxes_only)
    validation = None
    if options.val_annotations is not None:
        validation = CocoDataset(options.val_annotations, options.val_images, white=options.white,
                                 boxes_as_masks=options.boxes_only)
        warn_of_shared_images(dataset, validation)
    return dataset, validation


def _model(options, stored, num_classes, rng, say):
    """Build the model that was asked for, or take the one of the file that was named."""
    size = {} if options.min_size is None else {"min_size": options.min_size}
    if options.new_heads:
        model = load_with_new_heads(options.weights, num_classes, rng, **size)
        new = [layer for layer in CLASS_LAYERS if f"{layer}.bias" in model.state_dict()]
        say(f"random at first, for {count(num_classes - 1, 'class')}: {', '.join(new)}; all else is from "
            f"{options.weights}")
        return model
    if stored is not None:
        return stored
    family = "fasterrcnn" if options.boxes_only else "maskrcnn"
    if options.model == "resnet50_v2":
        return getattr(models, f"{family}_resnet50_fpn_v2")(num_classes, rng=rng, **size)
    if options.model == "mobilenet_v3_large":
        return getattr(models, f"{family}_mobilenet_v3_large_fpn")(num_classes, rng=rng, **size)
    if options.model not in (None, "tiny"):
        return getattr(models, f"{family}_resnet_fpn")(options.model, num_classes, rng=rng, **size)
    return getattr(models, f"{family}_tiny")(num_classes, rng=rng, **models.with_room(f"{family}_tiny", size))
