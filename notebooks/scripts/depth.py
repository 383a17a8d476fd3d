"""Does a stack of convolutions get better as it grows? Train plain and residual stacks of several depths.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/depth.py        # about six minutes on one core

A crop of 32x32 pixels shows one toy shape; the network says which kind. All networks have a stem like the
tiny model's (a 3x3 convolution of stride 2, a max-pool), then pairs of 3x3 convolutions of 16 channels on maps of 8x8
cells, each with a batch norm, then the mean over all cells and one linear layer. The stacks differ in the number of
their convolutions, and in whether there is a shortcut around each pair; a plain and a residual stack of one
depth have the same weights at the start and see the same crops in the same order. Both are trained by SGD with
momentum, with two learning rates; the deep ones once also for four times as many steps. Each run's result is kept, so
that after Ctrl-C the same command goes on; when all runs are made they are gathered in notebooks/results/depth.json,
which lesson 03 shows.
"""

import functools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from running import ALL_RESULTS, Parser, exit_code, make, stored

from npmaskrcnn import nn, ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.files import atomic_writer
from npmaskrcnn.judge import judge_count, judge_known, judge_number
from npmaskrcnn.stages.resnet import ResidualBlock, basic_block
from npmaskrcnn.training import SGD, WarmupSteps

KINDS, DEPTHS, RATES, SEEDS = ("plain", "residual"), (2, 4, 8, 16, 32), (0.02, 0.005), (0, 1, 2)
SHAPES = ("circle", "square", "triangle")
IMAGE, CROP, CHANNELS, BATCH, WARMUP, LAST = 48, 32, 16, 32, 50, 50
TRAIN, TEST, TEST_SEED = 3200, 500, 1000      # crops


@functools.cache
def crops(number, seed):
    """Draw crops around single shapes: (number, 32, 32, 3) normalized, and their classes from 0."""
    dataset = ShapesDataset(number, (IMAGE, IMAGE), seed, SHAPES, max_objects=1, min_visible=0)
    images, labels = np.zeros((number, CROP, CROP, 3), np.float32), np.zeros(number, int)
    for i in range(number):
        image, target = dataset[i]
        x1, y1, x2, y2 = target.boxes[0]
        left, top = (int(np.clip((a + b - CROP) / 2, 0, IMAGE - CROP)) for a, b in ((x1, x2), (y1, y2)))
        images[i], labels[i] = image[top:top + CROP, left:left + CROP], target.labels[0] - 1
    return (images / 255 - 0.5) / 0.25, labels


