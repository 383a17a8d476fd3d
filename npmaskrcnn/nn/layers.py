"""Layers: thin owners of parameters around the operations of `npmaskrcnn.ops`.

The mathematics is in the operations. A layer only remembers its weights and its geometry (stride, padding), hands
them to the operation, and files the gradients that come back. It also knows how its arrays look on disk:
torchvision stores convolution weights as (out, in, height, width) and linear weights as (out, in), where
we compute with (height, width, in, out) and (in, out).

Most convolutions of the network are followed by a norm and a ReLU, and those that end a residual block also by
the block's sum: `conv_norm_relu` is all of that in one place, and `ConvNormReLU` the layer made of it.
"""

import math

from .. import ops
from . import init as rules
from .module import FORGET, Module, ModuleList, Parameter


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
        self.bias = Parameter(rules.draw(bias_init, rng, (out_channels,))) if bias else None
        self.stride, self.padding, self.groups = stride, padding, groups

    def weight_and_bias(self):
        """Return both arrays; the second is None without a bias."""
        return self.weight.data, None if self.bias is None else self.bias.data

    def forward(self, x, notes):
        """Convolve."""
        y, notes["cache"] = ops.conv2d_forward(x, *self.weight_and_bias(), self.stride, self.padding, self.groups)
        return y

    def infer(self, x, norm=None, shortcut=None, relu=False):
        """``relu(norm(conv(x)) + shortcut)`` in one operation: the norm is folded into the weights."""
        folded = self.weight_and_bias() if norm is None else norm.fold_into(*self.weight_and_bias())
        return ops.conv2d_add_relu(x, *folded, self.stride, self.padding, self.groups, shortcut, relu)

    def backward(self, dy, notes, need_dx=True):
        """Return dx (None if not `need_dx`), add to the gradients of weight and bias."""
        if need_dx:
            dx, dweight, dbias = ops.conv2d_backward(dy, notes["cache"])
        else:       # the first layer of a network has nobody to hand dx to
            dx, (dweight, dbias) = None, ops.conv2d_weight_gradient(dy, notes["cache"])
        self.weight.add_grad(dweight)
        if self.bias is not None:
            self.bias.add_grad(dbias)
        return dx

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

    def forward(self, x, notes):
        """Stamp the kernel for every input pixel."""
        y, notes["cache"] = ops.conv_transpose2d_forward(x, self.weight.data, self.bias.data, self.stride)
        return y

    def backward(self, dy, notes):
        """Return dx, add to the gradients of weight and bias."""
        dx, dweight, dbias = ops.conv_transpose2d_backward(dy, notes["cache"])
        self.weight.add_grad(dweight)
        self.bias.add_grad(dbias)
        return dx

    def to_disk(self, name, array):
        """(kh, kw, in, out) -> (in, out, kh, kw): in torch, the channels stand the other way round than Conv2d's."""
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

    def forward(self, x, notes):
        """Multiply by the weights, add the bias."""
        y, notes["cache"] = ops.linear_forward(x, self.weight.data, self.bias.data)
        return y

    def backward(self, dy, notes):
        """Return dx, add to the gradients of weight and bias."""
        dx, dweight, dbias = ops.linear_backward(dy, notes["cache"])
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

    def forward(self, x, notes):
        """Return the flattened array, a view."""
        notes["shape"] = x.shape
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy, notes):
        """Return dy in the input's shape (a copy: dx is the caller's to write to, dy is not)."""
        return dy.reshape(notes["shape"]).copy()


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x, notes):
        """Set to zero what is below."""
        y, notes["cache"] = ops.relu_forward(x)
        return y

    def backward(self, dy, notes):
        """Pass dy where x was positive."""
        return ops.relu_backward(dy, notes["cache"])


class MaxPool2d(Module):
    """The largest value of each window."""

    def __init__(self, kernel_size, stride, padding=0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x, notes):
        """Take the maxima."""
        y, notes["cache"] = ops.max_pool2d_forward(x, self.kernel_size, self.stride, self.padding)
        return y

    def backward(self, dy, notes):
        """Send dy to each window's first maximum."""
        return ops.max_pool2d_backward(dy, notes["cache"])


def relu(x, notes):
    """max(x, 0) of what a layer has just made; with nothing to note, in the same memory."""
    if notes is FORGET:
        return ops.relu_in_place(x)
    y, notes["relu"] = ops.relu_forward(x)
    return y


# ---- convolution, norm, residual sum and ReLU ----


def conv_norm_relu(x, conv, norm, notes, shortcut=None, relu=True):
    """``relu(norm(conv(x)) + shortcut)``, where norm, shortcut and ReLU may be absent.

    With nothing to note, one operation does it all.
    """
    if notes is FORGET:
        return conv.infer(x, norm, shortcut, relu)
    y = conv.forward(x, notes.of("conv"))
    if norm is not None:
        y = norm.forward(y, notes.of("norm"))
    if shortcut is not None:
        y += shortcut                               # y is the last layer's fresh output
    if relu:
        y, notes["relu"] = ops.relu_forward(y)
    return y


def conv_norm_relu_backward(dy, conv, norm, notes, need_dx=True):
    """Return ``(dx, dshortcut)``, by both inputs; the sum passes its gradient to either as it is."""
    dsum = ops.relu_backward(dy, notes["relu"]) if "relu" in notes else dy
    dconv = dsum if norm is None else norm.backward(dsum, notes["norm"])
    return conv.backward(dconv, notes["conv"], need_dx), dsum


class ConvNormReLU(ModuleList):
    """``relu(norm(conv(x)))``; children 0 and 1, as in the Sequential that torchvision makes of them.

    Parameters
    ----------
    conv : Conv2d
    norm : Module or None
    relu : bool
    """

    def __init__(self, conv, norm=None, relu=True):
        super().__init__([conv] if norm is None else [conv, norm])
        self.relu = relu

    def forward(self, x, notes):
        """Convolve, normalize, set to zero what is below."""
        return conv_norm_relu(x, *self.conv_and_norm(), notes, relu=self.relu)

    def backward(self, dy, notes):
        """Return dx."""
        return conv_norm_relu_backward(dy, *self.conv_and_norm(), notes)[0]

    def conv_and_norm(self):
        """Return both children; the second is None without a norm."""
        return getattr(self, "0"), getattr(self, "1", None)
