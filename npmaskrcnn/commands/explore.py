"""``npmaskrcnn explore``: move shapes on a page, and watch every stage of the model follow.

Starts a server for this computer alone, prints the address of its page and opens it in the browser; Ctrl-C ends it.
The page draws, and the models here compute: the trained tiny one, what it was after 100 and 400 steps and before the
first, relatives with another part, and yours (--weights). They compute on one core, since the browser needs another;
a large model of yours may want more (--threads).

example: npmaskrcnn explore --no-open --port 8000
"""

import os
import sys
import threading
import webbrowser
from pathlib import Path

from ..fast.threads import limit_threads
from ..interrupt import terminate_as_interrupt
from ..judge import judge_number
from ..weights import load

LARGEST_PORT = 65535


def add_arguments(parser):
    """Say what can be typed."""
    parser.add_argument("--no-open", action="store_true", help="open no browser")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the address (default: any that is free)")
    parser.add_argument("--weights", metavar="FILE", help="a model of your own, .npz, .pth or .safetensors, beside the "
                        "others")


def run(options):
    """Serve until Ctrl-C."""
    from ..explore import Explorer
    from ..explore.server import Server

    port = judge_number(options.port, "--port", 0, LARGEST_PORT, whole=True)
    own = None if options.weights is None else load(options.weights)
    explorer = Explorer(own, Path(options.weights or "").name)
    with terminate_as_interrupt(), Server(explorer, port) as server:
        print(f"the explorer is at {server.address}\nCtrl-C ends it", flush=True)
        if options.threads is None:     # two that wait for each other beside a busy browser take many times as long
            limit_threads(1)
        if not options.no_open and can_show_windows():
            threading.Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
        server.serve_forever()


def can_show_windows():
    """Whether a browser would have a window: without a screen Python may start one that takes over the terminal."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
