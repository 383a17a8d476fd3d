"""Saving a whole model and getting it back: `save`, `load`, `export`.

`save` writes the weights under torchvision's names and in torchvision's shapes, and beside them what
torchvision's files lack: which builder made the model, with which arguments, and what its classes are
called. `load` calls that builder again. From a bare state dict, such as torchvision's own files, it infers
the builder from names and shapes.
"""

import json
import os

from ..errors import InputError
from .architecture import BUILDERS, infer_architecture
from .coco_names import COCO_NAMES
from .files import sha256_prefix
from .keys import rename_old_keys
from .npz import write_npz
from .safetensors import write_safetensors
from .state_file import read_state

PUBLISHED_COCO_V1 = "bf2d0c1e"  # first digits of the SHA-256 of torchvision's COCO_V1 file, as in its name
META_KEY = "npmaskrcnn"  # under which a safetensors file carries our meta, as JSON
LARGEST_SIZE = 1 << 16  # of any number in a file's architecture that is built before its weights are compared


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
        If the path cannot be written.
    """
    write_npz(path, model.state_dict(), _model_meta(model))


def load(path):
    """Build the model that a weight file belongs to, and load the file into it.

    Parameters
    ----------
    path : str or path
        A file by `save` or `export`, or a state dict of a torchvision Mask R-CNN in a ``.pth``,
        ``.safetensors`` or ``.npz``. A bare state dict does not tell options that leave no trace in the
        weights (image size, thresholds): they get torchvision's defaults.

    Returns
    -------
    model : MaskRCNN
        ``class_names`` are those of the file; COCO's for a bare state dict of 91 classes; else None.

    Raises
    ------
    InputError
        If the file cannot be read, or is not of a Mask R-CNN that can be built.

    Warns
    -----
    InputWarning
        If old key names were renamed.
    """
    arrays, metadata, container = read_state(path)
    try:
        meta = _parse_meta(metadata, container)
        arrays = rename_old_keys(arrays)
        if "architecture" in meta:
            architecture, class_names = meta["architecture"], meta.get("class_names")
        else:
            architecture = infer_architecture(arrays)
            class_names = list(COCO_NAMES) if architecture["num_classes"] == len(COCO_NAMES) else None
            if architecture["builder"] == "maskrcnn_resnet_fpn":
                architecture["config"]["norm_eps"] = published_norm_eps(path)
        model = _build(architecture, arrays)
        model.load_state_dict(arrays)
        model.class_names = _judge_class_names(class_names, architecture["num_classes"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return model


def export(source, destination):
    """Convert a weight file between containers; torchvision loads the result with ``strict=True``.

    Parameters
    ----------
    source : str or path
        Whatever `load` takes.
    destination : str or path
        Ends in ``.npz`` or ``.safetensors``.
    """
    kind = os.path.splitext(destination)[1].lower()
    if kind not in (".npz", ".safetensors"):
        raise InputError(f"{destination}: cannot tell what to write; expected a name ending in .npz or .safetensors")
    model = load(source)
    if kind == ".npz":
        save(model, destination)
    else:
        write_safetensors(destination, model.state_dict(), {META_KEY: json.dumps(_model_meta(model))})


def published_norm_eps(path):
    """Return the epsilon of the frozen BatchNorms for which a weight file was made.

    torchvision trained its published COCO_V1 file with 0.0 and everything since with 1e-5. The two files
    look alike, so the published one is recognised by its SHA-256.
    """
    return 0.0 if sha256_prefix(path) == PUBLISHED_COCO_V1 else 1e-5


def _model_meta(model):
    return {"architecture": model.architecture, "class_names": model.class_names}


def _parse_meta(metadata, container):
    if container == "npz":
        return metadata
    if container == "safetensors" and META_KEY in metadata:
        try:
            meta = json.loads(metadata[META_KEY])
        except (ValueError, RecursionError):
            meta = None
        if not isinstance(meta, dict):
            raise InputError(f"metadata {META_KEY!r} is not a JSON object")
        return meta
    return {}


def _build(architecture, arrays):
    """Call the builder that a file names, after judging that name and its arguments."""
    from .. import models  # here, because models reads weight files

    try:
        builder, num_classes, config = (architecture[key] for key in ("builder", "num_classes", "config"))
    except (TypeError, KeyError):
        raise InputError("the architecture in the file lacks builder, num_classes or config") from None
    if builder not in BUILDERS:
        raise InputError(f"the architecture in the file is {builder!r}; expected one of {', '.join(BUILDERS)}")
    rows = len(arrays.get("roi_heads.box_predictor.cls_score.bias", ()))
    if num_classes != rows:
        raise InputError(f"the architecture in the file has {num_classes} classes, its weights {rows}")
    if not isinstance(config, dict) or _largest_number(config) > LARGEST_SIZE:
        raise InputError("the architecture in the file has a config that no model can have")
    try:
        return getattr(models, builder)(num_classes=num_classes, **config)
    except MemoryError:
        raise InputError("the architecture in the file needs more memory than there is") from None
    except TypeError as error:
        raise InputError(f"the architecture in the file cannot be built ({error})") from None


def _largest_number(value):
    """Return the largest number in nested JSON, 0 if there is none."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return max(map(_largest_number, value), default=0)
    return value if isinstance(value, (int, float)) else 0


def _judge_class_names(names, num_classes):
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != num_classes or not all(isinstance(n, str) for n in names):
        raise InputError(f"the class names in the file are not {num_classes} strings")
    return names
