"""What a trainer is told, judged before the first step: a wrong option should cost a second, not an hour."""

import difflib
import math
import numbers

from ..errors import InputError
from .log import LOSSES


LARGEST_COUNT = 10 ** 9


def judge_count(value, name, lowest=1):
    """Return `value` as an int; InputError unless it is a whole number from `lowest` to a thousand million."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < lowest:
        raise InputError(f"{name} must be a whole number of at least {lowest}, got {value!r:.60}")
    if value > LARGEST_COUNT:
        raise InputError(f"{name} must be at most {LARGEST_COUNT}, got {value!r:.60}")
    return int(value)


def judge_positive(value, name):
    """Return `value` as a float, or raise InputError unless it is finite and greater than 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise InputError(f"{name} must be a finite number greater than 0, got {value!r}")
    return float(value)


def judge_fraction(value, name):
    """Return `value` as a float, or raise InputError unless it lies between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, got {value!r}")
    return float(value)


def judge_scale_jitter(value):
    """Return ``(smallest, largest)`` as floats, or None."""
    if value is None:
        return None
    try:
        smallest, largest = (judge_positive(side, "scale_jitter") for side in value)
        if smallest <= largest:
            return smallest, largest
    except (TypeError, ValueError):  # no pair, or not of positive numbers
        pass
    raise InputError(f"scale_jitter must be a pair of positive numbers (smallest, largest), got {value!r}")


def judge_loss_weights(weights):
    """Return a weight for each of the five losses, 1 for those not given."""
    for name, value in (weights or {}).items():
        if name not in LOSSES:
            near = difflib.get_close_matches(name, LOSSES, 1, 0.3)
            guess = f", did you mean {near[0]!r}?" if near else ""
            raise InputError(f"loss_weights: no loss {name!r}{guess} (there are {', '.join(LOSSES)})")
        if not (isinstance(value, numbers.Real) and 0 <= value < math.inf):
            raise InputError(f"loss_weights: {name} must be finite and at least 0, got {value!r}")
    return {name: float((weights or {}).get(name, 1.0)) for name in LOSSES}


def judge_classes(model, dataset, name="dataset"):
    """Compare the classes of model and dataset; a model without class names takes the dataset's.

    Raises
    ------
    InputError
        If the dataset has classes that the model has not, or calls them otherwise.
    """
    theirs = getattr(dataset, "class_names", None)
    ours, num_classes = model.class_names, model.num_classes
    if theirs is None:
        return
    theirs = list(theirs)
    if len(theirs) > num_classes or (ours is not None and theirs != list(ours)[:len(theirs)]):
        has = f"the model has {num_classes} classes" if ours is None else f"the model's are {_listing(ours)}"
        raise InputError(f"{name}: its {len(theirs)} classes (background included) are {_listing(theirs)}, "
                         f"but {has}")
    if ours is None and len(theirs) == num_classes:
        model.class_names = theirs


def judge_dataset(dataset, name="dataset"):
    """Return the number of images, or raise InputError if there is none."""
    if len(dataset) == 0:
        raise InputError(f"{name}: has no image")
    return len(dataset)


def _listing(names, most=12):
    shown = ", ".join(f"{i} {name}" for i, name in enumerate(names[:most]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
