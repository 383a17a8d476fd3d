"""Where do the cells of C2 to C5 and P2 to P5 really look? Measure it by gradients, over many images.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/field_centers.py

The tiny model, trained and untrained, looks at large images of shapes of the usual sizes: so large that the border
cuts off next to nothing of what a cell in the middle sees. On each map one cell is drawn from the middle, so that
all positions within a cell of C5 occur. Its gradients by the pixels (of a few of its channels, also drawn) are added
up without their signs: that is a pixel's influence on the cell. Stored are, relative to the cell's upper left corner
(x, y) = (column, row) * stride, where the anchors are centered: the center of weight of the influence, and how wide a
square around the corner's pixel must be to hold half and nine tenths of it.

And what do C2 to C5 know? The two probes of probes.py read the class of an image's one object, and which cells it
covers, from the maps of the same two models, and from the plain colors of each cell's own pixels. Writes
notebooks/results/field_centers.json for lesson 04, in three minutes on one quiet core.
"""

import json
import sys

import numpy as np
import probes
import running

from npmaskrcnn import maskrcnn_tiny, nn
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.datasets.shapes import Shape, contrasting_color
from npmaskrcnn.files import atomic_writer
from npmaskrcnn.judge import judge_count
from npmaskrcnn.progress import ProgressLine
from npmaskrcnn.shipped import trained_tiny

IMAGES, CHANNELS, SEED = 60, 2, 4000
PROBED = 360                        # images of one shape; two thirds to fit the probes, the rest to test them
SIZE, BLOCK = 352, 32               # of an image, and of the block in its middle from which cells are drawn; pixels
SHARES = 0.5, 0.9
MAPS = [f"{kind}{level}" for kind in "CP" for level in (2, 3, 4, 5)]


class ManyShapes(ShapesDataset):
    """Images of any size with shapes as large as those of the standard images, 128 pixels high."""

    def _new_shape(self, size, background, rng):
        height, width = size
        label, half = int(rng.integers(1, len(self.kinds) + 1)), rng.uniform(0.10, 0.25) * 128
        x, y = rng.uniform(half, width - half), rng.uniform(half, height - half)
        return Shape(label, half, x, y, contrasting_color(background, rng))


def as_batch(model, image):
    """An image as the body sees it, normalized and not resized."""
    mean, std = model.transform.image_mean, model.transform.image_std
    return ((image / 255 - np.array(mean)) / np.array(std)).astype(np.float32)[None]


def influence(model, maps, notes, name, cell, channels):
    """Size of the gradient that a cell's channels send to each pixel, summed over channels and colors: (H, W)."""
    body, pyramid = maps
    total = 0
    for channel in channels:
        gradients = [np.zeros_like(m) for m in (pyramid if name[0] == "P" else body)]
        gradients[int(name[1]) - 2][(0, *cell, channel)] = 1
        if name[0] == "P":
            gradients = model.backbone.fpn.backward(gradients, notes["fpn"])
        total = total + np.abs(model.backbone.body.backward(gradients, notes["body"], need_dx=True))[0].sum(axis=-1)
    return total.astype(np.float64)


def center_and_widths(weight, x, y):
    """The center of weight relative to the corner (x, y), and the sides of the squares that hold `SHARES`.

    Only the largest square around the corner's pixel that fits into the image is looked at: as far to all sides.
    """
    height, width = weight.shape
    reach = min(x, y, width - 1 - x, height - 1 - y)
    weight = weight[y - reach:y + reach + 1, x - reach:x + reach + 1]
    weight = weight / weight.sum()
    away = np.arange(-reach, reach + 1)
    center = weight.sum(axis=0) @ (away + 0.5), weight.sum(axis=1) @ (away + 0.5)
    distance = np.maximum(np.abs(away)[None, :], np.abs(away)[:, None])
    within = np.cumsum(np.bincount(distance.ravel(), weight.ravel()))
    return [*center, *(2 * int(np.searchsorted(within, share)) + 1 for share in SHARES)]


