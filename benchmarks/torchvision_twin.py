"""The same model in torchvision: what references are made with and speed is compared against.

Needs torch and torchvision, which the package itself never imports. Weights, images and even the random
samples of training are shared, so that both sides compute the same numbers.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, _mobilenet_extractor, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import resize_boxes
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import MultiScaleRoIAlign

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.torch_generator import TorchGenerator  # noqa: E402, F401  (who imports the twin wants its samples too)

TORCHVISION_OPTIONS = (
    "min_size", "max_size", "image_mean", "image_std", "rpn_pre_nms_top_n_train", "rpn_pre_nms_top_n_test",
    "rpn_post_nms_top_n_train", "rpn_post_nms_top_n_test", "rpn_nms_thresh", "rpn_fg_iou_thresh",
    "rpn_bg_iou_thresh", "rpn_batch_size_per_image", "rpn_positive_fraction", "rpn_score_thresh",
    "box_score_thresh", "box_nms_thresh", "box_detections_per_img", "box_fg_iou_thresh", "box_bg_iou_thresh",
    "box_batch_size_per_image", "box_positive_fraction", "bbox_reg_weights")


def options_of(model):
    """Return the torchvision constructor options of one of our models."""
    options = model.config.as_dict()
    return {name: list(value) if isinstance(value := options[name], tuple) and name.startswith("image") else value
            for name in TORCHVISION_OPTIONS}


def poolers(config):
    """Return torchvision's box and mask pooler for our config."""
    return [MultiScaleRoIAlign(["0", "1", "2", "3"], size, 2, canonical_scale=config.canonical_scale,
                               canonical_level=config.canonical_level) for size in (7, 14)]


