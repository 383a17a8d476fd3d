"""Mask R-CNN: the stages wired together, forward, backward and at inference.

Forward, an image becomes a batch, the backbone makes a pyramid of feature maps, the RPN proposes regions
on it, each region is pooled from the pyramid twice, once for the box head (what is it, where are its
edges?) and once for the mask head (what is its outline?). Backward, the five losses send their gradients
the same way up: from the heads into the pooled patches, from there into the pyramid, where they join with
the RPN's, and through the pyramid into the body.

The gradient stops at four places, because what happens there are decisions and not functions that one
could differentiate: which anchor or RoI learns from which object (matching), which of them are sampled,
which boxes are proposed (their coordinates are constants from there on), and to which pyramid level a
RoI goes. `TrainingPlan` holds the outcome of all these decisions; given a plan, losses and gradients are
an ordinary function of the parameters: `MaskRCNN.losses_for`, whose `backward` stands right below it.

Source: He et al. 2017; names and numbers are torchvision's `MaskRCNN`.
"""

import warnings
from typing import NamedTuple

import numpy as np

from . import nn, ops
from .checks import check_finite, check_rng, check_targets, checked_images, checked_loss_weights
from .config import check_fraction
from .errors import InputError, InputWarning
from .stages.anchors import AnchorGenerator
from .stages.box_head import FastRCNNPredictor, box_losses_backward, box_losses_forward, select_detections
from .stages.mask_head import MaskRCNNPredictor, mask_loss_backward, mask_loss_forward, select_masks
from .stages.paste import paste_masks
from .stages.roi_pooler import RoIPooler, make_rois
from .stages.rpn import RPNHead, RPNSample, propose, rpn_losses_backward, rpn_losses_forward
from .stages.targets import RoISample, choose_anchors, choose_rois
from .stages.transform import Transform, resize_target, scale_boxes
from .structures import Detections
from .trace import build_trace

LOSS_NAMES = ("loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg")
BOX_POOLED_SIZE, MASK_POOLED_SIZE = 7, 14
MASK_SIZE = 2 * MASK_POOLED_SIZE


class Backbone(nn.Module):
    """Body and feature pyramid."""

    def __init__(self, body, fpn):
        self.body, self.fpn = body, fpn

    def forward(self, images):
        """Return [P2..P6] and the cache."""
        features, body_cache = self.body.forward(images)
        features, fpn_cache = self.fpn.forward(features)
        return features, {"body": body_cache, "fpn": fpn_cache}

    def backward(self, dfeatures, cache, need_dx=False):
        """Return the gradient by the images if `need_dx`, else None."""
        return self.body.backward(self.fpn.backward(dfeatures, cache["fpn"]), cache["body"], need_dx)

    def __call__(self, images):
        return self.fpn(self.body(images))


class RegionProposalNetwork(nn.Module):
    """A name in the tree: ``rpn.head``."""

    def __init__(self, head):
        self.head = head


class RoIHeads(nn.Module):
    """A name in the tree: ``roi_heads.box_head``, ..., ``roi_heads.mask_predictor``."""

    def __init__(self, box_head, box_predictor, mask_head, mask_predictor):
        self.box_head, self.box_predictor = box_head, box_predictor
        self.mask_head, self.mask_predictor = mask_head, mask_predictor
        self.mask_size = MASK_SIZE


class TrainingPlan(NamedTuple):
    """All decisions of one training pass; constants for the backward pass."""

    anchors: RPNSample
    rois: RoISample


class Trunk(NamedTuple):
    """The differentiable first half of a training pass: pyramid and RPN outputs, with their caches."""

    features: list          # [P2..P6]
    objectness: list        # per level (N, h, w, A)
    deltas: list            # per level (N, h, w, A, 4)
    caches: dict


