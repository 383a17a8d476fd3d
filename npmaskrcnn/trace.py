"""A trace: every array of one run through the model, named, so that each step can be looked at.

`MaskRCNN.trace` runs one image through the test path and keeps everything on the way: the padded batch,
the feature maps, the anchors and what the RPN says of each, the proposals before and after NMS, the RoI
features, the class scores, the detections and their masks. Every row of every table can be followed
back: a detection came from a RoI, a RoI is a proposal, a proposal is an anchor that was moved, and an
anchor sits on one cell of one pyramid level. With a target, the training path is traced too.

Two coordinate frames occur. *Input frame*: pixels of the resized image that the net sees (all boxes here
but one). *Image frame*: pixels of the image as it was given (`Trace.detections` only).
"""

from dataclasses import dataclass, fields

import numpy as np

from . import ops
from .errors import InputError
from .stages.mask_head import mask_loss_forward
from .stages.roi_pooler import make_rois
from .stages.rpn import SMOOTH_L1_BETA, flatten_levels
from .stages.targets import choose_anchors, choose_rois, match_anchors, match_proposals
from .stages.transform import resize_target
from .words import count


@dataclass(repr=False)
class TrainingTrace:
    """The training path of one image: G objects, T anchors of which B are sampled, M candidates of which S are
    sampled and P positive; masks of m x m; boxes in the input frame.

    Attributes
    ----------
    gt_boxes : (G, 4)
        Ground truth in the input frame.
    gt_labels : (G,) int
    anchor_iou : (G, T)
        IoU of every ground-truth box with every anchor (all levels in order).
    anchor_matches : (T,) int
        Row of `gt_boxes` that the anchor must find; -1 background, -2 ignored.
    sampled_anchors : (B,) int
        Anchors on which the RPN's losses are computed; the positive ones first.
    num_positive_anchors : int
        How many of `sampled_anchors`, from the front, are positive.
    anchor_delta_targets : (num_positive_anchors, 4)
    anchor_objectness_loss : (B,)
        Each sampled anchor's share; the sum is ``losses["loss_objectness"]``.
    anchor_box_loss : (num_positive_anchors,)
        Shares of ``losses["loss_rpn_box_reg"]``.
    candidates : (M, 4)
        Training proposals with the ground-truth boxes appended: what RoIs are sampled from.
    candidate_iou : (G, M)
    candidate_matches : (M,) int
        Row of `gt_boxes`, or -1 for background.
    sampled_rois : (S,) int
        Rows of `candidates`, ascending.
    rois : (S, 4)
    roi_labels : (S,) int
        0 is background.
    roi_levels : (S,) int
        Pyramid level 0..3 (P2..P5) from which each RoI is pooled.
    roi_delta_targets : (S, 4)
    roi_class_loss, roi_box_loss : (S,)
        Shares of ``loss_classifier`` and ``loss_box_reg``.
    mask_rois : (P, 4)
        The positive RoIs.
    mask_labels : (P,) int
    mask_targets : (P, m, m)
    mask_logits : (P, m, m, K)
    mask_loss : (P,)
        Shares of ``loss_mask``.
    losses : dict
        The five losses: sums of the shares above. Computed on running statistics; `loss_and_grads`, which uses
        the batch's own, gives others where there are batch norms.
    """

    gt_boxes: np.ndarray
    gt_labels: np.ndarray
    anchor_iou: np.ndarray
    anchor_matches: np.ndarray
    sampled_anchors: np.ndarray
    num_positive_anchors: int
    anchor_delta_targets: np.ndarray
    anchor_objectness_loss: np.ndarray
    anchor_box_loss: np.ndarray
    candidates: np.ndarray
    candidate_iou: np.ndarray
    candidate_matches: np.ndarray
    sampled_rois: np.ndarray
    rois: np.ndarray
    roi_labels: np.ndarray
    roi_levels: np.ndarray
    roi_delta_targets: np.ndarray
    roi_class_loss: np.ndarray
    roi_box_loss: np.ndarray
    mask_rois: np.ndarray
    mask_labels: np.ndarray
    mask_targets: np.ndarray
    mask_logits: np.ndarray
    mask_loss: np.ndarray
    losses: dict

    def __repr__(self):
        return (f"TrainingTrace({count(len(self.gt_boxes), 'object')}, {count(len(self.sampled_anchors), 'sampled anchor')}, "
                f"{count(len(self.rois), 'RoI')}, {count(len(self.mask_rois), 'mask RoI')})")