def tiny_twin(model):
    """Build torchvision's MaskRCNN of the tiny model's architecture, with its weights."""
    state = model.state_dict()
    config = model.config
    widths = [state[f"backbone.body.layer{i}.0.conv2.weight"].shape[0] for i in range(1, 5)]
    depths = [sum(f"backbone.body.layer{i}.{b}.conv1.weight" in state for b in range(9)) for i in range(1, 5)]
    stem = state["backbone.body.conv1.weight"].shape
    body = ResNet(BasicBlock, depths)
    body.conv1 = torch.nn.Conv2d(3, stem[0], stem[2], 2, stem[2] // 2, bias=False)
    body.bn1 = torch.nn.BatchNorm2d(stem[0])
    body.inplanes = stem[0]
    for i, (width, depth) in enumerate(zip(widths, depths), start=1):
        setattr(body, f"layer{i}", body._make_layer(BasicBlock, width, depth, 1 if i == 1 else 2))
    channels = state["backbone.fpn.inner_blocks.0.0.weight"].shape[0]
    backbone = BackboneWithFPN(body, {f"layer{i}": str(i - 1) for i in range(1, 5)}, widths, channels,
                               norm_layer=torch.nn.BatchNorm2d)
    box_pool, mask_pool = poolers(config)
    representation = state["roi_heads.box_head.fc6.weight"].shape[0]
    mask_layers = [state[f"roi_heads.mask_head.{i}.0.weight"].shape[0] for i in range(9)
                   if f"roi_heads.mask_head.{i}.0.weight" in state]
    conv_depth = sum(f"rpn.head.conv.{i}.0.weight" in state for i in range(9))
    masks = {} if not mask_layers else dict(
        mask_roi_pool=mask_pool, mask_head=MaskRCNNHeads(channels, mask_layers, 1, norm_layer=torch.nn.BatchNorm2d),
        mask_predictor=MaskRCNNPredictor(mask_layers[-1], mask_layers[-1], model.num_classes))
    twin = (MaskRCNN if masks else FasterRCNN)(
        backbone, rpn_anchor_generator=AnchorGenerator(config.anchor_sizes, config.anchor_ratios),
        rpn_head=RPNHead(channels, len(config.anchor_sizes[0]) * len(config.anchor_ratios[0]), conv_depth),
        box_roi_pool=box_pool, box_head=TwoMLPHead(channels * 49, representation),
        box_predictor=FastRCNNPredictor(representation, model.num_classes), **masks, **options_of(model))
    return load(twin, model)


def resnet_twin(model):
    """Build torchvision's model of one of our ResNet models (v1 frozen, or v2; with masks or not), with its weights."""
    built, masks = model.architecture, model.roi_heads.has_masks
    if built["builder"].endswith("_v2"):                            # torchvision's has the same name
        twin = getattr(torchvision.models.detection, built["builder"])(
            weights=None, weights_backbone=None, num_classes=model.num_classes, **options_of(model))
    else:
        norm_eps = built["config"]["norm_eps"]
        backbone = resnet_fpn_backbone(
            backbone_name=built["config"]["body"], weights=None,
            trainable_layers=built["config"]["trainable_layers"],
            norm_layer=lambda n: torchvision.ops.FrozenBatchNorm2d(n, eps=norm_eps))
        anchors = AnchorGenerator(model.config.anchor_sizes, model.config.anchor_ratios)
        twin = (MaskRCNN if masks else FasterRCNN)(backbone, model.num_classes, rpn_anchor_generator=anchors,
                                                   **options_of(model))
    twin.roi_heads.box_roi_pool, mask_roi_pool = poolers(model.config)
    if masks:
        twin.roi_heads.mask_roi_pool = mask_roi_pool
    return load(twin, model)


class ExactHardsigmoid(torch.nn.Module):
    """The same gate; torch's own multiplies its gradient by a sixth of float32, in float64 as well."""

    def forward(self, x):
        return torch.nn.functional.relu6(x + 3) / 6


def mobilenet_twin(model):
    """Build torchvision's Faster or Mask R-CNN on MobileNetV3-Large, as its own builder wires it, with our weights."""
    arguments, config = model.architecture["config"], model.config
    norm = torchvision.ops.FrozenBatchNorm2d if arguments["frozen_norm"] else torch.nn.BatchNorm2d
    body = torchvision.models.mobilenet_v3_large(weights=None, norm_layer=norm)
    for module in body.modules():
        if hasattr(module, "scale_activation"):
            module.scale_activation = ExactHardsigmoid()
    backbone = _mobilenet_extractor(body, True, arguments["trainable_layers"])
    kind, names = (MaskRCNN, ("box", "mask")) if model.roi_heads.has_masks else (FasterRCNN, ("box",))
    twin = kind(backbone, model.num_classes,
                rpn_anchor_generator=AnchorGenerator(config.anchor_sizes, config.anchor_ratios), **options_of(model),
                **{f"{name}_roi_pool": pooler for name, pooler in zip(names, poolers(config))})
    return load(twin, model)


def twin_of(model):
    """Build torchvision's twin of any of our models, with its weights and in its dtype, in eval mode."""
    if model.architecture["builder"].endswith("_mobilenet_v3_large_fpn"):
        return mobilenet_twin(model)
    return (tiny_twin if model.architecture["builder"] == "maskrcnn_tiny" else resnet_twin)(model)


def without_pasting(twin):
    """Let a twin's predictions stop at the 28x28 masks; the boxes still come back to the image's coordinates."""
    def postprocess(found, sizes, original_sizes):
        return [{**one, "boxes": resize_boxes(one["boxes"], size, original)}
                for one, size, original in zip(found, sizes, original_sizes)]
    twin.transform.postprocess = postprocess
    return twin


def load(twin, model):
    """Copy our weights into torchvision's model."""
    if model.dtype == np.float64:
        twin = twin.double()
    twin.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in model.state_dict().items()},
                         strict=True)
    return twin.eval()


def to_torch(image, dtype=torch.float32):
    """Turn our (H, W, 3) uint8 or float image into torch's (3, H, W) float tensor in 0..1."""
    image = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    return (image.to(dtype) / 255 if image.dtype == torch.uint8 else image.to(dtype)).contiguous()


def target_to_torch(target):
    """Turn our `Target` into torchvision's dict."""
    return {"boxes": torch.from_numpy(np.array(target.boxes)), "labels": torch.from_numpy(np.array(target.labels)),
            "masks": torch.from_numpy(np.array(target.masks, dtype=np.uint8))}


def torch_losses_and_grads(twin, images, targets, seed, dtype=torch.float32):
    """Return torchvision's losses and gradients (by parameter name), sampled with `seed`."""
    twin.train()
    twin.zero_grad()
    torch.manual_seed(seed)
    losses = twin([to_torch(image, dtype) for image in images], [target_to_torch(t) for t in targets])
    sum(losses.values()).backward()
    twin.eval()
    grads = {name: p.grad.numpy().copy() for name, p in twin.named_parameters() if p.grad is not None}
    return {name: value.item() for name, value in losses.items()}, grads
