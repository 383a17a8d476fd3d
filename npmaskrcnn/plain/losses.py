"""The three losses that Mask R-CNN is trained with: cross-entropy over classes (which class is this
region?), binary cross-entropy (is this anchor an object? is this mask pixel inside?), and smooth L1
(how far are the box deltas off?). Each comes in two pieces: the loss of every single element, which is
what a lesson plots, and its mean or sum, which is what training differentiates.

The two cross-entropies take logits, never probabilities: log(sigmoid(x)) and log(softmax(x)) written out do
not overflow, and their gradients collapse to the plain "prediction minus truth". An empty batch has loss
zero and an empty gradient.
"""

from typing import NamedTuple

import numpy as np

from .linear import sigmoid, softmax

# ---- softmax cross-entropy: exactly one of K classes is right ----


class SoftmaxCrossEntropyCache(NamedTuple):
    logits: np.ndarray  # (N, K)
    labels: np.ndarray  # (N,)


def softmax_cross_entropy_per_row(logits, labels):
    """Cross-entropy of each row, ``-log softmax(logits)[label]``.

    Parameters
    ----------
    logits : (N, K) float ndarray
    labels : (N,) int ndarray
        In 0..K-1.

    Returns
    -------
    losses : (N,) float ndarray
        In nats; log(K) for a row of equal logits.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)  # largest is 0: exp cannot overflow
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return log_sum - shifted[np.arange(len(labels)), labels]


def softmax_cross_entropy_forward(logits, labels):
    """Mean cross-entropy of softmax(logits) with the right labels.

    Parameters
    ----------
    logits, labels
        As in `softmax_cross_entropy_per_row`.

    Returns
    -------
    loss : float scalar of the dtype of `logits`
        0 for N = 0.
    cache : SoftmaxCrossEntropyCache

    Examples
    --------
    Two rows: undecided among two classes (log 2), and all but certain of the right one.

    >>> loss, _ = softmax_cross_entropy_forward(np.array([[0., 0.], [0., 100.]]), np.array([1, 1]))
    >>> print(loss, np.log(2) / 2)
    0.34657359027997264 0.34657359027997264
    """
    losses = softmax_cross_entropy_per_row(logits, labels)
    return _mean(losses), SoftmaxCrossEntropyCache(logits, labels)


def softmax_cross_entropy_backward(dloss, cache):
    """Return dlogits: ``dloss / N * (softmax(logits) - one_hot(labels))``."""
    logits, labels = cache
    dlogits = softmax(logits)
    dlogits[np.arange(len(labels)), labels] -= 1
    dlogits *= float(dloss) / max(len(labels), 1)
    return dlogits


# ---- binary cross-entropy: every element is a yes or no of its own ----


class BinaryCrossEntropyCache(NamedTuple):
    logits: np.ndarray  # (...)
    targets: np.ndarray  # (...)


def binary_cross_entropy_with_logits_per_element(logits, targets):
    """Binary cross-entropy of each element, ``max(x, 0) - x t + log(1 + exp(-|x|))``.

    Parameters
    ----------
    logits : (...) float ndarray
    targets : (...) ndarray
        In 0..1; fractions are allowed (a mask pixel half covered).

    Returns
    -------
    losses : (...) float ndarray
        ``-t log sigmoid(x) - (1 - t) log(1 - sigmoid(x))`` without its overflow.
    """
    targets = np.asarray(targets, dtype=logits.dtype)
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))


def binary_cross_entropy_with_logits_forward(logits, targets):
    """Mean binary cross-entropy of sigmoid(logits) with targets in 0..1.

    Parameters
    ----------
    logits : (...) float ndarray
    targets : (...) ndarray of the same shape

    Returns
    -------
    loss : float scalar of the dtype of `logits`
        The mean over all elements; 0 if there are none.
    cache : BinaryCrossEntropyCache

    Examples
    --------
    >>> loss, _ = binary_cross_entropy_with_logits_forward(np.array([0., 0.]), np.array([1., 0.]))
    >>> print(loss, np.log(2))
    0.6931471805599453 0.6931471805599453
    """
    losses = binary_cross_entropy_with_logits_per_element(logits, targets)
    return _mean(losses), BinaryCrossEntropyCache(logits, targets)


def binary_cross_entropy_with_logits_backward(dloss, cache):
    """Return dlogits: ``dloss / size * (sigmoid(logits) - targets)``."""
    logits, targets = cache
    dlogits = sigmoid(logits)
    dlogits -= np.asarray(targets, dtype=logits.dtype)
    dlogits *= float(dloss) / max(logits.size, 1)
    return dlogits


# ---- smooth L1: a parabola near zero, a straight line beyond ----


class SmoothL1Cache(NamedTuple):
    pred: np.ndarray  # (...)
    target: np.ndarray  # (...)
    beta: float


def smooth_l1_per_element(pred, target, beta):
    """Smooth L1 of each difference d: ``d^2 / (2 beta)`` if ``|d| < beta``, else ``|d| - beta / 2``.

    Parameters
    ----------
    pred, target : (...) float ndarray
    beta : float
        Where the parabola becomes a line. 1/9 in torchvision's Mask R-CNN; 0 is plain L1.

    Returns
    -------
    losses : (...) float ndarray
    """
    beta = float(beta)  # a np.float64 would turn float32 losses into float64
    distance = np.abs(pred - target)
    near = distance < beta
    losses = np.array(distance - 0.5 * beta)
    losses[near] = 0.5 * distance[near] ** 2 / beta
    return losses


def smooth_l1_forward(pred, target, beta):
    """Sum of smooth L1 over all elements.

    The sum, not the mean: Mask R-CNN divides it by the number of *sampled* anchors or regions, of
    which only the positive ones have a box to regress.

    Parameters
    ----------
    pred, target : (...) float ndarray
        No gradient is computed for `target`.
    beta : float

    Returns
    -------
    loss : float scalar of the dtype of `pred`
        0 if there are no elements.
    cache : SmoothL1Cache

    References
    ----------
    Girshick 2015 (Fast R-CNN), Eq. (3), where beta is 1.

    Examples
    --------
    >>> loss, _ = smooth_l1_forward(np.array([0.5, -3.0]), np.zeros(2), beta=1.0)
    >>> print(loss)  # 0.125 + 2.5
    2.625
    """
    return smooth_l1_per_element(pred, target, beta).sum(), SmoothL1Cache(pred, target, float(beta))


def smooth_l1_backward(dloss, cache):
    """Return dpred: ``dloss * d / beta`` on the parabola, ``dloss * sign(d)`` on the line."""
    pred, target, beta = cache
    difference = pred - target
    near = np.abs(difference) < beta
    dpred = np.sign(difference)
    dpred[near] = difference[near] / beta
    dpred *= float(dloss)
    return dpred


def _mean(losses):
    """The mean, which is 0 for no losses at all (numpy's is nan)."""
    return losses.sum() / losses.dtype.type(max(losses.size, 1))
