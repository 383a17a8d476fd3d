"""Which Mask R-CNN or Faster R-CNN a bare state dict belongs to: what names and shapes give away.

A state dict lists what was learned, not how it was wired, but little is left open. The number of blocks
in each stage of the body, a third convolution in them (bottleneck) and the width of a grouped one tell
the bodies apart, numbered blocks in a row are of a MobileNet; a mask head tells Mask R-CNN from Faster R-CNN; a
second convolution in the RPN head tells version 2; a batch counter tells that batch norm was not frozen; the rows of
the last layers are the classes. Strides, image sizes, thresholds and the epsilon of batch norm leave no trace.
"""

import itertools
import re

import numpy as np

from .. import models
from ..errors import InputError, warn
from ..judge import COUNTER
from ..stages.mobilenet import MOBILENET_V3_LARGE
from ..stages.resnet import bottleneck

BUILDERS = tuple(family + rest for rest in ("_tiny", "_resnet_fpn", "_resnet50_fpn_v2", "_mobilenet_v3_large_fpn")
                 for family in ("maskrcnn", "fasterrcnn")) + ("maskrcnn_variant",)

# (blocks in layer1..4, whether they are bottlenecks, groups of their 3x3 convolution) -> name
BODIES = {(blocks, block is bottleneck, grouped.get("groups", 1)): name
          for name, (block, blocks, grouped) in models.BODIES.items()}
BLOCK = re.compile(r"backbone\.body\.layer([1-4])\.\d{1,3}\.conv1\.weight")
PROJECTION = re.compile(r"backbone\.body\.(\d{1,3})\.block\.(\d)\.0\.weight")
MASK_LAYER = re.compile(r"roi_heads\.mask_head\.\d{1,2}\.0\.weight")
CLASS_ROWS = {  # outputs per class of the last layers
    "roi_heads.box_predictor.cls_score.weight": 1,
    "roi_heads.box_predictor.bbox_pred.weight": 4,
    "roi_heads.mask_predictor.mask_fcn_logits.weight": 1,
}
MASK_BRANCH = "roi_heads.mask_"     # begins the names of its weights


def infer_architecture(state, name="the state dict"):
    """Infer the builder and its arguments from a state dict in today's names.

    Parameters
    ----------
    state : mapping of str to ndarray
    name : str
        What a warning calls it.

    Returns
    -------
    architecture : dict
        ``{"builder": str, "num_classes": int, "config": dict}``, to be called as
        ``builder(num_classes=num_classes, **config)``.

    Raises
    ------
    InputError
        Saying what the state dict is of, if not of a model that can be built.

    Warns
    -----
    InputWarning
        If a version-1 body has batch norm that was not frozen: it will be.
    """
    num_classes = count_classes(state)
    family = "maskrcnn" if has_masks(state) else "fasterrcnn"
    if "backbone.body.0.0.weight" in state:
        return {"num_classes": num_classes, **_infer_mobilenet(state, family)}
    if np.shape(state.get("backbone.body.conv1.weight"))[2:] == (3, 3):     # 7x7 in all others
        return {"builder": f"{family}_tiny", "num_classes": num_classes, "config": _infer_tiny(state)}
    body = _infer_body(state)
    if "rpn.head.conv.1.0.weight" in state:
        if body != "resnet50":
            raise InputError(f"is of version 2 on {body}; only resnet50 is built in version 2")
        return {"builder": f"{family}_resnet50_fpn_v2", "num_classes": num_classes, "config": {}}
    if "backbone.body.bn1.num_batches_tracked" in state:
        warn(f"{name}: its body was trained with unfrozen batch norm and is loaded with frozen batch norm: "
             "predictions are the same, further training differs")
    config = {"body": body, "norm_eps": 1e-5}
    return {"builder": f"{family}_resnet_fpn", "num_classes": num_classes, "config": config}


def has_masks(state):
    """Whether a state dict is of a model with a mask branch."""
    return any(name.startswith(MASK_BRANCH) for name in state)


