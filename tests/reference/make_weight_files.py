"""Make the stored files of `tests/reference/weights/`: what torch, torchvision and safetensors write.

Run it with torch, torchvision and safetensors installed: ``python tests/reference/make_weight_files.py``.
The tests read what it wrote, and never import any of the three.
"""

import argparse
import collections
import json
import pathlib

import numpy as np
import torch
import torchvision
from torchvision.models.detection import (MaskRCNN, fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn,
                                          maskrcnn_resnet50_fpn_v2)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "weights"
SEED = 20


def small_network():
    """A convolution, a BatchNorm with its counter, a linear layer: what state dicts consist of."""
    torch.manual_seed(SEED)
    conv, bn, fc = torch.nn.Conv2d(3, 4, (2, 3)), torch.nn.BatchNorm2d(4), torch.nn.Linear(5, 2)
    return torch.nn.Sequential(collections.OrderedDict(conv=conv, bn=bn, fc=fc))


def odd_tensors():
    """Windows on storages: transposed, offset, repeated, shared, scalar and empty."""
    base = torch.arange(12.0).reshape(3, 4)
    return {
        "base": base, "transposed": base.t(), "row": base[2], "column": base[:, 1], "steps": base[::2, 1::2],
        "repeated": torch.tensor([7.0]).expand(2, 3), "scalar": torch.tensor(5, dtype=torch.int64),
        "empty": torch.zeros(0, 4), "last": base[2:, 3:], "parameter": torch.nn.Parameter(base[:2] + 0.5),
    }


def all_dtypes():
    """One tensor of each dtype that a storage class stands for."""
    names = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8".split()
    tensors = {name: torch.tensor([[1, 2, 3], [100, 0, 7]], dtype=getattr(torch, name)) for name in names}
    return {**tensors, "bool": torch.tensor([True, False, True])}


def to_numpy(tensors):
    """The values as arrays, bfloat16 as float32."""
    return {
        name: (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).detach().numpy()
        for name, tensor in tensors.items()
    }


def save_both(tensors, name):
    """Save in torch's two containers."""
    torch.save(tensors, FOLDER / f"{name}_zip.pth")
    torch.save(tensors, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)


def make_torch_files():
    network = small_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network.fc(torch.ones(2, 5)).sum().backward()
    optimizer.step()
    state = network.state_dict()
    save_both(state, "network")
    save_both(odd_tensors(), "odd")
    save_both(all_dtypes(), "dtypes")
    checkpoint = {"epoch": 3, "lr": 0.1, "model": state, "optimizer": optimizer.state_dict(), "best": None}
    torch.save(checkpoint, FOLDER / "checkpoint_model.pth")
    torch.save({"state_dict": state, "losses": [0.5, 0.25]}, FOLDER / "checkpoint_state_dict.pth")
    make_checkpoints(network, optimizer)
    # What has to be refused:
    torch.save(network, FOLDER / "refused_whole_network.pth")
    torch.save({"x": torch.tensor([1, 2], dtype=torch.uint16)}, FOLDER / "refused_uint16.pth")
    torch.save(state, FOLDER / "refused_protocol_4.pth", pickle_protocol=4)
    torch.save({"w": torch.tensor([[1.0, float("nan")]])}, FOLDER / "refused_nan.pth")

    contiguous = {name: tensor.contiguous().clone() for name, tensor in {**state, **all_dtypes()}.items()}
    save_file(contiguous, FOLDER / "network.safetensors", metadata={"format": "pt"})
    arrays = {
        **{f"network/{name}": array for name, array in to_numpy(state).items()},
        **{f"odd/{name}": array for name, array in to_numpy(odd_tensors()).items()},
        **{f"dtypes/{name}": array for name, array in to_numpy(all_dtypes()).items()},
    }
    np.savez_compressed(FOLDER / "expected.npz", **arrays)


def make_checkpoints(network, optimizer):
    """What a training writes beside the weights: arguments, schedules, moments, averages, random states."""
    state = network.state_dict()
    schedules = torch.optim.lr_scheduler
    chain = [schedules.LinearLR(optimizer), schedules.LambdaLR(optimizer, lambda epoch: 0.5)]
    checkpoint = {  # as torchvision's reference scripts write it, with --amp and --model-ema
        "model": state, "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedules.MultiStepLR(optimizer, milestones=[16, 22]).state_dict(),
        "args": argparse.Namespace(lr=0.1, device=torch.device("cpu"), lr_steps=[16, 22], data_path=pathlib.Path("d")),
        "epoch": 3, "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "model_ema": torch.optim.swa_utils.AveragedModel(network).state_dict(),
        "warmup": schedules.SequentialLR(optimizer, chain, [3]).state_dict(), "rng": torch.get_rng_state(),
        "seen": {1, 2}, "best": np.float64(0.5), "history": np.arange(3),
        "complex": torch.ones(2, dtype=torch.complex64),
        "mean": collections.defaultdict(collections.deque, {(1, 2.5): collections.deque([None])}),
    }
    torch.save(checkpoint, FOLDER / "checkpoint_references.pth")
    del checkpoint["complex"]  # in the older container all storages have to be understood
    torch.save(checkpoint, FOLDER / "checkpoint_references_legacy.pth", _use_new_zipfile_serialization=False)


def make_key_lists():
    """Keys and shapes of torchvision's models: body -> [[key, shape], ...]."""
    untrained = dict(weights=None, weights_backbone=None)
    models = {
        "maskrcnn_resnet50_fpn": maskrcnn_resnet50_fpn(num_classes=7, **untrained),
        "maskrcnn_resnet50_fpn_v2": maskrcnn_resnet50_fpn_v2(num_classes=5, **untrained),
        "fasterrcnn_resnet50_fpn": fasterrcnn_resnet50_fpn(**untrained),
    }
    for body in ("resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d"):
        backbone = resnet_fpn_backbone(backbone_name=body, weights=None)
        models[f"frozen_{body}"] = MaskRCNN(backbone, num_classes=91)
    lists = {name: [[key, list(value.shape)] for key, value in model.state_dict().items()]
             for name, model in models.items()}
    lists["old_names"] = old_names(models["frozen_resnet50"])
    lists["versions"] = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    with open(FOLDER / "torchvision_keys.json", "w") as file:
        json.dump(lists, file, separators=(",", ":"))


def old_names(model):
    """Pairs of old and new names, proved by having torchvision load a file with the old ones."""
    pairs = []
    for name in model.state_dict():
        old = name
        if name.startswith("backbone.fpn."):
            old = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        elif name.startswith("rpn.head.conv."):
            old = name.replace("conv.0.0.", "conv.")
        elif name.startswith("roi_heads.mask_head."):
            number = int(name.split(".")[2])
            old = name.replace(f"mask_head.{number}.0.", f"mask_head.mask_fcn{number + 1}.")
        if old != name:
            pairs.append([old, name])
    new_to_old = {new: old for old, new in pairs}
    state = {name: torch.randn(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({new_to_old.get(name, name): value for name, value in state.items()}, strict=True)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    return pairs


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_torch_files()
    make_key_lists()
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{total} bytes in {FOLDER}, torch {torch.__version__}, torchvision {torchvision.__version__}")
