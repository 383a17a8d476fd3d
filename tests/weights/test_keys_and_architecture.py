"""Names and shapes tell which model a state dict belongs to; old names get today's."""

import json
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.weights import COCO_NAMES, infer_architecture, rename_old_keys
from npmaskrcnn.weights.architecture import count_classes

with open(Path(__file__).parents[1] / "reference" / "weights" / "torchvision_keys.json") as _file:
    LISTS = json.load(_file)


def state_of(model):
    """A state dict of torchvision's names and shapes whose numbers take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in LISTS[model]}


@pytest.mark.parametrize("body", ["resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d"])
def test_the_body_is_inferred(body):
    architecture = infer_architecture(state_of(f"frozen_{body}"))
    config = {"body": body, "norm_eps": 1e-5}
    assert architecture == {"builder": "maskrcnn_resnet_fpn", "num_classes": 91, "config": config}


def test_version_2_is_inferred_with_its_classes():
    architecture = infer_architecture(state_of("maskrcnn_resnet50_fpn_v2"))
    assert architecture == {"builder": "maskrcnn_resnet50_fpn_v2", "num_classes": 5, "config": {}}


def test_a_state_dict_without_a_mask_branch_is_a_faster_rcnn():
    with pytest.warns(InputWarning, match="trained with unfrozen batch norm"):      # torchvision's random start
        architecture = infer_architecture(state_of("fasterrcnn_resnet50_fpn"))
    assert architecture == {"builder": "fasterrcnn_resnet_fpn", "num_classes": 91,
                            "config": {"body": "resnet50", "norm_eps": 1e-5}}
    v2 = {name: array for name, array in state_of("maskrcnn_resnet50_fpn_v2").items() if ".mask_" not in name}
    assert infer_architecture(v2) == {"builder": "fasterrcnn_resnet50_fpn_v2", "num_classes": 5, "config": {}}


@pytest.mark.parametrize("missing", ["roi_heads.mask_predictor.mask_fcn_logits.weight",
                                     "roi_heads.box_predictor.bbox_pred.weight"])
def test_a_model_without_one_of_its_last_layers_is_incomplete(missing):
    state = state_of("frozen_resnet18")
    del state[missing]
    with pytest.raises(InputError, match=f"an incomplete model: '{missing}' is missing"):
        infer_architecture(state)


def test_unfrozen_batch_norm_is_frozen_with_a_warning():
    with pytest.warns(InputWarning, match="trained with unfrozen batch norm"):
        architecture = infer_architecture(state_of("maskrcnn_resnet50_fpn"))
    assert architecture["num_classes"] == 7 and architecture["config"]["body"] == "resnet50"


def test_what_is_no_mask_rcnn_is_called_by_its_name():
    classifier = {"conv1.weight": np.zeros((64, 3, 7, 7)), "fc.weight": np.zeros((1000, 512))}
    for state, reason in [
        (classifier, r"an image classifier \(ResNet\)"),
        ({"a": np.zeros(1)}, "no Mask R-CNN: expected names such as .*, got 'a'"),
        ({}, "got none at all"),
    ]:
        with pytest.raises(InputError, match=reason):
            infer_architecture(state)


def test_last_layers_that_disagree_are_refused():
    state = state_of("frozen_resnet18")
    state["roi_heads.mask_predictor.mask_fcn_logits.weight"] = np.zeros((90, 256, 1, 1))
    with pytest.raises(InputError, match="disagree about the classes: .*mask_fcn_logits.weight has 90 rows"):
        count_classes(state)


def test_a_body_with_another_number_of_blocks_is_refused():
    state = state_of("frozen_resnet50")
    del state["backbone.body.layer3.5.conv1.weight"]
    with pytest.raises(InputError, match=r"a body of \(3, 4, 5, 3\) bottleneck blocks in 1 groups"):
        infer_architecture(state)


def test_version_2_on_another_body_is_refused():
    state = {**state_of("frozen_resnet18"), "rpn.head.conv.1.0.weight": np.zeros(1)}
    with pytest.raises(InputError, match="version 2 on resnet18"):
        infer_architecture(state)


# ---- old names -------------------------------------------------------------------------------------------

def test_all_old_names_become_torchvisions_and_keep_their_order():
    new_to_old = {new: old for old, new in LISTS["old_names"]}
    assert len(new_to_old) == 26  # 16 of the pyramid, 2 of the RPN, 8 of the mask head
    state = state_of("frozen_resnet50")
    old = {new_to_old.get(name, name): array for name, array in state.items()}
    with pytest.warns(InputWarning, match="26 old key names were renamed"):
        renamed = rename_old_keys(old)
    assert list(renamed) == list(state)
    assert all(renamed[name] is state[name] for name in state)


@pytest.mark.parametrize("model", [name for name in LISTS if name not in ("old_names", "versions")])
def test_todays_names_stay_without_a_warning(model, recwarn):
    state = state_of(model)
    assert list(rename_old_keys(state)) == list(state)
    assert not recwarn.list


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.",
                                    "net.module.", "_forward_module.model.", "lit_model.detector_2."])
def test_the_prefix_goes_and_that_is_said(prefix, recwarn):
    state = {"n_averaged": 0, f"{prefix}rpn.head.conv.bias": 1, "criterion.weight": 2, f"{prefix}extra.bias": 3}
    assert rename_old_keys(state) == {"rpn.head.conv.0.0.bias": 1, "extra.bias": 3}
    assert [str(warning.message) for warning in recwarn.list] == [
        f"the state dict: took the 2 tensors '{prefix}*'; left out 'n_averaged', 'criterion'",
        "the state dict: 1 old key names were renamed, the first 'rpn.head.conv.bias' to 'rpn.head.conv.0.0.bias'"]


def test_without_a_prefix_nothing_is_left_out(recwarn):
    state = {"extra.weight": 0, "backbone.body.conv1.weight": 1, "model.roi_heads.x": 2}
    assert rename_old_keys(state) == state and not recwarn.list


def test_of_two_models_in_one_state_dict_the_first_is_taken():
    state = {"student.backbone.body.x": 0, "teacher.backbone.body.x": 1}
    with pytest.warns(InputWarning, match=r"took the 1 tensor 'student.\*'; left out 'teacher'$"):
        assert rename_old_keys(state) == {"backbone.body.x": 0}


@pytest.mark.parametrize("wrapped", ["backbone._orig_mod.body.x", "backbone.body._fsdp_wrapped_module.x",
                                     "_checkpoint_wrapped_module.backbone._orig_mod.body._orig_mod.x"])
@pytest.mark.filterwarnings("ignore::npmaskrcnn.InputWarning")
def test_the_wrapper_of_a_part_goes(wrapped):
    assert rename_old_keys({wrapped: 0}) == {"backbone.body.x": 0}


@pytest.mark.parametrize("name, framework", [
    ("backbone.bottom_up.stem.conv1.weight", "detectron2"), ("roi_head.bbox_head.fc_cls.weight", "MMDetection"),
    ("module.backbone.body.stem.conv1.weight", "maskrcnn-benchmark")])
def test_models_of_other_frameworks_are_called_by_their_names(name, framework):
    with pytest.raises(InputError, match=f"is a model of {framework} .*expected names such as 'backbone.body.conv1"):
        rename_old_keys({"roi_heads.box_predictor.cls_score.weight": 0, name: 1})


def test_an_old_and_a_new_name_of_one_weight_are_refused():
    with pytest.raises(InputError, match="under an old and a new name"):
        rename_old_keys({"rpn.head.conv.bias": np.zeros(1), "rpn.head.conv.0.0.bias": np.zeros(1)})


# ---- COCO -----------------------------------------------------------------------------------------------

def test_coco_has_80_classes_among_90_ids():
    assert len(COCO_NAMES) == 91 and COCO_NAMES[0] == "background"
    names = [name for name in COCO_NAMES[1:] if name != "N/A"]
    assert len(names) == len(set(names)) == 80
    # ids from COCO's own annotation files
    assert {i: COCO_NAMES[i] for i in (1, 12, 18, 44, 62, 90)} == {
        1: "person", 12: "N/A", 18: "dog", 44: "bottle", 62: "chair", 90: "toothbrush"}
