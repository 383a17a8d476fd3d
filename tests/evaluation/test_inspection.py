"""Looking behind the figures: single matches, one curve, the confusion matrix.

Held against matches counted by hand on a few boxes, and against the figures of `evaluate`, which pycocotools confirms.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.evaluation import confusion_matrix, evaluate, match_detections, precision_recall

SIZE = (40, 60)


def objects(*rows, is_crowd=()):
    """A target of objects that fill their boxes: rows of (label, x1, y1, x2, y2)."""
    labels, boxes, masks = parse(rows)
    crowd = np.isin(np.arange(len(rows)), is_crowd)
    area = masks.sum(axis=(1, 2)).astype(float)
    return SimpleNamespace(labels=labels, boxes=boxes, masks=masks, is_crowd=crowd, area=area)


def found(*rows):
    """Detections that fill their boxes: rows of (score, label, x1, y1, x2, y2)."""
    labels, boxes, masks = parse([row[1:] for row in rows])
    return SimpleNamespace(labels=labels, boxes=boxes, masks=masks.astype(np.float32),
                           scores=np.array([row[0] for row in rows], np.float32))


def parse(rows):
    labels = np.array([row[0] for row in rows], np.int64)
    boxes = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    masks = np.zeros((len(rows), *SIZE), bool)
    for mask, (_, x1, y1, x2, y2) in zip(masks, rows):
        mask[y1:y2, x1:x2] = True
    return labels, boxes, masks


class Scenes(list):
    class_names = ["background", "circle", "square", "triangle"]

    def target(self, i):
        return self[i]


def random_scenes(seed, num_images=6):
    rng = np.random.default_rng(seed)
    scenes, detections = Scenes(), []
    for _ in range(num_images):
        rows = [(rng.integers(1, 4), x, y, x + w, y + h)
                for x, y, w, h in rng.integers(2, 20, (rng.integers(0, 6), 4))]
        scenes.append(objects(*rows, is_crowd=np.flatnonzero(rng.random(len(rows)) < .2)))
        near = [(rng.random(), rng.choice([row[0], 1]), *np.add(row[1:], rng.integers(-1, 2, 4)))
                for row in rows * 3]
        detections.append(found(*near, (rng.random(), 2, 50, 30, 58, 38)))
    return scenes, detections


# ---- one image ----

#   two circles and a square; the circle detector finds the first twice, the second not
TARGET = objects((1, 0, 0, 10, 10), (1, 30, 0, 40, 10), (2, 0, 20, 20, 40))
FOUND = found((.6, 1, 0, 0, 10, 9), (.9, 1, 0, 0, 10, 10), (.8, 2, 0, 20, 20, 30), (.7, 3, 30, 0, 40, 10))


def test_each_detection_is_right_or_wrong_and_its_object_is_named():
    matches = match_detections(TARGET, FOUND)
    assert matches.outcome.tolist() == ["false positive", "true positive", "true positive", "false positive"]
    assert matches.matched_idxs.tolist() == [-1, 0, 2, -1]
    np.testing.assert_allclose(matches.iou, [.9, 1, .5, 0], rtol=1e-15)   # the triangle overlaps no triangle
    assert matches.is_missed.tolist() == [False, True, False]


def test_a_higher_threshold_turns_a_match_into_a_miss():
    matches = match_detections(TARGET, FOUND, iou_threshold=.75, iou_type="segm")
    assert matches.matched_idxs.tolist() == [-1, 0, -1, -1]
    assert matches.iou[2] == .5                                          # still shown, though it is no match
    assert matches.is_missed.tolist() == [False, True, True]


def test_a_crowd_makes_detections_ignored_and_is_never_missed():
    target = objects((1, 0, 0, 40, 40), is_crowd=[0])
    three = found((.9, 1, 0, 0, 5, 5), (.8, 1, 10, 10, 15, 15), (.7, 1, 50, 0, 55, 5))
    matches = match_detections(target, three)
    assert matches.outcome.tolist() == ["ignored", "ignored", "false positive"]
    assert matches.matched_idxs.tolist() == [0, 0, -1]
    assert not matches.is_missed.any()


def test_nothing_found_and_nothing_there():
    assert match_detections(TARGET, found()).is_missed.tolist() == [True] * 3
    assert match_detections(objects(), FOUND).outcome.tolist() == ["false positive"] * 4


# ---- one curve ----


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_the_curve_averages_to_the_evaluations_figure(iou_type):
    scenes, detections = random_scenes(0)
    figures = getattr(evaluate(scenes, detections), iou_type)
    for label, name in enumerate(scenes.class_names[1:], start=1):
        for threshold, figure in ((.5, "AP50"), (.75, "AP75")):
            curve = precision_recall(scenes, detections, name, threshold, iou_type)
            assert curve.average_precision == pytest.approx(figures.per_class[name][figure], abs=1e-12)
        assert curve.num_ground_truth == sum(((t.labels == label) & ~t.is_crowd).sum() for t in scenes)
        assert curve.recall[-1] == curve.is_true_positive.sum() / curve.num_ground_truth
        assert (np.diff(curve.scores) <= 0).all() and (np.diff(curve.interpolated) <= 0).all()
        assert 0 < curve.average_precision < 1
        by_label = precision_recall(scenes, detections, label, threshold, iou_type)
        np.testing.assert_array_equal(by_label.precision, curve.precision)


def test_a_class_without_ground_truth_has_no_curve():
    with pytest.raises(InputError, match="triangle has no ground truth"):
        precision_recall(Scenes([TARGET]), [FOUND], "triangle")


@pytest.mark.parametrize("label", [0, 4, "hexagon", -1])
def test_an_unknown_class_is_an_error_that_lists_the_known(label):
    with pytest.raises(InputError, match="1 to 3 or one of circle, square, triangle"):
        precision_recall(Scenes([TARGET]), [FOUND], label)


# ---- confusion ----


def test_confusion_matrix_of_a_drawn_scene():
    # circle found, and found again (background taken for a circle); circle taken for a triangle; square found
    matrix = confusion_matrix(Scenes([TARGET]), [FOUND])
    assert matrix.tolist() == [[0, 1, 0, 0],
                               [0, 1, 0, 1],
                               [0, 0, 1, 0],
                               [0, 0, 0, 0]]


def test_low_scores_are_left_out_of_the_confusion_matrix():
    matrix = confusion_matrix(Scenes([TARGET]), [FOUND], score_threshold=.75)
    assert matrix.tolist() == [[0, 0, 0, 0],
                               [1, 1, 0, 0],
                               [0, 0, 1, 0],
                               [0, 0, 0, 0]]


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_rows_of_the_confusion_matrix_sum_to_the_objects_and_columns_to_the_detections(iou_type):
    scenes, detections = random_scenes(1)
    for scene in scenes:
        scene.is_crowd[:] = False
    matrix = confusion_matrix(scenes, detections, score_threshold=.3, iou_type=iou_type)
    labels = np.concatenate([scene.labels for scene in scenes])
    kept = np.concatenate([d.labels[d.scores >= .3] for d in detections])
    np.testing.assert_array_equal(matrix.sum(axis=1)[1:], np.bincount(labels, minlength=4)[1:])
    np.testing.assert_array_equal(matrix.sum(axis=0)[1:], np.bincount(kept, minlength=4)[1:])
    assert matrix[0, 0] == 0 and (matrix > 0).sum() > 5


def test_crowds_are_in_no_row_of_the_confusion_matrix():
    scenes, detections = random_scenes(2)
    matrix = confusion_matrix(scenes, detections)
    counted = np.concatenate([scene.labels[~scene.is_crowd] for scene in scenes])
    assert any(scene.is_crowd.any() for scene in scenes)
    np.testing.assert_array_equal(matrix.sum(axis=1)[1:], np.bincount(counted, minlength=4)[1:])
    crowd = Scenes([objects((1, 0, 0, 40, 40), is_crowd=[0])])
    assert not confusion_matrix(crowd, [found((.9, 2, 0, 0, 5, 5))]).any()


@pytest.mark.parametrize("threshold", [0, 1.1, -1, float("nan")])
def test_an_overlap_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(InputError, match="iou_threshold"):
        match_detections(TARGET, FOUND, iou_threshold=threshold)
