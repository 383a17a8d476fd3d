"""The explorer in the book: Python in the browser answers what Python here answers, and no other host is asked."""

import functools
import http.server
import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.explore import Explorer
from tests.browser.test_explorer import check_against_the_model, choose, place, rest
from tests.browser.webdriver import open_browser, programs
from tests.scripts import script

DISTRIBUTION = os.environ.get("NPMASKRCNN_PYODIDE")
pytestmark = [
    pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver"),
    pytest.mark.skipif(not DISTRIBUTION, reason="NPMASKRCNN_PYODIDE does not name an unpacked distribution of Pyodide "
                                                "(benchmarks/README.md says how to make one)"),
    pytest.mark.slow]

ASK = """window.asked = null;
explorer.transport.ask(JSON.parse(arguments[0])).then(({answer, arrays}) => {
    const numbers = Object.entries(arrays).map(([name, {data}]) => [name, [...data]]);
    window.asked = {answer, arrays: Object.fromEntries(numbers)};
});"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing, and lets neither page nor worker reach another host."""

    def end_headers(self):
        """Add what binds the browser."""
        self.send_header("Content-Security-Policy", "default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
                         "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'")
        super().end_headers()

    def log_message(self, *_):
        """Be quiet."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a server shows the explorer as it is in the book."""
    folder = tmp_path_factory.mktemp("site")
    book = script("docs/build_book.py")
    for name, content in book.explorer.files(book.ROOT, Path(DISTRIBUTION)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium(address):
    """The page after its first answer; afterwards it must not have complained, nor asked another host."""
    with open_browser() as browser:
        browser.size(1200, 900)
        start = time.perf_counter()
        browser.go(address + "explore/")
        browser.wait("return document.body.dataset.rest === 'yes'", seconds=120)
        print(f"first answer after {time.perf_counter() - start:.1f} s")
        yield browser
        assert browser.complaints() == []
        assert {each for each in browser.traffic() if not each.startswith((address, "data:", "blob:", "chrome:"))} \
            == set()


def asked(page, **request):
    """What the worker answers."""
    page.run(ASK, json.dumps(request))
    answer = page.wait("return window.asked", seconds=60)
    return answer["answer"], answer["arrays"]


def test_a_dragged_shape_is_seen_as_the_model_sees_it(chromium):
    choose(chromium, "preset", "touching")
    chromium.drag([place(chromium, 84 - 2 * i, 48) for i in range(13)])
    rest(chromium)
    check_against_the_model(chromium)


@pytest.mark.parametrize("model", ["finished", "step-100", "no_top_down"])
def test_answers_equal_those_of_python_here(chromium, model):
    here = Explorer()
    for preset in here.answer({"ask": "hello"})[0]["presets"]:
        request = {"ask": "look", "scene": preset["scene"], "model": model}
        (answer, arrays), (there, arrays_there) = here.answer(request), asked(chromium, **request)
        assert "error" not in there
        np.testing.assert_array_equal(arrays_there["image"], arrays["image"].ravel())
        assert [each["label"] for each in there["detections"]] == [each["label"] for each in answer["detections"]]
        # float32 sums in another order: from float64 the worker's boxes differ by 1.1e-5 px, native ones by 3.3e-5
        boxes_there = np.reshape(arrays_there["candidate_boxes"], (-1, 4))[arrays_there["detection_rows"]]
        np.testing.assert_allclose(boxes_there, arrays["candidate_boxes"][arrays["detection_rows"]], rtol=0, atol=1e-4)
        np.testing.assert_allclose([each["score"] for each in there["detections"]],
                                   [each["score"] for each in answer["detections"]], rtol=0, atol=1e-4)


def test_what_is_wrong_is_said_and_harms_nothing(chromium):
    assert "nothing" in asked(chromium, ask="nothing")[0]["error"]
    assert "detections" in asked(chromium, ask="look")[0]


def test_the_page_is_as_dark_as_the_reader_of_the_book_has_chosen(chromium, address):
    ground = "return getComputedStyle(document.body).backgroundColor"
    by_day = chromium.run(ground)
    chromium.run("localStorage.setItem('npmaskrcnn-theme', 'dark')")
    chromium.go(address + "explore/")
    assert chromium.run(ground) == "rgb(20, 22, 26)" != by_day
    chromium.run("localStorage.clear()")
    chromium.wait("return document.body.dataset.rest === 'yes'", seconds=120)
