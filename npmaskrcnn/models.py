"""Builders: which parts a model is made of, and how they are wired.

`maskrcnn_tiny` is a Mask R-CNN in miniature, for learning: every part is there, and it trains in minutes
on two cores. `maskrcnn_resnet_fpn` and its kin are torchvision's models, number for number. Each has a twin whose
name begins with `fasterrcnn`: the same parts without the mask branch. Builders know no files: `zoo` has those that
take weights.
"""

import functools

import numpy as np

from . import nn
from .config import as_plain, make_config
from .judge import judge_flag, judge_fraction, judge_known, judge_number, judge_numbers, judge_rng, refusal
from .mask_rcnn import MaskRCNN
from .network import Backbone
from .stages.anchors import AnchorGenerator
from .stages.box_head import FastRCNNPredictor, TwoMLPHead, conv_fc_head
from .stages.fpn import FeaturePyramidNetwork
from .stages.mask_head import MaskRCNNPredictor, mask_head
from .stages.mobilenet import MOBILENET_V3_LARGE, MobileNetV3, stages_of_inverted_blocks
from .stages.resnet import ResNet, basic_block, bottleneck
from .stages.roi_heads import RoIHeads
from .stages.roi_pooler import STRIDES, RoIPooler
from .stages.rpn import RegionProposalNetwork, RPNHead
from .stages.transform import Transform

BODIES = {      # torchvision's: block, blocks per stage, ResNeXt's groups and width
    "resnet18": (basic_block, (2, 2, 2, 2), {}),
    "resnet34": (basic_block, (3, 4, 6, 3), {}),
    "resnet50": (bottleneck, (3, 4, 6, 3), {}),
    "resnet101": (bottleneck, (3, 4, 23, 3), {}),
    "resnext50_32x4d": (bottleneck, (3, 4, 6, 3), {"groups": 32, "width_per_group": 4}),
}
WIDTHS = (64, 128, 256, 512)
# torchvision's on MobileNetV3: all anchors on each of three levels; the finest two have the same stride
MOBILENET_DEFAULTS = dict(anchor_sizes=((32, 64, 128, 256, 512),) * 3, anchor_ratios=((0.5, 1.0, 2.0),) * 3,
                          rpn_score_thresh=0.05)
MOBILENET_STRIDES = (32, 32)
FPN_CHANNELS = 256
REPRESENTATION_SIZE = 1024
MASK_LAYERS = (256, 256, 256, 256)
BOX_POOLED_SIZE, MASK_POOLED_SIZE = 7, 14
MAX_CLASSES = 10_000        # the last layers of the full model then have 50 million weights
NO_DRAWS = object()         # in the place of a generator: leave zeros, for weights that will be loaded

TINY_DEFAULTS = dict(
    min_size=128, max_size=128, image_mean=(0.5, 0.5, 0.5), image_std=(0.25, 0.25, 0.25),
    anchor_sizes=((24,), (32,), (48,), (64,), (96,)),      # the shapes are 26 to 64 pixels wide
    rpn_pre_nms_top_n_train=150, rpn_pre_nms_top_n_test=100,
    rpn_post_nms_top_n_train=60, rpn_post_nms_top_n_test=40,
    rpn_batch_size_per_image=128, box_batch_size_per_image=32, box_positive_fraction=0.5,
    canonical_scale=112)
TINY_DIMENSIONS = dict(blocks=(2, 2, 2, 2), widths=(24, 48, 64, 96), fpn_channels=48, representation_size=128,
                       mask_layers=(32, 32, 32, 32, 32, 32))
# What other versions of the tiny model have otherwise: (defaults, dimensions)
TINY_VERSIONS = {
    1: ({"canonical_scale": 56}, dict(blocks=(1, 1, 1, 1), widths=(16, 32, 64, 128), fpn_channels=64,
                                      representation_size=128, mask_layers=(64, 64))),
    2: ({}, TINY_DIMENSIONS)}
MAX_DIMENSION, MAX_BLOCKS, MAX_MASK_LAYERS = 4096, 64, 16   # of the tiny model: channels, blocks a stage


