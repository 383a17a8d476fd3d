"""Targets and detections: what is accepted, what is mended, what is refused, and in which words.

Held against targets written by hand; each wrong one has a single fault, and the message names object, value and cure.
"""

import pickle
import re
import warnings

import numpy as np
import pytest

from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.structures import Detections, MaskSequence, Target, mask_extents

HEIGHT, WIDTH = 40, 60
# Object 0: columns 5..14, rows 20..35. Object 1: columns 30..49, rows 2..7.
BOXES = np.array([[5, 20, 15, 36], [30, 2, 50, 8]], np.float32)
LABELS = np.array([2, 1])


def masks_of(boxes=BOXES, height=HEIGHT, width=WIDTH):
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, np.asarray(boxes, int)):
        mask[y1:y2, x1:x2] = True
    return masks


def with_value(array, index, value):
    array = np.array(array, float)
    array[index] = value
    return array


# ---- what is right ----

def test_a_right_target_passes_without_a_warning_and_has_the_documented_types():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target = Target(BOXES, LABELS, masks_of())
    arrays = (target.boxes, target.labels, target.masks, target.is_crowd, target.area)
    assert [array.dtype for array in arrays] == [np.float32, np.int64, bool, bool, np.float64]
    np.testing.assert_array_equal(target.boxes, BOXES)
    np.testing.assert_array_equal(target.area, [10 * 16, 20 * 6])
    assert not target.is_crowd.any()
    assert len(target) == 2


def test_the_arrays_of_a_target_are_read_only_and_the_callers_stay_writable():
    masks = masks_of()
    target = Target(BOXES, LABELS, masks)
    for array in (target.boxes, target.labels, target.masks, target.is_crowd, target.area):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    with pytest.raises(AttributeError):
        target.boxes = BOXES
    assert masks.flags.writeable


def test_a_target_survives_pickling():
    target = pickle.loads(pickle.dumps(Target(BOXES, LABELS, masks_of(), is_crowd=[True, False])))
    np.testing.assert_array_equal(target.boxes, BOXES)
    np.testing.assert_array_equal(target.is_crowd, [True, False])


@pytest.mark.parametrize("boxes", [np.array([]), [], np.zeros((0, 4))], ids=["shape 0", "list", "shape 0 4"])
@pytest.mark.parametrize("masks", [np.array([]), np.zeros((0, HEIGHT, WIDTH))], ids=["shape 0", "0 H W"])
def test_no_object_is_a_valid_target(boxes, masks):
    target = Target(boxes, np.array([]), masks)
    assert target.boxes.shape == (0, 4) and target.labels.shape == (0,) and target.area.shape == (0,)
    assert target.masks.ndim == 3 and target.masks.dtype == bool
    target.check(image_size=(HEIGHT, WIDTH), num_classes=2)


def test_integer_boxes_are_cast_before_anything_is_subtracted():
    target = Target(np.array([[200, 20, 210, 36]], np.uint8), [1], masks_of([[200, 20, 210, 36]], 250, 300))
    np.testing.assert_array_equal(target.boxes, [[200, 20, 210, 36]])


def test_whole_float_labels_are_labels():
    target = Target(BOXES, np.array([2.0, 1.0]), masks_of())
    np.testing.assert_array_equal(target.labels, [2, 1])
    assert target.labels.dtype == np.int64


@pytest.mark.parametrize("white, dtype", [(1, np.uint8), (255, np.uint8), (1.0, np.float32), (255, np.int64)])
def test_masks_of_0_and_1_or_255_are_masks(white, dtype):
    target = Target(BOXES, LABELS, masks_of().astype(dtype) * dtype(white))
    np.testing.assert_array_equal(target.masks, masks_of())


def test_two_identical_objects_and_overlapping_masks_are_allowed():
    boxes = BOXES[[0, 0]]
    assert len(Target(boxes, [1, 1], masks_of(boxes))) == 2


def test_a_mask_that_fills_its_box_stays_whole():
    np.testing.assert_array_equal(Target(BOXES, LABELS, masks_of()).masks[0, 20:36, 5:15], True)


