"""What does the pyramid's top-down path buy? Train the tiny model with it and without it, and count what is found.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py

The two models have the same layers, the same first weights, the same images in the same order. Only one line
differs: without the top-down path nothing is added to the laterals, so that P2 is made from C2 alone, P3 from
C3 alone, and so on. The toy shapes have sides of 10 to 77 pixels, so that all levels have work. Writes
notebooks/results/without_top_down.json, which lesson 04 shows. On one quiet core each of the two trainings
takes two to four minutes.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from npmaskrcnn import maskrcnn_tiny, ops
from npmaskrcnn.datasets import ShapesDataset, shapes
from npmaskrcnn.evaluation import evaluate, match_detections
from npmaskrcnn.stages.fpn import FeaturePyramidNetwork
from npmaskrcnn.structures import Detections
from npmaskrcnn.training import train

RESULT = Path(__file__).resolve().parent.parent / "results" / "without_top_down.json"
SIZE_EDGES = (0, 16, 24, 36, 52, 128)             # of the groups whose recall is counted, in pixels
ANCHOR_SIZES = ((12,), (20,), (32,), (48,), (72,))
SEED, TRAIN_SEED, TEST_SEED, TEST_IMAGES = 0, 1000, 2000, 200


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


def build(with_top_down):
    """The tiny model with anchors for objects of many sizes; the same first weights with and without."""
    model = maskrcnn_tiny(rng=np.random.default_rng(SEED), anchor_sizes=ANCHOR_SIZES)
    if not with_top_down:
        model.backbone.fpn.__class__ = PyramidWithoutTopDown      # same layers, wired otherwise
    return model


def count_found(model, dataset):
    """Which objects are found, group by group of size.

    "found": by a detection of the right class with a score above .5 and a box with IoU of at least .5;
    "proposed": by one of the region proposals, with IoU of at least .7.
    """
    sides, counts, detections = [], {"found": [], "proposed": []}, []
    for image, target in (dataset[i] for i in range(len(dataset))):
        trace = model.trace(image)
        detected = trace.detections
        detections.append(detected)
        sides.append(np.sqrt(ops.box_area(target.boxes)))
        counts["proposed"].append(ops.box_iou(target.boxes, trace.proposals).max(axis=1, initial=0) >= 0.7)
        sure = detected.scores > 0.5
        sure = Detections(detected.boxes[sure], detected.labels[sure], detected.scores[sure], detected.masks[sure])
        counts["found"].append(~match_detections(target, sure, 0.5).is_missed)
    group = np.digitize(np.concatenate(sides), SIZE_EDGES) - 1
    groups = range(len(SIZE_EDGES) - 1)
    figures = evaluate(dataset, detections)
    return {"objects": [int((group == g).sum()) for g in groups],
            **{name: [int(np.concatenate(values)[group == g].sum()) for g in groups] for name, values in counts.items()},
            "box_AP": round(figures.bbox.AP, 4), "mask_AP": round(figures.segm.AP, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    test_set = ShapesOfManySizes(TEST_IMAGES, seed=TEST_SEED, max_objects=6)
    runs = []
    for with_top_down in (True, False):
        print("with" if with_top_down else "without", "the top-down path", flush=True)
        dataset = ShapesOfManySizes(4 * options.steps, seed=TRAIN_SEED, max_objects=6)
        model = build(with_top_down)
        log = train(model, dataset, options.steps, optimizer="muon", rng=SEED, log_every=50).log.arrays()
        runs.append({"top_down": with_top_down, "parameters": model.num_parameters(),
                     "loss_last_50": round(float(np.mean(log["loss_total"][-50:])), 4),
                     **count_found(model, test_set)})
    result = {"command": "OPENBLAS_NUM_THREADS=1 python notebooks/scripts/without_top_down.py", "steps": options.steps,
              "batch_size": 4, "size_edges": SIZE_EDGES, "anchor_sizes": ANCHOR_SIZES, "test_images": TEST_IMAGES,
              "runs": runs}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
