"""Hardsigmoid and hardswish, on both hands, against hand values, torch's stored answers and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops
from tests.helpers import check_gradient
from tests.reference import store

pytestmark = pytest.mark.usefixtures("hand")

STORED, _ = store.load("light_ops")


def test_hardsigmoid_by_hand():
    x = np.array([-9.0, -3, -1.5, 0, 3, 9])
    y, cache = ops.hardsigmoid_forward(x)
    np.testing.assert_array_equal(y, [0, 0, 0.25, 0.5, 1, 1])
    # at the corners themselves no gradient passes, as in torch
    np.testing.assert_array_equal(ops.hardsigmoid_backward(np.full(6, 6.0), cache), [0, 0, 1, 1, 0, 0])


def test_hardswish_by_hand():
    x = np.array([-9.0, -3, -1.5, 0, 1.5, 3, 9])
    y, cache = ops.hardswish_forward(x)
    np.testing.assert_array_equal(y, [0, 0, -0.375, 0, 1.125, 3, 9])
    # x / 3 + 1/2 between the corners, at them what is outside
    np.testing.assert_array_equal(ops.hardswish_backward(np.ones(7), cache), [0, 0, 0, 0.5, 1, 1, 1])


@pytest.mark.parametrize("name", ["hardsigmoid", "hardswish"])
def test_values_and_gradients_are_torchs_at_the_corners_and_between(name):
    x, y, dy, dx = (STORED[f"{name}/{part}"] for part in ("x", "y", "dy", "dx"))
    assert {-3.0, 3.0} < set(x)
    ours, cache = getattr(ops, f"{name}_forward")(x)
    np.testing.assert_allclose(ours, y, rtol=0, atol=1e-15)
    # torch multiplies hardsigmoid's gradient by a sixth of float32, in float64 as well
    tolerance = 3.1e-8 if name == "hardsigmoid" else 0
    np.testing.assert_allclose(getattr(ops, f"{name}_backward")(dy, cache), dx, rtol=tolerance, atol=1e-15)


@pytest.mark.parametrize("name", ["hardsigmoid", "hardswish"])
def test_backward_is_the_derivative(name):
    rng = np.random.default_rng(0)
    x = rng.uniform(-5, 5, (3, 4, 5))
    x[np.abs(np.abs(x) - 3) < 0.01] += 0.02      # away from the corners
    check_gradient(getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward"), [x], rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hardswish_in_place_gives_what_hardswish_gives(dtype):
    x = np.random.default_rng(0).uniform(-5, 5, (3, 4, 5)).astype(dtype)
    expected, _ = ops.hardswish_forward(x)
    y = ops.hardswish_in_place(x.copy())
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype
