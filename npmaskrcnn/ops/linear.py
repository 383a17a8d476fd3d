"""The fully connected layer: one matrix product, and the two products that are its gradient."""

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
    if bias is not None:
        y += bias
    return y, LinearCache(x, weight, bias is not None)


def linear_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: ``dy @ weight.T``, ``x.T @ dy``, and dy summed over rows.

    dbias is None without a bias.
    """
    x, weight, has_bias = cache
    dbias = dy.sum(axis=0) if has_bias else None
    dweight = x.T @ dy
    dx = dy @ weight.T
    return dx, dweight, dbias
