"""The fully connected layer, ReLU, sigmoid and softmax against hand values, exact formulas and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops
from tests.helpers import away_from_zero, check_gradient

pytestmark = pytest.mark.usefixtures("hand")


def test_linear_by_hand():
    weight = np.array([[1.0, 0, 3], [0, 1, 4]])
    y, cache = ops.linear_forward(np.array([[1.0, 2.0]]), weight, np.array([10.0, 20, 30]))
    np.testing.assert_array_equal(y, [[11, 22, 41]])
    dx, dweight, dbias = ops.linear_backward(np.array([[1.0, -1, 2]]), cache)
    np.testing.assert_array_equal(dx, [[1 + 6, -1 + 8]])
    np.testing.assert_array_equal(dweight, [[1, -1, 2], [2, -2, 4]])
    np.testing.assert_array_equal(dbias, [1, -1, 2])


def test_linear_backward_is_the_derivative():
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((5, 7), (7, 3), (3,))]
    check_gradient(ops.linear_forward, ops.linear_backward, inputs, rng, names=["x", "weight", "bias"])


def test_without_bias_its_gradient_is_none():
    rng = np.random.default_rng(1)
    x, weight, dy = (rng.standard_normal(shape) for shape in ((5, 7), (7, 3), (5, 3)))
    y, cache = ops.linear_forward(x, weight)
    np.testing.assert_allclose(y, x @ weight, rtol=1e-12)  # float64
    assert ops.linear_backward(dy, cache)[2] is None


def test_no_row_gives_zero_gradients():
    y, cache = ops.linear_forward(np.zeros((0, 7)), np.ones((7, 3)), np.ones(3))
    dx, dweight, dbias = ops.linear_backward(y, cache)
    assert y.shape == (0, 3) and dx.shape == (0, 7)
    np.testing.assert_array_equal(dweight, np.zeros((7, 3)))
    np.testing.assert_array_equal(dbias, np.zeros(3))


# ---- functions of one number or one row ----


def test_relu_by_hand():
    y, cache = ops.relu_forward(np.array([-2.0, -0.0, 0.0, 3.0]))
    np.testing.assert_array_equal(y, [0, 0, 0, 3])
    # at zero itself no gradient passes, as in torch
    np.testing.assert_array_equal(ops.relu_backward(np.array([5.0, 6.0, 7.0, 8.0]), cache), [0, 0, 0, 8])


def test_relu_backward_is_the_derivative():
    rng = np.random.default_rng(0)
    x = away_from_zero(rng.standard_normal((3, 4, 5)))
    check_gradient(ops.relu_forward, ops.relu_backward, [x], rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_of_any_number_overflows_nowhere(dtype):
    x = np.array([-np.inf, -1e30, -80, -1, 0, 1, 100, 1e30, np.inf], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = ops.sigmoid(x)
    assert y.dtype == dtype
    # 1 / (1 + e) and e / (1 + e); a few float32 roundings
    np.testing.assert_allclose(y, [0, 0, np.exp(-80), 0.26894142137, 0.5, 0.73105857863, 1, 1, 1], rtol=1e-6)


def test_sigmoid_keeps_its_relative_precision_far_below_zero():
    x = np.linspace(-80, 0, 50, dtype=np.float32)
    exact = np.exp(x.astype(np.float64)) / (1 + np.exp(x.astype(np.float64)))
    np.testing.assert_allclose(ops.sigmoid(x), exact, rtol=5e-7)  # a few float32 roundings


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_rows_add_up_to_one_and_keep_ratios(dtype):
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(dtype) * 10
    y = ops.softmax(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.sum(axis=1), np.ones(5), rtol=1e-6)
    np.testing.assert_allclose(np.log(y[:, 1:] / y[:, :1]), x[:, 1:] - x[:, :1], rtol=1e-4, atol=1e-4)


def test_softmax_of_large_logits_overflows_nowhere():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = ops.softmax(np.array([[1e4, 1e4, -1e4], [-1e30, 0, 0]], np.float32))
    np.testing.assert_array_equal(y, [[0.5, 0.5, 0], [0, 0.5, 0.5]])


def test_softmax_along_another_axis():
    x = np.random.default_rng(1).standard_normal((4, 3))
    np.testing.assert_allclose(ops.softmax(x, axis=0), ops.softmax(x.T).T, rtol=1e-12)


def test_empty_arrays_stay_empty():
    assert ops.softmax(np.zeros((0, 5), np.float32)).shape == (0, 5)
    assert ops.sigmoid(np.zeros((0, 3), np.float32)).shape == (0, 3)
    y, cache = ops.relu_forward(np.zeros((0, 4, 5, 2)))
    assert ops.relu_backward(y, cache).shape == (0, 4, 5, 2)
