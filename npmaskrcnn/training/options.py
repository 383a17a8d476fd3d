"""What a trainer is told, judged before the first step: a wrong option should cost a second, not an hour."""

import math
import numbers

import numpy as np

from ..errors import InputError
from ..mask_rcnn import checked_loss_weights
from ..network import LOSS_NAMES
from ..structures import Target
from .loop import Listener

LARGEST_COUNT = 10 ** 9
SMALLEST_ZOOM, LARGEST_ZOOM = 0.1, 10   # beyond these a picture is a dot, or a single object's inside


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
        raise InputError(f"{name} must be a finite number greater than 0, got {value!r:.60}")
    return float(value)


def judge_fraction(value, name):
    """Return `value` as a float, or raise InputError unless it lies between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, got {value!r}")
    return float(value)


def judge_parts(model, optimizer, schedule):
    """Raise InputError unless these are a model, an optimizer over its own parameters, a schedule or None."""
    if not hasattr(model, "loss_and_grads"):
        raise InputError(f"model must be a MaskRCNN, got {model!r:.60}")
    if not hasattr(optimizer, "parameters"):
        raise InputError(f"optimizer must be an SGD, AdamW or Muon of model.named_parameters(), got {optimizer!r:.60}")
    if schedule is not None and not hasattr(schedule, "learning_rate"):
        raise InputError(f"schedule must be a WarmupCosine, a WarmupSteps or None, got {schedule!r:.60}")
    own = {id(parameter) for parameter in model.parameters()}
    if any(id(parameter) not in own for parameter in optimizer.parameters.values()):
        raise InputError("optimizer: holds the parameters of another model; build it from this model's "
                         "named_parameters()")


def judge_rng(rng):
    """Return a generator: the one given, or a new one from a seed."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, numbers.Integral) or rng < 0:
        raise InputError(f"rng must be a np.random.Generator, or a seed of at least 0, got {rng!r:.60}")
    return np.random.default_rng(rng)


def judge_flag(value, name):
    """Return `value`, or raise InputError unless it is True or False ("no" would count as true)."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be True or False, got {value!r:.60}")
    return bool(value)


def judge_checkpoint_at(steps):
    """Return a set of steps."""
    if not isinstance(steps, (list, tuple, set, range, np.ndarray)):
        raise InputError(f"checkpoint_at must be a list of steps, got {steps!r:.60}")
    return {judge_count(step, "checkpoint_at") for step in steps}


class JudgedItems(Listener):
    """Judges the images and targets of a step when they have been read."""

    def drawn(self, loop, batch):
        """Raise InputError at the first that is no pair of an image and a Target that fits it and the model."""
        for index, item in zip(batch.indices, batch.items):
            image, target = judge_item(item, index)
            target.check(image.shape[:2], loop.model.num_classes, loop.model.class_names,
                         f"image {index} of the dataset")


def judge_item(item, index):
    """Return the image and the Target of a dataset's item."""
    if not isinstance(item, (tuple, list)) or len(item) != 2 or not isinstance(item[1], Target):
        got = (type(item).__name__ if not isinstance(item, (tuple, list)) else
               f"({', '.join(type(part).__name__ for part in item)})")
        raise InputError(f"image {index} of the dataset: dataset[{index}] must be a pair (image, Target), "
                         f"got {got:.80}")
    return item


def judge_scale_jitter(value):
    """Return ``(smallest, largest)`` as floats, or None."""
    if value is None:
        return None
    try:
        smallest, largest = (judge_positive(side, "scale_jitter") for side in value)
        if SMALLEST_ZOOM <= smallest <= largest <= LARGEST_ZOOM:
            return smallest, largest
    except (TypeError, ValueError):  # no pair, or not of positive numbers
        pass
    raise InputError(f"scale_jitter must be a pair of numbers (smallest, largest), from {SMALLEST_ZOOM:g} to "
                     f"{LARGEST_ZOOM:g}, got {value!r:.60}")


def judge_loss_weights(weights):
    """Return a weight for each of the five losses, 1 for those not given."""
    weights = checked_loss_weights(weights, LOSS_NAMES)
    for name, value in weights.items():
        if value < 0:
            raise InputError(f"loss_weights[{name!r}] is {value!r}, but must be at least 0")
    return {name: float(value) for name, value in weights.items()}


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
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(f"{name}: expected a dataset with len() and [i] -> (image, Target), got {dataset!r:.60}")
    if len(dataset) == 0:
        raise InputError(f"{name}: has no image")
    return len(dataset)


def judge_objects(dataset):
    """Raise InputError if the dataset knows that it has nothing to learn from: no object besides crowds."""
    if getattr(dataset, "num_objects", None) == 0:
        raise InputError("dataset: has no object to learn from, only crowds (iscrowd 1), which training leaves out")


def _listing(names, most=12):
    shown = ", ".join(f"{i} {name}" for i, name in enumerate(names[:most]))
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
