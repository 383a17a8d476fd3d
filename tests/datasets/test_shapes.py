"""The toy shapes: what is promised about every picture, over a thousand seeds, and the picture itself.

Properties, for want of another program: sizes, colors and visible pixels are recounted here from pictures and masks.
"""

import itertools
import math

import numpy as np
import pytest

from npmaskrcnn.datasets import TEST_SEED, ShapesDataset, shapes_test_set
from npmaskrcnn.datasets.shapes import SHAPES
from npmaskrcnn.errors import InputError
from npmaskrcnn.structures import Target

ALL_KINDS = ("circle", "square", "triangle", "ring", "star")


def test_the_promises_hold_for_a_thousand_seeds():
    counts = np.zeros(5, int)
    for seed in range(1000):
        dataset = ShapesDataset(4, image_size=((64, 70), (80, 100)), seed=seed, kinds=ALL_KINDS,
                                min_objects=0)
        scene, target = dataset.scene(3), dataset.target(3)
        counts[len(target)] += 1
        height, width = dataset.size(3)
        assert 64 <= height <= 80 and 70 <= width <= 100
        assert scene.masks.shape == (len(target), height, width)
        assert scene.masks.sum(axis=0).max() <= 1                          # a pixel shows one object
        for i, (mask, box) in enumerate(zip(scene.masks, target.boxes)):
            rows, columns = np.nonzero(mask)
            assert len(rows) > 40
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            in_front = scene.layers[i + 1:].any(axis=0)                    # order: later shapes in front
            np.testing.assert_array_equal(mask, scene.layers[i] & ~in_front)
        contrast = np.abs(scene.colors.astype(int) - scene.background.astype(int)).sum(axis=1)
        assert (contrast > 120).all()
        assert len(target) == 0 or 1 <= target.labels.min() <= target.labels.max() <= 5
    assert (counts > 60).all()   # every number of objects, none included; a uniform draw gives about 200 each


def test_the_standard_shapes_are_what_they_are_said_to_be():
    dataset = ShapesDataset(1000, seed=5)
    half_sizes, labels, counts, standard = [], [], [], []
    for i in range(len(dataset)):
        scene = dataset.scene(i)
        counts.append(len(scene.labels))
        labels.extend(scene.labels)
        for layer in scene.layers:
            rows, columns = np.nonzero(layer)
            half_sizes.append(max(np.ptp(rows), np.ptp(columns)) / 2 + 0.5)
            standard.append(rows.min() >= 0 and columns.max() < 128)
    assert dataset.size(0) == (128, 128)
    assert dataset.class_names == ["background", "circle", "square", "triangle"]
    # Half a pixel of rounding on either side of 12.8 and 32.
    assert 12.2 <= min(half_sizes) and max(half_sizes) <= 32.6
    # Uniform: mean 22.4; standard error over some 2400 shapes .12 (small shapes are hidden more often).
    assert abs(np.mean(half_sizes) - 22.4) < 0.6
    # A third each, standard error .01; 1 to 4 in equal parts before hiding.
    np.testing.assert_allclose(np.bincount(labels)[1:] / len(labels), 1 / 3, atol=0.04)
    assert set(counts) == {1, 2, 3, 4}


def test_the_picture_is_flat_colors_in_the_masks_under_noise():
    dataset = ShapesDataset(3, image_size=(96, 128), seed=11)
    for i in range(len(dataset)):
        image, target = dataset[i]
        scene = dataset.scene(i)
        assert image.dtype == np.uint8 and image.shape == (96, 128, 3) and isinstance(target, Target)
        ground = ~target.masks.any(axis=0)
        for where, color in zip([ground, *target.masks], [scene.background, *scene.colors]):
            color = color.astype(float)
            plain = np.flatnonzero((color > 40) & (color < 215))   # channels that clipping cannot touch
            noise = image[where][:, plain] - color[plain]
            # Standard error of the mean 7.65 / sqrt(n); n is at least 41.
            assert abs(noise.mean(axis=0)).max(initial=0) < 5 * 7.65 / math.sqrt(len(noise))
        noise = image[ground][:, (scene.background > 40) & (scene.background < 215)] - 0.0
        if noise.size:
            # .03 of 255, and rounding to whole numbers adds 1/12 to the variance.
            np.testing.assert_allclose(noise.std(axis=0), math.sqrt(7.65**2 + 1 / 12), rtol=0.05)


def test_without_noise_every_pixel_has_the_color_of_what_it_shows():
    dataset = ShapesDataset(5, image_size=(64, 90), seed=2, noise=0)
    for i in range(5):
        scene = dataset.scene(i)
        expected = np.broadcast_to(scene.background, (64, 90, 3)).copy()
        for mask, color in zip(scene.masks, scene.colors):
            expected[mask] = color
        np.testing.assert_array_equal(dataset[i][0], expected)


