"""Every stage against torchvision's answer to the very same float32 numbers (`tests/reference/make_stages.py`)."""

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.config import make_config
from npmaskrcnn.stages.anchors import AnchorGenerator
from npmaskrcnn.stages.box_head import box_losses_backward, box_losses_forward, select_detections
from npmaskrcnn.stages.mask_head import mask_loss_backward, mask_loss_forward
from npmaskrcnn.stages.paste import paste_masks
from npmaskrcnn.stages.roi_heads import RoIHeads
from npmaskrcnn.stages.roi_pooler import RoIPooler, make_rois
from npmaskrcnn.stages.rpn import RegionProposalNetwork, propose, rpn_losses_backward, rpn_losses_forward
from npmaskrcnn.stages.transform import InputTarget
from tests.reference import store
from tests.torch_generator import TorchGenerator

pytestmark = pytest.mark.usefixtures("hand")      # on the plain operations and on those in use by default

STORED, META = store.load("stages")
CONFIG = make_config(**META["options"])
SIZES = [tuple(size) for size in META["sizes"]]
ANCHORS = AnchorGenerator(CONFIG.anchor_sizes, CONFIG.anchor_ratios)(META["grids"], META["padded"])
OBJECTNESS, DELTAS = ([STORED[f"{name}/{level}"] for level in range(5)] for name in ("objectness", "deltas"))
PROPOSALS = [STORED[f"proposals/{i}"] for i in (0, 1)]
TARGETS = [InputTarget(*(STORED[f"target/{name}/{i}"] for name in ("boxes", "labels", "masks"))) for i in (0, 1)]


def test_anchors():
    np.testing.assert_array_equal(np.concatenate(ANCHORS), STORED["anchors"])


@pytest.mark.parametrize("image", [0, 1])
@pytest.mark.parametrize("mode", ["test", "train"])
def test_proposals(mode, image):
    found = propose([o[image].reshape(-1) for o in OBJECTNESS], [d[image].reshape(-1, 4) for d in DELTAS], ANCHORS,
                    SIZES[image],
                    getattr(CONFIG, f"rpn_pre_nms_top_n_{mode}"), getattr(CONFIG, f"rpn_post_nms_top_n_{mode}"),
                    CONFIG.rpn_nms_thresh, CONFIG.rpn_score_thresh)
    expected = STORED[f"{mode}/proposals/{image}"]
    assert found.boxes.dtype == np.float32 and len(expected) == {"test": 60, "train": 150}[mode]
    np.testing.assert_allclose(found.boxes, expected, rtol=0, atol=1e-4)        # pixels; exp in float32
    np.testing.assert_allclose(found.scores, STORED[f"{mode}/proposal_scores/{image}"], rtol=0, atol=1e-6)


def anchor_sample():
    return RegionProposalNetwork(None, None, CONFIG).choose(ANCHORS, TARGETS, TorchGenerator(META["sample_seed"]))


def test_matches_of_anchors():
    for (_, ours), theirs in zip(anchor_sample().matchings, STORED["rpn/labels"]):
        # torchvision's labels: 1 object, 0 background, -1 ignored
        np.testing.assert_array_equal(np.where(ours >= 0, 1, np.where(ours == -1, 0, -1)), theirs)
        assert {-1, 0, 1} == set(theirs)


def test_samples_of_anchors_their_losses_and_gradients():
    chosen = anchor_sample()
    np.testing.assert_array_equal(np.sort(chosen.rows), STORED["rpn/sampled"])
    *losses, cache = rpn_losses_forward(OBJECTNESS, DELTAS, chosen)
    np.testing.assert_allclose(losses, STORED["rpn/losses"], rtol=1e-6)         # float32 sums
    dobjectness, ddeltas = rpn_losses_backward(2.0, 3.0, cache)
    flat = np.concatenate([d.reshape(2, -1) for d in dobjectness], axis=1).reshape(-1)
    np.testing.assert_allclose(flat[STORED["rpn/sampled"]], STORED["rpn/dobjectness"], rtol=1e-5, atol=1e-9)
    assert np.count_nonzero(flat) == len(STORED["rpn/sampled"])
    flat = np.concatenate([d.reshape(2, -1, 4) for d in ddeltas], axis=1).reshape(-1, 4)
    np.testing.assert_allclose(flat[STORED["rpn/sampled"]], STORED["rpn/ddeltas"], rtol=1e-5, atol=1e-8)


