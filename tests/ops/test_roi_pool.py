"""RoIPool against hand values, its slow twin, differences, and torchvision's own answers. It has one form only."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npmaskrcnn import reference
from npmaskrcnn.ops import roi_pool, roi_pool_backward, roi_pool_forward
from tests.ops.stored import FOUR_BY_FOUR, META, REFERENCE


@pytest.fixture
def rng():
    return np.random.default_rng(24)


def random_rois(rng, count):
    """Regions of maps of 2 x 5 x 8 cells at scale 1/4."""
    corner = rng.uniform(-8, 30, (count, 2)) * (1, 0.7)
    size = rng.uniform(-4, 24, (count, 2))
    return np.concatenate([rng.integers(0, 2, (count, 1)), corner, corner + size], axis=1)


@pytest.mark.parametrize("box, expected", [
    ((0, 0, 3, 3), [[6, 8], [14, 16]]),        # both corners belong to the region: 4 x 4 cells
    ((0, 0, 2, 2), [[6, 7], [10, 11]]),        # 3 cells in 2 bins overlap in the middle one
    ((0.5, 0.5, 2.5, 2.5), [[11, 12], [15, 16]]),  # halves away from zero: cells 1..3
    ((2, 2, 7, 7), [[16, 0], [0, 0]]),         # cells 2..4 and 5..7: empty bins are 0
    ((3, 3, 1, 1), [[16, 16], [16, 16]]),      # inverted: one cell
])
def test_two_by_two_bins_by_hand(box, expected):
    assert_array_equal(roi_pool(FOUR_BY_FOUR, np.array([[0.0, *box]]), 2)[0, :, :, 0], expected)


def test_first_of_equal_maxima_gets_the_gradient():
    # 5 5     row by row, the first 5 wins; every channel chooses for itself
    # 5 1
    features = np.array([[[[5.0, 0], [5, 0]], [[5, 0], [1, 9]]]])
    _, cache = roi_pool_forward(features, np.array([[0.0, 0, 0, 1, 1]]), 1)
    dfeatures = roi_pool_backward(np.array([[[[3.0, 7.0]]]]), cache)
    assert_array_equal(dfeatures, [[[[3, 0], [0, 0]], [[0, 0], [0, 7]]]])


@pytest.mark.parametrize("output_size, spatial_scale", [((2, 3), 0.25), (4, 0.25), ((1, 5), 1 / 3)])
def test_roi_pool_agrees_with_its_twin(rng, output_size, spatial_scale):
    features, rois = rng.standard_normal((2, 5, 8, 3)), random_rois(rng, 12)
    assert_array_equal(roi_pool(features, rois, output_size, spatial_scale),
                       reference.roi_pool(features, rois, output_size, spatial_scale))


def test_gradient_agrees_with_differences(rng):
    features, rois = rng.standard_normal((2, 5, 8, 3)), random_rois(rng, 9)
    y, cache = roi_pool_forward(features, rois, (3, 2), 0.25)
    dy, step = rng.standard_normal(y.shape), 1e-6
    dfeatures = roi_pool_backward(dy, cache)
    for _ in range(3):
        direction = rng.standard_normal(features.shape)
        there, back = (roi_pool(features + sign * step * direction, rois, (3, 2), 0.25) for sign in (1, -1))
        # Linear as long as no maximum changes, which cells 1e-6 apart would need: only rounding is left.
        assert_allclose((dfeatures * direction).sum(), (dy * (there - back)).sum() / (2 * step), rtol=1e-7)


def test_rounding_reads_a_ramp_off_by_more_than_half_a_cell():
    ramp = np.broadcast_to((np.arange(32) + 0.5)[None, None, :, None], (1, 32, 32, 1))
    y = roi_pool(ramp, np.array([[0, 8.3, 6.1, 22.3, 20.1]]), 7)
    assert np.abs(y[0, :, :, 0] - (8.3 + 2 * np.arange(7) + 1)).max() > 0.5


def test_no_region_pools_to_nothing_and_gives_no_gradient():
    features = np.zeros((2, 5, 7, 3), dtype=np.float32)
    y, cache = roi_pool_forward(features, np.zeros((0, 5), dtype=np.float32), (4, 2), 0.5)
    assert y.shape == (0, 4, 2, 3) and y.dtype == np.float32
    dfeatures = roi_pool_backward(y, cache)
    assert dfeatures.shape == features.shape and not dfeatures.any() and dfeatures.dtype == np.float32


@pytest.mark.parametrize("i", range(len(META["roi_pool"])))
def test_roi_pool_equals_torchvisions(i):
    options = {name: value for name, value in META["roi_pool"][i].items() if name != "dtype"}
    features, rois, y, dy, dfeatures = (
        REFERENCE[f"roi_pool/{i}/{name}"] for name in ("features", "rois", "y", "dy", "dfeatures"))
    result, cache = roi_pool_forward(features, rois, **options)
    assert_array_equal(result, y)  # a maximum has no rounding
    assert_allclose(roi_pool_backward(dy, cache), dfeatures, rtol=1e-6, atol=1e-6)  # order of additions
