"""The RPN: from logits and deltas to proposals, and its losses.

One cell is made hot and must become the box that its deltas say; each step of torchvision's recipe (top k per level,
clipping, suppression, limit) gets a few boxes whose answer is plain to see; losses and gradients are worked out by
hand.
"""

import math

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.stages.anchors import AnchorGenerator
from npmaskrcnn.stages.rpn import (RPNHead, RPNSample, flatten_levels, propose, rpn_losses_backward,
                                   rpn_losses_forward,
                                   top_k_indices)

GRIDS = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]     # of a 64 x 96 batch: no two sides equal
ANCHORS = AnchorGenerator(((8,), (16,), (32,), (48,), (64,)), ((0.5, 1.0, 2.0),) * 5)(GRIDS, (64, 96), np.float64)
SIZE = (60, 90)


def silent():
    """Outputs of a head that sees nothing: per level (h, w, A) logits and (h, w, A, 4) deltas."""
    return [np.full(grid + (3,), -9.0) for grid in GRIDS], [np.zeros(grid + (3, 4)) for grid in GRIDS]


def proposals(objectness, deltas, size=SIZE, pre=1000, post=1000, nms=0.7, score=0.0, anchors=ANCHORS):
    return propose([level.reshape(-1) for level in objectness], [level.reshape(-1, 4) for level in deltas], anchors,
                   size, pre, post, nms, score)


@pytest.mark.parametrize("anchor", range(3))
@pytest.mark.parametrize("level", range(5))
def test_a_hot_cell_becomes_the_box_that_its_deltas_say(level, anchor):
    height, width = GRIDS[level]
    y, x = (height - 1) // 2, (width - 1) // 2 + (width > 2)
    objectness, deltas = silent()
    objectness[level][y, x, anchor] = 4.0
    deltas[level][y, x, anchor] = (0.1, -0.05, math.log(0.5), math.log(0.8))
    best = proposals(objectness, deltas)
    side, ratio = (8, 16, 32, 48, 64)[level], (0.5, 1.0, 2.0)[anchor]
    half_w, half_h = np.round(side / math.sqrt(ratio) / 2), np.round(side * math.sqrt(ratio) / 2)
    # the cell's corner is at (x, y) times the stride; moved by .1 of the anchor's width, -.05 of its height
    center_x, center_y = x * (96 // width) + 0.1 * 2 * half_w, y * (64 // height) - 0.05 * 2 * half_h
    expected = np.array([center_x - 0.5 * half_w, center_y - 0.8 * half_h, center_x + 0.5 * half_w,
                         center_y + 0.8 * half_h])
    # anchors are float32's
    np.testing.assert_allclose(best.boxes[0], expected.clip(0, [90, 60, 90, 60]), rtol=1e-6)
    np.testing.assert_allclose(best.scores[0], 1 / (1 + math.exp(-4.0)), rtol=1e-12)
    assert best.top_k_levels[best.rows[0]] == level
    first = sum(3 * h * w for h, w in GRIDS[:level])
    assert best.top_k[best.rows[0]] == first + (y * width + x) * 3 + anchor


def test_the_limit_before_nms_is_per_level_and_by_logit():
    rng = np.random.default_rng(0)
    objectness, deltas = silent()
    objectness = [rng.standard_normal(level.shape) for level in objectness]
    found = proposals(objectness, deltas, pre=4)
    assert np.bincount(found.top_k_levels).tolist() == [4] * 5
    for level in range(5):
        first = sum(o.size for o in objectness[:level])
        rows = found.top_k[found.top_k_levels == level] - first
        assert rows.tolist() == np.argsort(-objectness[level].ravel(), kind="stable")[:4].tolist()


def test_a_level_with_fewer_anchors_than_the_limit_keeps_them_all():
    found = proposals(*silent(), pre=7)
    assert np.bincount(found.top_k_levels).tolist() == [7, 7, 7, 7, 6]


def test_the_limit_after_nms_is_over_all_levels_together():
    rng = np.random.default_rng(0)
    objectness = [rng.standard_normal(level.shape) for level in silent()[0]]
    every = proposals(objectness, silent()[1])
    few = proposals(objectness, silent()[1], post=9)
    assert len(every.boxes) > 30 and len(few.boxes) == 9
    np.testing.assert_array_equal(few.boxes, every.boxes[:9])
    assert (np.diff(every.scores) <= 0).all()


def test_boxes_are_clipped_to_the_image_and_not_to_its_padding():
    found = proposals(*silent(), nms=1.0, post=9999)
    assert found.boxes.min() == 0 and found.boxes[:, [0, 2]].max() == 90 and found.boxes[:, [1, 3]].max() == 60


def test_boxes_that_clipping_leaves_thinner_than_a_thousandth_are_dropped():
    # one anchor per box: the first lies wholly right of the image, the others leave 0.0005 and 0.001 px
    anchors = [np.array([[95.0, 10, 99, 20], [89.9995, 10, 95, 20], [89.999, 30, 95, 40]])]
    found = propose([np.array([3.0, 2.0, 1.0])], [np.zeros((3, 4))], anchors, SIZE, 10, 10, 0.7, 0.0)
    np.testing.assert_array_equal(found.boxes, [[89.999, 30, 90, 40]])


def test_nms_does_not_let_levels_suppress_each_other():
    box = np.array([[10.0, 10, 40, 30]])
    same_level = propose([np.array([2.0, 1.0])], [np.zeros((2, 4))], [np.repeat(box, 2, axis=0)], SIZE, 9, 9, 0.7,
                         0.0)
    two_levels = propose([np.array([1.0]), np.array([2.0])], [np.zeros((1, 4))] * 2, [box, box], SIZE, 9, 9, 0.7, 0.0)
    assert len(same_level.boxes) == 1 and len(two_levels.boxes) == 2
    np.testing.assert_allclose(two_levels.scores, 1 / (1 + np.exp([-2.0, -1.0])), rtol=1e-12)


def test_a_score_equal_to_the_threshold_stays():
    anchors = [np.array([[1.0, 1, 9, 9], [20, 20, 40, 30]])]
    logits = [np.array([0.0, -1e-6])]
    assert len(propose(logits, [np.zeros((2, 4))], anchors, SIZE, 9, 9, 0.7, 0.5).boxes) == 1


def test_a_stretch_is_limited_to_sixty_two_fold_and_a_shrink_is_not():
    anchors = [np.array([[10.0, 20, 50, 100]])]
    found = propose([np.zeros(1)], [np.array([[0, 0, 5.0, -20.0]])], anchors, (4000, 4000), 9, 9, 0.7, 0.0)
    assert len(found.boxes) == 0    # its height is 80 * exp(-20)
    found = propose([np.zeros(1)], [np.array([[0.5, 0.0, 5.0, 0.0]])], anchors, (4000, 4000), 9, 9, 0.7, 0.0)
    # half of 40 * 62.5 right of 50
    np.testing.assert_allclose(found.boxes, [[0, 20, 50 + 1250, 100]], rtol=1e-12)


def test_no_anchor_no_proposal():
    found = propose([np.zeros(0)] * 2, [np.zeros((0, 4))] * 2, [np.zeros((0, 4))] * 2, SIZE, 9, 9, 0.7, 0.0)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)


