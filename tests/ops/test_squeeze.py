"""Squeeze and excitation's two ends, on both hands, against hand values; its module is held against torchvision's."""

import numpy as np
import pytest

from npmaskrcnn import nn, ops
from npmaskrcnn.stages.mobilenet import SqueezeExcitation
from tests.reference import store

pytestmark = pytest.mark.usefixtures("hand")

STORED, _ = store.load("light_ops")


def test_the_mean_of_each_channel_and_its_shares_by_hand():
    x = np.array([[1.0, 2, 6], [3, 4, 2]]).reshape(1, 2, 3, 1) * [1, 10]
    y, cache = ops.global_avg_pool2d_forward(x)
    np.testing.assert_array_equal(y, np.array([3.0, 30]).reshape(1, 1, 1, 2))
    dx = ops.global_avg_pool2d_backward(np.array([6.0, 12]).reshape(1, 1, 1, 2), cache)
    np.testing.assert_array_equal(dx, np.broadcast_to([1.0, 2.0], (1, 2, 3, 2)))


def test_the_mean_of_many_numbers_is_taken_in_float64():
    x = 1 + np.random.default_rng(0).random((1, 400, 500, 2), np.float32)
    exact = x.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(ops.global_avg_pool2d_forward(x)[0], exact, rtol=6e-8)     # one rounding


def test_scaled_channels_by_hand():
    x = np.arange(1.0, 9).reshape(2, 1, 2, 2)
    scale = np.array([1.0, 2, 3, 4]).reshape(2, 1, 1, 2)
    y, cache = ops.scale_channels_forward(x, scale)
    np.testing.assert_array_equal(y.reshape(2, 2, 2), [[[1, 4], [3, 8]], [[15, 24], [21, 32]]])
    dx, dscale = ops.scale_channels_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(dx, np.broadcast_to(scale, x.shape))
    np.testing.assert_array_equal(dscale.reshape(2, 2), [[1 + 3, 2 + 4], [5 + 7, 6 + 8]])


def test_no_image_has_no_mean_and_nothing_to_scale():
    x = np.zeros((0, 4, 5, 3))
    mean, mean_cache = ops.global_avg_pool2d_forward(x)
    y, cache = ops.scale_channels_forward(x, mean)
    assert mean.shape == (0, 1, 1, 3) and y.shape == x.shape
    dx, dscale = ops.scale_channels_backward(y, cache)
    assert dx.shape == ops.global_avg_pool2d_backward(dscale, mean_cache).shape == x.shape


def test_squeeze_and_excitation_is_torchvisions_forward_and_backward():
    module = SqueezeExcitation(6, 4).astype(np.float64)
    module.load_state_dict({name.removeprefix("squeeze/state/"): value for name, value in STORED.items()
                            if name.startswith("squeeze/state/")})
    notes = nn.Notes()
    y = module.forward(STORED["squeeze/x"], notes)
    np.testing.assert_allclose(y, STORED["squeeze/y"], rtol=0, atol=1e-14)
    # torch multiplies hardsigmoid's gradient by a sixth of float32, in float64 as well
    dx = module.backward(STORED["squeeze/dy"], notes)
    np.testing.assert_allclose(dx, STORED["squeeze/dx"], rtol=0, atol=3.1e-8 * np.abs(dx).max())
    gradients = module.grad_dict()
    assert len(gradients) == 4
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, STORED[f"squeeze/grads/{name}"], rtol=0, err_msg=name,
                                   atol=3.1e-8 * np.abs(gradient).max())
