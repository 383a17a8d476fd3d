"""The WebDriver client gives up when it says so, whatever the other side does."""

import http.server
import json
import threading
import time

import pytest

from tests.browser import webdriver


class NeverReady(http.server.BaseHTTPRequestHandler):
    """A driver that answers, and is never ready."""

    def do_GET(self):
        """Say so."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"value": {"ready": False}}).encode())

    def do_POST(self):
        """Take too long."""
        time.sleep(1)

    def log_message(self, *_):
        """Print no line for each request."""


@pytest.fixture
def root():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NeverReady) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_driver_that_never_gets_ready_is_given_up(root, monkeypatch):
    monkeypatch.setattr(webdriver, "SECONDS_TO_START", 0.2)
    with pytest.raises(TimeoutError, match="does not get ready"):
        webdriver._session(root, "chromium", "profile")


def test_an_answer_is_waited_for_as_long_as_was_said(root):
    browser = webdriver.Browser(root)
    browser.patience = 0.2
    with pytest.raises(TimeoutError):
        browser.run("return 1")


def test_without_the_programs_that_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="no chromium"), webdriver.open_browser():
        pass


@pytest.mark.skipif(webdriver.programs() is None, reason="needs chromium and chromedriver")
def test_a_script_may_take_as_long_as_was_said(monkeypatch):
    with webdriver.open_browser() as browser:
        browser.patience = 1
        monkeypatch.setattr(webdriver, "PATIENCE", 1)
        browser.set_patience(1)
        with pytest.raises(RuntimeError, match="script timeout"):
            browser.run("return new Promise(() => {})")
        browser.set_patience(3)
        assert browser.run("return new Promise(done => setTimeout(() => done(3), 1500))") == 3
