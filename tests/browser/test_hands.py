"""What hands do with shapes and panels in headless Chromium, two at once or in a hurry: nothing is lost, nothing leaps."""

import pytest

from tests.browser.reading import choose, place, rgb, canvas, rest, settle, text
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

STEPS = "return +document.getElementById('training').dataset.steps"
IDLE = "return document.getElementById('training').dataset.running === 'false' && !explorer.line.busy"


# ---- the training's buttons ----


def keep_record(page):
    """Write down what is asked of the training from now on, as "start roi_pool", "go", ..."""
    page.run("""window.asked = [];
        const {transport} = explorer, ask = transport.ask.bind(transport);
        transport.ask = (request, blob) => {
            if (request.ask === 'train') asked.push(`${request.action} ${request.model ?? ''}`.trim());
            return ask(request, blob);
        };""")


def test_start_begins_anew_while_a_training_runs(page):
    keep_record(page)
    page.click("#train-start")
    page.wait(STEPS + " >= 2")
    page.run("document.getElementById('train-from').value = 'roi_pool'")
    page.click("#train-start")
    page.wait("return asked.includes('start roi_pool')")
    page.wait("return asked.at(-1) === 'go' && explorer.training.steps === 1")
    page.click("#train-go")
    page.wait(IDLE)
    settle(page)
    asked = page.run("return asked")
    assert asked[0] == "start untrained" and asked.count("start roi_pool") == 1
    assert page.run(STEPS) == len(asked) - 1 - asked.index("start roi_pool")
    assert text(page, "#region .caption").startswith("RoIPool, the older way")
    assert text(page, "#region .facts").endswith("(RoIPool).")
