"""``npmaskrcnn explore`` as one starts it, with weights of one's own; and what its page says when it has ended."""

import subprocess
import sys
from pathlib import Path

import pytest

import npmaskrcnn
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.weights import save
from tests.browser.reading import choose, settle, text
from tests.browser.test_explorer import check_against_the_model
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")


def test_the_command_shows_a_model_of_ones_own_and_the_page_says_when_it_has_ended(chromium, tmp_path):
    save(trained_tiny(100), tmp_path / "mine.npz")
    command = [sys.executable, "-m", "npmaskrcnn", "explore", "--no-open", "--port", "0", "--weights",
               str(tmp_path / "mine.npz")]
    process = subprocess.Popen(command, cwd=Path(npmaskrcnn.__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[-1]
        chromium.complaints(), chromium.traffic()
        chromium.size(1200, 900)
        chromium.go(address)
        chromium.wait("return window.explorer?.look")
        settle(chromium)
        check_against_the_model(chromium)
        assert text(chromium, "#model option[value=own]") == "mine.npz"
        choose(chromium, "model", "own")
        check_against_the_model(chromium, trained_tiny(100))
        assert chromium.complaints() == []
    finally:
        process.kill()
        process.communicate(timeout=60)
    before = text(chromium, "#found")
    chromium.run("document.querySelector('.shape').focus()")
    chromium.press("right")
    chromium.wait("return !document.getElementById('error').hidden")
    settle(chromium)
    assert text(chromium, "#error") == "The explorer does not answer. Is npmaskrcnn explore still running?"
    assert text(chromium, "#found") == before
    said = chromium.complaints()        # the browser's own words
    assert said and all("ERR_CONNECTION_REFUSED" in each for each in said)
    assert all(each.startswith((address, "data:", "chrome:")) for each in chromium.traffic())
