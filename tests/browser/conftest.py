"""One browser and one server for a file of tests, and the page in it."""

import contextlib
import threading

import pytest

from npmaskrcnn.explore import Explorer
from npmaskrcnn.explore.server import Server
from npmaskrcnn.shipped import trained_tiny
from tests.browser.reading import settle
from tests.browser.webdriver import open_browser

OWN_NAMES = ["background", "disc", "box", "wedge"]


def with_an_own_model():
    """An explorer with a model of one's own in the menu: the tiny one after 400 steps, which uses other words."""
    own = trained_tiny(400)
    own.class_names = OWN_NAMES
    return Explorer(own, "mine.npz")


@pytest.fixture(scope="module")
def here():
    """Answers in Python what the page is told."""
    return with_an_own_model()


@pytest.fixture(scope="module")
def server():
    with Server(with_an_own_model()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with open_browser() as browser:
        yield browser


@contextlib.contextmanager
def opened(server, chromium):
    """Open the page, fresh; afterwards it must not have complained, nor asked another host."""
    chromium.complaints(), chromium.traffic()
    chromium.size(1200, 900)
    chromium.go(server.address)
    chromium.wait("return window.explorer?.look")
    settle(chromium)
    yield chromium
    assert chromium.complaints() == []
    assert {address for address in chromium.traffic() if not address.startswith(
        (server.address, "data:", "blob:", "chrome:"))} == set()    # chrome: is the browser's own first page


@pytest.fixture
def page(server, chromium):
    """A page for each test."""
    with opened(server, chromium):
        yield chromium


@pytest.fixture(scope="module")
def still(server, chromium):
    """One page for all tests of a file, each of which leaves it as it was."""
    with opened(server, chromium):
        yield chromium
