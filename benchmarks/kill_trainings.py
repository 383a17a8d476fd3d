"""Trainings that are killed at random moments, taken up again, and compared with one that nobody disturbed.

    python benchmarks/kill_trainings.py [--trainings 60] [--seed 0] [--keep FOLDER]

Each is ``npmaskrcnn train coco`` in a process of its own, of the tiny model on a few small pictures, with checkpoints
and evaluations on the way. It is killed (SIGKILL: nothing is tidied up) at a moment drawn from its whole length, its
first third (loading, and most of the steps) or the two seconds after its last step, which come equally often. It is
then taken up with the command that docs/own-images.md gives, every third time to be killed once more, until it ends.
At the end the model has to be the undisturbed one's, bit for bit, and so have the logs, clock times aside. Needs no
torch.
"""

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout  # noqa: F401
import numpy as np
import sides

from npmaskrcnn.datasets import ShapesDataset, write_coco
from npmaskrcnn.training import read_log
from npmaskrcnn.weights import read_npz

PROGRAM = "-m", "npmaskrcnn"
PARTS = "whole", "first third", "end"
STEPS, CHECKPOINT_EVERY, EVAL_EVERY = 9, 2, 5


def command(data, out, resume=None):
    """Return the words of a training; on shapes of `make_data`, into the folder `out`."""
    files = [[f"--{kind}annotations", data / name / "instances.json", f"--{kind}images", data / name]
             for kind, name in (("", "train"), ("val-", "val"))]
    begin = ["--resume", resume] if resume else ["--min-size", 64]
    words = [sys.executable, *PROGRAM, "--threads", 1, "train", "coco", *sum(files, []), *begin,
             "--batch-size", 2, "--steps", STEPS, "--checkpoint-every", CHECKPOINT_EVERY, "--eval-every", EVAL_EVERY,
             "--out", out]
    return [str(word) for word in words]


def make_data(folder):
    """Write a training and a validation set of small pictures."""
    for name, seed in (("train", 1), ("val", 2)):
        write_coco(ShapesDataset(3, image_size=(64, 64), seed=seed), folder / name)


def start(data, out):
    """Begin a training, or take it up if it has a checkpoint; return its process."""
    checkpoint = out / "checkpoint.npz"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return subprocess.Popen(command(data, out, checkpoint if checkpoint.exists() else None), env=environment,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill(process, is_time):
    """Kill a process as soon as ``is_time()``; return whether it was still alive."""
    while process.poll() is None and not is_time():
        time.sleep(0.002)
    process.kill()
    process.communicate()
    return process.returncode != 0


def finish(process):
    """Wait for the end of a training, which must be a good one."""
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"a training could not be taken up: {errors}")


def differences(one, two):
    """Return what differs between two trainings' folders: names of arrays, of logs, or of files that are not there."""
    (arrays, meta), (others, other_meta) = (read_npz(folder / "model.npz") for folder in (one, two))
    found = [] if meta == other_meta and list(arrays) == list(others) else ["model.npz"]
    found += [key for key, array in arrays.items() if key in others and array.tobytes() != others[key].tobytes()]
    for name in ("log.csv", "validation.csv"):
        log, other = read_log(one / name), read_log(two / name)
        found += [f"{name}: {key}" for key in log
                  if key != "seconds" and not np.array_equal(log[key], other[key])]
    return found + [name for name in ("curves.png", "gradients.png")
                    if (one / name).exists() and not (two / name).exists()]


def moment(rng, seconds, out):
    """Draw a moment of a training that takes so many seconds: a function that tells whether it has come, and words."""
    part = rng.choice(PARTS)
    delay = rng.uniform(0, {"whole": seconds, "first third": seconds / 3, "end": 2}[part])
    began = None if part == "end" else time.monotonic()

    def has_come():
        nonlocal began
        if began is None and (out / "log.csv").exists() and (out / "log.csv").read_text().count("\n") > STEPS:
            began = time.monotonic()
        return began is not None and time.monotonic() > began + delay
    return has_come, part, f"{part} + {delay:.2f} s"


def main():
    """Parse the command line, kill, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=sides.positive, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=sides.new_folder, metavar="FOLDER",
                        help="a new folder for the trainings (default: a temporary one)")
    options = parser.parse_args()
    rng, bad, counts = random.Random(options.seed), 0, {}
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory()))
        make_data(folder)
        for name in ("first", "whole"):     # the first one compiles the package
            began = time.monotonic()
            finish(start(folder, folder / name))
            seconds = time.monotonic() - began
        print(f"undisturbed: {STEPS} steps in {seconds:.1f} s", flush=True)
        for number in range(options.trainings):
            out, kills = folder / f"{number:03d}", []
            while not kills or rng.random() < 1 / 3:
                has_come, part, words = moment(rng, seconds, out)
                if not kill(start(folder, out), has_come):
                    part, words = "too late", f"{words}: too late"
                    if not kills:                       # a training that nobody killed does not count
                        shutil.rmtree(out)
                        continue
                kills.append(words)
                counts[part] = counts.get(part, 0) + 1
            left = sorted(path.name for path in out.glob("*")) if out.exists() else []
            if part != "too late":
                finish(start(folder, out))
            different = differences(folder / "whole", out)
            bad += bool(different)
            print(f"{number:>3}: killed at {', '.join(kills)}; there was {', '.join(left) or 'nothing'}; "
                  f"{'DIFFERENT: ' + ', '.join(different) if different else 'equal'}", flush=True)
    print(f"{options.trainings} trainings, kills by part {counts}: {bad} differ from the undisturbed one")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
