"""Depthwise convolution, on both hands, against hand values, torch's stored answers and the usual convolution."""

import numpy as np
import pytest

from npmaskrcnn import ops
from tests.helpers import check_gradient
from tests.reference import store

pytestmark = pytest.mark.usefixtures("hand")

STORED, META = store.load("light_ops")
# kernel, stride, padding, image size
CASES = [
    ((3, 3), (1, 1), (1, 1), (6, 7)), ((3, 3), (2, 2), (1, 1), (7, 8)), ((5, 5), (2, 2), (2, 2), (9, 6)),
    ((2, 5), (3, 1), (0, 2), (8, 5)), ((1, 4), (2, 3), (3, 0), (5, 11)), ((3, 2), (1, 4), (2, 1), (1, 3)),
]


def test_depthwise_conv2d_by_hand():
    # channel 0: 1 2 3    kernel 1 10    1*1 + 10*2 = 21    2*1 + 10*3 = 32
    # channel 1: 4 5 6    kernel 2 -1    2*4 - 1*5 = 3      2*5 - 1*6 = 4
    x = np.array([[1.0, 4], [2, 5], [3, 6]]).reshape(1, 1, 3, 2)
    weight = np.array([[1.0, 2], [10, -1]]).reshape(1, 2, 1, 2)
    y, cache = ops.depthwise_conv2d_forward(x, weight, np.array([100.0, 0]))
    np.testing.assert_array_equal(y, np.array([[121.0, 3], [132, 4]]).reshape(1, 1, 2, 2))
    dx, dweight, dbias = ops.depthwise_conv2d_backward(np.array([[1.0, 1], [2, 3]]).reshape(1, 1, 2, 2), cache)
    np.testing.assert_array_equal(dx[0, 0], [[1, 2], [10 + 2, -1 + 6], [20, -3]])
    np.testing.assert_array_equal(dweight[0, :, 0], [[1 + 4, 4 + 15], [2 + 6, 5 + 18]])
    np.testing.assert_array_equal(dbias, [3, 4])


@pytest.mark.parametrize("kernel, stride, padding, size", CASES)
def test_it_is_a_convolution_with_as_many_groups_as_channels(kernel, stride, padding, size):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape) for shape in ((2, *size, 3), (*kernel, 1, 3), (3,)))
    y, cache = ops.depthwise_conv2d_forward(x, weight, bias, stride, padding)
    expected, grouped = ops.conv2d_forward(x, weight, bias, stride, padding, groups=3)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(ops.depthwise_conv2d(x, weight, bias, stride, padding), y)
    dy = rng.standard_normal(y.shape)
    for one, two in zip(ops.depthwise_conv2d_backward(dy, cache), ops.conv2d_backward(dy, grouped)):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)
    assert cache[3:] == grouped[3:]


@pytest.mark.parametrize("kernel, stride, padding, size", CASES)
def test_depthwise_backward_is_the_derivative(kernel, stride, padding, size):
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(shape) for shape in ((2, *size, 3), (*kernel, 1, 3), (3,))]
    check_gradient(lambda x, w, b: ops.depthwise_conv2d_forward(x, w, b, stride, padding),
                   ops.depthwise_conv2d_backward, inputs, rng, names=["x", "weight", "bias"])


@pytest.mark.parametrize("i", range(len(META["depthwise"])))
def test_depthwise_conv2d_equals_torchs(i):
    run, stored = META["depthwise"][i], {name: STORED.get(f"depthwise/{i}/{name}") for name in (
        "x", "weight", "bias", "y", "dy", "dx", "dweight", "dbias")}
    y, cache = ops.depthwise_conv2d_forward(stored["x"], stored["weight"], stored["bias"], tuple(run["stride"]),
                                            tuple(run["padding"]))
    np.testing.assert_allclose(y, stored["y"], rtol=0, atol=1e-13)      # the same sums, in another order
    for name, gradient in zip(("dx", "dweight", "dbias"), ops.depthwise_conv2d_backward(stored["dy"], cache)):
        if name == "dbias" and not run["bias"]:
            assert gradient is None
        else:
            np.testing.assert_allclose(gradient, stored[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("stride", [1, 2])
def test_no_image_gives_no_output_and_no_gradient(stride):
    y, cache = ops.depthwise_conv2d_forward(np.zeros((0, 6, 7, 3)), np.ones((3, 3, 1, 3)), None, stride, 1)
    assert y.shape == (0, 6 // stride, -(-7 // stride), 3)
    dx, dweight, _ = ops.depthwise_conv2d_backward(y, cache)
    assert dx.shape == (0, 6, 7, 3) and not dweight.any()
