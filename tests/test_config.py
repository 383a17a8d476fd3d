"""Options have torchvision's names and defaults; what does not exist or cannot be right is refused in one line.

Defaults are held against those stored of torchvision's constructors (tests/reference/state_dicts.json), refusals
against the words that a person needs.
"""

import dataclasses
import json

import numpy as np
import pytest

from npmaskrcnn.config import Config, make_config
from npmaskrcnn.errors import InputError
from tests.reference.store import FOLDER


def test_defaults_are_torchvisions():
    theirs = json.loads((FOLDER / "state_dicts.json").read_text())["models"]["constructor_defaults"]
    ours = make_config().as_dict()
    assert len(theirs) == 19
    assert {name: ours[name] for name in theirs} == theirs


def test_defaults_that_torchvision_writes_as_none():
    config = make_config()
    assert config.image_mean == (0.485, 0.456, 0.406) and config.image_std == (0.229, 0.224, 0.225)
    assert config.bbox_reg_weights == (10.0, 10.0, 5.0, 5.0)
    assert config.anchor_sizes == ((32,), (64,), (128,), (256,), (512,))
    assert config.anchor_ratios == ((0.5, 1.0, 2.0),) * 5
    assert make_config(bbox_reg_weights=None) == config


def test_a_config_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().min_size = 3


def test_a_config_survives_json():
    config = make_config(min_size=[64, 96], anchor_sizes=[[8], [16], [32], [64], [128]],
                         box_score_thresh=np.float64(0.25))
    assert make_config(**json.loads(json.dumps(config.as_dict()))) == config
    assert config.min_size == (64, 96) and config.anchor_sizes == ((8,), (16,), (32,), (64,), (128,))


def test_the_callers_options_win_over_the_builders():
    assert make_config({"min_size": 128, "max_size": 200}, min_size=99).as_dict() == {
        **make_config().as_dict(), "min_size": 99, "max_size": 200}


@pytest.mark.parametrize("option, nearest", [
    ("min_sizes", "min_size"), ("box_score_threshold", "box_score_thresh"), ("rpn_nms_tresh", "rpn_nms_thresh"),
    ("detections_per_img", "box_detections_per_img"), ("img_mean", "image_mean"),
    ("xyzzy", "there are min_size, max_size, ")])        # like nothing: all are named
def test_an_unknown_option_is_refused_with_the_nearest_name(option, nearest):
    with pytest.raises(InputError) as caught:
        make_config(**{option: 1})
    assert f"{option!r} is no option of the model; " in str(caught.value)
    assert nearest in str(caught.value)


FRACTIONS = [name for name in (f.name for f in dataclasses.fields(Config)) if "thresh" in name or "fraction" in name]


@pytest.mark.parametrize("name", FRACTIONS)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), "0.5", None, True, [0.5]])
def test_a_fraction_is_a_number_from_0_to_1(name, value):
    with pytest.raises(InputError, match=f"{name} must be a number from 0 to 1, got"):
        make_config(**{name: value})


@pytest.mark.parametrize("name, value, message", [
    ("rpn_batch_size_per_image", 0, "at least 1"), ("box_batch_size_per_image", 0, "at least 1"),
    ("box_batch_size_per_image", 2.5, "whole number"), ("max_size", 0, "at least 1"),
    ("max_size", float("inf"), "whole number"),
    ("rpn_pre_nms_top_n_test", -1, "at least 0"), ("rpn_post_nms_top_n_train", -5, "at least 0"),
    ("box_detections_per_img", -1, "at least 0"), ("box_detections_per_img", "many", "whole number"),
    ("canonical_scale", 0, "at least 1"), ("min_size", 0, "at least 1"), ("min_size", (), "at least 1"),
    ("min_size", (64, -1), "at least 1"), ("min_size", "800", "at least 1"),
    ("image_mean", (0.5, 0.5), "3 numbers"), ("image_mean", 0.5, "3 numbers"),
    ("image_std", (0.2, 0.2, 0.0), "above 0"),
    ("image_std", (0.2, 0.2, float("nan")), "above 0"), ("bbox_reg_weights", (10, 10, 5), "4 numbers"),
    ("bbox_reg_weights", (10, 10, 5, -5), "above 0"), ("anchor_sizes", ((32,),) * 4, "5 tuples"),
    ("anchor_sizes", (32, 64, 128, 256, 512), "tuples of positive"),
    ("anchor_sizes", ((32,),) * 4 + ((),), "tuples of positive"),
    ("anchor_ratios", ((1.0, 0.0),) * 5, "tuples of positive")])
def test_what_cannot_be_right_is_refused_by_name(name, value, message):
    with pytest.raises(InputError) as caught:
        make_config(**{name: value})
    assert name in str(caught.value) and message in str(caught.value) and "\n" not in str(caught.value)


def test_one_head_needs_as_many_anchors_per_cell_on_every_level():
    with pytest.raises(InputError, match=r"anchor_sizes and anchor_ratios .* \(\[3, 6\]\)"):
        make_config(anchor_sizes=((32, 48), (64,), (128,), (256,), (512,)))
    make_config(anchor_sizes=((32, 48), (64, 96), (128, 192), (256, 384), (512, 768)))


@pytest.mark.parametrize("stage", ["rpn", "box"])
def test_background_must_not_begin_above_foreground(stage):
    with pytest.raises(InputError, match="background IoU threshold"):
        make_config(**{f"{stage}_fg_iou_thresh": 0.4, f"{stage}_bg_iou_thresh": 0.5})
    make_config(**{f"{stage}_fg_iou_thresh": 0.4, f"{stage}_bg_iou_thresh": 0.4})


@pytest.mark.parametrize("name", ["rpn_pre_nms_top_n_test", "rpn_post_nms_top_n_train", "box_detections_per_img"])
def test_a_limit_of_zero_is_allowed(name):
    assert getattr(make_config(**{name: 0}), name) == 0
