"""The exercises of the lessons: a stub to fill in, and a check that says what is wrong and on which input.

``stub("iou")`` prints what to start from; ``check("iou", iou)`` runs your function on small inputs first
and shows the first one on which it differs from the truth: which common mistake that is, or what to think
about, where the two differ most, what should have come out, what came out, and what went in. A check reports
and never raises, whatever the function does, so a notebook with unsolved exercises runs through. The truth is
the package's own operation; solutions that do without it are in ``notebooks/solutions/``.

``use(iou=iou, nms=my_nms)`` goes on from there: the trained model predicts and trains with your functions in it.

>>> def iou(box1, box2):
...     return 0.0
>>> report = check("iou", iou)                                                   # doctest: +ELLIPSIS
iou: not yet. Case 1 of 6 is wrong: two 2x2 boxes that share one of their cells.
...
>>> report.passed
False
"""

import difflib

from . import boxes, convolution, learning, mistakes, places, proposals, regions  # noqa: F401  (mistakes: to be known)
from .checking import Report, examine
from .exercise import Exercise
from .use import Use, in_the_model, use

__all__ = ["Report", "Use", "check", "in_the_model", "names", "statement", "stub", "use"]

# in the order in which they are defined
EXERCISES = {name: value for module in (places, convolution, boxes, proposals, regions, learning)
             for name, value in vars(module).items() if isinstance(value, Exercise)}


def names():
    """The names of all exercises, in the order of the lessons' subjects."""
    return tuple(EXERCISES)


def statement(name):
    """What an exercise asks for, in plain words (Markdown); an unknown name lists the known ones."""
    return EXERCISES[name].statement if _is_known(name) else _unknown(name)


def stub(name):
    """Print the cell to start from: the signature, what goes in and out, and the call of `check`."""
    print(stub_text(name) if _is_known(name) else _unknown(name))


def stub_text(name):
    """The text that `stub` prints; the lessons' exercise cells hold it literally."""
    return f'{EXERCISES[name].stub}\n\nexercises.check("{name}", {name})'


def check(name, function):
    """Run `function` on an exercise's cases, print what is found, and return it as a `Report`.

    Parameters
    ----------
    name : str
        Which exercise; an unknown name lists the known ones.
    function : callable
        Your function, not its result. It may do anything: raise, return nonsense, write into its inputs.

    Returns
    -------
    report : Report
        `.passed` says whether all cases came out right, `.text` is what was printed.
    """
    if callable(name) and isinstance(function, str):
        name, function = function, name     # meant is meant
    if not _is_known(name):
        report = Report(str(name), False, 0, 0, _unknown(name))
    else:
        report = examine(EXERCISES[name], function)
    print(report.text)
    return report


def _is_known(name):
    return isinstance(name, str) and name in EXERCISES


def _unknown(name):
    near = difflib.get_close_matches(str(name).lower(), EXERCISES, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no exercise {name!r:.60}.{meant} There are: {', '.join(EXERCISES)}."
