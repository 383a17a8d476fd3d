"""docs/torchvision.md, followed word for word: does its script run where workers are spawned, and are outputs equal?

    python benchmarks/check_torchvision_page.py [--epochs 1] [--keep FOLDER]

The page's blocks are carried out in its order, twice: from the random start, with one process, two processes and two
"machines" (both are this one); and from published weights, for which a file of their kind stands in: ResNet-50, 91
classes, norms with small variances and an epsilon of 0.0. The script trains for one epoch of four pictures.

Python starts workers as macOS and Windows do: a `sitecustomize` on the path of every process sets the start method
"spawn", and counts the workers. After the export and after each training, torchvision's model, built by the script's
own `build`, and npmaskrcnn's, loaded from the same file, predict in float64; and what the script reads and writes
again without training must be the same bit for bit. Needs torch, torchvision and safetensors.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import inspect
import math
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout  # noqa: F401
import numpy as np
import sides

import npmaskrcnn
from npmaskrcnn.datasets import CocoDataset
from npmaskrcnn.weights import read_state, sha256_prefix

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "torchvision.md"
SCRIPT, EXPORTED, TRAINED = "train_torchvision.py", "model.safetensors", "trained.safetensors"
PUBLISHED = "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
RATE = 0.0025           # for each image of a step; a worker of the two of a process stands for an image of its two
TOLERANCE = 1e-6        # pixels, and probabilities: what is promised in float64
DETECTIONS = 20         # of an image, that are compared
NOT_BY_NAME = {"body", "norm_eps", "trainable_layers", "anchor_sizes", "anchor_ratios", "canonical_scale",
                  "canonical_level"}        # options that `build` brings in otherwise
SPAWN = """import multiprocessing, os, sys
multiprocessing.set_start_method("spawn")
if "--multiprocessing-fork" in sys.orig_argv:
    with open(os.environ["SPAWNED_WORKERS"], "a") as file:
        file.write("one\\n")
"""


class Page:
    """The blocks of the page, and a folder in which they are carried out.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder):
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        codes = [text for language, text in blocks if language == "python"]
        lines = [line for language, text in blocks if not language for line in text.splitlines()]
        draw, self.random_start, self.published, script, self.bare = codes
        require("(10," in draw and "(4," in draw, "other numbers of pictures")
        self.draw = draw.replace("(4,", "(2,").replace("(10,", "(4,")       # a step takes some seconds
        (self.export, _, self.train, self.processes, self.machines, self.detect, self.evaluate,
         self.detect_bare) = map(shlex.split, lines)
        self.folder, self.workers = folder, folder / "workers.txt"
        (folder / "site").mkdir(parents=True)
        (folder / "site" / "sitecustomize.py").write_text(SPAWN)
        (folder / SCRIPT).write_text(script)
        self.environment = {**os.environ, "SPAWNED_WORKERS": str(self.workers),
                            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)])}

    def start(self, *words):
        """Start Python in the folder."""
        return subprocess.Popen([sys.executable, *map(str, words)], cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *commands):
        """Run commands of Python, several at the same time; return what they print."""
        processes = [self.start(*words) for words in commands]
        printed = ""
        for process in processes:
            out, errors = process.communicate()
            printed += out
            if process.returncode:
                raise SystemExit(f"{' '.join(process.args[1:])[:200]}\n{out}{errors}")
        return printed

    def command(self, words):
        """Run an npmaskrcnn of the page."""
        print(self.run(["-m", *words]).splitlines()[0], flush=True)

    def training(self, name, *commands, workers):
        """Run the script, by itself or under torchrun; hold against each other what it says and what is expected."""
        self.workers.write_text("")
        (self.folder / TRAINED).unlink(missing_ok=True)
        began, printed = time.monotonic(), self.run(*commands)
        losses = [float(number) for number in re.findall(r"loss_\w+ (\S+?),?\s", printed)]
        rate, = re.findall(r"^epoch 1, rate (\S+):", printed, re.MULTILINE)
        require(math.isclose(float(rate), RATE * workers), f"the rate is {rate} at first; expected {RATE * workers}")
        require(losses and len(losses) % 5 == 0 and np.isfinite(losses).all(), f"losses: {printed}")
        spawned = self.workers.read_text().count("one")
        require(spawned == workers, f"{spawned} workers were spawned; expected {workers}")
        print(f"{name}: {time.monotonic() - began:.0f} s, {spawned} spawned workers, losses {losses[:5]}", flush=True)


def require(condition, message):
    """Exit with the message unless the condition holds."""
    if not condition:
        raise SystemExit(f"{PAGE.name}: {message}")


