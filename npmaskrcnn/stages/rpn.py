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

from typing import NamedTuple

import numpy as np

from .. import nn, ops

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

        self.conv = nn.Sequential(*[nn.Sequential(conv(in_channels, 3), nn.ReLU()) for _ in range(conv_depth)])
        self.cls_logits = conv(num_anchors, 1)
        self.bbox_pred = conv(4 * num_anchors, 1)

    def forward(self, features):
        """Return objectness [(N, h, w, A)], deltas [(N, h, w, A, 4)] per level, and the cache per level."""
        objectness, deltas, caches = [], [], []
        for level in features:
            hidden, conv_cache = self.conv.forward(level)
            logits, cls_cache = self.cls_logits.forward(hidden)         # fork: hidden -> cls_logits, bbox_pred
            level_deltas, bbox_cache = self.bbox_pred.forward(hidden)
            objectness.append(logits)
            deltas.append(level_deltas.reshape(logits.shape + (4,)))
            caches.append({"conv": conv_cache, "cls_logits": cls_cache, "bbox_pred": bbox_cache})
        return objectness, deltas, caches

    def backward(self, dobjectness, ddeltas, caches):
        """Return dfeatures, one array per level."""
        dfeatures = []
        for dlogits, dlevel_deltas, cache in zip(dobjectness, ddeltas, caches):
            dhidden = self.bbox_pred.backward(dlevel_deltas.reshape(dlevel_deltas.shape[:3] + (-1,)), cache["bbox_pred"])
            dhidden += self.cls_logits.backward(dlogits, cache["cls_logits"])   # join hidden: both predictions
            dfeatures.append(self.conv.backward(dhidden, cache["conv"]))
        return dfeatures

    def __call__(self, features):
        objectness, deltas = [], []
        for level in features:
            hidden = self.conv(level)
            objectness.append(self.cls_logits(hidden))
            deltas.append(self.bbox_pred(hidden).reshape(objectness[-1].shape + (4,)))
        return objectness, deltas


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
    chosen_deltas = np.concatenate([values[c] for values, c in zip(deltas, chosen)])
    chosen_anchors = np.concatenate([values[c] for values, c in zip(anchors, chosen)])
    boxes = ops.decode_boxes(chosen_deltas, chosen_anchors)                                         # 2
    scores = ops.sigmoid(np.concatenate([logits[c] for logits, c in zip(objectness, chosen)]))
    boxes = ops.clip_boxes_to_image(boxes, image_size)                                              # 3
    keep = ops.remove_small_boxes(boxes, MIN_PROPOSAL_SIZE)                                         # 4
    keep = keep[scores[keep] >= score_thresh]
    keep = keep[ops.batched_nms_best(boxes[keep], scores[keep], levels[keep], nms_thresh,           # 5
                                     post_nms_top_n)]                                               # 6
    return Proposals(boxes[keep], scores[keep], keep, top_k, boxes, scores, levels)


def flatten_levels(maps):
    """Join per-level (N, h, w, A, ...) maps into one (N, K, ...) array, in the order of the anchors."""
    return np.concatenate([m.reshape((m.shape[0], -1) + m.shape[4:]) for m in maps], axis=1)


class RPNSample(NamedTuple):
    """The anchors on which the RPN learns; rows of the flattened (N * K) anchors of the batch."""

    rows: np.ndarray            # (S,) positives of all images, then negatives of all images
    num_positives: int          # how many of `rows`, from the front
    delta_targets: np.ndarray   # (num_positives, 4)


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
    cache
    """
    logits = flatten_levels(objectness).reshape(-1)[chosen.rows]
    pred_deltas = flatten_levels(deltas).reshape(-1, 4)[chosen.rows[:chosen.num_positives]]
    is_object = np.zeros_like(logits)
    is_object[:chosen.num_positives] = 1
    loss_objectness, bce_cache = ops.binary_cross_entropy_with_logits_forward(logits, is_object)
    total, l1_cache = ops.smooth_l1_forward(pred_deltas, chosen.delta_targets.astype(pred_deltas.dtype),
                                            SMOOTH_L1_BETA)
    num_sampled = max(len(chosen.rows), 1)
    cache = (bce_cache, l1_cache, num_sampled, [m.shape for m in objectness], chosen, logits.dtype)
    return loss_objectness, total / num_sampled, cache


def rpn_losses_backward(dloss_objectness, dloss_rpn_box_reg, cache):
    """Return dobjectness and ddeltas per level: zero but at the sampled anchors."""
    bce_cache, l1_cache, num_sampled, shapes, chosen, dtype = cache
    num_images = shapes[0][0]
    num_anchors = sum(h * w * a for _, h, w, a in shapes)
    dlogits = np.zeros(num_images * num_anchors, dtype=dtype)
    dlogits[chosen.rows] = ops.binary_cross_entropy_with_logits_backward(dloss_objectness, bce_cache)
    dall_deltas = np.zeros((num_images * num_anchors, 4), dtype=dtype)
    dall_deltas[chosen.rows[:chosen.num_positives]] = ops.smooth_l1_backward(dloss_rpn_box_reg / num_sampled, l1_cache)
    ends = np.cumsum([h * w * a for _, h, w, a in shapes])[:-1]
    dobjectness = np.split(dlogits.reshape(num_images, num_anchors), ends, axis=1)
    ddeltas = np.split(dall_deltas.reshape(num_images, num_anchors, 4), ends, axis=1)
    return ([d.reshape(shape) for d, shape in zip(dobjectness, shapes)],
            [d.reshape(shape + (4,)) for d, shape in zip(ddeltas, shapes)])
