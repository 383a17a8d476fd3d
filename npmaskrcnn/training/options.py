"""What a trainer is told, judged before the first step: a wrong option should cost a second, not an hour."""

import numpy as np

from ..errors import InputError, warn
from ..evaluation.inputs import labels_by_name
from ..images import as_float_image
from ..judge import judge_class_names, judge_numbers, refusal
from ..light.pruning import judge_trainable
from ..structures import judged_pair
from ..words import count
from .augment import LARGEST_ZOOM, SMALLEST_ZOOM
from .loop import Listener

MOST_FAULTS = 10    # in one message


def judge_model(model):
    """Raise InputError unless this can be trained."""
    if not hasattr(model, "loss_and_grads"):
        raise refusal("model", "a MaskRCNN", model)
    judge_trainable(model, "model")


def judge_parts(model, optimizer, schedule):
    """Raise InputError unless these are a model, an optimizer over its own parameters, a schedule or None."""
    judge_model(model)
    if not hasattr(optimizer, "parameters"):
        raise refusal("optimizer", "an SGD, AdamW or Muon of model.named_parameters()", optimizer)
    if schedule is not None and not hasattr(schedule, "learning_rate"):
        raise refusal("schedule", "a WarmupCosine, a WarmupSteps or None", schedule)
    own = {id(parameter) for parameter in model.parameters()}
    if any(id(parameter) not in own for parameter in optimizer.parameters.values()):
        raise InputError("optimizer: holds the parameters of another model; build it from this model's "
                         "named_parameters()")


class JudgedItems(Listener):
    """Judges the images and targets of a step when they have been read: nobody may have looked at them beforehand."""

    def drawn(self, loop, batch):
        """Raise InputError at the first that is no pair of an image and a Target that fits it and the model."""
        batch.items = [_judged_item(loop.model, item, f"image {index} of the dataset", f"dataset[{index}]")
                       for index, item in zip(batch.indices, batch.items)]


def _judged_item(model, item, name, expression):
    """Return an image of three channels, which can be mirrored and zoomed, and its target."""
    image, target = judged_pair(item, f"{name}: {expression}")
    if getattr(image, "dtype", None) != np.uint8 or image.shape[2:] != (3,):
        image = as_float_image(image, name)
    target.check(image.shape[:2], model.num_classes, model.class_names, name)
    return image, target


def judge_images(model, dataset, name, tell):
    """Read every image and target of a dataset once, before hours are spent on it.

    Parameters
    ----------
    model : MaskRCNN
    dataset : dataset
    name : {"dataset", "validation"}
    tell : callable
        ``tell(done)`` hears how many images have been looked at.

    Raises
    ------
    InputError
        With the first fault of each image that has one; when there are ten, the rest is not looked at.
    """
    faults, done = [], 0
    tell(0)
    while done < len(dataset) and len(faults) < MOST_FAULTS:
        try:
            _judged_item(model, dataset[done], f"image {done} of the {name}", f"{name}[{done}]")
        except (InputError, OSError) as error:
            faults.append(str(error) if isinstance(error, InputError) else f"image {done} of the {name}: {error}")
        done += 1
        tell(done)
    if len(faults) > 1:
        looked_at = "" if done == len(dataset) else f"first {done:,} of "
        faults[0] = (f"{name}: of the {looked_at}{count(len(dataset), 'image')} these {len(faults)} cannot be used: "
                     f"{faults[0]}")
    if faults:
        raise InputError("; ".join(faults))


def judge_scale_jitter(value):
    """Return ``(smallest, largest)`` as floats, or None."""
    if value is None:
        return None
    smallest, largest = judge_numbers(value, "scale_jitter", 2, lowest=SMALLEST_ZOOM, highest=LARGEST_ZOOM)
    if smallest > largest:
        raise refusal("scale_jitter", "a pair (smallest, largest)", value)
    return smallest, largest


def judge_dataset(model, dataset, name, to_learn_from=False):
    """Raise InputError unless the dataset has images, and classes of the model's; the first few of them will do.

    If it is to be learned from and knows that it has no object besides crowds, that is an error, too; if it is to be
    measured on, that its classes have no names.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(f"{name}: expected a dataset with len() and [i] -> (image, Target), got {dataset!r:.60}")
    if len(dataset) == 0:
        raise InputError(f"{name}: has no image")
    if getattr(dataset, "class_names", None) is not None:
        judge_class_names(dataset.class_names, f"{name}: class_names")      # which the model will have
    if to_learn_from and getattr(dataset, "num_objects", None) == 0:
        raise InputError(f"{name}: has no object to learn from, only crowds (iscrowd 1), which training leaves out")
    if to_learn_from:
        judge_classes(model, dataset, name, some_suffice=True)
    else:
        judge_measured_classes(model, dataset, name)


def judge_measured_classes(model, dataset, name):
    """Raise InputError unless a model can be measured on a dataset's classes; warn of those that only one side has.

    They meet by their names. A model without names must have as many classes, because its numbers are all that it has.
    """
    if getattr(dataset, "class_names", None) is None:
        raise refusal(f"{name}: class_names", 'a list of "background" and the classes', None)
    if model.class_names is None:
        judge_classes(model, dataset, name)
        return
    theirs, ours = dataset.class_names[1:], model.class_names[1:]
    labels_by_name(model.class_names, theirs, f"{name}: the model")
    if unknown := [text for text in theirs if text not in ours]:
        warn(f"{name}: the model does not know {_listing(unknown, 5)}; these objects count as not found")
    if lacking := [text for text in ours if text not in theirs]:
        warn(f"{name}: lacks the classes {_listing(lacking, 5)}; detections of them are left out, and the average "
             f"precision is one over {_listing(theirs, 5)}")


def judge_classes(model, dataset, name, some_suffice=False):
    """Compare the classes of model and dataset, background aside; a model without class names takes the dataset's.

    Parameters
    ----------
    model : MaskRCNN
    dataset : dataset
        Without ``class_names`` it is not judged.
    name : str
        What the message calls the dataset.
    some_suffice : bool
        Whether the dataset may lack classes, the last ones of the model: enough to learn from, but then a model's
        average precision would be one over other classes than its own.

    Raises
    ------
    InputError
        If the dataset has classes that the model has not, lacks some, or calls them otherwise.
    """
    if getattr(dataset, "class_names", None) is None:
        return
    theirs, ours, most = list(dataset.class_names[1:]), list((model.class_names or [])[1:]), model.num_classes - 1
    fits_number = len(theirs) == most or (some_suffice and len(theirs) < most)
    if not fits_number or (ours and theirs != ours[:len(theirs)]):
        has = f"are {_listing(ours)}" if ours else f"have no names, and there are {most}"
        raise InputError(f"{name}: the classes are {_listing(theirs)}; the model's {has}")
    if model.class_names is None and len(theirs) == most:
        model.class_names = list(dataset.class_names)


def _listing(names, most=100):
    return ", ".join(map(str, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")
