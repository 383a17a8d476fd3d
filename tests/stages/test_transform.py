"""Images are resized, normalized and padded, ground truth goes along, boxes come back: torchvision's own numbers.

What has no numbers of its own is held against properties (a ramp stays a ramp, boxes return to where they were), the
gradient against the adjoint.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from npmaskrcnn.errors import InputWarning
from npmaskrcnn.stages.transform import Transform, resize_target, resized_size, scale_boxes
from npmaskrcnn.structures import Target

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Draws:
    """A generator that returns given numbers and counts."""

    def __init__(self, *values):
        self.values = list(values)

    def random(self):
        return self.values.pop(0)


def transform(min_size=800, max_size=1333):
    return Transform(min_size, max_size, MEAN, STD)


def image(*size, seed=0):
    return np.random.default_rng(seed).random(size + (3,), dtype=np.float32)


@pytest.mark.parametrize("size, limits, expected", [
    ((480, 640), (800, 1333), (800, 1066)),         # 1066.67 is rounded down
    ((500, 333), (800, 1333), (1201, 800)),
    ((427, 640), (800, 1333), (800, 1199)),
    ((1080, 1920), (800, 1333), (749, 1333)),       # the longer side rules
    ((100, 1000), (800, 1333), (133, 1333)),
    ((322, 330), (800, 1333), (799, 819)),          # 322 * (800 / 322) is a hair under 800
    ((720, 1280), (800, 1333), (749, 1333)),
    ((194, 596), (2000, 1333), (433, 1332)),        # and so is 596 * (1333 / 596) under 1333
])
def test_resized_sizes(size, limits, expected):
    assert resized_size(size, *limits) == expected


def test_some_sides_end_one_short_as_in_torchvision():
    short = [side for side in range(1, 5000) if resized_size((side, side), 800, 1333)[0] == 799]
    assert len(short) == 225 and short[:10] == [97, 161, 167, 193, 194, 195, 199, 289, 305, 322]
    assert sum(resized_size((side, side), 9999, 1333)[0] == 1332 for side in range(1, 5000)) == 140


def test_a_side_never_vanishes():
    assert resized_size((1, 5000), 800, 1333) == (1, 1333)


@pytest.mark.parametrize("sizes, padded", [
    ([(480, 640)], (800, 1088)), ([(427, 640)], (800, 1216)), ([(500, 333)], (1216, 800)),
    ([(1080, 1920)], (768, 1344)), ([(100, 1000)], (160, 1344)), ([(480, 640), (640, 480)], (1088, 1088)),
])
def test_a_batch_is_as_large_as_its_largest_sides_rounded_up_to_32(sizes, padded):
    batch = transform().forward([np.zeros(size + (3,), np.float32) for size in sizes], np.float32)
    assert batch.images.shape == (len(sizes),) + padded + (3,)
    assert batch.original_sizes == sizes
    assert batch.image_sizes == [resized_size(size, 800, 1333) for size in sizes]


def test_images_are_normalized_before_they_are_padded_with_zeros():
    black, white = np.zeros((20, 30, 3), np.float32), np.ones((30, 20, 3), np.float32)
    batch = transform(20).forward([black, white], np.float32)
    assert batch.images.shape == (2, 32, 32, 3)
    np.testing.assert_allclose(batch.images[0, :20, :30], np.broadcast_to([-2.117904, -2.035714, -1.804444],
                                                                          (20, 30, 3)),
                               rtol=1e-6)    # seven printed digits
    assert not batch.images[0, 20:].any() and not batch.images[0, :, 30:].any()
    assert batch.images[1, :30, :20].all() and not batch.images[1, :, 20:].any()


def test_an_image_of_the_right_size_is_only_normalized():
    given = image(64, 96)
    batch = Transform(64, 96, MEAN, STD).forward([given], np.float64)
    np.testing.assert_allclose(batch.images[0], (given - np.array(MEAN)) / np.array(STD), rtol=1e-12)  # rounding
    assert batch.resize_caches == [None] and batch.images.dtype == np.float64


def test_a_ramp_is_resized_without_aligned_corners():
    ramp = np.tile(np.arange(4, dtype=np.float32)[:, None, None], (1, 4, 3))
    batch = Transform(6, 6, (0, 0, 0), (1, 1, 1)).forward([ramp], np.float32)
    np.testing.assert_allclose(batch.images[0, :6, 0, 0], [0, .5, 1.1666667, 1.8333334, 2.5, 3], rtol=1e-6)


def test_inference_takes_the_last_size_and_training_draws_one_for_each_image():
    images = [image(40, 60, seed=i) for i in range(3)]
    many = transform(min_size=(40, 50, 64), max_size=200)
    assert many.forward(images, np.float32).image_sizes == [(64, 96)] * 3
    draws = Draws(0.0, 0.34, 0.999)
    assert many.forward(images, np.float32, draws).image_sizes == [(40, 60), (50, 75), (64, 96)]
    assert draws.values == []


def test_a_single_size_costs_a_draw_too_as_in_torchvision():
    draws = Draws(0.5, 0.5)
    transform(40).forward([image(40, 60), image(40, 60)], np.float32, draws)
    assert draws.values == []


def test_boxes_are_scaled_by_the_ratio_of_whole_sizes():
    # x by 1066 / 640 = 1.665625, not by the factor 800 / 480 = 1.666667 that the size was computed with
    scaled = scale_boxes(np.array([[10, 20, 630, 470]], np.float32), (480, 640), (800, 1066))
    np.testing.assert_allclose(scaled, [[16.65625, 33.33333, 1049.34375, 783.33331]], rtol=1e-7)    # printed digits
    assert scaled.dtype == np.float32


def test_boxes_come_back_where_they_were():
    boxes = np.random.default_rng(0).uniform(0, 400, (20, 4))
    there = scale_boxes(boxes, (480, 640), (800, 1066))
    np.testing.assert_allclose(scale_boxes(there, (800, 1066), (480, 640)), boxes, rtol=3e-7)   # ratios are float32


def test_masks_are_resized_by_nearest_neighbor_and_boxes_by_ratio():
    mask = np.zeros((1, 5, 5), bool)
    mask[0, 1:4, 1:4] = True
    target = resize_target(Target([[1, 1, 4, 4]], [2], mask), (8, 8))
    expected = np.zeros((8, 8), bool)
    expected[2:7, 2:7] = True
    np.testing.assert_array_equal(target.masks[0], expected)
    np.testing.assert_allclose(target.boxes, [[1.6, 1.6, 6.4, 6.4]], rtol=1e-6)     # float32
    assert target.labels.tolist() == [2]


def test_crowds_are_not_learned_from():
    masks = np.zeros((2, 10, 12), bool)
    masks[0, 2:6, 3:9] = masks[1, 5:9, 1:4] = True
    target = resize_target(Target([[3, 2, 9, 6], [1, 5, 4, 9]], [1, 2], masks, is_crowd=[True, False]), (20, 24))
    assert target.labels.tolist() == [2] and target.boxes.tolist() == [[2, 10, 8, 18]] and len(target.masks) == 1


def test_a_box_that_shrinks_to_nothing_is_dropped_with_a_warning():
    # Two neighboring float32 numbers that times 399 / 512 are the same float32 number.
    masks = np.zeros((2, 4, 512), bool)
    masks[:, 1:3, 300:] = True
    x2 = np.float32(329.2296)
    boxes = np.array([[np.nextafter(x2, np.float32(0)), 1, x2, 3], [300, 1, 512, 3]], np.float32)
    target = SimpleNamespace(boxes=boxes, labels=np.array([1, 2]), masks=masks, is_crowd=np.zeros(2, bool))
    with pytest.warns(InputWarning, match="dropped 1 of 2 objects"):
        resized = resize_target(target, (2, 399))
    assert resized.labels.tolist() == [2] and len(resized.boxes) == len(resized.masks) == 1


def test_a_target_without_objects_stays_one():
    target = resize_target(Target(np.zeros((0, 4)), [], np.zeros((0, 5, 7), bool)), (10, 14))
    assert (target.boxes.shape, target.labels.shape, target.masks.shape) == ((0, 4), (0,), (0, 10, 14))


def test_the_gradient_comes_back_through_padding_resize_and_normalization():
    rng = np.random.default_rng(1)
    images = [rng.random((20, 31, 3)), rng.random((40, 25, 3))]
    stage = transform(30, 60)
    batch = stage.forward(images, np.float64)
    dbatch = rng.standard_normal(batch.images.shape)
    dimages = stage.backward(dbatch, batch)
    for i, given in enumerate(images):
        move = rng.standard_normal(given.shape)
        changed = list(images)
        changed[i] = given + move
        # the transform is linear up to a constant: its difference along any move is exact
        slope = ((stage.forward(changed, np.float64).images - batch.images) * dbatch).sum()
        np.testing.assert_allclose((dimages[i] * move).sum(), slope, rtol=1e-11)
