"""Hardsigmoid and hardswish: a gate that opens along a straight line, and a number that goes through its own gate.

The gate is 0 up to -3, 1 from 3 on, and ``(x + 3) / 6`` between them: a sigmoid without an exponential. Swish lets a
number through as far as its own sigmoid opens; with the straight gate, ``y = x * gate(x)`` is hardswish, which is ReLU
with its corner smoothed. The gradient is the product rule, ``gate(x) + x * slope of the gate``. At the gate's two
corners its slope counts as 0, as in torch.

Source: Howard et al. 2019 (MobileNetV3), section 5.2.
"""

from typing import NamedTuple

import numpy as np


class HardsigmoidCache(NamedTuple):
    x: np.ndarray  # of any shape


def hardsigmoid_forward(x):
    """``y = clip(x + 3, 0, 6) / 6``, for an `x` of any shape; returns ``(y, cache)``.

    Examples
    --------
    >>> hardsigmoid_forward(np.array([-4.0, -1.5, 0.0, 3.0]))[0]
    array([0.  , 0.25, 0.5 , 1.  ])
    """
    return np.clip(x + 3, 0, 6) / 6, HardsigmoidCache(x)


def hardsigmoid_backward(dy, cache):
    """Return dx: a sixth of dy between the corners, 0 elsewhere."""
    return dy * (np.abs(cache.x) < 3) / 6


class HardswishCache(NamedTuple):
    x: np.ndarray  # of any shape


def hardswish_forward(x):
    """``y = x * hardsigmoid(x)``, for an `x` of any shape; returns ``(y, cache)``.

    Examples
    --------
    >>> hardswish_forward(np.array([-4.0, -1.5, 1.5, 4.0]))[0]
    array([-0.   , -0.375,  1.125,  4.   ])
    """
    return x * hardsigmoid_forward(x)[0], HardswishCache(x)


def hardswish_in_place(x):
    """`hardswish_forward` without its cache, for an `x` that nobody else needs: its memory may hold the result."""
    return hardswish_forward(x)[0]


def hardswish_backward(dy, cache):
    """Return ``dx = dy * (gate + x * slope)``."""
    gate, gate_cache = hardsigmoid_forward(cache.x)
    return dy * gate + hardsigmoid_backward(dy * cache.x, gate_cache)
