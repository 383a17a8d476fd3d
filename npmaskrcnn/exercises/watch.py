"""One function of the reader's at work in the model: called, compared with the truth each time, and timed.

The answer that is wrong is used all the same, because what becomes of it is what one wants to see. Only where there is
no answer (it raises, or returns something of another shape), or it has used up its time, does the package's step in.
"""

import contextlib
import functools
import inspect
import time

from .checking import Wrong, answer_of, compare, show_inputs

_busy = []      # not empty while somebody's function, or the truth beside it, is at work


class Done(Exception):
    """Raised in the place of an answer by a `Watch` that has none, or no time, any more."""


def stand_in(original, replacement):
    """Return what calls `replacement`, but `original` when somebody's function is at work, or when it is done.

    Somebody's function may call the package's operations, and so may the truth that it is compared with; neither must
    end up in the function again.
    """
    @functools.wraps(original)
    def function(*args, **kwargs):
        if not _busy:
            with contextlib.suppress(Done):
                return replacement(*args, **kwargs)
        return original(*args, **kwargs)
    return function


@contextlib.contextmanager
def _at_work():
    _busy.append(True)
    try:
        yield
    finally:
        _busy.pop()


class Watch:
    """A reader's function that stands in the model.

    Parameters
    ----------
    exercise : Exercise
    function : callable
    seconds : float
        What its calls may take together, and the truth beside them; afterwards the package's function does the rest.

    Attributes
    ----------
    calls, own : int
        How often it was called, and how often its answer was used.
    worst : float
        Largest difference of a right answer from the truth, relative to the truth's largest number.
    trouble, given : str
        About the first call whose answer is wrong: which and what, and on what input. "" if all are right.
    """

    def __init__(self, exercise, function, seconds):
        self.exercise, self.function, self.seconds = exercise, function, seconds
        self.names = list(inspect.signature(exercise.reference).parameters)
        self.calls = self.own = 0
        self.spent = self.worst = 0.0
        self.trouble, self.given, self.is_broken = "", "", False

    @property
    def is_done(self):
        """Whether the package's function does the rest."""
        return self.is_broken or self.spent > self.seconds

    def __call__(self, *arguments):
        if self.is_done:
            raise Done
        inputs = dict(zip(self.names, arguments, strict=True))
        self.calls += 1
        began = time.perf_counter()
        try:
            with _at_work():
                return self._own(inputs, self.exercise.reference(**inputs))
        finally:
            self.spent += time.perf_counter() - began

    def _own(self, inputs, truth):
        try:
            answers = answer_of(self.exercise, self.function, inputs, truth)
        except Wrong as wrong:
            self._remember(wrong, inputs)
            if wrong.answer is None:
                self.is_broken = True
                raise Done from None
            self.own += 1
            return wrong.answer             # too many or too few of them, which can be worked with
        self.own += 1
        if not self.trouble:        # what is wrong with later calls is not told, and to put it in words takes long
            try:
                self.worst = max(self.worst, compare(answers, truth, self.exercise))
            except Wrong as wrong:
                self._remember(wrong, inputs)
        return answers[0] if len(answers) == 1 else tuple(answers)

    def _remember(self, wrong, inputs):
        if not self.trouble:
            self.trouble, self.given = f"call {self.calls} is wrong. {wrong}", show_inputs(inputs)
