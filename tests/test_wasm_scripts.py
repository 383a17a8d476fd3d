"""The scripts that run the package in WebAssembly, with a stand-in for Node: what they ask of it, and how they count.

The stand-in is a program of Python's that answers as the process in there would. Whether the package works there, only
the scripts themselves can tell, with a distribution of Pyodide.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.datasets.shapes import the_image
from npmaskrcnn.shipped import trained_tiny

CHECKOUT = Path(__file__).resolve().parents[1]
BENCHMARKS = CHECKOUT / "benchmarks"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for Node is a script with a #! line")

TESTS = """
import json, sys
from pathlib import Path
exchange = Path(sys.argv[4])
order = json.loads((exchange / "order.json").read_text())
def tell(*words):
    print(json.dumps(words), flush=True)
number = 0
def begins(name):
    global number
    number += 1
    if number > order["begun"]:
        tell("begin", name)
    return number > order["begun"]
def test(name, outcome, *errors):
    if begins(name):
        tell(outcome, name, errors)
assert order["do"] == "tests" and order["places"] == ["tests/ops", "tests/test_rle.py"]
test("tests/ops/test_nms.py::a", "passed")
test("tests/ops/test_nms.py::b", "failed", "RuntimeError: sorry", "OSError: this does not support processes.")
test("tests/test_rle.py::c", "failed", "AssertionError: assert 1 == 2")
test("tests/test_rle.py::d", "skipped", "Skipped: because")
test("tests/test_rle.py::e", "passed")
if begins("tests/test_rle.py::f"):
    print("Maximum call stack size exceeded")
    sys.exit(1)
first_time = Path(__file__).with_name("not the first time")
if begins("tests/test_rle.py::g"):
    if not first_time.exists():
        first_time.touch()
        sys.exit(1)
    tell("passed", "tests/test_rle.py::g", [])
test("tests/test_rle.py::h", "passed")
if number > order["begun"] + 1:
    sys.exit(1)     # between two tests
tell("failed", "tests/test_rle.py::e", ["AssertionError: its fixture does not end"])
test("tests/test_rle.py::i", "passed")
"""

PREDICTIONS = """
import json, shutil, sys
from pathlib import Path
exchange = Path(sys.argv[4])
order = json.loads((exchange / "order.json").read_text())
print(json.dumps(["seconds", "import", 1.5]))
for way, seconds in (("einsum", 0.25), ("matmul", 0.5)) * order["repeats"]:
    print(json.dumps(["time", "prediction", way, seconds]))
    shutil.copy(Path(__file__).with_name("found.npz"), exchange / f"{way}.npz")
"""


@pytest.fixture
def distribution(tmp_path):
    """Make a folder with what a distribution has, of no content."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    for name in ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"):
        (folder / name).touch()
    tools = ("iniconfig", "packaging", "pluggy", "pygments", "pytest")
    needs = {"numpy": [], "scipy": ["numpy"], "pillow": [], "matplotlib": ["numpy", "cycler", "packaging"],
             "cycler": ["six"], "six": [], "packaging": []}
    for name in {*needs, *tools}:
        (folder / f"{name}-1.0-py3-none-any.whl").write_text(name)
    packages = {name: {"depends": depends, "file_name": f"{name}-1.0-py3-none-any.whl",
                       "sha256": hashlib.sha256(name.encode()).hexdigest()} for name, depends in needs.items()}
    (folder / "pyodide-lock.json").write_text(json.dumps({"packages": packages}))
    return folder


def run(script, folder, *words, node=None):
    command = [sys.executable, str(BENCHMARKS / script), "--pyodide", str(folder), *words]
    return subprocess.run([*command, "--node", str(node)] if node else command, capture_output=True, text=True)


def stand_in(tmp_path, program):
    node = tmp_path / "node"
    node.write_text(f"#!{sys.executable}\n{program}")
    node.chmod(0o755)
    return node


