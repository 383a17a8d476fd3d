"""Layers of light bodies: a depthwise convolution, and convolution, norm and activation in one.

A depthwise convolution is a convolution with as many groups as channels: the same weight, the same keys on disk. Only
the operation behind it is another, because a product for each group would be many thousand tiny ones.
"""

from .. import ops
from .layers import Conv2d, ConvNormReLU, conv_norm_relu_backward
from .module import FORGET


class DepthwiseConv2d(Conv2d):
    """One kernel a channel, over (N, H, W, C); weight ``(k, k, 1, C)``.

    Parameters
    ----------
    channels, kernel_size : int
    stride, padding : int
    bias : bool
    rng : np.random.Generator or None
    """

    def __init__(self, channels, kernel_size, stride=1, padding=0, bias=True, rng=None):
        super().__init__(channels, channels, kernel_size, stride, padding, groups=channels, bias=bias, rng=rng)

    def forward(self, x, notes):
        """Convolve each channel."""
        y, notes["cache"] = ops.depthwise_conv2d_forward(x, *self.weight_and_bias(), self.stride, self.padding)
        return y

    def infer(self, x, norm=None, shortcut=None, relu=False):
        """``relu(norm(conv(x)) + shortcut)``, the norm folded into the weights."""
        folded = self.weight_and_bias() if norm is None else norm.fold_into(*self.weight_and_bias())
        y = ops.depthwise_conv2d(x, *folded, self.stride, self.padding)
        y = y if shortcut is None else y + shortcut
        return ops.relu_in_place(y) if relu else y

    def backward(self, dy, notes, need_dx=True):
        """Return dx (None if not `need_dx`), add to the gradients of weight and bias."""
        dx, dweight, dbias = ops.depthwise_conv2d_backward(dy, notes["cache"])
        self.weight.add_grad(dweight)
        if self.bias is not None:
            self.bias.add_grad(dbias)
        return dx if need_dx else None


class ConvNormActivation(ConvNormReLU):
    """``activation(norm(conv(x)))``; children 0 and 1, as in the Sequential that torchvision makes of them.

    With nothing to note, the norm is folded into the convolution, a depthwise one as well.

    Parameters
    ----------
    conv : Conv2d or DepthwiseConv2d
    norm : Module
    activation : {"relu", "hardswish", None}
    """

    def __init__(self, conv, norm, activation=None):
        super().__init__(conv, norm, relu=activation == "relu")
        self.hardswish = activation == "hardswish"

    def forward(self, x, notes):
        """Convolve, normalize, activate."""
        y = super().forward(x, notes)
        if not self.hardswish:
            return y
        if notes is FORGET:
            return ops.hardswish_in_place(y)
        y, notes["hardswish"] = ops.hardswish_forward(y)
        return y

    def backward(self, dy, notes, need_dx=True):
        """Return dx (None if not `need_dx`)."""
        dsum = ops.hardswish_backward(dy, notes["hardswish"]) if self.hardswish else dy
        return conv_norm_relu_backward(dsum, *self.conv_and_norm(), notes, need_dx)[0]
