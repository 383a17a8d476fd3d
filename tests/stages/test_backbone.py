"""Body and pyramid, held against properties that are known without numbers.

Sizes and strides of the maps are counted; in the pyramid a coarse map changes the finer ones and never the other way
round; what is frozen has no gradient and changes nobody else's.
"""

import numpy as np
import pytest

from npmaskrcnn import nn
from npmaskrcnn.stages.fpn import FeaturePyramidNetwork
from npmaskrcnn.stages.resnet import ResNet, basic_block, bottleneck


def body(kind=basic_block, trainable_layers=5, norm=nn.FrozenBatchNorm2d, **groups):
    return ResNet(kind, (1, 2, 1, 1), (4, 6, 8, 10), norm, 4, 7, trainable_layers=trainable_layers,
                  rng=np.random.default_rng(0), **groups)


@pytest.mark.parametrize("size, sizes", [((64, 96), [(16, 24), (8, 12), (4, 6), (2, 3)]),
                                         ((75, 101), [(19, 26), (10, 13), (5, 7), (3, 4)])])
def test_maps_shrink_by_4_8_16_32_rounding_up(size, sizes):
    maps = body()(np.ones((1,) + size + (3,), np.float32))
    assert [m.shape[1:3] for m in maps] == sizes and [m.shape[3] for m in maps] == [4, 6, 8, 10]


def test_a_bottleneck_strides_in_its_3x3_convolution():
    block = body(bottleneck).layer2[0]
    assert [getattr(block, f"conv{i}").stride for i in (1, 2, 3)] == [1, 2, 1]
    assert block.downsample[0].stride == 2


def test_a_shortcut_is_convolved_only_where_the_shape_changes():
    blocks = {f"layer{i}.{j}": block for i in range(1, 5) for j, block in enumerate(getattr(body(), f"layer{i}"))}
    assert {name for name, block in blocks.items() if block.downsample} == {"layer2.0", "layer3.0", "layer4.0"}
    assert body(bottleneck).layer1[0].downsample     # 4 to 16 channels, at stride 1


def test_groups_divide_the_3x3_convolutions_input_channels():
    block = body(bottleneck, groups=2, width_per_group=32).layer4[0]
    # 10 * 32 / 64 * 2 channels
    assert block.conv2.weight.data.shape == (3, 3, 5, 10) and block.conv2.groups == 2


@pytest.mark.parametrize("layers, trained", [
    (0, set()), (1, {"layer4"}), (3, {"layer4", "layer3", "layer2"}), (4, {"layer4", "layer3", "layer2", "layer1"}),
    (5, {"layer4", "layer3", "layer2", "layer1", "conv1", "bn1"})])
def test_trainable_layers_count_from_the_top(layers, trained):
    parameters = body(trainable_layers=layers, norm=nn.BatchNorm2d).named_parameters()
    assert {key.split(".")[0] for key, p in parameters if p.trainable} == trained


@pytest.mark.parametrize("layers", range(6))
def test_freezing_changes_no_gradient_of_what_is_not_frozen(layers):
    x = np.random.default_rng(1).standard_normal((1, 40, 50, 3))
    gradients = []
    for trainable in (5, layers):
        module = body(trainable_layers=trainable).astype(np.float64)
        notes = nn.Notes()
        maps = module.forward(x, notes)
        module.backward([np.cos(m) for m in maps], notes)
        gradients.append(module.grad_dict())
    assert set(gradients[1]) <= set(gradients[0]) and len(gradients[1]) == {0: 0, 1: 3, 2: 6, 3: 11, 4: 13,
                                                                            5: 14}[layers]
    for key, gradient in gradients[1].items():
        np.testing.assert_array_equal(gradient, gradients[0][key], err_msg=key)


def test_the_way_back_ends_at_the_lowest_trainable_stage_unless_the_images_gradient_is_wanted():
    x = np.random.default_rng(1).standard_normal((1, 40, 50, 3))
    module = body(trainable_layers=1).astype(np.float64)
    notes = nn.Notes()
    maps = module.forward(x, notes)
    assert module.backward([np.cos(m) for m in maps], notes) is None
    dx = module.backward([np.cos(m) for m in maps], notes, need_dx=True)
    assert dx.shape == x.shape and dx.any()


# ---- pyramid ----

SIZES, CHANNELS = [(19, 26), (10, 13), (5, 7), (3, 4)], [3, 4, 5, 6]


def maps(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((2,) + size + (channels,)) for size, channels in zip(SIZES, CHANNELS)]


def pyramid(norm=None):
    return FeaturePyramidNetwork(CHANNELS, 4, norm=norm, rng=np.random.default_rng(0)).astype(np.float64)


def test_five_maps_of_equal_depth_and_the_sizes_of_the_given():
    assert [p.shape for p in pyramid()(maps())] == [(2,) + size + (4,) for size in SIZES + [(2, 2)]]


def test_p6_is_every_second_cell_of_p5():
    levels = pyramid()(maps())
    np.testing.assert_array_equal(levels[4], levels[3][:, ::2, ::2])


def test_knowledge_flows_down_only():
    before = pyramid()(maps())
    for changed, touched in [(0, [0]), (1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3, 4])]:
        features = maps()
        features[changed] = features[changed] + 1
        assert [i for i, level in enumerate(pyramid()(features)) if (level != before[i]).any()] == touched


def test_what_flows_down_is_the_sum_before_smoothing():
    # identity convolutions: P2 must be C2 + up(C3 + up(C4 + up(C5))) with torch's nearest indices
    module = FeaturePyramidNetwork([1] * 4, 1).astype(np.float64)
    state = module.state_dict()
    for i in range(4):
        state[f"inner_blocks.{i}.0.weight"][...] = 1
        state[f"layer_blocks.{i}.0.weight"][0, 0, 1, 1] = 2         # the smoothing doubles, and must not be passed on
    module.load_state_dict(state)
    features = [m[..., :1] for m in maps()]
    merged = features[3]
    for lateral in features[2::-1]:
        rows, columns = ([int(i * small / large) for i in range(large)]
                         for small, large in zip(merged.shape[1:3], lateral.shape[1:3]))
        merged = lateral + merged[:, rows][:, :, columns]
    np.testing.assert_allclose(module(features)[0], 2 * merged, rtol=1e-12)


def test_with_a_norm_there_are_no_biases():
    assert not any(key.endswith(".0.bias") for key in pyramid(nn.BatchNorm2d).state_dict())
    assert {key for key in pyramid().state_dict() if key.startswith("inner_blocks.1")} == {
        "inner_blocks.1.0.weight", "inner_blocks.1.0.bias"}
