"""The light body, held against properties that are known without numbers; the stored models hold its numbers.

Sizes and strides of the maps are counted, what is frozen has no gradient and changes nobody else's, and the work is a
small part of a residual body's.
"""

import numpy as np
import pytest

from npmaskrcnn import nn
from npmaskrcnn.stages.mobilenet import MOBILENET_V3_LARGE, Inverted, InvertedResidual, MobileNetV3

BLOCKS = [Inverted(3, 8, 8, False, "relu", 1), Inverted(5, 12, 10, True, "relu", 2),
          Inverted(3, 20, 10, True, "hardswish", 1), Inverted(3, 14, 6, False, "hardswish", 2)]


def body(trainable_layers=4, returned=None, norm=nn.FrozenBatchNorm2d):
    return MobileNetV3(BLOCKS, norm, 8, returned, trainable_layers, np.random.default_rng(0)).astype(np.float64)


def image(size=(37, 50)):
    return np.random.default_rng(1).standard_normal((1, *size, 3))


def test_mobilenet_v3_large_has_the_papers_channels_and_torchvisions_two_maps():
    large = MobileNetV3(MOBILENET_V3_LARGE, nn.FrozenBatchNorm2d)
    outs = [16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160]
    assert [block.out for block in MOBILENET_V3_LARGE] == outs
    assert large.returned == [13, 16] and large.out_channels == [160, 960]
    maps = large(np.zeros((1, 70, 97, 3), np.float32))
    assert [m.shape for m in maps] == [(1, 3, 4, 160), (1, 3, 4, 960)]      # both at stride 32, rounded up


@pytest.mark.parametrize("size, sizes", [((64, 96), [(32, 48), (16, 24), (8, 12)]),
                                         ((37, 50), [(19, 25), (10, 13), (5, 7)])])
def test_every_stride_halves_the_map_rounding_up(size, sizes):
    maps = body(returned=[1, 3, 5])(image(size))
    assert [m.shape[1:3] for m in maps] == sizes and [m.shape[3] for m in maps] == [8, 10, 36]


def test_a_block_adds_its_input_only_where_the_shape_stays():
    assert [child.has_shortcut for child in body() if isinstance(child, InvertedResidual)] == [True, False, True, False]


def test_a_block_expands_only_where_it_is_wider_inside():
    # depthwise, projection; then also the expansion; also the squeeze
    assert [len(child.block) for child in body() if isinstance(child, InvertedResidual)] == [2, 4, 4, 3]


@pytest.mark.parametrize("layers, first", [(0, 6), (1, 5), (2, 4), (3, 2), (4, 0)])
def test_trainable_layers_are_stages_counted_from_the_top(layers, first):
    # stages begin at the children 0, 2, 4 and 5: the stem, the blocks with a stride, the last convolution
    parameters = body(layers, norm=nn.BatchNorm2d).named_parameters()
    assert {int(key.split(".")[0]) for key, p in parameters if p.trainable} == set(range(first, 6))


@pytest.mark.parametrize("layers", range(5))
def test_freezing_changes_no_gradient_of_what_is_not_frozen(layers):
    gradients = []
    for trainable in (4, layers):
        module, notes = body(trainable, [1, 3, 4, 5]), nn.Notes()
        maps = module.forward(image(), notes)
        assert module.backward([np.cos(m) for m in maps], notes) is None
        gradients.append(module.grad_dict())
    assert set(gradients[1]) <= set(gradients[0]) and bool(gradients[1]) == bool(layers)
    for key, gradient in gradients[1].items():
        np.testing.assert_array_equal(gradient, gradients[0][key], err_msg=key)


def test_the_images_gradient_is_there_when_it_is_wanted_though_all_is_frozen():
    module, notes = body(0), nn.Notes()
    maps = module.forward(image(), notes)
    dx = module.backward([np.cos(m) for m in maps], notes, need_dx=True)
    assert dx.shape == (1, 37, 50, 3) and dx.any()
    assert not module.grad_dict()
