"""Where the model is in a checkpoint: under which key its state dict lies, and what its names begin with there.

A training saves what it needs to go on, and the model is one thing among many:

    torchvision's references   {"model": {"backbone...": ...}, "optimizer", "lr_scheduler", "args", "epoch"}
    the same, averaged too     {"model": ..., "model_ema": {"n_averaged": ..., "module.backbone...": ...}, ...}
    Lightning                  {"state_dict": {"model.backbone...": ..., "criterion.weight": ...}, "callbacks", ...}
    several GPUs, compiled     {"module._orig_mod.backbone...": ...}

The key is the first of `WRAPPERS` that leads to tensors, unless the model's names are at the top; else the top, if it
has tensors, and else the only key that does. The prefix is whatever stands before the first name that is torchvision's;
what does not begin with it is not of the model. Only names are looked at, so that nothing is read that is not taken: an
optimizer's moments are twice as large as the model.
"""

import re

from ..errors import InputError
from ..files import Unreadable
from ..words import count, short
from .unpickler import Name, Tensor, Unknown

WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "net", "network", "weights", "module",
            "state", "checkpoint", "model_ema", "ema", "ema_state_dict", "state_dict_ema")  # averaged ones come last
MAX_DEPTH = 2  # keys that lead to a state dict: {"state": {"model": ...}}
MAX_NAMED = 10  # in a message
# What stands before a model's parts is its prefix; wrappers of a single part begin with an underscore (_orig_mod).
PART = re.compile(r"((?:[\w-]+\.){0,8}?)(?:backbone\.(?:_\w+\.){0,4}(?:body|fpn)|rpn\.(?:_\w+\.){0,4}head|roi_heads)\.")
OTHER_FRAMEWORKS = (("backbone.bottom_up.", "detectron2"), ("roi_head.bbox_head.", "MMDetection"),
                    ("rpn_head.rpn_conv.", "MMDetection"), ("backbone.body.stem.", "maskrcnn-benchmark"))
EXPECTED = ("expected nothing but tensors (dense, not quantized), at the top or under 'model', 'state_dict' or the "
            "like, as torch.save(model.state_dict(), path) writes")


def find_state(value):
    """Find the model's state dict in what a torch file holds.

    Parameters
    ----------
    value : object
        As `unpickler.unpickle` returns it.

    Returns
    -------
    tensors : dict of str to Tensor
        Under names without prefix.
    metadata : dict
        Empty for a bare state dict, else ``{"wrapper": "model", "prefix": "module.", "left_out": [names]}``, of
        which wrapper and prefix may be "".

    Raises
    ------
    Unreadable
        If there is none, or more than one, or if it holds something that is not a tensor.
    InputError
        If it is that of another framework's Mask R-CNN.
    """
    if type(value) is not dict or not value:
        if type(value) in (Name, Unknown):
            raise Unreadable(f"{_not_run(value)}; {EXPECTED}")
        empty = "" if value else " that is empty"
        raise Unreadable(f"holds a {type(value).__name__}{empty}; expected a state dict, names with tensors")
    path, left_out = _path(value) or (), []
    for key in path:
        left_out += [_shown(other) for other in value if other != key]
        value = value[key]
    prefix, tensors, others = split_prefix(value)
    _require_tensors(tensors, path)
    found = {"wrapper": "/".join(path), "prefix": prefix, "left_out": left_out + others}
    return tensors, found if path or prefix or left_out else {}


def _path(value, depth=MAX_DEPTH):
    """Return the keys that lead to a dict with tensors, () if this is one, None if there is none."""
    if any(type(item) is Tensor and PART.match(key) for key, item in value.items() if type(key) is str):
        return ()               # the model's own names, whatever lies beside them
    inside = {key: item for key, item in value.items() if type(key) is str and type(item) is dict} if depth else {}
    for name in WRAPPERS:
        if name in inside and (rest := _path(inside[name], depth - 1)) is not None:
            return (name, *rest)
    if any(type(item) is Tensor for item in value.values()):
        return ()
    found = [key for key, item in inside.items() if any(type(one) is Tensor for one in item.values())]
    if len(found) > 1:
        raise Unreadable(f"has tensors under {_listed(map(short, found))}, and none of these names tells which are the "
                         f"model's; {EXPECTED}")
    return tuple(found) or None


def split_prefix(state):
    """Take from a state dict what is of a Mask R-CNN, without the prefix that its names have in common.

    Parameters
    ----------
    state : dict of str to object

    Returns
    -------
    prefix : str
        "" if there is none, or if no name is torchvision's.
    taken : dict of str to object
    left_out : list of str
        First parts of the other names.

    Raises
    ------
    InputError
        If the names are those of another framework's Mask R-CNN.
    """
    names = [name for name in state if type(name) is str]
    for part, framework in OTHER_FRAMEWORKS:
        if any(part in name for name in names):
            raise InputError(f"is a model of {framework} (a name has {part!r}), whose layers and names are not "
                             "torchvision's; expected names such as 'backbone.body.conv1.weight'")
    prefix = next((match[1] for match in map(PART.match, names) if match), "")
    taken = {name[len(prefix):]: state[name] for name in names if name.startswith(prefix)} if prefix else state
    left_out = [name.split(".")[0] for name in names if not name.startswith(prefix)]
    return prefix, taken, list(dict.fromkeys(left_out))


def _require_tensors(tensors, path):
    """Refuse a state dict with anything else in it, and say what that is."""
    strange = {key: item for key, item in tensors.items() if type(key) is not str or type(item) is not Tensor}
    if not strange:
        return
    kinds = [f"a {_kind(item)} under {short('/'.join([*path, _shown(key)]))}" for key, item in strange.items()]
    unknown = [f"; {_not_run(item)}" for item in strange.values() if type(item) in (Name, Unknown)]
    raise Unreadable(f"has {_listed(kinds)}{''.join(unknown[:1])}; {EXPECTED}")


def _kind(item):
    return item.text.split(".")[-1][:40] if type(item) in (Name, Unknown) else type(item).__name__


def _shown(key):
    return f"<{key.text}>" if type(key) is Unknown else str(key)


def what_was_taken(number, wrapper, prefix, left_out):
    """Say which arrays of a file were taken.

    >>> what_was_taken(142, "model_ema", "module.", ["n_averaged", "model"])
    "took the 142 tensors 'module.*' under 'model_ema'; left out 'n_averaged', 'model'"
    """
    names = f" {short(prefix + '*')}" if prefix else ""
    where = f" under {short(wrapper)}" if wrapper else ""
    rest = f"; left out {_listed(map(short, left_out))}" if left_out else ""
    return f"took the {count(number, 'tensor')}{names}{where}{rest}"


def _listed(texts):
    texts = list(texts)
    more = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + more


def _not_run(unknown):
    return f"its pickle asks for {unknown.text!r}, which weights do not need and was not run"