def test_a_thousand_objects_are_allowed():
    x, y = (a.ravel() for a in np.meshgrid(np.arange(40), np.arange(25)))
    boxes = np.stack([x, y, x + 1, y + 1], axis=1)
    assert len(Target(boxes, np.ones(1000, int), masks_of(boxes, 25, 40))) == 1000


def test_missing_or_zero_area_is_counted_from_the_mask():
    np.testing.assert_array_equal(Target(BOXES, LABELS, masks_of(), area=[0, 77.5]).area, [160, 77.5])


def test_a_true_box_of_the_first_pixel_is_not_taken_for_normalized():
    assert len(Target([[0, 0, 1, 1]], [1], masks_of([[0, 0, 1, 1]]))) == 1


def test_judging_raises_no_floating_point_flag():
    with np.errstate(all="raise"):
        Target(BOXES, LABELS, masks_of())
        for wild in (1e30, 1e38, 1e300, np.inf):
            with pytest.raises(InputError):
                Target(with_value(BOXES, (0, 0), wild), LABELS, masks_of())


# ---- what is mended ----

def test_a_box_over_the_edge_is_clipped_with_a_warning():
    boxes = np.array([[-3, 20, 15, 44]], np.float32)
    with pytest.warns(InputWarning, match=r"img7: box 0 \(-3, 20, 15, 44\) reaches outside .* 60 x 40"):
        target = Target(boxes, [1], masks_of([[0, 20, 15, 40]]), name="img7")
    np.testing.assert_array_equal(target.boxes, [[0, 20, 15, 40]])


def test_a_box_that_does_not_fit_its_mask_gives_a_warning_with_their_iou():
    # Box 5..15 x 20..36 against mask 5..15 x 30..36: 60 of 160 pixels, IoU .375, printed as .38 (or .37).
    with pytest.warns(InputWarning, match=r"img7: box 0 .* does not fit its mask.*IoU of the two 0\.3[78]"):
        Target(BOXES[:1], [1], masks_of([[5, 30, 15, 36]]), name="img7")


def test_y1_x1_y2_x2_boxes_are_recognized():
    with pytest.warns(InputWarning, match="this looks like y1, x1, y2, x2"):
        Target([[5, 6, 12, 30]], [1], masks_of([[6, 5, 30, 12]]))


def test_x_y_w_h_boxes_are_recognized_even_when_none_is_inverted():
    with pytest.warns(InputWarning, match="this looks like x, y, width, height"):
        Target([[20, 10, 30, 25]], [1], masks_of([[20, 10, 50, 35]]))


def test_each_box_that_disagrees_is_counted():
    with pytest.warns(InputWarning, match="1 of 2 boxes"):
        Target(BOXES, LABELS, masks_of([BOXES[0], [0, 0, 3, 3]]))


# ---- what is refused ----

