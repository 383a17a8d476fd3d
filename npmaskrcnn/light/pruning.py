"""Pruning: the weights, or whole channels, that do least are taken away.

*Weights.* A weight near zero does little, so the smallest become zero (Han et al. 2015). The arrays keep their shapes,
and a matrix product takes as long with zeros in it. `save` stores zeros like other numbers, too: what is gained is that
a file can be compressed to less, by a program for that.

*Channels.* Take out a whole channel, and weights, norms and the layers that read it become smaller arrays
(`channels`): the result is an ordinary model that needs fewer products. Which channels do least is guessed from their
numbers: those whose filter has the smallest sum of absolute weights (Li et al. 2017), or whose norm has the smallest
scale (Liu et al. 2017).
"""

import numpy as np

from .. import nn
from ..errors import InputError
from ..judge import judge_flag, judge_fraction, judge_known, judge_number, refusal
from .channels import KINDS, LAYERS, channel_groups, cut, heads_of

RULES = ("weights", "norm")


def light_copy(model):
    """Return a copy of a model, and in it the dict that says what was done to it."""
    if not hasattr(model, "architecture") or not isinstance(model, nn.Module):
        raise refusal("model", "a MaskRCNN", model)
    if model.architecture is None:
        raise InputError("model: was built by hand, so no file could say what it is; use a builder")
    for name, value in model.named_arrays():
        if not np.isfinite(value.data).all():
            raise InputError(f"model: {name!r} holds NaN or infinity; expected finite numbers")
    copy = model.astype(model.dtype)
    return copy, copy.architecture.setdefault("light", {})


def not_quantized(done, name="model"):
    """Raise `InputError` if a model has weights of int8 already."""
    if "int8" in done:
        raise InputError(f"{name}: is quantized already; begin with the model that it was made of: prune first, then "
                         "quantize")


def judge_trainable(model, name):
    """Raise `InputError` if a model has weights of int8, which no training can move."""
    if "int8" in (getattr(model, "architecture", None) or {}).get("light", {}):
        raise InputError(f"{name}: has weights of int8, which cannot be trained; train the model that it was made of, "
                         "and quantize the result (npmaskrcnn light --int8)")


def zero_small_weights(model, share, per_layer=False):
    """Set the smallest weights of convolutions and linear layers to zero.

    Biases and norms stay, and so do the last layers, which say the class, the box and the mask.

    Parameters
    ----------
    model : MaskRCNN
        Stays as it is.
    share : float in 0..1
        Of the weights that become zero.
    per_layer : bool
        True takes that share of each layer; False of all together, by size alone, so that layers of small weights lose
        more.

    Returns
    -------
    light : MaskRCNN

    Raises
    ------
    InputError
        If an argument is not what it should be, or the model is quantized.
    """
    judge_fraction(share, "share")
    judge_flag(per_layer, "per_layer")
    light, done = light_copy(model)
    not_quantized(done)
    weights = _prunable_weights(light)
    sizes = [np.abs(weight.data).ravel() for weight in weights]
    groups = [[i] for i in range(len(weights))] if per_layer else [range(len(weights))]
    for group in groups:
        together = np.concatenate([sizes[i] for i in group])
        order = np.argsort(together, kind="stable")
        dropped = np.zeros(len(together), bool)
        dropped[order[:round(share * len(order))]] = True
        for i, own in zip(group, np.split(dropped, np.cumsum([len(sizes[i]) for i in group])[:-1])):
            weights[i].data[own.reshape(weights[i].data.shape)] = 0
    done["zeros"] = round(share_of_zeros(light), 4)
    return light


def share_of_zeros(model):
    """Return which share of the weights that `zero_small_weights` looks at is zero."""
    weights = [weight.data for weight in _prunable_weights(model)]
    return 1 - sum(np.count_nonzero(weight) for weight in weights) / sum(weight.size for weight in weights)


def _prunable_weights(model):
    rpn_head, heads = heads_of(model)
    last = [*(layer for _, layer in heads.box_predictor.named_children()), rpn_head.cls_logits, rpn_head.bbox_pred]
    if heads.has_masks:
        last += [layer for _, layer in heads.mask_predictor.named_modules() if isinstance(layer, LAYERS)][-1:]
    return [layer.weight for _, layer in model.named_modules()
            if isinstance(layer, LAYERS) and not any(layer is one for one in last)]


def prune_channels(model, keep=0.5, kinds=KINDS, by="weights"):
    """Take whole channels out of a model.

    Parameters
    ----------
    model : MaskRCNN
        Stays as it is.
    keep : float in 0..1, above 0
        Share of the channels of each group that stay, at least one.
    kinds : iterable of str
        Of groups: some of `channels.KINDS`.
    by : {"weights", "norm"}
        What tells how much a channel does: the sum of the absolute weights that make it, or the scale of its norm
        (without a norm, the former).

    Returns
    -------
    light : MaskRCNN
        An ordinary model of other widths.

    Raises
    ------
    InputError
        If an argument is not what it should be, or the model is quantized.
    """
    judge_number(keep, "keep", above=0, highest=1)
    if isinstance(kinds, str) or not hasattr(kinds, "__iter__"):
        raise refusal("kinds", f"some of {', '.join(KINDS)}, in a list", kinds)
    judge_known(kinds := list(kinds), KINDS, "kind of channels")
    judge_known([by], RULES, "rule")
    light, done = light_copy(model)
    not_quantized(done)
    groups = channel_groups(light)
    # all are weighed before any is cut: cutting one takes weights from those that read it
    merits = {name: _merit(group, by) for name, group in groups.items() if group.kind in kinds}
    for name, merit in merits.items():
        size = max(1, round(keep * len(merit)))
        cut(groups[name], np.sort(np.argsort(-merit, kind="stable")[:size]))
        done.setdefault("channels", {})[name] = size
    return light


def _merit(group, by):
    """Return how much each channel does, (C,): the sum over its makers, each of which counts the same."""
    merit = np.zeros(group.size)
    for maker, norm in group.makers:
        if by == "norm" and norm is not None:
            own = np.abs(norm.weight.data)
        else:
            own = np.abs(maker.weight.data).reshape(-1, group.size).sum(axis=0)
        merit += own / max(float(own.mean()), 1e-12)
    return merit