@dataclass(repr=False)
class Trace:
    """The test path of one image, stage by stage; K classes (0 is background), L = 5 RPN levels.

    Attributes
    ----------
    image : (H, W, 3)
        As given, float in 0..1.
    batch : (1, H', W', 3)
        Resized, normalised, padded to a multiple of 32.
    image_size : (h, w)
        Size of the resized image inside the padded one: the input frame.
    body_features : list of (1, h_l, w_l, C_l)
        C2..C5 of the backbone.
    features : list of (1, h_l, w_l, C)
        P2..P6 of the feature pyramid.
    anchors : list of (A_l, 4)
        Per level, in row order y, x, anchor.
    objectness : list of (h_l, w_l, A)
        Logits per level, cell and anchor of the cell.
    deltas : list of (h_l, w_l, A, 4)
        Predicted (tx, ty, tw, th).
    top_k : (T,) int
        Flat anchor indices (levels concatenated) that survive the per-level top-k, level by level.
    top_k_boxes : (T, 4)
        These anchors, moved by their deltas and clipped: the proposals before NMS.
    top_k_scores : (T,)
        Objectness probabilities.
    top_k_levels : (T,) int
        0..4 for P2..P6.
    proposal_rows : (R,) int
        Rows of `top_k` that survive NMS, best first.
    proposals : (R, 4)
    proposal_scores : (R,)
    roi_levels : (R,) int
        Pyramid level 0..3 (P2..P5) from which the proposal is pooled (by its size, not by its birth).
    box_features : (R, 7, 7, C)
    class_logits : (R, K)
    box_deltas : (R, K, 4)
    candidate_rois : (M,) int
        Row of `proposals` for each (RoI, class) pair above the score threshold, before per-class NMS.
    candidate_labels : (M,) int
    candidate_scores : (M,)
    candidate_boxes : (M, 4)
    detection_rows : (D,) int
        Rows of the candidates that survive NMS and the limit, best first.
    detection_boxes : (D, 4)
        In the input frame.
    mask_levels : (D,) int
    mask_features : (D, 14, 14, C)
    mask_logits : (D, 28, 28, K)
    detections : Detections
        In the image frame, masks pasted.
    training : TrainingTrace or None
    class_names : list of str or None
    strides : list of (int, int)
        Height and width of a cell of each level, in input pixels.
    """

    image: np.ndarray
    batch: np.ndarray
    image_size: tuple
    body_features: list
    features: list
    anchors: list
    objectness: list
    deltas: list
    top_k: np.ndarray
    top_k_boxes: np.ndarray
    top_k_scores: np.ndarray
    top_k_levels: np.ndarray
    proposal_rows: np.ndarray
    proposals: np.ndarray
    proposal_scores: np.ndarray
    roi_levels: np.ndarray
    box_features: np.ndarray
    class_logits: np.ndarray
    box_deltas: np.ndarray
    candidate_rois: np.ndarray
    candidate_labels: np.ndarray
    candidate_scores: np.ndarray
    candidate_boxes: np.ndarray
    detection_rows: np.ndarray
    detection_boxes: np.ndarray
    mask_levels: np.ndarray
    mask_features: np.ndarray
    mask_logits: np.ndarray
    detections: object
    strides: list
    class_names: list = None
    training: TrainingTrace = None

    def __repr__(self):
        height, width = self.image.shape[:2]
        return (f"Trace(image of {height} x {width} pixels, {count(len(self.proposals), 'proposal')}, "
                f"{count(len(self.detections), 'detection')}{', with training' * (self.training is not None)}; "
                "its arrays: print(trace.ledger()))")

    def provenance(self, detection):
        """Follow one detection back to the cell that it was born on.

        Parameters
        ----------
        detection : int
            Row of `detections`.

        Returns
        -------
        steps : dict
            ``candidate`` (row of the candidates), ``roi`` (row of `proposals`), ``top_k`` (row of `top_k`),
            ``anchor`` (flat anchor index), ``level`` (0..4 for P2..P6), ``cell`` (y, x on that level),
            ``anchor_of_cell`` (0..A-1), ``anchor_box`` and ``proposal_box`` (4,), ``roi_level`` (0..3).

        Raises
        ------
        InputError
            If there is no such row.
        """
        number = len(self.detections)
        if not isinstance(detection, (int, np.integer)) or not 0 <= detection < number:
            rows = f"it has the rows 0 to {number - 1}" if number else "it is empty"
            raise InputError(f"provenance: detection must be a row of trace.detections, got {detection!r:.60}; {rows}")
        candidate = int(self.detection_rows[detection])
        roi = int(self.candidate_rois[candidate])
        row = int(self.proposal_rows[roi])
        anchor, level = int(self.top_k[row]), int(self.top_k_levels[row])
        on_level = anchor - sum(len(a) for a in self.anchors[:level])
        height, width, per_cell = self.objectness[level].shape
        y, x, anchor_of_cell = (int(i) for i in np.unravel_index(on_level, (height, width, per_cell)))
        return dict(candidate=candidate, roi=roi, top_k=row, anchor=anchor, level=level, cell=(y, x),
                    anchor_of_cell=anchor_of_cell, anchor_box=self.anchors[level][on_level],
                    proposal_box=self.proposals[roi], roi_level=int(self.roi_levels[roi]))

    def ledger(self):
        """List every array of the trace.

        Returns
        -------
        rows : Ledger, a list of (name, shape, dtype)
            Lists give one row per level, named ``features[0]``, ``features[1]``, ... Printed, it is a table.
        """
        rows = Ledger()
        for item in fields(self):
            value = getattr(self, item.name)
            values = value if isinstance(value, list) else [value]
            for i, array in enumerate(values):
                if isinstance(array, np.ndarray):
                    name = f"{item.name}[{i}]" if isinstance(value, list) else item.name
                    rows.append((name, array.shape, array.dtype))
        return rows


