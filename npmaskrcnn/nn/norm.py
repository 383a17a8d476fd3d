"""Normalization layers: batch norm that learns its statistics, and batch norm that has been frozen.

Batch norm shifts and scales each channel to mean 0 and variance 1 over the batch, then lets the net
choose a new scale (`weight`) and shift (`bias`). In training it uses the statistics of the batch in front
of it and keeps a running average of them; at inference it uses that average, so that an image's result
does not depend on its neighbors. Frozen batch norm always uses the stored average and trains nothing:
detectors fine-tuned on two images at a time use it, because two images are too few for statistics.
"""

import numpy as np

from .. import ops
from .module import Buffer, Module, Parameter


class BatchNorm2d(Module):
    """Batch norm over (N, H, W) of each channel (Ioffe & Szegedy 2015).

    Parameters
    ----------
    num_features : int
    eps : float
        Added to the variance.
    momentum : float
        Share of the new batch in the running statistics.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        self.weight = Parameter(np.ones(num_features, dtype=np.float32))
        self.bias = Parameter(np.zeros(num_features, dtype=np.float32))
        self.running_mean = Buffer(np.zeros(num_features, dtype=np.float32))
        self.running_var = Buffer(np.ones(num_features, dtype=np.float32))
        self.num_batches_tracked = Buffer(np.zeros((), dtype=np.int64))  # for torch's files: counted, never read
        self.eps, self.momentum = eps, momentum

    def forward(self, x, notes):
        """Normalize with the batch's own statistics and move the running ones, or with the running ones alone."""
        if not notes.batch_statistics:
            y, notes["cache"] = ops.stored_batch_norm_forward(
                x, self.weight.data, self.bias.data, self.running_mean.data, self.running_var.data, self.eps)
            return y
        y, cache = ops.batch_norm_forward(x, self.weight.data, self.bias.data, self.eps)
        notes["cache"] = cache
        if x.size:
            self._track(self.running_mean, cache.mean)
            # The running variance is the unbiased one (divided by count - 1), as in torch.
            self._track(self.running_var, cache.unbiased_var)
            self.num_batches_tracked.data = self.num_batches_tracked.data + 1
        return y

    def _track(self, buffer, batch_value):
        moved = (1.0 - self.momentum) * buffer.data + self.momentum * batch_value
        buffer.data = moved.astype(buffer.data.dtype)

    def backward(self, dy, notes):
        """Return dx, add to the gradients of weight and bias."""
        backward = ops.batch_norm_backward if notes.batch_statistics else ops.stored_batch_norm_backward
        dx, dweight, dbias = backward(dy, notes["cache"])
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx

    def fold_into(self, weight, bias):
        """Return weight and bias of the convolution that does what a convolution and this norm do, at inference.

        With running statistics the norm is ``y * scale + shift``, one number each a channel.
        """
        scale = self.weight.data * (self.running_var.data + self.eps) ** -0.5
        shift = self.bias.data - self.running_mean.data * scale
        return weight * scale, shift if bias is None else bias * scale + shift


class FrozenBatchNorm2d(Module):
    """Batch norm with fixed statistics, scale and shift: four buffers, no parameters."""

    def __init__(self, num_features, eps=1e-5):
        self.weight = Buffer(np.ones(num_features, dtype=np.float32))
        self.bias = Buffer(np.zeros(num_features, dtype=np.float32))
        self.running_mean = Buffer(np.zeros(num_features, dtype=np.float32))
        self.running_var = Buffer(np.ones(num_features, dtype=np.float32))
        self.eps = eps

    def forward(self, x, notes):
        """Scale and shift each channel."""
        y, notes["cache"] = ops.frozen_batch_norm_forward(
            x, self.weight.data, self.bias.data, self.running_mean.data, self.running_var.data, self.eps)
        return y

    def backward(self, dy, notes):
        """Return dy scaled; there is nothing to train."""
        return ops.frozen_batch_norm_backward(dy, notes["cache"])

    fold_into = BatchNorm2d.fold_into