@pytest.mark.parametrize("script", ["wasm_tests.py", "wasm_times.py"])
def test_what_is_missing_is_said_in_one_line(tmp_path, distribution, script):
    node = stand_in(tmp_path, "raise SystemExit('must not be started')")
    without_wheel, changed = (distribution / f"{name}-1.0-py3-none-any.whl" for name in ("numpy", "scipy"))
    cases = [(tmp_path, node, "pyodide.mjs is not there"), (distribution, "no-such-node", "no program no-such-node")]
    if script == "wasm_tests.py":
        changed.write_text("another")
        cases.append((distribution, node, f"{changed} is not the file that pyodide-lock.json names"))
    for folder, program, words in cases:
        result = run(script, folder, node=program)
        assert result.returncode == 1 and words in result.stderr and len(result.stderr.splitlines()) == 1
    without_wheel.unlink()
    result = run(script, distribution, node=node)
    assert result.returncode == 1 and "numpy-1.0-py3-none-any.whl is not there" in result.stderr


def test_what_wheels_need_is_loaded_with_them_and_each_but_once(monkeypatch, distribution):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import wasm_node
    pure = [str(distribution / f"{name}-1.0-py3-none-any.whl") for name in ("pytest", "pluggy")]
    found = wasm_node.wheels(distribution, ("numpy", "scipy", "matplotlib"), ["pytest", "packaging", "pluggy"])
    assert found == ["numpy", "scipy", "matplotlib", "cycler", "packaging", "six", *pure]


def test_tests_are_counted_and_a_process_that_ends_is_replaced(tmp_path, distribution):
    result = run("wasm_tests.py", distribution, "tests/ops", "tests/test_rle.py", node=stand_in(tmp_path, TESTS))
    assert result.returncode == 1 and not result.stderr
    rows = {words[0]: words[1:-1] for line in result.stdout.splitlines()
            if len(words := line.split()) == 6 and words[-1].isdigit()}
    assert rows == {"tests/ops": ["1", "0", "0", "1"], "tests/test_rle.py": ["3", "2", "1", "1"],
                    "all": ["4", "2", "1", "2"]}
    assert "1 skipped: because" in result.stdout and "1 cannot be run there: no processes" in result.stdout
    assert "1 cannot be run there: took the process down: Maximum call stack size exceeded" in result.stdout
    assert "failed: tests/test_rle.py::c\n    AssertionError: assert 1 == 2\n" in result.stdout


def test_a_process_that_ends_before_the_first_test_ends_all(tmp_path, distribution):
    result = run("wasm_tests.py", distribution, "tests/ops", node=stand_in(tmp_path, "raise SystemExit('no memory')"))
    assert result.returncode == 1 and result.stderr == "the process ended: no memory\n"


def test_a_place_that_is_not_there_is_refused(tmp_path, distribution):
    result = run("wasm_tests.py", distribution, "tests/opps", node=stand_in(tmp_path, TESTS))
    assert result.returncode == 2 and "tests/opps is not in" in result.stderr


def test_tests_that_are_left_out_by_name_are_there(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import wasm_tests
    names = [name for pattern in wasm_tests.LEFT_OUT for name in re.findall(r"test_\w+\b(?!\\[.])", pattern)]
    texts = "".join(file.read_text(encoding="utf-8") for file in (CHECKOUT / "tests").rglob("test_*.py"))
    assert names and all(f"def {name}" in texts for name in names)


@pytest.mark.parametrize("is_other", [False, True])
def test_what_is_found_there_is_held_against_what_is_found_here(tmp_path, distribution, is_other):
    found = trained_tiny().predict(the_image()[0])
    np.savez(tmp_path / "found.npz", boxes=found.boxes + np.float32(0.125), labels=found.labels + is_other,
             scores=found.scores, masks=found.masks)
    result = run("wasm_times.py", distribution, "--repeats", "3", node=stand_in(tmp_path, PREDICTIONS))
    if is_other:
        assert result.returncode == 1 and "finds something else, labels" in result.stderr
    else:
        assert result.returncode == 0 and "boxes 1.2e-01, scores 0.0e+00, masks 0.0e+00" in result.stdout
        assert "prediction, products by einsum: 250 (250 to 250) ms, ratio 0.50 (0.50 to 0.50)" in result.stdout
