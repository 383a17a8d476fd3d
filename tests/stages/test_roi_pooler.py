"""Which level of the pyramid a RoI is pooled from, against hand values; its row is RoIAlign's on that very level."""

import numpy as np
import pytest

from npmaskrcnn import nn, ops
from npmaskrcnn.stages.roi_pooler import RoIPooler, assign_levels, make_rois


@pytest.mark.parametrize("side, level", [
    (1, 0), (111.9, 0), (112, 1), (223.99, 1), (223.9999, 2), (224, 2), (447, 2), (448, 3), (5000, 3), (0, 0)])
def test_levels_of_square_boxes(side, level):
    # 223.9999 is lifted over the boundary by the epsilon behind the logarithm: torchvision's table
    assert assign_levels(np.array([[3, 5, 3 + side, 5 + side]], np.float32) - 3).tolist() == [level]


def test_what_counts_is_the_area():
    boxes = np.array([[0, 0, 56, 224], [0, 0, 56, 225], [0, 0, 28, 444], [7, 0, 455, 112]], np.float32)
    assert assign_levels(boxes).tolist() == [1, 1, 0, 2]


def test_a_smaller_canonical_scale_sends_smaller_boxes_up():
    boxes = np.array([[0, 0, s, s] for s in (27, 28, 56, 112)], np.float32)
    assert assign_levels(boxes, canonical_scale=56).tolist() == [0, 1, 2, 3]
    assert assign_levels(boxes, canonical_scale=224).tolist() == [0, 0, 0, 1]
    assert assign_levels(boxes, canonical_scale=56, canonical_level=3).tolist() == [0, 0, 1, 2]
    assert assign_levels(boxes, canonical_scale=56, strides=(4, 8, 16)).tolist() == [0, 1, 2, 2]
    assert assign_levels(boxes, canonical_scale=56, strides=(8, 16, 32)).tolist() == [0, 0, 1, 2]    # begins at P3


def test_no_boxes_no_levels():
    levels = assign_levels(np.zeros((0, 4), np.float32))
    assert levels.shape == (0,) and levels.dtype == np.int64


def test_rois_are_boxes_with_their_images_number():
    rois = make_rois([np.array([[1, 2, 3, 4]], np.float32), np.zeros((0, 4), np.float32),
                      np.full((2, 4), 7, np.float32)])
    assert rois.dtype == np.float32
    assert rois.tolist() == [[0, 1, 2, 3, 4], [2, 7, 7, 7, 7], [2, 7, 7, 7, 7]]
    assert make_rois([np.zeros((0, 4))] * 2).shape == (0, 5)


def pyramid(dtype=np.float64):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, -(-96 // s), -(-128 // s), 5)).astype(dtype) for s in (4, 8, 16, 32)]


ROIS = np.array([[1, 3, 2, 100, 90], [0, 10, 20, 30, 33], [1, 50, 10, 90, 60], [0, 1, 1, 9, 12], [0, 0, 0, 127, 30]],
                float)


def test_rows_keep_the_order_of_the_rois_whatever_their_level():
    pooler = RoIPooler(3, canonical_scale=56)
    features = pyramid()
    levels = pooler.levels(ROIS)
    assert levels.tolist() == [2, 0, 1, 0, 2]
    pooled = pooler(features, ROIS)
    for row, level in enumerate(levels):
        alone = ops.roi_align(features[level], ROIS[row:row + 1], 3, 1 / (4, 8, 16, 32)[level], 2)
        # to the last bits: how a bin is summed up depends on the sizes of the RoIs that are pooled together
        np.testing.assert_allclose(pooled[row:row + 1], alone, rtol=1e-13, atol=1e-15)


def test_the_gradient_goes_to_the_roi_s_own_level_and_image():
    pooler = RoIPooler(3, canonical_scale=56)
    notes = nn.Notes()
    y = pooler.forward(pyramid(), ROIS[1:3], notes)     # image 0 on P2, image 1 on P3
    dlevels = pooler.backward(np.ones_like(y), notes)
    assert [[bool(d[i].any()) for i in (0, 1)] for d in dlevels] == [[True, False], [False, True], [False] * 2,
                                                                     [False] * 2]
    # weights of a bilinear average sum to one: what goes in comes out
    np.testing.assert_allclose(sum(d.sum() for d in dlevels), y.size, rtol=1e-12)


@pytest.mark.parametrize("height", [20, 40, 66, 100])
def test_scales_are_the_strides_for_small_images_too(height):
    # torchvision guesses 1/2 for heights up to 22, 33-45 and 65-67; the ramp's value at a point is its y there
    padded = 32 * -(-height // 32)
    features = [np.tile((np.arange(padded // s) * float(s))[None, :, None, None], (1, 1, 8, 1))
                for s in (4, 8, 16, 32)]
    pooled = RoIPooler(1)(features, np.array([[0, 4.0, 4.0, 12.0, 12.0]]))
    np.testing.assert_allclose(pooled.item(), 8.0, rtol=1e-12)      # the RoI's center (aligned=False: no half cell)
