"""``npmaskrcnn evaluate``: measure a model with COCO's average precision, boxes and masks.

On the standard test set of 200 images of shapes, or on a COCO annotation file. With --detections, a results file is
measured and no model is run; with --method, a program that has learned nothing and finds bright objects: otsu (what is
brighter than Otsu's threshold and hangs together) or watershed (the same, parted where it is narrow). A model without a
mask branch is measured by its boxes alone, for which annotations need no segmentation.

example: npmaskrcnn evaluate --weights model.npz --annotations instances_val.json --images val/
"""

from ..classical import METHODS
from ..datasets import CocoDataset, read_detections, shapes_test_set
from ..errors import InputError
from ..evaluation import evaluate
from ..evaluation.inputs import IOU_TYPES
from ..files import make_folder
from ..progress import ProgressLine
from ..training.options import judge_measured_classes
from ..training.validation import folded, iou_types, predict_dataset
from .common import add_mask_threshold, add_model, add_white, judged_mask_threshold, the_model


def add_arguments(parser):
    """Say what can be typed."""
    add_model(parser)
    add_mask_threshold(parser)
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotation file (default: the standard shapes)")
    parser.add_argument("--images", metavar="DIR", help="folder of its images (with --detections not needed)")
    parser.add_argument("--detections", metavar="FILE", help="measure this COCO results file instead of a model")
    parser.add_argument("--method", choices=list(METHODS), help="measure this classical method instead of a model")
    add_white(parser)
    parser.add_argument("--out", metavar="DIR", help="also write the precision-recall curves here")


def run(options):
    """Predict and measure."""
    from .. import plots

    _judge_options(options)
    threshold = judged_mask_threshold(options)
    model = the_model(options) if options.detections is None and options.method is None else None
    kinds = IOU_TYPES if model is None else iou_types(model)
    dataset = (shapes_test_set() if options.annotations is None
               else CocoDataset(options.annotations, options.images, allow_empty=True, white=options.white,
                                boxes_as_masks="segm" not in kinds))
    if options.detections is not None:
        found = read_detections(options.detections, dataset)
        kinds = IOU_TYPES if found.has_masks else ("bbox",)
    elif model is not None:
        judge_measured_classes(model, dataset, options.annotations or "the standard shapes")
    elif len(dataset.class_names) != 2:
        raise InputError(f"--method tells no classes apart: expected one, but {options.annotations or 'the shapes'} "
                         f"{'has' if options.annotations else 'have'} {len(dataset.class_names) - 1}")
    folder = None if options.out is None else make_folder(options.out, "--out")      # all else is right
    if options.detections is None:
        line = ProgressLine("looking at images", len(dataset))
        found = (predict_dataset(model, dataset, line.update, mask_threshold=threshold) if options.method is None
                 else _find(METHODS[options.method], dataset, line.update))
    result = evaluate(dataset, found, kinds)
    print(result.summary())
    if folder is not None:
        parts = {"boxes": result.bbox, "masks": result.segm}
        paths = {folder / f"precision-recall-{name}.png": part for name, part in parts.items() if part is not None}
        for path, part in paths.items():
            plots.save_figure(plots.precision_recall(part, dataset.class_names), path)
        print(f"wrote {' and '.join(map(str, paths))}")


def _judge_options(options):
    """Refuse options that do not go together."""
    if options.annotations is None and options.images is not None:
        raise InputError("--images needs --annotations: the annotation file of the images in that folder")
    if options.white is not None and options.images is None:
        raise InputError("--white needs --images: the pictures in which that number is white")
    if options.annotations is not None and options.images is None and options.detections is None:
        raise InputError("--annotations needs --images, the folder of its images, unless --detections is measured")
    answers = {"--detections": options.detections, "--method": options.method, "--weights": options.weights,
               "--classes": options.classes, "--min-size": options.min_size, "--max-size": options.max_size,
               "--mask-threshold": options.mask_threshold}
    given = [name for name, value in answers.items() if value is not None]
    if len(given) > 1 and given[0] in ("--detections", "--method"):
        raise InputError(f"{given[0]} and {given[1]} exclude each other: measure a file, a method, or run a model")


def _find(method, dataset, tell):
    """What a classical method finds in every image of a dataset."""
    found = []
    for i in range(len(dataset)):
        tell(i)
        found.append(folded(method(dataset[i][0])))
    tell(len(dataset))
    return found
