"""What the heads must say: from ground truth to the sampled anchors' and RoIs' answers.

Matching and sampling decide which anchors and which proposals take part in the losses; here each of them
gets its answer: object or not and which deltas (RPN), which class, which deltas and which mask (heads).
All of it is constant for the backward pass. Sources: Ren et al. 2015, 3.1.2; He et al. 2017, 3.1.
"""

from typing import NamedTuple

import numpy as np

from .. import ops
from .mask_head import mask_targets
from .matching import BACKGROUND, match, sample
from .roi_pooler import make_rois
from .rpn import RPNSample


class RoISample(NamedTuple):
    """The RoIs on which the heads learn, over the whole batch; P of them are positive."""

    rois: np.ndarray                # (S, (batch_index, x1, y1, x2, y2))
    labels: np.ndarray              # (S,) int, 0 is background
    delta_targets: np.ndarray       # (S, 4)
    mask_rois: np.ndarray           # (P, (batch_index, x1, y1, x2, y2)) the positive ones again
    mask_labels: np.ndarray         # (P,)
    mask_targets: np.ndarray        # (P, M, M)


def match_anchors(anchors, gt_boxes, config):
    """Match one image's anchors; return ``(iou (G, K), matches (K,))``."""
    iou = ops.box_iou(gt_boxes, anchors)
    return iou, match(iou, config.rpn_fg_iou_thresh, config.rpn_bg_iou_thresh, allow_low_quality_matches=True)


def choose_anchors(anchors, targets, config, rng):
    """Match and sample the anchors of a batch.

    Parameters
    ----------
    anchors : (K, 4) ndarray
        Of all levels; the same for every image.
    targets : list of InputTarget
    config : Config
    rng : np.random.Generator

    Returns
    -------
    chosen : RPNSample
    matches : list of (K,) int ndarray
        Per image, for those who want to look.
    """
    positives, negatives, delta_targets, all_matches = [], [], [], []
    for i, target in enumerate(targets):
        _, matches = match_anchors(anchors, target.boxes, config)
        positive, negative = sample(matches >= 0, matches == BACKGROUND, config.rpn_batch_size_per_image,
                                    config.rpn_positive_fraction, rng)
        positives.append(positive + i * len(anchors))
        negatives.append(negative + i * len(anchors))
        delta_targets.append(ops.encode_boxes(target.boxes[matches[positive]], anchors[positive]))
        all_matches.append(matches)
    positives = np.concatenate(positives)
    rows = np.concatenate([positives] + negatives)
    return RPNSample(rows, len(positives), np.concatenate(delta_targets)), all_matches


def match_proposals(proposals, target, config):
    """Append the ground truth to one image's proposals, and match.

    The objects' own boxes join the proposals, because an untrained RPN proposes nothing useful, and the
    heads must have something to learn from.

    Returns
    -------
    candidates : (M, 4) ndarray
        Proposals, then ground-truth boxes.
    iou : (G, M) ndarray
    matches : (M,) int ndarray
    """
    gt_boxes = target.boxes.astype(proposals.dtype)
    candidates = np.concatenate([proposals, gt_boxes])
    iou = ops.box_iou(gt_boxes, candidates)
    return candidates, iou, match(iou, config.box_fg_iou_thresh, config.box_bg_iou_thresh)


def choose_rois(proposals, targets, config, mask_size, rng):
    """Match and sample the RoIs of a batch, and make the answers that they must give.

    Parameters
    ----------
    proposals : list of (R, 4) ndarray
        Per image.
    targets : list of InputTarget
    config : Config
    mask_size : int
        Side of the predicted masks.
    rng : np.random.Generator

    Returns
    -------
    chosen : RoISample
    sampled : list of (S_i,) int ndarray
        Per image, the rows of its candidates (proposals, then ground truth) that were sampled, ascending.
    """
    boxes, labels, delta_targets, mask_boxes, mask_labels, masks, all_sampled = [], [], [], [], [], [], []
    for proposals_of_image, target in zip(proposals, targets):
        candidates, _, matches = match_proposals(proposals_of_image, target, config)
        positive, negative = sample(matches >= 0, matches == BACKGROUND, config.box_batch_size_per_image,
                                    config.box_positive_fraction, rng)
        sampled = np.sort(np.concatenate([positive, negative]))
        own = matches[sampled]                                  # row of the object, or BACKGROUND
        is_object = own >= 0
        answer = np.zeros((len(sampled), 4), dtype=candidates.dtype)
        answer[is_object] = ops.encode_boxes(target.boxes[own[is_object]].astype(candidates.dtype),
                                             candidates[sampled[is_object]], config.bbox_reg_weights)
        label = np.zeros(len(sampled), dtype=np.int64)
        label[is_object] = target.labels[own[is_object]]
        boxes.append(candidates[sampled])
        labels.append(label)
        delta_targets.append(answer)
        mask_boxes.append(candidates[sampled[is_object]])
        mask_labels.append(label[is_object])
        masks.append(mask_targets(target.masks, mask_boxes[-1], own[is_object], mask_size, candidates.dtype))
        all_sampled.append(sampled)
    chosen = RoISample(make_rois(boxes), np.concatenate(labels), np.concatenate(delta_targets),
                       make_rois(mask_boxes), np.concatenate(mask_labels), np.concatenate(masks))
    return chosen, all_sampled
