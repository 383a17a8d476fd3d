"""Stage 5, the region proposal network: which anchors cover an object, and how to move them.

A small convolutional head slides over every pyramid level and says two things about each anchor of each
cell: a logit (is there an object?) and four numbers (how to move and stretch the anchor onto it). The
best-scored anchors are moved, clipped to the image, and thinned out by non-maximum suppression; what is
left, a thousand boxes instead of a quarter of a million, are the proposals that the next stages look at.

No gradient flows through the proposals: choosing is not differentiable, and torchvision, like the paper's
"approximate joint training", treats their coordinates as constants. The head learns from its own two
losses, on a sample of anchors; unlike in the paper, anchors that reach over the image's border take part.
Source: Ren et al. 2015, sections 3.1 and 3.2.

Legend: N images, A anchors per cell, L levels, K_l = h_l * w_l * A anchors on level l.
"""

import math
from typing import NamedTuple

import numpy as np

from .. import nn, ops
from .matching import BACKGROUND, match_boxes, sample

SMOOTH_L1_BETA = 1 / 9
MIN_PROPOSAL_SIZE = 1e-3    # pixels


class RPNHead(nn.Module):
    """3x3 convolution(s) with ReLU, then two 1x1 convolutions; the same weights on every level.

    Parameters
    ----------
    in_channels : int
    num_anchors : int
        Per cell.
    conv_depth : int
        3x3 convolutions (1; 2 in v2).
    rng : np.random.Generator or None
    """

    def __init__(self, in_channels, num_anchors, conv_depth=1, rng=None):
        def conv(out_channels, kernel_size):
            return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2,
                             init=nn.init.normal(0.01), rng=rng)

        self.conv = nn.Sequential(*[nn.ConvNormReLU(conv(in_channels, 3)) for _ in range(conv_depth)])
        self.cls_logits = conv(num_anchors, 1)
        self.bbox_pred = conv(4 * num_anchors, 1)

    def forward(self, features, notes):
        """Return objectness [(N, h, w, A)] and deltas [(N, h, w, A, 4)], per level; notes by level first."""
        objectness, deltas = [], []
        for i, level in enumerate(features):
            level_notes = notes.of(i)
            hidden = self.conv.forward(level, level_notes.of("conv"))   # fork: hidden -> cls_logits, bbox_pred
            objectness.append(self.cls_logits.forward(hidden, level_notes.of("cls_logits")))
            moves = self.bbox_pred.forward(hidden, level_notes.of("bbox_pred"))
            deltas.append(moves.reshape(objectness[-1].shape + (4,)))
        return objectness, deltas

    def backward(self, dobjectness, ddeltas, notes):
        """Return dfeatures, one array per level."""
        dfeatures = []
        for i, (dlogits, dmoves) in enumerate(zip(dobjectness, ddeltas)):
            dhidden = self.bbox_pred.backward(dmoves.reshape(dmoves.shape[:3] + (-1,)), notes[i]["bbox_pred"])
            dhidden += self.cls_logits.backward(dlogits, notes[i]["cls_logits"])    # join hidden: both predictions
            dfeatures.append(self.conv.backward(dhidden, notes[i]["conv"]))
        return dfeatures


class Proposals(NamedTuple):
    """What the RPN proposes for one image, and where each proposal comes from."""

    boxes: np.ndarray           # (R, 4) best first
    scores: np.ndarray          # (R,) probabilities
    rows: np.ndarray            # (R,) rows of the top-k arrays
    top_k: np.ndarray           # (T,) flat anchor indices, level by level, best first inside a level
    top_k_boxes: np.ndarray     # (T, 4) moved and clipped anchors
    top_k_scores: np.ndarray    # (T,)
    top_k_levels: np.ndarray    # (T,)


def top_k_indices(scores, k):
    """Return the indices of the k largest scores, largest first, ties in input order."""
    if 0 < k < len(scores):
        # Sorting a quarter of a million logits to keep a thousand is waste: find the k-th largest first.
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")[:k]]


