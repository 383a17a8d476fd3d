"""Which models, on which images, are held against torchvision: shared by the scripts that store and the tests.

Images and targets are drawn here with whole numbers of the legacy generator, so that they are the same
everywhere. Models are small in what costs time (image size, proposals) and whole in everything else.
"""

import functools
from typing import NamedTuple

import numpy as np

from npmaskrcnn import (Target, fasterrcnn_mobilenet_v3_large_fpn, fasterrcnn_resnet50_fpn,
                        maskrcnn_mobilenet_v3_large_fpn, maskrcnn_resnet50_fpn_v2, maskrcnn_resnet_fpn, maskrcnn_tiny)
from npmaskrcnn.images import as_float_image
from npmaskrcnn.nn import FrozenBatchNorm2d
from npmaskrcnn.training import SGD
from tests.reference.weights_by_key import weights_by_key
from tests.torch_generator import TorchGenerator

SMALL = dict(rpn_pre_nms_top_n_train=200, rpn_pre_nms_top_n_test=200, rpn_post_nms_top_n_train=100,
             rpn_post_nms_top_n_test=30, rpn_batch_size_per_image=64, box_batch_size_per_image=12,
             box_detections_per_img=12,
             canonical_scale=28)    # of 224, all RoIs of small images would be pooled from P2

# All said, so that other defaults of the tiny model ask for no other references.
TINY = dict(anchor_sizes=((12,), (24,), (48,), (96,), (128,)), rpn_pre_nms_top_n_train=300,
            rpn_pre_nms_top_n_test=200,
            rpn_post_nms_top_n_train=150, rpn_post_nms_top_n_test=60, rpn_batch_size_per_image=128,
            box_batch_size_per_image=64, box_positive_fraction=0.25, box_score_thresh=0.25, canonical_scale=56)


def tiny(**options):
    """The tiny model for which the answers were made."""
    return maskrcnn_tiny(version=1, **options)


class Case(NamedTuple):
    """A model, its options and its images."""

    builder: object
    options: dict
    dtypes: tuple               # in which torchvision's answers are stored
    image_sizes: tuple          # (H, W) of the given images
    weights_seed: int = 0
    sample_seed: int = 3        # of torch's generator in training


CASES = {
    "tiny": Case(tiny, dict(num_classes=4, min_size=(112, 128), max_size=160, **TINY),
                 ("float64", "float32"),
                 ((90, 125), (140, 100)), weights_seed=5),
    "resnet18": Case(maskrcnn_resnet_fpn, dict(body="resnet18", num_classes=4, min_size=64, max_size=96, **SMALL),
                     ("float64", "float32"), ((90, 125), (140, 100)), weights_seed=1),
    "resnet50": Case(maskrcnn_resnet_fpn, dict(body="resnet50", num_classes=5, trainable_layers=3, min_size=80,
                                               max_size=112, **SMALL), ("float64", "float32"), ((81, 125), (112, 90)),
                     weights_seed=1),
    "resnext50_32x4d": Case(maskrcnn_resnet_fpn,
                            dict(body="resnext50_32x4d", num_classes=3, norm_eps=0.0, trainable_layers=4, min_size=64,
                                 max_size=96, **SMALL), ("float64",), ((96, 125), (130, 70)), weights_seed=4),
    "resnet50_v2": Case(maskrcnn_resnet50_fpn_v2, dict(num_classes=3, min_size=64, max_size=96, **SMALL),
                        ("float64",), ((96, 125), (130, 70)), weights_seed=3),
    "fasterrcnn_resnet50": Case(fasterrcnn_resnet50_fpn, dict(num_classes=4, trainable_layers=3, min_size=64,
                                                              max_size=96, **SMALL), ("float64", "float32"),
                                ((85, 120), (130, 75)), weights_seed=2),
    "mobilenet": Case(maskrcnn_mobilenet_v3_large_fpn, dict(num_classes=4, min_size=224, max_size=320, **SMALL),
                      ("float64", "float32"), ((170, 230), (200, 145)), weights_seed=5),
    "mobilenet_frozen": Case(fasterrcnn_mobilenet_v3_large_fpn,
                             dict(num_classes=5, frozen_norm=True, trainable_layers=4, min_size=192, max_size=288,
                                  **SMALL), ("float64",), ((150, 215), (220, 130)), weights_seed=5),
}


class NoDraws:
    """A generator that spares the time of drawing first weights that are then replaced."""

    def normal(self, _mean, _std, shape):
        return np.zeros(shape, np.float32)

    def uniform(self, _low, _high, shape):
        return np.zeros(shape, np.float32)


def build(name, dtype="float64"):
    """Build the case's model with its weights drawn by key."""
    case = CASES[name]
    model = case.builder(**case.options, rng=NoDraws())
    model.load_state_dict(weights_by_key(model.state_dict(), case.weights_seed))
    return model if dtype == "float32" else model.astype(dtype)     # values are float32's in either


