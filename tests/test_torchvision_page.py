"""docs/torchvision.md without torch: that its script can run where workers are spawned, and that files fit it.

What the script does with torchvision is held by `benchmarks/check_torchvision_page.py`. Here it is read: a worker that
is spawned imports it, and gets its dataset and its collate function by their names. The page's other code is run,
and what the script asks a weight file for must be in it.
"""

import ast
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import cli
from npmaskrcnn.datasets import CocoDataset
from npmaskrcnn.weights import read_state, write_safetensors

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "torchvision.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
DRAW, RANDOM_START, PUBLISHED, SCRIPT, BARE = (text for language, text in BLOCKS if language)
COMMANDS = [line for language, text in BLOCKS if not language for line in text.splitlines()]
TREE = ast.parse(SCRIPT)


def test_importing_the_script_does_nothing_and_running_it_does():
    *rest, guard = TREE.body
    assert all(isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)) for node in rest)
    assert isinstance(guard, ast.If) and ast.unparse(guard.test) == "__name__ == '__main__'"
    assert [ast.unparse(node) for node in guard.body] == ["main()"]


def test_what_goes_to_workers_has_a_name_at_the_top_of_the_script():
    assert not any(isinstance(node, ast.Lambda) for node in ast.walk(TREE))
    top = {node.name for node in TREE.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    loader, = (node for node in ast.walk(TREE) if isinstance(node, ast.Call) and ast.unparse(node.func) == "DataLoader")
    collate, = (word.value.id for word in loader.keywords if word.arg == "collate_fn")
    assert collate in top and {"Images", "main"} < top


@pytest.mark.parametrize("epochs, first, second", [(1, 1, 1), (2, 2, 2), (3, 2, 3), (12, 8, 11), (24, 16, 22)])
def test_the_rate_falls_after_two_thirds_of_the_epochs_and_never_before_the_first(epochs, first, second):
    drops = re.search(r"^ *drops = (\[.*\])", SCRIPT, re.MULTILINE)[1]
    found = eval(drops, {"math": math, "args": type("Options", (), {"epochs": epochs})})
    assert found == [first, second]


def test_one_example_from_the_first_command_to_the_last(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(DRAW, {})
    names = CocoDataset("train/instances.json", "train").class_names
    for code in (RANDOM_START, PUBLISHED, BARE):
        assert re.findall(r"num_classes=(\d+)", code) == [str(len(names))]
    exec(RANDOM_START, {})
    assert COMMANDS[0].startswith("npmaskrcnn export") and cli.main(COMMANDS[0].split()[1:]) == 0
    arrays, metadata, container = read_state("model.safetensors")
    about = json.loads(metadata["npmaskrcnn"])
    asked = re.findall(r'config\["(\w+)"\]', SCRIPT)
    assert container == "safetensors" and {"norm_eps", "body"} < set(asked)
    assert set(asked) <= set(about["architecture"]["config"]) and "class_names" in about

    # what the script writes: other numbers, and what the file said with the names of the annotation file
    about.update(class_names=names, untrained=False)
    about["architecture"]["config"].update(min_size=96, norm_eps=0.0)
    trained = {name: array + 1 for name, array in arrays.items()}
    write_safetensors("trained.safetensors", trained, {"npmaskrcnn": json.dumps(about)})
    model = npmaskrcnn.load("trained.safetensors")
    assert model.class_names == names and not model.untrained and model.config.min_size == 96
    assert model.architecture["config"]["norm_eps"] == 0
    assert all(np.array_equal(array, trained[name]) for name, array in model.state_dict().items())
    assert capsys.readouterr().err == ""

    # the bare state dict of another script becomes a file that knows everything
    np.savez("bare.npz", **arrays)
    Path("bare.npz").rename("trained.pth")      # the container is told by its bytes
    exec(BARE, {})
    model = npmaskrcnn.load("trained.npz")
    assert model.class_names == names and model.config.min_size == 128 and not model.untrained
    assert model.architecture["config"]["norm_eps"] == 1e-5


def test_every_command_reads_what_is_there_by_then():
    there = {"train/instances.json", "val/instances.json", "model.npz", "train_torchvision.py"}     # the page's code
    for command in COMMANDS:
        *read, last = re.findall(r"[\w/.-]+\.(?:json|npz|pth|txt|py|safetensors)\b", command) or [None]
        if "export" in command:
            there.add(last)
        elif "trained.pth" in command:      # of another script, the text says; names.txt is the reader's
            continue
        else:
            assert last is None or {*read, last} <= there, command
        there |= {"trained.safetensors"} if "train_torchvision.py" in command else set()
    assert "trained.safetensors" in there
