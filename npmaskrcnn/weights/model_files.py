"""Saving a whole model and getting it back: `save`, `load`, `export`.

`save` writes the weights under torchvision's names and in torchvision's shapes, and beside them what
torchvision's files lack: which builder made the model, with which arguments, and what its classes are
called. `load` calls that builder again. From a bare state dict, such as torchvision's own files, it infers
the builder from names and shapes.
"""

import json
import os

import numpy as np

from ..errors import InputError, warn
from ..files import Unreadable, as_path, naming, parse_json
from ..judge import COUNTER, judge_class_names
from ..nn.quantized import quantized_layers
from ..words import count
from .architecture import count_classes, has_masks, infer_architecture
from .coco_names import COCO_NAMES
from .containers import sha256_prefix
from .keys import rename_old_keys
from .npz import write_npz
from .rebuild import build
from .safetensors import write_safetensors
from .state_file import read_state

# First digits of the SHA-256 of torchvision's COCO_V1 files on ResNet-50, as in their names: Mask and Faster R-CNN
PUBLISHED_COCO_V1 = ("bf2d0c1e", "258fb6c6")
META_KEY = "npmaskrcnn"  # under which a safetensors file carries our meta, as JSON


def save(model, path):
    """Write a model to an `.npz` from which `load` rebuilds it.

    Parameters
    ----------
    model : MaskRCNN
    path : str or path
        Replaced in one step: an interrupted save leaves the previous file.

    Raises
    ------
    InputError
        If the path cannot be written or names another format, or the class names are not one for each class.

    Warns
    -----
    InputWarning
        If a weight is NaN or infinite.
    """
    path = as_path(path, "path")
    kind = os.path.splitext(path)[1].lower()
    with naming(path):
        if not hasattr(model, "architecture"):
            raise InputError(f"expected a model to save, as in save(model, path), got {model!r:.60}")
        if kind in (".safetensors", ".pth", ".pt"):
            raise InputError("save writes .npz files; npmaskrcnn.weights.export makes a .safetensors of one")
        meta = _model_meta(model)
    write_npz(path, _judged_state(model, path), meta)


def load(path):
    """Build the model that a weight file belongs to, and load the file into it.

    Parameters
    ----------
    path : str or path
        A file by `save` or `export`, or a state dict of a torchvision Mask or Faster R-CNN in a ``.pth``,
        ``.safetensors`` or ``.npz``, alone or in the checkpoint of a training. A state dict does not tell options
        that leave no trace in the weights (image size, thresholds): they get torchvision's defaults.

    Returns
    -------
    model : MaskRCNN
        ``class_names`` are those of the file; COCO's for a bare state dict of 91 classes; else None.

    Raises
    ------
    InputError
        If the file cannot be read, or is not of a model that can be built.

    Warns
    -----
    InputWarning
        If more was in the file than a model, old key names were renamed, numbers cast, or batch norm frozen.
    """
    path = as_path(path, "path")
    with naming(path):
        arrays, meta = _read_model_arrays(path)
        if "architecture" in meta:
            architecture, class_names = meta["architecture"], meta.get("class_names")
        else:
            architecture, class_names = infer_architecture(arrays, path), None
            if "norm_eps" in architecture["config"]:
                architecture["config"]["norm_eps"] = published_norm_eps(path)
            if architecture["num_classes"] == len(COCO_NAMES):
                class_names = list(COCO_NAMES)
        model = build(architecture, arrays)
        try:
            _fill(model, arrays, path)
        except InputError as error:
            raise InputError(f"{error}; was it made by another version of this package?") from None
        model.class_names = _judge_class_names(class_names, model.num_classes)
        model.untrained = meta.get("untrained") is True
    return model


def load_into(model, path):
    """Load a weight file into a model that is there, all of it or nothing.

    Parameters
    ----------
    model : MaskRCNN
        Takes over the file's class names, if the file has any.
    path : str or path
        As for `load`.

    Returns
    -------
    report : LoadReport

    Raises
    ------
    InputError
        If the file cannot be read or does not fit; the message lists all differences at once.
    """
    path = as_path(path, "path")
    with naming(path):
        arrays, meta = _read_model_arrays(path)
        report = _fill(model, arrays, path)
        names = _judge_class_names(meta.get("class_names"), model.num_classes)
    model.class_names = names or model.class_names
    return report


def export(source, destination):
    """Convert a weight file between containers; torchvision loads the result with ``strict=True``.

    Parameters
    ----------
    source : str or path
        Whatever `load` takes.
    destination : str or path
        Ends in ``.npz`` or ``.safetensors``.

    Raises
    ------
    InputError
        If `source` cannot be read, or `destination` is the same file or cannot be written.
    """
    source, destination = as_path(source, "source"), as_path(destination, "destination")
    kind = os.path.splitext(destination)[1].lower()
    if kind not in (".npz", ".safetensors"):
        raise InputError(f"{destination}: expected a name that ends in .npz or .safetensors (which torch reads)")
    if os.path.exists(source) and os.path.exists(destination) and os.path.samefile(source, destination):
        raise InputError(f"{destination}: is the file that is to be converted, which would be lost (a checkpoint holds "
                         "more than the model); choose another name")
    model = load(source)
    if kind == ".npz":
        save(model, destination)
    else:
        write_safetensors(destination, _judged_state(model, destination), {META_KEY: json.dumps(_model_meta(model))})


