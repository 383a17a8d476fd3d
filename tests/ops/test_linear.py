import numpy as np

from npmaskrcnn import ops
from tests.helpers import check_gradient


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
