"""Run-length encoding: hand-drawn masks, round trips, and everything a broken file can hold.

Held against masks drawn as text, against strings that pycocotools made, and against what a decoder must not believe.
"""

import json

import numpy as np
import pytest

from npmaskrcnn.datasets import polygons_to_mask
from npmaskrcnn.errors import InputError
from npmaskrcnn import rle

# Read column by column, top to bottom:
#
#   . # # .      column 0: . .    column 1: # #    column 2: # .    column 3: . .
#   . # . .      -> 2 background, 3 object, 3 background
DRAWN = np.array([[0, 1, 1, 0],
                  [0, 1, 0, 0]], dtype=bool)

# pycocotools' strings for the two masks of test_strings_are_those_of_pycocotools.
DISC = "We05m06K4M2N2N2O0O2O000O2O00000001N10001N101N2N2N3L5JX;"
TEXTURE_BEGINS = "0210010O010O010O010O022MO010O010O010O010O0O1010O010O010O010O"


def random_mask(rng):
    height, width = rng.integers(1, 40, 2)
    mask = rng.random((height, width)) < rng.choice([0, .02, .5, .98, 1])
    y, x = rng.integers(0, height), rng.integers(0, width)
    mask[y:y + rng.integers(0, height + 1), x:x + rng.integers(0, width + 1)] ^= True
    return mask


def test_runs_go_down_the_columns_and_begin_with_background():
    assert rle.encode(DRAWN, compress=False) == {"size": [2, 4], "counts": [2, 3, 3]}
    assert rle.encode(~DRAWN, compress=False) == {"size": [2, 4], "counts": [0, 2, 3, 3]}
    np.testing.assert_array_equal(rle.decode({"size": [2, 4], "counts": [2, 3, 3]}), DRAWN)


def test_compressed_string_writes_differences_in_groups_of_five_bits():
    # 40 = 8 + 1 * 32: the groups 8 (and 32 for "more follow") and 1, that is chr(48 + 40) = "X" and "1".
    # From the fourth count on the difference: 1 - 40 = -39 = 25 - 2 * 32: the groups 25 (and 32),
    # chr(48 + 57) = "i", and -2 in five bits, 11110 = 30, chr(48 + 30) = "N".
    mask = np.zeros((120, 1), dtype=bool)
    mask[40:80] = True
    mask[119] = True
    assert rle.encode(mask, compress=False)["counts"] == [40, 40, 39, 1]
    assert rle.encode(mask)["counts"] == "X1X1W1iN"


@pytest.mark.parametrize("compress", [True, False])
def test_decode_undoes_encode(compress):
    rng = np.random.default_rng(0)
    for _ in range(200):
        mask = random_mask(rng)
        back = rle.decode(json.loads(json.dumps(rle.encode(mask, compress))))
        assert back.dtype == bool and back.flags.c_contiguous
        np.testing.assert_array_equal(back, mask)


