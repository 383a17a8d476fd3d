"""A saved model comes back as it was, and a file cannot make more of the builder than a model."""

import json
import tracemalloc

import numpy as np
import pytest

from npmaskrcnn import models
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.others import one_stage_tiny, semantic_tiny
from npmaskrcnn.variants import maskrcnn_variant
from npmaskrcnn.weights import (
    CLASS_LAYERS,
    export,
    load,
    load_into,
    load_with_new_heads,
    model_files,
    published_norm_eps,
    read_npz,
    read_state,
    save,
    write_npz,
    write_safetensors,
)
from npmaskrcnn.zoo import fasterrcnn_resnet_fpn
from tests.weights import forge

NAMES = ["background", "circle", "square"]


@pytest.fixture(scope="module")
def model():
    """A tiny model none of whose arrays has its initial value; small numbers, so that nothing overflows."""
    model, rng = models.maskrcnn_tiny(num_classes=3, box_score_thresh=0.25), np.random.default_rng(8)
    state = model.state_dict()
    model.load_state_dict({name: rng.uniform(0.1, 0.3, array.shape) for name, array in state.items()})
    model.class_names = NAMES
    return model


def assert_same_model(got, wanted):
    assert got.architecture == wanted.architecture and got.config == wanted.config
    assert_same_state(got.state_dict(), wanted.state_dict())


def assert_same_state(got, wanted):
    assert got.keys() == wanted.keys()
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype and np.array_equal(got[name], array), name


def drawn(model):
    """A state dict of random numbers; the first weights of a large model would take longer to draw."""
    rng = np.random.default_rng(9)
    return {name: rng.random(array.shape, array.dtype) for name, array in model.state_dict().items()}


def test_a_saved_model_comes_back(tmp_path, model):
    save(model, tmp_path / "m.npz")
    got = load(tmp_path / "m.npz")
    assert_same_model(got, model)
    assert got.class_names == NAMES and got.config.box_score_thresh == 0.25


