"""Cells that draw themselves: what is promised about every picture, recounted here from pictures and masks."""

import numpy as np
import pytest
from scipy import ndimage

from npmaskrcnn.datasets import TEST_SEED, CellsDataset
from npmaskrcnn.errors import InputError

SIZE = (80, 120)


def test_a_picture_depends_on_its_seed_and_number_alone():
    cells, again, other = (CellsDataset(6, SIZE, seed=seed) for seed in (4, 4, 5))
    assert len(cells) == 6 and cells.class_names == ["background", "cell"]
    for i in (5, 0, 3):         # in any order
        image, target = cells[i]
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
        np.testing.assert_array_equal(image, again[i][0])
        np.testing.assert_array_equal(target.masks, again.target(i).masks)
        assert (image != other[i][0]).any()
    np.testing.assert_array_equal(cells[-1][0], cells[5][0])
    with pytest.raises(IndexError):
        cells[6]


def test_masks_are_apart_large_enough_and_what_the_boxes_hold():
    counts = set()
    for seed in range(60):
        dataset = CellsDataset(2, ((64, 70), (80, 100)), seed=seed, min_objects=0, max_objects=9, min_visible=15)
        target, layers, (height, width) = dataset.target(1), dataset.layers(1), dataset.size(1)
        counts.add(len(target))
        assert 64 <= height <= 80 and 70 <= width <= 100 and target.masks.shape == (len(target), height, width)
        assert (target.labels == 1).all() and len(target) <= dataset.most_objects == 9
        assert target.masks.sum(axis=0).max() <= 1                  # a pixel shows one cell
        assert (target.masks <= layers).all() and (target.masks.any(axis=0) == layers.any(axis=0)).all()
        for mask, box in zip(target.masks, target.boxes):
            rows, columns = np.nonzero(mask)
            assert len(rows) > 15
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert 0 in counts and max(counts) >= 8


def test_cells_are_of_one_piece_before_others_hide_them_and_are_not_all_alike():
    dataset = CellsDataset(20, SIZE, seed=1)
    layers = np.concatenate([dataset.layers(i) for i in range(20)])
    assert all(ndimage.label(layer)[1] == 1 for layer in layers)
    rim = np.concatenate([layers[:, 0].any(axis=1) | layers[:, -1].any(axis=1)])
    areas = layers[~rim].sum(axis=(1, 2))
    assert np.quantile(areas, 0.9) > 2 * np.quantile(areas, 0.1)
    assert 0.05 < rim.mean() < 0.6                                  # some are cut by the border


def test_some_cells_touch():
    dataset, touching, number = CellsDataset(20, SIZE, seed=2), 0, 0
    for i in range(20):
        masks = dataset.target(i).masks
        pieces = ndimage.label(masks.any(axis=0), np.ones((3, 3)))[1]
        touching, number = touching + len(masks) - pieces, number + len(masks)
    assert 0.1 < touching / number < 0.8


def test_cells_are_bright_and_mottled_on_dark_ground_in_gray():
    dataset = CellsDataset(20, SIZE, seed=3)
    inside, outside, grain = [], [], []
    for image, target in (dataset[i] for i in range(20)):
        assert (image == image[:, :, :1]).all()
        gray, cells = image[:, :, 0].astype(float), target.masks.any(axis=0)
        inside.append(gray[ndimage.binary_erosion(cells, iterations=2)].mean())
        outside.append(gray[~ndimage.binary_dilation(cells, iterations=3)].mean())
        grain += [gray[mask].std() / gray[mask].mean() for mask in target.masks]
    assert (np.array(inside) > 2.5 * np.array(outside)).all()
    assert 0.05 < np.median(grain) < 0.4


def test_a_picture_without_cells_is_dark_noise_and_not_stretched_to_white():
    image, target = CellsDataset(3, SIZE, seed=TEST_SEED, min_objects=0, max_objects=0)[1]
    assert len(target) == 0 and target.masks.shape == (0, *SIZE)
    assert np.median(image) < 100 and image.std() > 0


def test_the_test_set_stays_what_it_is():
    """What was measured on the test set holds as long as its pictures are these."""
    image, target = CellsDataset(100, seed=TEST_SEED)[3]
    assert len(target) == 12 and target.masks.sum() == 2025
    assert abs(image.mean() - 27.528) < 0.01        # the last bits of a blur may differ


@pytest.mark.parametrize("options, message", [
    ({"num_images": -1}, "num_images"), ({"image_size": (0, 5)}, "image_size"), ({"seed": -1}, "seed"),
    ({"min_objects": 5, "max_objects": 4}, "max_objects"),
    ({"max_objects": 10**6}, "max_objects must be a whole number at most 131,072")])
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        CellsDataset(**{"num_images": 2, **options})