def maskrcnn_tiny(num_classes=4, rng=None, dimensions=None, version=2, body="resnet", **config):
    """Build the tiny model: a Mask R-CNN with every part small, for images of about 128 x 128 pixels.

    A residual body of two basic blocks a stage (24, 48, 64, 96 channels), a pyramid of 48 channels, a box head
    of 128, a mask head of six convolutions of 32; batch norm in body, pyramid and mask head, as in torchvision's v2.

    Parameters
    ----------
    num_classes : int
        With background.
    rng : np.random.Generator, optional
        Draws the first weights; ``default_rng(0)`` if absent.
    dimensions : dict, optional
        Other sizes than those of `TINY_DIMENSIONS`, by name: ``blocks`` and ``widths`` (channels) of the body's four
        stages, ``fpn_channels``, ``representation_size`` (of the box head), ``mask_layers`` (channels of each).
    version : {1, 2}
        1 is what it was at first, for old files: one block a stage (16, 32, 64, 128 channels), a pyramid of 64, a mask
        head of two convolutions of 64.
    body : {"resnet", "mobilenet"}
        The second is of inverted residual blocks with squeeze and excitation, as many a stage and as wide: with
        fewer multiply-adds and weights (the body has 342 thousand, not 549).
    **config
        Options of torchvision's `MaskRCNN` constructor, by their names there.

    Returns
    -------
    MaskRCNN
        Its weights are random.

    Raises
    ------
    InputError
        For an unknown option (naming the nearest) or an impossible value.
    """
    return _tiny_model("maskrcnn_tiny", num_classes, rng, dimensions, version, body, config)


def fasterrcnn_tiny(num_classes=4, rng=None, dimensions=None, body="resnet", **config):
    """Build the tiny model without its mask branch, a Faster R-CNN.

    Parameters, result and errors are those of `maskrcnn_tiny`, but that there is one version, and no ``mask_layers``
    among the dimensions.
    """
    return _tiny_model("fasterrcnn_tiny", num_classes, rng, dimensions, 2, body, config)


def maskrcnn_resnet_fpn(body="resnet50", num_classes=91, trainable_layers=5, norm_eps=None, rng=None, **config):
    """Build torchvision's Mask R-CNN on a residual body with frozen batch norm.

    Parameters, result and errors are those of `zoo.maskrcnn_resnet_fpn`, but for the weights of a file; without
    `norm_eps` it is 1e-5.
    """
    return _resnet_v1("maskrcnn_resnet_fpn", body, num_classes, trainable_layers, norm_eps, rng, config)


def fasterrcnn_resnet_fpn(body="resnet50", num_classes=91, trainable_layers=5, norm_eps=None, rng=None, **config):
    """Build torchvision's Faster R-CNN: `maskrcnn_resnet_fpn` without the mask branch, all else the same."""
    return _resnet_v1("fasterrcnn_resnet_fpn", body, num_classes, trainable_layers, norm_eps, rng, config)


def maskrcnn_resnet50_fpn_v2(num_classes=91, trainable_layers=5, rng=None, **config):
    """Build torchvision's `maskrcnn_resnet50_fpn_v2`.

    It has batch norm (not frozen) in body, FPN, box head and mask head, two RPN convolutions, and a box
    head of four convolutions and one linear layer (Li et al. 2021). Parameters, result and errors are those
    of `maskrcnn_resnet_fpn`.
    """
    return _resnet_v2("maskrcnn_resnet50_fpn_v2", num_classes, trainable_layers, rng, config)


def fasterrcnn_resnet50_fpn_v2(num_classes=91, trainable_layers=5, rng=None, **config):
    """Build torchvision's `fasterrcnn_resnet50_fpn_v2`: `maskrcnn_resnet50_fpn_v2` without the mask branch."""
    return _resnet_v2("fasterrcnn_resnet50_fpn_v2", num_classes, trainable_layers, rng, config)


def fasterrcnn_mobilenet_v3_large_fpn(num_classes=91, trainable_layers=6, frozen_norm=False, rng=None, **config):
    """Build torchvision's Faster R-CNN on MobileNetV3-Large.

    Parameters, result and errors are those of `zoo.fasterrcnn_mobilenet_v3_large_fpn`, but for the weights of a file.
    """
    return _mobilenet_model("fasterrcnn", num_classes, trainable_layers, frozen_norm, rng, config)


def maskrcnn_mobilenet_v3_large_fpn(num_classes=91, trainable_layers=6, frozen_norm=False, rng=None, **config):
    """Build `fasterrcnn_mobilenet_v3_large_fpn` with torchvision's mask branch; torchvision has no name for it."""
    return _mobilenet_model("maskrcnn", num_classes, trainable_layers, frozen_norm, rng, config)


def has_mask_branch(builder):
    """Tell by its name whether a builder's models have a mask branch.

    >>> has_mask_branch("maskrcnn_tiny"), has_mask_branch("fasterrcnn_resnet50_fpn_v2")
    (True, False)
    """
    return builder.startswith("maskrcnn")


