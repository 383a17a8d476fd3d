"""npmaskrcnn beside the programs that one could use instead: torchvision, OpenVINO, ONNX Runtime.

All have the same weights and images, compute in float32 with the same number of threads, and take turns. OpenVINO and
ONNX Runtime run torchvision's own model, exported. The export ends with the 28x28 masks, because pasting does not
survive it: it becomes a loop that for every mask copies all before it, and that OpenVINO does not read. So torchvision
pastes their masks, as it pastes its own; without pasting, every side stops at the 28x28 masks.
"""

import argparse
import contextlib
import importlib.util
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import sides

TITLES = {"ours": "npmaskrcnn", "torchvision": "torchvision", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
EXPORTED = "openvino", "onnxruntime"    # they predict, and do not train
TOLERANCE = 0.05    # pixels that boxes may be apart; and masks, in the mean of their pixels


def options(description, turns, times):
    """Return a parser with the options that all comparisons of a model have.

    Parameters
    ----------
    description : str
    turns, times : int
        What `--turns` and `--times` are where nobody says.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=sides.positive, default=turns, help="of each side")
    parser.add_argument("--times", type=sides.positive, default=times, help="counted repetitions in a turn")
    parser.add_argument("--threads", type=sides.num_threads, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="processor time in the tables of stages")
    parser.add_argument("--stages-only", action="store_true", help="only the tables of stages")
    parser.add_argument("--sides", nargs="+", choices=list(TITLES), default=list(TITLES),
                        help="who takes part (default: all that are installed)")
    parser.add_argument("--without-pasting", action="store_true", help="predictions stop at the 28x28 masks")
    parser.add_argument("--keep", metavar="FOLDER", type=sides.folder,
                        help="where exported models stay, to be used again")
    return parser


def possible(parser, args, tasks):
    """Return those of some tasks that any of the sides can do; without one, end with the parser's error."""
    if args.without_pasting and tasks == ["train"]:
        parser.error("a training step pastes no masks: leave --without-pasting out")
    tasks = [task for task in tasks if task != "train" or set(args.sides) - set(EXPORTED)]
    if not tasks:
        parser.error("OpenVINO and ONNX Runtime do not train: --sides needs another one, too")
    return tasks


class Contest(NamedTuple):
    """What is compared: who takes part, with which files, in what way."""

    names: list         # of TITLES
    weights: Path
    scene: Path
    exports: Path       # the folder of exported models
    threads: int
    pasting: bool
    turns: int
    times: int

    def partakers(self, task):
        """Return the names of those who can do a task."""
        return [name for name in self.names if task != "train" or name not in EXPORTED]

    def side(self, name, task):
        """Start the process of a side."""
        weights = export(self, task) if name in EXPORTED else self.weights
        return sides.Side(name, weights, self.scene, self.threads, pasting=self.pasting)


def contest(args, folder, weights, scene):
    """Return the `Contest` that the options ask for, and say who is not installed."""
    names = []
    for name in (name for name in TITLES if name in args.sides):
        if name in EXPORTED and None in map(importlib.util.find_spec, (name, "onnx")):
            print(f"without {TITLES[name]}, which is not installed: pip install {name} onnx", flush=True)
        else:
            names.append(name)
    if not names:
        raise SystemExit("none of the --sides is installed")
    return Contest(names, weights, scene, args.keep or Path(folder), args.threads, not args.without_pasting,
                   args.turns, args.times)


def export(contest, task):
    """Return the ONNX file of torchvision's model for the images of a task, exported if it is not there."""
    import scene_file
    import torch
    import torchvision_twin as twins

    import npmaskrcnn
    images, _ = scene_file.read(contest.scene)
    images = images[:1] if task == "predict" else images
    shapes = repr([image.shape for image in images]).encode()
    path = contest.exports / f"{zlib.crc32(contest.weights.read_bytes() + shapes):08x}.onnx"
    if not path.exists():
        contest.exports.mkdir(parents=True, exist_ok=True)
        twin = twins.without_pasting(twins.twin_of(npmaskrcnn.load(contest.weights)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # tracing is right for images of this size only, which is all we need
            torch.onnx.export(twin, ([twins.to_torch(image) for image in images],), path, opset_version=17,
                              dynamo=False, input_names=[f"image{i}" for i in range(len(images))])
    return path


def compare(contest, task, title, per=1):
    """Print what the sides find, their times in turns, and the memory that each needs in a fresh process."""
    names = contest.partakers(task)
    pasting = "with pasting" if contest.pasting else "without pasting: every side stops at the 28x28 masks"
    print(f"\n{title}, {contest.threads} threads, {contest.turns} turns" + (f", {pasting}" if task != "train" else ""))
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(contest.side(name, task)) for name in names]
        if task != "train":
            check_same_work(opened, task)
        sides.print_times(sides.take_turns(opened, task, contest.turns, contest.times), [TITLES[n] for n in names], per)
    for name in names:
        peak, loaded = sides.peak_memory(contest.side(name, task), task)
        print(f"  peak memory beyond import, {TITLES[name]}: {peak:.0f} MB "
              f"(of which model and images: {loaded:.0f} MB)", flush=True)


def print_stages(contest, task, title, times, cpu_time, macs=None):
    """Print the time of each stage, for those sides on which the stopwatch can be put."""
    for name in (name for name in contest.names if name not in EXPORTED):
        print(f"\nstages of {TITLES[name]}, {title} ({'processor' if cpu_time else 'wall'} time)")
        with contest.side(name, task) as side:
            sides.stage_table(side, task, times, cpu_time, macs)


def check_same_work(opened, task):
    """Print how far what the sides find is from what the first finds, and warn where that is another work."""
    first, *others = (side.tell(do="find", task=task) for side in opened)
    print(f"  same work: {TITLES[opened[0].name]} finds {', '.join(str(len(image['boxes'])) for image in first)}")
    for side, found in zip(opened[1:], others):
        numbers = [len(image["boxes"]) for image in found]
        apart = [distances(*pair) for pair in zip(first, found)]
        boxes, masks = (max(column) for column in zip(*apart))
        print(f"    {TITLES[side.name]}: {', '.join(map(str, numbers))}; boxes within {boxes:.1e} px"
              + (f", masks within {masks:.1e}" if "mask_means" in found[0] else ""), flush=True)
        if max(boxes, masks) > TOLERANCE:
            print(f"!!  {TITLES[side.name]} finds something else: what follows are times of unequal work", flush=True)


def distances(one, other):
    """Return how far the boxes (px) and the means of the masks of two answers to one image are at most apart.

    Detections of nearly the same score may stand in another order: each is held against the nearest of its label.
    """
    import numpy as np
    if len(one["boxes"]) != len(other["boxes"]):
        return float("inf"), 0.0
    rows, others = (np.column_stack([np.reshape(found["boxes"], (-1, 4)), np.multiply(1e6, found["labels"])])
                    for found in (one, other))
    apart = np.abs(rows[:, None] - others[None]).max(axis=2)
    means, other_means = (np.array(found.get("mask_means", np.zeros(len(rows)))) for found in (one, other))
    nearest = apart.argmin(axis=1) if len(rows) else np.zeros(0, int)
    return (float(apart.min(axis=1, initial=np.inf).max(initial=0)),
            float(np.abs(means - other_means[nearest]).max(initial=0)))
