"""Stage 7, the box head: what is in each region, and where exactly are its edges.

The 7x7 patch of a RoI is flattened and goes through two fully connected layers; from their output one
linear layer predicts a score for each class (0 is background) and another, for each class, four numbers
that refine the box as an object of that class. In training, a sample of proposals is matched with the
ground truth; at inference every (RoI, class) pair with a score above the threshold is a candidate, and
per-class non-maximum suppression keeps the best of each heap.

Source: Girshick 2015 (Fast R-CNN); He et al. 2017, section 3. Legend: R RoIs, K classes with background.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops
from .rpn import SMOOTH_L1_BETA

MIN_DETECTION_SIZE = 1e-2   # pixels


class TwoMLPHead(nn.Sequential):
    """Flatten, linear, ReLU, linear, ReLU: (R, 7, 7, C) -> (R, representation_size)."""

    def __init__(self, in_channels, pooled_size, representation_size, rng=None):
        inputs = pooled_size * pooled_size * in_channels
        self.flatten = nn.Flatten()
        self.fc6 = nn.Linear(inputs, representation_size, flattened_from=(pooled_size, pooled_size, in_channels),
                             rng=rng)
        self.relu6 = nn.ReLU()
        self.fc7 = nn.Linear(representation_size, representation_size, rng=rng)
        self.relu7 = nn.ReLU()


def conv_fc_head(in_channels, pooled_size, representation_size, norm, rng=None):
    """Build v2's head: four 3x3 convolutions with norm and ReLU, flatten, linear, ReLU."""
    convolutions = [nn.ConvNormReLU(nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False, rng=rng),
                                    norm(in_channels)) for _ in range(4)]
    linear = nn.Linear(pooled_size * pooled_size * in_channels, representation_size,
                       flattened_from=(pooled_size, pooled_size, in_channels), rng=rng)
    return nn.Sequential(*convolutions, nn.Flatten(), linear, nn.ReLU())


class FastRCNNPredictor(nn.Module):
    """Two linear layers: (R, C) -> class logits (R, K) and box deltas (R, K, 4)."""

    def __init__(self, in_channels, num_classes, rng=None):
        self.cls_score = nn.Linear(in_channels, num_classes, rng=rng)
        self.bbox_pred = nn.Linear(in_channels, 4 * num_classes, rng=rng)

    def forward(self, x, notes):
        """Return ``(class_logits, box_deltas)``."""
        class_logits = self.cls_score.forward(x, notes.of("cls_score"))         # fork: x -> cls_score, bbox_pred
        box_deltas = self.bbox_pred.forward(x, notes.of("bbox_pred"))
        return class_logits, box_deltas.reshape(class_logits.shape + (4,))

    def backward(self, dclass_logits, dbox_deltas, notes):
        """Return dx."""
        dbox_deltas = dbox_deltas.reshape(len(dbox_deltas), 4 * dclass_logits.shape[1])
        dx = self.bbox_pred.backward(dbox_deltas, notes["bbox_pred"])
        dx += self.cls_score.backward(dclass_logits, notes["cls_score"])        # join x: both predictions
        return dx


class BoxLossesCache(NamedTuple):
    class_logits: np.ndarray    # (R, K)
    labels: np.ndarray          # (R,)
    foreground: np.ndarray      # (F,) rows with an object
    true_deltas: np.ndarray     # (F, 4) deltas predicted for the true class
    delta_targets: np.ndarray   # (F, 4)
    of_operations: tuple        # caches of the cross-entropy and of smooth L1


