"""What a training shows while it runs: that it is alive, what it learns, and how long it will take.

On a terminal one line rewrites itself at every step; into a file or a notebook goes a line every so often.
The first line comes before the first step, so that a slow step is never taken for a hang. All is flushed.
"""

import math
import sys
import time

SHORT = {"loss_classifier": "class", "loss_box_reg": "box", "loss_mask": "mask",
         "loss_objectness": "objectness", "loss_rpn_box_reg": "rpn box"}
PATIENCE = 10.0  # seconds after which a line is due, however slow the steps


class Progress:
    """Prints the state of a training.

    Parameters
    ----------
    log_every : int
        Steps between two lines when the stream is not a terminal; 0 prints nothing at all.
    stream : text file or None
        None is whatever ``sys.stdout`` is when something is printed.
    """

    def __init__(self, log_every, stream=None):
        self.log_every, self._stream = log_every, stream
        self._open_line = 0  # characters of an unfinished line on the terminal
        self._last = -math.inf
        self._pace = None   # seconds a step, the recent ones counting most

    @property
    def stream(self):
        return sys.stdout if self._stream is None else self._stream

    def say(self, text):
        """Print a line of its own."""
        if self.log_every:
            self._close_line()
            print(text, file=self.stream, flush=True)

    def begin(self):
        """Forget how long the steps of an earlier run took."""
        self._pace = None

    def step(self, row, num_steps, batch_size, seconds):
        """Show one step.

        Parameters
        ----------
        row : dict of str to float
            The step's row of the log.
        num_steps, batch_size : int
        seconds : float
            That this step took.
        """
        step, now = row["step"], time.monotonic()
        seconds = max(seconds, 1e-9)
        self._pace = seconds if self._pace is None else 0.9 * self._pace + 0.1 * seconds
        on_terminal = self._on_terminal()
        due = step % max(self.log_every, 1) == 0 or step in (1, num_steps) or now - self._last > PATIENCE
        if not self.log_every or not (on_terminal or due):
            return
        self._last = now
        parts = "  ".join(f"{short} {row[name]:.3f}" for name, short in SHORT.items())
        self._line(f"step {step:>{len(str(num_steps))}}/{num_steps}  total {row['loss_total']:.3f}  {parts}  "
                   f"lr {row['learning_rate']:.2e}  {batch_size / self._pace:.1f} images/s  "
                   f"{duration(self._pace * (num_steps - step))} left", on_terminal)
        if step == num_steps:
            self._close_line()

    def evaluating(self, index, count):
        """Show how far an evaluation is."""
        if self.log_every and self._on_terminal():
            self._line(f"evaluating: image {index + 1} of {count}", True)

    def _on_terminal(self):
        return bool(getattr(self.stream, "isatty", lambda: False)())

    def _line(self, text, rewrite):
        if rewrite:
            print("\r" + text.ljust(self._open_line), end="", file=self.stream, flush=True)
            self._open_line = len(text)
        else:
            print(text, file=self.stream, flush=True)

    def _close_line(self):
        if self._open_line:
            print(file=self.stream, flush=True)
            self._open_line = 0


def chance_levels(num_classes):
    """Say what the losses of a model that knows nothing are, so that the first numbers mean something."""
    return (f"losses of pure guessing: class ln {num_classes} = {math.log(num_classes):.2f}, mask and "
            f"objectness ln 2 = {math.log(2):.2f}; the box losses have no such level, and box rises at "
            "first, when more proposals begin to hit objects")


def duration(seconds):
    """Write seconds as people do.

    >>> duration(7.4), duration(75), duration(7325)
    ('7 s', '1:15 min', '2:02 h')
    """
    seconds = int(seconds + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"
