"""A model that trains in a millisecond a step, with the interface and the part names of the real one.

What is tested on it are the loop and those who listen: they know no more of a model than this one has. That the real
model trains in the same way is held in `test_real_model`.
"""

import numpy as np
import pytest

from npmaskrcnn.nn.module import Buffer, Module, Parameter
from npmaskrcnn.structures import Detections, Target
from npmaskrcnn.network import LOSS_NAMES


class Node(Module):
    """A node of the tree with given children and arrays."""

    def __init__(self, **children):
        vars(self).update(children)


class Layer(Module):
    def __init__(self, shape, rng):
        self.weight = Parameter(rng.standard_normal(shape).astype(np.float32))
        self.bias = Parameter(np.zeros(shape[-1], np.float32))
        self.running_mean = Buffer(np.zeros(shape[-1], np.float32))


class FakeModel(Module):
    """Regresses the mean color of the images, through five layers with Mask R-CNN's part names.

    ``losses["loss_mask"]`` and so on are the squared errors of one layer each. Uses `rng` as the real model
    does and moves a running mean, so that a resumed run shows whether all was restored.
    """

    architecture = {"builder": "fake", "num_classes": 4, "config": {"width": 3}}
    num_classes = 4
    config = {"width": 3}

    def __init__(self, seed=0, width=3):
        rng = np.random.default_rng(seed)
        self.class_names, self.untrained = None, True
        layers = [Layer((3, width), rng) for _ in LOSS_NAMES]
        self.backbone = Node(body=layers[0], fpn=layers[1])
        self.rpn = Node(head=layers[2])
        self.roi_heads = Node(box_head=layers[3], mask_head=layers[4], has_masks=True)
        self.explode_at, self.calls = None, 0

    def loss_and_grads(self, images, targets, rng, loss_weights=None):
        self.zero_grad()
        self.untrained = False
        self.calls += 1
        color = np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images]) / 255
        color = color[rng.permutation(len(color))] * np.float32(1 + 0.1 * rng.random())
        layers = [module for _, module in self.named_modules() if isinstance(module, Layer)]
        losses = {}
        for name, layer in zip(LOSS_NAMES, layers):
            y = color @ layer.weight.data + layer.bias.data
            losses[name] = float((y ** 2).mean())
            dy = 2 * y / y.size * np.float32((loss_weights or {}).get(name, 1))
            layer.weight.add_grad(color.T @ dy)
            layer.bias.add_grad(dy.sum(axis=0))
            layer.running_mean.data = 0.9 * layer.running_mean.data + np.float32(0.1) * y.mean(axis=0)
        if self.calls == self.explode_at:
            losses["loss_mask"] = float("nan")
        return losses

    def predict(self, images, score_threshold=None, iou_threshold=None, paste_all=True):
        masks = np.zeros((1, *images[0].shape[:2]), np.float32)
        masks[0, 2:8, 3:12] = 0.9
        boxes, scores = np.array([[3, 2, 12, 8]], np.float32), np.array([0.8], np.float32)
        return [Detections(boxes, np.array([1]), scores, masks) for _ in images]


class Boxes:
    """A dataset of gray images with one box each, the same box, and a noise of the image's own."""

    class_names = ["background", "circle", "square", "triangle"]

    def __init__(self, num_images=7, size=(12, 20), label=1):
        self.num_images, self.image_size, self.label = num_images, size, label
        self.interrupt_at, self.reads = None, 0

    def __len__(self):
        return self.num_images

    def __getitem__(self, index):
        self.reads += 1
        if self.reads == self.interrupt_at:
            raise KeyboardInterrupt
        rng = np.random.default_rng(index)
        masks = np.zeros((1, *self.image_size), bool)
        masks[0, 2:8, 3:12] = True
        image = rng.integers(0, 255, (*self.image_size, 3)).astype(np.uint8)
        return image, Target([[3, 2, 12, 8]], [self.label], masks)


@pytest.fixture
def fake_model():
    return FakeModel


@pytest.fixture
def boxes():
    return Boxes
