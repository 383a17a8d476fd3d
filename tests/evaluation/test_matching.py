"""Overlap and matching: drawn scenes, a slow twin in plain loops, and the rules for what does not count."""

import numpy as np

from npmaskrcnn.evaluation.matching import match_greedily, match_image
from npmaskrcnn.evaluation.overlap import box_overlap, mask_overlap


def match_in_loops(iou, is_ignored, is_crowd, threshold):
    """The rule, one ground truth at a time: ignored ones last, and never instead of one that counts."""
    claimed, result = set(), []
    gts = sorted(range(iou.shape[1]), key=lambda g: is_ignored[g])       # keeps the order of equals
    for d in range(len(iou)):
        best, best_iou = -1, min(threshold, 1 - 1e-10)
        for g in gts:
            if g in claimed and not is_crowd[g]:
                continue
            if best >= 0 and not is_ignored[best] and is_ignored[g]:
                break
            if iou[d, g] >= best_iou:
                best, best_iou = g, iou[d, g]
        if best >= 0:
            claimed.add(best)
        result.append(best)
    return result


def test_matching_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = rng.integers(0, 9, 2)
        iou = np.round(rng.random(shape) ** .5, rng.integers(1, 3))    # many ties, some at a threshold
        is_crowd = rng.random(shape[1]) < .2
        is_ignored = is_crowd | (rng.random(shape[1]) < .3)
        thresholds = [.5, .7, .95, 1.0]
        got = match_greedily(iou, is_ignored, is_crowd, thresholds)
        assert got.shape == (4, shape[0]) and got.dtype == np.int64
        for row, threshold in zip(got, thresholds):
            assert row.tolist() == match_in_loops(iou, is_ignored, is_crowd, threshold)


def test_better_score_chooses_first_even_if_the_other_overlaps_more():
    no = np.array([False])
    assert match_greedily(np.array([[.6], [.9]]), no, no, [.5]).tolist() == [[0, -1]]


def test_overlap_exactly_at_the_threshold_is_a_match():
    no = np.array([False])
    # Two 4 x 3 boxes, 2 shared columns of 6 pixels, 18 in the union: one third.
    iou, _ = box_overlap(np.array([[0., 0, 4, 3]]), np.array([[2., 0, 4, 3]]), no)
    assert match_greedily(iou, no, no, [1 / 3]).tolist() == [[0]]
    assert match_greedily(iou, no, no, [1 / 3 + 1e-9]).tolist() == [[-1]]


def overlap_in_numbers(det, gt, is_crowd):
    """pycocotools' bbIou, one pair at a time in Python's floats."""
    width = min(det[2] + det[0], gt[2] + gt[0]) - max(det[0], gt[0])
    height = min(det[3] + det[1], gt[3] + gt[1]) - max(det[1], gt[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared, det_area = width * height, det[2] * det[3]
    return shared / (det_area if is_crowd else det_area + gt[2] * gt[3] - shared)


def test_an_overlap_exactly_at_a_threshold_falls_on_the_side_of_pycocotools():
    one_crowd = np.array([False, True])
    iou, _ = box_overlap([[9.2, 381.39, 36, 92.98]], [[13.2, 381.39, 36, 92.98]] * 2, one_crowd)
    assert iou[0, 0] == .8000000000000002
    rng = np.random.default_rng(0)
    for _ in range(1000):       # shifted by a ninth of the width: .8, up to rounding
        x, y, h = rng.uniform(0, 400, 3).round(2).tolist()
        step = round(rng.uniform(1, 20), 2)
        det, gt = [x, y, 9 * step, h], [x + step, y, 9 * step, h]
        iou, _ = box_overlap([det], [gt, gt], one_crowd)
        assert iou.tolist() == [[overlap_in_numbers(det, gt, False), overlap_in_numbers(det, gt, True)]]


def test_detections_on_a_crowd_are_ignored_and_never_use_it_up():
    scores, area = np.array([.9, .8, .7]), np.full(3, 50.)
    iou = np.array([[.9], [.8], [.1]])
    matches = match_image(scores, iou, area, np.array([500.]), np.array([True]), [.5], (0, 1e10))
    assert matches.is_ignored.tolist() == [[True, True, False]]
    assert not matches.is_true_positive.any()
    assert matches.num_ground_truth == 0


def test_an_object_that_counts_is_preferred_to_a_crowd_that_overlaps_more():
    iou = np.array([[1., .6]])
    is_crowd = np.array([True, False])
    gt_area = np.array([500., 40.])
    matches = match_image(np.array([.9]), iou, np.array([50.]), gt_area, is_crowd, [.5, .75], (0, 1e10))
    assert matches.is_true_positive.tolist() == [[True], [False]]
    assert matches.is_ignored.tolist() == [[False], [True]]              # at .75 only the crowd is left


def test_area_range_decides_what_counts():
    # Objects of 10 and 1000 pixels; detections find the one, the other, and nothing (10 and 1000 pixels).
    iou = np.array([[.9, 0], [0, .9], [0, 0], [0, 0]])
    det_area = np.array([10., 1000, 10, 1000])
    no = np.array([False, False])
    scores, gt_area = np.array([.9, .8, .7, .6]), np.array([10., 1000])
    matches = match_image(scores, iou, det_area, gt_area, no, [.5], (0, 100))
    assert matches.num_ground_truth == 1
    assert matches.is_true_positive.tolist() == [[True, False, False, False]]
    assert matches.is_ignored.tolist() == [[False, True, False, True]]   # the third is a false positive


def test_both_ends_belong_to_an_area_range():
    no, one = np.array([False]), np.array([1.])
    for area, counts in [(31.9, 0), (32., 1), (96., 1), (96.1, 0)]:
        matches = match_image(one, np.array([[.9]]), one, np.array([area]), no, [.5], (32, 96))
        assert matches.num_ground_truth == counts


def test_mask_overlap_counts_pixels():
    rng = np.random.default_rng(1)
    det, gt = rng.random((4, 11, 17)) < .4, rng.random((3, 11, 17)) < .3
    gt[1] = det[2] = False
    is_crowd = np.array([False, False, True])
    iou, area = mask_overlap(det, gt, is_crowd)
    assert area.tolist() == [mask.sum() for mask in det]
    for d in range(4):
        for g in range(3):
            shared = (det[d] & gt[g]).sum()
            whole = det[d].sum() if is_crowd[g] else (det[d] | gt[g]).sum()
            assert iou[d, g] == (shared / whole if whole else 0)         # two integers divided: exactly equal


def test_box_overlap_has_no_plus_one_and_touching_boxes_share_nothing():
    boxes = np.array([[0, 0, 10, 4], [10, 0, 10, 4], [5, 2, 0, 0]], dtype=np.float32)
    iou, area = box_overlap(boxes, boxes, np.zeros(3, bool))
    assert iou.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]   # the last has no area: no overlap, no NaN
    assert area.tolist() == [40, 40, 0]


def test_no_detection_or_no_object_is_an_empty_matrix():
    for num_det, num_gt in [(0, 2), (2, 0), (0, 0)]:
        is_crowd = np.zeros(num_gt, bool)
        det_masks, gt_masks = np.zeros((num_det, 3, 5), bool), np.zeros((num_gt, 3, 5), bool)
        for iou, area in (box_overlap(np.zeros((num_det, 4)), np.zeros((num_gt, 4)), is_crowd),
                          mask_overlap(det_masks, gt_masks, is_crowd)):
            assert iou.shape == (num_det, num_gt) and area.shape == (num_det,)
            assert match_greedily(iou, is_crowd, is_crowd, [.5, .6]).shape == (2, num_det)
