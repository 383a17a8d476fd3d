"""What sampled anchors and RoIs must answer: labels, deltas and masks, in torchvision's order.

Held against `ops.encode_boxes` of the matched pairs, and against what a draw that is known beforehand must choose.
"""

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.config import make_config
from npmaskrcnn.stages.anchors import AnchorGenerator
from npmaskrcnn.stages.roi_heads import RoIHeads
from npmaskrcnn.stages.roi_pooler import RoIPooler
from npmaskrcnn.stages.rpn import RegionProposalNetwork
from npmaskrcnn.stages.transform import InputTarget

CONFIG = make_config(rpn_batch_size_per_image=20, box_batch_size_per_image=8)
ANCHORS = np.concatenate(AnchorGenerator(((8,), (16,), (32,), (48,), (64,)), ((0.5, 1.0, 2.0),) * 5)(
    [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)], (64, 96)))


def choose_anchors(targets, rng):
    """Return the sample, and the matches of each image."""
    chosen = RegionProposalNetwork(None, None, CONFIG).choose([ANCHORS[:1000], ANCHORS[1000:]], targets, rng)
    return chosen, [matching.matches for matching in chosen.matchings]


def choose_rois(proposals, targets, rng, has_masks=True):
    """Return the sample."""
    mask_branch = [RoIPooler(14) if has_masks else None, None, None]
    return RoIHeads(None, None, None, *mask_branch, CONFIG).choose(proposals, targets, rng)


class Order:
    """A generator that leaves everything in its order and remembers the draws."""

    def __init__(self):
        self.calls = []

    def permutation(self, n):
        self.calls.append(n)
        return np.arange(n)


def target(*rows):
    """One `InputTarget` of (x1, y1, x2, y2, label) rows, each mask a filled box."""
    rows = np.array(rows, np.float32).reshape(-1, 5)
    masks = np.zeros((len(rows), 60, 90), bool)
    for mask, (x1, y1, x2, y2, _) in zip(masks, rows.astype(int)):
        mask[y1:y2, x1:x2] = True
    return InputTarget(rows[:, :4], rows[:, 4].astype(int), masks)


TWO = target((10, 10, 40, 30, 3), (50, 20, 80, 55, 1))
NONE = target()


