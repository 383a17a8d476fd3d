"""The box head: losses and gradients against hand values of torchvision's rule, then from logits to detections.

Each step of the latter (threshold, refined boxes, suppression, limit) gets a few RoIs whose answer is plain to see.
"""

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.stages.box_head import (FastRCNNPredictor, TwoMLPHead, box_losses_backward, box_losses_forward,
                                        select_detections)

LOGITS = np.array([[1.0, 2, 3], [0, 0, 0], [2, 1, 0]])
DELTAS = np.arange(36.0).reshape(3, 3, 4) / 50
LABELS = np.array([2, 0, 1])


def test_losses_by_hand():
    loss_classifier, loss_box, _ = box_losses_forward(LOGITS, DELTAS, LABELS, np.zeros((3, 4)))
    np.testing.assert_allclose([loss_classifier, loss_box], [0.9712747, 0.8918519], rtol=1e-6)      # printed digits


def test_gradients_by_hand():
    *_, cache = box_losses_forward(LOGITS, DELTAS, LABELS, np.zeros((3, 4)))
    dlogits, ddeltas = box_losses_backward(1.0, 2.0, cache)
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(dlogits, (probabilities - np.eye(3)[LABELS]) / 3, rtol=1e-12)
    expected = np.zeros((3, 3, 4))
    expected[0, 2] = expected[2, 1] = 2.0 / 3       # beyond beta the slope is one, over three RoIs
    expected[0, 2, :] = np.minimum(DELTAS[0, 2] * 9, 1) * 2 / 3
    np.testing.assert_allclose(ddeltas, expected, rtol=1e-12)


