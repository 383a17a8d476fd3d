"""Dots in and out of a ring: exact, balanced, the same whenever they are drawn, and out of the sight of P2's cells."""

import re

import numpy as np
import pytest

from npmaskrcnn import InputError
from npmaskrcnn.datasets import RingsDataset, ShapesDataset
from npmaskrcnn.nn import Notes
from npmaskrcnn.variants import maskrcnn_variant

SIZE = 112, 140
DATASET = RingsDataset(300, image_size=SIZE, seed=4)


def centers(target):
    return (target.boxes[:, :2] + target.boxes[:, 2:]) / 2


def test_every_picture_has_one_dot_in_and_one_out_in_either_order():
    labels = np.array([DATASET.target(i).labels for i in range(300)])
    assert (np.sort(labels, axis=1) == [1, 2]).all() and DATASET.class_names == ["background", "in", "out"]
    assert 120 < (labels[:, 0] == 1).sum() < 180        # 150 expected, its standard deviation is 9


def test_the_labels_say_on_which_side_of_the_ring_a_dot_is_and_it_is_far_from_it():
    for i in range(100):
        target, (x, y, radius) = DATASET.target(i), DATASET.ring(i)
        distance = np.hypot(*(centers(target) - [x, y]).T)
        assert (np.where(distance < radius, 1, 2) == target.labels).all()
        assert abs(distance - radius).min() > 35.5          # 36, but for the rounding of a center to half pixels


def test_masks_are_the_dots_to_the_pixel():
    noiseless = RingsDataset(20, image_size=SIZE, seed=4, noise=0)
    for i in range(20):
        image, target = noiseless[i]
        ground, (x, y, radius) = image[0, 0], DATASET.ring(i)
        across = np.hypot(np.arange(SIZE[1]) + 0.5 - x, (np.arange(SIZE[0]) + 0.5)[:, None] - y)
        line, dots = abs(across - radius) <= 1.5, target.masks.any(axis=0)
        if dots[0, 0] or line[0, 0]:
            continue
        np.testing.assert_array_equal((image != ground).any(axis=2), line | dots)
        for mask, box in zip(target.masks, target.boxes):
            assert len(np.unique(image[mask], axis=0)) == 1
            assert 9 <= (box[2:] - box[:2]).min() and (box[2:] - box[:2]).max() <= 15


def test_the_place_in_the_picture_does_not_tell_the_class():
    dataset = RingsDataset(500, image_size=SIZE, seed=8)
    targets = [dataset.target(i) for i in range(500)]
    labels, places = np.concatenate([t.labels for t in targets]), np.concatenate([centers(t) for t in targets])
    edge = np.minimum(places, [SIZE[1], SIZE[0]] - places).min(axis=1)
    for low, high in ((0, 12), (12, 25), (25, 60)):
        there = labels[(edge >= low) & (edge < high)]
        assert abs((there == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(there))     # four standard deviations


def test_a_picture_depends_on_its_seed_and_number_alone():
    again = RingsDataset(300, image_size=SIZE, seed=4)
    for i in (7, 2, 299):
        np.testing.assert_array_equal(DATASET[i][0], again[i][0])
        np.testing.assert_array_equal(DATASET[i][1].masks, again.target(i).masks)
        assert DATASET.ring(i) == again.ring(i)
    assert (DATASET[0][0] != DATASET[1][0]).any() and (DATASET[0][0] != RingsDataset(1, SIZE, seed=5)[0][0]).any()


def test_pictures_may_vary_in_size_and_know_it():
    dataset = RingsDataset(5, image_size=((96, 120), (130, 150)), seed=1)
    assert all(dataset[i][0].shape[:2] == dataset.size(i) == dataset.target(i).masks.shape[1:] for i in range(5))
    assert len({dataset.size(i) for i in range(5)}) > 1
    assert repr(dataset) == "RingsDataset(5 images of 96 x 120 to 130 x 150, seed 1, in, out)"
    assert repr(ShapesDataset(1)).startswith("ShapesDataset")


def test_a_picture_without_room_is_refused():
    with pytest.raises(InputError, match=re.escape("image_size must be at least 96 a side, got (95, 200)")):
        RingsDataset(1, image_size=(95, 200))


def test_without_the_top_down_path_a_cell_of_p2_sees_23_pixels_to_each_side_and_with_it_the_whole_picture():
    for name, side in (("no_top_down", 47), ("baseline", 128)):
        backbone, notes = maskrcnn_variant(name).backbone, Notes(batch_statistics=False)
        _, features = backbone.forward(np.random.default_rng(0).normal(size=(1, 128, 128, 3)).astype(np.float32), notes)
        dfeatures = [np.zeros_like(level) for level in features]
        dfeatures[0][0, 16, 16] = 1
        seen = backbone.backward(dfeatures, notes, need_dx=True)[0].any(axis=2)
        assert [int(np.ptp(where)) + 1 for where in np.nonzero(seen)] == [side, side]
