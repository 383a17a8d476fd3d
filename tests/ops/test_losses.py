"""The three losses against hand values, torchvision's numbers, a slow twin and differences.

They have one form only, so they run once.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npmaskrcnn import reference
from npmaskrcnn.ops import (
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    binary_cross_entropy_with_logits_per_element,
    smooth_l1_backward,
    smooth_l1_forward,
    smooth_l1_per_element,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
    softmax_cross_entropy_per_row,
)


@pytest.fixture
def rng():
    return np.random.default_rng(22)


def slope(loss, x, direction, step=1e-6):
    """Directional derivative of a function of x by central differences."""
    return (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)


def test_cross_entropy_of_three_rows_by_hand():
    # softmax(1,2,3): log(e^-2 + e^-1 + 1) = .407606; log 3 = 1.098612; label 1 of (2,1,0): 1 + .407606
    logits = np.array([[1.0, 2, 3], [0, 0, 0], [2, 1, 0]])
    one_two_three = math.log(math.exp(-2) + math.exp(-1) + 1)
    expected = [one_two_three, math.log(3), 1 + one_two_three]
    assert_allclose(softmax_cross_entropy_per_row(logits, np.array([2, 0, 1])), expected, rtol=1e-14)
    loss, _ = softmax_cross_entropy_forward(logits, np.array([2, 0, 1]))
    assert_allclose(loss, 0.9712747, rtol=1e-7)  # torchvision's number, to its seven digits


@pytest.mark.parametrize("logit, target, expected", [
    (2, 1, math.log1p(math.exp(-2))),
    (-1, 0, math.log1p(math.exp(-1))),
    (100, 0, 100),
    (0, 0.5, math.log(2)),
])
def test_binary_cross_entropy_by_hand(logit, target, expected):
    loss, _ = binary_cross_entropy_with_logits_forward(np.array([float(logit)]), np.array([float(target)]))
    assert_allclose(loss, expected, rtol=1e-15)


def test_smooth_l1_by_hand():
    # beta 1/9: parabola 0.5 * 9 * d^2 at .05; |d| - 1/18 from 1/9 on
    pred = np.array([0.05, 1 / 9, 0.2, -1])
    assert_allclose(smooth_l1_per_element(pred, np.zeros(4), 1 / 9),
                    [0.01125, 1 / 18, 0.2 - 1 / 18, 1 - 1 / 18], rtol=1e-14)
    loss, cache = smooth_l1_forward(pred, np.zeros(4), 1 / 9)
    assert_allclose(loss, 0.01125 + 1.2 + 1 / 9 - 3 / 18, rtol=1e-14)  # a sum, not a mean
    assert_allclose(smooth_l1_backward(1.0, cache), [0.45, 1, 1, -1], rtol=1e-14)


def test_smooth_l1_of_box_deltas_as_torchvision_counts_them():
    # Deltas 0, .02, .04 ... of 3 regions x 3 classes x 4; labels 2, 0, 1: two rows count, divided by 3.
    deltas = (np.arange(36) / 50).reshape(3, 3, 4)
    loss, _ = smooth_l1_forward(deltas[[0, 2], [2, 1]], np.zeros((2, 4)), 1 / 9)
    assert_allclose(loss / 3, 0.8918519, rtol=1e-7)  # torchvision's number, to its seven digits


def test_smooth_l1_with_beta_zero_is_plain_l1():
    loss, cache = smooth_l1_forward(np.array([0.0, -3.0]), np.zeros(2), 0.0)
    assert loss == 3
    assert_array_equal(smooth_l1_backward(1.0, cache), [0, -1])


def test_cross_entropy_agrees_with_its_twin(rng):
    logits, labels = rng.standard_normal((9, 5)), rng.integers(0, 5, 9)
    assert_allclose(softmax_cross_entropy_forward(logits, labels)[0],
                    reference.softmax_cross_entropy(logits, labels), rtol=1e-13)


def pairs(rng, dtype=np.float64):
    logits, targets = (3 * rng.standard_normal((7, 4))).astype(dtype), rng.random((7, 4)).astype(dtype)
    labels = rng.integers(0, 4, 7)
    return {
        "softmax": (logits, lambda x: softmax_cross_entropy_forward(x, labels),
                    softmax_cross_entropy_backward),
        "binary": (logits, lambda x: binary_cross_entropy_with_logits_forward(x, targets),
                   binary_cross_entropy_with_logits_backward),
        "smooth_l1": (logits, lambda x: smooth_l1_forward(x, targets, np.float64(0.5)), smooth_l1_backward),
    }


@pytest.mark.parametrize("name", ["softmax", "binary", "smooth_l1"])
def test_gradients_agree_with_differences(rng, name):
    x, forward, backward = pairs(rng)[name]
    dloss = 1.7
    dx = backward(dloss, forward(x)[1])
    for _ in range(5):
        direction = rng.standard_normal(x.shape)
        numeric = dloss * slope(lambda z: forward(z)[0], x, direction)
        assert_allclose((dx * direction).sum(), numeric, rtol=1e-6, atol=1e-8)  # differences: ~1e-9 rounding


@pytest.mark.parametrize("name", ["softmax", "binary", "smooth_l1"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_keep_the_dtype_whatever_dloss_is(rng, name, dtype):
    x, forward, backward = pairs(rng, dtype)[name]
    loss, cache = forward(x)
    assert loss.dtype == dtype and backward(np.float64(0.3), cache).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_are_exact_and_silent(dtype):
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = softmax_cross_entropy_forward(logits, np.array([0, 0]))
        assert loss == 1e4  # 0 for the first row, 2e4 for the second
        assert_array_equal(softmax_cross_entropy_backward(1.0, cache), [[0, 0], [-0.5, 0.5]])
        loss, cache = binary_cross_entropy_with_logits_forward(logits, np.array([[1, 0], [1, 0]]))
        assert loss == 5e3
        assert_array_equal(binary_cross_entropy_with_logits_backward(1.0, cache), [[0, 0], [-0.25, 0.25]])
        loss, cache = smooth_l1_forward(np.array([1e30], dtype=dtype), np.zeros(1, dtype=dtype), 1 / 9)
        assert loss == dtype(1e30) and smooth_l1_backward(1.0, cache) == [1]


def test_small_losses_do_not_round_to_zero():
    # -log(sigmoid(20)) = log(1 + e^-20): 1 - p would be 0 in float32
    loss = binary_cross_entropy_with_logits_per_element(np.array([20], dtype=np.float32), np.array([1]))
    assert_allclose(loss, math.log1p(math.exp(-20)), rtol=1e-6)


def test_empty_batches_have_loss_zero_and_an_empty_gradient():
    none = np.zeros((0, 4), dtype=np.float32)
    for (loss, cache), backward in [
        (softmax_cross_entropy_forward(none, np.zeros(0, dtype=int)), softmax_cross_entropy_backward),
        (binary_cross_entropy_with_logits_forward(none, none), binary_cross_entropy_with_logits_backward),
        (smooth_l1_forward(none, none, 1.0), smooth_l1_backward),
    ]:
        assert loss == 0 and loss.dtype == np.float32
        dx = backward(1.0, cache)
        assert dx.shape == (0, 4) and dx.dtype == np.float32


def test_gradient_of_cross_entropy_sums_to_zero_in_each_row(rng):
    _, cache = softmax_cross_entropy_forward(rng.standard_normal((6, 9)), rng.integers(0, 9, 6))
    assert_allclose(softmax_cross_entropy_backward(2.0, cache).sum(axis=1), 0, atol=1e-15)
