"""Processes that take turns: how the benchmarks compare npmaskrcnn with other programs, or with another revision.

Each side lives in its own process (`worker.py`) with the same number of threads, holds its model and images,
and idles until it is told to run. A turn is one repetition that is not counted (it brings the side's data
back into the processor's caches) and a few that are; then comes the next side's turn. A noisy machine
disturbs neighboring turns alike, so the ratio is taken turn by turn and its median is reported.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
                    "BLIS_NUM_THREADS")
PAUSE = 0.1     # seconds between turns: longer than the libraries' threads spin after their last product


def between(least, most, kind=int):
    """Return a type for argparse: numbers of one kind from `least` to `most`."""
    def judge(text):
        with contextlib.suppress(ValueError):
            if least <= kind(text) <= most:
                return kind(text)
        raise argparse.ArgumentTypeError(f"expected a {'whole ' * (kind is int)}number from {least} to {most:,}, got "
                                         f"{text}")
    return judge


positive = between(1, 1_000_000)
num_threads = between(1, 256)
image_side = between(64, 8192)


def picture(text):
    """A type for argparse: where a picture can be written, a path that ends in .png in a folder that is there."""
    path = Path(text)
    if path.suffix.lower() != ".png" or path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"expected a name that ends in .png, in a folder that is there, got {text}")
    return text


def folder(text):
    """A type for argparse: the path of a folder that is there or can be made."""
    path = Path(text).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is no folder")
    return path


def new_folder(text):
    """A type for argparse: the path of a folder that is empty or not there yet."""
    path = folder(text)
    if path.exists() and any(path.iterdir()):
        raise argparse.ArgumentTypeError(f"{path} is not empty: name a new folder")
    return path


@contextlib.contextmanager
def refusals(parser):
    """Let what the package refuses (an `InputError`) end the program as argparse's errors do."""
    from npmaskrcnn.errors import InputError
    try:
        yield
    except InputError as error:
        parser.error(str(error))


def limit_threads(threads):
    """Limit the threads of libraries that this process has not imported yet."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def require_torch():
    """Exit with one line unless torchvision, which a benchmark compares with, can be imported."""
    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError as error:
        raise SystemExit(f"this benchmark compares with torchvision ({error}): pip install torch torchvision "
                         "(benchmarks/README.md says more)") from None


class Side:
    """A process that does one side's work when told to.

    Parameters
    ----------
    name : {"ours", "plain", "torchvision", "openvino", "onnxruntime"}
        The package, the package with its plain hand, or another program.
    weights, scene : path
        For the last two, the weights are an exported model.
    threads : int
    checkout : path, optional
        Of the package, if not the one that this file lies in.
    pasting : bool
        False stops predictions at the 28x28 masks.
    """

    def __init__(self, name, weights, scene, threads, checkout=None, pasting=True):
        checkout = str(checkout or Path(__file__).resolve().parent.parent)
        environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), PYTHONPATH=checkout)
        self.name = name
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), checkout]
        self.process = subprocess.Popen(command, text=True, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.memory_at_start = self.tell(do="open", side=name, weights=str(weights), scene=str(scene),
                                         threads=threads, pasting=pasting)

    def tell(self, **order):
        """Send an order and wait for the answer."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the process of {self.name} ended while doing {order}; its message is above")
        return json.loads(answer)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Summary(NamedTuple):
    """Smallest, median and largest of some numbers."""

    low: float
    median: float
    high: float

    def __format__(self, spec):
        return f"{self.median:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def summary(values):
    """Summarize a list of numbers."""
    return Summary(min(values), statistics.median(values), max(values))


class Times(NamedTuple):
    """Of one side: seconds in a turn and the first side's seconds by them; the same of the processor's time."""

    seconds: Summary
    ratio: Summary
    cpu_seconds: Summary
    cpu_ratio: Summary


