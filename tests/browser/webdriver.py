"""A small WebDriver client: what a test needs to drive a browser, with the standard library alone.

WebDriver is HTTP and JSON: a driver program opens the browser, and each command is one request to it. Nothing sleeps
for a fixed time and hopes: `Browser.wait` asks the page until it says yes.
"""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"     # how the standard names the key of an element
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage")
PATIENCE, SECONDS_TO_START = 60, 30      # seconds for the answer to a command; for the driver to be ready
KEYS = {"tab": "\ue004", "shift": "\ue008", "left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015",
        "delete": "\ue017", "escape": "\ue00c", "enter": "\ue007"}


def programs():
    """Return the paths of chromium and chromedriver, or None."""
    browser, driver = (next(filter(None, map(shutil.which, names)), None)
                       for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)))
    return (browser, driver) if browser and driver else None


class Browser:
    """A headless Chromium, from `open_browser`."""

    def __init__(self, address):
        self.address, self.patience = address, PATIENCE

    def set_patience(self, seconds):
        """Let a script take so many seconds; the driver gives it up first, and says so."""
        self.command("/timeouts", {"script": 1000 * seconds})
        self.patience = seconds + PATIENCE

    def command(self, path, body=None, method=None):
        """Send a command; return its value."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"},
                                         method=method or ("GET" if body is None else "POST"))
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def go(self, address):
        """Open a page."""
        self.command("/url", {"url": address})

    def run(self, script, *arguments):
        """Run JavaScript; return what it returns."""
        return self.command("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, *arguments, seconds=20):
        """Ask until a script returns something true; return it."""
        end = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > end:
                raise TimeoutError(f"{script} was never true")
            time.sleep(0.02)
        return value

    def find(self, selector):
        """Return the element of a CSS selector."""
        return self.command("/element", {"using": "css selector", "value": selector})

    def click(self, selector):
        """Click on an element."""
        self.command(f"/element/{self.find(selector)[ELEMENT]}/click", {})

    def send(self, selector, text):
        """Type into an element, or give a file's path to one that asks for a file."""
        self.command(f"/element/{self.find(selector)[ELEMENT]}/value", {"text": text})

    def press(self, *keys, holding=None):
        """Press keys, by name or letter, where the focus is."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        if holding:
            actions = [{"type": "keyDown", "value": KEYS[holding]}, *actions, {"type": "keyUp", "value": KEYS[holding]}]
        self.command("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def drag(self, points, milliseconds=16, pointer="mouse"):
        """Move the mouse along points of the window, the button held down; or a finger, with "touch"."""
        def move(point, duration):
            return {"type": "pointerMove", "duration": duration, "x": round(point[0]), "y": round(point[1])}
        actions = [move(points[0], 0), {"type": "pointerDown", "button": 0},
                   *[move(point, milliseconds) for point in points[1:]], {"type": "pointerUp", "button": 0}]
        self.point(*actions, pointer=pointer)

    def hover(self, x, y):
        """Move the mouse to a point of the window."""
        self.point({"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)})

    def point(self, *actions, pointer="mouse"):
        """Let the mouse, or a finger, do what WebDriver calls actions, one after the other."""
        self.command("/actions", {"actions": [{"type": "pointer", "id": pointer,
                                               "parameters": {"pointerType": pointer}, "actions": actions}]})

    def devtools(self, name, **parameters):
        """Send a command of Chromium's own protocol."""
        return self.command("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def screenshot(self):
        """Return the window as PNG bytes."""
        return base64.b64decode(self.command("/screenshot"))

    def size(self, width, height, dark=False):
        """Make the page so large, and light or dark."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def complaints(self):
        """Return errors and warnings of the console since the last time."""
        return [entry["message"] for entry in self.command("/se/log", {"type": "browser"})]

    def traffic(self):
        """Return the addresses that were asked for since the last time."""
        entries = [json.loads(entry["message"])["message"]
                   for entry in self.command("/se/log", {"type": "performance"})]
        return [entry["params"]["request"]["url"] for entry in entries
                if entry["method"] == "Network.requestWillBeSent"]


@contextlib.contextmanager
def open_browser():
    """Yield a `Browser`, with a profile of its own; afterwards nothing of it is left."""
    if not (found := programs()):
        raise RuntimeError("there are no chromium and chromedriver on the path")
    chromium, driver = found
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            root = f"http://127.0.0.1:{port}"
            browser = _session(root, chromium, profile)
            try:
                yield browser
            finally:
                browser.command("", method="DELETE")
        finally:
            process.terminate()
            process.wait(10)


def _is_ready(root):
    try:
        return Browser(root).command("/status")["ready"]
    except OSError:         # it does not listen yet
        return False


def _session(root, chromium, profile):
    end = time.monotonic() + SECONDS_TO_START
    while not _is_ready(root):
        if time.monotonic() > end:
            raise TimeoutError("chromedriver does not get ready")
        time.sleep(0.05)
    options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]}
    wanted = {"browserName": "chrome", "goog:chromeOptions": options,
              "goog:loggingPrefs": {"browser": "WARNING", "performance": "ALL"}}
    session = Browser(root).command("/session", {"capabilities": {"alwaysMatch": wanted}})
    return Browser(f"{root}/session/{session['sessionId']}")