REFUSED = {
    "no width": (dict(boxes=with_value(BOXES, (1, 2), 30)), r"box 1 \(30, 2, 30, 8\) has no area"),
    "no height": (dict(boxes=with_value(BOXES, (0, 3), 20)), "box 0 .* has no area"),
    "inverted": (dict(boxes=with_value(BOXES, (1, 2), 29)),
                 "box 1 .* x2 < x1 .*1 of 2 boxes.*expected x1, y1, x2, y2"),
    "x, y, w, h": (dict(boxes=[[5, 20, 10, 16], [30, 2, 20, 6]]), "this looks like x, y, width, height"),
    "outside": (dict(boxes=[[5, 20, 15, 36], [60, 2, 70, 8]]), "box 1 .* lies outside the image of 60 x 40"),
    "negative and outside": (dict(boxes=[[-9, 20, -2, 36], BOXES[1]]), "box 0 .* lies outside"),
    "NaN": (dict(boxes=with_value(BOXES, (1, 1), np.nan)), "box 1 .*nan.* must be finite"),
    "infinite": (dict(boxes=with_value(BOXES, (1, 3), np.inf)), "box 1 .*inf.* must be finite"),
    "normalized": (dict(boxes=BOXES / [60, 40, 60, 40]), "normalized boxes"),
    "a single box": (dict(boxes=BOXES[0]), r"shape \(N, 4\), got \(4,\).*boxes\[None\]"),
    "five columns": (dict(boxes=np.ones((2, 5))), r"shape \(N, 4\), got \(2, 5\)"),
    "list of dicts": (dict(boxes=[{"x": 1}, {"x": 2}]), r"an \(N, 4\) array of numbers.*got .{.x."),
    "ragged": (dict(boxes=[[1, 2, 3, 4], [1, 2]]), r"an \(N, 4\) array of numbers"),
    "None": (dict(boxes=None), "boxes"),
    "complex": (dict(boxes=BOXES + 1j), "array of numbers.*complex"),
    "label 0": (dict(labels=[2, 0]), "object 1 has label 0; 0 is the background"),
    "label -1": (dict(labels=[-1, 1]), "object 0 has label -1"),
    "label 1.5": (dict(labels=[1.0, 1.5]), "object 1 has label 1.5; labels are whole"),
    "label NaN": (dict(labels=[1.0, np.nan]), "object 1 has label nan"),
    "labels as text": (dict(labels=["cat", "dog"]), "labels must be integers"),
    "labels as flags": (dict(labels=[True, True]), "labels must be integers, got .True, True"),
    "labels in a column": (dict(labels=[[1], [2]]), r"labels must have shape \(N,\)"),
    "fewer labels": (dict(labels=[1]), "2 boxes, 1 labels and 2 masks"),
    "fewer boxes": (dict(boxes=BOXES[:1]), "1 boxes, 2 labels and 2 masks"),
    "fewer masks": (dict(masks=masks_of()[:1]), "2 boxes, 2 labels and 1 masks"),
    "no masks": (dict(masks=np.array([])), "masks"),
    "masks None": (dict(masks=None), "masks"),
    "H, W, N": (dict(masks=np.moveaxis(masks_of(), 0, -1)), r"looks like \(H, W, N\): np.moveaxis"),
    "one mask for all": (dict(masks=masks_of()[0]), r"\(N, H, W\), got \(40, 60\).*masks_from_label_map"),
    "N, 1, H, W": (dict(masks=masks_of()[:, None]), r"got \(2, 1, 40, 60\); drop the axis"),
    "smoothed": (dict(masks=masks_of() * np.linspace(0, 255, 60).astype(np.uint8)), "different values.*PNG"),
    "probabilities": (dict(masks=masks_of() * 0.7), "different values"),
    "object numbers": (dict(masks=masks_of().astype(int) * 2),
                       r"2 different values \(0, 2\).*masks_from_label_map"),
    "masks as text": (dict(masks=np.full((2, 4, 5), "a")), "masks must be bool"),
    "empty mask": (dict(masks=masks_of([BOXES[0], [0, 0, 0, 0]])), "the mask of object 1 has no pixel"),
    "masks without pixels": (dict(masks=np.zeros((2, 0, 60), bool)), "has no pixel"),
    "is_crowd too short": (dict(is_crowd=[1]), "is_crowd must be 2 times"),
    "is_crowd 2": (dict(is_crowd=[0, 2]), "is_crowd"),
    "area too short": (dict(area=[1.0]), "area must be 2 numbers"),
    "area negative": (dict(area=[4, -1]), "object 1 has area -1"),
    "area NaN": (dict(area=[np.nan, 1]), "object 0 has area nan"),
}


@pytest.mark.parametrize("change, message", REFUSED.values(), ids=REFUSED)
def test_a_wrong_target_is_refused_in_one_line_that_names_it(change, message):
    arguments = {"boxes": BOXES, "labels": LABELS, "masks": masks_of(), **change}
    with pytest.raises(InputError, match=message) as caught, np.errstate(all="raise"):
        Target(**arguments, name="cats/img7.png")
    assert str(caught.value).startswith("cats/img7.png: ")
    assert "\n" not in str(caught.value)


