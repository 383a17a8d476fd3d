"""Builders of the two other models, on the tiny Mask R-CNN's body and pyramid.

Both draw their first weights in the order body, pyramid, head: with one seed their backbones begin as the tiny Mask
R-CNN's does, number by number.
"""

from .. import models, nn
from ..config import make_config
from ..judge import judge_known
from ..network import Backbone
from ..stages.anchors import AnchorGenerator
from ..stages.fpn import FeaturePyramidNetwork
from ..stages.resnet import ResNet, basic_block
from .one_stage import DenseHead, OneStage
from .prototypes import PrototypeBranch
from .semantic import SemanticHead, SemanticNetwork

BUILDERS = ("semantic_tiny", "one_stage_tiny")
NUM_PROTOTYPES, PROTOTYPE_CHANNELS = 16, 32
# The options of `Config` that these models go by.
SEMANTIC_OPTIONS = ("min_size", "max_size", "image_mean", "image_std", "box_score_thresh", "box_detections_per_img")
ONE_STAGE_OPTIONS = (*SEMANTIC_OPTIONS, "anchor_sizes", "anchor_ratios", "box_nms_thresh", "box_fg_iou_thresh",
                     "box_bg_iou_thresh", "bbox_reg_weights")


def semantic_tiny(num_classes=4, rng=None, **config):
    """Build the semantic network: each pixel has a class, and what hangs together is an object.

    Parameters
    ----------
    num_classes : int
        With background.
    rng : np.random.Generator, optional
        Draws the first weights; ``default_rng(0)`` if absent.
    **config
        Of the options of `maskrcnn_tiny` those in `SEMANTIC_OPTIONS`.

    Returns
    -------
    SemanticNetwork
        Its weights are random.

    Raises
    ------
    InputError
        For an unknown option (naming the nearest) or an impossible value.
    """
    settings, rng, num_classes = _checked(SEMANTIC_OPTIONS, {}, config, rng, num_classes)
    backbone, channels = _backbone(rng)
    head = SemanticHead(channels, num_classes, rng=rng)
    return _described(SemanticNetwork(backbone, head, settings, num_classes), "semantic_tiny", SEMANTIC_OPTIONS)


def one_stage_tiny(num_classes=4, rng=None, **config):
    """Build the one-stage detector: classes and boxes at the anchors, masks from prototypes.

    Parameters, result (a `OneStage`) and errors are those of `semantic_tiny`, the options those in
    `ONE_STAGE_OPTIONS`; anchors with an IoU between ``box_bg_iou_thresh`` (.4) and ``box_fg_iou_thresh`` (.5) do not
    learn.
    """
    settings, rng, num_classes = _checked(ONE_STAGE_OPTIONS, {"box_bg_iou_thresh": 0.4}, config, rng, num_classes)
    backbone, channels = _backbone(rng)
    anchors = AnchorGenerator(settings.anchor_sizes, settings.anchor_ratios)
    head = DenseHead(channels, anchors.num_anchors_per_location()[0], num_classes, NUM_PROTOTYPES, rng=rng)
    prototypes = PrototypeBranch(channels, PROTOTYPE_CHANNELS, NUM_PROTOTYPES, rng=rng)
    return _described(OneStage(backbone, anchors, head, prototypes, settings, num_classes), "one_stage_tiny",
                      ONE_STAGE_OPTIONS)


def _checked(names, defaults, options, rng, num_classes):
    """Return settings, generator and number of classes, judged."""
    judge_known(options, list(names), "option of this model")
    usual = {name: models.TINY_DEFAULTS[name] for name in names if name in models.TINY_DEFAULTS}
    settings = make_config({**usual, **defaults}, **options)
    return settings, models.as_generator(rng), models._checked_classes(num_classes)


def _backbone(rng):
    """Return the tiny model's body and pyramid, and the channels of the latter."""
    sizes, norm = models.TINY_DIMENSIONS, nn.BatchNorm2d
    blocks, widths, channels = (sizes[name] for name in ("blocks", "widths", "fpn_channels"))
    body = ResNet(basic_block, blocks, widths, norm, stem_channels=widths[0], stem_kernel=3, rng=rng)
    return Backbone(body, FeaturePyramidNetwork(body.out_channels, channels, norm, rng)), channels


def _described(model, builder, names):
    """Write into a model how it is built, and return it."""
    model.architecture = {"builder": builder, "num_classes": model.num_classes,
                          "config": {name: getattr(model.config, name) for name in names}}
    return model
