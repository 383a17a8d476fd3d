"""Variants of the tiny model: each builds, learns, saves and loads; exchanged parts compute what they say, and backward
is the gradient."""

import numpy as np
import pytest

from npmaskrcnn import InputError, load, ops, save
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.nn import FORGET, Notes
from npmaskrcnn.plain.losses import softmax_cross_entropy_per_row
from npmaskrcnn.stages.roi_pooler import RoIPooler
from npmaskrcnn.training import SGD, Loop
from npmaskrcnn.variants import VARIANTS, maskrcnn_variant
from npmaskrcnn.variants.parts import (HalfPixelPooler, MaxPooler, OneMaskPredictor, RoundingPooler, log_odds,
                                       softmax_mask_loss_backward, softmax_mask_loss_forward)
from tests.helpers import check_gradient
from tests.test_gradients import NARROW, check_all_gradients, non_square_images, planned

EXCHANGED = [name for name, variant in VARIANTS.items() if variant.exchange is not None]
SMALL = dict(min_size=64, max_size=112, rpn_post_nms_top_n_train=40, box_batch_size_per_image=16, dimensions=NARROW)


def small_variant(name, dtype=np.float32):
    """A narrow variant away from the symmetric start (biases 0, norms 1)."""
    rng = np.random.default_rng(4)
    model = maskrcnn_variant(name, rng=rng, **SMALL).astype(dtype)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.03, parameter.data.shape).astype(dtype)
    return model


# ---- every one ----

@pytest.mark.parametrize("name", EXCHANGED)
def test_a_variant_learns_for_a_step_and_comes_back_from_its_file_with_its_parts(name, tmp_path):
    model = small_variant(name)
    dataset = ShapesDataset(2, image_size=(64, 96), seed=1, min_objects=2)
    before = {key: value.copy() for key, value in model.state_dict().items()}
    losses = Loop(model, dataset, SGD(model.named_parameters(), lr=0.02), np.random.default_rng(0),
                  batch_size=2).one_step().losses
    assert len(losses) == (4 if name == "no_masks" else 5) and np.isfinite(list(losses.values())).all()
    moved = [key for key, value in model.state_dict().items() if not np.array_equal(value, before[key])]
    assert any(key.startswith("roi_heads.box_predictor") for key in moved)
    save(model, tmp_path / "variant.npz")
    twin = load(tmp_path / "variant.npz")
    assert twin.architecture == model.architecture and twin.architecture["config"]["name"] == name
    assert {path: type(module) for path, module in twin.named_modules()} == \
        {path: type(module) for path, module in model.named_modules()}
    image = dataset[0][0]
    ours, theirs = (one.predict(image, score_threshold=0.0) for one in (model, twin))
    assert len(ours) > 0
    for field in ("boxes", "labels", "scores") + ("masks",) * (name != "no_masks"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))
    losses = [one.loss_and_grads(*map(list, zip(dataset[1])), np.random.default_rng(1), batch_statistics=False)
              for one in (model, twin)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name, parts", [
    ("roi_pool", ["layer_blocks.0.0.weight"]), ("unaligned", ["layer_blocks.0.0.weight"]),
    ("half_pixel", ["layer_blocks.0.0.weight"]), ("softmax", ["mask_fcn_logits", "mask_head.1.0", "cls_score.bias"]),
    ("one_mask", ["mask_predictor"]), ("class_agnostic_boxes", ["box_predictor"]),
    ("mlp_masks", ["mask_predictor", "mask_head.fc6"]),
    ("c4_only", ["layer3.1.conv1", "layer4.0.conv1", "rpn.head.cls"]),
    ("p4_only", ["inner_blocks", "layer_blocks.0", "layer4.1.conv2"]),
    ("no_top_down", ["inner_blocks.0.0", "inner_blocks.3.0", "layer_blocks.2.0", "layer4.1.conv2"]),
    ("no_masks", ["fc7.weight"]), ("no_ground_truth", ["mask_head.1.0.weight"]), ("no_low_quality", ["rpn.head.bbox"])])