def test_an_image_depends_on_seed_and_index_alone():
    dataset, again = ShapesDataset(20, seed=4), ShapesDataset(20, seed=4)
    forward = [dataset[i] for i in range(20)]
    for i in reversed(range(20)):
        image, target = again[i]
        np.testing.assert_array_equal(image, forward[i][0])
        np.testing.assert_array_equal(target.masks, forward[i][1].masks)
        np.testing.assert_array_equal(again.target(i).boxes, target.boxes)
    assert not np.array_equal(ShapesDataset(20, seed=5)[0][0], forward[0][0])
    # A longer dataset begins with the same images.
    np.testing.assert_array_equal(ShapesDataset(500, seed=4)[7][0], forward[7][0])


def test_a_dataset_is_a_sequence():
    dataset = ShapesDataset(3, seed=1)
    assert len(list(dataset)) == len(dataset) == 3
    np.testing.assert_array_equal(dataset[-1][0], dataset[2][0])
    for index in (3, -4):
        with pytest.raises(IndexError):
            dataset[index]
    assert list(ShapesDataset(0)) == []


def test_labels_follow_the_order_of_the_kinds_given():
    dataset = ShapesDataset(30, kinds=("star", "ring"), seed=1)
    assert dataset.class_names == ["background", "star", "ring"]
    for i in range(30):
        scene = dataset.scene(i)
        for label, layer in zip(scene.labels, scene.layers):
            rows, columns = np.nonzero(layer)
            center = layer[(rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2]
            assert center == (label == 1)       # a ring is empty in its middle, a star is not


def test_the_areas_of_the_kinds_are_those_of_geometry():
    half = 400.0
    x = np.arange(-410, 410)[None, :] + 0.5
    y = np.arange(-410, 410)[:, None] + 0.5
    # A star with tips at 1 and inner corners at .45: ten triangles of area 1/2 * .45 * sin 36 degrees.
    areas = {"circle": math.pi, "square": 4, "triangle": 2, "ring": math.pi * 3 / 4,
             "star": 10 * 0.5 * 0.45 * math.sin(math.radians(36))}
    for kind, area in areas.items():
        # Pixels on the border: about 0.1 % of the area at this size.
        np.testing.assert_allclose(SHAPES[kind](x, y, half).sum() / half**2, area, rtol=3e-3)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_stands_upright_and_symmetric_about_its_vertical_axis(kind):
    x = np.arange(-30, 30)[None, :] + 0.5
    y = np.arange(-30, 30)[:, None] + 0.5
    mask = SHAPES[kind](x, y, 25.0)
    np.testing.assert_array_equal(mask, mask[:, ::-1])
    if kind in ("triangle", "star"):
        widths = mask.sum(axis=1)
        assert widths[5] < 5 and widths[20:].max() > 20     # the tip is above


def test_layers_show_hidden_parts():
    dataset = ShapesDataset(200, seed=3)
    overlapping = [i for i in range(200) if dataset.layers(i).sum(axis=0).max(initial=0) > 1]
    assert len(overlapping) > 20
    for i in overlapping[:20]:
        layers, target = dataset.layers(i), dataset.target(i)
        assert (layers | ~target.masks).all()               # what is seen is part of the whole
        assert layers.sum() > target.masks.sum()


def test_the_test_set_is_200_standard_images_that_no_small_seed_gives():
    test_set = shapes_test_set()
    assert len(test_set) == 200 and test_set.seed == TEST_SEED and test_set.size(0) == (128, 128)
    first = test_set[0][0]
    assert not any(np.array_equal(first, ShapesDataset(1, seed=seed)[0][0]) for seed in range(10))


def test_any_size_can_be_drawn():
    for height, width in itertools.product([1, 7, 63, 65], [1, 30, 200]):
        image, _ = ShapesDataset(1, image_size=(height, width))[0]
        assert image.shape == (height, width, 3)


@pytest.mark.parametrize("arguments, message", [
    (dict(num_images=-1), "num_images must be a whole number of at least 0, got -1"),
    (dict(num_images=2.5), "num_images must be a whole number of at least 0, got 2.5"),
    (dict(seed=-3), "seed must be .* got -3"),
    (dict(seed="a"), "seed must be .* got 'a'"),
    (dict(image_size=128), "image_size must be .height, width. .* got 128"),
    (dict(image_size=(0, 5)), "image_size"),
    (dict(image_size=((64, 90), (60, 100))), "image_size"),
    (dict(image_size=(64.0, 90.0)), "image_size"),
    (dict(kinds=("circle", "hexagon")), "kinds must be one or more different of circle, square.*hexagon"),
    (dict(kinds=()), "kinds"),
    (dict(kinds=("ring", "ring")), "kinds"),
    (dict(min_objects=3, max_objects=2), "max_objects must be a whole number of at least 3, got 2"),
    (dict(noise=7.65), "noise must be a number from 0 to 1, got 7.65"),
])
def test_wrong_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(InputError, match=message):
        ShapesDataset(**{"num_images": 3, **arguments})
