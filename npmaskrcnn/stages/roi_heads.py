"""The two heads together: which regions they learn from, their losses, and what they say of an image.

The box head and the mask head look at the same feature pyramid through the same window, a region of interest
(RoI), but not at the same RoIs. In training, a sample of the proposals is matched with the objects: all of it
teaches the box head, the positive part the mask head. At inference the box head sees every proposal, and the
mask head only the detections that came out of it. How matching and sampling decide is in `matching`; the answers
that each sampled RoI must give are put together here. All of them are constants for the backward pass.

Sources: Ren et al. 2015, 3.1.2; He et al. 2017, 3.1. Legend: R proposals, S sampled RoIs, P of them positive.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops
from .box_head import box_losses_backward, box_losses_forward, select_detections
from .mask_head import mask_loss_backward, mask_loss_forward, mask_targets
from .matching import BACKGROUND, match_boxes, sample
from .roi_pooler import rois_of_image


class RoISample(NamedTuple):
    """The RoIs on which the heads learn, image by image, an image's in the order of its candidates; P are positive."""

    rois: np.ndarray                # (S, (batch_index, x1, y1, x2, y2))
    labels: np.ndarray              # (S,) int, 0 is background
    delta_targets: np.ndarray       # (S, 4)
    mask_rois: np.ndarray           # (P, (batch_index, x1, y1, x2, y2)) the positive ones again
    mask_labels: np.ndarray         # (P,)
    mask_targets: np.ndarray        # (P, M, M); M is 0 without a mask branch
    candidates: list                # N (R + G, 4): an image's proposals, then its objects' own boxes
    matchings: list                 # N Matching of the candidates
    sampled: list                   # N (S_i,) rows of the candidates, ascending


