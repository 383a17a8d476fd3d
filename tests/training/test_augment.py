"""Image, boxes and masks move together.

Flips and zooms of images of known ellipses are held against what the moved pixels say: each box against the extent of
its mask, each mask against the color under it, and a few against numbers known by hand.
"""

import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from npmaskrcnn.structures import Target, mask_extents
from npmaskrcnn.training.augment import augment, flip_horizontal, turn_left, without_crowds, zoom


def scene(rng, size=(40, 64), num_objects=3):
    """A black image with filled ellipses of colors of their own; the color tells which object it is."""
    y, x = np.mgrid[:size[0], :size[1]]
    image, masks = np.zeros((*size, 3), np.uint8), []
    for i in range(num_objects):
        cy, cx = rng.uniform(8, size[0] - 8), rng.uniform(8, size[1] - 8)
        mask = ((y - cy) / rng.uniform(4, 8)) ** 2 + ((x - cx) / rng.uniform(4, 8)) ** 2 < 1
        masks = [m & ~mask for m in masks] + [mask]
        image[mask] = 60 * (i + 1)
    keep = [i for i, mask in enumerate(masks) if mask.sum() > 20]
    masks = np.stack([masks[i] for i in keep])
    return image, Target(mask_extents(masks), np.array(keep) + 1, masks)


@pytest.mark.parametrize("seed", range(5))
def test_flip_keeps_boxes_tight_around_masks(seed):
    image, target = scene(np.random.default_rng(seed))
    flipped_image, flipped = flip_horizontal(image, target)
    np.testing.assert_array_equal(flipped.boxes, mask_extents(flipped.masks))
    for label, mask in zip(flipped.labels, flipped.masks):
        assert (flipped_image[mask] == 60 * label).all()
    again_image, again = flip_horizontal(flipped_image, flipped)
    np.testing.assert_array_equal(again_image, image)
    np.testing.assert_array_equal(again.boxes, target.boxes)
    np.testing.assert_array_equal(again.masks, target.masks)


def test_flip_moves_a_fractional_box_by_edges():
    masks = np.zeros((1, 6, 10), bool)
    masks[0, 1:3, 2:5] = True
    _, flipped = flip_horizontal(np.zeros((6, 10, 3), np.uint8), Target([[1.75, 1, 5.25, 3]], [1], masks))
    np.testing.assert_array_equal(flipped.boxes, [[4.75, 1, 8.25, 3]])  # 10 - 5.25, 10 - 1.75


@pytest.mark.parametrize("seed", range(5))
def test_a_turn_keeps_boxes_tight_around_masks_and_four_of_them_change_nothing(seed):
    image, target = scene(np.random.default_rng(seed))
    turned_image, turned = image, target
    for size in ((64, 40), (40, 64), (64, 40), (40, 64)):
        turned_image, turned = turn_left(turned_image, turned)
        assert turned_image.shape == (*size, 3) and turned.masks.shape == (len(target), *size)
        np.testing.assert_array_equal(turned.boxes, mask_extents(turned.masks))
        for label, mask in zip(turned.labels, turned.masks):
            assert (turned_image[mask] == 60 * label).all()
    np.testing.assert_array_equal(turned_image, image)
    np.testing.assert_array_equal(turned.boxes, target.boxes)


def test_a_turn_left_brings_the_right_border_to_the_top():
    masks = np.zeros((1, 6, 10), bool)
    masks[0, 1:3, 7:10] = True
    image = np.zeros((6, 10, 3), np.uint8)
    image[masks[0]] = 200
    image, turned = turn_left(image, Target([[7, 1, 10, 3.25]], [1], masks))
    np.testing.assert_array_equal(turned.boxes, [[1, 0, 3.25, 3]])
    assert (image[:3, 1:3] == 200).all() and image.sum() == 200 * 18


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.4, 0.77, 1.0, 1.3, 2.0, 2.7])
def test_zoom_moves_boxes_with_masks(seed, scale):
    rng = np.random.default_rng(seed)
    image, target = scene(rng)
    zoomed_image, zoomed = zoom(image, target, scale, rng.random(2))
    assert zoomed_image.shape == image.shape and zoomed_image.dtype == np.float32
    # a nearest-pixel mask begins in the first output pixel whose source is inside: less than one pixel away
    assert np.abs(zoomed.boxes - mask_extents(zoomed.masks)).max(initial=0) < 1
    for label, mask in zip(zoomed.labels, zoomed.masks):
        # colors blend at the edges only, over one pixel of the source
        inner = binary_erosion(mask, np.ones((3, 3)), iterations=math.ceil(scale), border_value=0)
        np.testing.assert_allclose(zoomed_image[inner], 60 * label / 255, atol=1e-6)


