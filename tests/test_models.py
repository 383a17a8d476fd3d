"""The builders: torchvision's keys, shapes, counts, frozen layers and first weights.

State dicts are held against those stored of torchvision (tests/reference/state_dicts.json), first weights against the
distributions that torch draws them from.
"""

import hashlib
import json
import math

import numpy as np
import pytest

from npmaskrcnn import (InputError, fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2, fasterrcnn_resnet_fpn,
                        fasterrcnn_tiny, maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2, maskrcnn_resnet_fpn,
                        maskrcnn_tiny, models, nn)
from tests.reference.cases import NoDraws
from tests.reference.store import FOLDER

STORED = json.loads((FOLDER / "state_dicts.json").read_text())
BODIES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d")


def empty(name, **options):
    """Build a model without drawing weights."""
    if name == "v2":
        return maskrcnn_resnet50_fpn_v2(rng=NoDraws(), **options)
    return maskrcnn_resnet_fpn(name, rng=NoDraws(), **options)


def test_the_stored_lists_are_what_was_stored():
    digest = hashlib.sha256(json.dumps(STORED["models"]).encode()).hexdigest()
    assert digest == STORED["meta"]["digest"] and {"torch", "torchvision"} <= set(STORED["meta"])


@pytest.mark.parametrize("name", BODIES + ("v2",))
def test_state_dicts_have_torchvisions_keys_and_shapes_in_its_order(name):
    model = empty(name)
    stored = STORED["models"][name]
    assert [[key, list(value.shape)] for key, value in model.state_dict().items()] == stored["state"]
    assert model.num_parameters() == sum(p.data.size for p in model.parameters()) == stored["num_parameters"]


def test_well_known_counts():
    assert {name: (len(STORED["models"][name]["state"]), STORED["models"][name]["num_parameters"])
            for name in ("resnet50", "v2")} \
        == {"resnet50": (307, 44_401_393), "v2": (432, 46_359_409)}


@pytest.mark.parametrize("name, layers", [("resnet18", n) for n in range(6)] + [("resnext50_32x4d", 3), ("v2", 2),
                                                                                ("v2", 5)])
def test_trainable_layers_freeze_what_torchvision_freezes(name, layers):
    model = empty(name, trainable_layers=layers, num_classes=2)
    assert [key for key, p in model.named_parameters() if not p.trainable] == STORED["models"][name]["frozen"][layers]


@pytest.mark.parametrize("builder, name, num_parameters", [     # of torchvision's FasterRCNN_..._Weights: num_params
    (fasterrcnn_resnet50_fpn, "resnet50", 41_755_286), (fasterrcnn_resnet50_fpn_v2, "v2", 43_712_278)])
def test_faster_rcnn_is_the_model_without_the_mask_branch(builder, name, num_parameters):
    model = builder(rng=NoDraws())
    assert [[key, list(value.shape)] for key, value in model.state_dict().items()] \
        == [[key, shape] for key, shape in STORED["models"][name]["state"] if "roi_heads.mask_" not in key]
    assert model.num_parameters() == num_parameters
    assert model.architecture["builder"].startswith("fasterrcnn") and not model.roi_heads.has_masks


def test_faster_rcnn_on_another_body_has_the_same_options():
    options = dict(num_classes=4, trainable_layers=3, norm_eps=0.0, min_size=(96, 112), rng=NoDraws())
    with_masks, without = (build("resnet18", **options) for build in (maskrcnn_resnet_fpn, fasterrcnn_resnet_fpn))
    assert with_masks.config == without.config
    assert with_masks.architecture["config"] == without.architecture["config"]
    assert [k for k, p in without.named_parameters() if not p.trainable] \
        == [k for k, p in with_masks.named_parameters() if not p.trainable]


