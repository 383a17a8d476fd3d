"""Making a model as light as a file says that its model was, before the file's numbers are put in."""

import numpy as np

from ..errors import InputError
from ..nn.quantized import exchange_layers
from .channels import channel_groups, cut

INT8 = ("weights", "weights and inputs")


def make_light(model, description):
    """Do to a model what was done to another one: the shapes and the kinds of its layers, not their numbers.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place.
    description : object
        ``model.architecture["light"]`` of the other, perhaps from a file: a dict with any of ``channels``, ``int8``,
        ``half`` and ``zeros``.

    Raises
    ------
    InputError
        If it is no such description, or not of this kind of model.
    """
    known = {"channels": dict, "int8": str, "half": bool, "zeros": float}
    if not isinstance(description, dict) or any(type(value) is not known.get(name)
                                                for name, value in description.items()):
        raise InputError(f"its architecture is lighter in a way that is not known here; known are {', '.join(known)}")
    sizes = description.get("channels", {})
    groups = channel_groups(model) if sizes else {}
    for name, size in sizes.items():
        if name not in groups or type(size) is not int or not 1 <= size <= groups[name].size:
            raise InputError(f"its architecture has {str(size)[:20]} channels left of {name[:60]!r}, of which the "
                             f"model has {groups[name].size if name in groups else 'none'}")
    for name, size in sizes.items():
        cut(groups[name], np.arange(size))      # whichever: the numbers come from the file
    if (int8 := description.get("int8")) is not None:
        if int8 not in INT8:
            raise InputError(f"its architecture has int8 of {int8[:40]!r}; expected {' or '.join(map(repr, INT8))}")
        exchange_layers(model, with_inputs=int8 == INT8[1])
    model.architecture["light"] = description