def test_export_goes_there_and_back_without_loss(tmp_path, model):
    save(model, tmp_path / "a.npz")
    export(tmp_path / "a.npz", tmp_path / "b.safetensors")
    export(tmp_path / "b.safetensors", tmp_path / "c.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
    assert_same_model(load(tmp_path / "b.safetensors"), model)


def test_an_exported_file_has_the_counters_that_torchs_batch_norm_wants(tmp_path, model):
    save(model, tmp_path / "a.npz")
    export(tmp_path / "a.npz", tmp_path / "b.safetensors")
    arrays = read_state(tmp_path / "b.safetensors").arrays
    counters = [array for name, array in arrays.items() if name.endswith("num_batches_tracked")]
    norms = [name for name in arrays if name.endswith("running_var")]
    # stem, 2 in each of 8 blocks, 3 shortcuts, 8 in the FPN, 6 in the mask head
    assert len(counters) == len(norms) == 34
    assert all(array.dtype == np.int64 and array.shape == () for array in counters)


@pytest.mark.parametrize("name", ["model.pth", "model", "model.npz.zip"])
def test_export_to_another_kind_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected a name that ends in .npz or .safetensors"):
        export(tmp_path / "a.npz", tmp_path / name)


@pytest.mark.parametrize("options", [dict(version=1), dict(version=2), dict(dimensions=dict(
    blocks=(1, 2, 3, 1), widths=(8, 12, 16, 20), fpn_channels=10, representation_size=7, mask_layers=(9, 8, 7)))])
def test_a_bare_state_dict_of_a_tiny_model_is_recognized(tmp_path, options):
    model = models.maskrcnn_tiny(3, np.random.default_rng(0), **options)
    write_safetensors(tmp_path / "bare.safetensors", model.state_dict())
    got = load(tmp_path / "bare.safetensors")
    assert got.architecture == model.architecture and got.class_names is None
    assert_same_state(got.state_dict(), model.state_dict())


def test_a_tiny_state_dict_without_a_layer_is_refused_by_its_name(tmp_path):
    state = models.maskrcnn_tiny(3).state_dict()
    del state["roi_heads.box_head.fc6.weight"]
    write_safetensors(tmp_path / "bare.safetensors", state)
    with pytest.raises(InputError, match="stem of the tiny model, but no 'roi_heads.box_head.fc6.weight'"):
        load(tmp_path / "bare.safetensors")


def test_a_bare_state_dict_with_old_names_loads_into_resnet18(tmp_path):
    state = drawn(models.maskrcnn_resnet_fpn("resnet18", rng=models.NO_DRAWS))
    old = {name.replace("rpn.head.conv.0.0.", "rpn.head.conv."): array for name, array in state.items()}
    write_npz(tmp_path / "old.npz", old)
    with pytest.warns(InputWarning, match="2 old key names"):
        got = load(tmp_path / "old.npz")
    assert got.architecture["config"]["body"] == "resnet18"
    assert got.architecture["config"]["norm_eps"] == 1e-5
    assert got.class_names[18] == "dog"
    assert_same_state(got.state_dict(), state)


def test_every_door_takes_a_checkpoint(tmp_path, model):
    state = model.state_dict()
    contents = {str(key): array.tobytes() for key, array in enumerate(state.values())}
    tensors = {}
    for key, (name, array) in zip(contents, state.items(), strict=True):
        strides = [step // array.itemsize for step in np.empty(array.shape, array.dtype).strides]
        kind = "LongStorage" if array.dtype == np.int64 else "FloatStorage"
        tensors["model." + name] = forge.tensor(array.shape, strides, key=key, count=array.size, kind=kind)
    pickled = forge.state(epoch=b"K\x01", state_dict=forge.entries(**tensors))
    path = tmp_path / "last.ckpt"
    path.write_bytes(forge.torch_zip(pickled, contents))
    for door in (load, lambda path: load_with_new_heads(path, 3), lambda path: load_into(models.maskrcnn_tiny(3), path),
                 lambda path: export(path, tmp_path / "m.npz")):
        said = rf"last.ckpt: took the {len(state)} tensors 'model\.\*' under 'state_dict'; left out 'epoch'$"
        with pytest.warns(InputWarning, match=said):
            door(path)
    assert_same_state(load(tmp_path / "m.npz").state_dict(), state)


def test_float64_weights_are_cast_and_that_is_reported(tmp_path, model):
    wide = {name: array.astype(float) for name, array in model.state_dict().items()}
    write_npz(tmp_path / "wide.npz", wide)
    with pytest.warns(InputWarning, match="cast to float32, the first 'backbone.*' from float64"):
        got = load(tmp_path / "wide.npz")
    assert_same_state(got.state_dict(), model.state_dict())


def test_the_arrays_of_a_training_checkpoint_are_told_from_the_models(tmp_path, model):
    arrays = model.state_dict()
    meta = {"architecture": model.architecture, "class_names": NAMES, "model_keys": list(arrays)}
    write_npz(tmp_path / "checkpoint.npz", {**arrays, "optimizer/step": np.array(3)}, meta)
    assert_same_model(load(tmp_path / "checkpoint.npz"), model)
    write_npz(tmp_path / "lacking.npz", {}, meta)
    with pytest.raises(InputError, match="lacking.npz: is a training checkpoint that lacks"):
        load(tmp_path / "lacking.npz")


def test_load_into_another_model_tells_classes_and_all_differences(tmp_path, model):
    save(model, tmp_path / "m.npz")
    other = models.maskrcnn_tiny(num_classes=4)
    before = other.state_dict()
    with pytest.raises(InputError) as caught:
        load_into(other, tmp_path / "m.npz")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'm.npz'}: has 3 classes with background, the model has 4; ")
    assert "6 of wrong shape: roi_heads.box_predictor.cls_score.weight (expected (4, 128), got " in message
    assert_same_state(other.state_dict(), before)  # all or nothing


def test_load_into_a_like_model_reports_and_brings_class_names(tmp_path, model):
    save(model, tmp_path / "m.npz")
    other = models.maskrcnn_tiny(num_classes=3)
    report = load_into(other, tmp_path / "m.npz")
    assert report.ok and len(report.loaded) == len(model.state_dict()) and other.class_names == NAMES
    assert_same_state(other.state_dict(), model.state_dict())


def test_the_published_file_is_recognized_by_its_digest(tmp_path, monkeypatch):
    (tmp_path / "abc").write_bytes(b"abc")
    assert published_norm_eps(tmp_path / "abc") == 1e-5
    monkeypatch.setattr(model_files, "PUBLISHED_COCO_V1", ("12345678", "ba7816bf"))  # SHA-256 of "abc"
    with pytest.warns(InputWarning, match="published as COCO_V1"):
        assert published_norm_eps(tmp_path / "abc") == 0.0


def test_the_published_files_are_those_of_torchvision():
    # in the file names of MaskRCNN_ResNet50_FPN_Weights.COCO_V1 and FasterRCNN_ResNet50_FPN_Weights.COCO_V1
    assert set(model_files.PUBLISHED_COCO_V1) == {"bf2d0c1e", "258fb6c6"}


# ---- without a mask branch ----

@pytest.fixture(scope="module")
def boxes_only():
    """A tiny model without a mask branch, whose weights are no first ones."""
    model, rng = models.fasterrcnn_tiny(3, dimensions={"widths": (8, 12, 16, 20)}), np.random.default_rng(8)
    model.load_state_dict({name: rng.uniform(0.1, 0.3, array.shape) for name, array in model.state_dict().items()})
    model.class_names = NAMES
    return model


def test_a_model_without_a_mask_branch_comes_back_by_every_way(tmp_path, boxes_only):
    save(boxes_only, tmp_path / "m.npz")
    export(tmp_path / "m.npz", tmp_path / "m.safetensors")
    write_safetensors(tmp_path / "bare.safetensors", boxes_only.state_dict())
    for name in ("m.npz", "m.safetensors", "bare.safetensors"):
        got = load(tmp_path / name)
        assert got.architecture["builder"] == "fasterrcnn_tiny" and not got.roi_heads.has_masks
        assert got.architecture == boxes_only.architecture
        assert_same_state(got.state_dict(), boxes_only.state_dict())


def test_a_bare_state_dict_of_faster_rcnn_goes_into_its_builder(tmp_path):
    state = drawn(models.fasterrcnn_resnet_fpn("resnet18", 5, rng=models.NO_DRAWS))
    write_npz(tmp_path / "bare.npz", state)
    for got in (load(tmp_path / "bare.npz"), fasterrcnn_resnet_fpn("resnet18", tmp_path / "bare.npz", 5)):
        assert got.architecture["builder"] == "fasterrcnn_resnet_fpn" and got.architecture["config"]["norm_eps"] == 1e-5
        assert_same_state(got.state_dict(), state)


def test_new_heads_of_a_model_without_a_mask_branch_are_two(tmp_path, boxes_only):
    save(boxes_only, tmp_path / "m.npz")
    model = load_with_new_heads(tmp_path / "m.npz", 6, np.random.default_rng(1), min_size=96)
    assert model.num_classes == 6 and model.config.max_size == 192 and not model.roi_heads.has_masks
    before = boxes_only.state_dict()
    changed = {name for name, array in model.state_dict().items() if not np.array_equal(array, before[name])}
    assert changed == {f"roi_heads.box_predictor.{layer}.{part}" for layer in ("cls_score", "bbox_pred")
                       for part in ("weight", "bias")}


def test_a_mask_branch_that_only_one_side_has_is_said_first(tmp_path, model, boxes_only):
    save(model, tmp_path / "masks.npz")
    save(boxes_only, tmp_path / "boxes.npz")
    with pytest.raises(InputError, match="masks.npz: has a mask branch, the model has none; "):
        load_into(models.fasterrcnn_tiny(3), tmp_path / "masks.npz")
    with pytest.raises(InputError, match="boxes.npz: has no mask branch, the model has one; "):
        load_into(models.maskrcnn_tiny(3), tmp_path / "boxes.npz")


@pytest.mark.parametrize("change, reason", [
    ({"builder": "__import__"}, "its architecture is '__import__'; expected one of maskrcnn_tiny"),
    ({"builder": ["maskrcnn_tiny"]}, "expected one of maskrcnn_tiny"),
    ({"builder": "np.load"}, "expected one of"),
    ({"num_classes": 4}, r"has 4 classes, while cls_score.bias is of shape \(3,\)"),
    ({"num_classes": 10**12}, "has 1000000000000 classes"),
    ({"num_classes": "3"}, "has 3 classes, while"),
    ({"config": {"weights": "/etc/passwd"}}, "config with 'weights', which no file may choose"),
    ({"config": {"rng": 3}}, "config with 'rng'"),
    ({"config": {"max_size": 10**9}}, "config that no model can have"),
    ({"config": {"anchor_sizes": [[8] * 500] * 5}}, "config that no model can have"),
    ({"config": {"anchor_sizes": [[[[[8]]]]]}}, "config that no model can have"),
    ({"config": []}, "config that no model can have"),
    ({"config": {"max_sise": 128}}, "'max_sise' is no option of the model; the nearest is 'max_size'"),
    ({"config": {"max_size": "wide"}}, "max_size must be .* got 'wide'"),
])
def test_an_architecture_that_no_model_can_have_is_refused(tmp_path, model, change, reason):
    write_npz(tmp_path / "m.npz", model.state_dict(), {"architecture": {**model.architecture, **change}})
    with pytest.raises(InputError, match=f"m.npz: .*{reason}"):
        load(tmp_path / "m.npz")


@pytest.mark.parametrize("name", ["defaults", "rng"])
def test_what_is_no_option_of_a_model_is_refused(tmp_path, model, name):
    config = {**model.architecture["config"], name: 5}
    write_npz(tmp_path / "m.npz", model.state_dict(), {"architecture": {**model.architecture, "config": config}})
    with pytest.raises(InputError, match=f"m.npz: .*config with '{name}', which no file may choose"):
        load(tmp_path / "m.npz")


def test_whole_floats_in_a_config_are_counts_and_the_model_predicts(tmp_path, model):
    config = {name: float(value) if type(value) is int else value for name, value in model.config.as_dict().items()}
    assert config["rpn_post_nms_top_n_test"] == 40.0 and config["max_size"] == 128.0
    config["dimensions"] = model.architecture["config"]["dimensions"]
    write_npz(tmp_path / "m.npz", model.state_dict(),
              {"architecture": {**model.architecture, "config": config}, "class_names": model.class_names})
    got = load(tmp_path / "m.npz")
    assert got.config == model.config and type(got.config.rpn_post_nms_top_n_test) is int
    image = np.random.default_rng(1).random((96, 128, 3))
    np.testing.assert_equal(vars(got.predict(image)), vars(model.predict(image)))


@pytest.mark.parametrize("architecture", [None, 3, [], {"builder": "maskrcnn_tiny"}])
def test_an_architecture_that_is_none_is_refused(tmp_path, model, architecture):
    write_npz(tmp_path / "m.npz", model.state_dict(), {"architecture": architecture})
    with pytest.raises(InputError, match="its architecture lacks builder, num_classes or config"):
        load(tmp_path / "m.npz")


@pytest.mark.parametrize("names", [["a"], "abc", [1, 2, 3], {"a": 1, "b": 2, "c": 3}])
def test_class_names_that_are_not_one_string_a_class_are_refused(tmp_path, model, names):
    meta = {"architecture": model.architecture, "class_names": names}
    write_npz(tmp_path / "m.npz", model.state_dict(), meta)
    with pytest.raises(InputError, match="the class names (must be a list of texts|are)"):
        load(tmp_path / "m.npz")


@pytest.mark.parametrize("text", ["{", "3", "[" * 100_000])
def test_safetensors_metadata_that_is_no_json_is_refused(tmp_path, model, text):
    write_safetensors(tmp_path / "m.safetensors", model.state_dict(), {"npmaskrcnn": text})
    with pytest.raises(InputError, match="m.safetensors: metadata 'npmaskrcnn' is not a JSON object"):
        load(tmp_path / "m.safetensors")


def test_the_meta_of_a_saved_model_is_plain_json(tmp_path, model):
    save(model, tmp_path / "m.npz")
    meta = read_npz(tmp_path / "m.npz")[1]
    assert meta == json.loads(json.dumps({"architecture": model.architecture, "class_names": NAMES}))


def test_new_heads_keep_everything_but_the_layers_that_name_classes(tmp_path, model):
    save(model, tmp_path / "m.npz")
    assert load_with_new_heads(tmp_path / "m.npz", 6, min_size=(96, 80)).config.max_size == 192
    twin = load_with_new_heads(tmp_path / "m.npz", 6, np.random.default_rng(1), min_size=96)
    assert twin.num_classes == 6 and twin.config.min_size == 96 and twin.class_names is None
    assert twin.config.box_score_thresh == 0.25 and twin.architecture["num_classes"] == 6
    old, new = model.state_dict(), twin.state_dict()
    differ = [key for key in new if not np.array_equal(new[key], old[key])]
    assert [key.rsplit(".", 1)[0] for key in differ[::2]] == list(CLASS_LAYERS[:3]) and len(differ) == 6
    assert all(new[f"{layer}.weight"].std() > 0 for layer in CLASS_LAYERS[:3])      # drawn, not zero
    with pytest.warns(InputWarning, match="its last layers, have not been trained"):
        twin.predict(np.zeros((32, 32, 3)))


@pytest.mark.parametrize("build, layers", [
    (lambda: maskrcnn_variant("roi_pool"), CLASS_LAYERS[:3]),
    (lambda: maskrcnn_variant("mlp_masks"), (*CLASS_LAYERS[:2], CLASS_LAYERS[3])),
    (one_stage_tiny, CLASS_LAYERS[4:]), (semantic_tiny, CLASS_LAYERS[4:])])
def test_new_heads_of_every_builder_that_a_file_may_name(tmp_path, build, layers):
    save(old := build(), tmp_path / "m.npz")
    new = load_with_new_heads(tmp_path / "m.npz", 6, np.random.default_rng(1), min_size=96)
    assert type(new) is type(old) and new.num_classes == 6 and new.config.max_size == 192
    before = old.state_dict()
    differ = [key for key, value in new.state_dict().items() if not np.array_equal(value, before[key])]
    assert [key.rsplit(".", 1)[0] for key in differ[::2]] == list(layers)


def test_new_heads_take_no_option_that_the_model_does_not_have(tmp_path, model):
    save(model, tmp_path / "m.npz")
    with pytest.raises(InputError, match="'min_sise' is no option of maskrcnn_tiny; the nearest is 'min_size'"):
        load_with_new_heads(tmp_path / "m.npz", 3, min_sise=9)


# ---- the tiny model in other dimensions ----

OTHER = {"blocks": (1, 2, 1, 1), "widths": (4, 6, 8, 10), "fpn_channels": 8, "representation_size": 12,
         "mask_layers": (5, 7, 9)}


def test_dimensions_are_stored_and_built_again(tmp_path):
    model = models.maskrcnn_tiny(3, np.random.default_rng(0), OTHER)
    save(model, tmp_path / "other.npz")
    got = load(tmp_path / "other.npz")
    assert_same_model(got, model)
    assert got.backbone.fpn.inner_blocks[3][0].weight.data.shape == (1, 1, 10, 8)
    assert got.roi_heads.mask_predictor.conv5_mask.weight.data.shape == (2, 2, 9, 9)


def test_a_file_without_dimensions_is_of_the_usual_ones(tmp_path):
    model = models.maskrcnn_tiny(3, version=1)
    usual = model.architecture["config"].pop("dimensions")
    save(model, tmp_path / "old.npz")
    got = load(tmp_path / "old.npz")
    np.testing.assert_equal(got.state_dict(), model.state_dict())
    assert got.architecture["config"]["dimensions"] == usual


@pytest.mark.parametrize("name, value", [
    ("blocks", (1, 1, 1)), ("blocks", (1, 1, 1, 65)), ("widths", (16, 32, 64, 0)), ("widths", 16), ("mask_layers", ()),
    ("fpn_channels", 6.5), ("fpn_channels", (64,)), ("representation_size", 5000), ("representation_size", True)])
def test_dimensions_that_cannot_be_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"dimensions: {name}(\\[\\d\\])? must be .*, got"):
        models.maskrcnn_tiny(dimensions={name: value})


