"""Models on the light bodies: torchvision's keys, frozen layers and defaults, and files there and back.

What they compute is held against torchvision in test_torchvision.py (cases ``mobilenet`` and ``mobilenet_frozen``).
"""

import hashlib
import json

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import InputError, InputWarning, fasterrcnn_mobilenet_v3_large_fpn, maskrcnn_tiny, models, nn
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.weights import infer_architecture, load, load_into, read_npz, rename_old_keys, save, write_npz
from tests.reference.cases import NoDraws
from tests.reference.store import FOLDER

STORED = json.loads((FOLDER / "state_dicts_mobilenet.json").read_text())
NAMES = ("fasterrcnn_mobilenet_v3_large_fpn", "maskrcnn_mobilenet_v3_large_fpn")


def empty(frozen_norm, **options):
    return fasterrcnn_mobilenet_v3_large_fpn(rng=NoDraws(), frozen_norm=frozen_norm, **options)


def test_the_stored_lists_are_what_was_stored():
    digest = hashlib.sha256(json.dumps(STORED["models"]).encode()).hexdigest()
    assert digest == STORED["meta"]["digest"] and {"torch", "torchvision"} <= set(STORED["meta"])


@pytest.mark.parametrize("name, frozen", [("frozen", True), ("batch", False)])
def test_state_dicts_have_torchvisions_keys_and_shapes_in_its_order(name, frozen):
    model, stored = empty(frozen), STORED["models"][name]
    assert [[key, list(value.shape)] for key, value in model.state_dict().items()] == stored["state"]
    assert sum(p.data.size for p in model.parameters()) == stored["num_parameters"]
    assert stored["num_parameters"] == (19_386_354 if frozen else 19_410_754)      # frozen: as published
    assert {key for key, _ in stored["state"]} >= {"backbone.body.0.0.weight", "backbone.body.15.block.2.fc2.bias"}


@pytest.mark.parametrize("layers", range(7))
def test_trainable_layers_freeze_what_torchvision_freezes(layers):
    for name, frozen in (("frozen", True), ("batch", False)):
        model = empty(frozen, trainable_layers=layers, num_classes=2)
        keys = [key for key, p in model.named_parameters() if not p.trainable]
        assert keys == STORED["models"][name]["frozen"][layers]


def test_norms_have_the_eps_and_momentum_that_torchvisions_detectors_give_them():
    # not the 0.001 and 0.01 of its image classifier: the detectors' builder hands in a norm of its own
    for frozen in (True, False):
        norms = [m for _, m in empty(frozen).named_modules() if isinstance(m, (nn.BatchNorm2d, nn.FrozenBatchNorm2d))]
        assert len(norms) == 46 and {m.eps for m in norms} == {1e-5}
        assert {getattr(m, "momentum", 0.1) for m in norms} == {0.1}


def test_defaults_are_those_of_torchvisions_builders():
    config = empty(True).config
    assert config.anchor_sizes == ((32, 64, 128, 256, 512),) * 3 and config.anchor_ratios == ((0.5, 1.0, 2.0),) * 3
    assert (config.rpn_score_thresh, config.min_size, config.rpn_pre_nms_top_n_test) == (0.05, 800, 1000)
    small = npmaskrcnn.fasterrcnn_mobilenet_v3_large_320_fpn(rng=NoDraws(), max_size=500).config
    assert (small.rpn_score_thresh, small.min_size, small.max_size) == (0.05, 320, 500)
    assert (small.rpn_pre_nms_top_n_test, small.rpn_post_nms_top_n_test) == (150, 150)


def test_all_regions_are_pooled_from_the_finest_level():
    pooler = empty(True).roi_heads.box_pooler
    sides = np.array([4.0, 100, 224, 900])
    rois = np.stack([np.zeros(4), np.zeros(4), np.zeros(4), sides, sides], axis=1)
    assert pooler.strides == (32, 32) and not pooler.levels(rois).any()


def test_anchors_for_another_number_of_levels_are_refused():
    with pytest.raises(InputError, match="anchor_sizes must be 3 tuples"):
        empty(True, anchor_sizes=((32,),) * 5)
    with pytest.raises(InputError, match="trainable_layers must be .* 6, got 7"):
        empty(True, trainable_layers=7)
    with pytest.raises(InputError, match="frozen_norm must be True or False, got 'yes'"):
        empty("yes")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_bare_state_dict_says_which_builder_and_whether_norms_were_frozen(name, frozen):
    state = getattr(models, name)(3, frozen_norm=frozen, rng=models.NO_DRAWS).state_dict()
    assert infer_architecture(state) == {"builder": name, "num_classes": 3, "config": {"frozen_norm": frozen}}


