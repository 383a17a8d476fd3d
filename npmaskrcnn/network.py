"""Mask R-CNN as one network: the stages wired together, forward, losses and backward.

Forward, a batch of images becomes a pyramid of feature maps, the RPN proposes regions on it, and each region is
pooled from the pyramid twice, once for the box head (what is it, where are its edges?) and once for the mask
head (what is its outline?). Backward, the five losses send their gradients the same way up: from the heads into
the pooled patches, from there into the pyramid, where they join with the RPN's, and through the pyramid into
the body.

The gradient stops at four places, because what happens there are decisions and not functions that one
could differentiate: which anchor or RoI learns from which object (matching), which of them are sampled,
which boxes are proposed (their coordinates are constants from there on), and to which pyramid level a
RoI goes. `TrainingPlan` holds the outcome of these decisions (the level follows from a RoI's size); given a plan,
losses and gradients are an ordinary function of the parameters: `Network.losses_for`, whose `backward` stands right
below it.

Read this file twice: now, for the chain, and again when you have met the stages::

    images -> body -> C2..C5 -> pyramid -> P2..P6 -> RPN head -> objectness, deltas -> proposals
    P2..P5, RoIs -> 7x7 patches   -> box head  -> class logits, box deltas
    P2..P5, RoIs -> 14x14 patches -> mask head -> mask logits

Source: He et al. 2017; names and numbers are torchvision's `MaskRCNN`.
"""

from typing import NamedTuple

import numpy as np

from . import nn
from .nn import FORGET
from .stages.roi_heads import RoISample
from .stages.roi_pooler import make_rois
from .stages.rpn import RPNSample
from .trace import Trace

LOSS_NAMES = ("loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg")


def silent(stage):
    """Hear the name of a stage, as it begins, and do nothing."""


class Backbone(nn.Module):
    """Body and feature pyramid."""

    def __init__(self, body, fpn):
        self.body, self.fpn = body, fpn

    def forward(self, images, notes, tell=silent):
        """Return ``([C2..C5], [P2..P6])``."""
        tell("body")
        body_features = self.body.forward(images, notes.of("body"))
        tell("feature pyramid")
        return body_features, self.fpn.forward(body_features, notes.of("fpn"))

    def backward(self, dfeatures, notes, need_dx=False):
        """Return the gradient by the images if `need_dx`, else None."""
        return self.body.backward(self.fpn.backward(dfeatures, notes["fpn"]), notes["body"], need_dx)


class Trunk(NamedTuple):
    """The first half of a pass, which does not depend on any decision."""

    body_features: list     # [C2..C5]
    features: list          # [P2..P6]
    anchors: list           # per level (h * w * A, 4)
    objectness: list        # per level (N, h, w, A)
    deltas: list            # per level (N, h, w, A, 4)


class TrainingPlan(NamedTuple):
    """The decisions of one training pass; constants for the backward pass."""

    anchors: RPNSample      # on which the RPN learns
    rois: RoISample         # on which the heads learn


