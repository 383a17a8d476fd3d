"""Areas, IoU, clipping, filtering and deltas of boxes against hand values, slow twins and torchvision, to the bit.

IoU has two forms, so all of it runs on both hands.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npmaskrcnn import reference
from npmaskrcnn.ops import box_area, box_iou, clip_boxes_to_image, decode_boxes, encode_boxes, nms, remove_small_boxes
from tests.ops.stored import META, REFERENCE

pytestmark = pytest.mark.usefixtures("hand")


def random_boxes(rng, count, dtype=np.float64):
    corner = rng.uniform(0, 80, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0.5, 60, (count, 2))], axis=1).astype(dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def test_area_has_no_plus_one():
    assert box_area(np.array([[2.0, 3.0, 6.0, 4.5]])) == [6.0]  # 4 x 1.5


def test_areas_of_half_precision_are_computed_in_float32_like_torchvision():
    boxes = np.array([[0, 0, 300, 400], [10, 10, 310, 410]], np.float16)      # float16 ends at 65,504
    assert_array_equal(box_area(boxes), [120_000, 120_000])
    iou = box_iou(boxes, boxes)
    assert iou.dtype == box_area(boxes).dtype == np.float32
    assert_allclose(iou, [[1, 290 * 390 / 126_900], [290 * 390 / 126_900, 1]], rtol=1e-6)
    assert_array_equal(nms(boxes, np.array([.5, .6], np.float16), .5), [1])


def test_iou_of_boxes_sharing_one_of_seven_cells():
    #  1 1 .
    #  1 # 2      # is shared: 1 / (4 + 4 - 1)
    #  . 2 2
    iou = box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [2, 0, 4, 2], [0, 0, 2, 2]]))
    assert_array_equal(iou, [[1 / 7, 0, 1]])  # touching is 0, itself is exactly 1


def test_iou_of_integer_boxes_is_not_integer():
    iou = box_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 1, 3, 3]]))
    assert iou == [[1 / 7]] and iou.dtype == np.float64


def test_iou_agrees_with_its_twin(rng):
    boxes1, boxes2 = random_boxes(rng, 13), random_boxes(rng, 7)
    assert_allclose(box_iou(boxes1, boxes2), reference.box_iou(boxes1, boxes2), rtol=1e-14)


def test_iou_is_symmetric_to_the_bit(rng):
    boxes1, boxes2 = random_boxes(rng, 50, np.float32), random_boxes(rng, 40, np.float32)
    assert_array_equal(box_iou(boxes1, boxes2), box_iou(boxes2, boxes1).T)


def test_iou_does_not_change_when_boxes_move_together(rng):
    boxes = random_boxes(rng, 30)
    assert_allclose(box_iou(boxes, boxes), box_iou(boxes + 64, boxes + 64), atol=1e-12)  # rounding of +64


def test_anchors_of_equal_area_around_a_small_object_tie_exactly():
    # Matching restores all anchors whose IoU equals the best one, so these must be the same float32.
    object_box = np.array([[40.3, 50.7, 47.1, 55.9]], dtype=np.float32)
    anchors = np.array([[32, 32, 64, 64], [24, 40, 56, 72], [40, 28, 72, 60]], dtype=np.float32)
    assert len(np.unique(box_iou(object_box, anchors))) == 1


def test_iou_of_two_empty_boxes_is_nan_without_a_warning():
    empty = np.array([[3.0, 3, 3, 3]], dtype=np.float32)
    with np.errstate(all="raise"):
        assert np.isnan(box_iou(empty, empty)).all()
        assert box_iou(empty, np.array([[0, 0, 9, 9]], dtype=np.float32)) == [[0]]


def test_clipping_moves_each_coordinate_to_its_own_border():
    boxes = np.array([[-3.0, -2, 50, 60], [5, 6, 7, 8], [45, 35, 48, 39]])
    clipped = clip_boxes_to_image(boxes, (30, 40))  # height 30 bounds y, width 40 bounds x
    assert_array_equal(clipped, [[0, 0, 40, 30], [5, 6, 7, 8], [40, 30, 40, 30]])
    assert boxes[0, 0] == -3  # the argument is left alone


def test_small_means_either_side_and_exactly_enough_is_enough():
    boxes = np.array([[0, 0, 2, 9], [0, 0, 9, 1.99], [1, 1, 3, 3], [5, 5, 4, 9]])
    assert_array_equal(remove_small_boxes(boxes, 2), [0, 2])


def test_small_is_judged_in_the_dtype_of_the_boxes():
    boxes = np.array([[0, 0, 0.01, 0.01]], dtype=np.float32)  # float32(0.01) is a little below 0.01
    assert_array_equal(remove_small_boxes(boxes, 0.01), [0])


@pytest.mark.parametrize("weights, expected", [
    # centers 30, 60 -> 36, 58 in a 40 x 80 anchor: 6/40 and -2/80; sizes 48/40 and 64/80
    ((1, 1, 1, 1), [0.15, -0.025, math.log(1.2), math.log(0.8)]),
    ((10, 10, 5, 5), [1.5, -0.25, 5 * math.log(1.2), 5 * math.log(0.8)]),
])
def test_encoding_of_a_box_by_hand(weights, expected):
    deltas = encode_boxes(np.array([[12.0, 26, 60, 90]]), np.array([[10.0, 20, 50, 100]]), weights)
    assert_allclose(deltas, [expected], rtol=1e-13)  # a handful of roundings


def test_decoding_clamps_growth_above_but_not_below():
    boxes = decode_boxes(np.array([[0.0, 0, 5, -20]]), np.array([[10.0, 20, 50, 100]]))
    # 40 wide grows 1000/16 = 62.5 times to 2500, not exp(5); 80 high shrinks by exp(-20) to nothing
    assert_allclose(boxes, [[-1220, 60, 1280, 60]], rtol=1e-8)


def test_decoding_survives_absurd_deltas():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        anchors = np.array([[0, 0, 8, 8]], dtype=np.float32)
        boxes = decode_boxes(np.full((1, 4), 1e4, dtype=np.float32), anchors)
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (10, 10, 5, 5), (2, 3, 5, 7)])
def test_decoding_undoes_encoding(rng, weights):
    boxes, anchors = random_boxes(rng, 60), random_boxes(rng, 60)
    clamp = boxes[:, :2] + 60 * (anchors[:, 2:] - anchors[:, :2])  # a little below 1000/16 times the size
    boxes[:, 2:] = np.minimum(boxes[:, 2:], clamp)
    deltas = encode_boxes(boxes, anchors, weights)
    assert_allclose(decode_boxes(deltas, anchors, weights), boxes, atol=1e-11)  # pixels of ~100


def test_decoding_of_several_classes_at_once_is_that_of_each(rng):
    proposals = random_boxes(rng, 9, np.float32)
    deltas = rng.standard_normal((9, 5, 4)).astype(np.float32)
    together = decode_boxes(deltas, proposals[:, None], (10, 10, 5, 5))
    for k in range(5):
        assert_array_equal(together[:, k], decode_boxes(deltas[:, k], proposals, (10, 10, 5, 5)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_boxes_keep_their_dtype(rng, dtype):
    boxes, anchors = random_boxes(rng, 6, dtype), random_boxes(rng, 6, dtype)
    weights = np.array([10.0, 10.0, 5.0, 5.0])  # float64 weights must not leak in
    deltas = encode_boxes(boxes, anchors, weights)
    clipped = clip_boxes_to_image(boxes, (np.float64(20), 30))
    decoded = decode_boxes(deltas, anchors, weights)
    results = [box_area(boxes), box_iou(boxes, anchors), clipped, deltas, decoded]
    assert [result.dtype for result in results] == [dtype] * 5


def test_no_box_is_a_valid_number_of_boxes(rng):
    none, some = np.zeros((0, 4), dtype=np.float32), random_boxes(rng, 3, np.float32)
    assert box_area(none).shape == (0,)
    assert box_iou(none, some).shape == (0, 3) and box_iou(some, none).shape == (3, 0)
    assert clip_boxes_to_image(none, (5, 5)).shape == (0, 4)
    assert remove_small_boxes(none, 1).shape == (0,)
    assert encode_boxes(none, none).shape == decode_boxes(none, none).shape == (0, 4)


def test_iou_equals_torchvisions_to_the_bit():
    iou = box_iou(REFERENCE["boxes/boxes1"], REFERENCE["boxes/boxes2"])
    assert_array_equal(iou, REFERENCE["boxes/iou"])


def test_area_clipping_and_filter_equal_torchvisions():
    boxes = REFERENCE["boxes/boxes1"]
    assert_array_equal(box_area(boxes), REFERENCE["boxes/area"])
    assert_array_equal(clip_boxes_to_image(boxes, META["clip_size"]), REFERENCE["boxes/clipped"])
    assert_array_equal(remove_small_boxes(boxes, META["min_size"]), REFERENCE["boxes/not_small"])


@pytest.mark.parametrize("i", range(len(META["coder_weights"])))
def test_deltas_agree_with_torchvisions_coder(i):
    boxes, anchors, deltas = (REFERENCE[f"boxes/{name}"] for name in ("boxes1", "boxes2", "deltas"))
    weights = META["coder_weights"][i]
    # The same operations in the same order; exp and log of the two libraries may differ in the last bit.
    assert_allclose(encode_boxes(boxes, anchors, weights), REFERENCE[f"boxes/encoded/{i}"], rtol=1e-6,
                    atol=1e-6)
    expected = REFERENCE[f"boxes/decoded/{i}"]
    assert_allclose(decode_boxes(deltas, anchors, weights), expected, rtol=1e-6,
                    atol=1e-6 * np.abs(expected).max())
