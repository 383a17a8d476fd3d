"""``npmaskrcnn evaluate``: measure a model with COCO's average precision, boxes and masks.

On the standard test set of 200 images of shapes, or on a COCO annotation file. With --detections, a results file is
measured and no model is run.

example: npmaskrcnn evaluate --weights model.npz --annotations instances_val.json --images val/
"""

from ..datasets import CocoDataset, read_detections, shapes_test_set
from ..errors import InputError
from ..evaluation import evaluate
from ..files import make_folder
from ..progress import ProgressLine
from ..training.options import judge_measured_classes
from ..training.validation import predict_dataset
from .common import load_model


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("--weights", metavar="FILE", help="default: the trained tiny model")
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotation file (default: the standard shapes)")
    parser.add_argument("--images", metavar="DIR", help="folder of its images")
    parser.add_argument("--detections", metavar="FILE", help="measure this COCO results file instead of a model")
    parser.add_argument("--out", metavar="DIR", help="also write the precision-recall curves here")


def run(options):
    """Predict and measure."""
    from .. import plots

    if (options.annotations is None) != (options.images is None):
        raise InputError("--annotations and --images go together: an annotation file, and the folder of its images")
    if options.detections is not None and options.weights is not None:
        raise InputError("--detections and --weights exclude each other: measure a file, or run a model")
    folder = None if options.out is None else make_folder(options.out, "--out")
    dataset = (shapes_test_set() if options.annotations is None
               else CocoDataset(options.annotations, options.images, allow_empty=True))
    if options.detections is not None:
        found = read_detections(options.detections, dataset)
    else:
        model = load_model(options.weights)
        judge_measured_classes(model, dataset, options.annotations or "the standard shapes")
        found = predict_dataset(model, dataset, ProgressLine("looking at images", len(dataset)).update)
    result = evaluate(dataset, found)
    print(result.summary())
    if folder is not None:
        for name, part in (("boxes", result.bbox), ("masks", result.segm)):
            figure = plots.precision_recall(part, dataset.class_names)
            plots.save_figure(figure, folder / f"precision-recall-{name}.png")
        print(f"wrote {folder / 'precision-recall-boxes.png'} and {folder / 'precision-recall-masks.png'}")