class Network(nn.Module):
    """Backbone, region proposal network and heads.

    Parameters
    ----------
    backbone : Backbone
        Any body and pyramid; the RPN sees all levels, the heads those for which their poolers have strides.
    rpn : RegionProposalNetwork
    roi_heads : RoIHeads
        Without a mask branch this is Faster R-CNN, which has four losses.
    """

    def __init__(self, backbone, rpn, roi_heads):
        self.backbone, self.rpn, self.roi_heads = backbone, rpn, roi_heads

    # ---- training -------------------------------------------------------------------------------

    def forward_trunk(self, images, notes, tell=silent):
        """Run backbone and RPN on (N, H', W', 3); `tell` hears the name of each stage as it begins."""
        body_features, features = self.backbone.forward(images, notes.of("backbone"), tell)
        tell("region proposals")
        # fork: P2..P5 -> RPN, box pooler, mask pooler; P6 -> RPN only
        objectness, deltas = self.rpn.forward(features, notes.of("rpn"))
        anchors = self.rpn.anchor_generator([level.shape[1:3] for level in features], images.shape[1:3], images.dtype)
        return Trunk(body_features, features, anchors, objectness, deltas)

    def make_plan(self, trunk, image_sizes, targets, rng):
        """Take all decisions of a training pass. No gradient: matches, samples and proposals are constants.

        Parameters
        ----------
        trunk : Trunk
        image_sizes : list of (h, w)
            Of the resized images, without padding.
        targets : list of InputTarget
        rng : np.random.Generator

        Returns
        -------
        TrainingPlan
        """
        proposals = self.rpn.propose(trunk.objectness, trunk.deltas, trunk.anchors, image_sizes, training=True)
        return TrainingPlan(self.rpn.choose(trunk.anchors, targets, rng),
                            self.roi_heads.choose([p.boxes for p in proposals], targets, rng))

    def losses_for(self, trunk, plan, notes):
        """Compute the losses for given decisions; an ordinary function of the parameters.

        Parameters
        ----------
        trunk : Trunk
        plan : TrainingPlan
        notes : Notes
            Those of the trunk.

        Returns
        -------
        losses : dict
            Scalars of the model's dtype, under the names of `LOSS_NAMES`.
        """
        losses = {**self.rpn.losses(trunk.objectness, trunk.deltas, plan.anchors, notes["rpn"]),
                  **self.roi_heads.losses(trunk.features, plan.rois, notes.of("roi_heads"))}
        return {name: losses[name] for name in LOSS_NAMES if name in losses}

    def backward(self, dlosses, notes, need_dimages=False):
        """Add to every parameter's gradient, for given gradients of the losses: `losses_for`, then the trunk, upward.

        What is differentiated is one number, ``L = sum over the losses of weight * loss``: `dlosses` are the weights.

        Parameters
        ----------
        dlosses : dict
            One number for each loss.
        notes : Notes
            Of trunk and losses. They are used up: a stage's are dropped when the way back is through it, so that their
            memory is free for the next.
        need_dimages : bool

        Returns
        -------
        dimages : (N, H', W', 3) ndarray or None
        """
        branches = self.roi_heads.backward(dlosses, notes.pop("roi_heads"))
        dfeatures = self.rpn.backward(dlosses, notes.pop("rpn"))
        while branches:                                         # join P2..P5: RPN + box pooler + mask pooler
            for dlevel, dshare in zip(dfeatures, branches.pop(0)):      # zip ends at P5: P6 feeds the RPN alone
                dlevel += dshare
        return self.backbone.backward(dfeatures, notes.pop("backbone"), need_dimages)

    # ---- inference ------------------------------------------------------------------------------

    def infer(self, batch, score_threshold=None, iou_threshold=None, tell=silent):
        """Run all stages on an `ImageBatch` with running statistics, and keep what each stage said.

        Parameters
        ----------
        batch : ImageBatch
        score_threshold, iou_threshold : float, optional
            ``config.box_score_thresh`` and ``config.box_nms_thresh`` if absent.
        tell : callable
            Hears the name of each stage as it begins.

        Returns
        -------
        traces : list of Trace
            One for each image, without its ``detections``.
        """
        heads, config = self.roi_heads, self.roi_heads.config
        score_threshold = config.box_score_thresh if score_threshold is None else score_threshold
        iou_threshold = config.box_nms_thresh if iou_threshold is None else iou_threshold
        trunk = self.forward_trunk(batch.images, FORGET, tell)
        proposals = self.rpn.propose(trunk.objectness, trunk.deltas, trunk.anchors, batch.image_sizes)
        tell("box head")
        boxes = [proposed.boxes for proposed in proposals]
        box_features, class_logits, box_deltas = (
            _per_image(values, boxes) for values in heads.classify(trunk.features, make_rois(boxes), FORGET))
        candidates = [heads.detect(*answers, proposed.boxes, size, score_threshold, iou_threshold)
                      for *answers, proposed, size in zip(class_logits, box_deltas, proposals, batch.image_sizes)]
        boxes = [found.boxes[found.keep] for found in candidates]
        mask_features = mask_logits = [None] * len(boxes)
        if heads.has_masks:
            tell("mask head")
            mask_features, mask_logits = (
                _per_image(values, boxes) for values in heads.segment(trunk.features, make_rois(boxes), FORGET))
        return [Trace(
            image=None, batch=batch.images[i:i + 1], image_size=size,       # None: what only `MaskRCNN.trace` fills in
            body_features=[level[i:i + 1] for level in trunk.body_features],
            features=[level[i:i + 1] for level in trunk.features], anchors=trunk.anchors,
            objectness=[level[i] for level in trunk.objectness], deltas=[level[i] for level in trunk.deltas],
            top_k=proposed.top_k, top_k_boxes=proposed.top_k_boxes, top_k_scores=proposed.top_k_scores,
            top_k_levels=proposed.top_k_levels, proposal_rows=proposed.rows, proposals=proposed.boxes,
            proposal_scores=proposed.scores, roi_levels=None,
            box_features=box_features[i], class_logits=class_logits[i], box_deltas=box_deltas[i],
            candidate_rois=found.rois, candidate_labels=found.labels, candidate_scores=found.scores,
            candidate_boxes=found.boxes, detection_rows=found.keep, detection_boxes=boxes[i],
            mask_levels=None, mask_features=mask_features[i], mask_logits=mask_logits[i],
        ) for i, (size, proposed, found) in enumerate(zip(batch.image_sizes, proposals, candidates))]


def _per_image(values, boxes):
    """Cut an array of all images' RoIs into one array per image, each with as many rows as the image has boxes."""
    return np.split(values, np.cumsum([len(own) for own in boxes])[:-1])
