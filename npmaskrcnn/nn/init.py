"""How weights begin: the random distributions from which torchvision draws each layer's first values.

A layer that starts too large explodes through the depth of the net, one that starts too small dies out;
the rules here keep the spread of activations (fan-in) or of gradients (fan-out) the same from layer to
layer. `fan_in` is how many numbers feed one output, `fan_out` how many outputs one input feeds.
"""

import math

import numpy as np


def kaiming_normal_fan_out(rng, shape):
    """Draw from N(0, 2 / fan_out), for convolutions that a ReLU follows (He et al. 2015, Eq. 14)."""
    kernel_height, kernel_width, _, out_channels = shape
    return rng.normal(0.0, math.sqrt(2.0 / (out_channels * kernel_height * kernel_width)), shape)


def kaiming_uniform(rng, shape):
    """Draw from U(-b, b) with b = sqrt(3 / fan_in): unit gain, for layers with no ReLU behind them (the FPN)."""
    bound = math.sqrt(3.0 / math.prod(shape[:-1]))
    return rng.uniform(-bound, bound, shape)


def fan_in_uniform(rng, shape):
    """Draw from U(-b, b) with b = 1 / sqrt(fan_in): torch's default for linear layers."""
    bound = 1.0 / math.sqrt(math.prod(shape[:-1]))
    return rng.uniform(-bound, bound, shape)


def normal(std):
    """Return the rule that draws from N(0, std**2)."""
    return lambda rng, shape: rng.normal(0.0, std, shape)


def uniform(bound):
    """Return the rule that draws from U(-bound, bound)."""
    return lambda rng, shape: rng.uniform(-bound, bound, shape)


def zeros(_rng, shape):
    """Return zeros: the usual start of a bias."""
    return np.zeros(shape)


def draw(rule, rng, shape):
    """Return a float32 array from `rule`, or zeros where `rng` is None: for weights that will be loaded."""
    if rng is None:
        return np.zeros(shape, dtype=np.float32)
    return rule(rng, shape).astype(np.float32)
