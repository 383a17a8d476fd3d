"""The package in WebAssembly: which of its tests pass there?

    python benchmarks/wasm_tests.py --pyodide DIR [--node NODE] [PLACE ...]

Runs the tests in a process of Node, in Pyodide, which is what a browser runs the package in. A place is a file or a
folder of tests, or a folder of the package, whose examples are then run; without any, all but the lessons are run. A
test that fails because that system has no processes, no threads or the like is counted apart, by what is missing. So is
a test that ends the whole process twice; a new process goes on after it. Exits with 1 if a test failed.
"""

import argparse
import collections
import re
import sys
import time
from pathlib import Path

import wasm_node

PACKAGES = "numpy", "scipy", "pillow", "matplotlib"
TOOLS = "iniconfig", "packaging", "pluggy", "pygments", "pytest"
PLACES = "tests", "npmaskrcnn"
OUTCOMES = "passed", "failed", "skipped", "cannot"
PATIENCE = 300      # seconds without a word, after which a process is ended; a test is silent until it is over
# What an error says -> what the system lacks.
LACKS = {r"does not support processes|No module named '_posixsubprocess'": "no processes",
         r"can't start new thread": "no threads",
         r"No module named 'resource'": "no count of the memory in use",
         r"no attribute 'mkfifo'": "no pipes with names",
         r"index-sized integer|negative LONG_BINPUT|another width of whole numbers": "usual whole numbers have 32 bits"}
# Tests that are left out, by a part of their names -> what they lack; most of them would end the whole process.
LEFT_OUT = {r"\[deep\]|([][}]|{\"a\":|h\\x00\)R){100}|test_bytes_are_answered_by_bytes": "no deep stack",
            r"^tests/(browser/|explore/test_server\.py)": "no sockets",
            r"loop_without_end": "no alarm that interrupts",
            r"test_a_payload_does_not_run\[<lambda>0": "no os.system",
            r"test_a_second_training_into_a_folder_is_refused": "no locks of files"}
TAKEN_DOWN = "took the process down"


class Results:
    """The outcomes of the tests so far.

    Attributes
    ----------
    outcomes : dict
        For each test one of `OUTCOMES`, and why.
    seconds : Counter
        For each place, see `place_of`.
    begun : int
        How many tests have begun.
    running : str or None
        The last of them.
    """

    def __init__(self):
        self.outcomes, self.seconds, self.begun, self.running = {}, collections.Counter(), 0, None
        self.began = time.monotonic()

    def begin(self, test):
        """Note that a test begins."""
        if self.running is None or place_of(test) != place_of(self.running):
            print(f"{place_of(test)} ...", flush=True)
        self.begun, self.running, self.began = self.begun + 1, test, time.monotonic()

    def note(self, outcome, test, errors):
        """Note the outcome of a test; one that has passed may still fail when its fixtures end."""
        why = errors[0].removeprefix("Skipped: ").splitlines()[0] if errors else ""
        if outcome == "failed" and (lack := missing(errors)):
            outcome, why = "cannot", lack
        if outcome == "failed" or why.startswith(TAKEN_DOWN):
            print(f"{outcome}: {test:.150}\n    {why:.300}", flush=True)
        if outcome != "passed" or test not in self.outcomes:
            self.outcomes[test] = outcome, why
        if test == self.running:
            self.seconds[place_of(test)] += time.monotonic() - self.began
            self.began = time.monotonic()

    def print(self):
        """Print the counts for each place and for all, and why tests were skipped or cannot be run."""
        rows = {}
        for test, (outcome, _) in self.outcomes.items():
            rows.setdefault(place_of(test), collections.Counter())[outcome] += 1
        rows, total = dict(sorted(rows.items())), sum(rows.values(), collections.Counter())
        width = max(map(len, [*rows, "all"]))
        print(f"\n{'':<{width}}" + "".join(f"{name:>9}" for name in (*OUTCOMES, "seconds")))
        for place, counts in {**rows, "all": total}.items():
            seconds = self.seconds[place] if place in rows else self.seconds.total()
            print(f"{place:<{width}}" + "".join(f"{counts[name]:>9}" for name in OUTCOMES) + f"{seconds:>9.0f}")
        for outcome, title in (("skipped", "skipped"), ("cannot", "cannot be run there")):
            whys = collections.Counter(why for what, why in self.outcomes.values() if what == outcome)
            for why, count in whys.most_common():
                print(f"{count} {title}: {why}")


def missing(errors):
    """Return what the system lacks if an error, or one of those that led to it, is due to that; else None."""
    return next((what for pattern, what in LACKS.items() for error in errors if re.search(pattern, error)), None)


def place_of(test):
    """Return where a test is: the first two names of its path."""
    return "/".join(Path(test.split("::")[0]).parts[:2])


def run(args):
    """Run the tests, in as many processes as they need; return their `Results`."""
    packages, results, tried_again = wasm_node.wheels(args.pyodide, PACKAGES, TOOLS), Results(), None
    while True:
        results.running = None
        with wasm_node.Process(args, packages, do="tests", places=args.places, begun=results.begun,
                               left_out=LEFT_OUT) as process:
            for what, *words in process.answers(PATIENCE):
                if what == "begin":
                    results.begin(*words)
                else:
                    results.note(what, *words)
            if process.ended_well():
                return results
        if results.running is None:
            raise SystemExit(f"the process ended: {process.last_words}")
        if results.running in results.outcomes:     # it ended between two tests
            continue
        if tried_again == results.begun:
            results.note("cannot", results.running, [f"{TAKEN_DOWN}: {process.last_words or 'it did not end'}"])
        else:       # the reason may be what earlier tests had left behind
            tried_again = results.begun
            results.begun -= 1


def place(text):
    """A type for argparse: a file or a folder of this checkout, or a test in one."""
    file = text.split("::")[0]
    if Path(file).is_absolute() or not (wasm_node.HERE.parent / file).exists():
        raise argparse.ArgumentTypeError(f"{text} is not in {wasm_node.HERE.parent}, to which it is relative")
    return text


def main():
    """Parse the command line, run and report."""
    parser = wasm_node.options(__doc__)
    parser.add_argument("places", nargs="*", type=place, metavar="PLACE", default=list(PLACES),
                        help="such as tests/ops (default: tests npmaskrcnn)")
    args = parser.parse_args()
    wasm_node.judge(args.pyodide, args.node)
    results = run(args)
    results.print()
    return int(any(outcome == "failed" for outcome, _ in results.outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
