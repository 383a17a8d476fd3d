"""The classical baselines: Otsu's threshold against every other one, and what is found in disks that touch or do not.

Pictures are 40 x 70; a disk is bright on dark ground.
"""

import numpy as np
import pytest

from npmaskrcnn.classical import METHODS, find_by_watershed, find_components, otsu_threshold
from npmaskrcnn.datasets import CellsDataset
from npmaskrcnn.evaluation import evaluate

SIZE = 40, 70


def disk(x, y, radius):
    rows, columns = np.mgrid[:SIZE[0], :SIZE[1]] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius ** 2


def picture(mask, dark=30, bright=180):
    noise = np.random.default_rng(0).normal(0, 5, SIZE)
    return np.round(np.where(mask, bright, dark) + noise).clip(0, 255).astype(np.uint8)


def test_no_other_threshold_parts_a_picture_better_than_otsus():
    rng = np.random.default_rng(1)
    gray = np.concatenate([rng.normal(60, 12, 900), rng.normal(150, 30, 300)]).clip(0, 255).round().reshape(30, 40)

    def between(threshold):
        dark, bright = gray[gray <= threshold], gray[gray > threshold]
        return dark.size * bright.size * (dark.mean() - bright.mean()) ** 2

    others = [between(value) for value in np.unique(gray)[:-1]]
    assert between(otsu_threshold(gray)) == pytest.approx(max(others), rel=1e-3)       # 256 bins over fewer values
    assert 90 < otsu_threshold(gray) < 120


@pytest.mark.parametrize("find", METHODS.values())
def test_disks_that_are_apart_are_found_larger_ones_first(find):
    small, large = disk(15.3, 12.2, 6.5), disk(48, 22, 11.4)
    found = find(picture(small | large))
    assert found.labels.tolist() == [1, 1]
    np.testing.assert_allclose(found.scores, [1, small.sum() / large.sum()], rtol=1e-6)     # float32
    np.testing.assert_array_equal(found.masks > 0.5, [large, small])
    rows, columns = np.nonzero(small)
    assert found.boxes[1].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_disks_that_touch_are_one_component_and_two_basins():
    left, right = disk(25.2, 18.7, 10.3), disk(42.1, 21.4, 9.2)
    both = left | right
    image = picture(both)
    (whole,) = find_components(image).masks > 0.5
    np.testing.assert_array_equal(whole, both)
    parts = find_by_watershed(image).masks > 0.5
    assert len(parts) == 2
    np.testing.assert_array_equal(parts.any(axis=0), both)
    assert parts.sum(axis=0).max() == 1                             # no pixel is in both
    for part, truth in zip(parts, (left, right)):
        assert (part & truth).sum() / (part | truth).sum() > 0.93


@pytest.mark.parametrize("find", METHODS.values())
def test_colors_and_holes_make_no_difference(find):
    mask = disk(30, 20, 12)
    ring = mask & ~disk(31, 19, 4)
    colored = np.stack([picture(ring, bright=90), picture(ring), picture(ring)], axis=2)
    np.testing.assert_array_equal(find(colored).masks[0] > 0.5, mask)


@pytest.mark.parametrize("find", METHODS.values())
def test_nothing_is_found_where_nothing_is(find):
    for image in (np.zeros(SIZE, np.uint8), np.full((*SIZE, 3), 0.3), picture(disk(30, 20, 2))):    # and dirt
        found = find(image)
        assert len(found) == 0 and found.masks.shape == (0, *SIZE)


def test_on_drawn_cells_parting_is_better_than_not():
    dataset = CellsDataset(6, (112, 144), seed=3)
    scores = [evaluate(dataset, [find(dataset[i][0]) for i in range(6)], ("segm",)).segm["AP"]
              for find in (find_components, find_by_watershed)]
    assert 0.2 < scores[0] < scores[1] - 0.05
