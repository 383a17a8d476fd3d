"""What does the pyramid's top-down path buy? Train the tiny model with it and without it, and count what is found.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py

The two models have the same layers, the same first weights, the same images in the same order. Only one line
differs: without the top-down path nothing is added to the laterals, so that P2 is made from C2 alone, P3 from
C3 alone, and so on. There are two tasks. "sizes": toy shapes with sides of 10 to 77 pixels, so that all levels
have work. "context": a large square (a goal) or triangle (a tree), and small discs at a distance from it,
which are balls beside a goal and oranges beside a tree. Writes notebooks/results/without_top_down.json, which
lesson 04 shows. On one quiet core each of the four trainings takes two to four minutes.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from npmaskrcnn import maskrcnn_tiny, ops
from npmaskrcnn.datasets import ShapesDataset, shapes
from npmaskrcnn.evaluation import evaluate, match_detections
from npmaskrcnn.stages.fpn import FeaturePyramidNetwork
from npmaskrcnn.structures import Detections
from npmaskrcnn.training import train

RESULT = Path(__file__).resolve().parent.parent / "results" / "without_top_down.json"
SIZE_EDGES = (0, 16, 24, 36, 52, 128)             # of the groups whose recall is counted, in pixels
ANCHOR_SIZES = ((12,), (20,), (32,), (48,), (72,))
TRAIN_SEED, TEST_SEED, TEST_IMAGES = 1000, 2000, 200


class ShapesOfManySizes(ShapesDataset):
    """Toy shapes whose sides are spread evenly over the octaves from 10 to 77 pixels."""

    def _draw(self, index):
        (height, width), rng = self._start(index)
        background = rng.integers(0, 256, 3, dtype=np.uint8)
        count = int(rng.integers(self.min_objects, self.max_objects + 1))
        labels = rng.integers(1, len(self.kinds) + 1, count)
        sides = np.exp(rng.uniform(math.log(10), math.log(77), count))
        layers = np.zeros((count, height, width), bool)
        colours = np.zeros((count, 3), np.uint8)
        for i, half in enumerate(np.sort(sides)[::-1] / 2):       # the small ones in front
            x = np.arange(width)[None, :] + 0.5 - rng.uniform(half, width - half)
            y = np.arange(height)[:, None] + 0.5 - rng.uniform(half, height - half)
            colours[i] = shapes._contrasting_colour(background, rng)
            layers[i] = shapes.SHAPES[self.kinds[labels[i] - 1]](x, y, half)
        masks, keep = shapes._visible(layers, self.min_visible)
        return shapes.Scene(background, colours[keep], labels[keep], layers[keep], masks[keep]), rng


class BallsAndOranges(ShapesDataset):
    """One landmark of 45 to 60 pixels, and up to four discs of 10 to 18 that it gives their name.

    Between a disc and the landmark lie at least `GAP` pixels, which is more than a cell of P2 sees of the
    surroundings of a region without help from above.
    """

    GAP = 16

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.class_names = ["background", "goal", "tree", "ball", "orange"]

    def _draw(self, index):
        (height, width), rng = self._start(index)
        background = rng.integers(0, 256, 3, dtype=np.uint8)
        landmark = int(rng.integers(1, 3))
        labels, layers = [landmark], [self._shape(("square", "triangle")[landmark - 1], rng.uniform(45, 60) / 2, rng)]
        around = binary_dilation(layers[0], iterations=1, structure=np.ones((2 * self.GAP + 1,) * 2))
        for _ in range(int(rng.integers(1, 5))):
            for _ in range(50):                                   # until it lies far enough from the landmark
                disc = self._shape("circle", rng.uniform(10, 18) / 2, rng)
                if not (disc & around).any():
                    labels.append(landmark + 2)
                    layers.append(disc)
                    break
        labels, layers = np.array(labels, np.int64), np.stack(layers)
        colours = np.stack([shapes._contrasting_colour(background, rng) for _ in labels])
        masks, keep = shapes._visible(layers, self.min_visible)
        return shapes.Scene(background, colours[keep], labels[keep], layers[keep], masks[keep]), rng

    def _shape(self, kind, half, rng):
        height, width = self.largest_size
        x = np.arange(width)[None, :] + 0.5 - rng.uniform(half, width - half)
        y = np.arange(height)[:, None] + 0.5 - rng.uniform(half, height - half)
        return shapes.SHAPES[kind](x, y, half)


class PyramidWithoutTopDown(FeaturePyramidNetwork):
    """The same layers as the feature pyramid, but every level keeps to itself."""

    def forward(self, features):
        """Return the five maps and the cache."""
        laterals, inner = zip(*(conv.forward(x) for conv, x in zip(self.inner_blocks, features)))
        outputs, layer = zip(*(conv.forward(x) for conv, x in zip(self.layer_blocks, laterals)))
        p6, pool = ops.max_pool2d_forward(outputs[-1], 1, 2)
        return [*outputs, p6], {"inner_blocks": inner, "layer_blocks": layer, "pool": pool}

    def backward(self, doutputs, cache):
        """Return [dC2, dC3, dC4, dC5]."""
        *douts, dp6 = doutputs
        douts[-1] = douts[-1] + ops.max_pool2d_backward(dp6, cache["pool"])
        dlaterals = [conv.backward(d, c) for conv, d, c in zip(self.layer_blocks, douts, cache["layer_blocks"])]
        return [conv.backward(d, c) for conv, d, c in zip(self.inner_blocks, dlaterals, cache["inner_blocks"])]

    def __call__(self, features):
        outputs = [layer(inner(x)) for inner, layer, x in zip(self.inner_blocks, self.layer_blocks, features)]
        return [*outputs, ops.max_pool2d_forward(outputs[-1], 1, 2)[0]]


def make_dataset(task, num_images, seed):
    """The images of a task."""
    if task == "sizes":
        return ShapesOfManySizes(num_images, seed=seed, max_objects=6)
    return BallsAndOranges(num_images, seed=seed)


def build(with_top_down, num_classes, seed=0):
    """The tiny model with anchors for objects of many sizes; the same first weights with and without."""
    model = maskrcnn_tiny(num_classes, rng=np.random.default_rng(seed), anchor_sizes=ANCHOR_SIZES)
    if not with_top_down:
        model.backbone.fpn.__class__ = PyramidWithoutTopDown      # same layers, wired otherwise
    return model


def count_found(model, dataset):
    """Which objects are found, group by group of size.

    "found": by a detection of the right class with a score above .5 and a box with IoU of at least .5;
    "located": by a detection of any class with a score above .3 and such a box;
    "proposed": by one of the region proposals, with IoU of at least .7.
    """
    sides, counts, detections = [], {"found": [], "located": [], "proposed": []}, []
    for image, target in (dataset[i] for i in range(len(dataset))):
        trace = model.trace(image)
        detected = trace.detections
        detections.append(detected)
        sides.append(np.sqrt(ops.box_area(target.boxes)))
        counts["proposed"].append(_best_iou(target, trace.proposals) >= 0.7)
        counts["located"].append(_best_iou(target, detected.boxes[detected.scores > 0.3]) >= 0.5)
        sure = detected.scores > 0.5
        sure = Detections(detected.boxes[sure], detected.labels[sure], detected.scores[sure], detected.masks[sure])
        counts["found"].append(~match_detections(target, sure, 0.5).is_missed)
    group = np.digitize(np.concatenate(sides), SIZE_EDGES) - 1
    groups = range(len(SIZE_EDGES) - 1)
    figures = evaluate(dataset, detections)
    return {"objects": [int((group == g).sum()) for g in groups],
            **{name: [int(np.concatenate(values)[group == g].sum()) for g in groups] for name, values in counts.items()},
            "box_AP": round(figures.bbox.AP, 4), "mask_AP": round(figures.segm.AP, 4)}


def _best_iou(target, boxes):
    return ops.box_iou(target.boxes, boxes).max(axis=1, initial=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--tasks", nargs="+", default=["context", "sizes"], choices=["context", "sizes"])
    options = parser.parse_args()
    result = {"command": "OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py",
              "batch_size": 4, "size_edges": SIZE_EDGES, "anchor_sizes": ANCHOR_SIZES, "test_images": TEST_IMAGES, "runs": []}
    if RESULT.exists():                                           # keep the runs of other tasks
        result["runs"] = [run for run in json.loads(RESULT.read_text())["runs"] if run["task"] not in options.tasks]
    for task in options.tasks:
        for with_top_down in (True, False):
            print(f"{task}, {'with' if with_top_down else 'without'} the top-down path", flush=True)
            dataset = make_dataset(task, 4 * options.steps, TRAIN_SEED)
            model = build(with_top_down, len(dataset.class_names))
            log = train(model, dataset, options.steps, optimizer="muon", rng=0, log_every=50).log.arrays()
            run = {"task": task, "top_down": with_top_down, "steps": options.steps, "parameters": model.num_parameters(),
                   "loss_last_50": round(float(np.mean(log["loss_total"][-50:])), 4),
                   **count_found(model, make_dataset(task, TEST_IMAGES, TEST_SEED))}
            print(json.dumps(run), flush=True)
            result["runs"].append(run)
            RESULT.parent.mkdir(exist_ok=True)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
