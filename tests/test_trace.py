"""A trace is what predict and loss_and_grads compute, and every row can be followed back to an anchor.

Its arrays are held against those calls' results, to the bit, and against each other: rows against what they point to.
"""

import numpy as np
import pytest

from npmaskrcnn import InputError, Target, maskrcnn_tiny, models, ops
from npmaskrcnn.trace import Trace
from tests.reference import cases

IMAGES, TARGETS = cases.images_and_targets("tiny")
IMAGE, TARGET = IMAGES[1], TARGETS[1]       # 140 x 100


@pytest.fixture(scope="module")
def model():
    return cases.build("tiny", "float32")


@pytest.fixture(scope="module")
def trace(model):
    return model.trace(IMAGE, TARGET, np.random.default_rng(0))


def test_its_detections_are_predicts(model, trace):
    found = model.predict(IMAGE)
    assert len(found) > 10
    for field in ("boxes", "labels", "scores", "masks"):
        np.testing.assert_array_equal(getattr(trace.detections, field), getattr(found, field))


def test_shapes_fit_the_documentation(trace):
    height, width = trace.image_size
    assert trace.image.shape == (140, 100, 3) and trace.image.max() <= 1
    assert trace.batch.shape[1] % 32 == trace.batch.shape[2] % 32 == 0
    assert trace.batch.shape[1] >= height > width
    assert len(trace.body_features) == 4 and len(trace.features) == len(trace.anchors) == len(trace.objectness) == 5
    for level in range(5):
        h, w = trace.features[level].shape[1:3]
        assert trace.objectness[level].shape == (h, w, 3) and trace.deltas[level].shape == (h, w, 3, 4)
        assert trace.anchors[level].shape == (h * w * 3, 4)
        assert trace.strides[level] == (trace.batch.shape[1] // h, trace.batch.shape[2] // w)
    rois, candidates, detections = len(trace.proposals), len(trace.candidate_rois), len(trace.detection_rows)
    assert trace.box_features.shape == (rois, 7, 7, 64) and trace.class_logits.shape == (rois, 4)
    assert trace.box_deltas.shape == (rois, 4, 4) and trace.candidate_boxes.shape == (candidates, 4)
    assert trace.mask_features.shape == (detections, 14, 14, 64) and trace.mask_logits.shape == (detections, 28, 28,
                                                                                                 4)
    assert trace.roi_levels.shape == (rois,) and trace.mask_levels.shape == (detections,)


def test_every_row_can_be_followed_back(trace):
    anchors = np.concatenate(trace.anchors)
    deltas = np.concatenate([level.reshape(-1, 4) for level in trace.deltas])
    logits = np.concatenate([level.reshape(-1) for level in trace.objectness])
    moved = ops.clip_boxes_to_image(ops.decode_boxes(deltas[trace.top_k], anchors[trace.top_k]), trace.image_size)
    np.testing.assert_array_equal(trace.top_k_boxes, moved)
    np.testing.assert_array_equal(trace.top_k_scores, ops.sigmoid(logits[trace.top_k]))
    np.testing.assert_array_equal(trace.proposals, trace.top_k_boxes[trace.proposal_rows])
    np.testing.assert_array_equal(trace.proposal_scores, trace.top_k_scores[trace.proposal_rows])
    scores = ops.softmax(trace.class_logits)
    np.testing.assert_array_equal(trace.candidate_scores, scores[trace.candidate_rois, trace.candidate_labels])
    np.testing.assert_array_equal(trace.detection_boxes, trace.candidate_boxes[trace.detection_rows])
    np.testing.assert_array_equal(trace.detections.labels, trace.candidate_labels[trace.detection_rows])


def test_provenance_leads_from_a_detection_to_a_cell(trace):
    for detection in range(len(trace.detections)):
        steps = trace.provenance(detection)
        level, (y, x), a = steps["level"], steps["cell"], steps["anchor_of_cell"]
        stride_y, stride_x = trace.strides[level]
        # an anchor's center is its cell's corner
        np.testing.assert_allclose((steps["anchor_box"][:2] + steps["anchor_box"][2:]) / 2,
                                   [x * stride_x, y * stride_y], atol=1e-4)
        assert ops.sigmoid(trace.objectness[level][y, x])[a] == trace.proposal_scores[steps["roi"]]
        np.testing.assert_array_equal(steps["proposal_box"], trace.proposals[steps["roi"]])
        assert trace.candidate_rois[steps["candidate"]] == steps["roi"]
        assert trace.top_k[steps["top_k"]] == steps["anchor"]
        assert steps["roi_level"] == trace.roi_levels[steps["roi"]]


def test_the_ledger_lists_every_array(trace):
    rows = {name: shape for name, shape, _ in trace.ledger()}
    assert rows["batch"] == trace.batch.shape and rows["features[4]"] == trace.features[4].shape
    assert {f"anchors[{i}]" for i in range(5)} <= set(rows) and "detections" not in rows and len(rows) > 40


def test_without_a_target_there_is_no_training(model):
    assert isinstance(model.trace(IMAGE), Trace) and model.trace(IMAGE).training is None


@pytest.fixture(scope="module")
def other_limits():
    """A model whose limits of inference are far from those of training: a trace must not take one for the other."""
    model = maskrcnn_tiny(rng=models.NO_DRAWS, rpn_pre_nms_top_n_test=5, rpn_post_nms_top_n_test=3)
    model.load_state_dict(cases.weights_by_key(model.state_dict()))
    return model


def test_the_training_path_is_the_very_pass_of_loss_and_grads_on_stored_statistics(other_limits):
    training = other_limits.trace(IMAGE, TARGET, np.random.default_rng(3)).training
    losses = other_limits.loss_and_grads([IMAGE], [TARGET], np.random.default_rng(3), batch_statistics=False)
    assert training.losses == losses and all(loss > 0 for loss in losses.values())


def test_the_batchs_statistics_give_other_losses(other_limits):
    model = other_limits.astype(np.float32)     # a copy, whose statistics may move
    stored, batch = (model.loss_and_grads([IMAGE], [TARGET], np.random.default_rng(3), batch_statistics=own)
                     for own in (False, True))
    assert all(abs(stored[name] - batch[name]) > 1e-4 for name in stored)


def test_asking_for_gradients_on_stored_statistics_changes_no_bit_of_the_state():
    narrow = dict(widths=(6, 7, 9, 11), fpn_channels=8, representation_size=13, mask_layers=(10, 5))
    model = maskrcnn_tiny(dimensions=narrow, min_size=48, max_size=64, box_batch_size_per_image=8,
                          rpn_post_nms_top_n_train=10)
    before = model.state_dict()
    for _ in range(30):     # what is too little for a bit of float32 adds up
        model.loss_and_grads([IMAGE], [TARGET], np.random.default_rng(3), batch_statistics=False)
    assert model.untrained and any(gradient.any() for gradient in model.grad_dict().values())
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


def test_shares_add_up_to_the_losses(trace):
    training = trace.training
    shares = {"loss_classifier": training.roi_class_loss, "loss_box_reg": training.roi_box_loss,
              "loss_mask": training.mask_loss,
              "loss_objectness": training.anchor_objectness_loss, "loss_rpn_box_reg": training.anchor_box_loss}
    assert list(training.losses) == list(shares)
    for name, share in shares.items():
        assert (share >= 0).all() and share.sum() > 0
        np.testing.assert_allclose(share.sum(), training.losses[name], rtol=1e-6)   # float32


def test_training_rows_fit_each_other(trace):
    training = trace.training
    assert training.anchor_iou.shape == (len(TARGET), sum(map(len, trace.anchors)))
    assert (training.anchor_matches[training.sampled_anchors[:training.num_positive_anchors]] >= 0).all()
    assert (training.anchor_matches[training.sampled_anchors[training.num_positive_anchors:]] == -1).all()
    np.testing.assert_array_equal(training.candidates[-len(TARGET):], training.gt_boxes)
    np.testing.assert_array_equal(training.rois, training.candidates[training.sampled_rois])
    own = training.candidate_matches[training.sampled_rois]
    np.testing.assert_array_equal(training.roi_labels, np.where(own >= 0, training.gt_labels[own], 0))
    positive = training.roi_labels > 0
    np.testing.assert_array_equal(training.mask_rois, training.rois[positive])
    np.testing.assert_array_equal(training.mask_labels, training.roi_labels[positive])
    assert not training.roi_box_loss[~positive].any()
    assert training.mask_targets.shape == (positive.sum(), 28, 28) and len(training.mask_loss) == positive.sum() > 0


def test_tracing_changes_nothing_and_keeps_no_gradient(model):
    before = model.state_dict()
    model.zero_grad()
    model.trace(IMAGE, TARGET)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert all(p.grad is None for p in model.parameters())


def test_the_same_seed_gives_the_same_trace(model, trace):
    again = model.trace(IMAGE, TARGET, np.random.default_rng(0))
    np.testing.assert_array_equal(again.training.sampled_rois, trace.training.sampled_rois)
    assert again.training.losses == trace.training.losses


def test_a_trace_of_nothing():
    model = maskrcnn_tiny(rng=np.random.default_rng(0), rpn_post_nms_top_n_test=0, rpn_post_nms_top_n_train=0)
    empty = Target(np.zeros((0, 4)), [], np.zeros((0,) + IMAGE.shape[:2], bool))
    trace = model.trace(IMAGE, empty)
    assert len(trace.detections) == len(trace.proposals) == len(trace.training.rois) == 0
    assert all(np.isfinite(loss) for loss in trace.training.losses.values())


@pytest.mark.parametrize("image, target, message", [
    (np.zeros((3, 90, 125)), None, r"image: shape"), (IMAGE, IMAGE, "list of Target"),
    (IMAGE, TARGETS[0], r"targets\[0\]: masks have 90 x 125")])
def test_wrong_arguments_are_refused(model, image, target, message):
    with pytest.raises(InputError, match=message):
        model.trace(image, target)


def test_the_ledger_prints_as_a_table_and_is_a_list_all_the_same(trace):
    ledger = trace.ledger()
    assert isinstance(ledger, list) and all(isinstance(row, tuple) and len(row) == 3 for row in ledger)
    lines = str(ledger).splitlines()
    assert len(lines) == len(ledger) + 1 and max(map(len, lines)) < 60
    name, shape, dtype = ledger[5]
    assert lines[6].split() == [name, *str(shape).split(), str(dtype)]


def test_a_trace_shows_itself_in_one_short_line(trace):
    for what in (trace, trace.training):
        assert len(repr(what)) < 200 and "\n" not in repr(what) and type(what).__name__ in repr(what)
    assert f"{trace.image.shape[0]} x {trace.image.shape[1]} pixels" in repr(trace)


@pytest.mark.parametrize("row", [-1, 100, "a", 0.0, None])
def test_the_provenance_of_a_row_that_is_none_is_refused(trace, row):
    with pytest.raises(InputError, match="provenance: detection must be a row of trace.detections, got"):
        trace.provenance(row)
