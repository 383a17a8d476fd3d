"""What every forward/backward pair of `npmaskrcnn.ops` promises on both hands, whatever it computes.

Nothing here is held against known numbers: dtypes, shapes, whose memory it is, what must stay as it was, and what two
calls owe each other.
"""

import copy

import numpy as np
import pytest
import scipy.sparse

from npmaskrcnn import ops
from tests.helpers import away_from_zero, check_gradient, distinct

pytestmark = pytest.mark.usefixtures("hand")

ROIS = np.array([[0, 1.0, 2.0, 9.5, 7.0], [1, 0.0, 0.5, 4.0, 11.0], [1, 3.0, 3.0, 3.5, 20.0]])
TARGETS = np.linspace(0, 1, 20).reshape(5, 4)

# Each pair: its forward with everything but the differentiable inputs filled in, and the shapes of those.
PAIRS = {
    "conv2d": [
        (lambda x, w, b: ops.conv2d_forward(x, w, b, 2, (1, 0), 2), [(2, 5, 7, 4), (3, 2, 2, 6), (6,)]),
        (lambda x, w, b: ops.conv2d_forward(x, w, b, padding=1), [(2, 6, 5, 4), (3, 3, 4, 8), (8,)]),
        (lambda x, w: ops.conv2d_forward(x, w), [(2, 5, 7, 4), (1, 1, 4, 6)]),
        (lambda x, w: ops.conv2d_forward(x, w, stride=2), [(2, 5, 7, 4), (1, 1, 4, 6)]),
    ],
    "conv_transpose2d": [
        (lambda x, w, b: ops.conv_transpose2d_forward(x, w, b, 2), [(2, 3, 4, 5), (2, 2, 5, 6), (6,)]),
        (lambda x, w: ops.conv_transpose2d_forward(x, w, None, 2), [(2, 3, 4, 5), (3, 2, 5, 6)]),
    ],
    "linear": [(ops.linear_forward, [(5, 7), (7, 3), (3,)]), (ops.linear_forward, [(5, 7), (7, 3)])],
    "max_pool2d": [
        (lambda x: ops.max_pool2d_forward(x, 3, 2, 1), [(2, 7, 8, 3)]),
        (lambda x: ops.max_pool2d_forward(x, 1, 2), [(2, 7, 8, 3)]),
        (lambda x: ops.max_pool2d_forward(x, 1, 1), [(2, 7, 8, 3)]),
    ],
    "relu": [(ops.relu_forward, [(2, 5, 7, 3)])],
    "depthwise_conv2d": [
        (lambda x, w, b: ops.depthwise_conv2d_forward(x, w, b, 2, (1, 0)), [(2, 5, 7, 4), (3, 2, 1, 4), (4,)]),
        (lambda x, w: ops.depthwise_conv2d_forward(x, w, padding=2), [(2, 6, 5, 3), (5, 5, 1, 3)]),
    ],
    # moved a little, so that no number is at a corner of the gate
    "hardsigmoid": [(lambda x: ops.hardsigmoid_forward(x + x.dtype.type(0.05)), [(2, 5, 7, 3)])],
    "hardswish": [(lambda x: ops.hardswish_forward(x + x.dtype.type(0.05)), [(2, 5, 7, 3)])],
    "global_avg_pool2d": [(ops.global_avg_pool2d_forward, [(2, 5, 7, 3)])],
    "scale_channels": [(ops.scale_channels_forward, [(2, 5, 7, 3), (2, 1, 1, 3)])],
    "batch_norm": [(ops.batch_norm_forward, [(2, 5, 7, 3), (3,), (3,)])],
    "frozen_batch_norm": [
        (
            lambda x: ops.frozen_batch_norm_forward(x, *np.linspace(0.5, 3, 12, dtype=x.dtype).reshape(4, 3)),
            [(2, 5, 7, 3)],
        )
    ],
    "stored_batch_norm": [
        (
            lambda x, w, b: ops.stored_batch_norm_forward(x, w, b, *np.array([[0.5, 1, 2], [3, 4, 5]], x.dtype)),
            [(2, 5, 7, 3), (3,), (3,)],
        )
    ],
    "upsample_nearest": [
        (lambda x: ops.upsample_nearest_forward(x, (6, 10)), [(2, 3, 5, 4)]),
        (lambda x: ops.upsample_nearest_forward(x, (5, 9)), [(2, 3, 5, 4)]),
        (lambda x: ops.upsample_nearest_forward(x, (3, 5)), [(2, 3, 5, 4)]),
    ],
    "resize_bilinear": [
        (lambda x: ops.resize_bilinear_forward(x, (7, 4)), [(2, 5, 6, 3)]),
        (lambda x: ops.resize_bilinear_forward(x, (5, 6)), [(2, 5, 6, 3)]),
        (lambda x: ops.resize_bilinear_forward(x, (9, 11)), [(5, 6, 3)]),
    ],
    "roi_align": [
        (lambda x: ops.roi_align_forward(x, ROIS.astype(x.dtype), (2, 3), 0.5, ratio), [(2, 6, 7, 4)])
        for ratio in (2, -1)
    ],
    "roi_pool": [(lambda x: ops.roi_pool_forward(x, ROIS.astype(x.dtype), (2, 3), 0.5), [(2, 6, 7, 4)])],
    "softmax_cross_entropy": [
        (lambda x: ops.softmax_cross_entropy_forward(x, np.array([0, 3, 1, 1, 2])), [(5, 4)]),
    ],
    "binary_cross_entropy_with_logits": [
        (lambda x: ops.binary_cross_entropy_with_logits_forward(x, TARGETS.astype(x.dtype)), [(5, 4)]),
    ],
    "smooth_l1": [
        (lambda x: ops.smooth_l1_forward(x, TARGETS.astype(x.dtype), 0.5), [(5, 4)]),
    ],
}
OF_ROWS = ("softmax_cross_entropy", "binary_cross_entropy_with_logits", "smooth_l1", "scale_channels")
CASES = [
    pytest.param(name, *case, id=f"{name}-{k}")
    for name, cases in PAIRS.items()
    for k, case in enumerate(cases)
]