def test_the_tiny_model_without_masks_has_no_mask_layers():
    model = fasterrcnn_tiny(3, min_size=96, dimensions={"fpn_channels": 24})
    assert not any("mask" in key for key in model.state_dict()) and "fasterrcnn_tiny" in repr(model)
    assert model.architecture["config"]["dimensions"] == {
        "blocks": (2, 2, 2, 2), "widths": (24, 48, 64, 96), "fpn_channels": 24, "representation_size": 128}
    with pytest.raises(InputError, match="'mask_layers' is no dimension of the tiny model without a mask branch"):
        fasterrcnn_tiny(dimensions={"mask_layers": (8, 8)})


def test_resnet50_fpn_is_the_general_builder_on_resnet50():
    model = maskrcnn_resnet50_fpn(rng=NoDraws(), num_classes=2)
    assert [key for key, _ in STORED["models"]["resnet50"]["state"]] == list(model.state_dict())
    assert model.architecture["builder"] == "maskrcnn_resnet_fpn"
    assert model.architecture["config"]["body"] == "resnet50"


def test_only_the_predictors_depend_on_the_number_of_classes():
    shapes = [{key: value.shape for key, value in empty("resnet18", num_classes=n).state_dict().items()}
              for n in (2, 7)]
    differing = {key: shapes[1][key] for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    assert differing == {
        "roi_heads.box_predictor.cls_score.weight": (7, 1024), "roi_heads.box_predictor.cls_score.bias": (7,),
        "roi_heads.box_predictor.bbox_pred.weight": (28, 1024), "roi_heads.box_predictor.bbox_pred.bias": (28,),
        "roi_heads.mask_predictor.mask_fcn_logits.weight": (7, 256, 1, 1),
        "roi_heads.mask_predictor.mask_fcn_logits.bias": (7,)}


def test_the_tiny_model_is_tiny_and_says_how_it_was_built():
    model = maskrcnn_tiny(num_classes=5, box_score_thresh=0.3)
    assert 0.9e6 < model.num_parameters() < 1.2e6
    assert model.num_classes == 5 and model.class_names is None and model.config.box_score_thresh == 0.3
    assert json.loads(json.dumps(model.architecture))["builder"] == "maskrcnn_tiny"
    assert (model.config.min_size, model.config.canonical_scale) == (128, 112)
    assert maskrcnn_tiny(version=1).config.canonical_scale == 56


@pytest.mark.parametrize("name, eps", [("resnet18", 1e-5), ("v2", 1e-5)])
def test_norms_have_torchs_eps(name, eps):
    norms = [m for _, m in empty(name, num_classes=2).named_modules()
             if isinstance(m, (nn.BatchNorm2d, nn.FrozenBatchNorm2d))]
    assert len(norms) > 10 and {m.eps for m in norms} == {eps}


def test_norm_eps_is_the_callers():
    model = empty("resnet18", num_classes=2, norm_eps=0.0)
    assert {m.eps for _, m in model.named_modules() if isinstance(m, nn.FrozenBatchNorm2d)} == {0.0}
    assert model.architecture["config"]["norm_eps"] == 0.0


def test_v1_has_frozen_norms_in_the_body_only_and_v2_has_batch_norms_everywhere():
    kinds = {name: {(type(m), ".".join(path.split(".")[:2])) for path, m in empty(name, num_classes=2).named_modules()
                    if isinstance(m, (nn.BatchNorm2d, nn.FrozenBatchNorm2d))}
             for name in ("resnet18", "v2")}
    assert kinds["resnet18"] == {(nn.FrozenBatchNorm2d, "backbone.body")}
    assert kinds["v2"] == {(nn.BatchNorm2d, part) for part in
                           ("backbone.body", "backbone.fpn", "roi_heads.box_head", "roi_heads.mask_head")}


# ---- first weights ----

@pytest.fixture(scope="module")
def drawn():
    """First weights with 91 classes, by key in torchvision's shapes."""
    return {"v1": maskrcnn_resnet_fpn("resnet18").state_dict(), "v2": maskrcnn_resnet50_fpn_v2().state_dict()}


NORMAL = [      # model, key, standard deviation
    ("v1", "backbone.body.conv1.weight", math.sqrt(2 / (64 * 49))),
    ("v1", "backbone.body.layer3.0.conv1.weight", math.sqrt(2 / (256 * 9))),
    ("v1", "backbone.body.layer3.0.downsample.0.weight", math.sqrt(2 / 256)),
    ("v1", "rpn.head.conv.0.0.weight", 0.01), ("v1", "rpn.head.cls_logits.weight", 0.01),
    ("v1", "rpn.head.bbox_pred.weight", 0.01),
    ("v1", "roi_heads.mask_head.0.0.weight", math.sqrt(2 / (256 * 9))),
    ("v1", "roi_heads.mask_predictor.conv5_mask.weight", 0.0442),
    ("v1", "roi_heads.mask_predictor.mask_fcn_logits.weight", 0.148),
    ("v2", "roi_heads.box_head.0.0.weight", 0.02946), ("v2", "roi_heads.mask_head.3.0.weight", 0.02946),
    ("v2", "rpn.head.conv.1.0.weight", 0.01)]
UNIFORM = [     # model, key, bound
    ("v1", "backbone.fpn.inner_blocks.0.0.weight", math.sqrt(3 / 64)),
    ("v1", "backbone.fpn.layer_blocks.2.0.weight", math.sqrt(3 / (256 * 9))),
    ("v2", "backbone.fpn.inner_blocks.3.0.weight", math.sqrt(3 / 2048)),
    ("v1", "roi_heads.box_head.fc6.weight", 0.00893), ("v1", "roi_heads.box_head.fc6.bias", 0.00893),
    ("v1", "roi_heads.box_head.fc7.weight", 0.03125), ("v1", "roi_heads.box_predictor.cls_score.weight", 0.03125),
    ("v1", "roi_heads.box_predictor.bbox_pred.bias", 0.03125), ("v2", "roi_heads.box_head.5.weight", 0.00893),
    ("v1", "roi_heads.mask_predictor.conv5_mask.bias", 0.03125),
    ("v1", "roi_heads.mask_predictor.mask_fcn_logits.bias", 1 / 16)]
ZERO = ["backbone.fpn.inner_blocks.0.0.bias", "backbone.fpn.layer_blocks.3.0.bias", "rpn.head.conv.0.0.bias",
        "rpn.head.cls_logits.bias", "rpn.head.bbox_pred.bias", "roi_heads.mask_head.2.0.bias"]


@pytest.mark.parametrize("which, key, std", NORMAL)
def test_first_weights_drawn_from_a_normal_distribution(drawn, which, key, std):
    values = drawn[which][key].astype(np.float64)
    spread = 5 / math.sqrt(values.size)         # five standard errors
    assert abs(values.mean()) < spread * std
    assert abs(values.std() / std - 1) < spread + 1e-3      # bounds are given to three digits
    assert np.abs(values).max() > 2.5 * std     # not uniform, whose largest is 1.73 of its deviation


@pytest.mark.parametrize("which, key, bound", UNIFORM)
def test_first_weights_drawn_from_a_uniform_distribution(drawn, which, key, bound):
    values = drawn[which][key].astype(np.float64)
    assert np.abs(values).max() <= bound * 1.001
    assert np.abs(values).max() > bound * (0.999 - 20 / values.size)
    assert abs(values.std() / (bound / math.sqrt(3)) - 1) < 5 / math.sqrt(values.size) + 1e-3


def test_first_biases_and_norms(drawn):
    assert not any(drawn["v1"][key].any() for key in ZERO)
    for state in drawn.values():
        for key, value in state.items():
            if key.endswith("running_var") or (key.endswith("weight") and value.ndim == 1):
                assert (value == 1).all(), key
            elif key.endswith(("running_mean", "num_batches_tracked")) or (key.endswith("bias")
                                                                           and (".bn" in key or ".1.bias" in key)):
                assert (value == 0).all(), key
            assert value.dtype == (np.int64 if key.endswith("tracked") else np.float32)


def test_the_same_seed_gives_the_same_weights_and_none_is_seed_0():
    states = [maskrcnn_tiny(rng=rng).state_dict() for rng in
              (None, np.random.default_rng(0), np.random.default_rng(1))]
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])
    assert any((states[2][key] != value).any() for key, value in states[0].items())


