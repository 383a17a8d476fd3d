"""Pruning: a model without some channels is the model in which they are zero; zeros are the smallest, and stay.

3 s.
"""

import functools
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npmaskrcnn import InputError, light, load, maskrcnn_resnet50_fpn_v2, maskrcnn_resnet_fpn, maskrcnn_tiny, save
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.light import pruning
from npmaskrcnn.light.channels import KINDS, channel_groups, cut
from npmaskrcnn.models import NO_DRAWS
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.training import train
from npmaskrcnn.weights import read_npz, write_npz

DATASET = ShapesDataset(4, image_size=(96, 128), seed=41)


@pytest.fixture(scope="module")
def full():
    return trained_tiny()


def with_zeros(model, kind, kept):
    """The model in which all channels of the groups of a kind are zero but those kept, a list of numbers for each."""
    twin = model.astype(np.float64)
    groups = [group for group in channel_groups(twin).values() if group.kind == kind]
    for group, own in zip(groups, kept, strict=True):
        gone = np.setdiff1d(np.arange(group.size), own)
        for maker, norm in group.makers:
            maker.weight.data[..., gone] = 0
            zeroed = [maker.bias] if norm is None else [norm.weight, norm.bias]
            for value in zeroed:
                value.data[gone] = 0
    return twin


@pytest.mark.parametrize("kind", KINDS)
def test_a_pruned_model_is_the_full_one_with_those_channels_zero(full, kind, monkeypatch):
    kept = []
    monkeypatch.setattr(pruning, "cut", lambda group, channels: (kept.append(channels), cut(group, channels)))
    pruned, image = light.prune_channels(full, 0.6, [kind]), DATASET[0][0]
    one, other = pruned.astype(np.float64).trace(image), with_zeros(full, kind, kept).trace(image)
    for name in ("objectness", "deltas"):
        for found, expected in zip(getattr(one, name), getattr(other, name)):
            assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert_allclose(one.class_logits, other.class_logits, rtol=1e-9, atol=1e-9)
    assert_allclose(one.mask_logits, other.mask_logits, rtol=1e-9, atol=1e-9)
    assert pruned.num_parameters() < full.num_parameters()


def test_half_of_the_channels_are_a_quarter_of_the_weights_and_fewer_products(full):
    pruned = light.prune_channels(full, 0.5)
    assert pruned.num_parameters() < 0.27 * full.num_parameters()
    assert {group.size for group in channel_groups(pruned).values()} == {12, 24, 32, 48, 64, 16}


@pytest.mark.parametrize("build", [
    functools.partial(maskrcnn_resnet_fpn, "resnet18"), functools.partial(maskrcnn_resnet_fpn, "resnet50"),
    functools.partial(maskrcnn_resnet_fpn, "resnext50_32x4d"), maskrcnn_resnet50_fpn_v2])
def test_residual_models_of_full_size_are_pruned_by_the_same_code(build):
    model = build(rng=NO_DRAWS, min_size=64)
    model.untrained = False
    pruned = light.prune_channels(model, 0.1)
    grouped = model.architecture["config"].get("body") == "resnext50_32x4d"
    assert ("backbone.body.layer1.0.conv1" in pruned.architecture["light"]["channels"]) != grouped
    pruned.predict(np.zeros((64, 96, 3), np.uint8))             # all shapes fit


def test_the_channels_that_stay_are_the_strongest(full):
    strengths = np.abs(getattr(full.backbone.body.layer2, "1").bn1.weight.data)
    pruned = light.prune_channels(full, 0.5, ["inner"], by="norm")
    left = np.abs(getattr(pruned.backbone.body.layer2, "1").bn1.weight.data)
    assert_array_equal(np.sort(left), np.sort(strengths)[24:])


@pytest.mark.parametrize("per_layer", [True, False])
def test_the_smallest_weights_become_zero(full, per_layer):
    sparse = light.zero_small_weights(full, 0.7, per_layer)
    assert light.share_of_zeros(sparse) == pytest.approx(0.7, abs=1e-3)
    shares = []
    for name in ("conv1", "layer4"):
        before, after = ({key: value for key, value in model.state_dict().items()
                          if key.startswith(f"backbone.body.{name}") and value.ndim == 4} for model in (full, sparse))
        for key, value in after.items():
            dropped = value == 0
            assert np.abs(before[key][dropped]).max(initial=0) <= np.abs(value[~dropped]).min(initial=np.inf)
            shares.append(dropped.mean())
    assert (max(shares) - min(shares) < 0.01) == per_layer      # of all together, small weights go first
    assert_array_equal(sparse.rpn.head.cls_logits.weight.data, full.rpn.head.cls_logits.weight.data)


