"""Running somebody's function and saying what is wrong with its answer.

The function may do anything, so every way of going wrong has a sentence of its own: it raises, it never
ends, it returns nothing, or something that is not numbers, or of another shape; it writes into what it was
given; or it is simply wrong somewhere, and then the place is shown. Nothing here raises.

A common mistake is named only where it gives the very answers, on all cases; else a case has a hint, which is said
where numbers are wrong, and not where something else is, such as a missing `return`.
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
MAX_SHOWN, MAX_LINES = 60, 12       # numbers, in lines; of larger arrays only what is around the worst place is shown
SINGLE = 1e-5       # tolerance where an answer is float32; what is nearer than that may have been rounded on the way


@dataclass(frozen=True)
class Report:
    """What a check found."""

    name: str
    passed: bool
    num_right: int      # cases before the first wrong one
    num_cases: int
    text: str
    named: str = ""     # the common mistake that gives these answers

    def _ipython_display_(self):
        """Show nothing: the text has been printed already."""


class Wrong(Exception):
    """What is wrong with an answer, in words; its numbers themselves, if too many or few.

    `hint_helps` where it has to do with the numbers of the case, and not with how the function is written.
    """

    answer = None
    hint_helps = False


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
            return Report(name, False, i, len(cases), _complaint(name, cases, i, wrong, named), named)
    text = f"{name}: right on all {len(cases)} cases. Largest difference: "
    if worst == 0:
        text += "none."
    elif worst <= exercise.tolerance:
        text += f"below {exercise.tolerance:.0e} of the largest number, as asked for."
    else:
        text += (f"below {SINGLE:.0e} of the largest number, as asked for where an answer is float32 (the inputs are "
                 "float64).")
    return Report(name, True, len(cases), len(cases), text)


def recognize(exercise, function, cases, i):
    """Say which common mistake gives the answers of a function that is wrong in case `i`; "" if none does.

    It has to give them on all cases, in each of the outputs that it changes. Cases in which one of the two raises or
    has no finite number, and those with an empty input, decide nothing, unless it is case `i`. Of several mistakes it
    is the one that gives most of all answers.
    """
    answer = _raw_answer(exercise, function, cases[i].inputs)
    if answer[0] is None:
        return ""       # it raises, or does not end: once is enough
    found, truth = ([_raw_answer(exercise, one, case.inputs) for case in cases]
                    for one in (function, exercise.reference))
    best, named = 0, ""
    for about, mistaken in itertools.chain(exercise.mistakes, _other_orders(exercise)):
        here = _raw_answer(exercise, mistaken, cases[i].inputs)
        if not any(_equal(own, theirs) and not _equal(own, right)
                   for own, theirs, right in zip(answer, here, truth[i])):
            continue        # most do not give this answer, and need not be tried on the other cases
        given = [_raw_answer(exercise, mistaken, case.inputs) for case in cases]
        changed = [k for k in range(len(answer))
                   if any(not _equal(one[k], right[k]) for one, right in zip(given, truth))]
        agrees = all(_equal(found[j][k], given[j][k]) for k in changed for j, case in enumerate(cases)
                     if j == i or _decides(case, found[j][k], given[j][k]))
        shared = sum(map(_equal, itertools.chain(*found), itertools.chain(*given)))
        if agrees and shared > best:
            best, named = shared, about
    return named


def _other_orders(exercise):
    """Yield the right answers in every wrong order, as mistakes."""
    about = f"The right answers, but in another order. It must be: `return {', '.join(exercise.outputs)}`."
    for order in list(itertools.permutations(range(len(exercise.outputs))))[1:]:
        yield about, lambda *inputs, order=order: [exercise.reference(*inputs)[k] for k in order]


def _raw_answer(exercise, function, inputs):
    """What a function returns, as a list of arrays; of None if it returns nothing of the kind."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():      # they have been seen before
            warnings.simplefilter("ignore")
            answer = _run(function, list(copy.deepcopy(inputs).values()), PATIENCE)
        arrays = [np.asarray(value) for value in _unpack(answer, exercise.outputs)]
        return [array if array.dtype == np.float32 else array.astype(np.float64) for array in arrays]
    except Exception:       # also of an object that only pretends to be an array
        return [None] * len(exercise.outputs)


def _decides(case, one, two):
    return (one is not None and two is not None and np.isfinite(one).all() and np.isfinite(two).all()
            and all(np.size(value) for value in case.inputs.values()))


def _equal(one, two):
    if one is None or two is None or one.shape != two.shape:
        return False
    if np.float32 in (one.dtype, two.dtype):
        return np.allclose(one, two, rtol=SINGLE, atol=SINGLE * np.abs(two).max(initial=0), equal_nan=True)
    return np.allclose(one, two, rtol=1e-6, atol=1e-9, equal_nan=True)