@pytest.mark.parametrize("k", [0, 1, 3, 10, 40, 100])
def test_top_k_is_the_start_of_a_stable_sort(k):
    scores = np.random.default_rng(0).integers(0, 6, 40).astype(np.float32)     # many ties
    np.testing.assert_array_equal(top_k_indices(scores, k), np.argsort(-scores, kind="stable")[:k])


def test_outputs_are_flattened_in_the_order_of_the_anchors():
    # torchvision: channel-first, so its channels 0..11 on a 2 x 2 map give 0, 4, 8, 1, 5, 9, ...
    channels = np.arange(12.0).reshape(3, 2, 2)
    ours = channels.transpose(1, 2, 0)[None]
    assert flatten_levels([ours]).tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    two = flatten_levels([np.zeros((2, 2, 3, 3, 4)), np.ones((2, 1, 2, 3, 4))])
    assert two.shape == (2, 24, 4) and two[:, 18:].all() and not two[:, :18].any()


def test_the_heads_box_channels_are_anchor_major():
    head = RPNHead(2, 3, rng=np.random.default_rng(0)).astype(np.float64)
    head.bbox_pred.weight.data[...] = 0
    head.bbox_pred.bias.data[...] = np.arange(12)
    _, deltas = head([np.ones((1, 2, 3, 2))])
    assert deltas[0].shape == (1, 2, 3, 3, 4)
    np.testing.assert_array_equal(deltas[0][0, 1, 2], np.arange(12.0).reshape(3, 4))


# ---- losses ----

def outputs(logits, moves):
    """One image, two levels of 1 x 2 and 1 x 1 cells with one anchor: three anchors in all."""
    logits, moves = np.array(logits, float), np.array(moves, float)
    return ([logits[:2].reshape(1, 1, 2, 1), logits[2:].reshape(1, 1, 1, 1)],
            [moves[:2].reshape(1, 1, 2, 1, 4), moves[2:].reshape(1, 1, 1, 1, 4)])