def imported(folder):
    """Import the page's script, which trains nothing then."""
    spec = importlib.util.spec_from_file_location("train_torchvision", folder / SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def compare(folder, name):
    """Hold torchvision's outputs against npmaskrcnn's, and a file against itself, read and written by the script."""
    import torch

    script, path = imported(folder), folder / name
    weights, about = script.read(path)
    options = set(about["architecture"]["config"])
    require(options - set(inspect.signature(script.MaskRCNN).parameters) == NOT_BY_NAME, "options that build forgets")
    theirs = script.build(about["architecture"])
    theirs.load_state_dict(weights, strict=True)
    script.write(folder / "again.safetensors", theirs, about)
    (before, said), (after, says) = (read_state(folder / file)[:2] for file in (name, "again.safetensors"))
    require(said == says and set(before) == set(after), f"{name}: comes back with other names")
    require(all(before[key].tobytes() == after[key].tobytes() for key in before), f"{name}: comes back otherwise")

    ours, theirs = npmaskrcnn.load(path).astype(np.float64), theirs.double().eval()
    ours.untrained, theirs.roi_heads.score_thresh, worst, count = False, 0.0, {}, 0
    ours.config = dataclasses.replace(ours.config, box_detections_per_img=DETECTIONS)     # masks take longest
    theirs.roi_heads.detections_per_img = DETECTIONS
    for image, _ in CocoDataset(folder / "val" / "instances.json", folder / "val"):
        found = ours.predict(image, score_threshold=0)
        with torch.inference_mode():
            answer, = theirs([torch.from_numpy(np.array(image)).permute(2, 0, 1).double() / 255])
        answer = {key: value.numpy() for key, value in answer.items()}
        answer["masks"] = answer["masks"][:, 0]
        require(np.array_equal(found.labels, answer["labels"]), f"{name}: other labels")
        for key in ("boxes", "scores", "masks"):
            worst[key] = max(worst.get(key, 0), np.abs(getattr(found, key) - answer[key]).max(initial=0))
        count += len(found)
    listed = ", ".join(f"{key} {value:.0e}" for key, value in worst.items())
    print(f"{name}: {count} detections in both, which differ by at most: {listed}", flush=True)
    require(count > 0 and max(worst.values()) < TOLERANCE, f"{name}: outputs differ")


def stand_in(path):
    """Write a file like the published one: torchvision's model of 91 classes, whose norms have small variances."""
    import torch
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(0)
    state = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    for name in [name for name in state if name.endswith("running_var")]:
        state[name] = 10 ** (-6 + 2 * torch.rand_like(state[name]))
        weight = name.replace("running_var", "weight")
        state[weight] = state[weight] * state[name].sqrt() * (0.2 if "bn3" in name else 1)
    torch.save(state, path)


def from_random_start(folder, epochs):
    """Follow the page as it stands, without published weights."""
    import torch

    page = Page(folder)
    page.run(["-c", page.draw])
    page.run(["-c", page.random_start])
    page.command(page.export)
    compare(folder, EXPORTED)
    once = ["--epochs", epochs]
    script = page.train[1:] + once
    page.training("one process", script, workers=2)
    compare(folder, TRAINED)
    torchrun = ["-m", "torch.distributed.run"]
    require(page.processes[1:3] == ["--nproc_per_node=4", SCRIPT], "another command for several GPUs")
    page.training("two processes", [*torchrun, "--nproc_per_node=2", *page.processes[2:], *once], workers=4)
    compare(folder, TRAINED)
    require(page.machines[2] == "--nproc_per_node=4", "another command for several machines")
    page.machines[2] = "--nproc_per_node=1"
    machine = [word.replace("HOST:29500", f"localhost:{free_port()}") for word in page.machines[1:]]
    page.training("two machines", *2 * [[*torchrun, *machine, *once]], workers=4)
    compare(folder, TRAINED)
    page.command(page.detect)
    page.command(page.evaluate)

    torch.save(imported(folder).read(folder / TRAINED)[0], folder / "trained.pth")
    model = npmaskrcnn.load(folder / TRAINED)
    (folder / "names.txt").write_text("\n".join(model.class_names[1:]))
    page.command(page.detect_bare)
    page.run(["-c", page.bare])
    again = npmaskrcnn.load(folder / "trained.npz")
    require(again.architecture == model.architecture and again.class_names == model.class_names
            and all(np.array_equal(array, model.state_dict()[key]) for key, array in again.state_dict().items()),
            "trained.npz, from the bare trained.pth, is another model than trained.safetensors")
    require((folder / "found/detections.json").read_text() == (folder / "found-again/detections.json").read_text(),
            "the bare file detects otherwise")


def from_published(folder, epochs):
    """Follow the page from published weights, at a size that a CPU can do."""
    page = Page(folder)
    page.run(["-c", page.draw])
    stand_in(folder / PUBLISHED)
    digest = sha256_prefix(folder / PUBLISHED)      # shall count as the published file's
    page.run(["-c", f"from npmaskrcnn.weights import model_files\nmodel_files.PUBLISHED_COCO_V1 = {digest!r}\n"
              + page.published])
    page.command(page.export)
    page.training("published weights", [*page.train[1:], "--epochs", epochs, "--min-size", 128], workers=2)
    compare(folder, TRAINED)
    config = npmaskrcnn.load(folder / TRAINED).architecture["config"]
    require(config["norm_eps"] == 0 and config["min_size"] == 128, f"what came back is {config}")


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def main():
    """Parse the command line, follow the page, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=sides.positive, default=1, help="of each training (default: %(default)s)")
    parser.add_argument("--keep", type=sides.new_folder, metavar="FOLDER",
                        help="a new folder for what is made (default: a temporary one)")
    options = parser.parse_args()
    sides.limit_threads(1)      # as torchrun does: several processes share the machine
    sides.require_torch()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        from_random_start(folder / "random", options.epochs)
        from_published(folder / "published", options.epochs)
    print(f"{PAGE.name} does what it says; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
