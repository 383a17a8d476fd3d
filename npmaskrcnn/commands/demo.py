"""``npmaskrcnn demo``: see the trained tiny model find shapes (about 10 s).

Prints a table of what it found and its average precision over 50 images that it has never seen, and writes two
pictures: one image going through all stages (the one with the most right detections), and a gallery of the first eight.

example: npmaskrcnn demo --seed 7
"""

import numpy as np

from ..datasets import ShapesDataset
from ..evaluation import evaluate
from ..files import make_folder
from ..judge import judge_number
from ..progress import ProgressLine
from ..training.options import judge_classes
from ..training.overfit import measure
from ..training.validation import iou_types, predict_dataset
from .common import add_out, load_model

GALLERY_IMAGES, SCORED_IMAGES = 8, 50
SHOWN_SCORE = 0.5           # detections below this are counted by the evaluation, but not drawn
FIRST_SEED = 1_000_000      # far from the seeds of training and test sets


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("--seed", type=int, default=None, help="of the images (default: new ones every time)")
    add_out(parser, "npmaskrcnn-demo")
    parser.add_argument("--weights", metavar="FILE", help="another model of the same three shapes")


def run(options):
    """Show the model at work."""
    from .. import plots

    folder = make_folder(options.out, "--out")
    model = load_model(options.weights)
    seed = judge_number(options.seed, "--seed", 0, whole=True, optional=True)
    if seed is None:
        seed = int(np.random.default_rng().integers(FIRST_SEED))
    dataset = ShapesDataset(SCORED_IMAGES, seed=FIRST_SEED + seed)
    judge_classes(model, dataset, "the demo")
    names = model.class_names
    print(f"{SCORED_IMAGES} new images of shapes (--seed {seed} shows them again)")
    found = predict_dataset(model, dataset, ProgressLine("looking at images", len(dataset)).update, to_draw=True)

    shown = [f[f.scores > SHOWN_SCORE] for f in found]
    images, targets = zip(*[dataset[i] for i in range(GALLERY_IMAGES)])
    print(f"\nin the first image, with a score above {SHOWN_SCORE}: {shown[0].table(names)}")
    result = evaluate(dataset, found, iou_types(model))
    print(f"\naverage precision over {SCORED_IMAGES} unseen images (COCO, IoU .50 to .95):")
    for what, part in (("boxes", result.bbox), ("masks", result.segm))[:len(iou_types(model))]:
        print(f"  {what}  AP {part['AP']:.3f}   AP50 {part['AP50']:.3f}   AP75 {part['AP75']:.3f}")

    best = max(range(SCORED_IMAGES), key=lambda i: _num_right(shown[i], dataset.target(i)))
    plots.save_figure(plots.stage_sheet(model.trace(*dataset[best])), folder / "stages.png")
    plots.save_figure(plots.gallery(list(images), shown[:GALLERY_IMAGES], list(targets), names), folder / "gallery.png")
    print(f"\nwrote {folder / 'stages.png'} (image {best} of the {SCORED_IMAGES}, the one with the most right "
          f"detections, through all stages) and {folder / 'gallery.png'}")


def _num_right(found, target):
    """Count the objects that were found, less the false detections and the objects that were missed."""
    result = measure(found, target)
    num_found = int((result.box_iou > 0.5).sum())
    return num_found - result.extra - (len(target) - num_found)