def _tiny_model(builder, num_classes, rng, dimensions, version, body, config):
    """Wire the tiny model, with or without a mask branch."""
    version = judge_number(version, "version", 1, max(TINY_VERSIONS), whole=True)
    defaults = {**TINY_DEFAULTS, **TINY_VERSIONS[version][0]}
    settings, rng, num_classes = make_config(defaults, **config), as_generator(rng), _checked_classes(num_classes)
    sizes = checked_dimensions(dimensions, version, has_mask_branch(builder))
    blocks, widths, channels, hidden, *layers = sizes.values()   # in the order of `TINY_DIMENSIONS`
    norm = nn.BatchNorm2d
    judge_known([body], list(TINY_BODIES), "body")
    trunk = TINY_BODIES[body](blocks, widths, norm, rng)
    fpn = FeaturePyramidNetwork(trunk.out_channels, channels, norm, rng)
    box = TwoMLPHead(channels, BOX_POOLED_SIZE, hidden, rng)
    mask, mask_channels = (mask_head(channels, *layers, norm, rng), layers[0][-1]) if layers else (None, 0)
    model = _wire(Backbone(trunk, fpn), channels, settings, num_classes, box, hidden, mask, mask_channels, rng=rng)
    other_body = {} if body == "resnet" else {"body": body}
    model.architecture = {"builder": builder, "num_classes": num_classes,
                          "config": {**settings.as_dict(), "dimensions": sizes, **other_body}}
    return model


def _tiny_resnet(blocks, widths, norm, rng):
    return ResNet(basic_block, blocks, widths, norm, stem_channels=widths[0], stem_kernel=3, rng=rng)


def _tiny_mobilenet(blocks, widths, norm, rng):
    rows, last = stages_of_inverted_blocks(blocks, widths)
    return MobileNetV3(rows, norm, widths[0], last, rng=rng)


TINY_BODIES = {"resnet": _tiny_resnet, "mobilenet": _tiny_mobilenet}


def _resnet_v1(builder, body, num_classes, trainable_layers, norm_eps, rng, config):
    """Wire a residual body with frozen batch norm to torchvision's pyramid and heads of the papers."""
    norm_eps = 1e-5 if norm_eps is None else judge_fraction(norm_eps, "norm_eps")
    norm = functools.partial(nn.FrozenBatchNorm2d, eps=norm_eps)
    arguments = dict(body=body, norm_eps=norm_eps)
    return _resnet_model(builder, arguments, body, num_classes, trainable_layers, norm, rng, config)


def _resnet_v2(builder, num_classes, trainable_layers, rng, config):
    """Wire ResNet-50 to those of torchvision's version 2, with batch norm everywhere."""
    return _resnet_model(builder, {}, "resnet50", num_classes, trainable_layers, nn.BatchNorm2d, rng, config, v2=True)


def _resnet_model(builder, arguments, body, num_classes, trainable_layers, norm, rng, config, v2=False):
    """Wire a residual body to the standard pyramid and heads."""
    settings, rng, num_classes = make_config(**config), as_generator(rng), _checked_classes(num_classes)
    judge_known([body], list(BODIES), "body")
    trainable_layers = judge_number(trainable_layers, "trainable_layers", 0, 5, whole=True)
    block, depths, groups = BODIES[body]
    trunk = ResNet(block, depths, WIDTHS, norm, trainable_layers=trainable_layers, rng=rng, **groups)
    model = _with_standard_heads(trunk, settings, num_classes, has_mask_branch(builder), rng, norm if v2 else None)
    model.architecture = {"builder": builder, "num_classes": num_classes,
                          "config": {**settings.as_dict(), **arguments, "trainable_layers": trainable_layers}}
    return model


def _mobilenet_model(family, num_classes, trainable_layers, frozen_norm, rng, config):
    """Wire MobileNetV3-Large to torchvision's pyramid and heads; RoIs are pooled from the finest level only."""
    settings = make_config(MOBILENET_DEFAULTS, len(MOBILENET_STRIDES) + 1, **config)
    rng, num_classes = as_generator(rng), _checked_classes(num_classes)
    trainable_layers = judge_number(trainable_layers, "trainable_layers", 0, 6, whole=True)
    norm = nn.FrozenBatchNorm2d if judge_flag(frozen_norm, "frozen_norm") else nn.BatchNorm2d
    builder = f"{family}_mobilenet_v3_large_fpn"
    body = MobileNetV3(MOBILENET_V3_LARGE, norm, trainable_layers=trainable_layers, rng=rng)
    model = _with_standard_heads(body, settings, num_classes, has_mask_branch(builder), rng, strides=MOBILENET_STRIDES)
    arguments = {"trainable_layers": trainable_layers, "frozen_norm": frozen_norm}
    model.architecture = {"builder": builder, "num_classes": num_classes, "config": {**settings.as_dict(), **arguments}}
    return model


