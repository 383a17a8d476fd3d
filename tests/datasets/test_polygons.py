"""Polygons to masks: hand-drawn cases, the tools that COCO uses, and what is refused."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.datasets import polygons_to_mask
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn import rle

REFERENCE_FILE = Path(__file__).parents[1] / "reference" / "polygons.json"
REFERENCE = json.loads(REFERENCE_FILE.read_text(encoding="utf-8"))


def drawn(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


# ---- hand values: five rows, seven columns ----

def test_a_rectangle_on_whole_coordinates_has_its_own_area():
    np.testing.assert_array_equal(polygons_to_mask([[2, 1, 6, 1, 6, 4, 2, 4]], 5, 7),
                                  drawn(".......",
                                        "..####.",
                                        "..####.",
                                        "..####.",
                                        "......."))


def test_a_self_crossing_outline_leaves_out_what_it_encloses_twice():
    # A bow tie: the corners of a rectangle, two of them exchanged. No area by signed sums, but two triangles.
    mask = polygons_to_mask([[0, 0, 7, 5, 7, 0, 0, 5]], 5, 7)
    assert mask[2, 0] and mask[2, 6] and not mask[0, 3] and not mask[4, 3]
    twice_round = polygons_to_mask([[1, 1, 6, 1, 6, 4, 1, 4, 1, 1, 6, 1, 6, 4, 1, 4]], 5, 7)
    assert not twice_round.any()


def test_several_polygons_are_joined():
    squares = [[0, 0, 2, 0, 2, 2, 0, 2], [4, 3, 7, 3, 7, 5, 4, 5]]
    np.testing.assert_array_equal(polygons_to_mask(squares, 5, 7),
                                  drawn("##.....",
                                        "##.....",
                                        ".......",
                                        "....###",
                                        "....###"))


def test_a_ring_inside_another_cuts_no_hole_and_gives_a_warning():
    outer, inner = [0, 0, 7, 0, 7, 5, 0, 5], [2, 1, 5, 1, 5, 4, 2, 4]
    with pytest.warns(InputWarning, match="cat.json: annotation 3: polygon 1 lies inside another"):
        mask = polygons_to_mask([outer, inner], 5, 7, name="cat.json: annotation 3")
    assert mask.all()


def test_what_reaches_outside_is_cut_off():
    np.testing.assert_array_equal(polygons_to_mask([[-4, -4, 2, -4, 2, 3, -4, 3]], 5, 7),
                                  drawn("##.....",
                                        "##.....",
                                        "##.....",
                                        ".......",
                                        "......."))
    assert polygons_to_mask([[4, 2, 7, 2, 7, 5, 4, 5]], 5, 7).sum() == 9            # touches both edges
    assert not polygons_to_mask([[8, 2, 17, 2, 17, 5, 8, 5]], 5, 7).any()


def test_a_line_has_no_pixel():
    assert not polygons_to_mask([[1, 1, 3, 3, 5, 5]], 6, 7).any()
    assert not polygons_to_mask([[1, 2, 5, 2, 3, 2]], 6, 7).any()


def test_neither_the_first_corner_nor_the_direction_matters():
    rng = np.random.default_rng(4)
    for _ in range(30):
        corners = rng.uniform(0, 1, (6, 2)) * [50, 35]
        mask = polygons_to_mask([corners.ravel().tolist()], 35, 50)
        for turned in (np.roll(corners, 2, axis=0), corners[::-1]):
            np.testing.assert_array_equal(polygons_to_mask([turned.ravel().tolist()], 35, 50), mask)


# ---- reference ----

@pytest.mark.parametrize("kind", sorted({case["kind"] for case in REFERENCE["cases"]}))
def test_masks_are_those_of_cocos_own_tools_to_the_pixel(kind):
    cases = [case for case in REFERENCE["cases"] if case["kind"] == kind]
    assert len(cases) == 10
    for case in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)                  # rings inside rings, by chance
            mask = polygons_to_mask(case["polygons"], case["height"], case["width"])
        expected = rle.decode({"size": [case["height"], case["width"]], "counts": case["counts"]})
        np.testing.assert_array_equal(mask, expected)


# ---- refused ----

@pytest.mark.parametrize("polygons, message", {
    "empty": ([], "expected a list of polygons"),
    "text": ("abc", "expected a list of polygons"),
    "numbers without brackets": ([1, 1, 4, 1, 4, 3], "one more pair of brackets"),
    "a box": ([1, 1, 4, 3], "four numbers are a box"),
    "a box in brackets": ([[1, 1, 4, 3]], "polygon 0 has 4 numbers: two corners, or a box x, y, width"),
    "one corner": ([[1, 1]], "polygon 0 has 1 corners"),
    "nothing in brackets": ([[1, 1, 4, 1, 4, 3], []], "polygon 1 has 0 corners"),
    "odd count": ([[1, 1, 4, 1, 4, 3, 2]], "7 numbers, expected pairs.*RLE"),
    "NaN": ([[1, 1, 4, float("nan"), 4, 3]], "polygon 0.3. must be a finite number, got nan"),
    "infinite": ([[1, 1, 4, 1, 4, float("inf")]], "polygon 0.5. must be a finite number, got inf"),
    "text inside": ([[1, 1, 4, 1, 4, "x"]], "must be a finite number"),
    "lists inside": ([[[1, 1], [4, 1], [4, 3]]], "expected pairs|no number"),
    "null": ([[1, 1, 4, 1, 4, 3], None], "polygon 1 is None"),
    "huge integer": ([[1, 1, 4, 1, 4, 10**400]], "must be a finite number"),
    "far away": ([[0, 0, 1e9, 0, 1e9, 1e9]], "no pixels of the image"),
    "very far away": ([[-1.7e308, 0, 1.7e308, 0, 1.7e308, 1e300]], "no pixels of the image"),
}.values())
def test_what_is_no_polygon_is_refused_by_name(polygons, message):
    with pytest.raises(InputError, match=message) as caught, np.errstate(all="raise"):
        polygons_to_mask(polygons, 5, 7, name="cat.json: annotation 3")
    assert str(caught.value).startswith("cat.json: annotation 3")