# ---- wrong arguments ----

@pytest.mark.parametrize("builder", [maskrcnn_tiny, maskrcnn_resnet_fpn, maskrcnn_resnet50_fpn,
                                     maskrcnn_resnet50_fpn_v2, fasterrcnn_tiny, fasterrcnn_resnet_fpn,
                                     fasterrcnn_resnet50_fpn, fasterrcnn_resnet50_fpn_v2])
def test_an_unknown_option_is_refused_before_anything_is_drawn(builder):
    class Alarm:
        def normal(self, *_):
            raise AssertionError("drew weights before looking at the options")

        uniform = normal
    with pytest.raises(InputError,
                       match="'box_nms_treshold' is no option of the model; the nearest is 'box_nms_thresh'"):
        builder(rng=Alarm(), box_nms_treshold=0.3)
    with pytest.raises(InputError, match="num_classes .with background. must be .* got 1"):
        builder(num_classes=1, rng=Alarm())


@pytest.mark.parametrize("num_classes", [0, 1, -3, 2.5, "four", None, True, 10**12])
def test_the_number_of_classes_is_at_least_two(num_classes):
    with pytest.raises(InputError, match=r"num_classes .with background. must be a whole number from 2 to 10,000"):
        maskrcnn_tiny(num_classes=num_classes)


