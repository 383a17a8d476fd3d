"""What you write, used: the real model predicts and trains with the reader's functions in it.

``use(nms=my_nms)`` lets the trained tiny model predict the lessons' image and train three steps twice, once as it is
and once with the given functions in their places. Each of their calls is compared with the package's answer to the same
question, and what comes out in the end with what would have come out. All numbers are of double precision, so that
equal means equal to the last digits, and all other work is done by the plain operations.
"""

import contextlib
import difflib
import io
import warnings
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
from .checking import Report, examine
from .watch import Watch

SECONDS, STEPS = 40.0, 3     # for all functions together; of training
MIN_SCORE = 0.5
FAR, FAR_SINGLE = 1e-6, 1e-3    # no further apart are the same boxes (in pixels), scores, masks; if answers are float32
WEIGHTS = 1e-3                  # times that are the same weights


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
    iou: ... calls yours...; equal to the package's.
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
    far = FAR_SINGLE if any(map(_is_single, watches.values())) else FAR
    lines = [_line(watch) for watch in watches.values()]
    if watches and not any(watch.own for watch in watches.values()):
        lines.append("Nothing of yours was used, so all that follows is the package's.")
    lines += _results(yours, packages, far)
    same = not yours.error and not any(watch.trouble for watch in watches.values()) and _agree(yours, packages, far)
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
    """How a function did: whose answers were used, which was the first wrong one, and which mistake that is."""
    name = watch.exercise.name
    if not watch.calls:
        return f"{name}: was not called."
    whose = f"{count(watch.own, 'call')} yours" if watch.own else "yours was not used, the package's did all the work"
    if watch.own and watch.is_done:
        whose += ", then the package's" if watch.is_broken else f" in {watch.spent:.1f} s, then the package's"
    report = _checked(watch)
    if watch.trouble:
        first, *more = watch.trouble.split("\n")
        named = [f"This looks familiar: {report.named}"] if report.named else []
        return "\n".join([f"{name}: {whose}; {first}", *named, *more, "The input was:", watch.given])
    right = f"as the package's to {watch.worst:.0e} of the largest number" if watch.worst else "equal to the package's"
    single = ", as near as float32 comes" if _is_single(watch) else ""
    missed = "" if report.passed else f' Nothing came up here that tells them apart; check("{name}", {name}) does.'
    return f"{name}: {whose}; {right}{single}.{missed}"


def _checked(watch):
    """What `check` says of a function; of one that raises or returns no answer, nothing."""
    if watch.is_broken:
        return Report(watch.exercise.name, False, 0, 0, "")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return examine(watch.exercise, watch.function)


def _is_single(watch):
    return not watch.trouble and watch.worst > watch.exercise.tolerance


def _results(yours, packages, far):
    lines = [] if yours.detections is None else _prediction(yours.detections, packages.detections, far)
    for step, (own, theirs) in enumerate(zip(yours.losses, packages.losses)):
        lines.append(f"training, step {step + 1}: loss {own:.6f}, the package's {theirs:.6f}.")
    apart = _weights_apart(yours, packages)
    if yours.error:
        lines.append(f"Then it ended with {yours.error}")
    elif apart == 0:
        lines.append("weights afterwards: the same.")
    elif np.isnan(apart):
        lines.append("weights afterwards: not the same, some are no numbers any more.")
    else:
        words = "the same but for" if apart < far * WEIGHTS else "not the same, they differ by up to"
        lines.append(f"weights afterwards: {words} {apart:.0e}.")
    return lines


def _prediction(own, theirs, far):
    """Say what is otherwise in a prediction: which object, and by how much."""
    if _same_detections(own, theirs, far):
        return [f"prediction: the same {count(int((own.scores >= MIN_SCORE).sum()), 'object')}."]
    own, theirs = (found[found.scores >= MIN_SCORE] for found in (own, theirs))
    rest, lines = list(range(len(own))), []
    for i in range(len(theirs)):
        overlaps = [(ops.box_iou(own.boxes[j, None], theirs.boxes[i, None])[0, 0], j) for j in rest
                    if own.labels[j] == theirs.labels[i]]
        overlap, best = max(overlaps, default=(0, None))
        if overlap > 0.5:
            rest.remove(best)
            changes = _changes(own[best], theirs[i], far)
        else:
            changes = ["is not found"]
        lines += [f"  {_object(theirs, i)} {', '.join(changes)}."] if changes else []
    if rest:
        more = f", and {len(rest) - 3} more" if len(rest) > 3 else ""
        lines.append(f"  Found besides: {', '.join(_object(own, j) for j in rest[:3])}{more}.")
    return [f"prediction: not the same. The package finds {count(len(theirs), 'object')} that score {MIN_SCORE} or "
            f"more, and with yours there {'is' if len(own) == 1 else 'are'} {len(own) or 'none'}:",
            *(lines or ["  they are the same, but not those that score less."])]


def _changes(own, right, far):
    """What is otherwise about an object that both have found."""
    box, score, mask = (float(np.abs(getattr(own, name) - getattr(right, name)).max())
                        for name in ("boxes", "scores", "masks"))
    pixels = int(((own.masks > 0.5) != (right.masks > 0.5)).sum())
    changes = [f"has a box that is up to {box:.2g} pixels off"] if box > far else []
    if pixels:
        changes.append(f"has another mask in {count(pixels, 'pixel')}")
    elif mask > far:
        changes.append(f"has a mask whose probabilities are up to {mask:.2g} off")
    if score > far:
        changes.append(f"has a score that is {score:.2g} off")
    return changes


def _object(found, i):
    x1, y1, x2, y2 = found.boxes[i]
    return f"the {found.class_names[found.labels[i]]} around ({(x1 + x2) / 2:.0f}, {(y1 + y2) / 2:.0f})"


def _weights_apart(yours, packages):
    return float(np.abs(yours.weights - packages.weights).max())


def _same_detections(own, theirs, far):
    arrays = [(getattr(own, name), getattr(theirs, name)) for name in ("labels", "boxes", "scores", "masks")]
    return len(own) == len(theirs) and all(np.allclose(ours, right, rtol=0, atol=far) for ours, right in arrays)


def _agree(yours, packages, far):
    return (_same_detections(yours.detections, packages.detections, far)
            and _weights_apart(yours, packages) < far * WEIGHTS)
