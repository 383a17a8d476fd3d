"""The gradient check itself: it must accept what is right and refuse what is a little wrong."""

import numpy as np
import pytest

from tests.helpers import check_gradient


def product(x, y):
    return x * y, (x, y)


def inputs(rng):
    return [rng.standard_normal((3, 4)), rng.standard_normal((3, 4))]


def test_right_gradient_passes():
    rng = np.random.default_rng(0)
    check_gradient(product, lambda dz, cache: (dz * cache[1], dz * cache[0]), inputs(rng), rng)


def test_gradient_wrong_in_a_single_number_fails():
    def backward(dz, cache):
        dx = dz * cache[1]
        dx[1, 2] *= 1.001
        return dx, dz * cache[0]

    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="gradient by left"):
        check_gradient(product, backward, inputs(rng), rng, names=["left", "right"])


def test_gradient_that_ignores_dy_fails():
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="gradient by input 0"):
        check_gradient(product, lambda dz, cache: (cache[1], cache[0]), inputs(rng), rng)


def test_gradient_of_another_shape_fails():
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="shape"):
        check_gradient(product, lambda dz, cache: (np.sum(dz), dz), inputs(rng), rng)


def test_missing_gradient_fails():
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match="2 inputs, 1 gradients"):
        check_gradient(product, lambda dz, cache: dz * cache[1], inputs(rng), rng)
