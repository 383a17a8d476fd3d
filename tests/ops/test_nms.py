"""Non-maximum suppression, on both hands, against hand values, its slow twin and torchvision.

Who is kept, in which order, and what decides close calls.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npmaskrcnn import reference
from npmaskrcnn.fast.nms import BLOCK
from npmaskrcnn.ops import batched_nms, batched_nms_best, box_iou, nms
from npmaskrcnn.plain.nms import COORDINATE_TRICK_LIMIT
from tests.ops.stored import META, REFERENCE

pytestmark = pytest.mark.usefixtures("hand")


def crowded_boxes(rng, count, dtype=np.float64):
    center, half = rng.uniform(0, 1, (count, 2)) * (200, 120), rng.uniform(8, 30, (count, 2))
    return np.concatenate([center - half, center + half], axis=1).astype(dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def test_a_suppressed_box_suppresses_nobody():
    # Three boxes in a row, each overlapping the next by 2/3: the middle one loses to the first,
    # and the last, which only the middle one overlaps enough (1/3 with the first), stays.
    boxes = np.array([[0.0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]])
    assert_array_equal(nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5), [0, 2])


def test_order_is_by_score_and_ties_keep_input_order(rng):
    boxes = np.arange(200)[:, None] * [20.0, 0, 20, 0] + [0.0, 0, 10, 10]  # none overlaps another
    scores = rng.integers(0, 4, 200) / 4
    expected = sorted(range(200), key=lambda i: (-scores[i], i))
    assert_array_equal(nms(boxes, scores, 0.5), expected)
    assert_array_equal(batched_nms(boxes, scores, np.arange(200) % 3, 0.5), expected)


def test_among_equal_scores_the_earlier_box_wins():
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10]])
    assert_array_equal(nms(boxes, np.array([0.5, 0.5, 0.5]), 0.5), [0])


@pytest.mark.parametrize("other_width, iou_threshold, kept", [
    (20, 0.5, [0, 1]),  # 10/20 is 0.5 exactly, and not more than 0.5
    (20, 0.499, [0]),
    (3, 0.3, [0]),      # float32(3/10) is 0.3000000119, more than the double 0.3
    (7, 0.7, [0, 1]),   # float32(7/10) is 0.6999999881, less than the double 0.7
])
def test_threshold_is_strict_and_compared_in_double(other_width, iou_threshold, kept):
    boxes = np.array([[0, 0, 10, 10], [0, 0, other_width, 10]], dtype=np.float32)
    assert_array_equal(nms(boxes, np.array([0.9, 0.8], dtype=np.float32), iou_threshold), kept)


def test_boxes_without_area_never_suppress_and_never_warn():
    boxes = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 9, 9]], dtype=np.float32)
    with np.errstate(all="raise"):
        assert_array_equal(nms(boxes, np.array([0.1, 0.2, 0.3], dtype=np.float32), 0.0), [2, 1, 0])


def test_nan_scores_come_last():
    boxes = np.arange(4)[:, None] * [20.0, 0, 20, 0] + [0.0, 0, 10, 10]
    assert_array_equal(nms(boxes, np.array([np.nan, -1.0, np.nan, 2.0]), 0.5), [3, 1, 0, 2])


# Sizes around one and several blocks of the blocked walk.
@pytest.mark.parametrize("count", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("iou_threshold", [0.1, 0.5, 0.9])
def test_nms_agrees_with_its_twin(rng, count, iou_threshold):
    boxes, scores = crowded_boxes(rng, count), rng.integers(0, 50, count) / 50
    assert_array_equal(nms(boxes, scores, iou_threshold), reference.nms(boxes, scores, iou_threshold))


@pytest.mark.parametrize("count", [150, COORDINATE_TRICK_LIMIT + 50])
def test_batched_nms_is_the_twin_of_each_class_on_both_paths(rng, count):
    boxes, scores = crowded_boxes(rng, count), rng.integers(0, 80, count) / 80
    idxs = rng.integers(0, 40, count)
    members = [np.flatnonzero(idxs == label) for label in range(40)]
    kept = np.sort(np.concatenate([own[reference.nms(boxes[own], scores[own], 0.4)] for own in members]))
    assert_array_equal(batched_nms(boxes, scores, idxs, 0.4), kept[np.argsort(-scores[kept], kind="stable")])


@pytest.mark.parametrize("count", [300, 700])
def test_kept_boxes_do_not_overlap_and_every_other_overlaps_a_better_kept_one(rng, count):
    boxes, scores = crowded_boxes(rng, count, np.float32), rng.random(count)
    keep = nms(boxes, scores, 0.5)
    assert keep[0] == scores.argmax()
    iou = box_iou(boxes, boxes[keep])
    assert (np.sort(iou[keep], axis=1)[:, :-1] <= 0.5).all()  # the largest is each box with itself
    better = scores[keep] > scores[:, None]
    dropped = np.setdiff1d(np.arange(count), keep)
    assert len(dropped) and ((iou > 0.5) & better)[dropped].any(axis=1).all()


def close_call(count):
    """Two boxes of class 90 with IoU 0.499984, one box that reaches x = 1333, and far-off tiny ones."""
    boxes = np.zeros((count, 4), dtype=np.float32)
    boxes[:, 0] = np.arange(count) % 1000
    boxes[:, 2:] = boxes[:, :2] + 0.25
    boxes[:3] = [[200.11058, 892.65576, 472.7484, 988.3151], [200.11058, 892.65576, 472.7484, 940.4839],
                 [1300, 0, 1333, 10]]
    idxs = np.full(count, 2)
    idxs[:3] = [90, 90, 1]
    return boxes, np.linspace(1, 0.5, count, dtype=np.float32), idxs


def test_a_thousand_boxes_are_shifted_apart_and_shifting_rounds_coordinates():
    # At an offset of 90 * 1334 float32 steps by 1/128 pixel: the IoU is rounded across the threshold.
    assert 1 not in batched_nms(*close_call(COORDINATE_TRICK_LIMIT), 0.5)


def test_more_than_a_thousand_boxes_are_compared_as_they_are():
    assert 1 in batched_nms(*close_call(COORDINATE_TRICK_LIMIT + 1), 0.5)


def test_no_box_keeps_none():
    none, no_scores = np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32)
    no_idxs = np.zeros(0, dtype=int)
    for keep in (nms(none, no_scores, 0.5), batched_nms(none, no_scores, no_idxs, 0.5),
                 batched_nms_best(none, no_scores, no_idxs, 0.5, 10)):
        assert keep.shape == (0,) and keep.dtype == np.int64


@pytest.mark.parametrize("i", range(len(META["nms"])))
def test_nms_keeps_what_torchvision_keeps(i):
    boxes, scores, idxs, keep, keep_batched = (
        REFERENCE[f"nms/{i}/{name}"] for name in ("boxes", "scores", "idxs", "keep", "keep_batched"))
    iou_threshold = META["nms"][i]["iou_threshold"]
    assert_array_equal(nms(boxes, scores, iou_threshold), keep)
    assert_array_equal(batched_nms(boxes, scores, idxs, iou_threshold), keep_batched)


@pytest.mark.parametrize("num_boxes", [40, 300, 1500])     # one block, the shifted way, the way class by class
@pytest.mark.parametrize("max_kept", [0, 1, 7, 64, 10_000])
def test_a_limit_gives_the_start_of_the_full_result(num_boxes, max_kept):
    rng = np.random.default_rng(num_boxes)
    corners = rng.uniform(0, 200, (num_boxes, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(5, 60, (num_boxes, 2)).astype(np.float32)], axis=1)
    scores, idxs = rng.random(num_boxes).astype(np.float32), rng.integers(0, 4, num_boxes)
    assert_array_equal(batched_nms_best(boxes, scores, idxs, 0.5, max_kept),
                       batched_nms(boxes, scores, idxs, 0.5)[:max_kept])
