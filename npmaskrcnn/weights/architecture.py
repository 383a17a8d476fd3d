"""Which Mask R-CNN a bare state dict belongs to: what names and shapes give away.

A state dict lists what was learned, not how it was wired, but little is left open. The number of blocks
in each stage of the body, a third convolution in them (bottleneck) and the width of a grouped one tell
the bodies apart; a second convolution in the RPN head tells version 2; a batch counter tells that batch
norm was not frozen; the rows of the last layers are the classes. Strides, image sizes, thresholds and the
epsilon of batch norm leave no trace.
"""

import re

import numpy as np

from .. import models
from ..errors import InputError, warn
from ..stages.resnet import bottleneck

BUILDERS = ("maskrcnn_tiny", "maskrcnn_resnet_fpn", "maskrcnn_resnet50_fpn_v2", "maskrcnn_variant")

# (blocks in layer1..4, whether they are bottlenecks, groups of their 3x3 convolution) -> name
BODIES = {(blocks, block is bottleneck, grouped.get("groups", 1)): name
          for name, (block, blocks, grouped) in models.BODIES.items()}
BLOCK = re.compile(r"backbone\.body\.layer([1-4])\.\d{1,3}\.conv1\.weight")
MASK_LAYER = re.compile(r"roi_heads\.mask_head\.\d{1,2}\.0\.weight")
CLASS_ROWS = {  # outputs per class of the three last layers
    "roi_heads.box_predictor.cls_score.weight": 1,
    "roi_heads.box_predictor.bbox_pred.weight": 4,
    "roi_heads.mask_predictor.mask_fcn_logits.weight": 1,
}


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
        Saying what the state dict is of, if not of a Mask R-CNN that can be built.

    Warns
    -----
    InputWarning
        If a version-1 body has batch norm that was not frozen: it will be.
    """
    num_classes = count_classes(state)
    if np.shape(state.get("backbone.body.conv1.weight"))[2:] == (3, 3):     # 7x7 in all others
        return {"builder": "maskrcnn_tiny", "num_classes": num_classes, "config": _infer_tiny(state)}
    body = _infer_body(state)
    if "rpn.head.conv.1.0.weight" in state:
        if body != "resnet50":
            raise InputError(f"is a version-2 Mask R-CNN on {body}; only resnet50 is built in version 2")
        return {"builder": "maskrcnn_resnet50_fpn_v2", "num_classes": num_classes, "config": {}}
    if "backbone.body.bn1.num_batches_tracked" in state:
        warn(f"{name}: its body was trained with unfrozen batch norm and is loaded with frozen batch norm: "
             "predictions are the same, further training differs")
    config = {"body": body, "norm_eps": 1e-5}
    return {"builder": "maskrcnn_resnet_fpn", "num_classes": num_classes, "config": config}


def count_classes(state):
    """Return the number of classes, background included, on which the three last layers agree."""
    if not any(name.startswith("backbone.body.") for name in state):
        is_classifier = "fc.weight" in state and "conv1.weight" in state
        kind = "an image classifier (ResNet)" if is_classifier else "no Mask R-CNN"
        raise InputError(f"holds {kind}: expected names such as 'backbone.body.conv1.weight', got "
                         + (", ".join(map(repr, list(state)[:3])) or "none at all"))
    absent = [name for name in CLASS_ROWS if name not in state or state[name].ndim == 0]
    if absent:
        kind = "a Faster R-CNN, which has no mask head" if "mask" in absent[0] else "an incomplete Mask R-CNN"
        raise InputError(f"holds {kind}: {absent[0]!r} is missing")
    counts = {name: state[name].shape[0] / rows for name, rows in CLASS_ROWS.items()}
    if len(set(counts.values())) > 1 or counts["roi_heads.box_predictor.cls_score.weight"] < 2:
        rows = ", ".join(f"{name} has {state[name].shape[0]} rows" for name in CLASS_ROWS)
        raise InputError(f"the last layers disagree about the classes: {rows}; expected C, 4C, C, C >= 2")
    return state["roi_heads.box_predictor.cls_score.weight"].shape[0]


def _infer_tiny(state):
    """Return the options of `maskrcnn_tiny` that a state dict shows: its dimensions, and its version's others."""
    def outputs(name):
        if name not in state or state[name].ndim == 0:
            raise InputError(f"has the stem of the tiny model, but no {name!r}")
        return state[name].shape[0]

    num_layers = sum(MASK_LAYER.fullmatch(name) is not None for name in state)
    dimensions = dict(blocks=_count_blocks(state), widths=tuple(outputs(f"backbone.body.layer{i}.0.conv1.weight")
                                                                for i in range(1, 5)),
                      fpn_channels=outputs("backbone.fpn.inner_blocks.0.0.weight"),
                      representation_size=outputs("roi_heads.box_head.fc6.weight"),
                      mask_layers=tuple(outputs(f"roi_heads.mask_head.{i}.0.weight") for i in range(num_layers)))
    others = next((others for others, usual in models.TINY_VERSIONS.values() if usual == dimensions), {})
    return {**others, "dimensions": dimensions}


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
