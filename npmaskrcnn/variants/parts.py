"""The parts that variants of the tiny model have in place of the usual ones, forward and backward side by side.

Each is a small class on the shoulders of the stage that it stands in for, and says only what is different: how a
region is read (poolers), what the last layers answer (predictors), what the loss asks (heads), from which maps all of
it is read (necks). Everything else is the stage's own.

Legend: R RoIs, P positive ones, K classes with background, M the mask's side.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops
from ..nn import FORGET
from ..stages.box_head import FastRCNNPredictor
from ..stages.fpn import FeaturePyramidNetwork
from ..stages.mask_head import MaskRCNNPredictor
from ..stages.roi_heads import RoIHeads
from ..stages.roi_pooler import SAMPLING_RATIO, PooledLevel, RoIPooler
from ..stages.rpn import RegionProposalNetwork

# ---- how a region is read ----


class OtherPooler(RoIPooler):
    """`RoIPooler` with another operation in the place of RoIAlign: that of `pool`, and its backward."""

    def forward(self, features, rois, notes):
        """Pool RoIs; notes by level."""
        y = np.empty((len(rois), self.output_size, self.output_size, features[0].shape[3]), features[0].dtype)
        levels = self.levels(rois)
        for level, stride in enumerate(self.strides):
            rows = np.flatnonzero(levels == level)
            y[rows], cache = self.pool(features[level], rois[rows], 1 / stride)
            notes[level] = PooledLevel(rows, cache)
        return y


class MaxPooler(OtherPooler):
    """RoIPool (Girshick 2015): RoI and bins are rounded to whole cells, and the largest value of a bin is taken."""

    def pool(self, features, rois, scale):
        """Return what is pooled from one level, and the cache."""
        return ops.roi_pool_forward(features, rois, self.output_size, scale)

    def backward(self, dy, notes):
        """Return dfeatures, one array per level: each bin's gradient goes to the cell that won it."""
        return [ops.roi_pool_backward(dy[pooled.rows], pooled.cache) for pooled in notes.values()]


class RoundingPooler(OtherPooler):
    """The RoI is rounded to whole cells of its level, and then read by bilinear sampling as RoIAlign does.

    This is what the paper calls RoIWarp (He et al. 2017, section 3 and Table 2c). It is not torchvision's
    ``aligned=False``: there nothing is rounded, and the name says at which point of a cell its value sits.
    """

    def pool(self, features, rois, scale):
        """Return what is pooled from one level, and the cache."""
        image, corners = rois[:, :1], rois[:, 1:]
        cells = np.concatenate([image, np.floor(corners * rois.dtype.type(scale) + rois.dtype.type(0.5))], axis=1)
        return ops.roi_align_forward(features, cells, self.output_size, 1.0, SAMPLING_RATIO)


class HalfPixelPooler(OtherPooler):
    """RoIAlign with a cell's value at the cell's center, as Detectron2 has it (torchvision's ``aligned=True``)."""

    def pool(self, features, rois, scale):
        """Return what is pooled from one level, and the cache."""
        return ops.roi_align_forward(features, rois, self.output_size, scale, SAMPLING_RATIO, aligned=True)


# ---- what the last layers answer ----


class OneMaskPredictor(MaskRCNNPredictor):
    """One mask a RoI, whatever its class: every channel of the logits (P, M, M, K) is the same."""

    def __init__(self, in_channels, hidden_channels, num_classes, rng=None):
        super().__init__(in_channels, hidden_channels, 1, rng)
        self.num_classes = num_classes

    def forward(self, x, notes):
        """Return the mask logits."""
        return np.repeat(super().forward(x, notes), self.num_classes, axis=3)   # fork: the mask -> all classes

    def backward(self, dmask_logits, notes):
        """Return dx."""
        return super().backward(dmask_logits.sum(axis=3, keepdims=True), notes)     # join the mask: all classes


class OneBoxPredictor(FastRCNNPredictor):
    """One refined box a RoI, whatever its class: the deltas (R, K, 4) of all classes are the same."""

    def __init__(self, in_channels, num_classes, rng=None):
        super().__init__(in_channels, num_classes, rng)
        self.bbox_pred = nn.Linear(in_channels, 4, rng=rng)

    def forward(self, x, notes):
        """Return ``(class_logits, box_deltas)``."""
        class_logits = self.cls_score.forward(x, notes.of("cls_score"))         # fork: x -> cls_score, bbox_pred
        box_deltas = self.bbox_pred.forward(x, notes.of("bbox_pred"))
        box_deltas = np.repeat(box_deltas[:, None], class_logits.shape[1], axis=1)      # fork: deltas -> all classes
        return class_logits, box_deltas

    def backward(self, dclass_logits, dbox_deltas, notes):
        """Return dx."""
        dx = self.bbox_pred.backward(dbox_deltas.sum(axis=1), notes["bbox_pred"])           # join deltas: all classes
        dx += self.cls_score.backward(dclass_logits, notes["cls_score"])        # join x: both predictions
        return dx


