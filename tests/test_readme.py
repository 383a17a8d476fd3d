"""What README promises about itself: its links lead somewhere, its commands exist, its code runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import cli
from npmaskrcnn.commands import ALL
from npmaskrcnn.datasets import CocoDataset

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_relative_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert len(local) > 30
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_first_two_code_blocks_are_one_line_each_and_complete():
    demo, tests = re.findall(r"```\n(.*?)```", README, re.DOTALL)[:2]
    for block, end in ((demo, "npmaskrcnn demo"), (tests, "pytest")):
        assert block.count("\n") == 1
        assert block.startswith("python3 -m venv") and "pip install" in block and block.strip().endswith(end)


def test_the_demo_needs_no_extras_and_windows_no_activation():
    demo = re.findall(r"```\n(.*?)```", README, re.DOTALL)[0]
    assert "pip install -e . &&" in demo
    assert "Activate" not in README and README.count(r".venv\Scripts\python -m pip install") == 2


def test_the_output_that_is_shown_is_what_the_code_prints(capsys):
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    shown, = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    # The last digits may differ from machine to machine, so words and whole numbers are compared.
    words = re.findall(r"[a-z_]+|\(\d+(?:, \d+)+\)", shown.split("\n...")[0])
    assert words == re.findall(r"[a-z_]+|\(\d+(?:, \d+)+\)", printed)[:len(words)] and len(words) > 20
    assert "'cell': (6, 3)" in shown and "'cell': (6, 3)" in printed


def test_every_command_in_the_table_exists():
    commands = re.findall(r"^\| `npmaskrcnn ([^`]*)`", README, re.MULTILINE)
    assert {c.split()[0] for c in commands} == {command.__name__.split(".")[-1] for command in ALL}
    for command in commands:
        cli.build_parser().parse_args(command.replace("IMAGE...", "a.png").split())


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_every_command_and_link_of_a_page_holds(page):
    text = page.read_text(encoding="utf-8")
    for command in re.findall(r"^ *npmaskrcnn (.*)$", text, re.MULTILINE):
        cli.build_parser().parse_args(shlex.split(command))
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link


def test_the_page_on_ones_own_images_writes_what_it_says(tmp_path, monkeypatch):
    """The two blocks of code: drawn pictures, and painted ones made of the drawn."""
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/own-images.md").read_text(encoding="utf-8")
    drawn, painted = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(drawn, {})
    dataset = CocoDataset("train/instances.json", "train")
    assert dataset.class_names == ["background", "ring", "star"] and len(dataset) == 10
    for name in ("pictures", "painted"):
        Path(name).mkdir()
    image, target = dataset[0]
    numbers = (target.masks * np.arange(1, len(target) + 1)[:, None, None]).max(axis=0)
    Image.fromarray(image).save("pictures/a.png")
    Image.fromarray(numbers.astype(np.uint8)).save("painted/a.png")
    Path("train").rename("drawn")
    exec(painted, {})
    again = CocoDataset("train/instances.json", "train")
    np.testing.assert_array_equal(again.target(0).masks, target.masks)


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out