def test_an_unknown_body_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="'resnet51' is no body; the nearest is 'resnet50'"):
        maskrcnn_resnet_fpn("resnet51")


@pytest.mark.parametrize("layers", [-1, 6, 2.5, "3", None])
def test_trainable_layers_are_0_to_5(layers):
    with pytest.raises(InputError, match="trainable_layers must be a whole number from 0 to 5, got"):
        maskrcnn_resnet_fpn("resnet18", trainable_layers=layers, rng=NoDraws())


def test_bodies_are_the_documented_ones():
    assert set(models.BODIES) == set(BODIES)


def test_a_model_says_what_it_is_in_one_line():
    model = maskrcnn_tiny(3, min_size=96)
    assert "maskrcnn_tiny" in repr(model) and "3 classes," in repr(model)
    assert f"{model.num_parameters():,}" in repr(model)
    assert "min_size 96, max_size 128" in repr(model) and "\n" not in repr(model)
    model.class_names = ["background", "cat", "dog"]
    assert "3 classes (background, cat, dog)" in repr(model)


@pytest.mark.parametrize("build, option, hint", [
    (maskrcnn_tiny, dict(weights="a.npz"), "'weights' is no option of this builder; npmaskrcnn.load"),
    (maskrcnn_tiny, dict(class_names=["a"]), "'class_names' is no option of this builder; set model.class_names"),
    (maskrcnn_resnet50_fpn, dict(seed=1), "'seed' is no option of this builder; give a generator, rng="),
    (maskrcnn_resnet_fpn, dict(body=50), "50 is no body; there are resnet18, resnet34, resnet50"),
])
def test_an_option_of_another_place_is_led_there(build, option, hint):
    with pytest.raises(InputError, match=hint):
        build(**option)


def test_numbers_of_numpy_in_the_options_can_be_saved(tmp_path):
    model = maskrcnn_tiny(np.int64(3), min_size=np.int64(96), image_mean=np.array([.4, .5, .6]),
                          rpn_nms_thresh=np.float32(.5))
    assert json.loads(json.dumps(model.architecture)) == json.loads(json.dumps(maskrcnn_tiny(
        3, min_size=96, image_mean=(.4, .5, .6), rpn_nms_thresh=.5).architecture))
