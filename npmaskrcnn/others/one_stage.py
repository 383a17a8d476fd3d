"""A one-stage detector: classes and boxes at the anchors, masks from prototypes; no region is looked at twice.

Mask R-CNN asks twice. Its first stage says of each anchor whether there is some object; its second cuts out what was
proposed, looks at it again, says what it is and where exactly, and draws its mask. Here the first answer is the last:
one convolutional head, the same on every level of the pyramid, says of each anchor its class (or background), the move
of its box, and how to mix its mask (`prototypes`). Non-maximum suppression, and that is all.

There is no sampling of regions, no RoIAlign, no second head: all of it up to the boxes is convolutions, whose time does
not depend on how many objects there are; only mixing and enlarging a mask is done once for each. The price: an anchor's
answer is read off one cell and not off the object's own, aligned region, and thousands of anchors, nearly all of them
background, have to be told apart at once. To counter that imbalance only a sample takes part in the class loss: all
positive anchors, and for each of them three of the hardest negatives, at least twelve in an image ("hard negative
mining", Liu et al. 2016; the other remedy is the focal loss of Lin et al. 2017, *RetinaNet*).

Source: Bolya et al. 2019 (YOLACT), here with ordinary NMS instead of its "Fast NMS". Legend: N images, A anchors per
cell, T anchors of an image, K classes with background, k prototypes, S anchors in the sample, P positive ones.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops
from ..mask_rcnn import check_finite
from ..network import silent
from ..nn import FORGET
from ..stages.box_head import select_detections
from ..stages.matching import BACKGROUND, match_boxes
from ..stages.rpn import flatten_levels, top_k_indices, unflatten_levels
from ..stages.transform import scale_boxes
from ..structures import Detections, MaskSequence
from .detector import Detector
from .prototypes import assemble, inside_boxes, mask_loss_backward, mask_loss_forward, mask_sample, shrink_masks

SMOOTH_L1_BETA = 1
NEGATIVES, FEWEST_NEGATIVES = 3, 12     # anchors of background in the class loss: for each positive one; in any image
MASKS_PER_IMAGE = 32                    # positive anchors of an image, drawn at random, whose masks a step learns from
CANDIDATES = 200                        # of an image's anchors, the surest, which go into non-maximum suppression


class DenseHead(nn.Module):
    """3x3 convolutions with ReLU, then three 1x1 convolutions; the same weights on every level.

    Parameters
    ----------
    channels, num_anchors, num_classes, num_prototypes : int
    depth : int
        3x3 convolutions.
    rng : np.random.Generator or None
    """

    def __init__(self, channels, num_anchors, num_classes, num_prototypes, depth=2, rng=None):
        def last(outputs):
            return nn.Conv2d(channels, num_anchors * outputs, 1, init=nn.init.normal(0.01), rng=rng)

        self.conv = nn.Sequential(*[nn.ConvNormReLU(nn.Conv2d(channels, channels, 3, padding=1, rng=rng))
                                    for _ in range(depth)])
        self.cls_logits, self.bbox_pred, self.coefficients = last(num_classes), last(4), last(num_prototypes)
        self.num_anchors = num_anchors

    def forward(self, features, notes):
        """Return, per level, class logits (N, h, w, A, K), deltas (N, h, w, A, 4), coefficients (N, h, w, A, k)."""
        answers = [], [], []
        for i, level in enumerate(features):
            own = notes.of(i)
            hidden = self.conv.forward(level, own.of("conv"))       # fork: hidden -> the three predictions
            coefficients = np.tanh(self.coefficients.forward(hidden, own.of("coefficients")))
            own["tanh"] = coefficients
            maps = (self.cls_logits.forward(hidden, own.of("cls_logits")),
                    self.bbox_pred.forward(hidden, own.of("bbox_pred")), coefficients)
            for answer, values in zip(answers, maps):
                answer.append(values.reshape(*level.shape[:3], self.num_anchors, -1))
        return answers

    def backward(self, dclass_logits, ddeltas, dcoefficients, notes):
        """Return dfeatures, one array per level."""
        dfeatures = []
        for i, dmaps in enumerate(zip(dclass_logits, ddeltas, dcoefficients)):
            own = notes[i]
            dlogits, dmoves, dmixes = (dmap.reshape(*dmap.shape[:3], -1) for dmap in dmaps)
            dhidden = self.coefficients.backward(dmixes * (1 - own["tanh"] ** 2), own["coefficients"])
            dhidden += self.bbox_pred.backward(dmoves, own["bbox_pred"])
            dhidden += self.cls_logits.backward(dlogits, own["cls_logits"])     # join hidden: the three predictions
            dfeatures.append(self.conv.backward(dhidden, own["conv"]))
        return dfeatures


class Trunk(NamedTuple):
    """What does not depend on any decision; the maps of all levels are joined, in the order of the anchors."""

    anchors: np.ndarray         # (T, 4)
    class_logits: np.ndarray    # (N, T, K)
    deltas: np.ndarray          # (N, T, 4)
    coefficients: np.ndarray    # (N, T, k)
    prototypes: np.ndarray      # (N, h, w, k)
    padded_size: tuple          # (H', W') of the images


class Plan(NamedTuple):
    """The decisions of a training pass: the anchors that learn, as rows of the batch's N * T, positives first."""

    rows: np.ndarray            # (S,)
    labels: np.ndarray          # (S,) 0 from the P-th on
    delta_targets: np.ndarray   # (P, 4)
    masks: tuple                # MaskSample