class MLPMaskPredictor(nn.Module):
    """A linear layer that answers for every pixel and class at once: (P, C) -> logits (P, M, M, K)."""

    def __init__(self, in_channels, mask_size, num_classes, rng=None):
        self.mask_fc_logits = nn.Linear(in_channels, mask_size * mask_size * num_classes, rng=rng)
        self.shape = mask_size, mask_size, num_classes

    def forward(self, x, notes):
        """Return the mask logits."""
        return self.mask_fc_logits.forward(x, notes.of("mask_fc_logits")).reshape(len(x), *self.shape)

    def backward(self, dmask_logits, notes):
        """Return dx."""
        num_logits = self.mask_fc_logits.bias.data.size
        return self.mask_fc_logits.backward(dmask_logits.reshape(-1, num_logits), notes["mask_fc_logits"])


# ---- what the losses ask ----


class SoftmaxMaskLossCache(NamedTuple):
    mask_logits: np.ndarray     # (P, M, M, K)
    shares: np.ndarray          # (P, M, M, K) of a pixel: the target in its class, the rest in the background


def softmax_mask_loss_forward(mask_logits, labels, targets):
    """Compute the mask loss of classes that compete: mean softmax cross-entropy over (RoI, pixel).

    Parameters
    ----------
    mask_logits : (P, M, M, K) ndarray
    labels : (P,) int ndarray
    targets : (P, M, M) ndarray
        How much of a pixel is the object's; the rest is channel 0's.

    Returns
    -------
    loss_mask : float
        0 if there is no positive RoI.
    cache : SoftmaxMaskLossCache
    """
    shares = np.zeros_like(mask_logits)
    shares[..., 0] = 1 - targets
    shares[np.arange(len(labels)), :, :, labels] = targets
    shifted = mask_logits - mask_logits.max(axis=3, keepdims=True)      # largest is 0: exp cannot overflow
    log_p = shifted - np.log(np.exp(shifted).sum(axis=3, keepdims=True))
    return -(shares * log_p).sum() / log_p.dtype.type(max(targets.size, 1)), SoftmaxMaskLossCache(mask_logits, shares)


def softmax_mask_loss_backward(dloss, cache):
    """Return dmask_logits: softmax minus shares, of each pixel an equal part."""
    mask_logits, shares = cache
    num_pixels = mask_logits[..., 0].size
    return (_softmax(mask_logits) - shares) * mask_logits.dtype.type(float(dloss) / max(num_pixels, 1))


def log_odds(logits):
    """Turn (..., K) logits of a softmax into those of K sigmoids that say the same probabilities."""
    p = _softmax(logits.astype(np.float64))
    rest = np.stack([np.delete(p, k, axis=-1).sum(axis=-1) for k in range(p.shape[-1])], axis=-1)   # 1 - p, never 0
    tiny = np.finfo(p.dtype).tiny
    return (np.log(np.maximum(p, tiny)) - np.log(np.maximum(rest, tiny))).astype(logits.dtype)


def _softmax(logits):
    return ops.softmax(logits.reshape(-1, logits.shape[-1])).reshape(logits.shape)


class SoftmaxHeads(RoIHeads):
    """Heads whose masks compete: each pixel belongs to one class or to the background (He et al. 2017, Table 2b).

    (The shares of the mask loss in a trace are those of the sigmoids' loss, which does not count here.)
    """

    def segment(self, features, rois, notes):
        """Return ``(pooled, mask_logits)``: at inference those of sigmoids, so that who reads them need not know."""
        pooled, mask_logits = super().segment(features, rois, notes)
        return pooled, log_odds(mask_logits) if notes is FORGET else mask_logits

    def losses(self, features, chosen, notes):
        """Return the three losses, by name."""
        losses = super().losses(features, chosen, notes)
        losses["loss_mask"], notes["softmax_loss"] = softmax_mask_loss_forward(
            notes["mask_logits"], chosen.mask_labels, chosen.mask_targets)
        return losses

    def backward(self, dlosses, notes):
        """Return, for each branch, dfeatures per level; the box branch's is that of heads without masks."""
        dmask_logits = softmax_mask_loss_backward(dlosses["loss_mask"], notes.pop("softmax_loss"))
        dhidden = self.mask_predictor.backward(dmask_logits, notes.pop("mask_predictor"))
        dpooled = self.mask_head.backward(dhidden, notes.pop("mask_head"))
        boxes_alone = RoIHeads(self.box_pooler, self.box_head, self.box_predictor, None, None, None, self.config)
        return [*boxes_alone.backward(dlosses, notes), self.mask_pooler.backward(dpooled, notes.pop("mask_pooler"))]


