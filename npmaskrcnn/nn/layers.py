"""Layers: thin owners of parameters around the operations of `npmaskrcnn.ops`.

All mathematics is in `ops`. A layer only remembers its weights and its geometry (stride, padding), hands
them to the operation, and files the gradients that come back. It also knows how its arrays look on disk:
torchvision stores convolution weights as (out, in, height, width) and linear weights as (out, in), where
we compute with (height, width, in, out) and (in, out).
"""

import numpy as np

from .. import ops
from . import init as rules
from .module import Module, Parameter


class Conv2d(Module):
    """Convolution over (N, H, W, C_in), weight ``(kh, kw, C_in / groups, C_out)``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int
    stride, padding : int
    groups : int
        Channels are split into that many independent convolutions (ResNeXt).
    bias : bool
    init, bias_init : callable
        Rules from `npmaskrcnn.nn.init`.
    rng : np.random.Generator or None
        None leaves zeros, for weights that will be loaded.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1, bias=True,
                 init=rules.kaiming_normal_fan_out, bias_init=rules.zeros, rng=None):
        shape = (kernel_size, kernel_size, in_channels // groups, out_channels)
        self.weight = Parameter(rules.draw(init, rng, shape))
        if bias:
            self.bias = Parameter(rules.draw(bias_init, rng, (out_channels,)))
        self.stride, self.padding, self.groups = stride, padding, groups

    def _arguments(self):
        bias = self.bias.data if hasattr(self, "bias") else None
        return self.weight.data, bias, self.stride, self.padding, self.groups

    def forward(self, x):
        """Return ``(y, cache)``."""
        return ops.conv2d_forward(x, *self._arguments())

    def backward(self, dy, cache, need_dx=True):
        """Return dx (None if not `need_dx`), add to the gradients of weight and bias."""
        if need_dx:
            dx, dweight, dbias = ops.conv2d_backward(dy, cache)
        else:
            dx, (dweight, dbias) = None, ops.conv2d_weight_gradient(dy, cache)
        self.weight.add_grad(dweight)
        if dbias is not None:
            self.bias.add_grad(dbias)
        return dx

    def __call__(self, x):
        return ops.conv2d(x, *self._arguments())

    def with_norm(self, x, norm):
        """Inference: ``norm(self(x))`` as one convolution, the norm's scale and shift folded into the weights."""
        weight, bias, *geometry = self._arguments()
        weight, bias = norm.fold_into(weight, bias)
        return ops.conv2d(x, weight, bias, *geometry)

    def to_disk(self, name, array):
        """(kh, kw, in, out) -> (out, in, kh, kw)."""
        return array.transpose(3, 2, 0, 1) if name == "weight" else array

    def from_disk(self, name, array):
        """(out, in, kh, kw) -> (kh, kw, in, out)."""
        return array.transpose(2, 3, 1, 0) if name == "weight" else array


class ConvTranspose2d(Module):
    """Transposed convolution over (N, H, W, C_in), weight ``(kh, kw, C_in, C_out)``."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1,
                 init=rules.kaiming_normal_fan_out, bias_init=rules.zeros, rng=None):
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        self.weight = Parameter(rules.draw(init, rng, shape))
        self.bias = Parameter(rules.draw(bias_init, rng, (out_channels,)))
        self.stride = stride

    def forward(self, x):
        """Return ``(y, cache)``."""
        return ops.conv_transpose2d_forward(x, self.weight.data, self.bias.data, self.stride)

    def backward(self, dy, cache):
        """Return dx, add to the gradients of weight and bias."""
        dx, dweight, dbias = ops.conv_transpose2d_backward(dy, cache)
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx

    def to_disk(self, name, array):
        """(kh, kw, in, out) -> (in, out, kh, kw): torch stores this layer's channels the other way round than Conv2d's."""
        return array.transpose(2, 3, 0, 1) if name == "weight" else array

    # (kh, kw, in, out) <-> (in, out, kh, kw) swaps the two halves, so it undoes itself.
    from_disk = to_disk


class Linear(Module):
    """Every output a weighted sum of every input: (R, C_in) -> (R, C_out), weight ``(C_in, C_out)``.

    Parameters
    ----------
    in_features, out_features : int
    flattened_from : (height, width, channels) or None
        What the input vectors were before they were flattened. Ours run (y, x, C); torchvision's columns
        on disk run (C, y, x), and only the layer that follows a flattening can know that.
    """

    def __init__(self, in_features, out_features, init=rules.fan_in_uniform, bias_init=None,
                 flattened_from=None, rng=None):
        self.weight = Parameter(rules.draw(init, rng, (in_features, out_features)))
        bias_init = bias_init or rules.uniform(in_features ** -0.5)
        self.bias = Parameter(rules.draw(bias_init, rng, (out_features,)))
        self.flattened_from = flattened_from

    def forward(self, x):
        """Return ``(y, cache)``."""
        return ops.linear_forward(x, self.weight.data, self.bias.data)

    def backward(self, dy, cache):
        """Return dx, add to the gradients of weight and bias."""
        dx, dweight, dbias = ops.linear_backward(dy, cache)
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx

    def to_disk(self, name, array):
        """(in, out) -> (out, in), with the columns of a flattened input in (C, y, x) order."""
        if name != "weight":
            return array
        if self.flattened_from:
            height, width, channels = self.flattened_from
            array = array.reshape(height, width, channels, -1).transpose(2, 0, 1, 3).reshape(array.shape)
        return array.T

    def from_disk(self, name, array):
        """(out, in) -> (in, out), with the rows of a flattened input in (y, x, C) order."""
        if name != "weight":
            return array
        array = array.T
        if self.flattened_from:
            height, width, channels = self.flattened_from
            array = array.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(array.shape)
        return array


class Flatten(Module):
    """(R, h, w, C) -> (R, h * w * C), in memory order (y, x, C)."""

    def forward(self, x):
        """Return the flattened array; the cache is the shape."""
        return x.reshape(len(x), int(np.prod(x.shape[1:]))), x.shape

    def backward(self, dy, cache):
        """Return dy in the input's shape (a copy: dx is the caller's to write to, dy is not)."""
        return dy.reshape(cache).copy()


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x):
        """Return ``(y, cache)``."""
        return ops.relu_forward(x)

    def backward(self, dy, cache):
        """Pass dy where x was positive."""
        return ops.relu_backward(dy, cache)

    def in_place(self, x):
        """Inference on an array that nobody else needs."""
        return np.maximum(x, 0, out=x)


class MaxPool2d(Module):
    """The largest value of each window."""

    def __init__(self, kernel_size, stride, padding=0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        """Return ``(y, cache)``."""
        return ops.max_pool2d_forward(x, self.kernel_size, self.stride, self.padding)

    def backward(self, dy, cache):
        """Send dy to each window's first maximum."""
        return ops.max_pool2d_backward(dy, cache)
