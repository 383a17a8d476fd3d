"""Which channels can be taken out of a model, and what has to be cut together.

A channel is made by one layer and read by others. Take it out, and the maker loses a column of its weight, an entry of
its bias and the norm's numbers for it; each taker loses the rows that read it. Where maps are added, several makers
write the same channels: the blocks of a stage add to one stream, the laterals of the pyramid to one sum. And where one
layer looks at several maps, as the RPN does at all levels, these have the same channels as well. So channels come in
*groups* that are cut as one: `channel_groups` lists them.

``inner`` channels live inside a residual block, between its convolutions; nothing is added to them, and they are the
easiest to spare. Those of the ``stream`` are what the blocks of a stage add to; ``pyramid`` are the sums, and the
outputs, of the feature pyramid; ``rpn``, ``box`` and ``mask`` are the hidden channels of the heads. Channels of
grouped and depthwise convolutions are tied to each other and are left alone, as are bodies that are not residual
networks.
"""

from typing import NamedTuple

import numpy as np

from .. import nn
from ..errors import InputError
from ..judge import refusal
from ..stages.fpn import FeaturePyramidNetwork
from ..stages.resnet import ResNet

KINDS = ("inner", "stream", "pyramid", "rpn", "box", "mask")
LAYERS, NORMS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear), (nn.BatchNorm2d, nn.FrozenBatchNorm2d)


class Group(NamedTuple):
    """Channels that are cut together."""

    kind: str       # one of `KINDS`
    makers: list    # (layer, its norm or None) of those that write the channels
    takers: list    # layers that read them

    @property
    def size(self):
        """Number of channels."""
        return self.makers[0][0].weight.data.shape[-1]


def heads_of(model):
    """Return the RPN's head, and the heads of regions; raise `InputError` for a model that has none of them."""
    if not hasattr(model, "roi_heads"):
        raise InputError(f"model: is a {type(model).__name__}; what can be pruned is known for a MaskRCNN only")
    return model.rpn.head, model.roi_heads


def channel_groups(model):
    """List what can be cut.

    Parameters
    ----------
    model : MaskRCNN

    Returns
    -------
    groups : dict of str to Group
        By the path of the first layer that makes the channels.

    Raises
    ------
    InputError
        If the model has no regions, no feature pyramid, or one that does not read all levels of the body.

    Examples
    --------
    >>> from npmaskrcnn import maskrcnn_tiny
    >>> groups = channel_groups(maskrcnn_tiny())
    >>> {name: group.size for name, group in groups.items() if group.kind in ("rpn", "box")}
    {'rpn.head.conv.0.0': 48, 'roi_heads.box_head.fc6': 128, 'roi_heads.box_head.fc7': 128}
    """
    if not hasattr(model, "architecture") or not isinstance(model, nn.Module):
        raise refusal("model", "a MaskRCNN", model)
    paths = {id(module): path for path, module in model.named_modules()}
    fpn, (head, heads) = model.backbone.fpn, heads_of(model)
    if not isinstance(fpn, FeaturePyramidNetwork):
        raise InputError(f"model: has a {type(fpn).__name__} where channels are known for a feature pyramid; nothing "
                         "is cut out of it")
    found = list(_groups_of_body(model.backbone.body, fpn)) if isinstance(model.backbone.body, ResNet) else []

    rpn = _layers(head.conv)
    chains = [("rpn", rpn, [head.cls_logits, head.bbox_pred])]
    box = _layers(heads.box_head)
    chains.append(("box", box, [layer for layer, _ in _layers(heads.box_predictor)]))
    readers = [rpn[0][0], box[0][0]]
    if heads.has_masks:
        *mask, (last, _) = _layers(heads.mask_head) + _layers(heads.mask_predictor)
        chains.append(("mask", mask, [last]))
        readers.append(mask[0][0])
    laterals, outputs = ([block.conv_and_norm() for block in blocks] for blocks in (fpn.inner_blocks, fpn.layer_blocks))
    found += [Group("pyramid", laterals, [conv for conv, _ in outputs]), Group("pyramid", outputs, readers)]
    for kind, chain, ends in chains:
        found += _groups_of_chain(kind, chain, ends)
    return {paths[id(group.makers[0][0])]: group for group in found if _can_be_cut(group)}


def cut(group, kept):
    """Keep only these channels of a group.

    Parameters
    ----------
    group : Group
    kept : (K,) int ndarray
        Their numbers, ascending.
    """
    for maker, norm in group.makers:
        maker.weight.data = np.take(maker.weight.data, kept, axis=-1)
        arrays = [] if maker.bias is None else [maker.bias]
        arrays += [] if norm is None else [value for _, value in norm.named_arrays() if value.data.ndim]
        for value in arrays:
            value.data = value.data[kept]
    for taker in group.takers:
        if not isinstance(taker, nn.Linear):
            taker.weight.data = np.take(taker.weight.data, kept, axis=2)
        elif taker.flattened_from is None:
            taker.weight.data = taker.weight.data[kept]
        else:                                           # its rows are (y, x, C): each pixel loses the same ones
            height, width, channels = taker.flattened_from
            patches = taker.weight.data.reshape(height, width, channels, -1)[:, :, kept]
            taker.weight.data = patches.reshape(height * width * len(kept), -1)
            taker.flattened_from = height, width, len(kept)


def _groups_of_body(body, fpn):
    """Yield the groups of a residual body: the streams, and what is inside the blocks."""
    makers, takers = [(body.conv1, body.bn1)], []
    for (_, stage), lateral in zip(body.stages(), fpn.inner_blocks):
        for block in stage:
            path = [(conv, norm) for _, conv, norm in block.layers()]
            takers.append(path[0][0])
            if block.downsample is not None:            # what is added to from here on is another stream
                takers.append(block.downsample.conv_and_norm()[0])
                yield Group("stream", makers, takers)
                makers, takers = [block.downsample.conv_and_norm()], []
            makers.append(path[-1])
            yield from _groups_of_chain("inner", path[:-1], [path[-1][0]])
        takers.append(lateral.conv_and_norm()[0])
    yield Group("stream", makers, takers)


def _groups_of_chain(kind, chain, ends):
    """Return the groups of layers that feed each other in a row, and the last of them the `ends`."""
    takers = [[layer] for layer, _ in chain[1:]] + [ends]
    return [Group(kind, [maker], takes) for maker, takes in zip(chain, takers)]


def _layers(module):
    """List ``(layer, its norm or None)`` of what is below a module, in forward order."""
    found = []
    for _, child in module.named_modules():
        if isinstance(child, LAYERS):
            found.append((child, None))
        elif isinstance(child, NORMS):
            found[-1] = found[-1][0], child
    return found


def _can_be_cut(group):
    return all(getattr(layer, "groups", 1) == 1 for layer in [maker for maker, _ in group.makers] + group.takers)
