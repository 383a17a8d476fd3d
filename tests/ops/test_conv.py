"""Convolution and transposed convolution, on both hands, against hand values, slow twins and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops, reference
from tests.helpers import check_gradient

pytestmark = pytest.mark.usefixtures("hand")

# kernel, stride, padding, groups, image size: all different along y and x wherever they can be
CASES = [
    ((3, 3), 1, 1, 1, (5, 7)),
    ((1, 1), 1, 0, 1, (5, 4)),
    ((1, 1), 2, 0, 1, (5, 6)),
    ((1, 1), (3, 2), (0, 1), 1, (5, 6)),
    ((3, 3), 2, 1, 1, (8, 7)),  # 8 rows: the last step of 2 is not filled
    ((7, 7), 2, 3, 1, (9, 12)),
    ((3, 3), 1, 1, 2, (4, 6)),
    ((3, 3), 2, 1, 4, (5, 8)),
    ((2, 3), (2, 1), (0, 2), 2, (7, 5)),
    ((3, 2), (1, 3), (2, 1), 1, (4, 8)),
    ((2, 2), 3, 0, 1, (8, 9)),  # steps over pixels that no window sees
    ((2, 2), 2, 0, 1, (5, 7)),  # pixels at the end that no window sees
    ((5, 4), 1, 0, 1, (5, 4)),  # one window
    ((1, 3), 1, (0, 1), 1, (2, 6)),
    ((3, 3), 1, 4, 1, (2, 3)),  # windows that see nothing but padding
]


def example(kernel, groups, size, rng, dtype=np.float64, num_images=2):
    x = rng.standard_normal((num_images, *size, 4)).astype(dtype)
    weight = rng.standard_normal((*kernel, 4 // groups, 8)).astype(dtype)
    return x, weight, rng.standard_normal(8).astype(dtype)


@pytest.mark.parametrize("kernel, stride, padding, groups, size", CASES)
def test_conv2d_equals_its_slow_twin(kernel, stride, padding, groups, size):
    x, weight, bias = example(kernel, groups, size, np.random.default_rng(0))
    y, _ = ops.conv2d_forward(x, weight, bias, stride, padding, groups)
    slow = reference.conv2d(x, weight, bias, stride, padding, groups)
    np.testing.assert_allclose(y, slow, rtol=0, atol=1e-12)  # the same sums in another order, in float64


@pytest.mark.parametrize("kernel, stride, padding, groups, size", CASES)
def test_conv2d_backward_is_the_derivative(kernel, stride, padding, groups, size):
    rng = np.random.default_rng(1)
    check_gradient(
        lambda x, weight, bias: ops.conv2d_forward(x, weight, bias, stride, padding, groups),
        ops.conv2d_backward,
        example(kernel, groups, size, rng),
        rng,
        names=["x", "weight", "bias"],
    )


def test_conv2d_of_a_hand_drawn_image():
    # 0 1 2      1 0      the window at the top left: 0 * 1 + 1 * 0 + 3 * 0 + 4 * 2 = 8
    # 3 4 5      0 2
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    weight = np.array([[1.0, 0.0], [0.0, 2.0]]).reshape(2, 2, 1, 1)
    y, cache = ops.conv2d_forward(x, weight, np.array([0.5]))
    np.testing.assert_array_equal(y[0, :, :, 0], [[8.5, 11.5]])
    # dy = (1, 10): the second window starts one pixel to the right of the first
    dx, dweight, dbias = ops.conv2d_backward(np.array([1.0, 10.0]).reshape(1, 1, 2, 1), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 10, 0], [0, 2, 20]])
    np.testing.assert_array_equal(dweight[:, :, 0, 0], [[0 + 10, 1 + 20], [3 + 40, 4 + 50]])
    np.testing.assert_array_equal(dbias, [11])


def test_inference_form_equals_forward_bit_for_bit():
    x, weight, bias = example((3, 3), 2, (9, 7), np.random.default_rng(2), np.float32)
    y, _ = ops.conv2d_forward(x, weight, bias, 2, 1, 2)
    np.testing.assert_array_equal(ops.conv2d(x, weight, bias, 2, 1, 2), y)


def test_without_bias_its_gradient_is_none():
    rng = np.random.default_rng(3)
    x, weight, _ = example((3, 3), 1, (5, 6), rng)
    y, cache = ops.conv2d_forward(x, weight, padding=1)
    assert ops.conv2d_backward(rng.standard_normal(y.shape), cache)[2] is None


@pytest.mark.parametrize("has_bias", [True, False])
def test_weight_gradient_is_that_of_backward_bit_for_bit(has_bias):
    rng = np.random.default_rng(3)
    x, weight, bias = example((3, 2), 2, (5, 6), rng)
    y, cache = ops.conv2d_forward(x, weight, bias if has_bias else None, (2, 1), 1, 2)
    dy = rng.standard_normal(y.shape)
    dweight, dbias = ops.conv2d_weight_gradient(dy, cache)
    _, same_dweight, same_dbias = ops.conv2d_backward(dy, cache)
    np.testing.assert_array_equal(dweight, same_dweight)
    assert dbias is same_dbias is None if not has_bias else (dbias == same_dbias).all()


@pytest.mark.parametrize("has_shortcut", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_sum_and_relu_are_added_to_a_convolution_bit_for_bit(has_shortcut, relu, groups):
    rng = np.random.default_rng(8)
    x, weight, bias = example((3, 3), groups, (9, 7), rng, np.float32)
    y, _ = ops.conv2d_forward(x, weight, bias, 2, 1, groups)
    shortcut = rng.standard_normal(y.shape).astype(np.float32) if has_shortcut else None
    expected = y if shortcut is None else y + shortcut
    expected = np.maximum(expected, 0) if relu else expected
    given = [x, weight, bias] + ([shortcut] if has_shortcut else [])
    before = [array.copy() for array in given]
    result = ops.conv2d_add_relu(x, weight, bias, 2, 1, groups, shortcut, relu)
    np.testing.assert_array_equal(result, expected)
    for array, old in zip(given, before):
        np.testing.assert_array_equal(array, old)       # nothing is written to,
        assert not np.shares_memory(array, result)      # and the result is memory of its own
    assert result.dtype == np.float32


@pytest.mark.parametrize("kernel", [1, 3])
def test_sum_with_a_shortcut_that_is_the_input_itself(kernel):
    x = np.random.default_rng(9).standard_normal((2, 5, 6, 4))
    weight = np.random.default_rng(10).standard_normal((kernel, kernel, 4, 4))
    y = ops.conv2d_add_relu(x, weight, padding=kernel // 2, shortcut=x)
    expected = np.maximum(ops.conv2d(x, weight, padding=kernel // 2) + x, 0)
    np.testing.assert_array_equal(y, expected)


def test_conv2d_accepts_views_that_are_not_contiguous():
    rng = np.random.default_rng(5)
    x, weight, bias = example((3, 3), 1, (6, 8), rng)
    y, cache = ops.conv2d_forward(x, weight, bias, padding=1)
    dy = rng.standard_normal(y.shape)
    gradients = ops.conv2d_backward(dy, cache)
    awkward = [np.asfortranarray(a) for a in (x, weight)]
    y2, cache2 = ops.conv2d_forward(*awkward, bias, padding=1)
    np.testing.assert_allclose(y2, y, rtol=0, atol=1e-12)  # another order of memory may take another product
    for one, two in zip(ops.conv2d_backward(np.asfortranarray(dy), cache2), gradients):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)


def test_conv2d_of_float32_is_good_to_float32():
    x, weight, bias = example((3, 3), 1, (20, 30), np.random.default_rng(6), np.float32)
    exact = ops.conv2d(x.astype(np.float64), weight.astype(np.float64), bias.astype(np.float64), 1, 1)
    # 36 terms of size one: a few roundings of 6e-8 of a sum of at most some 30
    np.testing.assert_allclose(ops.conv2d(x, weight, bias, 1, 1), exact, rtol=0, atol=1e-5)


# kernel and stride: the mask head's, overlapping stamps, gaps between stamps
STAMPS = [((2, 2), 2), ((3, 3), 2), ((2, 3), (1, 2)), ((1, 2), (2, 3)), ((4, 2), 2)]


@pytest.mark.parametrize("kernel, stride", STAMPS)
class TestConvTranspose2d:
    def example(self, kernel, rng):
        return [rng.standard_normal(shape) for shape in ((2, 3, 4, 5), (*kernel, 5, 6), (6,))]

    def test_equals_its_slow_twin(self, kernel, stride):
        x, weight, bias = self.example(kernel, np.random.default_rng(0))
        y, _ = ops.conv_transpose2d_forward(x, weight, bias, stride)
        np.testing.assert_allclose(y, reference.conv_transpose2d(x, weight, bias, stride), rtol=0, atol=1e-12)

    def test_backward_is_the_derivative(self, kernel, stride):
        rng = np.random.default_rng(1)
        check_gradient(
            lambda x, weight, bias: ops.conv_transpose2d_forward(x, weight, bias, stride),
            ops.conv_transpose2d_backward,
            self.example(kernel, rng),
            rng,
            names=["x", "weight", "bias"],
        )

    def test_is_the_transpose_of_the_convolution(self, kernel, stride):
        # sum(conv(a) * b) == sum(a * conv_transpose(b)), the weight's channels changing places
        rng = np.random.default_rng(2)
        b, weight, _ = self.example(kernel, rng)
        stamped, _ = ops.conv_transpose2d_forward(b, weight, stride=stride)
        a = rng.standard_normal(stamped.shape)
        seen = ops.conv2d(a, weight.transpose(0, 1, 3, 2), stride=stride)
        np.testing.assert_allclose(np.sum(seen * b), np.sum(a * stamped), rtol=1e-10)  # float64 sums


def test_no_image_gives_no_output_and_zero_gradients():
    weight, bias = np.ones((3, 3, 4, 8), np.float32), np.ones(8, np.float32)
    x = np.zeros((0, 5, 7, 4), np.float32)
    y, cache = ops.conv2d_forward(x, weight, bias, stride=2, padding=1)
    assert y.shape == (0, 3, 4, 8)
    dx, dweight, dbias = ops.conv2d_backward(y, cache)
    assert dx.shape == x.shape
    assert not dweight.any() and dweight.shape == weight.shape
    assert not dbias.any() and dbias.shape == bias.shape
    y, cache = ops.conv_transpose2d_forward(x, weight, bias, stride=2)
    assert y.shape == (0, 11, 15, 8)
    assert not ops.conv_transpose2d_backward(y, cache)[1].any()