def measure(model, images, told):
    """One row for each image, for each map: x and y of the cell in its block, of the center, and two widths."""
    rng, found = np.random.default_rng(SEED), {name: [] for name in MAPS}
    dataset = ManyShapes(images, image_size=(SIZE, SIZE), seed=SEED, min_objects=6, max_objects=24)
    for i in range(images):
        told(i)
        notes = nn.Notes(batch_statistics=False)
        maps = model.backbone.forward(as_batch(model, dataset[i][0]), notes)
        for name in MAPS:
            stride = 2 ** int(name[1])
            cell = rng.integers(BLOCK // stride, size=2) + (SIZE - BLOCK) // 2 // stride
            alive = np.flatnonzero(maps[name[0] == "P"][int(name[1]) - 2][(0, *cell)])     # a ReLU at 0 sends nothing
            channels = rng.permutation(alive)[:CHANNELS]
            y, x = cell * stride
            row = center_and_widths(influence(model, maps, notes, name, cell, channels), x, y)
            found[name].append([int(x) % BLOCK, int(y) % BLOCK, *np.round(row, 2).tolist()])
    return found


def probed(maps, labels, boxes, masks):
    """What both probes read from maps of strides 4, 8, 16, 32, and how well cells of this size could draw a mask."""
    found = {"what": [], "where": [], "possible": []}
    truth = masks[probes.NUM_TRAIN:]
    for level, features in enumerate(maps):
        stride = 4 << level
        found["what"].append(probes.what(features, boxes, labels, stride))
        found["where"].append(probes.where(features, masks, stride))
        rows, columns = np.array(truth.shape[1:]) // stride
        covered = truth.reshape(-1, rows, stride, columns, stride).mean(axis=(2, 4)) > 0.5
        painted = covered.repeat(stride, axis=1).repeat(stride, axis=2)
        found["possible"].append(((painted & truth).sum(axis=(1, 2)) / (painted | truth).sum(axis=(1, 2))).mean())
    return {name: [round(float(value), 3) for value in values] for name, values in found.items()}


def own_pixels(batch, stride):
    """The colors of each cell's own pixels, at most 8 x 8 means of them, as its vector."""
    n, height, width, _ = batch.shape
    side, mean_of = min(stride, 8), max(stride // 8, 1)
    parts = batch.reshape(n, height // stride, side, mean_of, width // stride, side, mean_of, 3).mean(axis=(3, 6))
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // stride, width // stride, -1)


def probe(models):
    """Both probes of the bodies' maps and of the colors."""
    singles = ShapesDataset(PROBED, seed=SEED + 1, max_objects=1)
    images, targets = zip(*(singles[i] for i in range(PROBED)))
    truth = [np.concatenate([getattr(target, name) for target in targets]) for name in ("labels", "boxes", "masks")]
    batch = np.concatenate([as_batch(models["trained"], image) for image in images])
    found = {"colors": probed([own_pixels(batch, stride) for stride in (4, 8, 16, 32)], *truth)}
    for name, model in models.items():
        maps = zip(*(model.backbone.body(batch[i:i + 30]) for i in range(0, PROBED, 30)))
        found[name] = probed([np.concatenate(level) for level in maps], *truth)
    return found


def main():
    parser = running.Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=IMAGES, help="(default: %(default)s)")
    parser.add_argument("--results", default=running.ALL_RESULTS / "field_centers.json", metavar="FILE")
    options = parser.parse_args()

    def do():
        images = judge_count(options.images, "--images")
        result = {"command": f"OPENBLAS_NUM_THREADS=1 python notebooks/scripts/field_centers.py --images {images}",
                  "images": images, "size": SIZE, "channels": CHANNELS, "seed": SEED, "shares": SHARES,
                  "columns": ["cell_x", "cell_y", "center_x", "center_y", "width_50", "width_90"]}
        progress = ProgressLine("images", 2 * images)
        models = {"trained": trained_tiny(), "random": maskrcnn_tiny()}
        for j, (name, model) in enumerate(models.items()):
            result[name] = measure(model, images, lambda i, done=j * images: progress.update(done + i))
        result["probes"] = {"images": PROBED, **probe(models)}
        progress.update(2 * images)
        with atomic_writer(options.results) as file:
            file.write(as_text(result).encode())

    return running.exit_code(do)


def as_text(result):
    """JSON with one line for each number, list or map."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in result.items() if not isinstance(value, dict)]
    for key, maps in result.items():
        if isinstance(maps, dict):
            rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in maps.items())
            lines.append(f" {json.dumps(key)}: {{\n{rows}\n }}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
