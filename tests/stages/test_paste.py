"""Pasting masks into images against tables that torchvision printed, to the pixel."""

import numpy as np
import pytest

from npmaskrcnn.stages.paste import expand_boxes, paste_masks, paste_when_asked

ONES4 = np.ones((1, 4, 4), np.float32)


def paste(masks, box, size):
    return paste_masks(masks, np.array([box], np.float32), size)[0]


def test_boxes_grow_about_their_centers():
    grown = expand_boxes(np.array([[1.0, 1, 5, 5], [0, 0, 3.9, 7.8]]), 1.5)
    np.testing.assert_allclose(grown, [[0, 0, 6, 6], [-.975, -1.95, 4.875, 9.75]], rtol=1e-12)


def test_a_full_mask_fades_over_one_cell():
    pasted = paste(ONES4, [1, 1, 5, 5], (8, 8))
    # printed digits
    np.testing.assert_allclose(pasted[1], [0, .6173, .7857, .7857, .7857, .6173, 0, 0], atol=5e-5)
    np.testing.assert_allclose(pasted[2], [0, .7857, 1, 1, 1, .7857, 0, 0], atol=5e-5)
    assert not pasted[[0, 6, 7]].any()


def test_coordinates_are_truncated_toward_zero_so_a_border_box_loses_nothing():
    # expanded to -.975 .. 4.875, which truncates to 0 .. 4: five pixels, not six
    pasted = paste(ONES4, [0, 0, 3.9, 3.9], (8, 9))
    expected = np.zeros((8, 9))
    expected[:5, :5] = 1
    expected[[0, 4], :5] = expected[:5, [0, 4]] = .1
    expected[np.ix_([0, 4], [0, 4])] = .01
    np.testing.assert_allclose(pasted, expected, atol=1e-6)     # float32


def test_a_large_box_covers_the_pixels_that_torchvisions_does():
    # expanded to 9.207, 11.968, 41.993, 33.934
    pasted = paste(np.ones((1, 28, 28), np.float32), [10.3, 12.7, 40.9, 33.2], (50, 60))
    rows, columns = np.flatnonzero((pasted >= .5).any(axis=1)), np.flatnonzero((pasted >= .5).any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (12, 32, 10, 40)
    assert (pasted >= .5).sum() == 21 * 31


@pytest.mark.parametrize("box", [[-14, -28, 14, 28], [46, 26, 74, 54], [-40, -36, 100, 76]])
def test_what_lies_outside_the_image_is_cut_off(box):
    # sides that are multiples of 28 grow by whole pixels, so that truncation is the same on a canvas with a margin
    mask = np.random.default_rng(0).random((1, 28, 28)).astype(np.float32)
    whole = paste(mask, np.array(box) + 120, (45 + 240, 61 + 240))
    assert whole[:120].any() or whole[-120:].any()
    np.testing.assert_array_equal(paste(mask, box, (45, 61)), whole[120:-120, 120:-120])


@pytest.mark.parametrize("box", [[-50, -50, -20, -20], [100, 10, 120, 20], [10, 80, 20, 99]])
def test_a_box_outside_the_image_leaves_it_empty(box):
    assert not paste(ONES4, box, (45, 61)).any()


def test_a_mask_is_stretched_differently_in_x_and_y():
    mask = np.zeros((1, 4, 4), np.float32)
    mask[0, 0, 3] = 1       # top right
    pasted = paste(mask, [10, 10, 50, 18], (40, 60))
    y, x = np.unravel_index(pasted.argmax(), pasted.shape)
    assert 10 <= y <= 12 and 40 <= x <= 50


@pytest.mark.parametrize("box", [[5.2, 5.4, 5.3, 5.5], [5, 5, 5, 5]])
def test_a_box_thinner_than_a_pixel_becomes_one_pixel(box):
    pasted = paste(ONES4, box, (12, 10))
    assert np.argwhere(pasted).tolist() == [[5, 5]]


def test_no_mask_no_canvas():
    for dtype in (np.float32, np.float64):
        pasted = paste_masks(np.zeros((0, 28, 28), dtype), np.zeros((0, 4), dtype), (7, 9))
        assert pasted.shape == (0, 7, 9) and pasted.dtype == dtype


def test_every_mask_gets_its_own_canvas_and_keeps_its_dtype():
    masks = np.stack([np.full((28, 28), v) for v in (0.25, 0.75)])
    pasted = paste_masks(masks, np.array([[2.0, 3, 20, 15], [30, 20, 50, 40]]), (45, 61))
    assert pasted.dtype == np.float64
    np.testing.assert_allclose([p.max() for p in pasted], [0.25, 0.75], rtol=1e-12)
    assert not pasted[0, 18:].any() and not pasted[1, :18].any()


def test_pasted_one_at_a_time_the_masks_are_the_same():
    masks = np.random.default_rng(3).random((4, 28, 28), np.float32)
    boxes = np.array([[2, 3, 20, 15], [30, 20, 50, 40], [-9, 5, 70, 9], [80, 80, 90, 90]], np.float32)
    asked = paste_when_asked(masks, boxes, (45, 61))
    for row, mask in enumerate(paste_masks(masks, boxes, (45, 61))):
        assert asked(row).dtype == mask.dtype
        np.testing.assert_array_equal(asked(row), mask)