class Stack(nn.Module):
    """Stem, pairs of convolutions with or without a shortcut, mean over the cells, linear layer."""

    def __init__(self, kind, depth, rng):
        self.conv1 = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1, bias=False, rng=rng)
        self.bn1 = nn.BatchNorm2d(CHANNELS)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.body = nn.Sequential(*(pair(kind, rng) for _ in range(depth // 2)))
        self.last = nn.Linear(CHANNELS, len(SHAPES), rng=rng)

    def forward(self, x, notes):
        """Return the classes' logits (N, 3)."""
        x = nn.conv_norm_relu(x, self.conv1, self.bn1, notes.of("conv1"))
        x = self.body.forward(self.maxpool.forward(x, notes.of("maxpool")), notes.of("body"))
        notes["cells"] = x.shape
        return self.last.forward(x.mean(axis=(1, 2)), notes.of("last"))

    def backward(self, dlogits, notes):
        """Add to the gradients; return the length of the gradient at the top, and below each pair on the way down."""
        _, height, width, _ = shape = notes["cells"]
        d = self.last.backward(dlogits, notes["last"])[:, None, None] / (height * width)
        d = np.ascontiguousarray(np.broadcast_to(d, shape))
        lengths = [length(d)]
        for name, block in reversed(list(self.body.named_children())):
            d = block.backward(d, notes["body"][name])
            lengths.append(length(d))
        d = self.maxpool.backward(d, notes["maxpool"])
        nn.conv_norm_relu_backward(d, self.conv1, self.bn1, notes["conv1"], need_dx=False)
        return lengths


def pair(kind, rng):
    """Two convolutions, each with its norm: a residual block, or the same without the shortcut."""
    convolutions = basic_block(CHANNELS, CHANNELS, stride=1, rng=rng)
    if kind == "residual":
        return ResidualBlock(convolutions, nn.BatchNorm2d)
    return nn.Sequential(*(nn.ConvNormReLU(conv, nn.BatchNorm2d(CHANNELS)) for conv in convolutions))


def length(gradient):
    return float(f"{np.linalg.norm(gradient):.4g}")


def train_one(kind, depth, rate, seed, steps):
    """Train one stack; return its losses, its right answers, and lengths of gradients at the first and last step."""
    images, labels = crops(TRAIN, seed)
    model, rng = Stack(kind, depth, np.random.default_rng(seed)), np.random.default_rng([seed, 1])
    schedule = WarmupSteps(rate, milestones=(steps * 4 // 5,), warmup=WARMUP)
    optimizer = SGD(list(model.named_parameters()), rate)
    losses, right, lengths = [], [], []
    for step in range(steps):
        batch, notes = rng.integers(0, TRAIN, BATCH), nn.Notes()
        logits = model.forward(images[batch], notes)
        loss, cache = ops.softmax_cross_entropy_forward(logits, labels[batch])
        model.zero_grad()
        lengths.append(model.backward(ops.softmax_cross_entropy_backward(1.0, cache), notes))
        optimizer.lr = schedule.learning_rate(step)
        optimizer.step()
        losses.append(float(loss))
        right.append(float((logits.argmax(axis=1) == labels[batch]).mean()))
    tested, answers = crops(TEST, TEST_SEED)
    test = np.concatenate([model(part) for part in np.array_split(tested, 10)]).argmax(axis=1) == answers
    return {"loss": round(float(np.mean(losses[-LAST:])), 4),
            "train_accuracy": round(float(np.mean(right[-LAST:])), 4), "test_accuracy": round(float(test.mean()), 4),
            "losses": [round(float(np.mean(part)), 3) for part in np.array_split(losses, 25)],
            "gradient_first": lengths[0], "gradient_last": lengths[-1]}


def runs(kinds, seeds):
    """List (kind, depth, rate, how many times the steps, seed); with seed 0 the deep ones also go on for longer."""
    short = [(kind, depth, rate, 1, seed) for seed in seeds for depth in DEPTHS for kind in kinds for rate in RATES]
    return short + [(kind, depth, RATES[0], 4, seed) for seed in seeds if seed == 0 for depth in (16, 32)
                    for kind in kinds]


def make_one(settings, kind, depth, rate, times, seed):
    """Train one of the plan."""
    return {"kind": kind, "depth": depth, "rate": rate, "times": times, "seed": seed, "settings": settings,
            **train_one(kind, depth, rate, seed, settings["steps"] * times)}


def go(options):
    """Make the runs that are asked for; when all are made, gather them in the lesson's file."""
    judge_known(options.only or [], list(KINDS), "kind of stack")
    seeds = [judge_number(seed, "--seeds", 0, whole=True) for seed in options.seeds or SEEDS]
    settings = {"steps": judge_count(options.steps, "--steps"), "batch": BATCH, "crops": TRAIN, "last_steps": LAST}
    make("depth", runs(options.only or KINDS, seeds), options.results, settings,
         lambda run: make_one(settings, *run))
    found = [stored(options.results, run, settings) for run in runs(KINDS, SEEDS)]
    if all(found):
        told = {"command": f"python notebooks/scripts/depth.py --steps {settings['steps']}",
                **{name: found[0][name] for name in ("threads", "versions")}}
        results = [{name: value for name, value in run.items() if name not in {*told, "settings"}} for run in found]
        text = json.dumps({**told, "settings": settings, "runs": results})
        with atomic_writer(options.output) as file:
            file.write(text.replace('{"kind"', '\n{"kind"').encode() + b"\n")


def main():
    parser = Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", metavar="KIND", help="plain or residual (default: both)")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="(default: 0 1 2)")
    parser.add_argument("--steps", type=int, default=250, help="(default: %(default)s)")
    parser.add_argument("--results", default=Path(tempfile.gettempdir()) / "npmaskrcnn-depth", metavar="DIR",
                        help="folder of the single runs (default: %(default)s)")
    parser.add_argument("--output", default=ALL_RESULTS / "depth.json", metavar="FILE", help="(default: %(default)s)")
    options = parser.parse_args()
    return exit_code(lambda: go(options))


if __name__ == "__main__":
    sys.exit(main())