class RoIHeads(nn.Module):
    """Box branch and, if there is one, mask branch: each a pooler, a head and a predictor.

    Parameters
    ----------
    box_pooler, mask_pooler : RoIPooler
    box_head, box_predictor, mask_head, mask_predictor : Module
        The three of the mask branch may be None: then the model is a Faster R-CNN.
    config : Config
    """

    def __init__(self, box_pooler, box_head, box_predictor, mask_pooler, mask_head, mask_predictor, config):
        self.box_pooler, self.box_head, self.box_predictor = box_pooler, box_head, box_predictor
        self.mask_pooler, self.mask_head, self.mask_predictor = mask_pooler, mask_head, mask_predictor
        self.config = config

    @property
    def has_masks(self):
        """Whether there is a mask branch."""
        return self.mask_pooler is not None

    @property
    def mask_size(self):
        """Side M of the predicted masks: the predictor doubles what is pooled; 0 without a mask branch."""
        return 2 * self.mask_pooler.output_size if self.has_masks else 0

    # ---- one branch each ------------------------------------------------------------------------

    def classify(self, features, rois, notes):
        """Return the box branch's ``(pooled, class_logits, box_deltas)`` for (R, 5) RoIs."""
        pooled = self.box_pooler.forward(features, rois, notes.of("box_pooler"))
        hidden = self.box_head.forward(pooled, notes.of("box_head"))
        return pooled, *self.box_predictor.forward(hidden, notes.of("box_predictor"))

    def segment(self, features, rois, notes):
        """Return the mask branch's ``(pooled, mask_logits)`` for (P, 5) RoIs."""
        pooled = self.mask_pooler.forward(features, rois, notes.of("mask_pooler"))
        hidden = self.mask_head.forward(pooled, notes.of("mask_head"))
        return pooled, self.mask_predictor.forward(hidden, notes.of("mask_predictor"))

    # ---- training -------------------------------------------------------------------------------

    def choose(self, proposals, targets, rng):
        """Match and sample the RoIs of a batch, and make the answers that they must give.

        The objects' own boxes join the proposals, because an untrained RPN proposes nothing useful, and the
        heads must have something to learn from.

        Parameters
        ----------
        proposals : list of (R, 4) ndarray
            Per image.
        targets : list of InputTarget
        rng : np.random.Generator

        Returns
        -------
        RoISample
        """
        per_image = [self._choose_in_image(i, boxes, target, rng)
                     for i, (boxes, target) in enumerate(zip(proposals, targets))]

        def joined(field):
            of_images = [getattr(chosen, field) for chosen in per_image]
            return np.concatenate(of_images) if isinstance(of_images[0], np.ndarray) else sum(of_images, [])
        return RoISample(*map(joined, RoISample._fields))

    def _choose_in_image(self, index, proposals, target, rng):
        """Return the sample of one image, which is number `index` of the batch."""
        config, gt_boxes = self.config, target.boxes.astype(proposals.dtype)
        candidates = np.concatenate([proposals, gt_boxes])
        matching = match_boxes(gt_boxes, candidates, config.box_fg_iou_thresh, config.box_bg_iou_thresh)
        matches = matching.matches
        positive, negative = sample(matches >= 0, matches == BACKGROUND, config.box_batch_size_per_image,
                                    config.box_positive_fraction, rng)
        sampled = np.sort(np.concatenate([positive, negative]))
        boxes, is_object = candidates[sampled], matches[sampled] >= 0
        objects = matches[sampled][is_object]                   # rows of those that the positive ones must find
        labels, delta_targets = np.zeros(len(sampled), np.int64), np.zeros_like(boxes)
        labels[is_object] = target.labels[objects]
        delta_targets[is_object] = ops.encode_boxes(gt_boxes[objects], boxes[is_object], config.bbox_reg_weights)
        rois = rois_of_image(index, boxes)
        return RoISample(
            rois, labels, delta_targets, mask_rois=rois[is_object], mask_labels=labels[is_object],
            mask_targets=mask_targets(target.masks, boxes[is_object], objects, self.mask_size, boxes.dtype),
            candidates=[candidates], matchings=[matching], sampled=[sampled])

    def losses(self, features, chosen, notes):
        """Return the heads' losses on a sample, by name: two, and with a mask branch a third."""
        _, class_logits, box_deltas = self.classify(features, chosen.rois, notes)
        losses = {}
        losses["loss_classifier"], losses["loss_box_reg"], notes["box_losses"] = box_losses_forward(
            class_logits, box_deltas, chosen.labels, chosen.delta_targets)
        if self.has_masks:
            _, mask_logits = self.segment(features, chosen.mask_rois, notes)
            notes["mask_logits"] = mask_logits
            losses["loss_mask"], notes["mask_loss"] = mask_loss_forward(
                mask_logits, chosen.mask_labels, chosen.mask_targets)
        return losses

    def backward(self, dlosses, notes):
        """Return, for each branch, dfeatures per level: `losses` read upward.

        Unlike a layer's, these notes are used up: each is dropped as soon as it has been read, because with hundreds
        of RoIs they are large.
        """
        branches = []
        if self.has_masks:
            del notes["mask_logits"]                        # noted for those who look; the loss has its own
            dmask_logits = mask_loss_backward(dlosses["loss_mask"], notes.pop("mask_loss"))
            dhidden = self.mask_predictor.backward(dmask_logits, notes.pop("mask_predictor"))
            dpooled = self.mask_head.backward(dhidden, notes.pop("mask_head"))
            branches.append(self.mask_pooler.backward(dpooled, notes.pop("mask_pooler")))
        dclass_logits, dbox_deltas = box_losses_backward(dlosses["loss_classifier"], dlosses["loss_box_reg"],
                                                         notes.pop("box_losses"))
        dhidden = self.box_predictor.backward(dclass_logits, dbox_deltas, notes.pop("box_predictor"))
        dpooled = self.box_head.backward(dhidden, notes.pop("box_head"))
        return [self.box_pooler.backward(dpooled, notes.pop("box_pooler")), *branches]

    # ---- inference ------------------------------------------------------------------------------

    def detect(self, class_logits, box_deltas, proposals, image_size, score_threshold, iou_threshold):
        """Return one image's `Candidates`: see `select_detections`."""
        return select_detections(class_logits, box_deltas, proposals, image_size, self.config.bbox_reg_weights,
                                 score_threshold, iou_threshold, self.config.box_detections_per_img)
