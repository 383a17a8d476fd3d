"""``npmaskrcnn evaluate``: measure a model with COCO's average precision, boxes and masks.

On the standard test set of 200 images of shapes, or on a COCO annotation file. With --detections, a results file is
measured and no model is run.
"""

from ..errors import InputError
from .common import load_model, output_folder, predict_dataset, save_figure


def add_parser(commands):
    """Say what can be typed."""
    parser = commands.add_parser(
        "evaluate", help="measure average precision", description=__doc__.split("\n\n", 1)[1],
        epilog="example: npmaskrcnn evaluate --weights model.npz --annotations instances_val.json --images val/")
    parser.add_argument("--weights", metavar="FILE", help="default: the trained tiny model")
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotation file (default: the standard shapes)")
    parser.add_argument("--images", metavar="DIR", help="folder of its images")
    parser.add_argument("--detections", metavar="FILE", help="measure this COCO results file instead of a model")
    parser.add_argument("--out", metavar="DIR", help="also write the precision-recall curves here")
    parser.set_defaults(run=run)


def run(options):
    """Predict and measure."""
    from .. import plots
    from ..datasets import CocoDataset, read_detections, shapes_test_set
    from ..evaluation import evaluate

    if (options.annotations is None) != (options.images is None):
        raise InputError("--annotations and --images go together: an annotation file, and the folder of its images")
    folder = output_folder(options.out) if options.out else None
    dataset = CocoDataset(options.annotations, options.images) if options.annotations else shapes_test_set()
    if options.detections:
        found = read_detections(options.detections, dataset)
    else:
        model = load_model(options.weights)
        judge_classes(model, dataset, options.annotations or "the standard shapes")
        found = predict_dataset(model, dataset)
    result = evaluate(dataset, found)
    print(result.summary())
    if folder:
        for name, part in (("boxes", result.bbox), ("masks", result.segm)):
            save_figure(plots.precision_recall(part, dataset.class_names), folder / f"precision-recall-{name}.png")
        print(f"wrote {folder / 'precision-recall-boxes.png'} and {folder / 'precision-recall-masks.png'}")


def judge_classes(model, dataset, what):
    """Raise `InputError` unless the model and the dataset agree on the classes."""
    if model.num_classes != len(dataset.class_names) or (
            model.class_names and list(model.class_names[1:]) != list(dataset.class_names[1:])):
        raise InputError(f"{what} has the classes {', '.join(dataset.class_names[1:])}; the model has "
                         f"{', '.join(model.class_names[1:]) if model.class_names else model.num_classes - 1}")
