"""The planted faults: each a few lines that exchange one function of the real training while a block runs.

Nothing in the model, the training or the data knows of them. Most stand between two stages and hand on something else
than what they were given: boxes whose x and y changed places, anchors that lie elsewhere, the mask of another class.
Each is a context manager and puts back what it took when its block ends, also after an error. Like ``ops.using`` they
hold for the whole process.
"""

import importlib
from unittest.mock import patch

import numpy as np

from .. import mask_rcnn, ops
from ..nn import Module
from ..plain.boxes import decode_boxes
from ..stages import rpn
from ..stages.anchors import AnchorGenerator
from ..training.schedule import WarmupCosine

RATE_FACTOR = 10
SURE = 0.7          # the objectness that a proposal must have where only sure ones pass

augmentation = importlib.import_module("..training.augment", __package__)   # `training.augment` is the function in it


def _told(change):
    """Let every target, on its way into the model, go through ``change(InputTarget)``."""
    true = mask_rcnn.resize_target
    return patch.object(mask_rcnn, "resize_target", lambda target, size: change(true(target, size)))


def boxes_as_yxyx():
    """The boxes that the model is told are (y1, x1, y2, x2)."""
    return _told(lambda target: target._replace(boxes=target.boxes[:, [1, 0, 3, 2]]))


def names_moved(num_classes=4):
    """The labels that the model is told are those of the next class, the last one's that of the first."""
    return _told(lambda target: target._replace(labels=target.labels % (num_classes - 1) + 1))


def labels_from_zero():
    """The labels that the model is told begin with 0, which is the background."""
    return _told(lambda target: target._replace(labels=target.labels - 1))


def masks_not_mirrored():
    """Where image and boxes are mirrored, the masks stay as they were."""
    true = augmentation.flip_horizontal

    def flip(image, target):
        image, mirrored = true(image, target)
        return image, target.from_judged(mirrored.boxes, target.labels, target.masks, target.is_crowd, target.area)
    return patch.object(augmentation, "flip_horizontal", flip)


def anchors_off():
    """All anchors lie half an image too far to the right and down."""
    true = AnchorGenerator.__call__

    def anchors(self, grid_sizes, padded_size, dtype=np.float32):
        height, width = padded_size
        shift = np.array([width, height, width, height], dtype) / 2
        return [level + shift for level in true(self, grid_sizes, padded_size, dtype)]
    return patch.object(AnchorGenerator, "__call__", anchors)


def only_sure_proposals():
    """Proposals whose objectness is below `SURE` are thrown away, in training, too."""
    true = rpn.propose
    return patch.object(rpn, "propose", lambda *arguments: true(*arguments[:-1], SURE))


def deltas_without_weights():
    """The box head learns deltas times (10, 10, 5, 5), and they are applied as if they had not been multiplied."""
    return ops.using(decode_boxes=lambda deltas, anchors, weights=None: decode_boxes(deltas, anchors))


def gradients_pile_up():
    """Gradients are never set to zero: each step's are added to what clipping has left of those before."""
    return patch.object(Module, "zero_grad", lambda self: None)


def rate_too_high():
    """The learning rate is `RATE_FACTOR` times as high as it should be, from the first step to the last."""
    return patch.object(WarmupCosine, "learning_rate", lambda self, step: RATE_FACTOR * self.lr)


def masks_of_the_class_before():
    """Whoever looks for an object's mask reads the channel one before that of its class."""
    true = mask_rcnn.select_masks
    return patch.object(mask_rcnn, "select_masks", lambda mask_logits, labels: true(mask_logits, labels - 1))