def test_anchors_of_all_images_are_numbered_through_positives_first():
    rng = Order()
    chosen, matches = choose_anchors([TWO, NONE, TWO], rng)
    positives, negatives = chosen.rows[:chosen.num_positives], chosen.rows[chosen.num_positives:]
    count = len(ANCHORS)
    assert set(positives // count) == {0, 2} and set(negatives // count) == {0, 1, 2}
    assert (np.diff(positives) > 0).all() and (np.diff(negatives) > 0).all()
    assert (matches[0][positives[positives < count]] >= 0).all()
    assert (negatives // count == 1).sum() == 20            # an image without objects has negatives only
    # two draws an image, in torchvision's order: positives, negatives
    assert rng.calls == [n for m in matches for n in ((m >= 0).sum(), (m == -1).sum())]


def test_anchor_targets_encode_the_matched_object():
    chosen, matches = choose_anchors([TWO], Order())
    rows = chosen.rows[:chosen.num_positives]
    decoded = ops.decode_boxes(chosen.delta_targets, ANCHORS[rows])
    np.testing.assert_allclose(decoded, TWO.boxes[matches[0][rows]], atol=1e-4)     # float32
    assert {0, 1} == set(matches[0][rows])


def test_no_object_in_the_batch_leaves_negatives():
    chosen, _ = choose_anchors([NONE, NONE], np.random.default_rng(0))
    assert chosen.num_positives == 0 and len(chosen.rows) == 40 and chosen.delta_targets.shape == (0, 4)


PROPOSALS = np.array([[12, 11, 41, 30], [0, 40, 20, 60], [48, 20, 80, 54], [60, 0, 90, 15], [10, 10, 24, 30]],
                     np.float32)


def test_ground_truth_boxes_join_the_proposals_at_the_end():
    chosen = choose_rois([PROPOSALS], [TWO], Order())
    (candidates,), ((iou, matches),) = chosen.candidates, chosen.matchings
    np.testing.assert_array_equal(candidates, np.concatenate([PROPOSALS, TWO.boxes]))
    assert iou.shape == (2, 7)
    # [10, 10, 24, 30] has an IoU of 14 / 30 with the first object: background, and nothing is ignored
    assert matches.tolist() == [0, -1, 1, -1, -1, 0, 1]


def test_sampled_rois_keep_ascending_order_and_at_most_a_quarter_is_positive():
    chosen = choose_rois([PROPOSALS, PROPOSALS], [TWO, NONE], Order())
    # 8 * .25 = 2 positives: rows 0 and 2; all three negatives; then five negatives of the second image
    assert [rows.tolist() for rows in chosen.sampled] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert chosen.labels.tolist() == [3, 0, 1, 0, 0] + [0] * 5
    assert chosen.rois[:, 0].tolist() == [0] * 5 + [1] * 5
    np.testing.assert_array_equal(chosen.rois[:5, 1:], PROPOSALS)
    assert chosen.mask_labels.tolist() == [3, 1] and chosen.mask_rois[:, 0].tolist() == [0, 0]


def test_roi_targets_encode_the_object_with_the_heads_weights_and_are_zero_on_background():
    chosen = choose_rois([PROPOSALS], [TWO], Order())
    expected = ops.encode_boxes(TWO.boxes, PROPOSALS[[0, 2]], (10.0, 10.0, 5.0, 5.0))
    np.testing.assert_array_equal(chosen.delta_targets[[0, 2]], expected)
    assert not chosen.delta_targets[[1, 3, 4]].any()


def test_mask_targets_are_cut_from_the_matched_objects_mask():
    chosen = choose_rois([TWO.boxes], [TWO], np.random.default_rng(0))
    assert len(chosen.mask_labels) == 2
    # a filled box seen through its own box: ones, but for the last row and column, which look half a pixel outside
    assert (chosen.mask_targets[:, :-2, :-2] == 1).all()


def test_one_draw_each_for_positives_and_negatives_per_image():
    rng = Order()
    choose_rois([PROPOSALS, PROPOSALS], [TWO, NONE], rng)
    assert rng.calls == [4, 3, 0, 5]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_proposal_and_no_object_is_no_roi(dtype):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        chosen = choose_rois([np.zeros((0, 4), dtype)] * 2, [NONE, NONE], Order())
    assert chosen.rois.shape == (0, 5) and chosen.labels.shape == (0,) and chosen.mask_targets.shape == (0, 28, 28)
    assert chosen.rois.dtype == chosen.delta_targets.dtype == chosen.mask_targets.dtype == dtype


def test_no_proposal_but_objects_learns_from_the_objects_own_boxes():
    chosen = choose_rois([np.zeros((0, 4), np.float32)], [TWO], Order())
    np.testing.assert_array_equal(chosen.rois[:, 1:], TWO.boxes)
    assert chosen.labels.tolist() == [3, 1] and not chosen.delta_targets.any()


def test_two_objects_with_one_box_the_first_is_learned():
    twins = target((10, 10, 40, 30, 3), (10, 10, 40, 30, 1))
    chosen = choose_rois([PROPOSALS], [twins], Order())
    assert set(chosen.labels) == {0, 3}


def test_without_a_mask_branch_there_are_no_mask_targets_and_nothing_else_changes():
    with_masks, without = (choose_rois([PROPOSALS], [TWO], Order(), has_masks) for has_masks in (True, False))
    assert without.mask_targets.shape == (2, 0, 0)
    for name in ("rois", "labels", "delta_targets", "mask_rois"):
        np.testing.assert_array_equal(getattr(without, name), getattr(with_masks, name))
