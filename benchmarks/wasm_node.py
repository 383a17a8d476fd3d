"""Python in WebAssembly: a process of Node in which Pyodide runs a program of this checkout, as a browser would.

The distribution is a folder that somebody has made beforehand (README says how); nothing is fetched. A folder for
exchange is seen from both sides: the order, and files that the program writes. What it prints in lines of JSON arrives
here while it runs.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = "pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"


def options(description):
    """Return a parser that asks for the distribution and for Node."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyodide", required=True, type=Path, metavar="DIR",
                        help="an unpacked distribution of Pyodide; benchmarks/README.md says how to make one")
    parser.add_argument("--node", default="node", help="the program Node, 20 or newer (default: %(default)s)")
    return parser


def judge(folder, node):
    """Exit with one line if the distribution or Node is not there."""
    if missing := [name for name in RUNTIME if not (folder / name).is_file()]:
        raise SystemExit(f"{folder}: {missing[0]} is not there; --pyodide names an unpacked distribution of Pyodide "
                         "(benchmarks/README.md says how to make one)")
    if shutil.which(node) is None:
        raise SystemExit(f"there is no program {node}; --node names Node, 20 or newer")


def wheels(folder, names, tools=()):
    """Find packages of a distribution, and what they need.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Of packages that the distribution's list has; their files have to be the very ones that it has sums of.
    tools : sequence of str
        Of packages in pure Python, of any version and origin.

    Returns
    -------
    list of str
        For Pyodide to load: it would look for what is not there on the internet, so SystemExit if one is missing.
    """
    listed = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["packages"]
    needed = list(names)
    for name in needed:     # to which are added what it depends on
        needed += [other for other in listed[name]["depends"] if other not in needed]
        wheel = folder / listed[name]["file_name"]
        if not wheel.is_file():
            raise SystemExit(f"{folder}: {wheel.name} is not there; benchmarks/README.md says where to get it")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != listed[name]["sha256"]:
            raise SystemExit(f"{wheel} is not the file that pyodide-lock.json names: its sha256 is another one")
    for name in tools:
        if not (found := sorted(folder.glob(f"{name}-*-none-any.whl"))):
            raise SystemExit(f"{folder}: no wheel of {name}; pip download --no-deps -d {folder} {name}")
        if name not in needed:
            needed.append(str(found[-1].resolve()))
    return needed


class Process:
    """A program that runs in there.

    Parameters
    ----------
    args : argparse.Namespace
        With `pyodide` and `node`.
    packages : list of str
        See `wheels`.
    **order
        What the program finds, as JSON, in ``/exchange/order.json``.

    Attributes
    ----------
    exchange : Path
        Here what is ``/exchange`` there, until the block ends.
    last_words : str
        The last line that it printed and that was no JSON, such as an error's.
    """

    def __init__(self, args, packages, **order):
        self._folder = tempfile.TemporaryDirectory()
        self.exchange, self.last_words = Path(self._folder.name), ""
        (self.exchange / "order.json").write_text(json.dumps(order), encoding="utf-8")
        command = [args.node, HERE / "wasm_node.mjs", args.pyodide.resolve(), HERE.parent, self.exchange,
                   ",".join(packages), "benchmarks/wasm_inside.py"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                         encoding="utf-8", errors="replace")

    def answers(self, patience=None):
        """Yield what it says, line by line, until it ends; it is killed if it says nothing for so many seconds."""
        while True:
            alarm = threading.Timer(patience, self._process.kill) if patience else None
            if alarm:
                alarm.start()
            line = self._process.stdout.readline()
            if alarm:
                alarm.cancel()
            if not line:
                return
            try:
                answer = json.loads(line)
            except ValueError:
                answer = None
            if isinstance(answer, list):
                yield answer
            elif line.strip():
                self.last_words = line.strip()

    def ended_well(self):
        """Wait for its end; whether it was a good one."""
        return self._process.wait() == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()
