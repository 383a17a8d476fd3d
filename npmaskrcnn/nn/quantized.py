"""Layers whose weights are whole numbers of eight bits, and whose inputs may be, too.

A number x becomes the whole number of steps nearest to it, ``q = round(x / step)``, from -127 to 127: one byte where
float32 has four. A weight has a step for each output channel, because channels differ in size; an input has one for all
of it, found beforehand on a few images (`light.quantize`), and what is beyond 127 steps is cut off. Beside this
rounding and cutting off nothing is lost: the product of the whole numbers, times both steps, is what the layer answers.
A norm that follows is a scale and a shift for each channel, and so its scale joins the steps, and the whole numbers
stay.

**Computed in integers.** With inputs of eight bits the products are exact. NumPy has no product of int8, but a float
holds every whole number up to 2**24 (float32), or 2**53 (float64), and sums and products of them are exact as long as
no sum exceeds that. No partial sum exceeds ``127 * sum of |q|`` over a channel's weights; where this is below 2**24
the product is made in float32, else in float64. Winograd's way to a 3x3 convolution, which saves multiplications by
sums beforehand (`fast.winograd`), has fractions in these sums, so that convolutions are done as their definition says.
With weights of eight bits alone, they are turned back into float32 when they are
needed, and the rest is as ever.

A quantized model predicts and does not learn. Source: Jacob et al. 2018, "Quantization and training of neural networks
for efficient integer-arithmetic-only inference", section 2, here symmetric.
"""

import numpy as np

from .. import ops
from ..errors import InputError
from ..plain.conv import conv2d_forward
from .layers import Conv2d, ConvTranspose2d, Linear
from .module import FORGET, Buffer

MOST_STEPS = 127
LARGEST_WHOLE = {np.dtype(np.float32): 2**24, np.dtype(np.float64): 2**53}


def in_steps(x, step):
    """Return ``round(x / step)``, cut off at plus and minus 127, in the dtype of x.

    >>> in_steps(np.array([0.26, -1.0, 99.0]), 0.5)
    array([  1.,  -2., 127.])
    """
    return np.clip(np.rint(x / step), -MOST_STEPS, MOST_STEPS)


def quantized_weight(weight):
    """Return ``(q, step)`` of a weight whose last axis is the output's channels: int8, and a step for each channel."""
    largest = np.abs(weight).max(axis=tuple(range(weight.ndim - 1)), initial=0)
    step = np.where(largest > 0, largest / MOST_STEPS, 1).astype(weight.dtype)
    return in_steps(weight, step).astype(np.int8), step


def exact_dtype(q):
    """Return the float in which products of a weight `q` with inputs of at most 127 are exact, float32 if possible.

    >>> exact_dtype(np.full((1040, 2), 127, np.int8)), exact_dtype(np.full((1041, 2), 127, np.int8))
    (dtype('float32'), dtype('float64'))
    """
    if q.size // max(q.shape[-1], 1) * 128 * MOST_STEPS < 2**24:     # without looking at them: no int8 is beyond 128
        return np.dtype(np.float32)
    largest = MOST_STEPS * int(np.abs(q.astype(np.int32)).reshape(-1, q.shape[-1]).sum(axis=0).max(initial=0))
    return next(dtype for dtype, limit in LARGEST_WHOLE.items() if largest <= limit)


class _Quantized:
    """What the three layers have in common: their arrays, and the product.

    Attributes
    ----------
    weight : Buffer of int8
    weight_step : (C_out,) Buffer
    bias : Buffer or absent
    input_step : () Buffer or None
        Of the inputs; None leaves them as they are.
    """

    @classmethod
    def of(cls, layer, with_inputs):
        """Return the quantized twin of a layer; its input's step is 1 until it is known."""
        twin = cls.__new__(cls)
        vars(twin).update({name: value for name, value in vars(layer).items() if name not in ("weight", "bias")})
        q, step = quantized_weight(layer.weight.data)
        twin.weight, twin.weight_step = Buffer(q), Buffer(step)
        twin.bias = None if layer.bias is None else Buffer(layer.bias.data)
        twin.input_step = Buffer(np.ones((), step.dtype)) if with_inputs else None
        return twin

    def forward(self, x, notes):
        """Compute, if nothing is to be noted."""
        if notes is not FORGET:
            raise InputError("a quantized model predicts and does not learn: train the model that it was made of")
        return self._answer(x, self.weight_step.data, None if self.bias is None else self.bias.data)

    def _answer(self, x, step, bias):
        """Return ``x @ (q * step) + bias``."""
        if self.input_step is None:
            return self._multiply(x, self.weight.data * step, bias)
        dtype = exact_dtype(self.weight.data)
        whole = self._multiply_whole(in_steps(x, self.input_step.data).astype(dtype, copy=False),
                                     self.weight.data.astype(dtype))
        y = whole.astype(x.dtype, copy=False) * (step * self.input_step.data)
        return y if bias is None else y + bias

    def _multiply_whole(self, x, q):
        return self._multiply(x, q, None)


class QuantizedConv2d(_Quantized, Conv2d):
    """`Conv2d` with a weight of int8."""

    def infer(self, x, norm=None, shortcut=None, relu=False):
        """``relu(norm(conv(x)) + shortcut)``; the norm's scale joins the steps."""
        step, bias = self.weight_step.data, None if self.bias is None else self.bias.data
        if norm is not None:
            step, bias = norm.fold_into(step, bias)
        if self.input_step is None:
            return self._multiply(x, self.weight.data * step, bias, shortcut, relu)
        y = self._answer(x, step, bias)
        y = y if shortcut is None else y + shortcut
        return ops.relu_in_place(y) if relu else y

    def _multiply(self, x, weight, bias, shortcut=None, relu=False):
        return ops.conv2d_add_relu(x, weight, bias, self.stride, self.padding, self.groups, shortcut, relu)

    def _multiply_whole(self, x, q):
        return conv2d_forward(x, q, None, self.stride, self.padding, self.groups)[0]


class QuantizedConvTranspose2d(_Quantized, ConvTranspose2d):
    """`ConvTranspose2d` with a weight of int8."""

    def _multiply(self, x, weight, bias):
        return ops.conv_transpose2d_forward(x, weight, bias, self.stride)[0]


class QuantizedLinear(_Quantized, Linear):
    """`Linear` with a weight of int8."""

    def _multiply(self, x, weight, bias):
        return ops.linear_forward(x, weight, bias)[0]


TWINS = {Conv2d: QuantizedConv2d, ConvTranspose2d: QuantizedConvTranspose2d, Linear: QuantizedLinear}


def exchange_layers(model, with_inputs):
    """Put the quantized twin in the place of every convolution and linear layer; freeze the rest.

    Depthwise convolutions, whose weights are few, stay as they are.
    """
    for _, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            if type(child) in TWINS:
                setattr(parent, name, TWINS[type(child)].of(child, with_inputs))
    model.freeze()


def quantized_layers(model):
    """Yield ``(path, layer)`` for each quantized layer."""
    return ((path, layer) for path, layer in model.named_modules() if isinstance(layer, _Quantized))
