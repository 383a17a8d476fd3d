"""What does the pyramid's top-down path buy? Train the tiny model with it and without it, and count what is found.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py

The two models have the same layers, the same first weights, the same images in the same order. Only one line
differs: without the top-down path nothing is added to the laterals, so that P2 is made from C2 alone, P3 from
C3 alone, and so on. The toy shapes have sides of 10 to 77 pixels, so that all levels have work. The pair is
trained from several seeds (other first weights, other images), because two trainings that differ in nothing but
luck differ, too. Writes notebooks/results/without_top_down.json, which lesson 04 shows, after each training. On
one quiet core each of the six trainings takes two to four minutes.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from npmaskrcnn import maskrcnn_tiny, ops
from npmaskrcnn.datasets import ShapesDataset, shapes
from npmaskrcnn.evaluation import evaluate, match_detections
from npmaskrcnn.structures import Detections
from npmaskrcnn.training import train
from npmaskrcnn.variants.parts import PyramidWithoutTopDown

RESULT = Path(__file__).resolve().parent.parent / "results" / "without_top_down.json"
SIZE_EDGES = (0, 16, 24, 36, 52, 128)             # of the groups whose recall is counted, in pixels
ANCHOR_SIZES = ((12,), (20,), (32,), (48,), (72,))
SEEDS, TRAIN_SEED, TEST_SEED, TEST_IMAGES = (0, 1, 2), 1000, 2000, 200


class ShapesOfManySizes(ShapesDataset):
    """Toy shapes whose sides are spread evenly over the octaves from 10 to 77 pixels."""

    def _draw(self, index):
        (height, width), rng = self._start(index)
        background = rng.integers(0, 256, 3, dtype=np.uint8)
        count = int(rng.integers(self.min_objects, self.max_objects + 1))
        labels = rng.integers(1, len(self.kinds) + 1, count)
        sides = np.exp(rng.uniform(math.log(10), math.log(77), count))
        layers = np.zeros((count, height, width), bool)
        colors = np.zeros((count, 3), np.uint8)
        for i, half in enumerate(np.sort(sides)[::-1] / 2):       # the small ones in front
            x = np.arange(width)[None, :] + 0.5 - rng.uniform(half, width - half)
            y = np.arange(height)[:, None] + 0.5 - rng.uniform(half, height - half)
            colors[i] = shapes.contrasting_color(background, rng)
            layers[i] = shapes.SHAPES[self.kinds[labels[i] - 1]](x, y, half)
        masks, keep = shapes._visible(layers, self.min_visible)
        return shapes.Scene(background, colors[keep], labels[keep], layers[keep], masks[keep]), rng


def build(with_top_down, seed):
    """The tiny model with anchors for objects of many sizes; the same first weights with and without."""
    model = maskrcnn_tiny(rng=np.random.default_rng(seed), anchor_sizes=ANCHOR_SIZES, version=1)
    if not with_top_down:
        model.backbone.fpn.__class__ = PyramidWithoutTopDown      # same layers, wired otherwise
    return model


def size_groups(boxes):
    """Which group of `SIZE_EDGES` each box belongs to."""
    return np.digitize(np.sqrt(ops.box_area(boxes)), SIZE_EDGES) - 1


def count_groups(groups, chosen=True):
    """How many (of the chosen) objects there are in each group, as a list."""
    return [int(((groups == g) & chosen).sum()) for g in range(len(SIZE_EDGES) - 1)]


def count_found(model, dataset):
    """Which objects are found, group by group of size.

    "found": by a detection of the right class with a score above .5 and a box with IoU of at least .5;
    "proposed": by one of the region proposals, with IoU of at least .7;
    "with_anchor": covered by some anchor, unmoved, with IoU of at least .5 (no matter what the model has learned).
    """
    boxes, detections, found = [], [], {"found": [], "proposed": [], "with_anchor": []}
    for image, target in (dataset[i] for i in range(len(dataset))):
        trace = model.trace(image)
        detected = trace.detections
        detections.append(detected)
        boxes.append(target.boxes)
        for name, others, least in (("proposed", trace.proposals, 0.7),
                                    ("with_anchor", np.concatenate(trace.anchors), 0.5)):
            found[name].append(ops.box_iou(target.boxes, others).max(axis=1, initial=0) >= least)
        sure = detected.scores > 0.5
        sure = Detections(detected.boxes[sure], detected.labels[sure], detected.scores[sure], detected.masks[sure])
        found["found"].append(~match_detections(target, sure, 0.5).is_missed)
    groups = size_groups(np.concatenate(boxes))
    figures = evaluate(dataset, detections)
    return {"objects": count_groups(groups),
            **{name: count_groups(groups, np.concatenate(values)) for name, values in found.items()},
            "box_AP": round(figures.bbox.AP, 4), "mask_AP": round(figures.segm.AP, 4)}


def train_one(with_top_down, seed, steps, test_set):
    """Train one model and count what it finds."""
    dataset = ShapesOfManySizes(4 * steps, seed=TRAIN_SEED + seed, max_objects=6)
    model = build(with_top_down, seed)
    log = train(model, dataset, steps, optimizer="muon", rng=seed, log_every=50).log.arrays()
    return {"seed": seed, "top_down": with_top_down, "parameters": model.num_parameters(),
            "loss_last_50": round(float(np.mean(log["loss_total"][-50:])), 4), **count_found(model, test_set)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    test_set = ShapesOfManySizes(TEST_IMAGES, seed=TEST_SEED, max_objects=6)
    result = {"command": "OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py", "steps": options.steps,
              "batch_size": 4, "size_edges": SIZE_EDGES, "anchor_sizes": ANCHOR_SIZES, "test_images": TEST_IMAGES,
              "runs": []}
    RESULT.parent.mkdir(exist_ok=True)
    for seed in SEEDS:
        for with_top_down in (True, False):
            print(f"seed {seed},", "with" if with_top_down else "without", "the top-down path", flush=True)
            result["runs"].append(train_one(with_top_down, seed, options.steps, test_set))
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