def propose(objectness, deltas, anchors, image_size, pre_nms_top_n, post_nms_top_n, nms_thresh, score_thresh):
    """Turn the head's output for one image into proposals.

    1. Per level, keep the `pre_nms_top_n` anchors with the highest logits.
    2. Move them by their deltas; 3. clip to the image; 4. drop boxes thinner than 1e-3 px or scored below
    `score_thresh`; 5. non-maximum suppression, level by level; 6. keep the `post_nms_top_n` best of all.

    Parameters
    ----------
    objectness : list of (K_l,) ndarray
        Logits per level.
    deltas : list of (K_l, 4) ndarray
    anchors : list of (K_l, 4) ndarray
    image_size : (h, w)
        Resized, unpadded.
    pre_nms_top_n : int
        Per level.
    post_nms_top_n : int
        Over all levels together.
    nms_thresh, score_thresh : float

    Returns
    -------
    Proposals
    """
    chosen = [top_k_indices(logits, pre_nms_top_n) for logits in objectness]                        # 1
    first = np.cumsum([0] + [len(logits) for logits in objectness[:-1]])
    top_k = np.concatenate([c + start for c, start in zip(chosen, first)])
    levels = np.repeat(np.arange(len(chosen)), [len(c) for c in chosen])
    boxes = ops.decode_boxes(np.concatenate(deltas)[top_k], np.concatenate(anchors)[top_k])         # 2
    scores = ops.sigmoid(np.concatenate(objectness)[top_k])
    boxes = ops.clip_boxes_to_image(boxes, image_size)                                              # 3
    keep = ops.remove_small_boxes(boxes, MIN_PROPOSAL_SIZE)                                         # 4
    keep = keep[scores[keep] >= score_thresh]
    keep = keep[ops.batched_nms_best(boxes[keep], scores[keep], levels[keep], nms_thresh,           # 5
                                     post_nms_top_n)]                                               # 6
    return Proposals(boxes[keep], scores[keep], keep, top_k, boxes, scores, levels)


def flatten_levels(maps):
    """Join per-level (N, h, w, A, ...) maps into one (N, K, ...) array, in the order of the anchors."""
    return np.concatenate([m.reshape((m.shape[0], -1) + m.shape[4:]) for m in maps], axis=1)


def unflatten_levels(flat, shapes):
    """Cut an (N, K, ...) array into maps of these (N, h, w, A, ...) shapes: the inverse of `flatten_levels`."""
    ends = np.cumsum([math.prod(shape[1:4]) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends, axis=1), shapes)]


class RPNSample(NamedTuple):
    """The anchors on which the RPN learns: rows of the batch's flattened (N * K) anchors, in torchvision's order."""

    rows: np.ndarray            # (S,) positives of all images, then negatives of all images
    num_positives: int          # how many of `rows`, from the front
    delta_targets: np.ndarray   # (num_positives, 4)
    matchings: list = ()        # N Matching of all K anchors: what was drawn from


class RPNLossesCache(NamedTuple):
    rows: np.ndarray            # (S,) of the sample, positives first
    logits: np.ndarray          # (S,)
    is_object: np.ndarray       # (S,) 1 or 0
    deltas: np.ndarray          # (num_positives, 4) as predicted
    delta_targets: np.ndarray   # (num_positives, 4)
    of_operations: tuple        # caches of the cross-entropy and of smooth L1
    shapes: list                # of the objectness maps


def rpn_losses_forward(objectness, deltas, chosen):
    """Compute the RPN's two losses on the sampled anchors.

    Parameters
    ----------
    objectness : list of (N, h, w, A) ndarray
    deltas : list of (N, h, w, A, 4) ndarray
    chosen : RPNSample

    Returns
    -------
    loss_objectness : float
        Mean binary cross-entropy over the S sampled anchors.
    loss_rpn_box_reg : float
        Smooth L1 (beta 1/9), summed over the positives, divided by S (positives and negatives).
    cache : RPNLossesCache
    """
    logits = flatten_levels(objectness).reshape(-1)[chosen.rows]
    deltas = flatten_levels(deltas).reshape(-1, 4)[chosen.rows[:chosen.num_positives]]
    delta_targets = chosen.delta_targets.astype(deltas.dtype)
    is_object = np.zeros_like(logits)
    is_object[:chosen.num_positives] = 1
    loss_objectness, bce_cache = ops.binary_cross_entropy_with_logits_forward(logits, is_object)
    total, l1_cache = ops.smooth_l1_forward(deltas, delta_targets, SMOOTH_L1_BETA)
    cache = RPNLossesCache(chosen.rows, logits, is_object, deltas, delta_targets, (bce_cache, l1_cache),
                           [level.shape for level in objectness])
    return loss_objectness, total / max(len(logits), 1), cache


