"""Label maps: the numbers come out as they were painted, whatever the file's mode.

Held against small arrays that are written with Pillow in each of its modes and read back.
"""

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn.datasets import label_maps, masks_from_label_map, read_label_map
from npmaskrcnn.errors import InputError

NUMBERS = np.array([[0, 0, 2, 2, 2], [1, 1, 2, 0, 9], [0, 1, 0, 9, 9]])


def test_a_palette_gives_its_indices_and_not_its_colors(tmp_path):
    image = Image.fromarray(NUMBERS.astype(np.uint8))
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0] + [7, 8, 9] * 7)
    assert image.mode == "P"
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), NUMBERS)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_numbers_stay_apart(tmp_path, ending):
    numbers = NUMBERS * 256 + 1                         # 1, 257, 513, ...: all equal in their low eight bits
    path = tmp_path / f"a.{ending}"
    Image.fromarray(numbers.astype(np.uint16)).save(path)
    np.testing.assert_array_equal(read_label_map(path), numbers)


@pytest.mark.parametrize("dtype, largest", [(np.uint8, 9), (np.uint8, 255), (np.int32, 100_000), (bool, 1)])
def test_gray_values_are_the_numbers(tmp_path, dtype, largest):
    numbers = np.where(NUMBERS == 9, largest, NUMBERS).astype(dtype)
    path = tmp_path / "a.tif"
    Image.fromarray(numbers).save(path)
    # One bit is stored as such; its two values may come back as 0 and 1.
    np.testing.assert_array_equal(read_label_map(path), numbers.astype(np.int64))


def test_a_jpeg_a_color_picture_and_a_missing_file_are_refused_with_the_path(tmp_path):
    Image.fromarray(NUMBERS.astype(np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "b.png")
    for name, message in (("a.jpg", "JPEG.*PNG"), ("b.png", "mode RGB"), ("c.png", "no such file")):
        with pytest.raises(InputError, match=message) as caught:
            read_label_map(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_each_number_becomes_a_mask_in_ascending_order():
    masks, ids = masks_from_label_map(NUMBERS)
    assert masks.dtype == bool and ids.dtype == np.int64
    np.testing.assert_array_equal(ids, [1, 2, 9])
    for mask, number in zip(masks, ids):
        np.testing.assert_array_equal(mask, NUMBERS == number)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_a_map_of_ground_alone_has_no_mask(dtype):
    masks, ids = masks_from_label_map(np.zeros((4, 6), dtype))
    assert masks.shape == (0, 4, 6) and ids.shape == (0,)


@pytest.mark.parametrize("label_map, message", [
    (np.zeros((4, 5, 3), int), r"expected shape \(H, W\), got \(4, 5, 3\); take one channel"),
    (NUMBERS / 255, "whole numbers, got float64"),
    (np.array([[2**63]], np.uint64), "object numbers end at 9,223,372,036,854,775,807, got 9,223,372,036,854,775,808"),
    (NUMBERS - 1, "must not be negative, got -1"),
])
def test_what_is_no_label_map_is_refused(label_map, message):
    with pytest.raises(InputError, match=message):
        masks_from_label_map(label_map)


def test_more_masks_than_fit_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(label_maps, "MAX_MASK_BYTES", 44)
    with pytest.raises(InputError, match="a.png: 3 masks of 3 x 5 pixels"):
        masks_from_label_map(NUMBERS, name="a.png")
