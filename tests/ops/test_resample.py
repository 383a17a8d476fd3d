"""Resizing, on both hands, against hand values, a slow twin, linear interpolation and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops, reference
from tests.helpers import check_gradient

pytestmark = pytest.mark.usefixtures("hand")

# input and output size: twice as large, odd ratios, smaller, one axis unchanged, a single pixel, nothing
SIZES = [
    ((3, 5), (6, 10)),
    ((7, 13), (13, 25)),
    ((9, 8), (4, 3)),
    ((4, 6), (4, 11)),
    ((1, 3), (5, 1)),
    ((4, 5), (0, 7)),
]


def interpolate(x, axis, new_size, dtype):
    """By `np.interp` between pixel centers, at coordinates rounded once to `dtype`."""
    size = x.shape[axis]
    ratio = float(dtype(size) / dtype(max(new_size, 1)))
    places = ((np.arange(new_size) + 0.5) * ratio - 0.5).astype(dtype)
    weights = np.stack([np.interp(places, np.arange(size), cell) for cell in np.eye(size)])
    return np.moveaxis(np.tensordot(x, weights, (axis, 0)), -1, axis)


@pytest.mark.parametrize("size, new_size", SIZES)
class TestPairs:
    def test_upsample_nearest_equals_its_slow_twin(self, size, new_size):
        x = np.random.default_rng(0).standard_normal((2, *size, 3)).astype(np.float32)
        y, _ = ops.upsample_nearest_forward(x, new_size)
        np.testing.assert_array_equal(y, reference.upsample_nearest(x, new_size))

    @pytest.mark.parametrize("dtype, atol", [(np.float32, 5e-7), (np.float64, 1e-14)])  # a few roundings
    def test_resize_bilinear_interpolates_along_y_and_along_x(self, size, new_size, dtype, atol):
        x = np.random.default_rng(1).standard_normal((2, *size, 3)).astype(dtype)
        y = ops.resize_bilinear(x, new_size)
        assert y.dtype == dtype
        expected = interpolate(interpolate(x.astype(np.float64), 1, new_size[0], dtype), 2, new_size[1], dtype)
        np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
        np.testing.assert_array_equal(ops.resize_bilinear_forward(x, new_size)[0], y)
        # one image alone: the same numbers, in products of another size, which BLAS may round otherwise
        np.testing.assert_allclose(ops.resize_bilinear(x[1], new_size), y[1], rtol=0, atol=atol)

    @pytest.mark.parametrize("name", ["upsample_nearest", "resize_bilinear"])
    def test_backward_is_the_derivative(self, size, new_size, name):
        rng = np.random.default_rng(2)
        forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
        check_gradient(lambda x: forward(x, new_size), backward, [rng.standard_normal((2, *size, 3))], rng)

    def test_backward_of_one_image_without_a_batch_axis(self, size, new_size):
        rng = np.random.default_rng(3)
        x = rng.standard_normal((*size, 3))
        forward, backward = ops.resize_bilinear_forward, ops.resize_bilinear_backward
        check_gradient(lambda x: forward(x, new_size), backward, [x], rng)

    def test_no_image_gives_no_output(self, size, new_size):
        x = np.zeros((0, *size, 3), np.float32)
        for name in ("upsample_nearest", "resize_bilinear"):
            y, cache = getattr(ops, f"{name}_forward")(x, new_size)
            assert y.shape == (0, *new_size, 3)
            assert getattr(ops, f"{name}_backward")(y, cache).shape == x.shape


def test_bilinear_ramp_by_hand():
    # centers of six pixels over four: -1/6 (held at 0), 1/2, 7/6, 11/6, 5/2, 19/6 (held at 3)
    ramp = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    six, three = (ops.resize_bilinear(ramp, (1, width)).ravel() for width in (6, 3))
    np.testing.assert_allclose(six, [0, 0.5, 7 / 6, 11 / 6, 2.5, 3], rtol=0, atol=3e-7)  # float32 roundings
    np.testing.assert_allclose(three, [1 / 6, 1.5, 17 / 6], rtol=0, atol=3e-7)


def test_resize_keeps_what_has_the_right_size():
    x = np.random.default_rng(4).standard_normal((5, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(ops.resize_bilinear(x, (5, 7)), x)
    np.testing.assert_array_equal(ops.upsample_nearest_forward(x[None], (5, 7))[0], x[None])


def test_resizing_a_constant_gives_the_constant():
    y = ops.resize_bilinear(np.full((48, 64, 3), 0.7, np.float32), (80, 107))
    np.testing.assert_allclose(y, 0.7, rtol=2e-7)  # weights add up to one but for a rounding


def test_bilinear_coordinates_are_rounded_once_in_float32_and_not_at_all_in_float64():
    # In float32 at 480 -> 800 the ratio is float32(0.6) = 0.60000002384.
    def position(dtype):
        low, high, fraction = ops.bilinear_neighbors(480, 800, dtype)
        return low + (high - low) * fraction.astype(np.float64)

    exact = np.clip((np.arange(800) + 0.5) * 0.6 - 0.5, 0, 479)
    np.testing.assert_allclose(position(np.float64), exact, rtol=0, atol=1e-12)
    ratio = float(np.float32(480) / np.float32(800))
    rounded = np.clip(((np.arange(800) + 0.5) * ratio - 0.5).astype(np.float32), 0, 479)
    np.testing.assert_allclose(position(np.float32), rounded, rtol=0, atol=1e-12)
    assert np.abs(rounded - exact).max() > 5e-6


def test_nearest_pixel_is_not_the_exact_quotient_everywhere():
    def index(size, new_size):
        return ops.resize_nearest(np.arange(size)[:, None], (new_size, 1))[:, 0]

    # 13 -> 25: two copies of each row but the last
    np.testing.assert_array_equal(index(13, 25), np.arange(25) * 13 // 25)
    # 41 * float32(2 / 82) falls short of 1 at i = 41, where the exact quotient does not
    assert (np.arange(82) * 2 // 82)[41] == 1
    assert index(2, 82)[41] == 0


def test_resize_nearest_of_masks():
    # a mask of 5x6 with a block in it becomes 8x9
    masks = np.zeros((2, 5, 6), bool)
    masks[0, 1:4, 2:5] = True
    resized = ops.resize_nearest(masks, (8, 9))
    assert resized.dtype == bool and resized.shape == (2, 8, 9)
    # row i takes i * 5 // 8 = 0 0 1 1 2 3 3 4; column j takes j * 6 // 9 = 0 0 1 2 2 3 4 4 5
    expected = np.zeros((8, 9), bool)
    expected[2:7, 3:8] = True
    np.testing.assert_array_equal(resized[0], expected)
    assert not resized[1].any()
    assert ops.resize_nearest(np.zeros((0, 5, 6), bool), (8, 9)).shape == (0, 8, 9)