def test_a_label_beyond_the_classes_is_refused_with_the_class_list():
    target = Target(BOXES, LABELS, masks_of())
    assert target.check(num_classes=3) is target
    with pytest.raises(InputError, match="targets.3.: object 0 has label 2, .* 0 background, 1 cat"):
        target.check(class_names=["background", "cat"], name="targets[3]")
    with pytest.raises(InputError, match="has label 2, but the classes are 0 to 1"):
        target.check(num_classes=2)


@pytest.mark.parametrize("image_size, message", [
    ((HEIGHT, WIDTH + 1), r"masks have 40 x 60 pixels \(height x width\), the image has 40 x 61$"),
    ((WIDTH, HEIGHT), "height and width look swapped"),
])
def test_masks_of_another_size_than_the_image_are_refused(image_size, message):
    target = Target(BOXES, LABELS, masks_of())
    target.check(image_size=(HEIGHT, WIDTH))
    with pytest.raises(InputError, match=message) as caught:
        target.check(image_size=image_size, name="img7")
    assert str(caught.value).startswith("img7: ")


def test_masks_with_the_objects_last_are_recognized_by_the_image_size():
    # Three objects in an image three rows high: (H, W, N) has the right N by chance.
    masks = np.ones((3, 7, 3), bool)
    target = Target(np.array([[0, 0, 3, 7]] * 3), [1, 1, 1], masks)
    with pytest.raises(InputError, match=r"looks like \(H, W, N\)"):
        target.check(image_size=(3, 7))


# ---- extents and detections ----

def test_mask_extents_are_the_first_and_one_past_the_last_pixel():
    rng = np.random.default_rng(3)
    masks = rng.random((50, 9, 13)) < 0.04
    masks[:, 4, 6] = True
    for mask, box in zip(masks, mask_extents(masks)):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert mask_extents(np.zeros((0, 5, 6), bool)).shape == (0, 4)


def found(count):
    return Detections(np.arange(count * 4, dtype=np.float32).reshape(-1, 4), np.arange(count) % 3 + 1,
                      np.linspace(1, 0, count, dtype=np.float32), np.zeros((count, 6, 8), np.float32))


def test_the_table_names_classes_and_says_how_many_rows_it_leaves_out():
    text = found(25).table(["background", "circle", "square", "triangle"], max_rows=4)
    assert re.search(r"1  square +0\.958 +4\.0 +5\.0 +6\.0 +7\.0", text)
    assert text.endswith("... and 21 more")
    assert repr(found(0)) == "Detections(0 objects)"


def test_detections_are_picked_by_slice_index_or_flag():
    detections = found(6)
    np.testing.assert_array_equal(detections[:2].scores, detections.scores[:2])
    np.testing.assert_array_equal(detections[detections.labels == 3].labels, [3, 3])
    assert detections[4].masks.shape == (1, 6, 8) and len(detections[np.array([], int)]) == 0


def test_masks_that_are_made_when_asked_for_are_picked_like_an_array_and_made_no_sooner():
    array, made = np.random.default_rng(0).random((5, 3, 4)) > .5, []
    masks = MaskSequence(lambda row: made.append(row) or array[row], range(5), (3, 4), bool)
    picks = [masks[1:4], masks[[4, 0]], masks[np.array([True, False, False, True, False])], masks[np.array([], int)]]
    assert [pick.shape[0] for pick in picks] == [3, 2, 2, 0] and masks.ndim == 3 and not made
    np.testing.assert_array_equal(masks[-1], array[4])
    assert made == [4]
    np.testing.assert_array_equal(np.asarray(picks[1]), array[[4, 0]])
    np.testing.assert_array_equal(list(masks), array)
    with pytest.raises(IndexError):
        masks[5]


def test_a_table_takes_any_name():
    names = ["background", "a\nb\x1b[2J\ud800", "long" * 99, "caf\u00e9 \u732b \U0001f408"]
    table = found(3).table(names)
    assert len(table.splitlines()) == 5 and r"a\nb\x1b[2J\ud800 " in table and "caf\u00e9 \u732b \U0001f408" in table
    assert max(map(len, table.splitlines())) < 100 and table.encode("utf-8")