def test_samples_of_rois_and_their_targets():
    chosen = roi_sample()
    boxes, labels, targets = (np.concatenate([STORED[f"rois/{name}/{i}"] for i in (0, 1)])
                              for name in ("boxes", "labels", "targets"))
    np.testing.assert_array_equal(chosen.rois[:, 1:], boxes)        # the very same, in the same order
    np.testing.assert_array_equal(chosen.labels, labels)
    objects = labels > 0
    assert 10 < objects.sum() < len(labels)
    # log in float32
    np.testing.assert_allclose(chosen.delta_targets[objects], targets[objects], rtol=1e-5, atol=1e-5)
    masks = np.concatenate([STORED[f"mask/targets/{i}"] for i in (0, 1)])
    np.testing.assert_allclose(chosen.mask_targets, masks, rtol=0, atol=1e-5)


def roi_sample():
    heads = RoIHeads(None, None, None, RoIPooler(14), None, None, CONFIG)
    return heads.choose(PROPOSALS, TARGETS, TorchGenerator(META["sample_seed"]))


def test_box_losses_and_gradients():
    chosen = roi_sample()
    *losses, cache = box_losses_forward(STORED["box/logits"], STORED["box/deltas"], chosen.labels,
                                        chosen.delta_targets)
    np.testing.assert_allclose(losses, STORED["box/losses"], rtol=1e-6)
    dlogits, ddeltas = box_losses_backward(2.0, 3.0, cache)
    np.testing.assert_allclose(dlogits, STORED["box/dlogits"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(ddeltas, STORED["box/ddeltas"], rtol=1e-5, atol=1e-6)


def test_mask_loss_and_gradient():
    chosen = roi_sample()
    loss, cache = mask_loss_forward(STORED["mask/logits"], chosen.mask_labels, chosen.mask_targets)
    np.testing.assert_allclose(loss, STORED["mask/loss"], rtol=1e-6)
    np.testing.assert_allclose(mask_loss_backward(1.0, cache), STORED["mask/dlogits"], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("scale", [224, 56])
def test_pooled_rois(scale):
    features = [STORED[f"pool/features/{i}"] for i in range(4)]
    rois = make_rois([p[:20] for p in PROPOSALS])
    pooler = RoIPooler(7, canonical_scale=scale)
    assert len(set(pooler.levels(rois))) == {224: 1, 56: 3}[scale]
    # sums of 16 terms
    np.testing.assert_allclose(pooler(features, rois), STORED[f"pool/{scale}"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("image", [0, 1])
def test_detections(image):
    ends = np.cumsum([len(p) for p in PROPOSALS])[:-1]
    logits, moves = (np.split(STORED[f"detect/{name}"], ends)[image] for name in ("logits", "deltas"))
    found = select_detections(logits, moves, PROPOSALS[image], SIZES[image], CONFIG.bbox_reg_weights,
                              CONFIG.box_score_thresh,
                              CONFIG.box_nms_thresh, CONFIG.box_detections_per_img)
    np.testing.assert_array_equal(found.labels[found.keep], STORED[f"detect/labels/{image}"])
    # pixels
    np.testing.assert_allclose(found.boxes[found.keep], STORED[f"detect/boxes/{image}"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.scores[found.keep], STORED[f"detect/scores/{image}"], rtol=0, atol=1e-6)
    assert len(found.rois) > len(found.keep) == 100


def test_pasted_masks():
    pasted = paste_masks(STORED["paste/masks"], STORED["paste/boxes"], META["original"])
    np.testing.assert_allclose(pasted, STORED["paste/pasted"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(pasted == 0, STORED["paste/pasted"] == 0)


def test_stored_answers_say_with_what_they_were_made():
    assert {"torch", "torchvision", "numpy", "seed", "options", "digest"} <= set(META)
    assert ops.box_area(PROPOSALS[0]).min() > 0
