"""Which variants there are: what each exchanges, what the papers say that it costs, and how it is built.

Most are a tiny model with another part in a part's place. Where the new part has the old one's layers and sizes and
only does other things with them, the old object is given the new class (``part.__class__ = ...``): from then on Python
finds that class's methods, while weights, names and options stay where they are. Some are recipes: the model stays as
it is, and the training is another one, whose arguments are in the table as well.
"""

from typing import NamedTuple

from .. import models, nn
from ..judge import judge_known
from ..network import LOSS_NAMES, Backbone
from ..stages.anchors import AnchorGenerator
from ..stages.box_head import TwoMLPHead
from ..stages.fpn import FeaturePyramidNetwork
from ..stages.mask_head import mask_head
from ..stages.roi_pooler import RoIPooler
from ..stages.rpn import RPNHead
from . import parts

HE, LIN, REN = "He et al. 2017 (Mask R-CNN)", "Lin et al. 2017 (FPN)", "Ren et al. 2015 (Faster R-CNN)"


class Variant(NamedTuple):
    """One row of `VARIANTS`."""

    what: str                   # is exchanged, in words
    exchange: object = None     # exchange(model, rng) puts other parts into a tiny model; None leaves it as it is
    paper: str = ""             # what a paper says of it, and where; on other data and larger models
    differences: dict = {}      # from what the paper compares it with: "box" and "mask" AP in points, 100 being all
    config: dict = {}           # options in which the model differs from the tiny one
    loss_factors: dict = {}     # of the recipe: by these factors losses count more than in the baseline's
    task: str = "shapes"        # on which it is measured: "shapes" or "rings"


# ---- exchanges ----


def _poolers(kind):
    def exchange(model, _rng):
        for name in ("box_pooler", "mask_pooler"):
            getattr(model.roi_heads, name).__class__ = kind         # the same sizes and levels, read otherwise
    return exchange


def _heads(kind):
    def exchange(model, _rng):
        model.roi_heads.__class__ = kind                            # the same parts, asked otherwise
    return exchange


def _strict_rpn(model, _rng):
    model.rpn.__class__ = parts.StrictRPN


def _no_top_down(model, _rng):
    model.backbone.fpn.__class__ = parts.PyramidWithoutTopDown      # the same layers, wired otherwise


def _one_mask(model, rng):
    channels = model.architecture["config"]["dimensions"]["mask_layers"][-1]
    model.roi_heads.mask_predictor = parts.OneMaskPredictor(channels, channels, model.num_classes, rng)


def _one_box(model, rng):
    hidden = model.architecture["config"]["dimensions"]["representation_size"]
    model.roi_heads.box_predictor = parts.OneBoxPredictor(hidden, model.num_classes, rng)


def _mlp_masks(model, rng):
    dimensions, heads = model.architecture["config"]["dimensions"], model.roi_heads
    hidden = dimensions["representation_size"]
    heads.mask_head = TwoMLPHead(dimensions["fpn_channels"], models.MASK_POOLED_SIZE, hidden, rng)
    heads.mask_predictor = parts.MLPMaskPredictor(hidden, heads.mask_size, model.num_classes, rng)


def _no_masks(model, _rng):
    heads = model.roi_heads
    heads.mask_pooler = heads.mask_head = heads.mask_predictor = None


def _frozen_body(model, _rng):
    model.backbone.body.freeze()


def _c4_only(model, rng):
    dimensions, heads, body = model.architecture["config"]["dimensions"], model.roi_heads, model.backbone.body
    channels = body.out_channels[parts.ONE_LEVEL]
    model.backbone = Backbone(body, parts.C4Alone())
    heads.box_head = TwoMLPHead(channels, models.BOX_POOLED_SIZE, dimensions["representation_size"], rng)
    heads.mask_head = mask_head(channels, dimensions["mask_layers"], nn.BatchNorm2d, rng)
    _read_one_level(model, channels, rng)


def _p4_only(model, rng):
    channels, body = model.architecture["config"]["dimensions"]["fpn_channels"], model.backbone.body
    fpn = FeaturePyramidNetwork(body.out_channels[parts.ONE_LEVEL:], channels, nn.BatchNorm2d, rng)
    model.backbone = Backbone(body, parts.P4Alone(fpn))
    _read_one_level(model, channels, rng)


def _read_one_level(model, channels, rng):
    """Let RPN and heads read one map: on each of its cells are the anchors of all levels."""
    config = model.config
    anchors = AnchorGenerator((sum(config.anchor_sizes, ()),), config.anchor_ratios[:1])
    model.rpn.anchor_generator = anchors
    model.rpn.head = RPNHead(channels, anchors.num_anchors_per_location()[0], rng=rng)
    for name, size in (("box_pooler", models.BOX_POOLED_SIZE), ("mask_pooler", models.MASK_POOLED_SIZE)):
        pooler = RoIPooler(size, config.canonical_scale, config.canonical_level, (parts.ONE_STRIDE,))
        setattr(model.roi_heads, name, pooler)


# As many anchors as on five levels have to be scored before there are as many proposals.
_ONE_LEVEL = {f"rpn_pre_nms_top_n_{mode}": 5 * models.TINY_DEFAULTS[f"rpn_pre_nms_top_n_{mode}"]
              for mode in ("train", "test")}
_BALANCE = (f"{REN}, Table 9: weighting the RPN's box loss by 0.1, 1, 10, 100 gives 67.2, 68.9, 69.9, 69.1 mAP on VOC "
            "2007: the result hardly depends on it")

