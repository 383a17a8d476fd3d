"""What the scripts share that make many trainings: a plan, of which each run is made once.

A run is a name and a seed, with more between them if a script likes. Its result is one small file, written as soon as
it is done, and a run whose file is there is not made again: after Ctrl-C or a power failure the same command goes on,
and one run is lost at most. A file says by what command it came about, with which settings, threads and versions, and
is not taken for the result of other settings.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np
import scipy

import npmaskrcnn
from npmaskrcnn import InputError
from npmaskrcnn.files import atomic_writer, make_folder, read_json
from npmaskrcnn.judge import judge_count, judge_known, judge_number
from npmaskrcnn.plots import save_figure
from npmaskrcnn.progress import ProgressLine

ALL_RESULTS = Path(__file__).resolve().parent.parent / "results"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def parser(script, about, steps, test_images=200):
    """Return the parser of a script: which runs, how long, where."""
    made = Parser(description=about.split("\n\n")[0])
    made.add_argument("--only", nargs="+", metavar="NAME", help="these (default: all)")
    made.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="of the plan, or any with --only")
    made.add_argument("--steps", type=int, default=steps, help="(default: %(default)s)")
    made.add_argument("--test-images", type=int, default=test_images, help="(default: %(default)s)")
    made.add_argument("--results", default=ALL_RESULTS / script, metavar="DIR", help="folder of the results")
    made.add_argument("--table", metavar="DIR",
                      help=f"train nothing; write {script}.md and {script}.png into this folder")
    return made


def answer(options, names, noun, go, gathered, show):
    """Do what was typed, and return the exit code: ``go(only, seeds, settings)``, or show what is stored."""
    def do():
        if options.table:
            if not (results := gathered(options.results)):
                raise InputError(f"{options.results}: holds no result")
            show(results, options.table)
            return
        judge_known(options.only or [], list(names), noun)
        seeds = [judge_number(seed, "--seeds", 0, whole=True) for seed in options.seeds or []]
        go(options.only, seeds, {"steps": judge_count(options.steps, "--steps"),
                                 "test_images": judge_count(options.test_images, "--test-images")})
    return exit_code(do)


def exit_code(do):
    """Call ``do()``; a mistake or Ctrl-C becomes one line on the error stream, and 2 or 130."""
    try:
        do()
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on, with the run that was not finished", file=sys.stderr)
        return 130
    return 0


def result_file(folder, *run):
    """Return the path of a run's result, such as NAME-0.json."""
    return Path(folder) / ("-".join(map(str, run)) + ".json")


def stored(folder, run, settings):
    """Return the result of a run if it was made with these settings, None if there is none."""
    path = result_file(folder, *run)
    if not path.exists():
        return None
    result = read_json(path)
    if result["settings"] != settings:
        raise InputError(f"{path}: is of a run with {result['settings']}, and {settings} are wanted; choose another "
                         "folder with --results, or remove the file")
    return result


def make(script, runs, folder, settings, work):
    """Make the runs that are not stored yet by ``work(run)``, and store each as soon as it is done."""
    left = [run for run in runs if stored(folder, run, settings) is None]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are in {folder}", flush=True)
    progress = ProgressLine("runs", len(left))
    for done, run in enumerate(left):
        progress.update(done, f"next is {', '.join(map(str, run[:-1]))}, seed {run[-1]}")
        progress.line.close()
        result = {**work(run), **circumstances(script, run, settings)}
        with atomic_writer(result_file(make_folder(folder, "--results"), *run)) as file:
            file.write(json.dumps(result, indent=1).encode() + b"\n")
    progress.update(len(left))


def circumstances(script, run, settings):
    """Return how a result came about: the command that makes it again, threads, versions."""
    seeds = f" --seeds {run[-1]}" if len(run) > 1 else ""
    return {"command": f"python notebooks/scripts/{script}.py --only {run[0]}{seeds} --steps {settings['steps']}",
            "threads": os.environ.get("OPENBLAS_NUM_THREADS", "not set"),
            "versions": {"npmaskrcnn": npmaskrcnn.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
                         "python": platform.python_version()}}


def text(numbers, form=".3f"):
    """Write a mean with its seeds' range, if they differ, or the word "once"; what lies in 0..1 without the zero."""
    least, most = f"{min(numbers):{form}}", f"{max(numbers):{form}}"
    spread = " once" if len(numbers) == 1 else f" ({least} to {most})" if least != most else ""
    written = f"{np.mean(numbers):{form}}{spread}"
    return written.replace("0.", ".") if form == ".3f" else written


def write(script, table, figure, folder):
    """Write a table and a figure into a folder, and print the table."""
    folder = make_folder(folder, "--table")
    with atomic_writer(folder / f"{script}.md") as file:
        file.write(table.encode())
    save_figure(figure, folder / f"{script}.png")
    print(table)