def count_classes(state):
    """Return the number of classes, background included, on which the last layers agree: those that the model has."""
    if not any(name.startswith("backbone.body.") for name in state):
        is_classifier = "fc.weight" in state and "conv1.weight" in state
        kind = "an image classifier (ResNet)" if is_classifier else "no Mask R-CNN"
        raise InputError(f"holds {kind}: expected names such as 'backbone.body.conv1.weight', got "
                         + (", ".join(map(repr, list(state)[:3])) or "none at all"))
    layers = {name: rows for name, rows in CLASS_ROWS.items() if has_masks(state) or not name.startswith(MASK_BRANCH)}
    absent = [name for name in layers if name not in state or state[name].ndim == 0]
    if absent:
        raise InputError(f"holds an incomplete model: {absent[0]!r} is missing")
    counts = {name: state[name].shape[0] / rows for name, rows in layers.items()}
    if len(set(counts.values())) > 1 or counts["roi_heads.box_predictor.cls_score.weight"] < 2:
        rows = ", ".join(f"{name} has {state[name].shape[0]} rows" for name in layers)
        raise InputError(f"the last layers disagree about the classes: {rows}; expected C, 4C and, of masks, C; C >= 2")
    return state["roi_heads.box_predictor.cls_score.weight"].shape[0]


def _infer_mobilenet(state, family):
    """Return builder and options of a model on MobileNetV3-Large, or on the tiny body of such blocks."""
    projections = {}
    for match in filter(None, map(PROJECTION.fullmatch, state)):
        projections[int(match[1])] = state[match[0]].shape[0]       # the last one of a block counts
    outs = [channels for _, channels in sorted(projections.items())]
    if outs == [block.out for block in MOBILENET_V3_LARGE]:
        frozen = not any(name.startswith("backbone.body.") and name.endswith(COUNTER) for name in state)
        return {"builder": f"{family}_mobilenet_v3_large_fpn", "config": {"frozen_norm": frozen}}
    stages = [(channels, len(list(blocks))) for channels, blocks in itertools.groupby(outs)]
    if len(stages) != 4:
        raise InputError(f"has a body of inverted residual blocks of {outs} channels; expected MobileNetV3-Large's, or "
                         "four stages of the tiny model that differ in channels; others need a file by npmaskrcnn.save")
    widths, blocks = zip(*stages)
    dimensions = _dimensions_behind_the_body(state)
    return {"builder": f"{family}_tiny",
            "config": {"body": "mobilenet", "dimensions": {"blocks": blocks, "widths": widths, **dimensions}}}


def _outputs(state, name):
    if name not in state or state[name].ndim == 0:
        raise InputError(f"has the stem of the tiny model, but no {name!r}")
    return state[name].shape[0]


def _dimensions_behind_the_body(state):
    """Return what a state dict shows of the tiny model's pyramid and heads."""
    dimensions = dict(fpn_channels=_outputs(state, "backbone.fpn.inner_blocks.0.0.weight"),
                      representation_size=_outputs(state, "roi_heads.box_head.fc6.weight"))
    if has_masks(state):
        num_layers = sum(MASK_LAYER.fullmatch(name) is not None for name in state)
        dimensions["mask_layers"] = tuple(_outputs(state, f"roi_heads.mask_head.{i}.0.weight")
                                          for i in range(num_layers))
    return dimensions


def _infer_tiny(state):
    """Return the options of the tiny model that a state dict shows: its dimensions, and its version's others."""
    widths = tuple(_outputs(state, f"backbone.body.layer{i}.0.conv1.weight") for i in range(1, 5))
    dimensions = {"blocks": _count_blocks(state), "widths": widths, **_dimensions_behind_the_body(state)}
    fitting = [others for others, usual in models.TINY_VERSIONS.values() if dimensions.items() <= usual.items()]
    return {**(fitting[0] if fitting else {}), "dimensions": dimensions}


def _count_blocks(state):
    layers = [match[1] for match in map(BLOCK.fullmatch, state) if match]
    return tuple(layers.count(layer) for layer in "1234")


def _infer_body(state):
    blocks = _count_blocks(state)
    is_bottleneck = "backbone.body.layer1.0.conv3.weight" in state
    groups = 1
    conv2 = state.get("backbone.body.layer1.0.conv2.weight")
    if conv2 is not None and conv2.ndim == 4 and conv2.shape[1] > 0:
        groups = conv2.shape[0] // conv2.shape[1]  # the weight is (out, in / groups, 3, 3), and out == in
    body = BODIES.get((blocks, is_bottleneck, groups))
    if body is None:
        kind = "bottleneck" if is_bottleneck else "basic"
        raise InputError(f"has a body of {blocks} {kind} blocks in {groups} groups; expected one of "
                         f"{', '.join(BODIES.values())}; other sizes need a file by npmaskrcnn.save")
    return body
