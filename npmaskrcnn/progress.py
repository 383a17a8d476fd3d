"""How far long work has come: one line that rewrites itself on a terminal, and a line now and then elsewhere.

The first state is shown before the work begins, so that a slow beginning is never taken for a hang, and everything is
flushed at once.
"""

import math
import sys
import time

PATIENCE = 5.0  # seconds after which a line is due in a file or a pipe


class Line:
    """A line of text that is replaced by the next one.

    Parameters
    ----------
    stream : text file or None
        None is whatever ``sys.stdout`` is when something is printed.
    """

    def __init__(self, stream=None):
        self._stream = stream
        self._width = 0     # characters of an unfinished line on the terminal
        self._last = -math.inf

    def show(self, text, due=False):
        """Show a state; where lines cannot be replaced only if it is `due`, or the last one is some seconds old."""
        if self.is_on_terminal():
            self._print("\r" + text.ljust(self._width), end="")
            self._width = len(text)
        elif due or time.monotonic() - self._last > PATIENCE:
            self._print(text)
            self._last = time.monotonic()

    def say(self, text):
        """Print a line that stays."""
        self.close()
        self._print(text)

    def close(self):
        """End the line, if it is open."""
        if self._width:
            self._print("")
            self._width = 0

    def is_on_terminal(self):
        """Tell whether a person is watching."""
        return bool(getattr(self._out(), "isatty", lambda: False)())

    def _out(self):
        return sys.stdout if self._stream is None else self._stream

    def _print(self, text, end="\n"):
        print(text, end=end, file=self._out(), flush=True)


class ProgressLine:
    """Says on a `Line` (by default of ``sys.stderr``) how many of `total` are done, and how long the rest will take."""

    def __init__(self, what, total, line=None):
        self.what, self.total, self.line = what, total, line or Line(sys.stderr)
        self.start = time.monotonic()

    def update(self, done, stage=""):
        """Say that `done` of the total are done, and at which stage the next one is."""
        left = (time.monotonic() - self.start) / max(done, 1) * (self.total - done)
        parts = [f"{self.what}: {done} of {self.total}", f"{duration(left)} left" if done else "", stage]
        self.line.show(", ".join(part for part in parts if part), due=done in (0, self.total))
        if done == self.total:
            self.line.close()


def duration(seconds):
    """Write seconds as people do.

    >>> duration(7.4), duration(75), duration(7325)
    ('7 s', '1:15 min', '2:02 h')
    """
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d} h" if hours else f"{minutes}:{seconds:02d} min" if minutes else f"{seconds} s"