def box_losses_forward(class_logits, box_deltas, labels, delta_targets):
    """Compute the box head's two losses.

    Parameters
    ----------
    class_logits : (R, K) ndarray
    box_deltas : (R, K, 4) ndarray
    labels : (R,) int ndarray
        0 for background.
    delta_targets : (R, 4) ndarray

    Returns
    -------
    loss_classifier : float
        Mean softmax cross-entropy over the R sampled RoIs.
    loss_box_reg : float
        Smooth L1 (beta 1/9) of the deltas *of the true class*, summed over foreground RoIs, divided by R.
    cache : BoxLossesCache
    """
    loss_classifier, ce_cache = ops.softmax_cross_entropy_forward(class_logits, labels)
    foreground = np.flatnonzero(labels > 0)
    true_deltas, delta_targets = box_deltas[foreground, labels[foreground]], delta_targets[foreground]
    total, l1_cache = ops.smooth_l1_forward(true_deltas, delta_targets, SMOOTH_L1_BETA)
    cache = BoxLossesCache(class_logits, labels, foreground, true_deltas, delta_targets, (ce_cache, l1_cache))
    return loss_classifier, total / max(len(labels), 1), cache


def box_losses_backward(dloss_classifier, dloss_box_reg, cache):
    """Return dclass_logits and dbox_deltas."""
    ce_cache, l1_cache = cache.of_operations
    foreground, num_rois = cache.foreground, max(len(cache.labels), 1)
    dbox_deltas = np.zeros(cache.class_logits.shape + (4,), cache.true_deltas.dtype)
    dbox_deltas[foreground, cache.labels[foreground]] = ops.smooth_l1_backward(dloss_box_reg / num_rois, l1_cache)
    return ops.softmax_cross_entropy_backward(dloss_classifier, ce_cache), dbox_deltas


def box_loss_shares(cache):
    """Each RoI's shares (R,) of loss_classifier and of loss_box_reg; they add up to the losses."""
    num_rois = max(len(cache.labels), 1)
    of_deltas = np.zeros(len(cache.labels), cache.true_deltas.dtype)
    of_deltas[cache.foreground] = ops.smooth_l1_per_element(cache.true_deltas, cache.delta_targets,
                                                            SMOOTH_L1_BETA).sum(axis=1)
    return ops.softmax_cross_entropy_per_row(cache.class_logits, cache.labels) / num_rois, of_deltas / num_rois


class Candidates(NamedTuple):
    """The detections of one image on their way: (RoI, class) pairs, and which of them survive."""

    rois: np.ndarray        # (M,) row of the proposals
    labels: np.ndarray      # (M,)
    scores: np.ndarray      # (M,)
    boxes: np.ndarray       # (M, 4) in input pixels
    keep: np.ndarray        # (D,) rows of the arrays above: the detections, best first


def select_detections(class_logits, box_deltas, proposals, image_size, weights, score_thresh, nms_thresh,
                      detections_per_img):
    """Turn the box head's output for one image into detections.

    1. Softmax; 2. keep foreground (RoI, class) pairs with a score above the threshold; 3. decode each pair's
    box and clip it to the image; 4. drop boxes thinner than 1e-2 px; 5. NMS per class; 6. keep the best.

    Parameters
    ----------
    class_logits : (R, K) ndarray
    box_deltas : (R, K, 4) ndarray
    proposals : (R, 4) ndarray
    image_size : (h, w)
    weights : four floats
        Of the box coding, (10, 10, 5, 5).
    score_thresh, nms_thresh : float
    detections_per_img : int

    Returns
    -------
    Candidates
    """
    scores = ops.softmax(class_logits)                                                              # 1
    rois, labels = np.nonzero(scores[:, 1:] > score_thresh)                                         # 2
    labels = labels.astype(np.int64) + 1                    # order: RoI by RoI, inside a RoI class by class
    scores = scores[rois, labels]
    boxes = ops.decode_boxes(box_deltas[rois, labels], proposals[rois], weights)                    # 3
    boxes = ops.clip_boxes_to_image(boxes, image_size)
    large = ops.remove_small_boxes(boxes, MIN_DETECTION_SIZE)                                       # 4
    rois, labels, scores, boxes = rois[large], labels[large], scores[large], boxes[large]
    keep = ops.batched_nms_best(boxes, scores, labels, nms_thresh, detections_per_img)              # 5, 6
    return Candidates(rois, labels, scores, boxes, keep)