def test_the_gradient_is_that_of_the_losses_by_differences(name, parts):
    model = small_variant(name, np.float64)
    images, plan = planned(model, *non_square_images())
    assert name == "no_ground_truth" or len(plan.rois.mask_labels) > 2
    only = [key for key, p in model.named_parameters() if any(part in key for part in parts)]
    assert all(any(part in key for key in only) for part in parts)
    check_all_gradients(model, images, plan, only=[*only, "images"])


def test_with_one_seed_a_variant_begins_with_the_tiny_models_weights_where_it_has_the_same():
    tiny, other = (maskrcnn_variant(name, rng=np.random.default_rng(3), dimensions=NARROW).state_dict()
                   for name in ("baseline", "one_mask"))
    assert tiny.keys() == other.keys()
    others = {key for key in tiny if not np.array_equal(tiny[key], other[key])}
    assert others == {key for key in tiny if key.startswith("roi_heads.mask_predictor.")}


@pytest.mark.parametrize("name, near", [("roipool", "roi_pool"), ("softmaxx", "softmax"), ("c4only", "c4_only")])
def test_an_unknown_variant_is_refused_naming_the_nearest(name, near):
    with pytest.raises(InputError, match=f"'{name}' is no variant of the tiny model; the nearest is '{near}'"):
        maskrcnn_variant(name)


def test_an_unknown_option_is_refused_as_in_the_tiny_model():
    with pytest.raises(InputError, match="'min_sise' is no option of the model; the nearest is 'min_size'"):
        maskrcnn_variant("softmax", min_sise=64)


def test_the_table_says_of_every_variant_what_is_exchanged_and_on_what_it_is_measured():
    assert all(variant.what and variant.task in ("shapes", "rings") for variant in VARIANTS.values())
    assert all(variant.paper for variant in VARIANTS.values() if variant.differences)
    factors = [(loss, factor) for variant in VARIANTS.values() for loss, factor in variant.loss_factors.items()]
    assert len(factors) == len(set(factors)) == 15


# ---- how a region is read ----

def test_the_max_pooler_takes_the_largest_value_of_rounded_bins():
    features = [np.arange(48.0).reshape(1, 6, 8, 1)]
    pooler = MaxPooler(2, strides=(4,))
    # x from 5.9 to 18.1 is cells 1 (1.475) to 5 (4.525), both included; y from 0 to 11 cells 0 to 3 (2.75)
    rois = np.array([[0, 5.9, 0.0, 18.1, 11.0]])
    assert pooler(features, rois)[0, :, :, 0].tolist() == [[8 + 3, 8 + 5], [24 + 3, 24 + 5]]


def test_the_rounding_pooler_cannot_tell_regions_that_round_to_the_same_cells():
    features = [np.random.default_rng(0).normal(size=(2, *size, 3)) for size in ((12, 15), (6, 8))]
    rois = np.array([[1, 8.0, 4.0, 28.0, 20.0], [1, 9.9, 2.1, 26.1, 21.9], [0, 8.0, 0.0, 56.0, 40.0]])
    pooler = RoundingPooler(3, canonical_scale=112, strides=(4, 8))
    assert pooler.levels(rois).tolist() == [0, 0, 0]
    pooled, exact = pooler(features, rois), RoIPooler(3, canonical_scale=112, strides=(4, 8))(features, rois)
    np.testing.assert_array_equal(pooled[0], pooled[1])
    np.testing.assert_allclose(pooled[[0, 2]], exact[[0, 2]], rtol=1e-12)     # whole cells already
    assert abs(pooled[1] - exact[1]).max() > 0.01


def test_the_level_is_chosen_before_a_region_is_rounded():
    # 55 pixels wide is P2; rounded to P3's cells it would be 56 wide, and P3's
    features = [np.zeros((1, 32, 32, 1)), np.ones((1, 16, 16, 1))]
    assert RoundingPooler(2, canonical_scale=112, strides=(4, 8))(features, np.array([[0, 0.0, 0, 55, 55]])).max() == 0


