"""Stage 7, the box head: what is in each region, and where exactly are its edges.

The 7x7 patch of a RoI is flattened and goes through two fully connected layers; from their output one
linear layer predicts a score for each class (0 is background) and another, for each class, four numbers
that refine the box as an object of that class. In training, a sample of proposals is matched with the
ground truth; at inference every (RoI, class) pair with a score above the threshold is a candidate, and
per-class non-maximum suppression keeps the best of each heap.

Source: Girshick 2015 (Fast R-CNN); He et al. 2017, section 3. Legend: R RoIs, K classes with background.
"""

import math
from typing import NamedTuple

import numpy as np

from .. import nn, ops

SMOOTH_L1_BETA = 1 / 9
MIN_DETECTION_SIZE = 1e-2   # pixels


class TwoMLPHead(nn.Module):
    """Flatten, linear, ReLU, linear, ReLU: (R, 7, 7, C) -> (R, representation_size)."""

    def __init__(self, in_channels, pooled_size, representation_size, rng=None):
        inputs = pooled_size * pooled_size * in_channels
        self.fc6 = nn.Linear(inputs, representation_size, flattened_from=(pooled_size, pooled_size, in_channels),
                             rng=rng)
        self.fc7 = nn.Linear(representation_size, representation_size, rng=rng)

    def forward(self, x):
        """Return ``(y, cache)``."""
        cache = {"shape": x.shape}
        x, cache["fc6"] = self.fc6.forward(x.reshape(len(x), math.prod(x.shape[1:])))
        x, cache["relu6"] = ops.relu_forward(x)
        x, cache["fc7"] = self.fc7.forward(x)
        x, cache["relu7"] = ops.relu_forward(x)
        return x, cache

    def backward(self, dy, cache):
        """Return dx, (R, 7, 7, C)."""
        dy = ops.relu_backward(dy, cache["relu7"])
        dy = self.fc7.backward(dy, cache["fc7"])
        dy = ops.relu_backward(dy, cache["relu6"])
        return self.fc6.backward(dy, cache["fc6"]).reshape(cache["shape"])

    def __call__(self, x):
        x = self.fc6(x.reshape(len(x), math.prod(x.shape[1:])))
        x = self.fc7(np.maximum(x, 0, out=x))
        return np.maximum(x, 0, out=x)


def conv_fc_head(in_channels, pooled_size, representation_size, norm, rng=None):
    """Build v2's head: four 3x3 convolutions with norm and ReLU, flatten, linear, ReLU."""
    convolutions = [nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False, rng=rng),
                                  norm(in_channels), nn.ReLU()) for _ in range(4)]
    linear = nn.Linear(pooled_size * pooled_size * in_channels, representation_size,
                       flattened_from=(pooled_size, pooled_size, in_channels), rng=rng)
    return nn.Sequential(*convolutions, nn.Flatten(), linear, nn.ReLU())


class FastRCNNPredictor(nn.Module):
    """Two linear layers: (R, C) -> class logits (R, K) and box deltas (R, K, 4)."""

    def __init__(self, in_channels, num_classes, rng=None):
        self.cls_score = nn.Linear(in_channels, num_classes, rng=rng)
        self.bbox_pred = nn.Linear(in_channels, 4 * num_classes, rng=rng)

    def forward(self, x):
        """Return ``(class_logits, box_deltas, cache)``."""
        class_logits, cls_cache = self.cls_score.forward(x)             # fork: x -> cls_score, bbox_pred
        box_deltas, bbox_cache = self.bbox_pred.forward(x)
        cache = {"cls_score": cls_cache, "bbox_pred": bbox_cache}
        return class_logits, box_deltas.reshape(class_logits.shape + (4,)), cache

    def backward(self, dclass_logits, dbox_deltas, cache):
        """Return dx."""
        dx = self.bbox_pred.backward(dbox_deltas.reshape(len(dbox_deltas), dclass_logits.shape[1] * 4),
                                     cache["bbox_pred"])
        dx += self.cls_score.backward(dclass_logits, cache["cls_score"])        # join x: both predictions
        return dx

    def __call__(self, x):
        class_logits = self.cls_score(x)
        return class_logits, self.bbox_pred(x).reshape(class_logits.shape + (4,))


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
    cache
    """
    loss_classifier, ce_cache = ops.softmax_cross_entropy_forward(class_logits, labels)
    foreground = np.flatnonzero(labels > 0)
    total, l1_cache = ops.smooth_l1_forward(box_deltas[foreground, labels[foreground]],
                                            delta_targets[foreground], SMOOTH_L1_BETA)
    num_rois = max(len(labels), 1)
    cache = (ce_cache, l1_cache, num_rois, foreground, labels, box_deltas.shape, box_deltas.dtype)
    return loss_classifier, total / num_rois, cache


def box_losses_backward(dloss_classifier, dloss_box_reg, cache):
    """Return dclass_logits and dbox_deltas."""
    ce_cache, l1_cache, num_rois, foreground, labels, shape, dtype = cache
    dbox_deltas = np.zeros(shape, dtype=dtype)
    dbox_deltas[foreground, labels[foreground]] = ops.smooth_l1_backward(dloss_box_reg / num_rois, l1_cache)
    return ops.softmax_cross_entropy_backward(dloss_classifier, ce_cache), dbox_deltas


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
    labels = labels + 1                                     # order: RoI by RoI, inside a RoI class by class
    scores = scores[rois, labels]
    boxes = ops.decode_boxes(box_deltas[rois, labels], proposals[rois], weights)                    # 3
    boxes = ops.clip_boxes_to_image(boxes, image_size)
    large = ops.remove_small_boxes(boxes, MIN_DETECTION_SIZE)                                       # 4
    rois, labels, scores, boxes = rois[large], labels[large], scores[large], boxes[large]
    keep = ops.batched_nms_best(boxes, scores, labels, nms_thresh, detections_per_img)              # 5, 6
    return Candidates(rois, labels, scores, boxes, keep)
