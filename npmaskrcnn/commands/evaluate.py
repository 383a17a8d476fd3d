"""``npmaskrcnn evaluate``: measure a model with COCO's average precision, boxes and masks.

On the standard test set of 200 images of shapes, or on a COCO annotation file. With --detections, a results file is
measured and no model is run. A model without a mask branch is measured by its boxes alone, for which annotations need
no segmentation.

example: npmaskrcnn evaluate --weights model.npz --annotations instances_val.json --images val/
"""

from ..datasets import CocoDataset, read_detections, shapes_test_set
from ..errors import InputError
from ..evaluation import evaluate
from ..evaluation.inputs import IOU_TYPES
from ..files import make_folder
from ..progress import ProgressLine
from ..training.options import judge_measured_classes
from ..training.validation import iou_types, predict_dataset
from .common import add_model, add_white, the_model


def add_arguments(parser):
    """Say what can be typed."""
    add_model(parser)
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotation file (default: the standard shapes)")
    parser.add_argument("--images", metavar="DIR", help="folder of its images (with --detections not needed)")
    parser.add_argument("--detections", metavar="FILE", help="measure this COCO results file instead of a model")
    add_white(parser)
    parser.add_argument("--out", metavar="DIR", help="also write the precision-recall curves here")


def run(options):
    """Predict and measure."""
    from .. import plots

    if options.annotations is None and options.images is not None:
        raise InputError("--images needs --annotations: the annotation file of the images in that folder")
    if options.white is not None and options.images is None:
        raise InputError("--white needs --images: the pictures in which that number is white")
    if options.annotations is not None and options.images is None and options.detections is None:
        raise InputError("--annotations needs --images, the folder of its images, unless --detections is measured")
    of_a_model = {"--weights": options.weights, "--classes": options.classes, "--min-size": options.min_size,
                  "--max-size": options.max_size}
    for name, value in of_a_model.items():
        if options.detections is not None and value is not None:
            raise InputError(f"--detections and {name} exclude each other: measure a file, or run a model")
    model = None if options.detections is not None else the_model(options)
    kinds = IOU_TYPES if model is None else iou_types(model)
    dataset = (shapes_test_set() if options.annotations is None
               else CocoDataset(options.annotations, options.images, allow_empty=True, white=options.white,
                                boxes_as_masks="segm" not in kinds))
    if model is None:
        found = read_detections(options.detections, dataset)
        kinds = IOU_TYPES if found.has_masks else ("bbox",)
    else:
        judge_measured_classes(model, dataset, options.annotations or "the standard shapes")
    folder = None if options.out is None else make_folder(options.out, "--out")      # all else is right
    if model is not None:
        found = predict_dataset(model, dataset, ProgressLine("looking at images", len(dataset)).update)
    result = evaluate(dataset, found, kinds)
    print(result.summary())
    if folder is not None:
        parts = {"boxes": result.bbox, "masks": result.segm}
        paths = {folder / f"precision-recall-{name}.png": part for name, part in parts.items() if part is not None}
        for path, part in paths.items():
            plots.save_figure(plots.precision_recall(part, dataset.class_names), path)
        print(f"wrote {' and '.join(map(str, paths))}")

