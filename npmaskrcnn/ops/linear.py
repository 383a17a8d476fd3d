"""The fully connected layer: every output is a weighted sum of every input, so a matrix product.

For ``y = x @ weight``, a loss that changes by dy for each y changes by ``dy * weight`` for each x and by
``dy * x`` for each weight; an x meets all outputs, a weight all rows, and their shares add up. Those sums
are the two products of the backward pass: ``dy @ weight.T`` and ``x.T @ dy``.
"""

from typing import NamedTuple

import numpy as np

from npmaskrcnn.ops.threads import share_out


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
    y = _product(x, weight)
    if bias is not None:
        y += bias
    return y, LinearCache(x, weight, bias is not None)


def linear_backward(dy, cache):
    """Return ``(dx, dweight, dbias)``: ``dy @ weight.T``, ``x.T @ dy``, and dy summed over rows.

    dbias is None without a bias.
    """
    x, weight, has_bias = cache
    dbias = dy.sum(axis=0) if has_bias else None
    return _product(dy, weight.T), _product(x.T, dy), dbias


def _product(a, b):
    """``a @ b``, with the rows of a and the result shared out among the cores."""
    y = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    share_out(lambda rows: np.matmul(a[rows.start : rows.stop], b, out=y[rows.start : rows.stop]),
              range(len(a)), fewest=128)
    return y
