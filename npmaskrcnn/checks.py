"""The model's door: what callers hand to `predict`, `loss_and_grads` and `trace` is judged here, once.

Behind this door the code trusts its arrays. Every judgement that fails is an `InputError` of one line that
names the argument (``images[2]``, ``targets[0]``), what was got and what was expected.
"""

import numpy as np

from .config import check_known, is_number
from .errors import InputError
from .images import as_float_image
from .structures import Target


def checked_images(images, dtype):
    """Return a list of (H, W, 3) float images in 0..1, from a list of images or one (N, H, W, 3) array."""
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    if not isinstance(images, (list, tuple)):
        raise InputError(f"images is a {type(images).__name__}, but must be an (H, W, 3) array or a list of them")
    return [as_float_image(image, f"images[{i}]", dtype) for i, image in enumerate(images)]


def check_targets(targets, images, num_classes, class_names):
    """Check that there is one `Target` for each image, of its size, with labels that the model knows."""
    if not isinstance(targets, (list, tuple)) or not all(isinstance(target, Target) for target in targets):
        raise InputError("targets must be a list of Target, one for each image")
    if len(images) != len(targets) or not images:
        raise InputError(f"got {len(images)} images and {len(targets)} targets; there must be one target for each "
                         "image, and at least one")
    for i, (image, target) in enumerate(zip(images, targets)):
        target.check(image.shape[:2], num_classes, class_names, name=f"targets[{i}]")


def checked_loss_weights(loss_weights, names):
    """Return one weight for each of `names`: those given, 1 where absent."""
    if not isinstance(loss_weights or {}, dict):
        raise InputError(f"loss_weights must be a dict of name to factor, got {loss_weights!r:.60}")
    check_known(loss_weights or {}, names, "loss")
    weights = {**dict.fromkeys(names, 1.0), **(loss_weights or {})}
    for name, weight in weights.items():
        if not is_number(weight):
            raise InputError(f"loss_weights[{name!r}] is {weight!r}, but must be a finite number")
    return weights


def check_rng(rng):
    """Raise `InputError` unless `rng` draws as a generator of NumPy's does."""
    if not (callable(getattr(rng, "random", None)) and callable(getattr(rng, "permutation", None))):
        raise InputError(f"rng is {rng!r:.60}, but must be a generator, such as np.random.default_rng(0)")


def check_finite(outputs):
    """Raise `InputError` if any number that the model computed is not finite: its weights are broken."""
    for name, arrays in outputs.items():
        if not all(np.isfinite(array).all() for array in arrays):
            raise InputError(f"the model's {name} are not finite numbers: its weights are NaN, infinite or too "
                             "large, perhaps from a training that diverged")
