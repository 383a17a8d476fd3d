"""Stage 8, the mask head: the object's outline inside its box, one small mask per class.

A 14x14 patch of each RoI goes through four 3x3 convolutions, is doubled to 28x28 by a transposed
convolution, and a 1x1 convolution predicts one mask *for every class*, each pixel through its own sigmoid.
The classes do not compete: the box head has already said which class it is, and only that class's mask is
trained and used. That decoupling is the paper's point against a softmax across classes.

Source: He et al. 2017, section 3 and Fig. 4. Legend: P RoIs (positive ones in training, detections at
inference), M = 28 the mask's side, K classes.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops


def mask_head(in_channels, layers, norm=None, rng=None):
    """Build the stack of 3x3 convolutions (with `norm` and no bias in v2), each with ReLU.

    `layers` are their output channels: four times 256 in the paper, six times 32 in the tiny model.
    """
    blocks = []
    for out_channels in layers:
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=norm is None, rng=rng)
        blocks.append(nn.ConvNormReLU(conv, None if norm is None else norm(out_channels)))
        in_channels = out_channels
    return nn.Sequential(*blocks)


class MaskRCNNPredictor(nn.Module):
    """Transposed convolution 2x2/2, ReLU, 1x1 convolution: (P, 14, 14, C) -> logits (P, 28, 28, K)."""

    def __init__(self, in_channels, hidden_channels, num_classes, rng=None):
        # torch computes this layer's fan_out from the first axis of its (in, out, 2, 2) weight.
        fan_out = in_channels * 4
        self.conv5_mask = nn.ConvTranspose2d(
            in_channels, hidden_channels, 2, 2, init=nn.init.normal((2.0 / fan_out) ** 0.5),
            bias_init=nn.init.uniform((hidden_channels * 4) ** -0.5), rng=rng)
        self.mask_fcn_logits = nn.Conv2d(hidden_channels, num_classes, 1,
                                         bias_init=nn.init.uniform(hidden_channels ** -0.5), rng=rng)

    def forward(self, x, notes):
        """Return the mask logits."""
        x = nn.relu(self.conv5_mask.forward(x, notes.of("conv5_mask")), notes)
        return self.mask_fcn_logits.forward(x, notes.of("mask_fcn_logits"))

    def backward(self, dmask_logits, notes):
        """Return dx, (P, 14, 14, C)."""
        dx = self.mask_fcn_logits.backward(dmask_logits, notes["mask_fcn_logits"])
        dx = ops.relu_backward(dx, notes["relu"])
        return self.conv5_mask.backward(dx, notes["conv5_mask"])


def mask_targets(masks, boxes, matches, mask_size, dtype):
    """Cut each RoI's piece out of its object's mask and bring it to M x M.

    The cut is a RoIAlign of the mask as if it were a feature map, with at least as many sample points as the RoI has
    pixels; targets are therefore fractions in [0, 1], not thresholded (torchvision `project_masks_on_boxes`).

    Parameters
    ----------
    masks : (G, h, w) bool ndarray
        Of the objects, in the input frame.
    boxes : (P, 4) ndarray
        The RoIs.
    matches : (P,) int ndarray
        Row of `masks` for each RoI.
    mask_size : int
    dtype : numpy dtype

    Returns
    -------
    targets : (P, M, M) ndarray
    """
    if len(boxes) * mask_size == 0:
        return np.zeros((len(boxes), mask_size, mask_size), dtype=dtype)
    rois = np.concatenate([matches[:, None].astype(boxes.dtype), boxes], axis=1)
    return ops.roi_align(masks[..., None].astype(dtype), rois, mask_size)[..., 0]


class MaskLossCache(NamedTuple):
    logits: np.ndarray      # (P, M, M) of the true class
    targets: np.ndarray     # (P, M, M)
    labels: np.ndarray      # (P,)
    num_classes: int
    of_operation: tuple     # cache of the cross-entropy


def mask_loss_forward(mask_logits, labels, targets):
    """Compute the mask loss: mean binary cross-entropy over (RoI, pixel), on the true class's mask only.

    Parameters
    ----------
    mask_logits : (P, M, M, K) ndarray
    labels : (P,) int ndarray
    targets : (P, M, M) ndarray

    Returns
    -------
    loss_mask : float
        0 if there is no positive RoI.
    cache : MaskLossCache
    """
    # RoI i, channel labels[i]; index arrays that slices separate put their common axis first: (P, M, M)
    logits = mask_logits[np.arange(len(labels)), :, :, labels]
    loss, bce_cache = ops.binary_cross_entropy_with_logits_forward(logits, targets)
    return loss, MaskLossCache(logits, targets, labels, mask_logits.shape[3], bce_cache)


def mask_loss_backward(dloss, cache):
    """Return dmask_logits: zero in every channel but the true class's."""
    dmask_logits = np.zeros(cache.logits.shape + (cache.num_classes,), cache.logits.dtype)
    dlogits = ops.binary_cross_entropy_with_logits_backward(dloss, cache.of_operation)
    dmask_logits[np.arange(len(cache.labels)), :, :, cache.labels] = dlogits
    return dmask_logits


def mask_loss_shares(cache):
    """Each RoI's share (P,) of loss_mask; they add up to it."""
    losses = ops.binary_cross_entropy_with_logits_per_element(cache.logits, cache.targets)
    return losses.sum(axis=(1, 2)) / max(losses.size, 1)


def select_masks(mask_logits, labels):
    """Return the (P, M, M) probabilities of each RoI's own class."""
    return ops.sigmoid(mask_logits[np.arange(len(labels)), :, :, labels])
