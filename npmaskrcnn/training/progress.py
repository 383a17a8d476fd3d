"""What a training shows while it runs: that it is alive, what it learns, and how long it will take."""

import math

from ..progress import Line, ProgressLine, duration

SHORT = {"loss_classifier": "class", "loss_box_reg": "box", "loss_mask": "mask",
         "loss_objectness": "objectness", "loss_rpn_box_reg": "rpn box"}

LONG = 50       # steps, of which people want to know beforehand how long they take


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
        self.log_every, self.line = log_every, Line(stream)
        self._pace = None   # seconds a step, the recent ones counting most
        self._evaluation, self._first = None, []    # seconds of the first steps

    def say(self, text):
        """Print a line of its own."""
        if self.log_every:
            self.line.say(text)

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
        step, seconds = row["step"], max(seconds, 1e-9)
        self._pace = seconds if self._pace is None else 0.9 * self._pace + 0.1 * seconds
        if not self.log_every:
            return
        if len(self._first) < 3:
            self._first.append(seconds)
            if len(self._first) == 3 and num_steps - step >= LONG:
                measured = sum(self._first[1:]) / 2         # the first step of all has to ask for its memory
                self.say(f"a step takes {measured:.2g} s on this machine, the {num_steps - step:,} to come about "
                         f"{duration(measured * (num_steps - step))}, evaluations aside")
        parts = "  ".join(f"{short} {row[name]:.3f}" for name, short in SHORT.items() if name in row)
        self.line.show(f"step {step:>{len(str(num_steps))}}/{num_steps}  total {row['loss_total']:.3f}  {parts}  "
                       f"lr {row['learning_rate']:.2e}  {batch_size / self._pace:.1f} images/s  "
                       f"{duration(self._pace * (num_steps - step))} left",
                       due=step % self.log_every == 0 or step in (1, num_steps))
        if step == num_steps:
            self.line.close()

    def evaluating(self, done, count):
        """Show how far an evaluation is."""
        if done == 0:
            self._evaluation = ProgressLine("evaluating, images", count, self.line)
        if self.log_every:
            self._evaluation.update(done)


def chance_levels(num_classes, masks=True):
    """Say what the losses of a model that knows nothing are, so that the first numbers mean something."""
    return (f"losses of pure guessing: class ln {num_classes} = {math.log(num_classes):.2f}, {'mask and ' * masks}"
            f"objectness ln 2 = {math.log(2):.2f}; the box losses have no such level, and box rises at "
            "first, when more proposals begin to hit objects")
