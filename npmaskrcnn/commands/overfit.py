"""``npmaskrcnn overfit``: learn one image by heart, the quickest test that everything works.

150 steps on a single image of shapes, whose objects have at least 400 pixels and stand apart; a healthy model then
finds every one with box IoU and mask IoU above 0.9, and the command says so. (With --boxes-only, box IoU.)

example: npmaskrcnn overfit --seed 1
"""

import numpy as np

from ..datasets import ShapesDataset
from ..errors import InputError
from ..models import fasterrcnn_tiny, maskrcnn_tiny
from ..ops import box_iou
from ..training import overfit_one_image
from .common import add_boxes_only

BAR, LEAST_PIXELS = 0.9, 400


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("--steps", type=int, default=150, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the image and the training (default: %(default)s)")
    add_boxes_only(parser)


def run(options):
    """Overfit and judge."""
    image, target = image_of_large_objects(ShapesDataset(1000, seed=options.seed))
    build, weights = (fasterrcnn_tiny, {}) if options.boxes_only else (maskrcnn_tiny, {"loss_mask": 2.0})
    result = overfit_one_image(build(rng=np.random.default_rng(options.seed)), image, target, options.steps,
                               np.random.default_rng(options.seed), lr=1e-2, batch_size=2, log_every=25,
                               loss_weights=weights)    # thus small masks pass with something to spare
    print(result)
    measured = {"box IoU": result.box_iou, "mask IoU": result.mask_iou}
    measured = {what: iou for what, iou in measured.items() if iou is not None}
    good = all((iou > BAR).all() for iou in measured.values())
    print(f"{'passed' if good else 'FAILED'}: every object should have {' and '.join(measured)} above {BAR}")
    if not good:
        raise ArithmeticError("the model could not learn one image by heart")


def image_of_large_objects(dataset):
    """Return the first image with at least two objects of at least 400 pixels, none near another, and its target.

    The edge where one object hides another is the last thing to be learned, and no sign of a fault.
    """
    for i in range(len(dataset)):
        image, target = dataset[i]
        if len(target) >= 2 and target.area.min() >= LEAST_PIXELS and not np.triu(
                box_iou(target.boxes, target.boxes), 1).any():
            return image, target
    raise InputError("no image of the dataset has two objects of at least 400 pixels that stand apart")