def test_only_the_true_classs_deltas_count_and_only_on_objects():
    noise = np.random.default_rng(0).standard_normal((3, 3, 4))
    noise[0, 2] = noise[2, 1] = 0
    losses = [box_losses_forward(LOGITS, deltas, LABELS, np.zeros((3, 4)))[1] for deltas in (DELTAS, DELTAS + noise)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("labels", [[], [0, 0]])
def test_losses_without_rois_or_without_objects(labels):
    n = len(labels)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss_classifier, loss_box, cache = box_losses_forward(LOGITS[:n], DELTAS[:n], np.array(labels, int),
                                                              np.zeros((n, 4)))
        dlogits, ddeltas = box_losses_backward(1.0, 1.0, cache)
    assert (loss_classifier > 0) == bool(n) and loss_box == 0
    assert dlogits.shape == (n, 3) and ddeltas.shape == (n, 3, 4) and not ddeltas.any()


def test_the_predictors_box_columns_are_class_major():
    predictor = FastRCNNPredictor(2, 3).astype(np.float64)
    predictor.bbox_pred.bias.data[...] = np.arange(12)
    _, deltas = predictor(np.ones((5, 2)))
    np.testing.assert_array_equal(deltas[4], np.arange(12.0).reshape(3, 4))
    assert predictor.state_dict()["bbox_pred.weight"].shape == (12, 2)


def test_the_flattening_on_disk_is_torchvisions():
    # A weight that in torchvision's (C, y, x) order picks channel 3 at (y, x) = (0, 1) must do so here.
    head = TwoMLPHead(4, 2, 5).astype(np.float64)
    state = head.state_dict()
    state["fc6.weight"][1, 3 * 4 + 0 * 2 + 1] = 1.0
    state["fc7.weight"][2, 1] = 1.0
    head.load_state_dict(state)
    x = np.random.default_rng(0).random((6, 2, 2, 4))
    np.testing.assert_allclose(head(x)[:, 2], x[:, 0, 1, 3], rtol=1e-12)


# ---- detections ----

BOXES = np.array([[10.0, 10, 30, 26], [40, 20, 70, 50], [11, 10, 31, 26]])
UNIT = (1.0, 1.0, 1.0, 1.0)


def logits_of(probabilities):
    return np.log(np.array(probabilities))


def select(logits, boxes=BOXES, deltas=None, size=(60, 80), weights=UNIT, score=0.05, nms=0.5, limit=100):
    deltas = np.zeros(logits.shape + (4,)) if deltas is None else deltas
    return select_detections(logits, deltas, boxes, size, weights, score, nms, limit)


def test_every_class_of_every_roi_is_a_candidate_but_background():
    found = select(logits_of([[.2, .3, .5], [.9, .06, .04], [.98, .01, .01]]))
    assert found.rois.tolist() == [0, 0, 1] and found.labels.tolist() == [1, 2, 1]
    np.testing.assert_allclose(found.scores, [.3, .5, .06], rtol=1e-12)
    assert found.keep.tolist() == [1, 0, 2]         # best first


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_equal_to_the_threshold_is_dropped(dtype):
    logits = logits_of([[.7, .3]]).astype(dtype)
    score = ops.softmax(logits)[0, 1]
    below = float(np.nextafter(score, dtype(0)))
    assert [len(select(logits, BOXES[:1].astype(dtype), score=s).keep) for s in (float(score), below)] == [0, 1]


def test_the_threshold_is_compared_in_float32_as_in_torch(monkeypatch):
    # the float32 number nearest to 0.05 is larger than 0.05, but as a score it is not above it
    score = np.float32(0.05)
    assert float(score) > 0.05
    given = np.array([[1 - score, score], [1 - score, np.nextafter(score, np.float32(1))]], dtype=np.float32)
    monkeypatch.setattr(ops, "softmax", lambda logits: given)
    assert select(given, BOXES[:2].astype(np.float32)).rois.tolist() == [1]


def test_nms_is_per_class():
    # RoIs 0 and 2 overlap by .9: two of class 1 become one, and the one of class 2 stays beside it
    found = select(logits_of([[.1, .8, .1], [.1, .8, .1], [.1, .45, .45]]), score=0.2)
    kept = [(found.rois[i], found.labels[i]) for i in found.keep]
    assert kept == [(0, 1), (1, 1), (2, 2)]
    assert len(select(logits_of([[.1, .8, .1], [.1, .8, .1], [.1, .45, .45]]), score=0.2, nms=0.95).keep) == 4


def test_the_limit_keeps_the_best():
    found = select(logits_of([[.5, .5], [.2, .8], [.99, .01]]), limit=1)
    assert found.rois[found.keep].tolist() == [1] and len(found.rois) == 2


def test_each_class_has_its_own_box_divided_by_the_weights_and_clipped():
    deltas = np.zeros((1, 3, 4))
    deltas[0, 1] = (5.0, 0, 0, 0)           # half a width to the right: 5 / 10
    deltas[0, 2] = (0, -10.0, 0, 0)         # a height up, out of the image by 6
    found = select(logits_of([[.2, .4, .4]]), BOXES[:1], deltas, weights=(10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(found.boxes, [[20, 10, 40, 26], [10, 0, 30, 10]], rtol=1e-12)
    found = select(logits_of([[.2, .4, .4]]), BOXES[:1], deltas, size=(60, 35), weights=(10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(found.boxes[0], [20, 10, 35, 26], rtol=1e-12)


def test_boxes_thinner_than_a_hundredth_of_a_pixel_are_dropped():
    boxes = np.array([[10, 10, 10.009, 20], [20, 10, 20.011, 20], [30, 10, 40, 10.0]])
    assert select(logits_of([[.1, .9]] * 3), boxes).rois.tolist() == [1]


@pytest.mark.parametrize("num_rois", [0, 3])
def test_no_roi_or_no_candidate_is_no_detection(num_rois):
    found = select(logits_of([[.99, .005, .005]] * 3)[:num_rois], BOXES[:num_rois])
    assert found.boxes.shape == (0, 4) and len(found.keep) == len(found.labels) == 0


def test_extreme_logits_and_deltas_raise_no_floating_point_alarm():
    rng = np.random.default_rng(0)
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 3], [88, 89, -104]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = select(logits, BOXES.astype(np.float32), (rng.standard_normal((3, 3, 4)) * 500).astype(np.float32))
    assert found.scores.dtype == found.boxes.dtype == np.float32 and np.isfinite(found.boxes).all()
