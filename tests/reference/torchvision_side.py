"""What torchvision computes on the way, by the names and in the layout of `cases.stages_of`. Needs torch."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402

from benchmarks.torchvision_twin import target_to_torch, to_torch, twin_of  # noqa: E402, F401
from tests.reference.cases import without_rounding  # noqa: E402

VERSIONS = {"torch": torch.__version__, "torchvision": torchvision.__version__}


def nhwc(tensor):
    """(N, C, H, W) tensor -> (N, H, W, C) array."""
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def record(module, into, name):
    """Keep what `module` returns under `name` in the dict `into`, call by call; return the hook that does it."""
    return module.register_forward_hook(lambda _module, _inputs, output: into.setdefault(name, []).append(output))


def record_method(module, into, name, bound):
    """Keep what the method `bound` of `module` returns under `name` in the dict `into`, call by call."""
    method = getattr(module, bound)

    def recorded(*args, **kwargs):
        output = method(*args, **kwargs)
        into.setdefault(name, []).append(output)
        return output

    setattr(module, bound, recorded)


def stages_of(twin, images):
    """Predict, and return every stage's arrays by name."""
    dtype = next(twin.parameters()).dtype
    seen = {}
    heads = twin.roi_heads
    hooks = [record(module, seen, name) for module, name in [
        (twin.transform, "transform"), (twin.backbone.body, "body"), (twin.backbone, "backbone"),
        (twin.rpn.head, "rpn_head"), (twin.rpn.anchor_generator, "anchors"), (heads.box_predictor, "box"),
        *([(heads.mask_predictor, "mask_logits")] if heads.has_mask() else [])]]
    # The dicts of detections are changed in place by what follows, so their boxes are copied here.
    hooks.append(heads.register_forward_hook(
        lambda _module, _inputs, output: seen.update(found=[[d["boxes"].clone() for d in output[0]]])))
    record_method(twin.rpn, seen, "proposals", "filter_proposals")
    with torch.no_grad():
        results = twin([to_torch(image, dtype) for image in images])
    for hook in hooks:
        hook.remove()
    del twin.rpn.filter_proposals       # the class's own again
    first = {name: outputs[0] for name, outputs in seen.items()}
    stages = {"batch": nhwc(first["transform"][0].tensors)}
    stages.update({f"C{i}": nhwc(level) for i, level in enumerate(first["body"].values(), start=2)})
    stages.update({f"P{i}": nhwc(level) for i, level in enumerate(first["backbone"].values(), start=2)})
    objectness, deltas = ([nhwc(level) for level in levels] for levels in first["rpn_head"])
    ends = np.cumsum([level[0].size for level in objectness])[:-1]
    stages.update({f"anchors/P{i}": a for i, a in enumerate(np.split(first["anchors"][0].numpy(), ends), start=2)})
    stages.update({f"objectness/P{i}": level for i, level in enumerate(objectness, start=2)})
    stages.update({f"deltas/P{i}": level.reshape(level.shape[:3] + (-1, 4))
                   for i, level in enumerate(deltas, start=2)})
    boxes, scores = first["proposals"]
    counts = [len(b) for b in boxes]
    class_logits, box_deltas = (values.split(counts) for values in first["box"])
    for i, result in enumerate(results):
        stages.update({
            f"proposals/{i}": boxes[i].numpy(), f"proposal_scores/{i}": scores[i].numpy(),
            f"class_logits/{i}": class_logits[i].numpy(),
            f"box_deltas/{i}": box_deltas[i].numpy().reshape(counts[i], -1, 4),
            f"detection_boxes/{i}": first["found"][i].numpy(), f"boxes/{i}": result["boxes"].numpy(),
            f"labels/{i}": result["labels"].numpy(), f"scores/{i}": result["scores"].numpy()})
    if heads.has_mask():
        for i, logits in enumerate(first["mask_logits"].split([len(b) for b in first["found"]])):
            stages.update({f"mask_logits/{i}": nhwc(logits), f"masks/{i}": results[i]["masks"][:, 0].numpy()})
    return stages


def training_of(twin, images, targets, seed):
    """Take a training pass; return losses, gradients and running statistics by name."""
    dtype = next(twin.parameters()).dtype
    inputs = [to_torch(image, dtype).requires_grad_() for image in images]
    twin.train()
    twin.zero_grad()
    torch.manual_seed(seed)
    losses = twin(inputs, [target_to_torch(target) for target in targets])
    sum(losses.values()).backward()
    twin.eval()
    taken = {f"losses/{name}": loss.detach().numpy() for name, loss in losses.items()}
    taken.update({f"grads/{key}": p.grad.numpy() for key, p in twin.named_parameters() if p.requires_grad})
    taken.update({f"dimages/{i}": nhwc(x.grad[None])[0] for i, x in enumerate(inputs)})
    norms = any(isinstance(module, torch.nn.BatchNorm2d) for module in twin.modules())
    taken.update({f"running/{key}": value.numpy() for key, value in twin.state_dict().items()
                  if norms and key.endswith(("running_mean", "running_var"))})
    return without_rounding(taken)
