"""Max pooling, on both hands, against hand values, its slow twin and differences."""

import numpy as np
import pytest

from npmaskrcnn import ops, reference
from tests.helpers import check_gradient, distinct

pytestmark = pytest.mark.usefixtures("hand")

# kernel, stride, padding, image size
CASES = [
    (3, 2, 1, (8, 7)),  # the stem's
    (3, 2, 1, (9, 12)),
    (2, 2, 0, (5, 6)),
    (1, 2, 0, (5, 8)),  # P6's: every second pixel
    (1, 1, 0, (3, 4)),
    ((3, 2), (1, 2), (1, 0), (4, 7)),
    ((2, 5), (3, 1), (0, 2), (9, 5)),
    (3, 1, 1, (4, 5)),
    (6, 1, 3, (1, 5)),  # some places of the window meet no input at all
]


@pytest.mark.parametrize("kernel_size, stride, padding, size", CASES)
def test_max_pool2d_equals_its_slow_twin(kernel_size, stride, padding, size):
    x = np.random.default_rng(0).integers(-9, 0, (2, *size, 3)).astype(np.float32)  # negative, with many ties
    y, _ = ops.max_pool2d_forward(x, kernel_size, stride, padding)
    np.testing.assert_array_equal(y, reference.max_pool2d(x, kernel_size, stride, padding))
    assert y.dtype == np.float32


@pytest.mark.parametrize("kernel_size, stride, padding, size", CASES)
def test_max_pool2d_backward_is_the_derivative(kernel_size, stride, padding, size):
    rng = np.random.default_rng(1)
    x = distinct((2, *size, 3), rng)
    check_gradient(
        lambda x: ops.max_pool2d_forward(x, kernel_size, stride, padding), ops.max_pool2d_backward, [x], rng
    )


@pytest.mark.parametrize("kernel_size, stride, padding, size", CASES)
def test_of_equal_maxima_the_first_in_reading_order_gets_the_gradient(kernel_size, stride, padding, size):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, (2, *size, 3)).astype(float)
    _, cache = ops.max_pool2d_forward(x, kernel_size, stride, padding)
    # a slope so small that it decides between equal numbers only
    tilted = x - 1e-6 * np.arange(size[0] * size[1]).reshape(1, *size, 1)
    y, tilted_cache = ops.max_pool2d_forward(tilted, kernel_size, stride, padding)
    dy = rng.standard_normal(y.shape)
    dx, tilted_dx = (ops.max_pool2d_backward(dy, c) for c in (cache, tilted_cache))
    np.testing.assert_array_equal(dx, tilted_dx)


def test_max_pool2d_by_hand():
    # 1 5 2 0     windows of 2x2, step 2: the right column and the lowest row fill no window
    # 5 3 2 2     maxima 5 (twice: the upper one comes first) and 2 (three times)
    # 9 9 9 9
    x = np.array([[1.0, 5, 2, 0], [5, 3, 2, 2], [9, 9, 9, 9]]).reshape(1, 3, 4, 1)
    y, cache = ops.max_pool2d_forward(x, 2, 2)
    np.testing.assert_array_equal(y[0, :, :, 0], [[5, 2]])
    dx = ops.max_pool2d_backward(np.array([3.0, 4.0]).reshape(1, 1, 2, 1), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 3, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_overlapping_windows_add_their_gradients():
    # the 9 in the middle is the maximum of all four windows
    x = np.array([[1.0, 2, 3], [4, 9, 5], [6, 7, 8]]).reshape(1, 3, 3, 1)
    _, cache = ops.max_pool2d_forward(x, 2, 1)
    dx = ops.max_pool2d_backward(np.array([1.0, 10, 100, 1000]).reshape(1, 2, 2, 1), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0], [0, 1111, 0], [0, 0, 0]])


@pytest.mark.parametrize("kernel_size, padding", [(3, 1), (1, 0)])
def test_no_image_gives_no_output(kernel_size, padding):
    y, cache = ops.max_pool2d_forward(np.zeros((0, 6, 8, 3)), kernel_size, 2, padding)
    assert y.shape == (0, 3, 4, 3)
    assert ops.max_pool2d_backward(y, cache).shape == (0, 6, 8, 3)
