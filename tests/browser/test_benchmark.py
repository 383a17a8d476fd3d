"""The benchmark of the explorer, in short: its parts are all of the time that it says."""

import re
import subprocess
import sys

import pytest

from tests.browser.webdriver import programs
from tests.scripts import ROOT

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")


def test_the_parts_of_a_move_add_up_to_the_whole():
    ran = subprocess.run([sys.executable, ROOT / "benchmarks/bench_explorer.py", "--steps", "1"], text=True,
                         capture_output=True, check=True)
    _, first, step, sweep = ran.stdout.split("\n\n")
    assert "processes at work" in ran.stdout and "first look" in first and "looks, " in sweep
    whole, *parts = (float(number) for number in re.findall(r"^ +[a-z ,A-Z]+ ([0-9.]+) ", step, re.MULTILINE))
    assert len(parts) == 5 and min(parts) > 0 and abs(whole - sum(parts)) < 0.5
