"""The package in WebAssembly: which of its tests pass there?

    python benchmarks/wasm_tests.py --pyodide DIR [--node NODE] [PLACE ...]

Runs the tests in a process of Node, in Pyodide, which is what a browser runs the package in. A place is a file or a
folder of tests, or a folder of the package, for the examples in it; without any, all but the lessons are run. What
fails because that system has no processes, no threads or the like is counted apart, by what it lacks. If a test takes
the whole process down, it is counted so too, and a new process goes on behind it. Exits with 1 if a test failed.
"""

import collections
import re
import sys
from pathlib import Path

import wasm_node

PACKAGES = "numpy", "scipy", "pillow", "matplotlib"
TOOLS = "iniconfig", "packaging", "pluggy", "pygments", "pytest"
PLACES = "tests", "npmaskrcnn"
PATIENCE = 600      # seconds in which a test has to end
# What an error says, and what the system therefore lacks.
LACKS = {r"does not support processes|No module named '_posixsubprocess'": "processes",
         r"can't start new thread": "threads"}
TAKEN_DOWN = "took the process down"


def missing(errors):
    """Return what the system lacks, by what an error and those that led to it say; None if it is none of that."""
    return next((what for pattern, what in LACKS.items() for error in errors if re.search(pattern, error)), None)


def run(args):
    """Run the tests, in as many processes as it takes.

    Returns
    -------
    outcomes : dict
        By test: one of "passed", "skipped", "failed" and "cannot", and why.
    """
    packages, outcomes = wasm_node.wheels(args.pyodide, PACKAGES, TOOLS), {}
    while True:
        running = None
        with wasm_node.Process(args, packages, do="tests", places=args.places, done=sorted(outcomes)) as process:
            for what, *words in process.answers(PATIENCE):
                if what == "collected":
                    print(f"{words[0]} tests", flush=True)
                elif what == "begin":
                    running, = words
                else:
                    note(outcomes, what, *words)
            if process.ended_well():
                return outcomes
            if running is None or running in outcomes:
                raise SystemExit(f"the process ended: {process.last_words}")
            note(outcomes, "cannot", running, [f"{TAKEN_DOWN}: {process.last_words}"])


def note(outcomes, outcome, test, errors):
    """Note what came of a test, which may also fail after it has passed, when its fixtures end."""
    why = errors[0].splitlines()[0] if errors else ""
    if outcome == "failed" and (lack := missing(errors)):
        outcome, why = "cannot", lack
    if outcome == "failed" or why.startswith(TAKEN_DOWN):
        print(f"{outcome}: {test}\n    {why}", flush=True)
    if outcome != "passed" or test not in outcomes:
        outcomes[test] = outcome, why


def report(outcomes):
    """Print the totals, by folder and altogether, and why tests were skipped or cannot be run."""
    names = "passed", "failed", "skipped", "cannot"
    rows = collections.defaultdict(collections.Counter)
    for test, (outcome, _) in outcomes.items():
        rows["/".join(Path(test.split("::")[0]).parts[:2])][outcome] += 1
    rows["all"] = sum(list(rows.values()), collections.Counter())
    width = max(map(len, rows))
    print(f"\n{'':<{width}}" + "".join(f"{name:>9}" for name in names))
    for place, counts in rows.items():
        print(f"{place:<{width}}" + "".join(f"{counts[name]:>9}" for name in names))
    for outcome, title in (("skipped", "skipped"), ("cannot", "cannot be run there")):
        whys = collections.Counter(why for what, why in outcomes.values() if what == outcome)
        for why, count in whys.most_common():
            print(f"{title}, {count}: {why}")


def main():
    """Parse the command line, run and report."""
    parser = wasm_node.options(__doc__)
    parser.add_argument("places", nargs="*", metavar="PLACE", default=list(PLACES),
                        help="such as tests/ops (default: tests npmaskrcnn)")
    args = parser.parse_args()
    wasm_node.judge(args.pyodide, args.node)
    outcomes = run(args)
    report(outcomes)
    return int(any(outcome == "failed" for outcome, _ in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