def test_published_weights_of_2021_have_old_names_and_fit(tmp_path):
    # their pyramid's and RPN head's convolutions stand alone, as in all files of before 2022
    rng = np.random.default_rng(0)
    state = {key: rng.random(shape, np.float32) for key, shape in STORED["models"]["frozen"]["state"]}
    old = {key.replace(".0.weight", ".weight").replace(".0.bias", ".bias") if ".fpn." in key else
           key.replace("conv.0.0.", "conv."): array for key, array in state.items()}
    assert {"backbone.fpn.inner_blocks.1.weight", "rpn.head.conv.bias"} <= set(old) and len(old) == len(state)
    with pytest.warns(InputWarning, match="10 old key names"):
        assert list(rename_old_keys(old)) == list(state)
    write_npz(tmp_path / "old.npz", old)
    with pytest.warns(InputWarning, match="10 old key names"):
        model = load(tmp_path / "old.npz")
    assert model.architecture["builder"] == NAMES[0] and model.architecture["config"]["frozen_norm"]
    assert len(model.class_names) == 91
    with pytest.warns(InputWarning, match="10 old key names"):
        model = fasterrcnn_mobilenet_v3_large_fpn(tmp_path / "old.npz", trainable_layers=3)
    assert model.architecture["config"]["frozen_norm"]      # with weights norms are frozen, as in torchvision
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[key])


# ---- the tiny model's light body ----


@pytest.mark.parametrize("builder", [models.maskrcnn_tiny, models.fasterrcnn_tiny])
def test_a_light_tiny_model_comes_back_from_its_file_and_from_its_bare_weights(tmp_path, builder):
    model = builder(3, body="mobilenet", dimensions={"blocks": (1, 2, 1, 3), "widths": (8, 16, 24, 32)})
    save(model, tmp_path / "m.npz")
    got = load(tmp_path / "m.npz")
    assert got.architecture == model.architecture and got.architecture["config"]["body"] == "mobilenet"
    write_npz(tmp_path / "bare.npz", model.state_dict())
    bare = load(tmp_path / "bare.npz")
    assert bare.architecture == model.architecture
    np.testing.assert_equal(got.state_dict(), model.state_dict())
    np.testing.assert_equal(bare.state_dict(), model.state_dict())


def test_a_file_of_a_light_model_cannot_ask_for_more_than_it_holds(tmp_path):
    model = maskrcnn_tiny(3, body="mobilenet")
    save(model, tmp_path / "m.npz")
    arrays, meta = read_npz(tmp_path / "m.npz")
    meta["architecture"]["config"]["dimensions"]["widths"] = [24, 48, 64, 4096]
    write_npz(tmp_path / "large.npz", arrays, meta)
    with pytest.raises(InputError, match="weights at least, but the file has"):
        load(tmp_path / "large.npz")


def test_bodies_that_cannot_be_told_are_refused():
    with pytest.raises(InputError, match="'mobile' is no body; the nearest is 'mobilenet'"):
        maskrcnn_tiny(body="mobile")
    state = maskrcnn_tiny(3, body="mobilenet", dimensions={"widths": (8, 8, 16, 24)}).state_dict()
    with pytest.raises(InputError, match="a body of inverted residual blocks of .* others need a file"):
        infer_architecture(state)


def test_weights_of_the_other_body_are_refused(tmp_path):
    save(maskrcnn_tiny(3), tmp_path / "m.npz")
    with pytest.raises(InputError, match="missing"):
        load_into(maskrcnn_tiny(3, body="mobilenet"), tmp_path / "m.npz")


def test_the_light_body_has_fewer_weights():
    light, usual = (maskrcnn_tiny(body=body).backbone.body.num_parameters() for body in ("mobilenet", "resnet"))
    assert light < 0.65 * usual


def test_a_light_tiny_model_learns_an_image():
    model = maskrcnn_tiny(body="mobilenet", rng=np.random.default_rng(0))
    image, target = ShapesDataset(1, seed=95)[0]
    optimizer = npmaskrcnn.training.AdamW(model.named_parameters(), 2e-3)
    losses = []
    for step in range(12):
        losses.append(sum(model.loss_and_grads([image], [target], np.random.default_rng(step)).values()))
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]
