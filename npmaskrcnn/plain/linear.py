"""The fully connected layer, and the functions of one number or one row that stand between layers.

Every output is a weighted sum of every input, so a matrix product. For ``y = x @ weight``, a loss that changes by dy
for each y changes by ``dy * weight`` for each x and by ``dy * x`` for each weight; an x meets all outputs, a weight
all rows, and their shares add up. Those sums are the two products of the backward pass: ``dy @ weight.T`` and
``x.T @ dy``.

ReLU is the nonlinearity between the layers. Sigmoid and softmax turn logits into probabilities at
its ends; the losses take the logits themselves, so the two need no backward. Both are written so that
no exponential can overflow: only exponentials of numbers not above zero are taken.
"""

from typing import NamedTuple

import numpy as np


class LinearCache(NamedTuple):
    x: np.ndarray  # (R, C_in)
    weight: np.ndarray  # (C_in, C_out)
    has_bias: bool


def linear_forward(x, weight, bias=None):
    """``y = x @ weight + bias``.

    Parameters
    ----------
    x : (R, C_in) float ndarray
    weight : (C_in, C_out) float ndarray
        Inputs first: the transpose of what torch stores.
    bias : (C_out,) float ndarray, optional

    Returns
    -------
    y : (R, C_out) float ndarray
    cache : LinearCache

    Examples
    --------
    >>> y, cache = linear_forward(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]]))
    >>> y
    array([[ 1.,  2., 11.]])
    """
    y = x @ weight
    return (y if bias is None else y + bias), LinearCache(x, weight, bias is not None)


def linear_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: ``dy @ weight.T``, ``x.T @ dy``, and dy summed over rows.

    dbias is None without a bias.
    """
    x, weight, has_bias = cache
    return dy @ weight.T, x.T @ dy, dy.sum(axis=0) if has_bias else None


class ReluCache(NamedTuple):
    y: np.ndarray  # of any shape; positive exactly where x is, and the next layer keeps it anyway


def relu_forward(x):
    """``y = max(x, 0)``, for an `x` of any shape; returns ``(y, cache)``."""
    y = np.maximum(x, 0)
    return y, ReluCache(y)


def relu_in_place(x):
    """`relu_forward` without its cache, for an `x` that nobody else needs: its memory may be used for the result."""
    return relu_forward(x)[0]


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
    return y / y.sum(axis=axis, keepdims=True)
