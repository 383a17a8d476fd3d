"""Building the model that a file describes, without letting the file choose more than a model.

A file by `save` says which builder made its model and with which arguments. The model is built before
its weights are compared with the file's, so the description is judged first: only the known builders, only
as many classes as the weights have, only numbers of the size that options have.
"""

from itertools import pairwise

from .. import models, others, variants
from ..config import LARGEST_NUMBER
from ..errors import InputError
from ..light import make_light
from .architecture import BUILDERS

HOMES = {**dict.fromkeys(BUILDERS, models), "maskrcnn_variant": variants, **dict.fromkeys(others.BUILDERS, others)}
MAX_VALUES, MAX_DEPTH = 1000, 4  # in a config
MOST_BEFORE_PRUNING = 10_000_000    # weights that may have been there before channels were taken out: 40 MB
# arguments of builders and of `make_config` that are no options of a model
NOT_FROM_A_FILE = ("weights", "rng", "num_classes", "defaults", "num_levels", "version")


def build(architecture, arrays):
    """Call the builder that a file names, after judging that name and its arguments.

    Parameters
    ----------
    architecture : object
        From a file's JSON; expected ``{"builder": str, "num_classes": int, "config": dict}``.
    arrays : mapping of str to ndarray
        The file's weights, with which the number of classes has to agree.

    Returns
    -------
    model : MaskRCNN
        Its numbers are zeros.

    Raises
    ------
    InputError
    """
    try:
        builder, num_classes, config = (architecture[key] for key in ("builder", "num_classes", "config"))
    except (TypeError, KeyError):
        raise InputError("its architecture lacks builder, num_classes or config") from None
    if builder not in list(HOMES):      # it may be anything, also what cannot be hashed
        raise InputError(f"its architecture is {str(builder)[:60]!r}; expected one of {', '.join(HOMES)}")
    _judge_classes(num_classes, HOMES[builder] is others, arrays)
    if not isinstance(config, dict) or not _is_modest(config):
        raise InputError("its architecture has a config that no model can have")
    if config.get("dimensions") is not None:
        room = MOST_BEFORE_PRUNING if "light" in architecture else 0
        _judge_dimensions(config, models.has_mask_branch(builder), arrays, room)
    if forbidden := [name for name in NOT_FROM_A_FILE if name in config]:
        raise InputError(f"its architecture has a config with {forbidden[0]!r}, which no file may choose")
    if builder == "maskrcnn_tiny" and "dimensions" not in config:   # of before they were stored
        config = {**config, "version": 1}
    try:
        model = getattr(HOMES[builder], builder)(num_classes=num_classes, rng=models.NO_DRAWS, **config)
    except TypeError as error:
        raise InputError(f"its architecture cannot be built ({error})") from None
    if "light" in architecture:
        make_light(model, architecture["light"])
    return model


def _judge_classes(num_classes, one_stage, arrays):
    """Raise `InputError` unless the last layer has a bias for each class; with one stage, for each class and anchor."""
    name = "head.cls_logits.bias" if one_stage else "roi_heads.box_predictor.cls_score.bias"
    bias = arrays.get(name)
    fits = type(num_classes) is int and num_classes > 0 and bias is not None and bias.ndim == 1
    if not fits or (bias.size % num_classes if one_stage else bias.size != num_classes):
        shape = "missing" if bias is None else f"of shape {bias.shape}"
        claim = f"its architecture has {str(num_classes)[:20]} classes"
        raise InputError(f"{claim}, while {'.'.join(name.split('.')[-2:])} is {shape}")


def _judge_dimensions(config, masks, arrays, room):
    """Raise `InputError` if a tiny model of such dimensions has more weights than the file, and than `room`."""
    sizes = models.checked_dimensions(config["dimensions"], masks=masks)
    channels, widths = sizes["fpn_channels"], sizes["widths"]
    layers = (channels, *sizes.get("mask_layers", ()))
    # the weights of most layers, each with its input and output channels
    kernel = 1 if config.get("body") == "mobilenet" else 9
    needed = kernel * sum(blocks * width ** 2 for blocks, width in zip(sizes["blocks"], widths, strict=True))
    needed += kernel * sum(a * b for a, b in pairwise(widths)) + 9 * sum(a * b for a, b in pairwise(layers))
    needed += 9 * 5 * channels ** 2 + 4 * layers[-1] ** 2 * masks
    needed += sizes["representation_size"] * (49 * channels + sizes["representation_size"])
    there = sum(array.size for array in arrays.values())
    if needed > max(room, there):       # nothing has been allocated yet
        raise InputError(f"its architecture has dimensions of {needed:,} weights at least, but the file has {there:,}")


def _is_modest(config):
    """Tell whether nested JSON is shallow and holds few and small numbers."""
    level, values = list(config.values()), []
    for _ in range(MAX_DEPTH):
        values += level
        level = [item for value in level if isinstance(value, list) for item in value]
    are_small = all(abs(value) <= LARGEST_NUMBER for value in values if isinstance(value, (int, float)))
    return not level and len(values) <= MAX_VALUES and are_small
