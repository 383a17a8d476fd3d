"""``npmaskrcnn overfit``: learn one image by heart, the quickest test that everything works.

150 steps on a single image of shapes, whose objects have at least 400 pixels and stand apart; a healthy model then
finds every one with box IoU and mask IoU above 0.9, and the command says so.

example: npmaskrcnn overfit --seed 1
"""

import numpy as np

from ..datasets import ShapesDataset
from ..errors import InputError
from ..models import maskrcnn_tiny
from ..ops import box_iou
from ..training import overfit_one_image

BAR, LEAST_PIXELS = 0.9, 400


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("--steps", type=int, default=150, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the image and the training (default: %(default)s)")


def run(options):
    """Overfit and judge."""
    image, target = image_of_large_objects(ShapesDataset(1000, seed=options.seed))
    result = overfit_one_image(maskrcnn_tiny(rng=np.random.default_rng(options.seed)), image, target, options.steps,
                               np.random.default_rng(options.seed), lr=1e-2, batch_size=2, log_every=25,
                               loss_weights={"loss_mask": 2.0})     # thus small masks pass with something to spare
    print(result)
    good = bool((result.box_iou > BAR).all() and (result.mask_iou > BAR).all())
    print(f"{'passed' if good else 'FAILED'}: every object should have box IoU and mask IoU above {BAR}")
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