def test_every_pair_is_in_the_table():
    forwards = {name.removesuffix("_forward") for name in dir(ops) if name.endswith("_forward")}
    backwards = {name.removesuffix("_backward") for name in dir(ops) if name.endswith("_backward")}
    assert forwards == backwards == set(PAIRS)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.mark.parametrize("name, forward, shapes", CASES)
class TestEveryPair:
    def test_keeps_the_dtype(self, name, forward, shapes, dtype):
        _, y, dy, gradients, _ = run(name, forward, shapes, dtype)
        assert y.dtype == dtype
        assert [gradient.dtype for gradient in gradients] == [dtype] * len(shapes)

    def test_gradients_have_the_shapes_of_what_they_are_gradients_of(self, name, forward, shapes, dtype):
        *_, gradients, _ = run(name, forward, shapes, dtype)
        assert [gradient.shape for gradient in gradients] == shapes

    def test_does_not_write_to_its_inputs_to_dy_or_to_the_cache(self, name, forward, shapes, dtype):
        # inputs and dy are read-only already (see `run`); the cache may also hold arrays of its own
        _, _, dy, _, cache = run(name, forward, shapes, dtype)
        before = copy.deepcopy(arrays_in(cache))
        backward(name, dy, cache)
        for array, old in zip(arrays_in(cache), before):
            np.testing.assert_array_equal(array, old)

    def test_gradients_are_memory_of_their_own(self, name, forward, shapes, dtype):
        inputs, y, dy, gradients, cache = run(name, forward, shapes, dtype)
        others = [*inputs, y, dy, *arrays_in(cache)]
        for k, gradient in enumerate(gradients):
            assert gradient.flags.writeable
            assert not any(np.shares_memory(gradient, other) for other in others + gradients[:k])

    def test_output_is_memory_of_its_own(self, name, forward, shapes, dtype):
        inputs, y, *_ = run(name, forward, shapes, dtype)
        assert not any(np.shares_memory(y, x) for x in inputs)

    def test_two_backwards_give_the_same_and_separate_gradients(self, name, forward, shapes, dtype):
        _, _, dy, gradients, cache = run(name, forward, shapes, dtype)
        for one, two in zip(gradients, backward(name, dy, cache)):
            np.testing.assert_array_equal(one, two)
            assert not np.shares_memory(one, two)

    def test_a_cache_belongs_to_its_own_forward(self, name, forward, shapes, dtype):
        # two forwards, then their backwards in either order: no state is kept in between
        first, second = (make(shapes, dtype, seed) for seed in (1, 2))
        alone = [run(name, forward, shapes, dtype, seed)[3] for seed in (1, 2)]
        (y1, cache1), (y2, cache2) = forward(*first), forward(*second)
        dy1, dy2 = upstream(y1, 1), upstream(y2, 2)
        for order in ((0, 1), (1, 0)):
            calls = [(dy1, cache1), (dy2, cache2)]
            together = {k: backward(name, *calls[k]) for k in order}
            for k in order:
                for one, two in zip(together[k], alone[k]):
                    np.testing.assert_array_equal(one, two)

    def test_gradients_are_linear_in_dy(self, name, forward, shapes):
        _, _, dy, gradients, cache = run(name, forward, shapes, np.dtype("float64"))
        for one, two in zip(gradients, backward(name, -3 * dy, cache)):
            np.testing.assert_allclose(two, -3 * one, rtol=1e-12, atol=1e-13)

    def test_gradients_are_those_of_differences(self, name, forward, shapes):
        rng = np.random.default_rng(5)
        inputs = [away_from_zero(distinct(shape, rng)) for shape in shapes]     # no maximum and no sign changes sides
        check_gradient(forward, lambda dy, cache: tuple(backward(name, dy, cache)), inputs, rng)

    def test_nothing_goes_through_forward_and_backward(self, name, forward, shapes):
        if "roi" in name or name in OF_ROWS or len(shapes[0]) == 3:
            pytest.skip("no batch, or regions, labels or scales of rows that are not there: see its own file")
        x, *others = make(shapes, np.dtype("float64"), seed=0)
        y, cache = forward(x[:0], *others)
        gradients = backward(name, np.ones(np.shape(y)), cache)
        assert [gradient.shape for gradient in gradients] == [x[:0].shape, *(other.shape for other in others)]
        assert all(np.isfinite(gradient).all() for gradient in gradients)

    def test_is_clean_under_strict_floating_point_rules(self, name, forward, shapes, dtype):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            _, y, _, gradients, _ = run(name, forward, shapes, dtype)
        assert all(np.isfinite(a).all() for a in (y, *gradients))


def make(shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for x in inputs:
        x.flags.writeable = False
    return inputs


def upstream(y, seed):
    """A random gradient that must not be written to."""
    dy = np.asarray(np.random.default_rng(100 + seed).standard_normal(np.shape(y)), dtype=y.dtype)
    dy.flags.writeable = False
    return dy


def backward(name, dy, cache):
    gradients = getattr(ops, f"{name}_backward")(dy, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [gradient for gradient in gradients if gradient is not None]  # no bias, no gradient


def run(name, forward, shapes, dtype, seed=0):
    inputs = make(shapes, dtype, seed)
    y, cache = forward(*inputs)
    dy = upstream(y, seed)
    return inputs, y, dy, backward(name, dy, cache), cache


def arrays_in(cache):
    if isinstance(cache, np.ndarray):
        return [cache]
    if scipy.sparse.issparse(cache):
        return [cache.data, cache.indices, cache.indptr]
    if isinstance(cache, (tuple, list)):
        return [array for part in cache for array in arrays_in(part)]
    return []
