"""Masks without regions: a few prototypes for the image, and for each object a recipe of how to mix them.

Mask R-CNN cuts a patch out of the pyramid for each object and draws a mask in it. Here nothing is cut out. One small
branch draws k maps of the whole image, the prototypes, once; and each anchor predicts, beside class and box, k numbers,
its coefficients. An object's mask is the sum of the prototypes, each times its coefficient (which may be negative: a
map can be taken away), through a sigmoid, and cropped to the object's box. All masks of an image are thus one product
of matrices (in the loss; an answer's are mixed one at a time, to save memory). Nobody tells the prototypes what to be;
learning finds maps that serve all objects. In the paper (Fig. 5) some tell left from right, and some trace edges.

Two objects of one kind are told apart by their coefficients, if there are such maps, and by the crop, as far as their
boxes keep apart; which does more was not measured here. Source: Bolya et al. 2019 (YOLACT), 3.1
and 3.2. Legend: N images, (h, w) the size of the prototypes, k their number, Q objects whose masks are wanted.
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops


class PrototypeBranch(nn.Module):
    """3x3 convolutions on P2, at twice its size from the second on; 1x1 to k prototypes, ReLU: (N, h, w, k).

    Parameters
    ----------
    in_channels, hidden_channels, num_prototypes : int
    norm : callable
    rng : np.random.Generator or None
    """

    def __init__(self, in_channels, hidden_channels, num_prototypes, norm=nn.BatchNorm2d, rng=None):
        def conv(inputs):
            layer = nn.Conv2d(inputs, hidden_channels, 3, padding=1, bias=False, rng=rng)
            return nn.ConvNormReLU(layer, norm(hidden_channels))

        self.before, self.after = conv(in_channels), conv(hidden_channels)
        self.prototype_logits = nn.Conv2d(hidden_channels, num_prototypes, 1, rng=rng)

    def forward(self, x, notes):
        """Return the prototypes."""
        x = self.before.forward(x, notes.of("before"))
        x, notes["enlarge"] = ops.resize_bilinear_forward(x, (2 * x.shape[1], 2 * x.shape[2]))
        x = self.after.forward(x, notes.of("after"))
        return nn.relu(self.prototype_logits.forward(x, notes.of("prototype_logits")), notes)

    def backward(self, dprototypes, notes):
        """Return dx."""
        dx = self.prototype_logits.backward(ops.relu_backward(dprototypes, notes["relu"]), notes["prototype_logits"])
        dx = ops.resize_bilinear_backward(self.after.backward(dx, notes["after"]), notes["enlarge"])
        return self.before.backward(dx, notes["before"])


def assemble(prototypes, coefficients):
    """Mix masks: (h, w, k) prototypes of one image, (Q, k) coefficients -> logits (Q, h, w)."""
    height, width, k = prototypes.shape
    return (coefficients @ prototypes.reshape(-1, k).T).reshape(-1, height, width)


def inside_boxes(boxes, size):
    """Tell which pixels have their center in each box: the crop.

    Parameters
    ----------
    boxes : (Q, (x1, y1, x2, y2)) ndarray
    size : (height, width)

    Returns
    -------
    inside : (Q, height, width) bool ndarray

    Examples
    --------
    >>> inside_boxes(np.array([[0.6, 0.0, 2.5, 1.0]]), (2, 4)).astype(int)
    array([[[0, 1, 0, 0],
            [0, 0, 0, 0]]])
    """
    x1, y1, x2, y2 = boxes.T[:, :, None]                                # (Q, 1) each
    y, x = (np.arange(side) + 0.5 for side in size)
    return ((y >= y1) & (y < y2))[:, :, None] & ((x >= x1) & (x < x2))[:, None, :]


def shrink_masks(masks, padded_size, size):
    """Bring (G, h', w') bool masks to the prototypes' size: how much of each cell is covered, (G, h, w) float64."""
    (height, width), (rows, columns) = padded_size, size
    canvas = np.zeros((len(masks), height, width))
    canvas[:, :masks.shape[1], :masks.shape[2]] = masks
    return canvas.reshape(len(masks), rows, height // rows, columns, width // columns).mean(axis=(2, 4))


class MaskSample(NamedTuple):
    """The objects on whose masks a step learns; constants for the backward pass."""

    rows: np.ndarray        # (Q,) of the batch's anchors
    images: np.ndarray      # (Q,)
    targets: np.ndarray     # (Q, h, w) in 0..1
    weights: np.ndarray     # (Q, h, w) of a cell in the loss: equal in an object's crop, 0 outside; all add up to 1


def mask_sample(rows, images, boxes, targets, stride, dtype):
    """Make a `MaskSample`; the crop is the object's box and one cell around it, so that its edge is learned.

    `boxes` are those of the objects, (Q, 4), in input pixels; `stride` (y, x) in these of a prototype's cell.
    """
    stride_y, stride_x = stride
    cells = boxes / np.array([stride_x, stride_y, stride_x, stride_y]) + np.array([-1, -1, 1, 1])
    inside = inside_boxes(cells, targets.shape[1:])
    weights = inside / np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1) / max(len(rows), 1)
    return MaskSample(rows, images, targets.astype(dtype), weights.astype(dtype))


class MaskLossCache(NamedTuple):
    prototypes: np.ndarray      # (N, h, w, k)
    coefficients: np.ndarray    # (Q, k)
    logits: np.ndarray          # (Q, h, w)
    chosen: MaskSample


def mask_loss_forward(prototypes, coefficients, chosen):
    """Compute the mask loss: binary cross-entropy, averaged over each object's crop, then over the objects.

    Parameters
    ----------
    prototypes : (N, h, w, k) ndarray
    coefficients : (Q, k) ndarray
    chosen : MaskSample

    Returns
    -------
    loss_mask : float
        0 if there is no object.
    cache : MaskLossCache
    """
    logits = np.empty_like(chosen.targets)
    for i, of_image in enumerate(prototypes):
        logits[chosen.images == i] = assemble(of_image, coefficients[chosen.images == i])
    losses = ops.binary_cross_entropy_with_logits_per_element(logits, chosen.targets)
    return (losses * chosen.weights).sum(), MaskLossCache(prototypes, coefficients, logits, chosen)


def mask_loss_backward(dloss, cache):
    """Return dprototypes and dcoefficients: of a product, each factor's gradient has the other factor in it."""
    dlogits = (ops.sigmoid(cache.logits) - cache.chosen.targets) * cache.chosen.weights * cache.logits.dtype.type(dloss)
    dprototypes, dcoefficients = np.zeros_like(cache.prototypes), np.zeros_like(cache.coefficients)
    k = cache.prototypes.shape[3]
    for i, of_image in enumerate(cache.prototypes):
        own = cache.chosen.images == i
        dmasks = dlogits[own].reshape(own.sum(), of_image.size // k)                        # (Q_i, h * w)
        dcoefficients[own] = dmasks @ of_image.reshape(-1, k)
        dprototypes[i] = (dmasks.T @ cache.coefficients[own]).reshape(of_image.shape)
    return dprototypes, dcoefficients