def test_half_a_pixel_is_half_a_cell_of_the_level():
    ramp = [np.tile(np.arange(16.0)[None, None, :, None], (1, 12, 1, 1))]
    rois = np.array([[0, 8.0, 8.0, 24.0, 24.0]])
    usual, half = (kind(2, strides=(4,))(ramp, rois)[0, 0, :, 0] for kind in (RoIPooler, HalfPixelPooler))
    assert (usual - half).tolist() == [0.5, 0.5]


# ---- what the mask loss asks ----

def competing(rng, dtype=np.float64):
    return rng.normal(0, 2, (3, 4, 5, 6)).astype(dtype), np.array([2, 5, 2]), rng.uniform(0, 1, (3, 4, 5)).astype(dtype)


def test_the_softmax_loss_is_the_cross_entropy_of_each_pixel_between_its_class_and_background():
    logits, labels, targets = competing(np.random.default_rng(0))
    loss, _ = softmax_mask_loss_forward(logits, labels, targets)
    by_hand = [target * softmax_cross_entropy_per_row(logits[[i], y, x], labels[[i]])[0]
               + (1 - target) * softmax_cross_entropy_per_row(logits[[i], y, x], np.array([0]))[0]
               for (i, y, x), target in np.ndenumerate(targets)]
    np.testing.assert_allclose(loss, np.mean(by_hand), rtol=1e-12)


def test_the_softmax_loss_has_its_gradient_and_keeps_float32():
    logits, labels, targets = competing(np.random.default_rng(1))
    check_gradient(lambda x: softmax_mask_loss_forward(x, labels, targets), softmax_mask_loss_backward, [logits],
                   np.random.default_rng(2))
    loss, cache = softmax_mask_loss_forward(logits.astype(np.float32), labels, targets.astype(np.float32))
    assert loss.dtype == softmax_mask_loss_backward(1.0, cache).dtype == np.float32


def test_without_a_positive_region_the_softmax_loss_is_zero():
    loss, cache = softmax_mask_loss_forward(np.zeros((0, 4, 4, 3)), np.zeros(0, int), np.zeros((0, 4, 4)))
    assert loss == 0 and softmax_mask_loss_backward(1.0, cache).shape == (0, 4, 4, 3)


def test_sigmoids_of_log_odds_are_the_softmax_also_where_it_is_nearly_certain():
    logits = np.concatenate([np.random.default_rng(0).normal(0, 3, (7, 5)), [[80, 0, 0, 0, 0], [-500, 500, 0, 0, 0]]])
    np.testing.assert_allclose(ops.sigmoid(log_odds(logits)), ops.softmax(logits), rtol=1e-9, atol=1e-15)
    assert np.isfinite(log_odds(logits.astype(np.float32))).all() and log_odds(logits.astype(np.float32)).dtype == "f4"


def test_competing_masks_of_a_pixel_add_up_to_one_at_inference():
    heads = small_variant("softmax", np.float64).roi_heads
    features = [np.random.default_rng(0).normal(size=(1, 32 >> i, 24 >> i, 8)) for i in range(4)]
    _, logits = heads.segment(features, np.array([[0, 3.0, 4, 50, 60], [0, 10, 5, 90, 70]]), FORGET)
    np.testing.assert_allclose(ops.sigmoid(logits).sum(axis=3), 1, rtol=1e-9)


# ---- what the last layers answer, and what is sampled ----

def test_one_mask_serves_all_classes():
    predictor = OneMaskPredictor(3, 4, num_classes=5, rng=np.random.default_rng(0))
    logits = predictor(np.random.default_rng(1).normal(size=(2, 7, 7, 3)).astype(np.float32))
    assert logits.shape == (2, 14, 14, 5) and (logits == logits[..., :1]).all() and np.ptp(logits) > 0


def test_one_box_serves_all_classes():
    predictor = small_variant("class_agnostic_boxes").roi_heads.box_predictor
    class_logits, deltas = predictor(np.random.default_rng(1).normal(size=(6, 13)).astype(np.float32))
    assert deltas.shape == (6, 4, 4) and (deltas == deltas[:, :1]).all() and np.ptp(deltas[:, 0]) > 0
    assert np.ptp(class_logits, axis=1).min() > 0