def model_bytes(path):
    """Return how many bytes the arrays of the model in a weight file take, whether the file is compressed or not."""
    with naming(path):
        return sum(array.nbytes for array in _read_model_arrays(path)[0].values())


def published_norm_eps(path):
    """Return the epsilon of the frozen BatchNorms for which a weight file was made.

    torchvision trained its published COCO_V1 files with 0.0 and everything since with 1e-5. Names and shapes
    do not tell the two apart, so the published files are recognized by their SHA-256, and that is reported.
    """
    if sha256_prefix(path) not in PUBLISHED_COCO_V1:
        return 1e-5
    warn(f"{path}: is the file that torchvision published as COCO_V1, so its batch norms divide by "
         "sqrt(var + 0.0), not by sqrt(var + 1e-5)")
    return 0.0


def _model_meta(model):
    meta = {"architecture": model.architecture,
            "class_names": _judge_class_names(model.class_names, model.num_classes)}
    return {**meta, "untrained": True} if model.untrained else meta


def _judged_state(model, path):
    state = model.state_dict()
    bad = [name for name, value in state.items() if not np.isfinite(value).all()]
    if bad:
        warn(f"{path}: {count(len(bad), 'array')} with NaN or infinite numbers, the first {bad[0]!r}; the model "
             "is saved as it is, but it cannot detect anything")
    return {name: value.astype(_stored_dtype(model, value)) for name, value in state.items()}


def _stored_dtype(model, value):
    """Return the dtype in which a file has an array of a model: its own, or float16 if the model was rounded to it."""
    is_half = (model.architecture or {}).get("light", {}).get("half", False)
    return np.dtype(np.float16) if is_half and value.dtype.kind == "f" else value.dtype


def _read_model_arrays(path):
    """Return a file's arrays in today's names and our meta, {} if it has none."""
    arrays, meta, container = read_state(path)
    if container != "npz":
        meta = _parse_meta(meta.get(META_KEY, "{}"))
    if "model_keys" in meta:  # a training checkpoint has other arrays beside the model's
        keys = meta["model_keys"]
        if not isinstance(keys, list) or not all(isinstance(key, str) and key in arrays for key in keys):
            raise InputError("is a training checkpoint that lacks arrays of its model")
        arrays = {key: arrays[key] for key in keys}
    return rename_old_keys(arrays, path), meta


def _parse_meta(text):
    try:
        meta = parse_json(text.encode("utf-8", "replace"))  # JSON can spell halves of characters
    except Unreadable:
        meta = None
    if not isinstance(meta, dict):
        raise InputError(f"metadata {META_KEY!r} is not a JSON object")
    return meta


def _fill(model, arrays, path):
    """Put the arrays into the model; say what was cast and, if they do not fit, everything that differs."""
    for name in (f"{path}.{step}" for path, _ in quantized_layers(model) for step in ("weight_step", "input_step")):
        if name in arrays and not (arrays[name] > 0).all():
            raise InputError(f"{name!r} holds {arrays[name].min():g}; expected steps above 0")
    try:
        report = model.load_state_dict(arrays)
    except InputError as error:
        raise InputError(f"{_main_difference(model, arrays)}{error}") from None
    owners = dict(model.named_arrays())
    dtypes = {name: arrays[name].dtype for name in report.loaded if not name.endswith(COUNTER)}
    cast = [name for name, dtype in dtypes.items() if not np.can_cast(dtype, _stored_dtype(model, owners[name].data))]
    if cast:
        warn(f"{path}: {count(len(cast), 'array')} cast to {model.dtype}, the first {cast[0]!r} "
             f"from {dtypes[cast[0]]}")
    return report


def _main_difference(model, arrays):
    """Say first what is most often wrong: the mask branch, or the number of classes."""
    try:
        num_classes = count_classes(arrays)
    except InputError:  # heads that are missing or contradict each other: the list of differences tells more
        return ""
    if not hasattr(model, "roi_heads"):     # of another kind
        return ""
    if has_masks(arrays) != model.roi_heads.has_masks:
        return "has {} mask branch, the model has {}; ".format(*("a", "none") if has_masks(arrays) else ("no", "one"))
    differs = num_classes != model.num_classes
    return f"has {num_classes} classes with background, the model has {model.num_classes}; " if differs else ""


def _judge_class_names(names, num_classes):
    if names is None:
        return None
    if len(names := judge_class_names(names, "the class names")) != num_classes:
        raise InputError(f"the class names are {len(names)}, the classes {num_classes}, background included")
    return names
