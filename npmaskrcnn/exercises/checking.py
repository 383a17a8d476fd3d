"""Running somebody's function and saying what is wrong with its answer.

The function may do anything, so every way of going wrong has a sentence of its own: it raises, it never
ends, it returns nothing, or something that is not numbers, or of another shape; it writes into what it was
given; or it is simply wrong somewhere, and then the place is shown. Nothing here raises.
"""

import contextlib
import copy
import io
import itertools
import signal
import threading
import traceback
import warnings
from dataclasses import dataclass

import numpy as np

TIME_LIMIT = 20     # seconds a case; they take milliseconds
PATIENCE = 1        # seconds a case, where the function runs once more to be compared with common mistakes
MAX_SHOWN = 60      # numbers; of larger arrays only what is around the worst place is shown


@dataclass(frozen=True)
class Report:
    """What a check found."""

    name: str
    passed: bool
    num_right: int      # cases before the first wrong one
    num_cases: int
    text: str

    def _ipython_display_(self):
        """Show nothing: the text has been printed already."""


class Wrong(Exception):
    """What is wrong with an answer, in words; how far off its numbers are, or they themselves, if too many or few."""

    difference = answer = None


def examine(exercise, function):
    """Compare a function with an exercise's truth, case by case, up to the first difference."""
    name = exercise.name
    if not callable(function):
        text = (f"{name}: not yet. The check wants the function itself, not a {type(function).__name__}: "
                f'write check("{name}", {name}), without calling it.')
        return Report(name, False, 0, 0, text)
    cases = exercise.cases()
    worst = 0.0
    for i, case in enumerate(cases):
        try:
            worst = max(worst, _try(exercise, case, function))
        except Wrong as wrong:
            named = recognize(exercise, function, cases, i)
            return Report(name, False, i, len(cases), _complaint(name, cases, i, wrong, named))
    text = (f"{name}: right on all {len(cases)} cases. Largest difference: "
            + ("none." if worst == 0 else f"below {exercise.tolerance:.0e} of the largest number, as asked for."))
    return Report(name, True, len(cases), len(cases), text)


def recognize(exercise, function, cases, i):
    """Say which common mistake gives what is wrong in case `i`; of several the one that gives most of all answers."""
    answer = _raw_answer(exercise, function, cases[i].inputs)
    if answer[0] is None:
        return ""       # it raises, or does not end: once is enough
    found, truth = ([_raw_answer(exercise, one, case.inputs) for case in cases]
                    for one in (function, exercise.reference))
    best, named = 0, ""
    for about, mistaken in exercise.mistakes:
        given = [_raw_answer(exercise, mistaken, case.inputs) for case in cases]
        explains = any(_equal(own, other) and not _equal(own, right)
                       for own, other, right in zip(answer, given[i], truth[i]))
        shared = sum(map(_equal, itertools.chain(*found), itertools.chain(*given)))
        if explains and shared > best:
            best, named = shared, about
    return named


def _raw_answer(exercise, function, inputs):
    """What a function returns, as a list of arrays; of None if it returns nothing of the kind."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():      # they have been seen before
            warnings.simplefilter("ignore")
            answer = _run(function, list(copy.deepcopy(inputs).values()), PATIENCE)
        return [np.asarray(value, np.float64) for value in _unpack(answer, exercise.outputs)]
    except Exception:       # also of an object that only pretends to be an array
        return [None] * len(exercise.outputs)


def _equal(one, two):
    return (one is not None and two is not None and one.shape == two.shape
            and np.allclose(one, two, rtol=1e-6, atol=1e-9, equal_nan=True))


def _complaint(name, cases, i, wrong, named):
    case = cases[i]
    lines = [f"{name}: not yet. Case {i + 1} of {len(cases)} is wrong: {case.about}.", str(wrong), "The input was:"]
    lines.append(show_inputs(case.inputs))
    if named or case.hint:
        lines.append(f"This looks familiar: {named}" if named else f"To think about: {case.hint}")
    return "\n".join(lines)


# ---- one case ----


def _try(exercise, case, function):
    """Run one case; return the largest relative difference, or raise `Wrong`."""
    expected = exercise.reference(**copy.deepcopy(case.inputs))
    return compare(answer_of(exercise, function, case.inputs, expected), expected, exercise)


def answer_of(exercise, function, inputs, expected):
    """Run a function on copies of inputs; return a list of arrays of the right kinds and shapes, or raise `Wrong`."""
    given = copy.deepcopy(inputs)
    answer = _run(function, list(given.values()), TIME_LIMIT)
    if answer is None:
        raise Wrong("It returns nothing (None) so far. It must end with a `return`.")
    names = exercise.outputs
    found = [_as_numbers(value, right, name)
             for value, right, name in zip(_unpack(answer, names), _listed(expected, names), names, strict=True)]
    for name, value in given.items():
        if not _same(value, inputs[name]):
            raise Wrong(f"It changed its input {name}. Work on a copy: `{name} = {name}.copy()`, "
                        "or avoid `+=` and `[...] =` on it.")
    return found


def compare(found, expected, exercise):
    """Return the largest difference relative to the largest number of the right answer, or raise `Wrong`."""
    return max(_compare(value, right, name, exercise.tolerance)
               for value, right, name in zip(found, _listed(expected, exercise.outputs), exercise.outputs, strict=True))


def _listed(expected, names):
    return expected if len(names) > 1 else (expected,)


def _run(function, arguments, seconds):
    try:
        with np.errstate(all="ignore"), _time_limit(seconds):
            return function(*arguments)
    except _TooLong:
        raise Wrong(f"It did not end within {seconds} seconds. "
                    "Is there a loop whose end is never reached?") from None
    except (Exception, SystemExit) as error:
        raise Wrong(f"It raised {type(error).__name__}: {_said(error)}{_place(error)}") from error


def _said(error):
    """An exception's message, which may itself be broken."""
    try:
        return str(error)
    except Exception as second:
        return f"(its own message raises {type(second).__name__})"