def test_zeros_stay_zero_in_a_training_that_is_told_so(full):
    sparse = light.zero_small_weights(full, 0.8)
    zeros = {name: p.data == 0 for name, p in sparse.named_parameters() if p.data.ndim > 1}
    train(sparse, DATASET, 2, optimizer="muon", keep_zeros=True, log_every=0, rng=3, weight_average=0.9)
    moved = 0
    for (name, parameter), before in zip(sparse.named_parameters(), full.parameters(), strict=True):
        if name in zeros:
            assert not parameter.data[zeros[name]].any()
            moved += (parameter.data != before.data)[~zeros[name]].sum()
    assert moved > 1000
    loose = light.zero_small_weights(full, 0.8)
    train(loose, DATASET, 1, optimizer="muon", log_every=0, rng=3)
    assert light.share_of_zeros(loose) < 0.5


def test_a_pruned_model_learns_saves_loads_and_is_pruned_again(full, tmp_path):
    pruned = light.prune_channels(full, 0.5)
    train(pruned, DATASET, 1, log_every=0, rng=3)
    twice = light.prune_channels(pruned, 0.5, ["inner"])
    for model in (pruned, twice, light.quantize(twice)):
        save(model, tmp_path / "light.npz")
        again = load(tmp_path / "light.npz")
        assert {key: value.shape for key, value in again.state_dict().items()} == {
            key: value.shape for key, value in model.state_dict().items()}
        assert_array_equal(again.trace(DATASET[1][0]).class_logits, model.trace(DATASET[1][0]).class_logits)


@pytest.mark.parametrize("description, message", [
    ({"channels": {"backbone.body.conv1": 25}}, "25 channels left of 'backbone.body.conv1', of which the model has 24"),
    ({"channels": {"backbone.body.conv1": 0}}, "0 channels left"),
    ({"channels": {"nowhere": 2}}, "of which the model has none"), ({"int8": "biases"}, "int8 of 'biases'"),
    ({"bits": 4}, "known are channels, int8, half, zeros"), (7, "known are channels"),
    ({"channels": {"rpn.head.conv.0.0": 2}}, "shape")])
def test_a_file_that_says_it_is_lighter_than_it_can_be_is_refused(full, tmp_path, description, message):
    architecture = json.loads(json.dumps({**full.architecture, "light": description}))
    write_npz(tmp_path / "bad.npz", full.state_dict(), {"architecture": architecture})
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value) and "bad.npz" in str(caught.value)


def test_a_file_cannot_ask_for_far_more_memory_than_it_has(full, tmp_path):
    save(light.prune_channels(full, 1e-9), tmp_path / "small.npz")      # one channel of each group
    arrays, meta = read_npz(tmp_path / "small.npz")
    load(tmp_path / "small.npz")
    meta["architecture"]["config"]["dimensions"]["widths"] = [4096] * 4
    write_npz(tmp_path / "small.npz", arrays, meta)
    with pytest.raises(InputError, match="weights at least"):
        load(tmp_path / "small.npz")


def test_what_cannot_be_is_refused_in_one_line(full):
    for arguments, message in [((full, 0), "keep must be a number above 0 and at most 1, got 0"),
                               ((full, 0.5, "inner"), "kinds must be some of inner, stream"),
                               ((full, 0.5, ["outer"]), "'outer' is no kind of channels"),
                               ((full, 0.5, KINDS, "luck"), "'luck' is no rule"), (("x",), "model must be a MaskRCNN")]:
        with pytest.raises(InputError, match=message):
            light.prune_channels(*arguments)
    with pytest.raises(InputError, match="model must be a MaskRCNN"):
        channel_groups(None)
    with pytest.raises(InputError, match="share must be"):
        light.zero_small_weights(full, 1.5)
    by_hand = maskrcnn_tiny()
    by_hand.architecture = None
    with pytest.raises(InputError, match="built by hand"):
        light.half(by_hand)