def test_without_ground_truth_no_sampled_region_is_an_objects_own_box():
    images, targets = non_square_images()
    sampled = {}
    for name in ("baseline", "no_ground_truth"):
        _, plan = planned(small_variant(name, np.float64), images, targets)
        own = [np.isin(rows, np.arange(len(boxes) - len(target), len(boxes)))
               for rows, boxes, target in zip(plan.rois.sampled, plan.rois.candidates, targets)]
        sampled[name] = np.concatenate(own).sum(), plan.rois
    (found, with_truth), (none, without) = sampled.values()
    assert found > 0 and none == 0 and len(without.rois) == len(with_truth.rois) - found
    assert len(without.labels) == len(without.delta_targets) == len(without.rois)
    assert len(without.mask_labels) == len(without.mask_targets) == len(without.mask_rois) == (without.labels > 0).sum()
    np.testing.assert_array_equal(without.mask_labels, without.labels[without.labels > 0])


def test_without_low_quality_matches_every_positive_anchor_overlaps_by_seven_tenths():
    images, targets = non_square_images()
    best = {}
    for name in ("baseline", "no_low_quality"):
        _, plan = planned(small_variant(name, np.float64), images, targets)
        chosen, num_anchors = plan.anchors, plan.anchors.matchings[0].iou.shape[1]
        assert len(chosen.delta_targets) == chosen.num_positives
        best[name] = [chosen.matchings[row // num_anchors].iou[:, row % num_anchors].max()
                      for row in chosen.rows[:chosen.num_positives]]
        negatives = len(chosen.rows) - chosen.num_positives
    assert min(best["baseline"]) < 0.7 and negatives > 0
    assert sorted(best["no_low_quality"]) == sorted(iou for iou in best["baseline"] if iou >= 0.7)


# ---- from which maps ----

@pytest.mark.parametrize("name, channels", [("c4_only", 9), ("p4_only", 8)])
def test_without_a_pyramid_all_anchors_are_on_one_map_of_stride_16(name, channels):
    model = small_variant(name)
    trace = model.trace(np.zeros((64, 96, 3), np.float32))
    assert [level.shape for level in trace.features] == [(1, 4, 6, channels)]
    assert [len(a) for a in trace.anchors] == [4 * 6 * 15] and trace.strides == [(16, 16)]
    assert set(trace.roi_levels) == {0} and trace.box_features.shape[-1] == channels
    sides = np.sqrt(ops.box_area(trace.anchors[0][:15]))
    assert [round(side / 8) * 8 for side in sides] == [24, 32, 48, 64, 96] * 3


def test_without_the_top_down_path_a_level_knows_its_own_body_stage_only():
    rng, images = np.random.default_rng(0), np.random.default_rng(1).normal(size=(1, 64, 96, 3))
    for name, own_only in (("no_top_down", True), ("baseline", False)):
        fpn, notes = small_variant(name, np.float64).backbone, Notes(batch_statistics=False)
        body_features, features = fpn.forward(images, notes)
        dfeatures = [np.zeros_like(level) for level in features]
        dfeatures[0] = rng.normal(size=features[0].shape)
        by_stage = fpn.fpn.backward(dfeatures, notes["fpn"])
        assert [bool(d.any()) for d in by_stage] == [True, not own_only, not own_only, not own_only]


def test_a_frozen_body_keeps_its_weights_and_is_frozen_again_after_loading(tmp_path):
    model = small_variant("frozen_body")
    save(model, tmp_path / "frozen.npz")
    for one in (model, load(tmp_path / "frozen.npz")):
        assert not one.backbone.body.is_trainable and one.backbone.fpn.is_trainable
        image, target = ShapesDataset(1, image_size=(64, 96), seed=1)[0]
        one.loss_and_grads([image], [target], np.random.default_rng(0))
        assert all(p.grad is None for p in one.backbone.body.parameters())


