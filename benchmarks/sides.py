"""Two processes that take turns: how the benchmarks compare npmaskrcnn with torchvision, or with another revision.

Each side lives in its own process (`worker.py`) with the same number of threads, holds its model and images,
and idles until it is told to run. A turn is one repetition that is not counted (it brings the side's data
back into the processor's caches) and a few that are; then comes the other side's turn. A noisy machine
disturbs neighboring turns alike, so the ratio is taken turn by turn and its median is reported.
"""

import argparse
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


def torchvision_options(description, turns, times):
    """Return a parser with the options that all comparisons of a model with torchvision have.

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
    parser.add_argument("--turns", type=int, default=turns, help="of each side")
    parser.add_argument("--times", type=int, default=times, help="counted repetitions in a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="processor time in the tables of stages")
    parser.add_argument("--stages-only", action="store_true", help="only the tables of stages")
    return parser


class Side:
    """A process that does one side's work when told to.

    Parameters
    ----------
    name : {"ours", "plain", "torchvision"}
        The package, the package with its plain hand, or the other library.
    weights, scene : path
    threads : int
    checkout : path, optional
        Of the package, if not the one that this file lies in.
    """

    def __init__(self, name, weights, scene, threads, checkout=None):
        checkout = str(checkout or Path(__file__).resolve().parent.parent)
        environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), PYTHONPATH=checkout)
        self.name = name
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), checkout]
        self.process = subprocess.Popen(command, text=True, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.memory_at_start = self.tell(do="open", side=name, weights=str(weights), scene=str(scene),
                                         threads=threads)

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


class Comparison(NamedTuple):
    """Per turn: seconds of each side, and their ratio ours / theirs; on the clock and of the processor."""

    ours: Summary
    theirs: Summary
    ratio: Summary
    ours_cpu: Summary
    theirs_cpu: Summary
    cpu_ratio: Summary


def take_turns(ours, theirs, task, turns, times=3, uncounted=1):
    """Let two sides run a task alternately.

    Parameters
    ----------
    ours, theirs : Side
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
    Comparison
    """
    seconds = {ours: [], theirs: []}
    for side in (ours, theirs):
        side.tell(do="run", task=task, times=1)             # the first call ever allocates and compiles
    for turn in range(turns):
        for side in (ours, theirs) if turn % 2 == 0 else (theirs, ours):    # A B, B A: none is always first
            time.sleep(PAUSE)
            counted = side.tell(do="run", task=task, times=uncounted + times)[uncounted:]
            seconds[side].append([statistics.median(column) for column in zip(*counted)])
    wall, cpu = ([[pair[i] for pair in seconds[side]] for side in (ours, theirs)] for i in (0, 1))
    return Comparison(summary(wall[0]), summary(wall[1]), summary([a / b for a, b in zip(*wall)]),
                      summary(cpu[0]), summary(cpu[1]), summary([a / b for a, b in zip(*cpu)]))


def alone(side, task, turns, times=3):
    """Time one side by itself, to see whether taking turns is fair: a Summary of wall seconds."""
    medians = []
    for _ in range(turns):
        time.sleep(PAUSE)
        medians.append(statistics.median(t[0] for t in side.tell(do="run", task=task, times=times + 1)[1:]))
    return summary(medians)


def print_comparison(title, compared, per=1, names=("npmaskrcnn", "torchvision"), spec=".2f"):
    """Print one comparison; `per` divides the seconds (images in a batch), `spec` is the format of the ratios."""
    ours, theirs = (Summary(*(1e3 * v / per for v in side)) for side in (compared.ours, compared.theirs))
    width = max(map(len, names))
    print(f"{title}\n  {names[0]:<{width}}  {ours:.1f} ms\n  {names[1]:<{width}}  {theirs:.1f} ms\n"
          f"  {'ratio':<{width}}  {compared.ratio:{spec}}   below 1: {names[0]} is quicker")
    print(f"  ratio of processor time {compared.cpu_ratio:{spec}}   "
          f"({1e3 * compared.ours_cpu.median / per:.1f} / {1e3 * compared.theirs_cpu.median / per:.1f} ms; "
          "includes threads that spin while they wait)", flush=True)


def peak_memory(name, weights, scene, threads, task, checkout=None):
    """Return (peak, after loading) in MB beyond a fresh process that has imported its libraries."""
    with Side(name, weights, scene, threads, checkout) as side:
        peak = side.tell(do="memory", task=task)
        at_start = side.memory_at_start
    return peak / 1e6, (at_start["opened"] - at_start["imported"]) / 1e6


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
