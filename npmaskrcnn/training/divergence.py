"""When training explodes: stop at once and say where it began.

One NaN in a gradient is a NaN in every weight one step later, and then in everything. NumPy goes on
regardless. So every loss and the norm of the gradient are looked at before the weights change, and when one
of them is not finite, the tensors are searched for the first bad one, in the order in which numbers flow.
"""

import contextlib
import math

import numpy as np

from .loop import Listener
from .optimizers import squared_length

# What Python and NumPy raise where a number is none: as an index, as a size, in a factorization.
BREAKS = (ArithmeticError, LookupError, ValueError)


class TrainingDiverged(ArithmeticError):
    """A loss, a gradient or a weight became infinite or NaN; the weights are those before the bad step.

    Attributes
    ----------
    step : int
        The step that failed, counted from 1.
    image_ids : list of int
        Indices into the dataset of the batch's images.
    term : str
        What was not finite: the name of a loss, ``"gradient norm"``, ``"a weight"``, or ``"the forward pass"``, if it
        broke on such numbers.
    tensor : str
        The first bad tensor, in the order of the computation.
    """

    def __init__(self, trainer, step, batch, term, value, tensor):
        self.step, self.image_ids, self.term, self.tensor = step, list(batch.indices), term, tensor
        last = f"the last good checkpoint is {trainer.last_checkpoint}"
        super().__init__(
            f"training diverged at step {step}: {term} is {value} (images {self.image_ids} of the dataset; "
            f"first bad tensor: {tensor}; learning rate {trainer.optimizer.lr:.3g}). Usual cause: a learning rate too "
            f"high, try a tenth; {last if trainer.last_checkpoint else 'no checkpoint was written'}")


class Divergence(Listener):
    """Raises `TrainingDiverged` before the weights move, if a loss or the gradient is not finite."""

    @contextlib.contextmanager
    def step_of(self, loop):
        """Hold this context around a step: numbers that overflowed may break the pass anywhere, with many an error."""
        self.batch = None   # whose pass is under way
        try:
            yield
        except BREAKS:
            tensor = first_bad_weight(loop.model) if self.batch is not None else None
            if tensor is None:
                raise
            raise TrainingDiverged(loop, loop.step + 1, self.batch, "the forward pass", "broken", tensor) from None

    def drawn(self, loop, batch):
        """The pass begins."""
        self.batch = batch

    def differentiated(self, loop, batch):
        """The pass has ended: look at the losses."""
        self.batch = None
        bad = next(((name, value) for name, value in batch.losses.items() if not math.isfinite(value)), None)
        if bad:
            tensor = first_bad_input(loop.model, batch.items)
            raise TrainingDiverged(loop, loop.step + 1, batch, *bad, tensor)

    def clipped(self, loop, batch):
        """Look at the gradients, all at once: one bad number makes their length a bad one."""
        if not math.isfinite(batch.grad_norm):
            tensor = first_bad_gradient(loop.model) or "none by itself, their sum of squares is too large"
            raise TrainingDiverged(loop, loop.step + 1, batch, "gradient norm", batch.grad_norm, tensor)


def first_bad_input(model, items):
    """Name the first tensor on the way to the losses that is not finite: image, weight, statistic, trace."""
    def way():
        for i, (image, _) in enumerate(items):
            yield f"pixels of image {i} of the batch", image
        yield from _weights(model)
        for i, item in enumerate(items):
            for name, array in _activations(model, *item):
                yield f"{name} of image {i} of the batch", array

    return _first_bad(way()) or "none of the inputs and weights; it overflowed inside the training pass"


def first_bad_weight(model):
    """Name the first parameter or buffer that is not finite, or return None."""
    return _first_bad(_weights(model))


def first_bad_gradient(model):
    """Name the first gradient that is not finite, in the order of the backward pass, or return None."""
    return _first_bad((f"gradient of {path}", parameter.grad) for path, parameter
                      in reversed(list(model.named_parameters())) if parameter.grad is not None)


def is_finite(array):
    """Whether every number is; the sum of squares tells it in one pass, unless it overflows itself."""
    return array.dtype.kind != "f" or math.isfinite(squared_length(array)) or bool(np.isfinite(array).all())


def _first_bad(named_arrays):
    return next((name for name, array in named_arrays if not is_finite(array)), None)


def _weights(model):
    return ((f"weight {key}", owner.data) for key, owner in model.named_arrays())


def _activations(model, image, target):
    """Yield names and arrays of a trace, stage by stage; a trace of a broken model may itself break."""
    try:
        trace = model.trace(image, target)
    except Exception:  # noqa: BLE001 -- the search for a cause must not put an error of its own in the place of it
        return
    for prefix, stages in (("", trace), ("training.", trace.training)):
        for name, value in vars(stages).items():
            parts = {f"[{i}]": part for i, part in enumerate(value)} if isinstance(value, list) else {"": value}
            for index, part in parts.items():
                if isinstance(part, np.ndarray):
                    yield f"{prefix}{name}{index}", part