def rpn_losses_backward(dloss_objectness, dloss_rpn_box_reg, cache):
    """Return dobjectness and ddeltas per level: zero but at the sampled anchors."""
    rows, shapes, (bce_cache, l1_cache) = cache.rows, cache.shapes, cache.of_operations
    num_images, num_anchors = shapes[0][0], sum(h * w * a for _, h, w, a in shapes)
    dobjectness = np.zeros(num_images * num_anchors, cache.logits.dtype)
    dobjectness[rows] = ops.binary_cross_entropy_with_logits_backward(dloss_objectness, bce_cache)
    ddeltas = np.zeros((num_images * num_anchors, 4), cache.deltas.dtype)
    positives = rows[:len(cache.deltas)]
    ddeltas[positives] = ops.smooth_l1_backward(dloss_rpn_box_reg / max(len(rows), 1), l1_cache)
    return (unflatten_levels(dobjectness.reshape(num_images, num_anchors), shapes),
            unflatten_levels(ddeltas.reshape(num_images, num_anchors, 4), [shape + (4,) for shape in shapes]))


def rpn_loss_shares(cache):
    """Each anchor's share: (S,) of loss_objectness, (num_positives,) of loss_rpn_box_reg; they add up to the losses."""
    num_sampled = max(len(cache.logits), 1)
    of_deltas = ops.smooth_l1_per_element(cache.deltas, cache.delta_targets, SMOOTH_L1_BETA).sum(axis=1)
    return (ops.binary_cross_entropy_with_logits_per_element(cache.logits, cache.is_object) / num_sampled,
            of_deltas / num_sampled)


class RegionProposalNetwork(nn.Module):
    """The whole stage: head and anchors; what is proposed, what is learned from, and both losses.

    Parameters
    ----------
    head : RPNHead
    anchor_generator : AnchorGenerator
    config : Config
    """

    def __init__(self, head, anchor_generator, config):
        self.head, self.anchor_generator, self.config = head, anchor_generator, config

    def forward(self, features, notes):
        """Return objectness and deltas of every anchor, per level."""
        return self.head.forward(features, notes.of("head"))

    def propose(self, objectness, deltas, anchors, image_sizes, training=False):
        """Return `Proposals` for each image of the batch; in training there are more of them."""
        config = self.config
        pre_nms_top_n = config.rpn_pre_nms_top_n_train if training else config.rpn_pre_nms_top_n_test
        post_nms_top_n = config.rpn_post_nms_top_n_train if training else config.rpn_post_nms_top_n_test
        return [propose([level[i].reshape(-1) for level in objectness], [level[i].reshape(-1, 4) for level in deltas],
                        anchors, size, pre_nms_top_n, post_nms_top_n, config.rpn_nms_thresh, config.rpn_score_thresh)
                for i, size in enumerate(image_sizes)]

    def choose(self, anchors, targets, rng):
        """Match the anchors of every image with its objects, and sample those that the losses look at.

        Parameters
        ----------
        anchors : list of (K_l, 4) ndarray
            The same for every image.
        targets : list of InputTarget
        rng : np.random.Generator

        Returns
        -------
        RPNSample
        """
        config, anchors = self.config, np.concatenate(anchors)
        positives, negatives, delta_targets, matchings = [], [], [], []
        for i, target in enumerate(targets):
            matching = match_boxes(target.boxes, anchors, config.rpn_fg_iou_thresh, config.rpn_bg_iou_thresh,
                                   allow_low_quality_matches=True)
            matches = matching.matches
            positive, negative = sample(matches >= 0, matches == BACKGROUND, config.rpn_batch_size_per_image,
                                        config.rpn_positive_fraction, rng)
            positives.append(positive + i * len(anchors))
            negatives.append(negative + i * len(anchors))
            delta_targets.append(ops.encode_boxes(target.boxes[matches[positive]], anchors[positive]))
            matchings.append(matching)
        rows = np.concatenate(positives + negatives)
        return RPNSample(rows, sum(map(len, positives)), np.concatenate(delta_targets), matchings)

    def losses(self, objectness, deltas, chosen, notes):
        """Return the two losses of a sample, by name."""
        loss_objectness, loss_rpn_box_reg, notes["losses"] = rpn_losses_forward(objectness, deltas, chosen)
        return {"loss_objectness": loss_objectness, "loss_rpn_box_reg": loss_rpn_box_reg}

    def backward(self, dlosses, notes):
        """Return dfeatures per level: `losses`, then `forward`, read upward."""
        dobjectness, ddeltas = rpn_losses_backward(dlosses["loss_objectness"], dlosses["loss_rpn_box_reg"],
                                                   notes["losses"])
        return self.head.backward(dobjectness, ddeltas, notes["head"])
