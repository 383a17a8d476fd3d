"""A trace: every array of one run through the model, named, so that each step can be looked at.

`MaskRCNN.trace` runs one image through the test path and keeps everything on the way: the padded batch,
the feature maps, the anchors and what the RPN says of each, the proposals before and after NMS, the RoI
features, the class scores, the detections and their masks. Every row of every table can be followed
back: a detection came from a RoI, a RoI is a proposal, a proposal is an anchor that was moved, and an
anchor sits on one cell of one pyramid level. With a target, the training path is traced too.

Two coordinate frames occur. *Input frame*: pixels of the resized image that the net sees (all boxes here
but one). *Image frame*: pixels of the image as it was given (`Trace.detections` only).
"""

from types import SimpleNamespace

import numpy as np

from .errors import InputError
from .words import count


class TrainingTrace(SimpleNamespace):
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
        The five losses: sums of the shares above. They are those of ``loss_and_grads(..., batch_statistics=False)``:
        with the batch's own statistics, as in training, they are others where there are batch norms.
    """

    def __repr__(self):
        return (f"TrainingTrace({count(len(self.gt_boxes), 'object')}, "
                f"{count(len(self.sampled_anchors), 'sampled anchor')}, {count(len(self.rois), 'RoI')}, "
                f"{count(len(self.mask_rois), 'positive RoI')})")


class Trace(SimpleNamespace):
    """The test path of one image, stage by stage; K classes (0 is background), L = 5 RPN levels.

    Attributes
    ----------
    image : (H, W, 3)
        As given, float in 0..1.
    batch : (1, H', W', 3)
        Resized, normalized, padded to a multiple of 32.
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
        for field, value in vars(self).items():
            values = value if isinstance(value, list) else [value]
            for i, array in enumerate(values):
                if isinstance(array, np.ndarray):
                    name = f"{field}[{i}]" if isinstance(value, list) else field
                    rows.append((name, array.shape, array.dtype))
        return rows


class Ledger(list):
    """Rows of (name, shape, dtype), which print as a table."""

    def __str__(self):
        lines = [f"{'array':<20}{'shape':<22}dtype"]
        return "\n".join(lines + [f"{name:<20}{str(shape):<22}{dtype}" for name, shape, dtype in self])
