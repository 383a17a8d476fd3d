"""What a trainer is told, judged before the first step: a wrong option should cost a second, not an hour."""

import numpy as np

from ..errors import InputError
from ..judge import judge_count, judge_numbers, refusal
from ..structures import Target
from .loop import Listener

SMALLEST_ZOOM, LARGEST_ZOOM = 0.1, 10   # beyond these a picture is a dot, or a single object's inside


def judge_parts(model, optimizer, schedule):
    """Raise InputError unless these are a model, an optimizer over its own parameters, a schedule or None."""
    if not hasattr(model, "loss_and_grads"):
        raise refusal("model", "a MaskRCNN", model)
    if not hasattr(optimizer, "parameters"):
        raise refusal("optimizer", "an SGD, AdamW or Muon of model.named_parameters()", optimizer)
    if schedule is not None and not hasattr(schedule, "learning_rate"):
        raise refusal("schedule", "a WarmupCosine, a WarmupSteps or None", schedule)
    own = {id(parameter) for parameter in model.parameters()}
    if any(id(parameter) not in own for parameter in optimizer.parameters.values()):
        raise InputError("optimizer: holds the parameters of another model; build it from this model's "
                         "named_parameters()")


def judge_checkpoint_at(steps):
    """Return a set of steps."""
    if not isinstance(steps, (list, tuple, set, range, np.ndarray)):
        raise refusal("checkpoint_at", "a list of steps", steps)
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
    smallest, largest = judge_numbers(value, "scale_jitter", 2, lowest=SMALLEST_ZOOM, highest=LARGEST_ZOOM)
    if smallest > largest:
        raise refusal("scale_jitter", "a pair (smallest, largest)", value)
    return smallest, largest


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
