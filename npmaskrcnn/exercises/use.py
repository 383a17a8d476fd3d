"""What you write, used: the real model predicts and trains with the reader's functions in it.

``use(nms=my_nms)`` lets the trained tiny model predict the lessons' image and train three steps twice, once as it is
and once with the given functions in their places. Each of their calls is compared with the package's answer to the same
question, and what comes out in the end with what would have come out. All numbers are of double precision, so that
equal means equal to the last digits, and all other work is done by the plain operations.
"""

import difflib
from dataclasses import dataclass, field

import numpy as np

from .. import ops
from ..datasets.shapes import the_image
from ..errors import InputError
from ..judge import judge_count, judge_number
from ..shipped import trained_tiny
from ..training.optimizers import SGD
from ..words import count
from .adapters import ADAPTERS, in_their_places
from .watch import Watch

SECONDS, STEPS = 40.0, 3     # for all functions together; of training
MIN_SCORE = 0.5


@dataclass
class Outcome:
    """What the model did: its detections, the losses of each step, the weights afterwards."""

    detections: object = None
    losses: list = field(default_factory=list)
    weights: np.ndarray = None
    error: str = ""     # what ended it before its time


@dataclass
class Use:
    """What `use` found.

    Attributes
    ----------
    same : bool
        Whether each function's answers, and all that came of them, are the package's.
    text : str
        What was printed.
    image : (H, W, 3) ndarray
    yours, packages : Outcome
    """

    same: bool
    text: str
    image: np.ndarray
    yours: Outcome
    packages: Outcome

    def figure(self):
        """Draw what was found with the functions, beside what the package finds."""
        from ..plots import side_by_side

        found = self.yours.detections
        return side_by_side([self.image], {"the package's": [self.packages.detections],
                                           "with yours": [self.packages.detections[:0] if found is None else found]},
                            MIN_SCORE, size=2.6, titles=["the image"])

    def _ipython_display_(self):
        """Show nothing: the text has been printed already."""


def use(*, steps=STEPS, seconds=SECONDS, **functions):
    """Predict and train with your functions inside the model, print how it went, and return it as a `Use`.

    Parameters
    ----------
    steps : int
        Of training, one image each.
    seconds : float
        That the functions may take, shared evenly; where one needs more, the package's does the rest of its work.
    **functions
        By the names of exercises that have a place in the model, `exercises.in_the_model()`.

    Returns
    -------
    used : Use

    Raises
    ------
    InputError
        If a name is no exercise's that has a place in the model, or a value is no function.

    Examples
    --------
    >>> from npmaskrcnn import reference
    >>> used = use(iou=lambda a, b: float(reference.box_iou(a[None], b[None])[0, 0]), steps=1,
    ...            seconds=0.2)                                                                # doctest: +ELLIPSIS
    iou: ... calls yours...; as the package's to the last digit.
    ...
    """
    from . import EXERCISES

    judge_count(steps, "steps")
    judge_number(seconds, "seconds", above=0)
    for name, function in functions.items():
        _judge(name, function)
    image, target = the_image()
    watches = {name: Watch(EXERCISES[name], function, seconds / len(functions)) for name, function in functions.items()}
    packages = _run(image, target, steps, {})
    yours = _run(image, target, steps, watches)
    lines = [_line(watch) for watch in watches.values()] + _results(yours, packages)
    same = not yours.error and not any(watch.trouble for watch in watches.values()) and _agree(yours, packages)
    used = Use(same, "\n".join(lines), image, yours, packages)
    print(used.text)
    return used


def in_the_model():
    """Name the exercises whose functions have a place in the model."""
    return tuple(ADAPTERS)


def _judge(name, function):
    if name not in ADAPTERS:
        near = difflib.get_close_matches(name, ADAPTERS, n=1)
        meant = f" did you mean {near[0]!r}?" if near else ""
        raise InputError(f"use: no exercise {name!r} has a place in the model;{meant} there are {', '.join(ADAPTERS)}")
    if not callable(function):
        raise InputError(f"use: {name} must be the function itself, got {function!r:.60}")


def _run(image, target, steps, watches):
    """Predict, then train, with functions in their places."""
    outcome = Outcome()
    model = trained_tiny().astype(np.float64)
    optimizer, rng = SGD(model.named_parameters(), lr=0.002), np.random.default_rng(0)
    with ops.plain(), in_their_places(watches):
        try:
            outcome.detections = model.predict(image)
            for _ in range(steps):
                outcome.losses.append(sum(model.loss_and_grads([image], [target], rng).values()))
                optimizer.step()
        except Exception as error:      # wrong boxes, NaN: whatever becomes of a wrong answer further on
            outcome.error = f"{type(error).__name__}: {error}"
    outcome.weights = np.concatenate([p.data.ravel() for _, p in model.named_parameters()])
    return outcome


# ---- in words ----


def _line(watch):
    name = watch.exercise.name
    if not watch.calls:
        return f"{name}: was not called."
    whose = f"{count(watch.own, 'call')} yours"
    if watch.is_done:
        slow = "" if watch.is_broken else f" in {watch.spent:.1f} s"
        whose += f"{slow}, then the package's"
    return (f"{name}: {whose}; {watch.trouble}" if watch.trouble else
            f"{name}: {whose}; as the package's to {_digits(watch.worst)}.")


def _results(yours, packages):
    lines = []
    if yours.detections is not None:
        own, theirs = (found.detections for found in (yours, packages))
        counts = [int((found.scores >= MIN_SCORE).sum()) for found in (own, theirs)]
        lines.append(f"prediction: the same {counts[0]} objects." if _same_detections(own, theirs) else
                     f"prediction: not the same; {counts[0]} objects that score {MIN_SCORE} or more, and the package "
                     f"finds {counts[1]}.")
    for step, (own, theirs) in enumerate(zip(yours.losses, packages.losses)):
        lines.append(f"training, step {step + 1}: loss {own:.6f}, the package's {theirs:.6f}.")
    if yours.error:
        lines.append(f"Then it ended with {yours.error}")
    else:
        lines.append(f"weights afterwards: as the package's to {_digits(_weights_apart(yours, packages))}.")
    return lines


def _digits(difference):
    return "the last digit" if difference == 0 else f"{difference:.0e}"


def _weights_apart(yours, packages):
    return float(np.abs(yours.weights - packages.weights).max())


def _same_detections(own, theirs):
    arrays = [(getattr(own, name), getattr(theirs, name)) for name in ("labels", "boxes", "scores", "masks")]
    return len(own) == len(theirs) and all(np.allclose(ours, right, rtol=0, atol=1e-6) for ours, right in arrays)


def _agree(yours, packages):
    return _same_detections(yours.detections, packages.detections) and _weights_apart(yours, packages) < 1e-9
