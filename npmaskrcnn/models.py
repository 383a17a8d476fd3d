"""Builders: the models that people use, each one call.

`maskrcnn_tiny` is a Mask R-CNN in miniature, for learning: every part is there, and it trains in minutes
on two cores. `maskrcnn_resnet50_fpn` and its kin are torchvision's models, number for number, and take
torchvision's weights.
"""

import functools

import numpy as np

from . import nn
from .config import check_known, make_config, plain
from .errors import InputError
from .mask_rcnn import BOX_POOLED_SIZE, MaskRCNN
from .stages.box_head import TwoMLPHead, conv_fc_head
from .stages.fpn import FeaturePyramidNetwork
from .stages.mask_head import mask_head
from .stages.resnet import ResNet, basic_block, bottleneck

WIDTHS = (64, 128, 256, 512)
BODIES = {      # torchvision's: block, blocks per stage, ResNeXt's groups and width
    "resnet18": (basic_block, (2, 2, 2, 2), {}),
    "resnet34": (basic_block, (3, 4, 6, 3), {}),
    "resnet50": (bottleneck, (3, 4, 6, 3), {}),
    "resnet101": (bottleneck, (3, 4, 23, 3), {}),
    "resnext50_32x4d": (bottleneck, (3, 4, 6, 3), {"groups": 32, "width_per_group": 4}),
}
MAX_CLASSES = 10_000        # the last layers of the full model then have 50 million weights
FPN_CHANNELS = 256
REPRESENTATION_SIZE = 1024
MASK_LAYERS = (256, 256, 256, 256)

TINY_DEFAULTS = dict(
    min_size=128, max_size=128, image_mean=(0.5, 0.5, 0.5), image_std=(0.25, 0.25, 0.25),
    anchor_sizes=((24,), (32,), (48,), (64,), (96,)),      # the shapes are 26 to 64 pixels wide
    rpn_pre_nms_top_n_train=150, rpn_pre_nms_top_n_test=100,
    rpn_post_nms_top_n_train=60, rpn_post_nms_top_n_test=40,
    rpn_batch_size_per_image=128, box_batch_size_per_image=32, box_positive_fraction=0.5,
    canonical_scale=56)
TINY_WIDTHS, TINY_FPN_CHANNELS, TINY_REPRESENTATION_SIZE, TINY_MASK_LAYERS = (16, 32, 64, 128), 64, 128, (64, 64)