def _place(error):
    """Where in the function, if that is known: the innermost line that is not a library's."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__)[1:] if "site-packages" not in frame.filename]
    if not own:
        return ""
    line = f", `{own[-1].line}`" if own[-1].line else ""
    return f"\n  in {own[-1].name}, line {own[-1].lineno}{line}"


class _TooLong(BaseException):
    """Raised by the alarm; no Exception, so that a function's own `except Exception` lets it through."""


@contextlib.contextmanager
def _time_limit(seconds):
    """Interrupt what takes too long, where the system can do that (not on Windows, not outside the main thread)."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_):
        raise _TooLong

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- from whatever was returned to arrays ----


def _unpack(answer, names):
    if len(names) == 1:
        return (answer,)
    wanted = ", ".join(names)
    if not isinstance(answer, (tuple, list)):
        raise Wrong(f"It returned one {_kind(answer)}; expected {len(names)} things: `return {wanted}`.")
    if len(answer) != len(names):
        raise Wrong(f"It returned {len(answer)} things; expected {len(names)}: `return {wanted}`.")
    return tuple(answer)


def _as_numbers(value, right, name):
    """The answer as an array of the right kind and shape, or `Wrong`."""
    right = np.asarray(right)
    if value is None:
        raise Wrong(f"{name} is None.")
    try:
        array = np.asarray(value)
    except Exception as error:      # ragged lists, or an object that only pretends to be an array
        raise Wrong(f"{name}, a {_kind(value)}, is no array of numbers: {_said(error)}") from error
    if array.dtype.kind not in "bfiu":
        raise Wrong(f"{name} should hold numbers; what came back is of type {_kind(value)}, dtype {array.dtype}.")
    if array.shape != right.shape:
        wrong = Wrong(f"{name} has shape {array.shape}; expected {right.shape}."
                      f"{_show_both(name, array, right) if max(array.size, right.size) <= MAX_SHOWN else ''}")
        wrong.answer = array if array.ndim == right.ndim == 1 else None
        raise wrong
    if right.dtype.kind in "iu" and array.dtype.kind not in "iu" and array.size:
        raise Wrong(f"{name} should hold integers; its dtype is {array.dtype}.")
    if right.dtype.kind == "f" and array.dtype.kind == "b":
        raise Wrong(f"{name} should hold real numbers; its dtype is bool.")
    return array


def _kind(value):
    return f"array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _same(value, before):
    return np.array_equal(np.asarray(value), np.asarray(before), equal_nan=np.asarray(before).dtype.kind == "f")


# ---- the comparison ----


def _compare(array, right, name, tolerance):
    """Largest difference relative to the largest number of the right answer, or `Wrong`."""
    right = np.asarray(right)
    if right.size == 0:
        return 0.0
    found, truth = array.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        off = np.where(np.isfinite(found), np.abs(found - truth), np.inf)
    largest = max(float(np.abs(truth).max()), 1e-4)     # where 0 is right, rounding may leave 1e-16
    wrong = off > (tolerance * largest if right.dtype.kind == "f" else 0)
    if not wrong.any():
        return float(off.max()) / largest
    index = np.unravel_index(int(off.argmax()), off.shape)
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    share = f"{wrong.sum()} of {off.size} numbers are wrong; the worst is " if off.size > 1 else ""
    wrong = Wrong(f"{share}{place}: expected {_number(truth[index])}, got {_number(found[index])}."
                  f"{_show_both(name, array, right, index)}")
    wrong.difference = float(off.max()) / largest
    raise wrong


# ---- showing numbers ----


def _number(value):
    return f"{float(value):.6g}"


def _text(array, indent=2):
    text = np.array2string(array, precision=4, suppress_small=True, max_line_width=100, threshold=200)
    return "\n".join(" " * indent + line for line in text.split("\n"))


def _show_both(name, array, right, index=None):
    if right.ndim == 0:
        return ""
    note = ""
    if max(array.size, right.size) > MAX_SHOWN and index is not None:
        around = tuple(slice(max(i - 1, 0), i + 2) for i in index)
        array, right, note = array[around], right[around], " around it"
    array, right = (np.atleast_1d(np.squeeze(a)) for a in (array, right))     # of one number: [0], not 0
    return f"\nExpected {name}{note}:\n{_text(right)}\nGot {name}{note}:\n{_text(array)}"


def show_inputs(inputs):
    """Write what went in, an argument a line."""
    return "\n".join(_show_value(name, value) for name, value in inputs.items())


def _show_value(name, value):
    if not isinstance(value, np.ndarray):
        return f"  {name} = {value!r}"
    if value.size == 0:
        return f"  {name}: empty, shape {value.shape}"
    if value.size > MAX_SHOWN:
        return (f"  {name}: shape {value.shape}, {value.dtype}, between {_number(value.min())} "
                f"and {_number(value.max())}")
    squeezed = ", shown without its axes of length 1" if 1 in value.shape and value.ndim > 2 else ""
    shown = np.atleast_1d(np.squeeze(value)) if squeezed else value
    return f"  {name}: shape {value.shape}{squeezed}\n{_text(shown, indent=4)}"
