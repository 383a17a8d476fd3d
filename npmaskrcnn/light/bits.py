"""Fewer bits: weights of eight or sixteen, and inputs of eight.

Most of a number's 32 bits are for digits that decide nothing. `half` rounds to float16, eleven significant bits, for
the file: NumPy's arithmetic with such numbers is slow, so the model goes on in float32. `quantize` puts whole numbers
of eight bits in their place (`nn.quantized`). For inputs, it has to know how large they become: it lets the model look
at a few images and listens (`nn.listening`).

On a processor with products of int8 (VNNI, dot products of ARM, tensor cores) such a model can be quicker, because a
register holds four times as many numbers and a quarter of the bytes are fetched; by how much was not measured here,
for NumPy has no such product. Here the bytes are saved, and with inputs of int8 time is lost.
"""

import numpy as np

from ..errors import InputError
from ..judge import judge_number
from ..mask_rcnn import are_several
from ..nn.listening import listening
from ..nn.quantized import MOST_STEPS, exchange_layers, quantized_layers
from .pruning import light_copy, not_quantized

LARGEST_HALF = 65504


def half(model):
    """Round every number of a model to float16; `save` then stores two bytes each.

    Parameters
    ----------
    model : MaskRCNN
        Stays as it is.

    Returns
    -------
    light : MaskRCNN
        It computes in float32, on the rounded numbers.

    Raises
    ------
    InputError
        If it is no model, or a number is too large for float16.
    """
    light, done = light_copy(model)
    for name, value in light.named_arrays():
        if value.data.dtype.kind == "f":
            if not np.abs(value.data).max(initial=0) <= LARGEST_HALF:
                raise InputError(f"model: {name} has numbers above {LARGEST_HALF:,}, which float16 does not reach")
            rounded = value.data.astype(np.float16)
            if name.endswith("_step"):      # one of 0 would be none
                rounded = np.maximum(rounded, np.finfo(np.float16).smallest_subnormal)
            value.data = rounded.astype(value.data.dtype)
    done["half"] = True
    return light


def quantize(model, images=None, percentile=100):
    """Turn the weights of all convolutions and linear layers into int8, and with images their inputs, too.

    Parameters
    ----------
    model : MaskRCNN
        Stays as it is.
    images : list of (H, W, 3) ndarray, optional
        A few of those that the model is made for. How large the inputs of each layer become in them decides about
        their steps. Without images, inputs stay in float32.
    percentile : float, above 0 and at most 100
        Of the absolute inputs in one call of a layer that must not be cut off; the largest over all calls counts. 100
        cuts nothing of these images off; a little less makes the steps smaller.

    Returns
    -------
    light : MaskRCNN
        It predicts and does not learn.

    Raises
    ------
    InputError
        If an argument is not what it should be, the model is quantized already, or there is a layer that none of the
        images reaches (the mask head's, if nothing is found in them).
    """
    judge_number(percentile, "percentile", above=0, highest=100)
    light, done = light_copy(model)
    not_quantized(done)
    largest = {} if images is None else _largest_inputs(light, images, percentile)
    exchange_layers(light, with_inputs=images is not None)
    for path, layer in quantized_layers(light) if images is not None else ():
        if path not in largest:
            raise InputError(f"images: nothing in them reaches {path}; images with objects that the model finds are "
                             "needed")
        layer.input_step.data = np.array(max(largest[path], 1e-12) / MOST_STEPS, light.dtype)
    done["int8"] = "weights" if images is None else "weights and inputs"
    return light


def _largest_inputs(model, images, percentile):
    """Return the largest absolute input of each layer, by its path."""
    largest = {}

    def hear(heard):
        x = heard.arguments[0]
        if isinstance(x, np.ndarray) and x.size:
            largest[heard.path] = max(largest.get(heard.path, 0.0), float(np.percentile(np.abs(x), percentile)))

    with listening(model, hear):
        model.predict(images if are_several(images) else [images])
    return largest
