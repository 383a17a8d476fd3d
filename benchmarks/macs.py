"""Multiply-adds of a model's matrix products, stage by stage, counted from its shapes.

A convolution makes ``oh * ow * kh * kw * C_in * C_out`` of them, a linear layer ``C_in * C_out`` per row.
Everything else (norms, activations, RoIAlign, NMS) is left out: the figures are what the products alone
must cost, to be held against the time of the whole stage. One multiply-add is two floating-point operations.
"""

import checkout  # noqa: F401  (before the package)

from npmaskrcnn import nn


def conv_macs(conv, size):
    """Return (multiply-adds, output size) of one convolution on an (h, w) map."""
    kh, kw, c_in, c_out = conv.weight.data.shape
    oh, ow = ((side + 2 * conv.padding - k) // conv.stride + 1 for side, k in zip(size, (kh, kw)))
    return oh * ow * kh * kw * c_in * c_out, (oh, ow)


def body_macs(body, size):
    """Return (multiply-adds, sizes of C2..C5) for a padded image of `size`."""
    total, size = conv_macs(body.conv1, size)
    size = tuple((side - 1) // 2 + 1 for side in size)                      # max-pool 3x3/2
    sizes = []
    for _, stage in body.stages():
        for block in stage:
            inside = size
            for i in range(1, block.depth + 1):
                macs, inside = conv_macs(getattr(block, f"conv{i}"), inside)
                total += macs
            if block.downsample is not None:
                total += conv_macs(block.downsample[0], size)[0]
            size = inside
        sizes.append(size)
    return total, sizes


def per_roi_macs(module, size):
    """Return the multiply-adds for one RoI of a head that keeps its (h, w) size until it is flattened."""
    total = 0
    for _, child in module.named_modules():
        if isinstance(child, nn.Conv2d):
            total += conv_macs(child, size)[0]
        elif isinstance(child, nn.ConvTranspose2d):
            total += size[0] * size[1] * child.weight.data.size
            size = tuple(side * child.stride for side in size)
        elif isinstance(child, nn.Linear):
            total += child.weight.data.size
    return total


def stage_macs(model, padded_size, num_images, num_rois, num_mask_rois):
    """Return {stage: multiply-adds of one forward pass}, under the names of `StageClock`.

    Parameters
    ----------
    model : MaskRCNN
    padded_size : (H', W')
    num_images, num_rois, num_mask_rois : int
        Images in the batch, and RoIs over the whole batch that the two heads see.
    """
    body, sizes = body_macs(model.backbone.body, padded_size)
    pyramid = model.backbone.fpn
    fpn = sum(conv_macs(conv[0], size)[0] for blocks in (pyramid.inner_blocks, pyramid.layer_blocks)
              for conv, size in zip(blocks, sizes))
    p6 = tuple((side - 1) // 2 + 1 for side in sizes[-1])
    rpn = sum(conv_macs(child, size)[0] for size in sizes + [p6]
              for _, child in model.rpn.head.named_modules() if isinstance(child, nn.Conv2d))
    heads = model.roi_heads
    return {"body": body * num_images, "fpn": fpn * num_images, "rpn head": rpn * num_images,
            "box head": num_rois * sum(per_roi_macs(part, (7, 7))
                                       for part in (heads.box_head, heads.box_predictor)),
            "mask head": num_mask_rois * sum(per_roi_macs(part, (14, 14))
                                             for part in (heads.mask_head, heads.mask_predictor))}
