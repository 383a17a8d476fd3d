"""Anchors of one cell, of a grid and of a whole image against tables that torchvision printed, to the last digit."""

import numpy as np
import pytest

from npmaskrcnn.stages.anchors import AnchorGenerator, cell_anchors, grid_anchors

RATIOS = (0.5, 1.0, 2.0)
DEFAULT = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), (RATIOS,) * 5)


@pytest.mark.parametrize("size, half_extents", [
    (32, [(23, 11), (16, 16), (11, 23)]), (64, [(45, 23), (32, 32), (23, 45)]), (128, [(91, 45), (64, 64), (45, 91)]),
    (256, [(181, 91), (128, 128), (91, 181)]), (512, [(362, 181), (256, 256), (181, 362)])])
def test_the_anchors_of_a_cell(size, half_extents):
    # a ratio is height / width, so the first, 0.5, lies down
    expected = [(-x, -y, x, y) for x, y in half_extents]
    np.testing.assert_array_equal(cell_anchors([size], RATIOS), expected)


def test_several_sizes_are_ordered_ratio_by_ratio():
    anchors = cell_anchors([32, 64], [0.5, 2.0])
    np.testing.assert_array_equal(anchors, [[-23, -11, 23, 11], [-45, -23, 45, 23], [-11, -23, 11, 23],
                                            [-23, -45, 23, 45]])


def test_there_is_no_negative_zero():
    assert not np.signbit(cell_anchors([0.5], [1.0])[cell_anchors([0.5], [1.0]) == 0]).any()


def test_a_grid_runs_rows_columns_anchors_from_the_top_left_corner():
    anchors = grid_anchors(np.array([[-2, -1, 2, 1], [-1, -2, 1, 2]], np.float32), (2, 3), (8, 16))
    np.testing.assert_array_equal(anchors[:3], [[-2, -1, 2, 1], [-1, -2, 1, 2], [14, -1, 18, 1]])
    np.testing.assert_array_equal(anchors[6], [-2, 7, 2, 9])
    np.testing.assert_array_equal(anchors[-1], [31, 6, 33, 10])


@pytest.mark.parametrize("padded, grids, coarsest_stride, count", [
    ((800, 1088), [(200, 272), (100, 136), (50, 68), (25, 34), (13, 17)], (61, 64), 217413),
    ((800, 1344), [(200, 336), (100, 168), (50, 84), (25, 42), (13, 21)], (61, 64), 268569),
    ((768, 1344), [(192, 336), (96, 168), (48, 84), (24, 42), (12, 21)], (64, 64), 257796),
    ((64, 96), [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)], (64, 48), 1536),
    ((32, 32), [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)], (32, 32), 258)])
def test_strides_are_whole_numbers_and_counts_are_torchvisions(padded, grids, coarsest_stride, count):
    # 800 // 13 is 61 rows of pixels a cell, though the pyramid halves six times
    assert DEFAULT.strides(grids, padded)[-1] == coarsest_stride
    anchors = DEFAULT(grids, padded)
    assert sum(len(level) for level in anchors) == count
    assert [len(level) for level in anchors] == [3 * h * w for h, w in grids]


def test_anchors_of_a_small_image():
    anchors = np.concatenate(DEFAULT([(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)], (64, 96)))
    np.testing.assert_array_equal(anchors[:4], [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23],
                                                [-19, -11, 27, 11]])
    np.testing.assert_array_equal(anchors[72], [-23, -7, 23, 15])       # second row of the finest map
    np.testing.assert_array_equal(anchors[-1], [-133, -362, 229, 362])


def test_dtype_is_as_asked_and_values_are_those_of_float32():
    single, double = (DEFAULT([(3, 5)] * 5, (100, 160), dtype) for dtype in (np.float32, np.float64))
    for one, two in zip(single, double):
        assert (one.dtype, two.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(one, two)


def test_anchors_per_location():
    assert DEFAULT.num_anchors_per_location() == [3] * 5
    assert AnchorGenerator(((8, 16), (32, 64)), ((0.5, 1.0, 2.0),) * 2).num_anchors_per_location() == [6, 6]
