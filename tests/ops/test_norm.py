"""Batch norms, on both hands, against hand values, a slow twin, float64 and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops, reference
from tests.helpers import check_gradient

pytestmark = pytest.mark.usefixtures("hand")


def example(rng, shape=(2, 5, 3, 6), dtype=np.float64):
    x = rng.standard_normal(shape) * rng.uniform(0.5, 3, shape[3]) + rng.uniform(-5, 5, shape[3])
    weight, bias = rng.uniform(0.5, 2, shape[3]), rng.standard_normal(shape[3])
    return x.astype(dtype), weight.astype(dtype), bias.astype(dtype)


def test_batch_norm_by_hand():
    # one channel 1, 2, 3, 4: mean 2.5, biased variance 1.25, unbiased 5 / 3
    x = np.array([1.0, 2, 3, 4]).reshape(1, 2, 2, 1)
    y, cache = ops.batch_norm_forward(x, np.array([2.0]), np.array([10.0]), eps=0.0)
    normalized = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    np.testing.assert_allclose(y.ravel(), 10 + 2 * normalized, rtol=1e-14)
    np.testing.assert_allclose(cache.mean, [2.5], rtol=1e-14)
    np.testing.assert_allclose(cache.unbiased_var, [5 / 3], rtol=1e-14)


# the second: more pixels than one partial sum; the third: a number of pixels that no power of two divides
@pytest.mark.parametrize("shape", [(2, 5, 3, 6), (2, 64, 40, 3), (1, 37, 29, 5), (3, 1, 1, 4)])
def test_batch_norm_equals_its_slow_twin(shape):
    x, weight, bias = example(np.random.default_rng(0), shape)
    y, _ = ops.batch_norm_forward(x, weight, bias, eps=1e-3)
    np.testing.assert_allclose(y, reference.batch_norm(x, weight, bias, eps=1e-3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 5, 3, 6), (1, 16, 12, 2)])
def test_batch_norm_backward_is_the_derivative(shape):
    rng = np.random.default_rng(1)
    inputs, names = example(rng, shape), ["x", "weight", "bias"]
    check_gradient(ops.batch_norm_forward, ops.batch_norm_backward, inputs, rng, names)


def test_batch_norm_in_float32_is_good_for_large_means_and_many_pixels():
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((2, 150, 160, 4)) + 100).astype(np.float32)  # a mean of a hundred deviations
    weight, bias = np.array([1, 2, 0.5, 1], np.float32), np.zeros(4, np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    y, cache = ops.batch_norm_forward(x, weight, bias)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    exact_y, exact_cache = ops.batch_norm_forward(*wide)
    np.testing.assert_allclose(cache.mean, exact_cache.mean, rtol=2e-7)  # two float32 roundings
    np.testing.assert_allclose(cache.unbiased_var, exact_cache.unbiased_var, rtol=2e-6)
    # x itself is rounded to 4e-6 at 100, its mean likewise
    np.testing.assert_allclose(y, exact_y, rtol=0, atol=4e-5)
    exact = ops.batch_norm_backward(dy.astype(np.float64), exact_cache)
    dx, dweight, dbias = ops.batch_norm_backward(dy, cache)
    np.testing.assert_allclose(dx, exact[0], rtol=0, atol=1e-5)
    # sums of 48,000 numbers of size one: some 200, of which float32 keeps 1e-5
    np.testing.assert_allclose(dweight, exact[1], rtol=0, atol=2e-3)
    np.testing.assert_allclose(dbias, exact[2], rtol=0, atol=5e-4)


def test_batch_norm_of_a_single_pixel_or_of_no_image_is_finite():
    weight, bias = np.full(3, 2.0), np.array([1.0, 2, 3])
    y, cache = ops.batch_norm_forward(np.full((1, 1, 1, 3), 7.0), weight, bias)
    np.testing.assert_array_equal(y[0, 0, 0], bias)
    np.testing.assert_array_equal(cache.unbiased_var, np.zeros(3))
    y, cache = ops.batch_norm_forward(np.zeros((0, 4, 5, 3)), weight, bias)
    dx, dweight, dbias = ops.batch_norm_backward(y, cache)
    assert y.shape == dx.shape == (0, 4, 5, 3)
    np.testing.assert_array_equal(dweight, np.zeros(3))
    np.testing.assert_array_equal(dbias, np.zeros(3))


def test_frozen_batch_norm_by_hand():
    # (3 - 1) / sqrt(4) * 5 + 7 = 12; the slope is 5 / 2
    statistics = [np.array([5.0]), np.array([7.0]), np.array([1.0]), np.array([4.0])]
    y, cache = ops.frozen_batch_norm_forward(np.full((1, 1, 2, 1), 3.0), *statistics, eps=0.0)
    np.testing.assert_array_equal(y.ravel(), [12, 12])
    dx = ops.frozen_batch_norm_backward(np.array([2.0, 4.0]).reshape(1, 1, 2, 1), cache)
    np.testing.assert_array_equal(dx.ravel(), [5, 10])


def test_frozen_batch_norm_backward_is_the_derivative():
    rng = np.random.default_rng(3)
    x, weight, bias = example(rng)
    mean, var = rng.standard_normal(6), rng.uniform(0.1, 4, 6)
    check_gradient(
        lambda x: ops.frozen_batch_norm_forward(x, weight, bias, mean, var),
        ops.frozen_batch_norm_backward,
        [x],
        rng,
    )


def test_frozen_batch_norm_equals_batch_norm_on_the_batchs_own_statistics():
    x, weight, bias = example(np.random.default_rng(4))
    y, cache = ops.batch_norm_forward(x, weight, bias)
    frozen, _ = ops.frozen_batch_norm_forward(x, weight, bias, cache.mean, x.var(axis=(0, 1, 2)))
    np.testing.assert_allclose(frozen, y, rtol=0, atol=1e-12)


def test_stored_batch_norm_by_hand():
    # (3 - 1) / sqrt(4) = 1 and (7 - 1) / sqrt(4) = 3, times 5, plus 7
    statistics = [np.array([5.0]), np.array([7.0]), np.array([1.0]), np.array([4.0])]
    y, cache = ops.stored_batch_norm_forward(np.array([3.0, 7.0]).reshape(1, 1, 2, 1), *statistics, eps=0.0)
    np.testing.assert_array_equal(y.ravel(), [12, 22])
    dx, dweight, dbias = ops.stored_batch_norm_backward(np.array([2.0, 4.0]).reshape(1, 1, 2, 1), cache)
    np.testing.assert_array_equal(dx.ravel(), [5, 10])
    np.testing.assert_array_equal(dweight, [2 * 1 + 4 * 3])
    np.testing.assert_array_equal(dbias, [6])


def test_stored_batch_norm_backward_is_the_derivative():
    rng = np.random.default_rng(5)
    mean, var = rng.standard_normal(6), rng.uniform(0.1, 4, 6)
    check_gradient(
        lambda x, weight, bias: ops.stored_batch_norm_forward(x, weight, bias, mean, var, 1e-3),
        ops.stored_batch_norm_backward,
        example(rng),
        rng,
        names=["x", "weight", "bias"],
    )


def test_stored_and_frozen_batch_norm_give_the_same_to_the_bit():
    x, weight, bias = example(np.random.default_rng(6), dtype=np.float32)
    mean, var = x.mean(axis=(0, 1, 2)) + 1, x.var(axis=(0, 1, 2))
    stored, stored_cache = ops.stored_batch_norm_forward(x, weight, bias, mean, var)
    frozen, frozen_cache = ops.frozen_batch_norm_forward(x, weight, bias, mean, var)
    np.testing.assert_array_equal(stored, frozen)
    dy = np.random.default_rng(7).standard_normal(x.shape).astype(np.float32)
    dx = ops.stored_batch_norm_backward(dy, stored_cache)[0]
    np.testing.assert_array_equal(dx, ops.frozen_batch_norm_backward(dy, frozen_cache))


def test_frozen_batch_norm_keeps_nothing_but_a_number_a_channel():
    x, weight, bias = example(np.random.default_rng(8))
    _, cache = ops.frozen_batch_norm_forward(x, weight, bias, bias, weight)
    assert [array.shape for array in cache] == [(6,)]


def test_stored_batch_norm_of_no_image_has_zero_gradients():
    statistics = [np.ones(3, np.float32)] * 4
    y, cache = ops.stored_batch_norm_forward(np.zeros((0, 4, 5, 3), np.float32), *statistics)
    dx, dweight, dbias = ops.stored_batch_norm_backward(y, cache)
    assert y.shape == dx.shape == (0, 4, 5, 3)
    np.testing.assert_array_equal([dweight, dbias], np.zeros((2, 3)))