def test_the_extent_is_that_of_the_unfolded_mask():
    rng = np.random.default_rng(1)
    for _ in range(200):
        mask = random_mask(rng)
        y, x = np.nonzero(mask)
        expected = (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else (0, 0, 0, 0)
        assert rle.extent(rle.encode(mask)) == expected
    assert rle.extent({"size": [3, 4], "counts": [1, 0, 3, 2, 0, 1, 5]}) == (1, 0, 3, 3)    # runs of no pixel
    assert rle.extent({"size": [0, 4], "counts": []}) == (0, 0, 0, 0)


@pytest.mark.parametrize("unfold", [lambda: rle.decode(rle.encode(DRAWN)),
                                    lambda: polygons_to_mask([[1, 1, 9, 2, 5, 8]], 9, 12)], ids=["RLE", "polygon"])
def test_counts_of_repetitions_are_intp(monkeypatch, unfold):
    # Where the default integer has 32 bits np.repeat takes no int64; here an intp of 32 bits stands in for it.
    repeat, seen = np.repeat, []
    monkeypatch.setattr(np, "intp", np.int32)
    monkeypatch.setattr(np, "repeat", lambda values, counts: (seen.append(counts.dtype), repeat(values, counts))[1])
    assert unfold().any()
    assert seen and set(seen) == {np.dtype(np.int32)}


def test_strings_are_those_of_pycocotools():
    # Written by pycocotools.mask.encode of the masks that the formulas below draw.
    y, x = np.mgrid[:37, :53]
    disc = (y - 15) ** 2 + (x - 30) ** 2 < 150
    texture = (y * y + 3 * x * y + x) % 7 < 3
    assert rle.encode(disc)["counts"] == DISC
    assert rle.encode(texture)["counts"][:60] == TEXTURE_BEGINS
    np.testing.assert_array_equal(rle.decode({"size": [37, 53], "counts": DISC.encode()}), disc)


def test_masks_without_object_or_without_pixels():
    nothing = rle.encode(np.zeros((3, 5), bool))
    assert rle.area(nothing) == 0
    for shape in [(0, 5), (3, 0), (0, 0)]:
        assert rle.decode(rle.encode(np.zeros(shape, bool))).shape == shape
        assert rle.decode({"size": list(shape), "counts": []}).shape == shape


def test_the_area_is_that_of_the_mask():
    rng = np.random.default_rng(1)
    for _ in range(200):
        mask = random_mask(rng)
        assert rle.area(rle.encode(mask)) == mask.sum()


@pytest.mark.parametrize("counts, message", [
    ([5], "sum to 5, but size 2 x 3"),
    ([], "sum to 0"),
    ([3, 4], "sum to 7"),
    ([-1, 7], "must not be negative, got -1"),
    ([10 ** 30], "sum to 10+, but"),
    ([2 ** 63 - 1, 2 ** 63 - 1, 8], "sum to"),                           # would overflow back to 6 in 64 bits
    ([2 ** 64 - 2, 8], "sum to"),
    ([6.0], "whole numbers"), ([float("nan")], "whole numbers"), (["6"], "whole numbers"),
    ([None], "whole numbers"), ([[6]], "whole numbers"), ([[1], [2, 3]], "whole numbers"),
    ([True], "whole numbers"),
    (None, "whole numbers"), ({"0": 6}, "whole numbers"), (6, "whole numbers"),
    ("é", "character 'é' at position 0 is outside"), ("6 ", "character ' ' at position 1"),
    ("6,3", "no compressed RLE string"),
    ("P", "ends inside a number, after 0 counts"), ("02X", "after 2 counts"),
    ("P" * 50, "too long"), (b"\xff", "character"), ("", "sum to 0"),
])
def test_bad_counts_are_one_clear_error(counts, message):
    with pytest.raises(InputError, match=message) as error:
        rle.decode({"size": [2, 3], "counts": counts})
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize("size, message", [
    ([2], "height, width"), ([2, 3, 1], "height, width"), ([-2, -3], "height, width"),
    ([2.0, 3], "height, width"),
    ("23", "height, width"), (None, "height, width"), ([None, 6], "height, width"),
    ([True, 6], "height, width"),
    ([10 ** 9, 10 ** 9], "more than the"), ([10 ** 40, 1], "more than the"),
    ([3, 4], r"size 3 x 4 \(height x width\) has 12 pixels"),
])
def test_bad_sizes_are_one_clear_error(size, message):
    with pytest.raises(InputError, match=message):
        rle.decode({"size": size, "counts": [6]})


@pytest.mark.parametrize("value", [None, {}, {"size": [2, 3]}, {"counts": [6]}, [[0, 0, 4, 0, 4, 4]], "021"])
def test_what_is_no_rle_is_refused(value):
    with pytest.raises(InputError, match="'size' and 'counts'"):
        rle.area(value)


def test_damaged_strings_decode_to_the_right_size_or_are_refused():
    rng = np.random.default_rng(3)
    good = rle.encode(rng.random((20, 30)) < .5)["counts"].encode()
    num_refused = 0
    for _ in range(2000):
        damaged = bytearray(good)
        for position in rng.integers(0, len(good), 2):
            damaged[position] = rng.integers(0, 256)
        del damaged[len(good) - rng.integers(0, 3):]
        try:
            assert rle.decode({"size": [20, 30], "counts": bytes(damaged)}).shape == (20, 30)
        except InputError:
            num_refused += 1
    assert num_refused > 1900   # the sum gives nearly all of them away


@pytest.mark.parametrize("mask, message", [
    (np.zeros((2, 3, 1), bool), "two dimensions"),
    (np.full((2, 3), .7), "threshold"),
])
def test_encode_refuses_what_is_no_mask(mask, message):
    with pytest.raises(InputError, match=message):
        rle.encode(mask)


def test_encode_takes_any_memory_layout_and_changes_nothing():
    for mask in (DRAWN.T.copy().T, DRAWN[::-1], DRAWN.astype(np.uint8) * 255):
        before = mask.copy()
        mask.flags.writeable = False
        np.testing.assert_array_equal(rle.decode(rle.encode(mask)), mask != 0)
        np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("pixels", [[], [0], [5], [0, 5], [1, 4], [0, 1], [4, 5], [3]])
def test_an_object_at_the_first_or_the_last_pixel_has_its_runs(pixels):
    mask = np.zeros(6, bool)
    mask[pixels] = True
    mask = mask.reshape(3, 2).T                     # 2 x 3, numbered down the columns
    counts = rle.encode(mask, compress=False)["counts"]
    assert sum(counts) == 6 and 0 not in counts[1:] and len(counts) % 2 == (5 not in pixels)
    np.testing.assert_array_equal(rle.decode({"size": [2, 3], "counts": counts}), mask)
