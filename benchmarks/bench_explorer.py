"""How long does the explorer's page take to follow the hand, and, in the book, until it shows something first?

    python benchmarks/bench_explorer.py [--pyodide DIR] [--steps 60] [--profiles 3]

Headless Chromium shows the page of ``npmaskrcnn explore``, and the mouse drags a shape over it: step by step, the next
when everything is painted, and then in one sweep, a move every 16 milliseconds. Time counts from the moment that the
browser gives the mouse's event to the end of the frame in which all panels are painted anew; of a sweep, from the
newest event that the look knows of. (Gradient and training answer to their buttons alone, three minds when the hand
rests: they have nothing new to paint.) The parts: until the question is sent; the look in Python; the way there and
back; drawing; the wait for the next frame, and painting.

With ``--pyodide``, an unpacked distribution, the same of the book's page, where Python runs in a worker of the browser
(README, "In WebAssembly"), and before that its first picture: from the opening of the page until everything is painted,
in new profiles of the browser, and again with what they have kept. Last come steps of a live training. Files come from
this machine: what a network would take is not in it. Without Chromium and chromedriver it says so in a line.
"""

import argparse
import contextlib
import functools
import http.server
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import checkout  # noqa: F401
import machine
import sides

from tests.browser import reading, webdriver

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 1200, 900
BEGIN, MOVE, TURN = (95, 54), (-0.8, 0.3), 40   # the square's place and a move, in the scene; moves there and back
INTERVAL = 16                                   # milliseconds between the moves of a sweep
PATIENCE = 300                                  # seconds until a script in the page is given up
CALM = 3                                        # seconds that a new browser has to itself
AGAIN = 3                                       # openings of the page in a profile that knows it

# Before the page's own scripts: when a look is drawn, and when it is painted. What is posted while a frame is being
# prepared arrives when that has been painted.
WATCH = """
window.bench = {looks: [], last: {}};
new MutationObserver(() => {
  const look = bench.last;
  look.drawn = performance.now();
  requestAnimationFrame(() => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      look.painted = performance.now();
      bench.looks.push(look);
      bench.heard?.();
    };
    port2.postMessage(null);
  });
}).observe(document, {subtree: true, attributeFilter: ["data-look"]});
bench.until = number => new Promise(resolve => {
  bench.heard = () => { if (bench.looks.length >= number) resolve(bench.looks); };
  bench.heard();
});
"""
# When the page is there: the time of the newest event that it knows of, when its questions go and the answers come.
LISTEN = """
const ask = explorer.transport.ask.bind(explorer.transport);
explorer.transport.ask = async (request, blob) => {
  const moved = explorer.changedAt, asked = performance.now(), outcome = await ask(request, blob);
  if (request.ask === "look" || request.ask === "train") {
    bench.last = {moved, asked, came: performance.now(), python: outcome.answer.milliseconds, of: request.action};
  }
  return outcome;
};
"""
TIMES = {
    "from the event to the paint": lambda look: look["painted"] - look["moved"],
    "  until the question is sent": lambda look: look["asked"] - look["moved"],
    "  look in Python": lambda look: look["python"],
    "  way there and back": lambda look: look["came"] - look["asked"] - look["python"],
    "  drawing": lambda look: look["drawn"] - look["came"],
    "  wait for the frame, painting": lambda look: look["painted"] - look["drawn"]}


# ---- who answers ----