def test_zoom_by_one_changes_nothing():
    image, target = scene(np.random.default_rng(3))
    zoomed_image, zoomed = zoom(image, target, 1.0, (0.2, 0.9))
    np.testing.assert_array_equal(zoomed_image, image.astype(np.float32) / 255)
    np.testing.assert_array_equal(zoomed.boxes, target.boxes)
    np.testing.assert_array_equal(zoomed.masks, target.masks)


def test_zoom_by_two_into_a_corner_is_known_by_hand():
    # a 4 x 6 object with its corner at (2, 3) of a 20 x 30 image; its upper left quarter is shown enlarged
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 3:9, 2:6] = True
    masks[1, 12:19, 20:29] = True  # falls outside
    target = Target(mask_extents(masks), [1, 2], masks)
    _, zoomed = zoom(np.zeros((20, 30, 3)), target, 2.0, (0, 0))
    np.testing.assert_array_equal(zoomed.boxes, [[4, 6, 12, 18]])
    np.testing.assert_array_equal(zoomed.labels, [1])
    np.testing.assert_array_equal(mask_extents(zoomed.masks), zoomed.boxes)


def test_a_cut_object_gets_the_box_of_what_remains():
    masks = np.zeros((1, 20, 30), bool)
    masks[0, 4:9, 10:20] = True  # doubled, that is columns 20 to 40, of which those below 30 are shown
    _, zoomed = zoom(np.zeros((20, 30, 3)), Target(mask_extents(masks), [1], masks), 2.0, (0, 0))
    np.testing.assert_array_equal(zoomed.boxes, [[20, 8, 30, 18]])


def test_a_small_picture_is_framed_in_the_mean_color():
    image, target = scene(np.random.default_rng(1))
    framed, zoomed = zoom(image, target, 0.5, (1, 1))
    np.testing.assert_allclose(framed[:20, :, 0], image[..., 0].mean() / 255, rtol=1e-5)  # 20 rows above
    assert zoomed.masks[:, :20].sum() == 0 and zoomed.masks[:, :, :32].sum() == 0


def test_augment_draws_from_rng_only_and_keeps_its_input():
    image, target = scene(np.random.default_rng(0))
    image.flags.writeable = False
    one, two = (augment(image, target, np.random.default_rng(8), True, (0.5, 2)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1].boxes, two[1].boxes)


def test_augment_flips_half_of_the_time():
    rng, (image, target) = np.random.default_rng(4), scene(np.random.default_rng(0))
    flipped = sum(augment(image, target, rng)[0] is not image for _ in range(400))
    assert 160 < flipped < 240  # binomial, deviation 10
    assert augment(image, target, rng, flip=False)[0] is image


def test_augment_turns_by_each_number_of_quarters_as_often():
    rng, (image, target) = np.random.default_rng(4), scene(np.random.default_rng(0))
    turned = [augment(image, target, rng, flip=False, quarter_turns=True)[0] for _ in range(200)]
    for quarters in range(4):
        assert 30 < sum(np.array_equal(one, np.rot90(image, quarters)) for one in turned) < 70     # deviation 6


@pytest.mark.parametrize("change", [
    flip_horizontal, lambda image, target: turn_left(*turn_left(image, target)),
    lambda image, target: zoom(image, target, 1.4),
    lambda image, target: zoom(image, target, 0.6)])
def test_an_image_without_objects_stays_one(change):
    nothing = Target(np.zeros((0, 4)), [], np.zeros((0, 12, 20), bool))
    image, target = change(np.full((12, 20, 3), 7, np.uint8), nothing)
    assert image.shape == (12, 20, 3) and len(target) == 0 and target.masks.shape == (0, 12, 20)


def test_crowds_are_left_out():
    _, target = scene(np.random.default_rng(0))
    crowded = Target(target.boxes, target.labels, target.masks, is_crowd=np.arange(len(target)) == 1)
    kept = without_crowds(crowded)
    np.testing.assert_array_equal(kept.labels, np.delete(target.labels, 1))
    np.testing.assert_array_equal(kept.masks, np.delete(target.masks, 1, axis=0))
    assert not kept.is_crowd.any() and without_crowds(target) is target
