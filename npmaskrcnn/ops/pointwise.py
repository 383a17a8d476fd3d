"""Functions of one number, or of one row of numbers: ReLU, sigmoid, softmax.

ReLU is the only nonlinearity inside the network. Sigmoid and softmax turn logits into probabilities at
its ends; the losses take the logits themselves, so the two need no backward. Both are written so that
no exponential can overflow: only exponentials of numbers below zero are taken.
"""

from typing import NamedTuple

import numpy as np


class ReluCache(NamedTuple):
    y: np.ndarray  # of any shape; positive exactly where x is, and the next layer keeps it anyway


def relu_forward(x):
    """``y = max(x, 0)``, for an `x` of any shape; returns ``(y, cache)``."""
    y = np.maximum(x, 0)
    return y, ReluCache(y)


def relu_backward(dy, cache):
    """Return dx: dy where x was above zero, 0 elsewhere (at zero itself too)."""
    return dy * (cache.y > 0)


def sigmoid(x):
    """``1 / (1 + exp(-x))``, for an `x` of any shape.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(x))  # in 0..1; for x < 0 the fraction is extended by exp(x)
    return np.where(x >= 0, 1, small) / (1 + small)


def softmax(x, axis=-1):
    """``exp(x) / sum of exp(x)`` along `axis`: positive numbers that add up to one.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0, -1000.0]]))
    array([[0.5, 0.5, 0. ]])
    """
    y = np.exp(x - x.max(axis=axis, keepdims=True))  # a common factor cancels: let the largest exponent be 0
    y /= y.sum(axis=axis, keepdims=True)
    return y
