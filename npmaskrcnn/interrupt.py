"""Ctrl-C at the right moment.

An interruption may come anywhere, in the middle of an optimizer's step too, when half of the weights are new
and half are old. `uninterrupted` holds it back for the few milliseconds that such a change takes; everywhere
else it acts at once.
"""

import contextlib
import signal
import threading

TERMINATIONS = ("SIGTERM", "SIGHUP")


@contextlib.contextmanager
def uninterrupted():
    """Let a ``with`` block finish; an interruption that came meanwhile is raised after it.

    Yields a list, which is empty until one comes: for a block that can hurry then.
    """
    pending = []
    with _handlers(lambda *_: pending.append(True), ("SIGINT", *TERMINATIONS), callable):
        yield pending
    if pending:
        raise KeyboardInterrupt


def terminate_as_interrupt():
    """Inside this ``with`` block, a polite request to terminate or a closed terminal is taken for a Ctrl-C."""
    def interrupt(*_):
        raise KeyboardInterrupt
    return _handlers(interrupt, TERMINATIONS, lambda present: present == signal.SIG_DFL)


@contextlib.contextmanager
def _handlers(handler, names, wanted):
    """Handle the named signals with `handler`, if `wanted` says so of their present handler."""
    previous = {}
    if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            present = signal.getsignal(number)
            if wanted(present):
                previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, present in previous.items():
            signal.signal(number, present)