def scene(size, seed, num_classes, num_objects=3):
    """Draw a noisy image with a few rectangles and discs, in front of each other; return it and its `Target`.

    Parameters
    ----------
    size : (H, W)
    seed : int
    num_classes : int
        With background.
    num_objects : int
    """
    # int64 by name: the default is another type, and another stream, on some systems
    whole = functools.partial(np.random.RandomState(seed).randint, dtype=np.int64)
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = whole(0, 60, (height, width, 3)) + whole(0, 60, 3) + (y + 2 * x)[:, :, None] % 64
    boxes, labels, masks = [], [], []
    for i in range(num_objects):
        half_h, half_w = whole(height // 8, height // 3), whole(width // 8, width // 3)
        cy, cx = whole(half_h, height - half_h), whole(half_w, width - half_w)
        if i % 2:
            mask = (abs(y - cy) <= half_h) & (abs(x - cx) <= half_w)
        else:
            mask = ((y - cy) * half_w) ** 2 + ((x - cx) * half_h) ** 2 <= (half_h * half_w) ** 2
        image[mask] = whole(0, 200, 3) + whole(0, 50, (mask.sum(), 3))
        masks = [m & ~mask for m in masks] + [mask]
        labels.append(1 + whole(num_classes - 1))
    masks = np.array(masks)
    visible = masks.sum(axis=(1, 2)) > 20
    masks, labels = masks[visible], np.array(labels)[visible]
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return image.clip(0, 255).astype(np.uint8), Target(np.array(boxes, float), labels, masks)


def images_and_targets(name):
    """Draw the case's images and targets."""
    case = CASES[name]
    scenes = [scene(size, 10 + i, case.options["num_classes"]) for i, size in enumerate(case.image_sizes)]
    return [image for image, _ in scenes], [target for _, target in scenes]


def stages_of(model, images):
    """Predict, and return every stage's arrays by name, as `torchvision_side.stages_of` does for torchvision."""
    batch = model.transform.forward([as_float_image(image, dtype=model.dtype) for image in images], model.dtype)
    traces, stages = model.infer(batch), {"batch": batch.images}
    for name, kind, join in [("C", "body_features", np.concatenate), ("P", "features", np.concatenate),
                             ("objectness/P", "objectness", np.stack), ("deltas/P", "deltas", np.stack)]:
        levels = zip(*(getattr(found, kind) for found in traces))
        stages.update({f"{name}{i}": join(level) for i, level in enumerate(levels, start=2)})
    stages.update({f"anchors/P{i}": level for i, level in enumerate(traces[0].anchors, start=2)})
    for i, found in enumerate(traces):
        detections = model.detections(found, batch.original_sizes[i])
        stages.update({
            f"proposals/{i}": found.proposals, f"proposal_scores/{i}": found.proposal_scores,
            f"class_logits/{i}": found.class_logits, f"box_deltas/{i}": found.box_deltas,
            f"detection_boxes/{i}": found.detection_boxes, f"boxes/{i}": detections.boxes,
            f"labels/{i}": detections.labels, f"scores/{i}": detections.scores})
        if detections.masks is not None:
            stages.update({f"mask_logits/{i}": found.mask_logits, f"masks/{i}": detections.masks})
    return stages


def training_of(model, images, targets, seed):
    """Take a training pass; return losses, gradients and running statistics by name."""
    losses, dimages = model.loss_and_grads(images, targets, TorchGenerator(seed), return_dimages=True)
    taken = {f"losses/{name}": np.array(value) for name, value in losses.items()}
    taken.update({f"grads/{key}": value for key, value in model.grad_dict().items()})
    taken.update({f"dimages/{i}": value for i, value in enumerate(dimages)})
    if not any(isinstance(module, FrozenBatchNorm2d) for _, module in model.named_modules()):
        taken.update({f"running/{key}": value.data for key, value in model.named_arrays()
                      if key.endswith(("running_mean", "running_var"))})
    return without_rounding(taken)


def without_rounding(taken):
    """Leave out gradients that are zero but for rounding: of a bias that nobody but batch norms sees.

    Such is the norm's bias at the end of an inverted residual block. A batch norm takes off again what is added to all
    pixels, so each side is left with rounding of its own.
    """
    noise = [name for name, gradient in taken.items() if name.startswith("grads/") and name.endswith(".bias")
             and np.abs(gradient).max() < 1e-9 * np.abs(taken[name.removesuffix("bias") + "weight"]).max()]
    return {name: array for name, array in taken.items() if name not in noise}


STEPS, TRAJECTORY_SGD, TRAJECTORY_SEED = 20, dict(lr=0.005, momentum=0.9), 8


def trajectory_model():
    """Build the model that takes the training trajectory: tiny, small images, float64."""
    model = tiny(num_classes=4, rng=NoDraws(), **{**TINY, "min_size": (80, 96), "max_size": 128})
    model.load_state_dict(weights_by_key(model.state_dict(), seed=5))
    return model.astype(np.float64)


def trajectory_batch(step):
    """Draw the two images and targets of a step; they come round again every other step."""
    scenes = [scene(size, 30 + 2 * (step % 2) + i, 4, 2) for i, size in enumerate([(72, 100), (96, 76)])]
    return [image for image, _ in scenes], [target for _, target in scenes]


def our_trajectory():
    """Take the steps; return the (STEPS, 5) losses before each."""
    model, rng = trajectory_model(), TorchGenerator(TRAJECTORY_SEED)
    optimizer = SGD(model.named_parameters(), **TRAJECTORY_SGD)
    losses = []
    for step in range(STEPS):
        losses.append(list(model.loss_and_grads(*trajectory_batch(step), rng).values()))
        optimizer.step()
    return np.array(losses)
