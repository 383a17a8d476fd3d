"""What both sides are given: weights in a file, and images with their targets in another.

The tiny model is timed with trained weights, because an untrained one finds no objects and so has no work
for its mask head. The full model has random weights (published ones can be named), adjusted so that as many
things are found as in a photograph.
"""

import dataclasses
from pathlib import Path

import checkout  # noqa: F401  (before the package)
import numpy as np
from scene_file import read, write  # noqa: F401  (who imports the scenes reads them too)

import npmaskrcnn
from npmaskrcnn import InputError
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.shipped import data_file
from npmaskrcnn.structures import Target


def tiny(folder, batch_size=4, weights=None):
    """Return (weights file, scene file) for the tiny model: standard shapes, the shipped weights if no others."""
    if weights:                     # refuse what cannot be used, before other processes do
        builder = npmaskrcnn.load(weights).architecture["builder"]
        if builder != "maskrcnn_tiny":
            raise InputError(f"{weights}: is a {builder}; expected a maskrcnn_tiny")
    weights = Path(weights) if weights else data_file("tiny.npz")
    dataset = ShapesDataset(batch_size, seed=7)
    images, targets = zip(*(dataset[i] for i in range(batch_size)))
    scene = Path(folder) / "tiny-scene.npz"
    write(scene, [image.astype(np.float32) / np.float32(255) for image in images], targets)
    return weights, scene


def resnet50(folder, size=(800, 1088), weights=None, num_detections=50, **config):
    """Return (weights file, scene file) for the full model and one image of `size`.

    The image is noise and rectangles; its targets are a dozen of the model's own proposals, so that the
    heads have as many positives to learn from as in a real training (a quarter of the sample).
    """
    image = picture(size)
    model = npmaskrcnn.maskrcnn_resnet50_fpn(weights, min_size=min(size), max_size=max(size), **config)
    if weights is None:
        adjust(model, image)
    model.untrained = False
    batch = model.transform.forward([image], model.dtype)
    found, = model.infer(batch, score_threshold=0.0 if weights is None else None)
    if weights is None:
        scores = found.candidate_scores[found.detection_rows]
        threshold = float(scores[num_detections - 1:num_detections + 1].mean())     # between two, or rounding decides
        model.config = dataclasses.replace(model.config, box_score_thresh=threshold)
        model.architecture["config"]["box_score_thresh"] = threshold
    weights_file, scene = Path(folder) / "resnet50.npz", Path(folder) / "resnet50-scene.npz"
    npmaskrcnn.save(model, weights_file)
    write(scene, [image], [target_from(found.proposals, size, model.num_classes)])
    return weights_file, scene


def picture(size):
    """Return an (H, W, 3) float32 image of rectangles and noise."""
    rng = np.random.default_rng(11)
    image = np.full(size + (3,), 0.5, np.float32)
    for _ in range(40):
        y, x = (int(rng.integers(0, side * 9 // 10)) for side in size)
        h, w = (int(rng.integers(side // 20, side // 3)) for side in size)
        image[y:y + h, x:x + w] = rng.random(3)
    image += rng.normal(0, 0.05, image.shape).astype(np.float32)
    return np.clip(image, 0, 1)


def adjust(model, image):
    """Scale random weights so that activations and scores have the spread of a trained model's."""
    for _, stage in model.backbone.body.stages():
        for block in stage:
            norm = getattr(block, f"bn{block.depth}")
            norm.weight.data = norm.weight.data * np.float32(0.25)  # else every block doubles the variance
    batch = model.transform.forward([image], model.dtype)
    _, pyramid = model.backbone(batch.images)
    for level, features in zip(model.backbone.fpn.layer_blocks, pyramid):
        level[0].weight.data = level[0].weight.data / features.std()
    predictor = model.roi_heads.box_predictor.cls_score.weight
    logits = model.infer(batch, score_threshold=1.0)[0].class_logits
    predictor.data = predictor.data * np.float32(2 / (logits - logits.mean(axis=0)).std())


def target_from(boxes, size, num_classes, num_objects=12):
    """Return a Target of ellipses in a dozen of the larger boxes."""
    sides = np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    large = np.flatnonzero(sides >= min(size) / 25)
    boxes = boxes[large[::max(1, len(large) // num_objects)][:num_objects]]
    y, x = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    masks = [((x - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1)) ** 2 <= 0.25
             for x1, y1, x2, y2 in boxes]
    return Target(boxes, 1 + np.arange(len(boxes)) % (num_classes - 1), np.array(masks))
