"""RoIAlign, on both hands: hand values, its slow twin, its matrix, its adjoint, and torchvision's own answers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from npmaskrcnn import reference
from npmaskrcnn.ops import roi_align, roi_align_backward, roi_align_forward, roi_align_matrix
from tests.ops.stored import FOUR_BY_FOUR, META, REFERENCE

pytestmark = pytest.mark.usefixtures("hand")


@pytest.fixture
def rng():
    return np.random.default_rng(23)


def random_rois(rng, count, num_images, extent):
    """Regions of (width, height) = extent and around it: some stick out, some are thin, some inverted."""
    center = rng.uniform(-0.2, 1.2, (count, 2)) * extent
    half = 0.5 * np.exp(rng.uniform(-3, 0.5, (count, 2))) * extent * rng.choice([1, 1, 1, 1, -1], (count, 1))
    return np.concatenate([rng.integers(0, num_images, (count, 1)), center - half, center + half], axis=1)


def pool(box, output_size=2, features=FOUR_BY_FOUR, **options):
    rois = np.array([[0.0, *box]])
    return roi_align(features, rois, output_size, **options)[0, :, :, 0]


@pytest.mark.parametrize("sampling_ratio", [-1, 1, 2])
def test_half_precision_stays_half_precision(rng, sampling_ratio):
    features, rois = rng.random((2, 9, 8, 3)), np.array([[0, 1, 1, 6, 7], [1, 0.5, 2, 4, 7]])
    y, cache = roi_align_forward(features.astype(np.float16), rois.astype(np.float16), 4, 1.0, sampling_ratio)
    assert y.dtype == roi_align_backward(y, cache).dtype == np.float16
    assert_allclose(y, roi_align(features, rois, 4, 1.0, sampling_ratio), atol=4e-3)     # 8 cells, a half's 10 bits
    matrix = roi_align_matrix(rois.astype(np.float16), (2, 9, 8), 4, 1.0, sampling_ratio)
    assert matrix.dtype == np.float32                      # SciPy has no sparse matrices of float16


@pytest.mark.parametrize("y, x, expected", [
    (-1.0001, 0, 0),       # more than one cell outside: nothing
    (-1, 0, 1), (-0.5, 0, 1), (0, 0, 1),  # at most one cell outside: the border
    (0.25, 0.75, 2.75),    # a plane 1 + 4y + x
    (2.999, 0, 12.996),
    (3.5, 0, 13), (4, 4, 16), (3.999, 3.999, 16), (0, 4, 4),
    (4.0001, 0, 0), (0, 4.001, 0),
])
def test_one_sample_point_by_hand(y, x, expected):
    # The one sample point of a 1 x 1 region lies half a cell from its corner.
    assert_allclose(pool((x - 0.5, y - 0.5, x + 0.5, y + 0.5), 1, sampling_ratio=1), [[expected]], rtol=1e-13)


@pytest.mark.parametrize("box, options, expected", [
    # [0, 0, 4, 4]: bins of 2 x 2, points at .5, 1.5 | 2.5, 3.5; 3.5 is clamped to 3, so their mean is 2.75
    ((0, 0, 4, 4), dict(sampling_ratio=2), [[6, 7.75], [13, 14.75]]),
    ((0, 0, 4, 4), dict(sampling_ratio=1), [[6, 8], [14, 16]]),  # points at 1, 3: cells themselves
    ((0, 0, 4, 4), dict(sampling_ratio=2, aligned=True), [[3.5, 5.5], [11.5, 13.5]]),  # means of 2 x 2 cells
    ((0.5, 0.5, 2.5, 3.5), dict(sampling_ratio=2), [[7, 8], [12.75, 13.75]]),
    ((-2, -2, 2, 2), dict(sampling_ratio=2), [[0.25, 1], [2.5, 6]]),  # one point in four is within reach
    ((2, 2, 6, 6), dict(sampling_ratio=2), [[14.75, 0], [0, 0]]),
    ((1, 1, 1.2, 1.2), dict(sampling_ratio=2), [[7.25, 7.75], [9.25, 9.75]]),  # widened to 1 x 1
    ((3, 3, 1, 1), dict(sampling_ratio=2), [[16, 16], [16, 16]]),  # inverted: 1 x 1 at its first corner
])
def test_two_by_two_bins_by_hand(box, options, expected):
    assert_allclose(pool(box, **options), expected, rtol=1e-14)


def test_adaptive_sampling_by_hand():
    # [-3, 8] in 3 bins of 3 2/3 cells, 4 points each; on 5 cells of ones a point counts if it is in -1..5.
    # First bin -3 .. 2/3: 2 of 4 points. Second: 4 of 4. Third 4 1/3 .. 8: 1 of 4. Their outer product:
    ones = np.ones((1, 5, 5, 1))
    expected = np.outer([0.5, 1, 0.25], [0.5, 1, 0.25])
    assert_allclose(pool((-3, -3, 8, 8), 3, ones), expected, rtol=1e-14)


@pytest.mark.parametrize("box, output_size, expected", [
    ((2, 2, 6, 6), 4, np.outer([1, 1, 1, 0.5], [1, 1, 1, 0.5])),
    ((0, 0, 8, 8), 4, np.outer([0.25, 1, 0.75, 0], [0.25, 1, 0.75, 0])),
    ((1, 1, 7, 7), 2, np.outer([5 / 6, 0.5], [5 / 6, 0.5])),
])
def test_mask_targets_are_fractions(box, output_size, expected):
    # Ones on cells 2..5. Box 2..6 in 4 bins: one point per bin, at 2.5, 3.5, 4.5, 5.5, the last half off.
    mask = np.zeros((1, 8, 8, 1), dtype=bool)
    mask[0, 2:6, 2:6] = True
    assert_allclose(pool(box, output_size, mask), expected, rtol=1e-13)


def test_gradient_of_the_sum_by_hand():
    # Per axis the cells get 1/4 of 1, 2, 2, 3 (the clamped point 3.5 falls on the last cell as well).
    _, cache = roi_align_forward(FOUR_BY_FOUR, np.array([[0.0, 0, 0, 4, 4]]), 2, sampling_ratio=2)
    axis = np.array([0.25, 0.5, 0.5, 0.75])
    dfeatures = roi_align_backward(np.ones((1, 2, 2, 1)), cache)
    assert_allclose(dfeatures[0, :, :, 0], np.outer(axis, axis), rtol=1e-14)


OPTIONS = [dict(output_size=size, spatial_scale=scale, sampling_ratio=sampling_ratio, aligned=aligned)
           for size, scale in [((2, 3), 0.25), (4, 1.0), ((5, 1), 1 / 3)]
           for sampling_ratio in (-1, 0, 1, 2, 3) for aligned in (False, True)]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_roi_align_agrees_with_its_twin(rng, options):
    features = rng.standard_normal((2, 5, 8, 3))
    rois = random_rois(rng, 7, 2, np.array([8, 5]) / options["spatial_scale"])
    # Sums of at most a few hundred products in another order.
    assert_allclose(roi_align(features, rois, **options), reference.roi_align(features, rois, **options),
                    rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_backward_is_the_adjoint_of_forward(rng, options):
    # Forward is linear, so <dy, forward(x)> = <backward(dy), x> for every x: no differences are needed.
    shape = (2, 5, 8, 3)
    rois = random_rois(rng, 7, 2, np.array([8, 5]) / options["spatial_scale"])
    y, cache = roi_align_forward(rng.standard_normal(shape), rois, **options)
    dy = rng.standard_normal(y.shape)
    dfeatures = roi_align_backward(dy, cache)
    for _ in range(3):
        x = rng.standard_normal(shape)
        assert_allclose((dfeatures * x).sum(), (dy * roi_align(x, rois, **options)).sum(), rtol=1e-10,
                        atol=1e-12)


@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_the_matrix_is_the_operation(rng, sampling_ratio):
    features, rois = rng.standard_normal((2, 6, 9, 4)), random_rois(rng, 8, 2, (36, 24))
    matrix = roi_align_matrix(rois, (2, 6, 9), (3, 2), 0.25, sampling_ratio)
    assert sparse.issparse(matrix) and matrix.shape == (8 * 3 * 2, 2 * 6 * 9)
    expected = roi_align(features, rois, (3, 2), 0.25, sampling_ratio)
    assert_allclose((matrix @ features.reshape(-1, 4)).reshape(expected.shape), expected, rtol=1e-12,
                    atol=1e-13)


def test_the_matrix_names_each_cell_once_and_no_cell_in_vain(rng):
    matrix = roi_align_matrix(random_rois(rng, 20, 3, (60, 40)), (3, 10, 15), 7, 0.25, 2)
    assert (matrix.data != 0).all()
    merged = matrix.copy()
    merged.sum_duplicates()
    assert merged.nnz == matrix.nnz


def test_integer_regions_are_regions():
    rois = np.array([[0, 1, 2, 6, 5]])
    for sampling_ratio in (-1, 2):
        expected = roi_align_matrix(rois.astype(float), (1, 8, 9), (2, 3), 1.0, sampling_ratio)
        assert (roi_align_matrix(rois, (1, 8, 9), (2, 3), 1.0, sampling_ratio) != expected).nnz == 0
        mask = np.arange(72).reshape(1, 8, 9, 1) % 5 == 0
        assert_array_equal(roi_align(mask, rois, (2, 3), 1.0, sampling_ratio),
                           roi_align(mask.astype(float), rois, (2, 3), 1.0, sampling_ratio))


def test_rows_of_regions_inside_the_map_sum_to_one(rng):
    rois = np.array([[0, 1.0, 2, 30, 17], [1, 3, 3, 3.5, 50]])
    for sampling_ratio in (-1, 1, 2):
        matrix = roi_align_matrix(rois, (2, 60, 40), (3, 5), 1.0, sampling_ratio)
        assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)


def test_a_ramp_is_read_half_a_cell_off_unless_aligned():
    # A cell's value is the x of its center.
    ramp = np.broadcast_to((np.arange(32) + 0.5)[None, None, :, None], (1, 32, 32, 1))
    box = (8.3, 6.1, 22.3, 20.1)
    centers = 8.3 + 2 * np.arange(7) + 1
    for aligned, shift in [(True, 0.0), (False, 0.5)]:
        y = pool(box, 7, ramp, sampling_ratio=2, aligned=aligned)
        assert_allclose(y, np.tile(centers + shift, (7, 1)), rtol=1e-13)


@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_moving_map_and_region_together_changes_nothing(rng, sampling_ratio):
    features = np.zeros((1, 14, 20, 3))
    features[0, 2:10, 3:12] = rng.standard_normal((8, 9, 3))
    rois = np.array([[0, 3.25, 2.5, 10.75, 9.125]])
    moved = np.roll(features, (4, 7), axis=(1, 2))
    assert_allclose(roi_align(moved, rois + [0, 7, 4, 7, 4], (3, 2), 1.0, sampling_ratio),
                    roi_align(features, rois, (3, 2), 1.0, sampling_ratio), rtol=1e-12)


def test_each_region_reads_its_own_image(rng):
    features = rng.standard_normal((3, 5, 7, 2))
    rois = np.array([[2, 1.0, 1, 5, 4], [0, 1, 1, 5, 4], [2, 0, 0, 6, 3]])
    for sampling_ratio in (-1, 2):
        y = roi_align(features, rois, (2, 3), 1.0, sampling_ratio)
        for r in range(3):
            image, first = features[int(rois[r, 0])][None], rois[r:r + 1] * [0, 1, 1, 1, 1]
            alone = roi_align(image, first, (2, 3), 1.0, sampling_ratio)
            assert_array_equal(y[r], alone[0])


@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_no_region_pools_to_nothing_and_gives_no_gradient(sampling_ratio):
    features = np.zeros((2, 5, 7, 3), dtype=np.float32)
    y, cache = roi_align_forward(features, np.zeros((0, 5), dtype=np.float32), (4, 2), 0.5, sampling_ratio)
    assert y.shape == (0, 4, 2, 3) and y.dtype == np.float32
    dfeatures = roi_align_backward(y, cache)
    assert dfeatures.shape == features.shape and not dfeatures.any() and dfeatures.dtype == np.float32


@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_roi_align_equals_its_pair_to_the_bit_and_keeps_the_dtype(rng, sampling_ratio):
    features = rng.standard_normal((2, 9, 11, 5)).astype(np.float32)
    rois = random_rois(rng, 12, 2, (44, 36)).astype(np.float32)
    y, cache = roi_align_forward(features, rois, 7, np.float64(0.25), sampling_ratio)
    assert_array_equal(roi_align(features, rois, 7, np.float64(0.25), sampling_ratio), y)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dy.setflags(write=False)
    dfeatures = roi_align_backward(dy, cache)
    assert y.dtype == dfeatures.dtype == np.float32
    first = dfeatures.copy()
    dfeatures += 1  # the caller may write to it, and the next backward does not notice
    assert_array_equal(roi_align_backward(dy, cache), first)


@pytest.mark.parametrize("i", range(len(META["roi_align"])))
def test_roi_align_agrees_with_torchvision(i):
    options = dict(META["roi_align"][i])
    # Weights summed per cell first: float32 differs from torchvision's order of additions in the last bits.
    tolerance = {"float32": 2e-6, "float64": 1e-13}[options.pop("dtype")]
    features, rois, y, dy, dfeatures = (
        REFERENCE[f"roi_align/{i}/{name}"] for name in ("features", "rois", "y", "dy", "dfeatures"))
    result, cache = roi_align_forward(features, rois, **options)
    assert_allclose(result, y, atol=tolerance, rtol=0)
    largest = np.abs(dfeatures).max()
    assert_allclose(roi_align_backward(dy, cache), dfeatures, atol=tolerance * largest, rtol=0)