@contextlib.contextmanager
def native():
    """Yield the address of ``npmaskrcnn explore``, in a process of its own."""
    command = [sys.executable, "-m", "npmaskrcnn", "explore", "--no-open"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        try:
            yield re.search(r"http:\S+", process.stdout.readline())[0]
        finally:
            process.kill()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, as ``python -m http.server`` does."""

    def log_message(self, *_):
        """Print no line for each request."""


@contextlib.contextmanager
def book(pyodide):
    """Yield the address of the explorer as it is in the book, with a server that has files alone."""
    sys.path.insert(0, str(ROOT / "docs"))
    from book import BookError, explorer
    try:
        files = explorer.files(ROOT, pyodide)
    except BookError as error:
        raise SystemExit(str(error)) from None
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        serve = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/{explorer.FOLDER}/"
            server.shutdown()


# ---- the browser ----


@contextlib.contextmanager
def watched():
    """Yield a browser with a new profile, which watches the pages that it opens."""
    with webdriver.open_browser() as browser:
        browser.set_patience(PATIENCE)
        browser.size(*WINDOW)
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        time.sleep(CALM)
        yield browser


def open_page(browser, address):
    """Open the page; return after how many milliseconds its first look is painted."""
    browser.go("about:blank")
    browser.go(address)
    return browser.run("return bench.until(1)")[0]["painted"]


class Hand:
    """Drags the square of the page that is open to and fro."""

    def __init__(self, browser):
        self.browser, self.moves = browser, 0
        browser.run(LISTEN)

    def move(self, duration=0):
        """Return the next move."""
        far = TURN // 2 - abs(self.moves % TURN - TURN // 2)
        self.moves += 1
        x, y = reading.place(self.browser, *(begin + far * move for begin, move in zip(BEGIN, MOVE)))
        return {"type": "pointerMove", "duration": duration, "x": round(x), "y": round(y)}

    def drag(self, *moves):
        """Press, do these moves and let go; return the looks that were painted."""
        self.browser.point(moves[0], {"type": "pointerDown", "button": 0})
        self.browser.run("bench.looks = []")
        self.browser.point(*moves[1:])
        self.browser.run("return bench.until(1)")
        self.browser.point({"type": "pointerUp", "button": 0})
        self.browser.wait("return document.body.dataset.rest === 'yes'")
        return self.browser.run("return bench.looks")

    def step_by_step(self, steps):
        """Return the looks of so many moves, each of which comes when the last one is painted."""
        self.browser.point(self.move(), {"type": "pointerDown", "button": 0})
        looks = []
        for _ in range(steps):
            self.browser.run("bench.looks = []")
            self.browser.point(self.move())
            looks += self.browser.run("return bench.until(1)")
        self.browser.point({"type": "pointerUp", "button": 0})
        self.browser.wait("return document.body.dataset.rest === 'yes'")
        return looks

    def sweep(self, steps):
        """Return the looks of one sweep of so many moves."""
        return self.drag(self.move(), *[self.move(INTERVAL) for _ in range(steps)])


def trained(browser, steps):
    """Press Start; return the looks of so many steps of a training."""
    browser.run("bench.looks = []")
    browser.click("#train-start")
    looks = browser.run("return bench.until(arguments[0])", 1 + steps)      # the first is that before the first step
    browser.click("#train-go")
    return [look for look in looks if look["of"] == "go"]


# ---- what is printed ----


def say(title, rows):
    """Print a table: name and times of each row."""
    print(f"\n{title:<46}{'median':>8}{'quartiles':>18}{'smallest':>10}{'largest':>10}")
    for name, times in rows.items():
        low, median, high = statistics.quantiles(times, method="inclusive") if len(times) > 1 else 3 * times
        print(f"  {name:<44}{median:>8.1f}{f'{low:.1f} to {high:.1f}':>18}{min(times):>10.1f}{max(times):>10.1f}",
              flush=True)


def say_drags(browser, who, steps):
    """Drag a shape on the page that is open, and print how long that takes."""
    hand = Hand(browser)
    hand.step_by_step(5)        # not counted
    looks = hand.step_by_step(steps)
    say(f"{who}, {steps} moves step by step, ms", {name: [*map(part, looks)] for name, part in TIMES.items()})
    looks = hand.sweep(2 * steps)
    seconds = (looks[-1]["painted"] - looks[0]["moved"]) / 1000
    say(f"{who}, a sweep of {2 * steps} moves, ms", {name: [*map(part, looks)] for name, part in TIMES.items()})
    print(f"  {len(looks)} looks, {len(looks) / seconds:.1f} a second")


def say_worker(pyodide, profiles, steps):
    """Print the same of the book's page, and how long its first look and a step of a training take."""
    first, again = [], []
    with book(pyodide) as address:
        for i in range(profiles):
            with watched() as browser:
                first.append(open_page(browser, address) / 1000)
                again += [open_page(browser, address) / 1000 for _ in range(AGAIN)]
                if i == profiles - 1:
                    say("worker, first look, s", {"in a new profile": first, "in a profile that knows it": again})
                    say_drags(browser, "worker", steps)
                    looks = trained(browser, max(steps // 4, 2))
                    say("worker, training live, ms", {"a step, and the look after it, painted": [
                        look["painted"] - look["asked"] for look in looks]})


def main():
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyodide", type=Path, metavar="DIR", help="an unpacked distribution of Pyodide: measure the "
                        "page of the book, too")
    parser.add_argument("--steps", type=sides.positive, default=60, help="moves (default: %(default)s)")
    parser.add_argument("--profiles", type=sides.positive, default=3, help="new profiles (default: %(default)s)")
    args = parser.parse_args()
    if webdriver.programs() is None:
        raise SystemExit("nothing is measured: there are no chromium and chromedriver on the path")
    machine.print_machine()
    with native() as address, watched() as browser:
        print(browser.devtools("Browser.getVersion")["product"], flush=True)
        first = open_page(browser, address)
        say("npmaskrcnn explore, ms", {"first look after the page is opened": [
            first, *(open_page(browser, address) for _ in range(AGAIN))]})
        say_drags(browser, "npmaskrcnn explore", args.steps)
    if args.pyodide:
        say_worker(args.pyodide, args.profiles, args.steps)


if __name__ == "__main__":
    main()
