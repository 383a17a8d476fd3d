"""How the source hangs together: no circle, nothing upward, and a path from image to step that one can walk.

The imports are read from the files and held against the order of the floors below. README's reading table is held
against the files that it names: they are there, they are few and short enough to be read, they import nothing that is
not among them or among those that judge input, and a training step on the plain operations runs through nothing else.
Lines are held against the house's limits: their length, and how many make a function.

    python tests/test_tree.py       print the lines of code, folder by folder, of the package and of the path
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import Target, maskrcnn_tiny, ops
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.plots.curves import LOSS_TITLES
from npmaskrcnn.training import SGD, Loop
from npmaskrcnn.training.progress import SHORT

ROOT = Path(npmaskrcnn.__file__).resolve().parent
GROUND_FLOOR = ["errors", "words", "judge"]
# From the ground up; a name stands for a module or for a folder with all that is in it.
FLOORS = [*GROUND_FLOOR, "begin", "files", "interrupt", "progress", "rle", "images", "plain", "fast", "ops", "config",
          "nn", "stages", "trace", "network", "target_checks", "structures", "detection_checks", "mask_rcnn", "models",
          "variants", "others", "reference", "light", "weights", "zoo", "classical", "datasets", "costs", "evaluation",
          "tracking", "views", "plots", "training", "shipped", "exercises", "notebook", "clinic", "explore", "commands",
          "cli", "__main__"]
# Operations of light bodies, which the standard models do not run through: further reading, beside the path.
FURTHER_OPERATIONS = {"plain.activations", "plain.depthwise", "plain.squeeze"}
FURTHER_LAYERS = {"nn.depthwise"}
# What judges input: beside the path, and short enough to be read as well.
JUDGES = [*GROUND_FLOOR, "target_checks"]
PATH_FILES, PATH_LINES, JUDGES_LINES = 33, 2200, 330
LINE_LENGTH, FUNCTION_LINES = 120, 40


def module_name(file):
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.rglob("*.py"))
           if file != ROOT / "__init__.py" and "__pycache__" not in file.parts}
IS_PACKAGE = {name for name in MODULES if (ROOT / Path(*name.split("."))).is_dir()}


def imports_of(name):
    """Yield the modules of the package that a module imports, at its top or in its functions."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ""
            if node.level:
                above = ["npmaskrcnn", *name.split(".")][:len(name.split(".")) + 1 - node.level + (name in IS_PACKAGE)]
                start = ".".join(above)
            source = ".".join(part for part in (start, node.module) if part)
            found = [(source, alias.name) for alias in node.names]
        else:
            continue
        for source, item in found:
            if source.split(".")[0] != "npmaskrcnn":
                continue
            inside = source.removeprefix("npmaskrcnn").lstrip(".")
            whole = f"{inside}.{item}".lstrip(".")
            yield whole if whole in MODULES else inside


GRAPH = {name: {target for target in imports_of(name) if target and target != name} for name in MODULES}


def floor_of(name):
    for size in range(name.count(".") + 1, 0, -1):
        start = ".".join(name.split(".")[:size])
        if start in FLOORS:
            return FLOORS.index(start)
    raise AssertionError(f"{name} is on no floor")


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_from_a_floor_above(name):
    above = sorted(target for target in GRAPH[name] if floor_of(target) > floor_of(name))
    assert not above, f"{name} imports {above}, which is above it"


def test_there_is_no_circle():
    left = {name: set(targets) for name, targets in GRAPH.items()}
    for name in MODULES:
        for size in range(1, name.count(".") + 1):      # importing a.b runs a/__init__ first, but a may import a.b
            left[name].discard(".".join(name.split(".")[:size]))
    while free := [name for name, targets in left.items() if not targets]:
        left = {name: targets - set(free) for name, targets in left.items() if name not in free}
    assert not left, f"these import each other: {sorted(left)}"


def test_nobody_imports_the_package_itself_by_the_front_door():
    # `from .. import x` of a name that npmaskrcnn/__init__.py defines would be an arrow to the very top
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level and node.module is None:
                above = [*name.split(".")][:len(name.split(".")) - node.level + (name in IS_PACKAGE)]
                for alias in node.names:
                    assert above or alias.name in MODULES or name == "cli", (name, alias.name)


def test_within_the_package_imports_are_relative():
    # so that what runs is this revision, whichever is installed
    absolute = []
    for name, tree in {**MODULES, "__init__": ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))}.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                sources = [alias.name for alias in node.names]
            else:
                sources = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            absolute += [f"{name}, line {node.lineno}" for source in sources if source.split(".")[0] == "npmaskrcnn"]
    assert not absolute