def test_an_unknown_dimension_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="'width' is no dimension of the tiny model; the nearest is 'widths'"):
        models.maskrcnn_tiny(dimensions={"width": 8})


def test_a_file_cannot_ask_for_more_weights_than_it_holds(tmp_path):
    model = models.maskrcnn_tiny(3)
    model.architecture["config"]["dimensions"] = {**models.TINY_DIMENSIONS, "widths": (4096,) * 4, "blocks": (64,) * 4}
    save(model, tmp_path / "greedy.npz")
    with pytest.raises(InputError, match=r"greedy.npz: .* dimensions of 39,\d+,\d+,\d+ weights at least"):
        load(tmp_path / "greedy.npz")


@pytest.mark.parametrize("wrong", [
    {"blocks": ["a"] * 4, "widths": [65536] * 4}, {"blocks": [[0]] * 4}, {"mask_layers": [4096]}, {"widths": "wide"},
    {"fpn_channels": None}])
def test_dimensions_of_a_file_are_judged_before_memory_is_asked_for(tmp_path, wrong):
    small = {"blocks": (1,) * 4, "widths": (1,) * 4, "fpn_channels": 1, "representation_size": 1, "mask_layers": (1,)}
    model = models.maskrcnn_tiny(3, models.NO_DRAWS, small)
    model.architecture["config"]["dimensions"] = {**small, **wrong}
    save(model, tmp_path / "hostile.npz")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="hostile.npz: .*dimensions"):
            load(tmp_path / "hostile.npz")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("eps", [-1, float("nan"), "x", [1]])
def test_an_epsilon_that_cannot_be_is_refused(eps):
    with pytest.raises(InputError, match="norm_eps must be a number from 0 to 1, got"):
        models.maskrcnn_resnet_fpn("resnet18", norm_eps=eps, rng=models.NO_DRAWS)
