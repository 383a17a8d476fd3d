"""Listening to the layers of a model while it predicts: what went in, what came out, how long it took.

A layer, here, is a module without children: a convolution, a linear layer, a pooling. While somebody listens, each has
a `forward` (and, if it has it, an `infer`) of its own in front of its class's, which calls that one and tells what it
saw. So it is the model itself that works, on whatever arithmetic is in use, and nothing is computed a second time.
"""

import contextlib
import functools
import time
from typing import NamedTuple

from .module import Module


class Heard(NamedTuple):
    """One call of a layer."""

    path: str           # such as "backbone.body.layer1.0.conv1"
    layer: Module
    arguments: tuple    # x first; of an `infer`, then the norm that is folded in
    y: object           # what came out, an array
    seconds: float

    @property
    def norm(self):
        """The norm that was folded into the layer, or None."""
        return next((given for given in self.arguments[1:2] if isinstance(given, Module)), None)


@contextlib.contextmanager
def listening(model, hear):
    """Within the block, ``hear(Heard)`` is called after each call of a layer.

    Parameters
    ----------
    model : Module
    hear : callable
    """
    watched = [(layer, verb) for _, layer in model.named_modules() if not any(layer.named_children())
               for verb in ("forward", "infer") if hasattr(layer, verb)]
    paths = {id(layer): path for path, layer in model.named_modules()}
    try:
        for layer, verb in watched:
            setattr(layer, verb, _told(getattr(layer, verb), paths[id(layer)], layer, hear))
        yield
    finally:
        for layer, verb in watched:
            vars(layer).pop(verb, None)


def _told(compute, path, layer, hear):
    @functools.wraps(compute)
    def run(*arguments):
        start = time.perf_counter()
        y = compute(*arguments)
        hear(Heard(path, layer, arguments, y, time.perf_counter() - start))
        return y
    return run