def test_losses_by_hand():
    # Sampled: anchor 2 (positive, logit 2) and anchor 0 (negative, logit -1); anchor 1 does not count.
    objectness, deltas = outputs([-1, 50, 2], [[7] * 4, [7] * 4, [0.05, 1 / 9, 0.2, -1]])
    chosen = RPNSample(np.array([2, 0]), 1, np.zeros((1, 4)))
    loss_objectness, loss_box, _ = rpn_losses_forward(objectness, deltas, chosen)
    np.testing.assert_allclose(loss_objectness, (0.1269280 + 0.3132617) / 2, rtol=1e-6)     # seven printed digits
    # the positive's four terms, divided by both sampled anchors
    np.testing.assert_allclose(loss_box, (0.01125 + 0.0555556 + 0.1444445 + 0.9444444) / 2, rtol=1e-6)


def test_gradients_by_hand():
    objectness, deltas = outputs([-1, 50, 2], [[7] * 4, [7] * 4, [0.05, 1 / 9, 0.2, -1]])
    chosen = RPNSample(np.array([2, 0]), 1, np.zeros((1, 4)))
    _, _, cache = rpn_losses_forward(objectness, deltas, chosen)
    dobjectness, ddeltas = rpn_losses_backward(1.0, 3.0, cache)
    assert [d.shape for d in dobjectness + ddeltas] == [o.shape for o in objectness + deltas]
    sigma = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    np.testing.assert_allclose(dobjectness[1].ravel(), (sigma[0] - 1) / 2, rtol=1e-12)
    np.testing.assert_allclose(dobjectness[0].ravel(), [sigma[1] / 2, 0], rtol=1e-12)
    np.testing.assert_allclose(ddeltas[1].ravel(), np.array([0.45, 1, 1, -1]) * 3 / 2, rtol=1e-12)
    assert not ddeltas[0].any()


@pytest.mark.parametrize("rows, num_positives", [([], 0), ([1], 0), ([0], 1)])
def test_losses_of_empty_samples_are_zero_and_finite(rows, num_positives):
    objectness, deltas = outputs([-1, 50, 2], np.ones((3, 4)))
    chosen = RPNSample(np.array(rows, int), num_positives, np.zeros((num_positives, 4)))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss_objectness, loss_box, cache = rpn_losses_forward(objectness, deltas, chosen)
        dobjectness, ddeltas = rpn_losses_backward(1.0, 1.0, cache)
    assert (loss_objectness > 0) == bool(rows) and (loss_box > 0) == bool(num_positives)
    assert any(d.any() for d in dobjectness) == bool(rows)
    assert any(d.any() for d in ddeltas) == bool(num_positives)


def test_a_second_images_anchors_follow_the_firsts():
    rng = np.random.default_rng(0)
    objectness = [rng.standard_normal((2, 2, 3, 3)), rng.standard_normal((2, 1, 2, 3))]
    deltas = [rng.standard_normal(o.shape + (4,)) for o in objectness]
    # second image, second level, cell (0, 1), anchor 1
    chosen = RPNSample(np.array([24 + 18 + 4]), 1, np.zeros((1, 4)))
    loss, _, cache = rpn_losses_forward(objectness, deltas, chosen)
    np.testing.assert_allclose(loss, np.log1p(np.exp(-objectness[1][1, 0, 1, 1])), rtol=1e-12)
    dobjectness, ddeltas = rpn_losses_backward(1.0, 1.0, cache)
    assert np.argwhere(dobjectness[1]).tolist() == [[1, 0, 1, 1]] and not dobjectness[0].any()
    assert {tuple(row[:4]) for row in np.argwhere(ddeltas[1])} == {(1, 0, 1, 1)}


def test_huge_logits_and_deltas_do_not_overflow():
    objectness, deltas = silent()
    objectness = [np.full(o.shape, v, np.float32) for o, v in zip(objectness, (1e4, -1e4, 88.8, -103.0, 0.0))]
    deltas = [np.full(d.shape, v, np.float32) for d, v in zip(deltas, (1e3, -1e3, 5.0, -200.0, 0.0))]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = proposals(objectness, deltas, anchors=[a.astype(np.float32) for a in ANCHORS])
    assert found.boxes.dtype == np.float32 and np.isfinite(found.boxes).all() and ops.box_area(found.boxes).min() > 0