def maskrcnn_tiny(num_classes=4, rng=None, **config):
    """Build the tiny model: a Mask R-CNN with every part small, for images of about 128 x 128 pixels.

    A residual body of one basic block a stage (16, 32, 64, 128 channels), a pyramid of 64 channels, a box head
    of 128, a mask head of two convolutions of 64; batch norm in body, pyramid and mask head, as in torchvision's v2.

    Parameters
    ----------
    num_classes : int
        With background.
    rng : np.random.Generator, optional
        Draws the first weights; ``default_rng(0)`` if absent.
    **config
        Options of torchvision's `MaskRCNN` constructor, by their names there.

    Returns
    -------
    MaskRCNN

    Raises
    ------
    InputError
        For an unknown option (naming the nearest) or an impossible value.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    num_classes = _checked_classes(num_classes)
    settings = make_config(TINY_DEFAULTS, **config)
    norm, channels = nn.BatchNorm2d, TINY_FPN_CHANNELS
    body = ResNet(basic_block, (1, 1, 1, 1), TINY_WIDTHS, norm, stem_channels=TINY_WIDTHS[0], stem_kernel=3, rng=rng)
    fpn = FeaturePyramidNetwork(body.out_channels, channels, norm, rng)
    box = TwoMLPHead(channels, BOX_POOLED_SIZE, TINY_REPRESENTATION_SIZE, rng)
    mask = mask_head(channels, TINY_MASK_LAYERS, norm, rng)
    model = MaskRCNN(body, fpn, settings, num_classes, box, TINY_REPRESENTATION_SIZE, mask, TINY_MASK_LAYERS[-1],
                     channels, rng=rng)
    model.architecture = {"builder": "maskrcnn_tiny", "num_classes": num_classes, "config": settings.as_dict()}
    return model


def maskrcnn_resnet_fpn(body="resnet50", weights=None, num_classes=91, trainable_layers=5, norm_eps=None, rng=None,
                        **config):
    """Build torchvision's Mask R-CNN on a residual body with frozen batch norm.

    Parameters
    ----------
    body : {"resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d"}
    weights : path, optional
        A ``.pth``, ``.safetensors`` or ``.npz`` file; random weights if absent.
    num_classes : int
        With background.
    trainable_layers : int, 0..5
        How many of the body's layer4, layer3, layer2, layer1 and stem are trained, from the top.
    norm_eps : float, optional
        Of the frozen batch norms. None: 0.0 for the published COCO_V1 file (told by its digest), else 1e-5.
    rng : np.random.Generator, optional
        Draws random weights; ``default_rng(0)`` if absent.
    **config
        Options of torchvision's `MaskRCNN` constructor, by their names there.

    Returns
    -------
    MaskRCNN

    Raises
    ------
    InputError
        For an unknown body or option (naming the nearest), or weights that do not fit.
    """
    arguments = dict(body=body, trainable_layers=trainable_layers)
    settings, rng, norm_eps = _prepare(weights, num_classes, rng, norm_eps, config)
    norm = functools.partial(nn.FrozenBatchNorm2d, eps=norm_eps)
    model = _resnet_model(num_classes, rng, settings, norm, **arguments)
    return _finish(model, "maskrcnn_resnet_fpn", dict(arguments, norm_eps=norm_eps), weights)


def maskrcnn_resnet50_fpn(weights=None, num_classes=91, rng=None, **config):
    """Build `maskrcnn_resnet_fpn` on ResNet-50: the model of torchvision's published COCO weights.

    Parameters, result and errors are those of `maskrcnn_resnet_fpn`.
    """
    return maskrcnn_resnet_fpn("resnet50", weights, num_classes, rng=rng, **config)


def maskrcnn_resnet50_fpn_v2(weights=None, num_classes=91, trainable_layers=5, rng=None, **config):
    """Build torchvision's `maskrcnn_resnet50_fpn_v2`.

    It has batch norm (not frozen) in body, FPN, box head and mask head, two RPN convolutions, and a box
    head of four convolutions and one linear layer (Li et al. 2021). Parameters, result and errors are those
    of `maskrcnn_resnet_fpn`.
    """
    arguments = dict(trainable_layers=trainable_layers)
    settings, rng, _ = _prepare(weights, num_classes, rng, 1e-5, config)
    model = _resnet_model(num_classes, rng, settings, nn.BatchNorm2d, "resnet50", trainable_layers, v2=True)
    return _finish(model, "maskrcnn_resnet50_fpn_v2", arguments, weights)


def _prepare(weights, num_classes, rng, norm_eps, config):
    """Check the options; no random draws where a file will fill in the weights."""
    _checked_classes(num_classes)
    settings = make_config(**config)
    if weights is not None:
        rng = None
    elif rng is None:
        rng = np.random.default_rng(0)
    if norm_eps is None:
        from .weights import published_norm_eps     # files are above the model: only this door leads there
        norm_eps = 1e-5 if weights is None else published_norm_eps(weights)
    return settings, rng, norm_eps


def _resnet_model(num_classes, rng, settings, norm, body, trainable_layers, v2=False):
    """Wire a residual body to the standard FPN and heads."""
    check_known([body], list(BODIES), "body")
    if trainable_layers not in range(6):
        raise InputError(f"trainable_layers is {trainable_layers!r}, but must be a whole number from 0 to 5")
    block, depths, groups = BODIES[body]
    trunk = ResNet(block, depths, WIDTHS, norm, trainable_layers=trainable_layers, rng=rng, **groups)
    fpn = FeaturePyramidNetwork(trunk.out_channels, FPN_CHANNELS, norm=norm if v2 else None, rng=rng)
    if v2:
        box = conv_fc_head(FPN_CHANNELS, BOX_POOLED_SIZE, REPRESENTATION_SIZE, norm, rng)
    else:
        box = TwoMLPHead(FPN_CHANNELS, BOX_POOLED_SIZE, REPRESENTATION_SIZE, rng)
    mask = mask_head(FPN_CHANNELS, MASK_LAYERS, norm=norm if v2 else None, rng=rng)
    return MaskRCNN(trunk, fpn, settings, num_classes, box, REPRESENTATION_SIZE, mask, MASK_LAYERS[-1],
                    FPN_CHANNELS, rpn_conv_depth=2 if v2 else 1, rng=rng)


def _finish(model, builder, arguments, weights):
    """Note how the model was built, and load its weights."""
    model.architecture = {"builder": builder, "num_classes": model.num_classes,
                          "config": {**model.config.as_dict(), **{name: plain(v) for name, v in arguments.items()}}}
    if weights is not None:
        from .weights import load_into
        load_into(model, weights)
    return model


def _checked_classes(num_classes):
    if (isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer))
            or not 2 <= num_classes <= MAX_CLASSES):
        raise InputError(f"num_classes is {num_classes!r:.60}, but must be a whole number from 2 (background and one "
                         f"class) to {MAX_CLASSES:,}")
    return int(num_classes)