class Inference(NamedTuple):
    """Everything that inference computes on a batch, per stage; see `Trace` for what each is."""

    body_features: list
    features: list
    anchors: list
    objectness: list
    deltas: list
    proposals: list         # N Proposals
    box_features: np.ndarray
    class_logits: list      # N arrays
    box_deltas: list
    candidates: list        # N Candidates
    mask_features: np.ndarray
    mask_logits: list       # N arrays


class MaskRCNN(nn.Module):
    """The model. Build it with `maskrcnn_tiny`, `maskrcnn_resnet50_fpn`, ... rather than by hand.

    Parameters
    ----------
    body, fpn : Module
    config : Config
    num_classes : int
        With background.
    box_head, mask_head : Module
    box_channels, mask_channels : int
        Channels that these heads put out; the mask predictor's hidden layer has `mask_channels` too.
    fpn_channels : int
        Channels of the pyramid's maps.
    rpn_conv_depth : int
    rng : np.random.Generator or None
    class_names : list of str or None
        One for each class, background first.
    """

    def __init__(self, body, fpn, config, num_classes, box_head, box_channels, mask_head, mask_channels,
                 fpn_channels, rpn_conv_depth=1, rng=None, class_names=None):
        self.config, self.num_classes, self.class_names = config, num_classes, class_names
        self.architecture = None            # filled in by the builder: how to build this model again
        self.untrained = True
        self.transform = Transform(config.min_size, config.max_size, config.image_mean, config.image_std)
        self.anchor_generator = AnchorGenerator(config.anchor_sizes, config.anchor_ratios)
        self.box_pooler = RoIPooler(BOX_POOLED_SIZE, config.canonical_scale, config.canonical_level)
        self.mask_pooler = RoIPooler(MASK_POOLED_SIZE, config.canonical_scale, config.canonical_level)
        self.backbone = Backbone(body, fpn)
        num_anchors = self.anchor_generator.num_anchors_per_location()[0]
        self.rpn = RegionProposalNetwork(RPNHead(fpn_channels, num_anchors, rpn_conv_depth, rng))
        self.roi_heads = RoIHeads(box_head, FastRCNNPredictor(box_channels, num_classes, rng), mask_head,
                                  MaskRCNNPredictor(mask_channels, mask_channels, num_classes, rng))

    def __repr__(self):
        names = self.class_names or []
        listed = f" ({', '.join(names[:4])}{', ...' * (len(names) > 4)})" if names else ""
        builder = self.architecture["builder"] if self.architecture else "built by hand"
        return (f"MaskRCNN({builder}, {self.num_classes} classes{listed}, {self.num_parameters():,} trainable parameters, "
                f"min_size {self.config.min_size}, max_size {self.config.max_size})")

    # ---- inference --------------------------------------------------------------------------------

    def __call__(self, images):
        """Do what `predict` does."""
        return self.predict(images)

    def predict(self, images, score_threshold=None, iou_threshold=None, progress=None):
        """Find the objects in one image or several.

        Parameters
        ----------
        images : (H, W, 3) ndarray or list of them
            uint8, or float in 0..1. A list goes through as one batch, padded to a common size.
        score_threshold : float, optional
            Detections need a higher score than this (default ``config.box_score_thresh``).
        iou_threshold : float, optional
            Of two detections of one class that overlap more than this, the better stays
            (default ``config.box_nms_thresh``).
        progress : callable, optional
            Called with the name of each stage as it begins: a full-size model takes seconds.

        Returns
        -------
        detections : Detections or list of Detections
            In the given images' own coordinates, best first.

        Raises
        ------
        InputError
            If an image or a threshold is not what it should be, or the weights are NaN or overflow.
        """
        if progress is not None and not callable(progress):
            raise InputError(f"progress must be a function of the name of a stage, got {progress!r:.60}")
        single = not isinstance(images, (list, tuple))
        images = checked_images([images] if single else images, self.dtype)
        if self.untrained:
            warnings.warn("predicting with random weights: this model, or its last layers, have not been trained (nor "
                          "had they when it was saved), so its detections mean nothing", InputWarning, stacklevel=2)
        if not images:
            return []
        batch = self.transform.forward(images, self.dtype)
        with ops.whole_pass(batch.images.size):
            found = self.infer(batch, score_threshold, iou_threshold, progress)
            check_finite({"objectness": found.objectness, "class logits": found.class_logits,
                          "mask logits": found.mask_logits})
            if progress:
                progress("pasting")
            results = self.postprocess(found, batch)
        return results[0] if single else results

    def infer(self, batch, score_threshold=None, iou_threshold=None, progress=None):
        """Run all stages on an `ImageBatch` with running statistics, and keep what each stage said."""
        config = self.config
        score_threshold = config.box_score_thresh if score_threshold is None else score_threshold
        iou_threshold = config.box_nms_thresh if iou_threshold is None else iou_threshold
        check_fraction("score_threshold", score_threshold)
        check_fraction("iou_threshold", iou_threshold)
        tell = progress or (lambda stage: None)

        tell("body")
        body_features = self.backbone.body(batch.images)
        tell("feature pyramid")
        features = self.backbone.fpn(body_features)
        tell("region proposals")
        objectness, deltas = self.rpn.head(features)
        anchors = self.anchors_for(features, batch)
        proposals = self.proposals_for(objectness, deltas, anchors, batch.image_sizes,
                                       config.rpn_pre_nms_top_n_test, config.rpn_post_nms_top_n_test)
        tell("box head")
        box_features = self.box_pooler(features[:4], make_rois([p.boxes for p in proposals]))
        class_logits, box_deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(box_features))
        class_logits, box_deltas = (_split(values, [len(p.boxes) for p in proposals])
                                    for values in (class_logits, box_deltas))
        candidates = [select_detections(logits, moves, p.boxes, size, config.bbox_reg_weights, score_threshold,
                                        iou_threshold, config.box_detections_per_img)
                      for logits, moves, p, size in zip(class_logits, box_deltas, proposals, batch.image_sizes)]
        tell("mask head")
        mask_features = self.mask_pooler(features[:4], make_rois([c.boxes[c.keep] for c in candidates]))
        mask_logits = self.roi_heads.mask_predictor(self.roi_heads.mask_head(mask_features))
        mask_logits = _split(mask_logits, [len(c.keep) for c in candidates])
        return Inference(body_features, features, anchors, objectness, deltas, proposals, box_features,
                         class_logits, box_deltas, candidates, mask_features, mask_logits)

    def postprocess(self, found, batch):
        """Bring each image's detections back to its own coordinates: a list of `Detections`."""
        results = []
        for candidates, mask_logits, size, original_size in zip(found.candidates, found.mask_logits,
                                                                batch.image_sizes, batch.original_sizes):
            labels, scores = candidates.labels[candidates.keep], candidates.scores[candidates.keep]
            boxes = scale_boxes(candidates.boxes[candidates.keep], size, original_size)
            masks = paste_masks(select_masks(mask_logits, labels), boxes, original_size)
            results.append(Detections(boxes, labels, scores, masks))
        return results

    # ---- training ---------------------------------------------------------------------------------

    def loss_and_grads(self, images, targets, rng, loss_weights=None, return_dimages=False):
        """Compute the five losses on a batch, and leave their gradient in every parameter's ``.grad``.

        Like torch in train mode it also moves the running statistics of the batch norms towards the batch's, so a
        second call with the same arguments gives the same losses, but `predict` may answer a little differently.

        Parameters
        ----------
        images : list of (H, W, 3) ndarray
            uint8, or float in 0..1.
        targets : list of Target
        rng : np.random.Generator
            Or anything with ``random()`` and ``permutation(n)``.
        loss_weights : dict, optional
            Weight of a loss, by name, in the sum that is differentiated; 1 where absent.
        return_dimages : bool
            Also return the gradient by the images.

        Returns
        -------
        losses : dict
            The five losses, unweighted, as floats: ``loss_classifier``, ``loss_box_reg``, ``loss_mask``,
            ``loss_objectness``, ``loss_rpn_box_reg``.
        dimages : list of (H, W, 3) ndarray
            Only if `return_dimages`.

        Raises
        ------
        InputError
            If images, targets or weights are not what they should be, or do not fit together.
        """
        images = checked_images(images, self.dtype)
        check_targets(targets, images, self.num_classes, self.class_names)
        weights = checked_loss_weights(loss_weights, LOSS_NAMES)
        check_rng(rng)
        self.untrained = False
        self.zero_grad()
        batch = self.transform.forward(images, self.dtype, rng)
        with ops.whole_pass(batch.images.size, training=True):
            input_targets = [resize_target(target, size) for target, size in zip(targets, batch.image_sizes)]
            trunk = self.forward_trunk(batch.images)
            plan = self.make_plan(trunk, batch, input_targets, rng)
            losses, caches = self.losses_for(trunk, plan)
            dbatch = self.backward(weights, trunk, caches, need_dbatch=return_dimages)
        losses = {name: float(loss) for name, loss in losses.items()}
        return (losses, self.transform.backward(dbatch, batch)) if return_dimages else losses

    def forward_trunk(self, images):
        """Run backbone and RPN head on (N, H', W', 3), keeping what backward needs."""
        features, backbone_cache = self.backbone.forward(images)
        # fork: P2..P5 -> RPN head, box pooler, mask pooler; P6 -> RPN head only
        objectness, deltas, head_cache = self.rpn.head.forward(features)
        return Trunk(features, objectness, deltas, {"backbone": backbone_cache, "head": head_cache})

    def make_plan(self, trunk, batch, targets, rng):
        """Take all decisions of a training pass. No gradient: matches, samples and proposals are constants."""
        config = self.config
        anchors = self.anchors_for(trunk.features, batch)
        proposals = self.proposals_for(trunk.objectness, trunk.deltas, anchors, batch.image_sizes,
                                       config.rpn_pre_nms_top_n_train, config.rpn_post_nms_top_n_train)
        anchor_sample, _ = choose_anchors(np.concatenate(anchors), targets, config, rng)
        roi_sample, _ = choose_rois([p.boxes for p in proposals], targets, config, self.roi_heads.mask_size, rng)
        return TrainingPlan(anchor_sample, roi_sample)

    def losses_for(self, trunk, plan):
        """Compute the five losses for given decisions; an ordinary function of the parameters.

        Parameters
        ----------
        trunk : Trunk
        plan : TrainingPlan

        Returns
        -------
        losses : dict
            Scalars of the model's dtype, under the names of `LOSS_NAMES`.
        caches : dict
            For `backward`, one entry per line below.
        """
        heads, levels, chosen = self.roi_heads, trunk.features[:4], plan.rois
        losses, caches = {}, {}
        losses["loss_objectness"], losses["loss_rpn_box_reg"], caches["rpn_losses"] = rpn_losses_forward(
            trunk.objectness, trunk.deltas, plan.anchors)

        pooled, caches["box_pooler"] = self.box_pooler.forward(levels, chosen.rois)
        hidden, caches["box_head"] = heads.box_head.forward(pooled)
        class_logits, box_deltas, caches["box_predictor"] = heads.box_predictor.forward(hidden)
        losses["loss_classifier"], losses["loss_box_reg"], caches["box_losses"] = box_losses_forward(
            class_logits, box_deltas, chosen.labels, chosen.delta_targets)

        pooled, caches["mask_pooler"] = self.mask_pooler.forward(levels, chosen.mask_rois)
        hidden, caches["mask_head"] = heads.mask_head.forward(pooled)
        mask_logits, caches["mask_predictor"] = heads.mask_predictor.forward(hidden)
        losses["loss_mask"], caches["mask_loss"] = mask_loss_forward(
            mask_logits, chosen.mask_labels, chosen.mask_targets)
        return {name: losses[name] for name in LOSS_NAMES}, caches

    def backward(self, weights, trunk, caches, need_dbatch=False):
        """Add the gradient of the weighted sum of the losses to every parameter: `losses_for` read upward.

        Parameters
        ----------
        weights : dict
            One weight for each of the five losses: the gradient of the sum by that loss.
        trunk : Trunk
        caches : dict
            Of the heads; each is taken out when it has been used, so that its memory is free for the next.
        need_dbatch : bool

        Returns
        -------
        dbatch : (N, H', W', 3) ndarray or None
        """
        heads = self.roi_heads
        dmask_logits = mask_loss_backward(weights["loss_mask"], caches.pop("mask_loss"))
        dhidden = heads.mask_predictor.backward(dmask_logits, caches.pop("mask_predictor"))
        dpooled = heads.mask_head.backward(dhidden, caches.pop("mask_head"))
        dmask_levels = self.mask_pooler.backward(dpooled, caches.pop("mask_pooler"))

        dclass_logits, dbox_deltas = box_losses_backward(
            weights["loss_classifier"], weights["loss_box_reg"], caches.pop("box_losses"))
        dhidden = heads.box_predictor.backward(dclass_logits, dbox_deltas, caches.pop("box_predictor"))
        dpooled = heads.box_head.backward(dhidden, caches.pop("box_head"))
        dbox_levels = self.box_pooler.backward(dpooled, caches.pop("box_pooler"))

        dobjectness, ddeltas = rpn_losses_backward(
            weights["loss_objectness"], weights["loss_rpn_box_reg"], caches["rpn_losses"])
        dfeatures = self.rpn.head.backward(dobjectness, ddeltas, trunk.caches["head"])
        for dlevel, dbox_level, dmask_level in zip(dfeatures, dbox_levels, dmask_levels):
            dlevel += dbox_level                        # join P2..P5: RPN head + box pooler + mask pooler;
            dlevel += dmask_level                       # zip ends at P5: P6 feeds the RPN head alone
        del dbox_levels, dmask_levels, dbox_level, dmask_level      # as large as the pyramid, and no longer needed
        return self.backbone.backward(dfeatures, trunk.caches["backbone"], need_dbatch)

    # ---- looking inside ---------------------------------------------------------------------------

    def trace(self, image, target=None, rng=None):
        """Run one image through the model and keep every array on the way.

        Parameters
        ----------
        image : (H, W, 3) ndarray
            uint8, or float in 0..1.
        target : Target, optional
            Then the training path is traced too (on running statistics, so that both paths see the same
            features), under ``.training``.
        rng : np.random.Generator, optional
            For the sampling of the training path; ``default_rng(0)`` if absent.

        Returns
        -------
        Trace
        """
        image, = checked_images([image], self.dtype)
        if target is not None:
            check_targets([target], [image], self.num_classes, self.class_names)
        rng = np.random.default_rng(0) if rng is None else rng
        check_rng(rng)
        return build_trace(self, image, target, rng)

    def load_state_dict(self, mapping, strict=True):
        """Take weights; see `Module.load_state_dict`."""
        report = super().load_state_dict(mapping, strict)
        self.untrained = False
        return report

    # ---- pieces that both need --------------------------------------------------------------------

    def anchors_for(self, features, batch):
        """Anchors per level for a batch."""
        return self.anchor_generator([level.shape[1:3] for level in features], batch.images.shape[1:3], self.dtype)

    def proposals_for(self, objectness, deltas, anchors, image_sizes, pre_nms_top_n, post_nms_top_n):
        """Run `propose` for each image of the batch."""
        config = self.config
        return [propose([level[i].reshape(-1) for level in objectness], [level[i].reshape(-1, 4) for level in deltas],
                        anchors, size, pre_nms_top_n, post_nms_top_n, config.rpn_nms_thresh, config.rpn_score_thresh)
                for i, size in enumerate(image_sizes)]


def _split(values, counts):
    """Cut an array of all images' rows into one array per image."""
    return np.split(values, np.cumsum(counts)[:-1])
