'''What an exercise consists of: a function with the right answer in it, and inputs to try an answer on.

To add one, copy one into the module that it belongs to, and put its right answer in. The function's head is what the
reader starts from. Its docstring says in the first paragraph what goes in and what comes out (that is the reader's
too), then in Markdown what to compute, and last the hints, each of which says a little more. The cases come smallest
first, and a case's own hint says what a wrong answer on it usually comes from::

    @exercise("area")
    def box_area(box):
        """One box (x1, y1, x2, y2) -> its area, a number.

        How many pixels does a box cover? The right and the bottom edge are exclusive.

        Hints
        -----
        - A width is a difference.
        - `x2 - x1` and `y2 - y1` are the two sides.
        """
        return (box[2] - box[0]) * (box[3] - box[1])


    @box_area.tried_on
    def _():
        yield case("a box of one pixel", "1 - 0 is 1 already, there is no + 1", box=floats(0, 0, 1, 1))
        yield case("a box wider than high", "x1 goes with x2, not with y1", box=floats(2, 3, 7, 5))

Wrong answers that many give are in ``mistakes/``; who gives the same on all cases is told so, in place of a hint::

    @box_area.mistake("The right edge is exclusive: a width is x2 - x1, without + 1.")
    def _(box):
        return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)

One that comes in several forms gets a name, ``inclusive = box_area.mistake("...")``, and each form, ``@inclusive``.
'''

import inspect
import re
import textwrap
from typing import NamedTuple


class Case(NamedTuple):
    """One input on which an answer is compared with the truth."""

    about: str      # what is tried, in words: "windows that overlap"
    hint: str       # what a wrong answer on this case usually comes from
    inputs: dict    # argument -> value, in the order of the signature


def case(about, hint="", **inputs):
    """A `Case`, with the function's arguments by name."""
    return Case(about, hint, inputs)


class Exercise:
    """A function to write: `name`, `statement`, `hints` and `stub` are read off the one with the right answer.

    Parameters
    ----------
    reference : callable
        The right answer, which gets a case's inputs by name.
    outputs : tuple of str
        Names of what it returns.
    tolerance : float
        Relative to the largest number of the right answer.
    """

    def __init__(self, reference, outputs, tolerance):
        self.name, self.reference, self.outputs, self.tolerance = reference.__name__, reference, outputs, tolerance
        self.mistakes = []      # (what to say to who makes it, function that makes it)
        docstring = inspect.getdoc(reference) or ""     # python -OO leaves none; an answer can be checked all the same
        head, _, rest = docstring.partition("\n\n")
        self.statement, _, hints = rest.partition("\n\nHints\n-----\n")
        self.hints = tuple(" ".join(hint.split()) for hint in re.split("^- ", hints, flags=re.MULTILINE)[1:])
        answer = f"...  # return {', '.join(outputs)}" if len(outputs) > 1 else "..."
        body = f'"""{head}"""\n{answer}'
        self.stub = f"def {self.name}{inspect.signature(reference)}:\n{textwrap.indent(body, '    ')}"

    def tried_on(self, cases):
        """Decorate the generator of the cases; the first are small enough to be done on paper."""
        self._cases = cases
        return cases

    def mistake(self, about):
        """Decorate a function that gives a common wrong answer; `about` says what was done, and what would be right."""
        def remember(function):
            self.mistakes.append((about, function))
            return function
        return remember

    def cases(self):
        """A list of fresh `Case`, in their order."""
        return list(self._cases())


def exercise(*outputs, tolerance=1e-9):
    """Decorate a right answer, naming what it returns, to make an `Exercise` of it."""
    return lambda reference: Exercise(reference, outputs, tolerance)