VARIANTS = {
    "baseline": Variant("nothing"),
    "roi_pool": Variant(
        "RoIPool in the place of RoIAlign, in both poolers", _poolers(parts.MaxPooler),
        f"{HE}, Table 2c (ResNet-50-C4): mask AP 26.9 with RoIPool, 30.3 with RoIAlign; on stride 32 (Table 2d) 23.6 "
        "and 30.9, box AP 28.2 and 34.0", {"mask": -3.4}),
    "unaligned": Variant(
        "RoIs rounded to whole cells before they are read by bilinear sampling", _poolers(parts.RoundingPooler),
        f"{HE}, Table 2c (ResNet-50-C4): mask AP 27.1 with RoIWarp, which rounds RoIs, 30.3 with RoIAlign",
        {"mask": -3.2}),
    "half_pixel": Variant(
        "a cell's value at the cell's center in RoIAlign (torchvision's aligned=True)",
        _poolers(parts.HalfPixelPooler)),
    "softmax": Variant(
        "classes compete for each pixel of a mask: softmax in the place of sigmoids", _heads(parts.SoftmaxHeads),
        f"{HE}, Table 2b (ResNet-50-C4): mask AP 24.8 with a softmax, 30.3 with sigmoids", {"mask": -5.5}),
    "one_mask": Variant(
        "one mask for all classes", _one_mask,
        f"{HE}, section 4.2 (ResNet-50-C4): mask AP 29.7 with one mask, 30.3 with one for each class", {"mask": -0.6}),
    "class_agnostic_boxes": Variant("one refined box for all classes", _one_box),
    "mlp_masks": Variant(
        "masks from fully connected layers, as wide as the box head's, with 25 times the convolutions' weights",
        _mlp_masks, f"{HE}, Table 2e (ResNet-50-FPN): mask AP 31.5 with fully connected layers of 1024, as wide as the "
        "box head's, 33.6 with convolutions", {"mask": -2.1}),
    "c4_only": Variant(
        "no pyramid: all heads read C4, with the anchors of all sizes on it", _c4_only,
        f"{HE}, Table 2a (ResNet-50): mask AP 30.3 on C4, 33.6 on the pyramid; {LIN}, Table 2 (Fast R-CNN, fixed "
        "proposals): box AP 31.9 and 33.9", {"mask": -3.3, "box": -2.0}, config=_ONE_LEVEL),
    "p4_only": Variant(
        "one level of the pyramid: all heads read P4, with the anchors of all sizes on it", _p4_only,
        f"{LIN}, Table 2f has P2 alone, not P4: box AP 33.4, and 33.9 with all levels", config=_ONE_LEVEL),
    "no_top_down": Variant(
        "laterals and 3x3 convolutions only: nothing is added from above", _no_top_down,
        f"{LIN}, Table 2d (Fast R-CNN, fixed proposals): box AP 24.9 without the top-down path, 33.9 with it",
        {"box": -9.0}, task="rings"),
    "one_ratio": Variant(
        "anchors of ratio 1 only, a third as many",
        paper=f"{REN}, Table 8: 69.8 mAP on VOC 2007 with three sizes and one ratio, 69.9 with three ratios",
        config={"anchor_ratios": ((1.0,),) * 5}),
    "no_ground_truth": Variant("the objects' own boxes are not learned from", _heads(parts.HeadsWithoutTruth)),
    "no_low_quality": Variant("an object without an anchor of IoU .7 has no positive anchor", _strict_rpn),
    "frozen_body": Variant("the body keeps its random first weights; all behind it learns", _frozen_body),
    "no_masks": Variant(
        "the mask branch is absent", _no_masks,
        f"{HE}, Table 3 (ResNet-101-FPN): box AP 37.3 without the mask branch, 38.2 with it", {"box": -0.9}),
    **{f"{loss.removeprefix('loss_')}_{name}": Variant(
        f"{loss} counts {words}", paper=_BALANCE * (loss == "loss_rpn_box_reg"), loss_factors={loss: factor})
       for loss in LOSS_NAMES for name, factor, words in (
           ("off", 0, "nothing"), ("x4", 4, "four times as much"), ("quarter", 0.25, "a quarter"))},
}


def maskrcnn_variant(name, num_classes=4, rng=None, **config):
    """Build a variant of the tiny model.

    All weights that it has in common with the tiny model are the same, if both are built from the same seed.

    Parameters
    ----------
    name : str
        One of `VARIANTS`.
    num_classes, rng, **config
        As in `maskrcnn_tiny`, whose second version this is. (Where all anchors are on one level, ``anchor_sizes``
        are still given for five, and ``anchor_ratios`` are the first level's.)

    Returns
    -------
    MaskRCNN
        Its weights are random.

    Raises
    ------
    InputError
        For an unknown variant or option (naming the nearest) or an impossible value.

    Examples
    --------
    >>> maskrcnn_variant("one_mask").roi_heads.mask_predictor.mask_fcn_logits.weight.data.shape
    (1, 1, 32, 1)
    """
    judge_known([name], list(VARIANTS), "variant of the tiny model")
    variant, generator = VARIANTS[name], models.as_generator(rng)
    model = models.maskrcnn_tiny(num_classes, models.NO_DRAWS if generator is None else generator,
                                 **{**variant.config, **config})
    if variant.exchange is not None:
        variant.exchange(model, generator)
    model.architecture = {"builder": "maskrcnn_variant", "num_classes": model.num_classes,
                          "config": {**model.architecture["config"], "name": name}}
    return model
