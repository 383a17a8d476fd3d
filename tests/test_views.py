"""What is computed to be looked at: false colors keep what is equal equal, and sampling points are RoIAlign's."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.views import axis_samples, color_code, feature_picture


def test_sampling_points_are_those_of_roi_align():
    ramp = np.tile(np.arange(30.0), (20, 1))      # value = x, so a bin's value is the mean of its points' x
    for aligned in (False, True):
        for ratio in (2, 3, -1):
            _, points = axis_samples(13.0, 71.0, 0.25, 5, ratio, aligned)
            box = np.array([[0, 13.0, 9.0, 71.0, 44.0]])
            pooled = ops.roi_align(ramp[None, :, :, None], box, 5, 0.25, ratio, aligned)[0, 2, :, 0]
            np.testing.assert_allclose(points.reshape(5, -1).mean(axis=1), pooled, rtol=1e-12)


def test_bins_divide_the_box():
    edges, points = axis_samples(8, 36, 0.25, 7, 2, False)           # 28 px at stride 4: 7 cells from cell 2
    np.testing.assert_allclose(edges, [2, 3, 4, 5, 6, 7, 8, 9])
    np.testing.assert_allclose(points[:3], [2.25, 2.75, 3.25])
    np.testing.assert_allclose(axis_samples(8, 36, 0.25, 7, 2, True)[0], edges - 0.5)


def test_a_feature_picture_keeps_equal_vectors_equal_and_others_apart():
    feature = np.zeros((4, 6, 5))
    feature[:, 3:] = [1, 2, 0, 0, -1]
    picture = feature_picture(feature)
    assert picture.shape == (4, 6, 3) and picture.min() >= 0 and picture.max() <= 1
    assert np.ptp(picture[:, :3], axis=(0, 1)).max() == 0
    assert np.abs(picture[0, 0] - picture[0, 5]).max() > 0.9
    np.testing.assert_array_equal(feature_picture(np.ones((2, 3, 8))), 0.5)
    assert feature_picture(np.ones((1, 1, 2))).shape == (1, 1, 3)


def test_feature_pictures_of_few_and_many_channels_agree():
    feature = np.random.default_rng(6).normal(0, 1, (3, 5, 4)) * [4, 3, 2, 1]
    more = np.concatenate([feature, np.zeros((3, 5, 36))], axis=-1)      # 40 channels, 15 cells: the other product
    np.testing.assert_allclose(feature_picture(feature), feature_picture(more), atol=1e-7)


def test_a_code_shows_what_was_read_from_its_map_in_the_colors_of_the_map():
    feature = np.random.default_rng(7).normal(0, 1, (6, 8, 12)) * np.linspace(3, 1, 12)
    for some in (feature, np.concatenate([feature, np.zeros((6, 8, 88))], axis=-1)):    # more channels than cells, too
        code, picture = color_code(some), feature_picture(some)
        np.testing.assert_allclose(code.colors(some[2, 3:5]), picture[2, 3:5], atol=1e-12)
        inner = ((picture[2, 3:5] > 0) & (picture[2, 3:5] < 1)).all(axis=0)     # colors that are not cut off
        between = code.colors(some[2, 3:5].mean(axis=0))
        assert inner.any()
        np.testing.assert_allclose(between[inner], picture[2, 3:5].mean(axis=0)[inner], atol=1e-12)