def choose_anchors(matches, class_logits, negatives=NEGATIVES, fewest=FEWEST_NEGATIVES):
    """Return the rows (ascending) of all positive anchors, and those of the hardest negatives, hardest first.

    Parameters
    ----------
    matches : (T,) int ndarray
        Of `match_boxes`.
    class_logits : (T, K) ndarray
        An anchor of background is the harder, the less its logits say so (the larger its cross-entropy with class 0).
    negatives : int
        For each positive.
    fewest : int
        Negatives in any case.
    """
    positive, candidates = np.flatnonzero(matches >= 0), np.flatnonzero(matches == BACKGROUND)
    hardness = ops.softmax_cross_entropy_per_row(class_logits[candidates], np.zeros(len(candidates), np.int64))
    return positive, candidates[top_k_indices(hardness, max(negatives * len(positive), fewest))]


class LossesCache(NamedTuple):
    plan: Plan
    trunk: Trunk
    of_operations: tuple        # caches of the cross-entropy, of smooth L1, of the mask loss


def losses_forward(trunk, plan):
    """Compute the three losses for given decisions.

    Parameters
    ----------
    trunk : Trunk
    plan : Plan

    Returns
    -------
    loss_classifier : float
        Mean softmax cross-entropy over the S anchors of the sample.
    loss_box_reg : float
        Smooth L1 (beta 1), summed over the positive anchors, divided by their number.
    loss_mask : float
        See `mask_loss_forward`.
    cache : LossesCache
    """
    k, num_classes = trunk.coefficients.shape[2], trunk.class_logits.shape[2]
    positives = plan.rows[:len(plan.delta_targets)]
    loss_classifier, ce_cache = ops.softmax_cross_entropy_forward(
        trunk.class_logits.reshape(-1, num_classes)[plan.rows], plan.labels)
    deltas = trunk.deltas.reshape(-1, 4)[positives]
    total, l1_cache = ops.smooth_l1_forward(deltas, plan.delta_targets.astype(deltas.dtype), SMOOTH_L1_BETA)
    loss_mask, mask_cache = mask_loss_forward(
        trunk.prototypes, trunk.coefficients.reshape(-1, k)[plan.masks.rows], plan.masks)
    return (loss_classifier, total / max(len(positives), 1), loss_mask,
            LossesCache(plan, trunk, (ce_cache, l1_cache, mask_cache)))