class Ledger(list):
    """Rows of (name, shape, dtype), which print as a table."""

    def __str__(self):
        lines = [f"{'array':<20}{'shape':<22}dtype"]
        return "\n".join(lines + [f"{name:<20}{str(shape):<22}{dtype}" for name, shape, dtype in self])


def build_trace(model, image, target, rng):
    """Run `image` through `model` (and, with a target, through its training path); return the `Trace`."""
    batch = model.transform.forward([image], model.dtype)
    found = model.infer(batch)
    proposals, candidates = found.proposals[0], found.candidates[0]
    mask_boxes = candidates.boxes[candidates.keep]
    trace = Trace(
        image=image, batch=batch.images, image_size=batch.image_sizes[0],
        body_features=found.body_features, features=found.features, anchors=found.anchors,
        objectness=[level[0] for level in found.objectness], deltas=[level[0] for level in found.deltas],
        top_k=proposals.top_k, top_k_boxes=proposals.top_k_boxes, top_k_scores=proposals.top_k_scores,
        top_k_levels=proposals.top_k_levels, proposal_rows=proposals.rows, proposals=proposals.boxes,
        proposal_scores=proposals.scores, roi_levels=model.box_pooler.levels(make_rois([proposals.boxes])),
        box_features=found.box_features, class_logits=found.class_logits[0], box_deltas=found.box_deltas[0],
        candidate_rois=candidates.rois, candidate_labels=candidates.labels, candidate_scores=candidates.scores,
        candidate_boxes=candidates.boxes, detection_rows=candidates.keep, detection_boxes=mask_boxes,
        mask_levels=model.mask_pooler.levels(make_rois([mask_boxes])), mask_features=found.mask_features,
        mask_logits=found.mask_logits[0], detections=model.postprocess(found, batch)[0],
        strides=model.anchor_generator.strides([level.shape[1:3] for level in found.features],
                                               batch.images.shape[1:3]),
        class_names=model.class_names)
    if target is not None:
        trace.training = build_training_trace(model, batch, found, target, rng)
    return trace