def _complaint(name, cases, i, wrong, named):
    case = cases[i]
    lines = [f"{name}: not yet. Case {i + 1} of {len(cases)} is wrong: {case.about}."]
    if named:
        lines.append(f"This looks familiar: {named}")
    elif case.hint and wrong.hint_helps and (i > 0 or wrong.__cause__ is None):     # what raises from the start raises
        lines.append(f"To think about: {case.hint}")                                # for another reason
    lines += [str(wrong), "The input was:", show_inputs(case.inputs)]
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
        wrong = Wrong(f"It raised {type(error).__name__}: {_said(error)}{_place(error)}")
        wrong.hint_helps = isinstance(error, (ValueError, LookupError, ArithmeticError))
        raise wrong from error


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
        raise _wrong_shape(name, array, right)
    if right.dtype.kind in "iu" and array.dtype.kind not in "iu" and array.size:
        raise Wrong(f"{name} should hold integers; its dtype is {array.dtype}.")
    if right.dtype.kind == "f" and array.dtype.kind == "b":
        raise Wrong(f"{name} should hold real numbers; its dtype is bool.")
    return array


def _wrong_shape(name, array, right):
    has = f"has shape {array.shape}" if array.ndim else "is one number"
    is_turned = array.ndim == 2 and array.shape == right.shape[::-1]
    turned = " Rows and columns have changed places." if is_turned else ""
    both = "" if 0 in (array.ndim, right.ndim) else _show_both(name, array, right)
    wrong = Wrong(f"{name} {has}; expected {right.shape or 'one number'}.{turned}{both}")
    wrong.answer = array if array.ndim == right.ndim == 1 else None
    wrong.hint_helps = not is_turned and (array.ndim == right.ndim or right.size == 0)
    return wrong


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
    is_float = right.dtype.kind == "f"
    allowed = is_float * largest * (SINGLE if array.dtype == np.float32 else tolerance)
    wrong, difference = off > allowed, float(off.max())
    if not wrong.any():
        return difference / largest
    index = np.unravel_index(int((off if is_float else wrong).argmax()), off.shape)
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    share = (f"{wrong.sum()} of {off.size} numbers {'is' if wrong.sum() == 1 else 'are'} wrong; "
             f"the {'worst' if is_float else 'first'} is " if off.size > 1 else "")
    is_near = is_float and difference <= SINGLE * largest
    expected, got = (_number(a[index], 12 if is_near else 6) for a in (truth, found))
    more = (f" They are {difference:.0e} apart, where {float(allowed):.0e} is allowed. Was something made float32 "
            "on the way?" if is_near else _show_both(name, array, right, index, difference))
    wrong = Wrong(f"{share}{place}: expected {expected}, got {got}.{more}")
    wrong.hint_helps = not is_near
    raise wrong


# ---- showing numbers ----


def _number(value, digits=6):
    return f"{float(value):.{digits}g}"


def _text(array, scale, indent=2):
    """The numbers of an array, with as many decimals as differences of this size need."""
    with np.errstate(all="ignore"):
        decimals = 3 - np.floor(np.log10(scale))
    text = np.array2string(array, precision=int(np.clip(decimals, 4, 16)) if np.isfinite(decimals) else 4,
                           suppress_small=True, max_line_width=100, threshold=200)
    return "\n".join(" " * indent + line for line in text.split("\n"))


def _is_short(array):
    return array.size <= MAX_SHOWN and _text(array, 1.0).count("\n") < MAX_LINES


def _show_both(name, array, right, index=None, difference=1.0):
    """What was expected and what came, whole or, where that is long, around an index; nothing of a single number."""
    if right.ndim == 0:
        return ""
    if index is not None:
        flat = [np.atleast_1d(np.squeeze(a)) for a in (array, right)]     # of one number: [0], not 0
        if _is_short(flat[1]):
            array, right = flat
        else:
            part = _around(index, right.shape)
            array, right, name = array[part], right[part], f"{name}[{', '.join(map(_written, part))}]"
    elif not (_is_short(array) and _is_short(right)):
        return ""
    return f"\nExpected {name}:\n{_text(right, difference)}\nGot {name}:\n{_text(array, difference)}"


def _around(index, shape):
    """What is shown of a long array: three numbers each way about an index, along its two longest axes."""
    longest = sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2]
    return tuple((slice(0, n) if n <= 4 else slice(max(i - 1, 0), min(i + 2, n))) if axis in longest else i
                 for axis, (i, n) in enumerate(zip(index, shape)))


def _written(part):
    return f"{part.start}:{part.stop}" if isinstance(part, slice) else str(part)


def show_inputs(inputs):
    """Write what went in, an argument a line."""
    return "\n".join(_show_value(name, value) for name, value in inputs.items())


def _show_value(name, value):
    if not isinstance(value, np.ndarray):
        return f"  {name} = {value!r}"
    if value.size == 0:
        return f"  {name}: empty, shape {value.shape}"
    squeezed = ", shown without its axes of length 1" if 1 in value.shape and value.ndim > 2 else ""
    shown = np.atleast_1d(np.squeeze(value)) if squeezed else value
    if not _is_short(shown):
        return (f"  {name}: shape {value.shape}, {value.dtype}, between {_number(value.min())} "
                f"and {_number(value.max())}")
    return f"  {name}: shape {value.shape}{squeezed}\n{_text(shown, np.abs(shown).max(), indent=4)}"