def losses_backward(dloss_classifier, dloss_box_reg, dloss_mask, cache):
    """Return dclass_logits, ddeltas, dcoefficients (zero but at the chosen anchors) and dprototypes."""
    plan, trunk, (ce_cache, l1_cache, mask_cache) = cache
    positives = plan.rows[:len(plan.delta_targets)]
    dclass_logits, ddeltas, dcoefficients = map(np.zeros_like, (trunk.class_logits, trunk.deltas, trunk.coefficients))
    rows_of = lambda array: array.reshape(-1, array.shape[2])           # a view: (N * T, ...)
    rows_of(dclass_logits)[plan.rows] = ops.softmax_cross_entropy_backward(dloss_classifier, ce_cache)
    rows_of(ddeltas)[positives] = ops.smooth_l1_backward(dloss_box_reg / max(len(positives), 1), l1_cache)
    dprototypes, rows_of(dcoefficients)[plan.masks.rows] = mask_loss_backward(dloss_mask, mask_cache)
    return dclass_logits, ddeltas, dcoefficients, dprototypes


class Answer(NamedTuple):
    """What was found in one image, in input pixels, its masks not yet mixed."""

    boxes: np.ndarray           # (D, 4) best first
    labels: np.ndarray          # (D,)
    scores: np.ndarray          # (D,)
    coefficients: np.ndarray    # (D, k)
    prototypes: np.ndarray      # (h, w, k)
    image_size: tuple           # resized, unpadded
    padded_size: tuple