class HeadsWithoutTruth(RoIHeads):
    """Heads that learn from proposals alone: the objects' own boxes, if they were drawn, leave the sample again."""

    def choose(self, proposals, targets, rng):
        """Return a sample with up to as many RoIs fewer as there are objects."""
        chosen = super().choose(proposals, targets, rng)
        keep = [rows < len(boxes) for rows, boxes in zip(chosen.sampled, proposals)]    # the objects' own come last
        kept, of_objects = np.concatenate(keep), np.concatenate(keep)[chosen.labels > 0]
        return chosen._replace(
            rois=chosen.rois[kept], labels=chosen.labels[kept], delta_targets=chosen.delta_targets[kept],
            mask_rois=chosen.mask_rois[of_objects], mask_labels=chosen.mask_labels[of_objects],
            mask_targets=chosen.mask_targets[of_objects],
            sampled=[rows[stays] for rows, stays in zip(chosen.sampled, keep)])


class StrictRPN(RegionProposalNetwork):
    """An RPN in which an anchor is positive for its IoU alone: of low-quality matches none stays in the sample."""

    def choose(self, anchors, targets, rng):
        """Return a sample with as many positive anchors fewer as were of low quality."""
        chosen = super().choose(anchors, targets, rng)
        images, columns = np.divmod(chosen.rows[:chosen.num_positives], sum(map(len, anchors)))
        best = np.array([chosen.matchings[i].iou[:, column].max() for i, column in zip(images, columns)])
        keep = np.flatnonzero(best >= self.config.rpn_fg_iou_thresh)
        return chosen._replace(rows=np.concatenate([chosen.rows[keep], chosen.rows[chosen.num_positives:]]),
                               num_positives=len(keep), delta_targets=chosen.delta_targets[keep])


# ---- from which maps all of it is read ----


class PyramidWithoutTopDown(FeaturePyramidNetwork):
    """The feature pyramid's own layers, but every level keeps to itself (Lin et al. 2017, Table 1d)."""

    def forward(self, features, notes):
        """Return the five maps; notes by level, 0 for the finest."""
        outputs = []
        for i, x in enumerate(features):
            level = notes.of(i)
            lateral = self.inner_blocks[i].forward(x, level.of("inner"))
            outputs.append(self.layer_blocks[i].forward(lateral, level.of("layer")))
        p6, notes["pool"] = ops.max_pool2d_forward(outputs[-1], 1, 2)
        return outputs + [p6]                                   # fork: P5 -> RPN and heads, P6

    def backward(self, doutputs, notes):
        """Return [dC2, dC3, dC4, dC5]."""
        *douts, dp6 = doutputs
        douts[-1] = douts[-1] + ops.max_pool2d_backward(dp6, notes["pool"])     # join P5: RPN and heads + P6
        dlaterals = [block.backward(dout, notes[i]["layer"])
                     for i, (block, dout) in enumerate(zip(self.layer_blocks, douts))]
        return [block.backward(dlateral, notes[i]["inner"])
                for i, (block, dlateral) in enumerate(zip(self.inner_blocks, dlaterals))]


ONE_LEVEL, ONE_STRIDE = 2, 16       # C4 or P4, counted from C2


class C4Alone(nn.Module):
    """No pyramid: RPN and heads read C4 itself, as before feature pyramids (Ren et al. 2015)."""

    def forward(self, features, notes):
        """Return [C4]."""
        notes["features"] = [x.shape for x in features]
        return [features[ONE_LEVEL]]

    def backward(self, doutputs, notes):
        """Return the gradients by C2..C5: those that nobody has read are zero."""
        dfeatures = [np.zeros(shape, doutputs[0].dtype) for shape in notes["features"]]
        dfeatures[ONE_LEVEL] = doutputs[0].copy()
        return dfeatures


class P4Alone(nn.Module):
    """A pyramid of which RPN and heads read P4 alone: it knows what C5 knows, on C4's cells.

    Parameters
    ----------
    fpn : FeaturePyramidNetwork
        On C4 and C5.
    """

    def __init__(self, fpn):
        self.fpn = fpn

    def forward(self, features, notes):
        """Return [P4]."""
        outputs = self.fpn.forward(features[ONE_LEVEL:], notes.of("fpn"))
        notes["features"], notes["outputs"] = ([x.shape for x in maps] for maps in (features, outputs))
        return outputs[:1]

    def backward(self, doutputs, notes):
        """Return the gradients by C2..C5: those that nobody has read are zero."""
        unread = [np.zeros(shape, doutputs[0].dtype) for shape in notes["outputs"][1:]]
        dfeatures = [np.zeros(shape, doutputs[0].dtype) for shape in notes["features"][:ONE_LEVEL]]
        return dfeatures + self.fpn.backward([doutputs[0], *unread], notes["fpn"])
