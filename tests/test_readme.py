"""What README promises about itself: its links lead somewhere, its commands exist, its code runs."""

import re
from pathlib import Path

import pytest

from npmaskrcnn import cli
from npmaskrcnn.commands import ALL

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


def test_every_command_in_the_table_exists():
    commands = re.findall(r"^\| `npmaskrcnn ([^`]*)`", README, re.MULTILINE)
    assert {c.split()[0] for c in commands} == {command.__name__.split(".")[-1] for command in ALL}
    for command in commands:
        cli.build_parser().parse_args(command.replace("IMAGE...", "a.png").split())


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out