class OneStage(Detector):
    """Backbone, dense head and prototypes. Build it with `one_stage_tiny`.

    Parameters
    ----------
    backbone : Backbone
    anchor_generator : AnchorGenerator
    head : DenseHead
    prototypes : PrototypeBranch
    config, num_classes
        See `Detector`.
    """

    loss_names = ["loss_classifier", "loss_box_reg", "loss_mask"]

    def __init__(self, backbone, anchor_generator, head, prototypes, config, num_classes):
        self.backbone, self.anchor_generator = backbone, anchor_generator
        self.head, self.prototypes = head, prototypes
        super().__init__(config, num_classes)

    # ---- training -------------------------------------------------------------------------------

    def forward_trunk(self, images, notes, tell=silent):
        """Run everything that learns on (N, H', W', 3), and return a `Trunk`."""
        _, features = self.backbone.forward(images, notes.of("backbone"), tell)
        tell("dense head")
        # fork: P2 -> head, prototypes; P3..P6 -> head only
        answers = self.head.forward(features, notes.of("head"))
        prototypes = self.prototypes.forward(features[0], notes.of("prototypes"))
        anchors = self.anchor_generator([level.shape[1:3] for level in features], images.shape[1:3], images.dtype)
        notes["shapes"] = [[level.shape for level in answer] for answer in answers]
        return Trunk(np.concatenate(anchors), *map(flatten_levels, answers), prototypes, images.shape[1:3])

    def make_plan(self, trunk, _image_sizes, targets, rng):
        """Match anchors with objects, choose the hardest negatives and the masks to be learned. No gradient."""
        config, num_anchors, size = self.config, len(trunk.anchors), trunk.prototypes.shape[1:3]
        positives, negatives, labels, deltas, masks = [], [], [], [], []
        for i, target in enumerate(targets):
            matches = match_boxes(target.boxes, trunk.anchors, config.box_fg_iou_thresh, config.box_bg_iou_thresh,
                                  allow_low_quality_matches=True).matches
            positive, negative = choose_anchors(matches, trunk.class_logits[i])
            found = matches[positive]
            deltas.append(ops.encode_boxes(target.boxes[found], trunk.anchors[positive], config.bbox_reg_weights))
            labels.append(target.labels[found])
            drawn = rng.permutation(len(positive))[:MASKS_PER_IMAGE]
            small = shrink_masks(target.masks, trunk.padded_size, size)
            masks.append((positive[drawn] + i * num_anchors, np.full(len(drawn), i), target.boxes[found[drawn]],
                          small[found[drawn]]))
            positives.append(positive + i * num_anchors)
            negatives.append(negative + i * num_anchors)
        stride = [whole / side for whole, side in zip(trunk.padded_size, size)]
        rows = np.concatenate(positives + negatives)
        labels = np.concatenate([*labels, np.zeros(sum(map(len, negatives)), np.int64)])
        masks = mask_sample(*map(np.concatenate, zip(*masks)), stride, trunk.class_logits.dtype)
        return Plan(rows, labels, np.concatenate(deltas), masks)

    def losses_for(self, trunk, plan, notes):
        """Return the three losses for given decisions, by name; an ordinary function of the parameters."""
        *losses, notes["losses"] = losses_forward(trunk, plan)
        return dict(zip(self.loss_names, losses))

    def backward(self, dlosses, notes, need_dimages=False):
        """Return the gradient by the images if wanted: `losses_for`, then `forward_trunk`, read upward."""
        *danswers, dprototypes = losses_backward(*(dlosses[name] for name in self.loss_names), notes.pop("losses"))
        dmaps = [unflatten_levels(danswer, shapes) for danswer, shapes in zip(danswers, notes.pop("shapes"))]
        dfeatures = self.head.backward(*dmaps, notes.pop("head"))
        dfeatures[0] += self.prototypes.backward(dprototypes, notes.pop("prototypes"))      # join P2: head + prototypes
        return self.backbone.backward(dfeatures, notes.pop("backbone"), need_dimages)

    # ---- inference ------------------------------------------------------------------------------

    def infer(self, batch, score_threshold=None, iou_threshold=None, tell=silent):
        """Return an `Answer` for each image of an `ImageBatch`."""
        trunk = self.forward_trunk(batch.images, FORGET, tell)
        check_finite({"class logits": [trunk.class_logits], "prototypes": [trunk.prototypes]})
        score_threshold = self.config.box_score_thresh if score_threshold is None else score_threshold
        iou_threshold = self.config.box_nms_thresh if iou_threshold is None else iou_threshold
        return [self._select(trunk, i, size, score_threshold, iou_threshold)
                for i, size in enumerate(batch.image_sizes)]

    def _select(self, trunk, i, image_size, score_threshold, iou_threshold):
        """Choose the detections of one image, as the box head of Mask R-CNN does it, with anchors for proposals."""
        logits = trunk.class_logits[i]
        rows = top_k_indices(ops.softmax(logits)[:, 1:].max(axis=1), CANDIDATES)
        deltas = np.broadcast_to(trunk.deltas[i][rows, None], (len(rows), self.num_classes, 4))   # one for all classes
        found = select_detections(logits[rows], deltas, trunk.anchors[rows], image_size, self.config.bbox_reg_weights,
                                  score_threshold, iou_threshold, self.config.box_detections_per_img)
        keep = found.keep
        return Answer(found.boxes[keep], found.labels[keep], found.scores[keep],
                      trunk.coefficients[i][rows[found.rois[keep]]], trunk.prototypes[i], image_size, trunk.padded_size)

    def detections(self, answer, original_size, paste_all=True):
        """Return the `Detections` of an answer, in the coordinates of the image as it was given."""
        height, width = answer.image_size
        boxes = scale_boxes(answer.boxes, answer.image_size, original_size)

        def mask(row):
            """Mix, enlarge and crop one mask."""
            small = ops.sigmoid(assemble(answer.prototypes, answer.coefficients[[row]]))[0]
            whole = ops.resize_bilinear(small[:, :, None], answer.padded_size)[:height, :width]
            if (height, width) != tuple(original_size):
                whole = ops.resize_bilinear(whole, original_size)
            return whole[:, :, 0] * inside_boxes(boxes[[row]], original_size)[0]

        masks = MaskSequence(mask, range(len(boxes)), original_size, answer.prototypes.dtype)
        return Detections(boxes, answer.labels, answer.scores, np.asarray(masks) if paste_all else masks,
                          self.class_names)