def take_turns(opened, task, turns, times=3, uncounted=1):
    """Let sides run a task one after the other.

    Parameters
    ----------
    opened : list of Side
        At least one; the times of all are held against the first one's.
    task : str
        A method of the worker's sides.
    turns : int
        Of each side.
    times : int
        Counted repetitions in a turn; their median is the turn's time.
    uncounted : int
        Repetitions before those: none is needed where one takes seconds, and caches do not matter.

    Returns
    -------
    list of Times
        One for each side.
    """
    taken = {side: [] for side in opened}
    for side in opened:
        side.tell(do="run", task=task, times=1)             # the first call ever allocates and compiles
    for turn in range(turns):
        for side in opened if turn % 2 == 0 else opened[::-1]:      # A B C, C B A: none is always first
            time.sleep(PAUSE)
            counted = side.tell(do="run", task=task, times=uncounted + times)[uncounted:]
            taken[side].append([statistics.median(column) for column in zip(*counted)])
    wall, cpu = ([[pair[i] for pair in taken[side]] for side in opened] for i in (0, 1))
    return [Times(summary(w), summary([a / b for a, b in zip(wall[0], w)]),
                  summary(c), summary([a / b for a, b in zip(cpu[0], c)])) for w, c in zip(wall, cpu)]


def alone(side, task, turns, times=3):
    """Time one side by itself, to see whether taking turns is fair: a Summary of wall seconds."""
    medians = []
    for _ in range(turns):
        time.sleep(PAUSE)
        medians.append(statistics.median(t[0] for t in side.tell(do="run", task=task, times=times + 1)[1:]))
    return summary(medians)


def print_times(times, names, per=1, spec=".2f"):
    """Print the times of all sides and the ratios of the first side's to them.

    Parameters
    ----------
    times : list of Times
    names : list of str
    per : int
        Divides the seconds: images in a batch.
    spec : str
        The format of the ratios.
    """
    width = max(map(len, names))
    for name, time_of in zip(names, times):
        line = f"  {name:<{width}}  {Summary(*(1e3 * seconds / per for seconds in time_of.seconds)):.1f} ms"
        if time_of is not times[0]:
            line += f"   ratio {time_of.ratio:{spec}}, of processor time {time_of.cpu_ratio:{spec}}"
        print(line)
    print(f"  (median, smallest and largest of the turns; a ratio below 1: {names[0]} is quicker, turn by turn;\n"
          "  processor time includes threads that spin while they wait)", flush=True)


def peak_memory(side, task):
    """Return (peak, after loading) in MB beyond the libraries, of a side that was just started, and end it."""
    with side:
        peak = side.tell(do="memory", task=task)
    return peak / 1e6, (side.memory_at_start["opened"] - side.memory_at_start["imported"]) / 1e6


def stage_table(side, task, times, cpu_time=False, macs=None, backward_factor=2):
    """Print the time of each stage of a side, and GFLOP/s where `macs` has the stage's multiply-adds."""
    answer = side.tell(do="stages", task=task, times=times, cpu_time=cpu_time)
    rows = {}
    for stage, direction, seconds, _ in answer["stages"]:
        rows.setdefault(stage, {}).setdefault(direction, 0.0)
        rows[stage][direction] += seconds
    total = answer["total"]
    measured = sum(sum(row.values()) for row in rows.values())
    rows["glue between stages"] = {"forward": total - measured}
    print(f"  {'stage':<22}{'forward ms':>11}{'backward ms':>13}{'share':>8}"
          + ("   GFLOP/s forward, backward" if macs else ""))
    for stage, row in sorted(rows.items(), key=lambda item: -sum(item[1].values())):
        forward, backward = row.get("forward", 0.0), row.get("backward", 0.0)
        line = f"  {stage:<22}{1e3 * forward:>11.2f}"
        line += f"{1e3 * backward:>13.2f}" if "backward" in row else " " * 13
        line += f"{(forward + backward) / total:>8.1%}"
        if macs and stage in macs:
            line += f"{2e-9 * macs[stage] / forward:>10.1f}"
            line += f"{2e-9 * backward_factor * macs[stage] / backward:>10.1f}" if backward else ""
        print(line)
    print(f"  {'total':<22}{1e3 * total:>11.2f} ms", flush=True)
    return total, rows