def third_party(name):
    """Return which packages beyond the standard library and this one a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"npmaskrcnn"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] in ("plain", "fast", "ops")])
def test_operations_know_numpy_and_scipy_only(name):
    assert third_party(name) <= {"numpy", "scipy"}


def test_the_network_runs_without_pillow_and_matplotlib():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PIL", "matplotlib"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from npmaskrcnn import Target, maskrcnn_tiny
model = maskrcnn_tiny(min_size=64, max_size=64)
image, masks = np.zeros((48, 64, 3)), np.zeros((1, 48, 64), bool)
masks[0, 10:30, 10:40] = True
target = Target([[10, 10, 40, 30]], [1], masks)
model.loss_and_grads([image], [target], np.random.default_rng(0))
model.predict(image)
model.trace(image, target)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent, capture_output=True, timeout=120)


def test_only_module_has_both_a_forward_and_a_call():
    both = [f"{name}.{node.name}" for name, tree in MODULES.items() for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and {"forward", "__call__"} <= {item.name for item in node.body if isinstance(item, ast.FunctionDef)}]
    assert both == ["nn.module.Module"]


def test_whatever_speaks_of_the_losses_knows_all_five():
    assert set(SHORT) == set(LOSS_NAMES)
    assert set(LOSS_TITLES) == {"loss_total", *LOSS_NAMES}


# ---- README's reading table: the path from image to step ----


def path_files():
    """Return the source files that README's reading table names, in its order."""
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Where to read")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert rows, "there is no table under 'Where to read'"
    files = []
    for row in rows:
        files += [f for f in re.findall(r"\(npmaskrcnn/([\w/]+\.py)\)", row) if f not in files]
    return files


def lines_of_code(file):
    """Return the numbers of the lines that hold code: no docstrings, comments and blanks."""
    text = file.read_text(encoding="utf-8")
    documentation = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            documentation.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
                              tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - documentation


def code_lines(file):
    """Count lines that hold code."""
    return len(lines_of_code(file))


PATH = path_files() if (ROOT.parent / "README.md").exists() else []


def test_the_path_is_short_enough_to_be_walked():
    assert len(PATH) <= PATH_FILES
    assert sum(code_lines(ROOT / file) for file in PATH) <= PATH_LINES
    assert sum(code_lines(ROOT / f"{name}.py") for name in JUDGES) <= JUDGES_LINES


@pytest.mark.parametrize("file", PATH)
def test_the_path_uses_nothing_beside_it(file):
    allowed = {module_name(ROOT / f) for f in PATH} | set(JUDGES)
    if file == "mask_rcnn.py":
        allowed |= {"images"}       # if somebody hands in a picture of Pillow's
    used = set(imports_of(module_name(ROOT / file)))
    if file == "ops.py":
        used -= {"fast"}            # the other hand: the plain one is the path
        used |= {name for name in MODULES if name.startswith("plain.")} - FURTHER_OPERATIONS
    for folder in used & IS_PACKAGE:                        # a folder stands for what its __init__.py takes from it
        used = used - {folder} | set(imports_of(folder)) - FURTHER_LAYERS
    assert used - IS_PACKAGE <= allowed


def test_a_step_on_the_plain_operations_runs_through_the_path_only():
    allowed = {str(ROOT / file) for file in PATH} | {str(ROOT / f"{name}.py") for name in JUDGES}
    model = maskrcnn_tiny(min_size=64, max_size=64)
    masks = np.zeros((1, 48, 64), bool)
    masks[0, 10:30, 10:40] = True
    item = np.zeros((48, 64, 3)), Target([[10, 10, 40, 30]], [1], masks)
    loop = Loop(model, [item], SGD(model.named_parameters(), 0.01), np.random.default_rng(0), batch_size=1)
    seen = set()

    def watch(frame, event, argument):
        if event == "call":
            seen.add(frame.f_code.co_filename)

    before = sys.getprofile()
    with ops.plain():
        sys.setprofile(watch)
        try:
            loop.one_step()
        finally:
            sys.setprofile(before)
    ours = {file for file in seen if file.startswith(str(ROOT))}
    assert ours <= allowed
    assert len(ours) > 20       # so that this test is known to see something


# ---- the limits of lines ----


def test_no_line_is_too_long():
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT.parent, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout of the repository, so nobody knows which files are part of it")
    files = [ROOT.parent / name for name in listed.stdout.decode().split("\0") if name]
    assert ROOT / "__init__.py" in files
    long = [f"{file.relative_to(ROOT.parent)}:{number}" for file in files if file.exists()
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
            if len(line) > LINE_LENGTH]
    assert not long


@pytest.mark.parametrize("name", MODULES)
def test_a_function_can_be_seen_at_one_glance(name):
    path = ROOT / Path(*name.split("."))
    lines = lines_of_code(path / "__init__.py" if name in IS_PACKAGE else path.with_suffix(".py"))
    long = {node.name: count for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef)
            if (count := len(lines.intersection(range(node.lineno, node.end_lineno + 1)))) > FUNCTION_LINES}
    assert not long


def print_lines_of_code():
    """Print the lines of code of the package, folder by folder, and of the path."""
    folders = {}
    for file in sorted(ROOT.rglob("*.py")):
        folder = file.parent.relative_to(ROOT.parent)
        folders[folder] = folders.get(folder, 0) + code_lines(file)
    rows = [*((f"{folder}/", count) for folder, count in folders.items()), ("the package", sum(folders.values())),
            ("the path from image to step", sum(code_lines(ROOT / file) for file in PATH))]
    for what, count in rows:
        print(f"{count:>7,}  {what}")


if __name__ == "__main__":
    print_lines_of_code()
