"""Make ``state_dicts.json``: keys, shapes and order of torchvision's state dicts, what each freezes, defaults.

And ``state_dicts_mobilenet.json``, the same of its Faster R-CNN on MobileNetV3-Large, frozen and not.

Run: ``python tests/reference/make_state_dicts.py`` (needs torch and torchvision). Nothing is computed or
downloaded: the models are built without memory.
"""

import hashlib
import inspect
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402
from torchvision.models import mobilenet_v3_large  # noqa: E402
from torchvision.models.detection import FasterRCNN, MaskRCNN, maskrcnn_resnet50_fpn_v2  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.backbone_utils import _mobilenet_extractor, resnet_fpn_backbone  # noqa: E402
from torchvision.ops import FrozenBatchNorm2d  # noqa: E402

from tests.reference import torchvision_side as side  # noqa: E402

BODIES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d")


def resnet_model(body, trainable_layers, norm_layer=FrozenBatchNorm2d):
    backbone = resnet_fpn_backbone(backbone_name=body, weights=None, trainable_layers=trainable_layers,
                                   norm_layer=norm_layer)
    return MaskRCNN(backbone, 91)


def mobilenet_model(trainable_layers, norm_layer=FrozenBatchNorm2d):
    """Build what torchvision's ``fasterrcnn_mobilenet_v3_large_fpn`` does, which downloads weights for frozen norms."""
    backbone = _mobilenet_extractor(mobilenet_v3_large(weights=None, norm_layer=norm_layer), True, trainable_layers)
    anchors = AnchorGenerator(((32, 64, 128, 256, 512),) * 3, ((0.5, 1.0, 2.0),) * 3)
    return FasterRCNN(backbone, 91, rpn_anchor_generator=anchors)


def frozen_keys(model):
    return [key for key, parameter in model.named_parameters() if not parameter.requires_grad]


def described(model, build, most_layers=5):
    """List keys and shapes, the number of parameters, and the frozen keys for each number of trainable layers."""
    return {"state": [[key, list(value.shape)] for key, value in model.state_dict().items()],
            "num_parameters": sum(p.numel() for p in model.parameters()),
            "frozen": [frozen_keys(build(layers)) for layers in range(most_layers + 1)]}


def constructor_defaults(model):
    return {name: p.default for name, p in inspect.signature(model).parameters.items()
            if isinstance(p.default, (int, float))}


def main():
    with torch.device("meta"):
        models = {body: described(resnet_model(body, 5), lambda layers, body=body: resnet_model(body, layers))
                  for body in BODIES}
        # Without weights, v2's builder trains all layers; its body is frozen as every body is.
        models["v2"] = described(maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None),
                                 lambda layers: resnet_model("resnet50", layers, torch.nn.BatchNorm2d))
    defaults = {**constructor_defaults(FasterRCNN), **constructor_defaults(MaskRCNN)}
    models["constructor_defaults"] = defaults
    store("state_dicts", models)
    with torch.device("meta"):
        store("state_dicts_mobilenet", {
            name: described(mobilenet_model(6, norm), lambda layers, norm=norm: mobilenet_model(layers, norm), 6)
            for name, norm in (("frozen", FrozenBatchNorm2d), ("batch", torch.nn.BatchNorm2d))})


def store(name, models):
    stored = {"meta": {**side.VERSIONS, "seed": None, "options": {"num_classes": 91},
                       "digest": hashlib.sha256(json.dumps(models).encode()).hexdigest()}, "models": models}
    path = Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps(stored, separators=(",", ":")).replace('"],[', '"],\n[') + "\n")
    print(path.name, {name: (len(m["state"]), m["num_parameters"]) for name, m in models.items() if "state" in m},
          f"{path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