def build_training_trace(model, batch, found, target, rng):
    """Follow the training path on the features that inference has computed; return the `TrainingTrace`."""
    config, heads, levels = model.config, model.roi_heads, found.features[:4]
    target = resize_target(target, batch.image_sizes[0])
    anchors = np.concatenate(found.anchors)
    chosen, matches = choose_anchors(anchors, [target], config, rng)
    logits = flatten_levels(found.objectness).reshape(-1)[chosen.rows]
    is_object = (np.arange(len(logits)) < chosen.num_positives).astype(logits.dtype)
    num_sampled = max(len(chosen.rows), 1)
    objectness_loss = ops.binary_cross_entropy_with_logits_per_element(logits, is_object) / num_sampled
    pred_deltas = flatten_levels(found.deltas).reshape(-1, 4)[chosen.rows[:chosen.num_positives]]
    anchor_box_loss = _smooth_l1_per_row(pred_deltas, chosen.delta_targets) / num_sampled

    proposals = model.proposals_for(found.objectness, found.deltas, found.anchors, batch.image_sizes,
                                    config.rpn_pre_nms_top_n_train, config.rpn_post_nms_top_n_train)[0].boxes
    candidates, candidate_iou, candidate_matches = match_proposals(proposals, target, config)
    rois, (sampled,) = choose_rois([proposals], [target], config, heads.mask_size, rng)
    class_logits, box_deltas = heads.box_predictor(heads.box_head(model.box_pooler(levels, rois.rois)))
    num_rois = max(len(rois.labels), 1)
    class_loss = ops.softmax_cross_entropy_per_row(class_logits, rois.labels) / num_rois
    own_deltas = box_deltas[np.arange(len(rois.labels)), rois.labels]
    box_loss = _smooth_l1_per_row(own_deltas, rois.delta_targets) * (rois.labels > 0) / num_rois

    mask_logits = heads.mask_predictor(heads.mask_head(model.mask_pooler(levels, rois.mask_rois)))
    mask_loss = np.array([mask_loss_forward(mask_logits[i:i + 1], rois.mask_labels[i:i + 1],
                                            rois.mask_targets[i:i + 1])[0] for i in range(len(mask_logits))],
                         dtype=mask_logits.dtype) / max(len(mask_logits), 1)
    shares = {"loss_classifier": class_loss, "loss_box_reg": box_loss, "loss_mask": mask_loss,
              "loss_objectness": objectness_loss, "loss_rpn_box_reg": anchor_box_loss}
    return TrainingTrace(
        gt_boxes=target.boxes, gt_labels=target.labels, anchor_iou=match_anchors(anchors, target.boxes, config)[0],
        anchor_matches=matches[0], sampled_anchors=chosen.rows, num_positive_anchors=chosen.num_positives,
        anchor_delta_targets=chosen.delta_targets, anchor_objectness_loss=objectness_loss,
        anchor_box_loss=anchor_box_loss, candidates=candidates, candidate_iou=candidate_iou,
        candidate_matches=candidate_matches, sampled_rois=sampled, rois=rois.rois[:, 1:], roi_labels=rois.labels,
        roi_levels=model.box_pooler.levels(rois.rois), roi_delta_targets=rois.delta_targets,
        roi_class_loss=class_loss, roi_box_loss=box_loss, mask_rois=rois.mask_rois[:, 1:],
        mask_labels=rois.mask_labels, mask_targets=rois.mask_targets, mask_logits=mask_logits, mask_loss=mask_loss,
        losses={name: float(share.sum()) for name, share in shares.items()})


def _smooth_l1_per_row(pred_deltas, targets):
    return ops.smooth_l1_per_element(pred_deltas, targets.astype(pred_deltas.dtype), SMOOTH_L1_BETA).sum(axis=1)
