"""Which object each anchor or RoI answers for, and who is sampled: against tables that torchvision printed."""

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.stages.anchors import AnchorGenerator
from npmaskrcnn.stages.matching import BACKGROUND, IGNORED, match, sample

THREE_OBJECTS = [[.9, .2, .2, .65, .1], [.8, .25, .1, .65, 0], [.1, .25, .2, .1, 0]]


@pytest.mark.parametrize("iou, with_rule, without", [
    (THREE_OBJECTS, [0, 1, -1, -2, -1], [0, -1, -1, -2, -1]),   # box 1 is restored for object 2, and gets object 1
    ([[.8, .1], [.5, .2]], [0, -1], [0, -1]),                   # object 1's best box belongs to object 0
    ([[.9, .2, 0, 0], [0, 0, 0, 0]], [0, 0, 0, 0], [0, -1, -1, -1])])   # an object that overlaps nothing
def test_low_quality_matches(iou, with_rule, without):
    assert match(np.array(iou), .7, .3, allow_low_quality_matches=True).tolist() == with_rule
    assert match(np.array(iou), .7, .3).tolist() == without


def test_thresholds_include_the_upper_and_exclude_below_the_lower():
    iou = np.array([[0.7, np.nextafter(np.float32(0.7), np.float32(0)), 0.3,
                     np.nextafter(np.float32(0.3), np.float32(0))]],
                   np.float32)
    assert match(iou, 0.7, 0.3).tolist() == [0, IGNORED, IGNORED, BACKGROUND]


def test_of_equal_overlaps_the_first_object_wins():
    assert match(np.array([[.8, .9], [.8, .9], [.1, .95]]), .7, .3).tolist() == [0, 2]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_without_objects_or_boxes_all_is_background(shape):
    for rule in (False, True):
        assert match(np.zeros(shape, np.float32), .7, .3, rule).tolist() == [BACKGROUND] * shape[1]


@pytest.mark.parametrize("box, best, positives, without_rule, ignored", [
    ([100, 100, 110, 112], .119, 42, 0, 0),     # lies inside 42 anchors of one area, all with the same IoU
    ([0, 0, 20, 20], .391, 16, 0, 28),
    ([40, 30, 200, 180], .683, 4, 0, 201),
    ([10, 10, 310, 250], .807, 3, 3, 140)])
def test_how_many_of_the_default_anchors_match_one_object(box, best, positives, without_rule, ignored):
    generator = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)
    anchors = np.concatenate(generator([(64, 80), (32, 40), (16, 20), (8, 10), (4, 5)], (256, 320)))
    iou = ops.box_iou(np.array([box], np.float32), anchors)
    matches = match(iou, 0.7, 0.3, allow_low_quality_matches=True)
    assert iou.max() == pytest.approx(best, abs=5e-4)       # three printed digits
    assert (matches >= 0).sum() == positives
    assert (match(iou, 0.7, 0.3) >= 0).sum() == without_rule
    assert (matches == IGNORED).sum() == ignored


class Recorder:
    """A generator that remembers what was drawn, and draws the reverse order."""

    def __init__(self):
        self.calls = []

    def permutation(self, n):
        self.calls.append(n)
        return np.arange(n)[::-1]


@pytest.mark.parametrize("num_positive, num_negative, expected", [
    (300, 1000, (128, 128)), (10, 1000, (10, 246)), (300, 50, (128, 50)), (0, 5, (0, 5)), (7, 0, (7, 0)),
    (0, 0, (0, 0))])
def test_a_sample_is_at_most_half_positive_and_filled_up_with_negatives(num_positive, num_negative, expected):
    kinds = np.random.default_rng(0).permutation(np.repeat([1, 0, 2], [num_positive, num_negative, 40]))
    positives, negatives = sample(kinds == 1, kinds == 0, 256, 0.5, np.random.default_rng(1))
    assert (len(positives), len(negatives)) == expected
    assert (kinds[positives] == 1).all() and (kinds[negatives] == 0).all()
    for rows in (positives, negatives):
        assert (np.diff(rows) > 0).all()        # ascending, each once


def test_positives_are_drawn_before_negatives_and_always_both():
    rng = Recorder()
    kinds = np.array([1, 0, 0, 2, 1, 0])
    positives, negatives = sample(kinds == 1, kinds == 0, 3, 0.5, rng)
    assert rng.calls == [2, 3]
    assert (positives.tolist(), negatives.tolist()) == ([4], [2, 5])    # the last of each: the order is reversed
    sample(kinds == 5, kinds == 5, 3, 0.5, rng)
    assert rng.calls == [2, 3, 0, 0]


def test_a_sample_is_random_and_reproducible():
    is_positive = np.arange(1000) < 500
    draw = [sample(is_positive, ~is_positive, 64, 0.25, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draw[0][1], draw[1][1])
    assert len(draw[0][0]) == 16 and (draw[0][1] != draw[2][1]).any()