def _with_standard_heads(body, config, num_classes, masks, rng, norm=None, strides=STRIDES):
    """Put torchvision's full-size pyramid and heads behind a body; with a `norm` they are those of version 2."""
    fpn = FeaturePyramidNetwork(body.out_channels, FPN_CHANNELS, norm, rng)
    if norm is None:
        box = TwoMLPHead(FPN_CHANNELS, BOX_POOLED_SIZE, REPRESENTATION_SIZE, rng)
    else:
        box = conv_fc_head(FPN_CHANNELS, BOX_POOLED_SIZE, REPRESENTATION_SIZE, norm, rng)
    mask = mask_head(FPN_CHANNELS, MASK_LAYERS, norm, rng) if masks else None
    return _wire(Backbone(body, fpn), FPN_CHANNELS, config, num_classes, box, REPRESENTATION_SIZE, mask,
                 MASK_LAYERS[-1], rng, rpn_conv_depth=1 if norm is None else 2, strides=strides)


def with_room(builder, options):
    """Return options with a `max_size` that leaves the longer side of images room, where only `min_size` is given.

    The tiny model was made for squares, so that its own `max_size` is no more than its `min_size`.
    """
    if builder.endswith(("_tiny", "_variant")) and "min_size" in options:
        sides = make_config(min_size=options["min_size"]).min_size
        return {"max_size": 2 * int(np.max(sides)), **options}
    return options


def reconfigure(model, **options):
    """Change options of a model that is there, and of what is saved of it: sizes, thresholds, numbers; no anchors."""
    options = with_room(model.architecture["builder"], options)
    model.config = config = make_config(model.config.as_dict(), len(model.config.anchor_sizes), **options)
    model.transform = Transform(config.min_size, config.max_size, config.image_mean, config.image_std)
    kept = model.architecture["config"]
    kept.update({name: value for name, value in config.as_dict().items() if name in kept})


def _wire(backbone, channels, config, num_classes, box_head, box_channels, mask_head, mask_channels, rng,
          rpn_conv_depth=1, strides=STRIDES):
    """Put RPN and heads behind a backbone of so many `channels`; without a `mask_head` there is no mask branch.

    `strides` are those of the pyramid's levels from which RoIs are pooled.
    """
    anchors = AnchorGenerator(config.anchor_sizes, config.anchor_ratios)
    head = RPNHead(channels, anchors.num_anchors_per_location()[0], rpn_conv_depth, rng)
    box_pooler, mask_pooler = (RoIPooler(size, config.canonical_scale, config.canonical_level, strides)
                               for size in (BOX_POOLED_SIZE, MASK_POOLED_SIZE))
    box_branch = box_pooler, box_head, FastRCNNPredictor(box_channels, num_classes, rng)
    mask_branch = None, None, None
    if mask_head is not None:
        mask_branch = mask_pooler, mask_head, MaskRCNNPredictor(mask_channels, mask_channels, num_classes, rng)
    transform = Transform(config.min_size, config.max_size, config.image_mean, config.image_std)
    return MaskRCNN(backbone, RegionProposalNetwork(head, anchors, config),
                    RoIHeads(*box_branch, *mask_branch, config), transform, num_classes)


def as_generator(rng):
    """Return the generator to draw with, None to draw nothing."""
    return None if rng is NO_DRAWS else judge_rng(0 if rng is None else rng, ("normal", "uniform"))


def _checked_classes(num_classes):
    """Return the number of classes: of background and at least one more."""
    return judge_number(num_classes, "num_classes (with background)", 2, MAX_CLASSES, whole=True)


def checked_dimensions(dimensions, version=2, masks=True):
    """Return all of the tiny model's dimensions: those given, its version's where absent; of a mask head if `masks`."""
    given = {} if dimensions is None else dimensions
    if not isinstance(given, dict):
        raise refusal("dimensions", "a dict of name to size", given)
    usual = {name: size for name, size in TINY_VERSIONS[version][1].items() if masks or name != "mask_layers"}
    judge_known(given, list(usual), "dimension of the tiny model" + " without a mask branch" * (not masks))
    sizes = {**usual, **{name: as_plain(value) for name, value in given.items()}}
    for name, size in sizes.items():
        called = f"dimensions: {name}"
        bounds = {"lowest": 1, "highest": MAX_BLOCKS if name == "blocks" else MAX_DIMENSION, "whole": True}
        if name == "mask_layers" and (not isinstance(size, tuple) or not 1 <= len(size) <= MAX_MASK_LAYERS):
            raise refusal(called, f"1 to {MAX_MASK_LAYERS} whole numbers", size)
        if isinstance(TINY_DIMENSIONS[name], tuple):
            sizes[name] = judge_numbers(size, called, len(size) if name == "mask_layers" else 4, **bounds)
        else:
            sizes[name] = judge_number(size, called, **bounds)
    return sizes
