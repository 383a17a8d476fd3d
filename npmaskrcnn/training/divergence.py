"""When training explodes: stop at once and say where it began.

One NaN in a gradient is a NaN in every weight one step later, and then in everything. NumPy goes on
regardless. So every loss and the norm of the gradient are looked at before the weights change, and when one
of them is not finite, the tensors are searched for the first bad one, in the order in which numbers flow.
"""

import contextlib
import math

import numpy as np

from .loop import Listener

# What Python and NumPy raise where a number is none: as an index, as a size, in a factorisation.
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
        What was not finite: the name of a loss, ``"gradient norm"`` or ``"weights"``.
    tensor : str
        The first bad tensor, in the order of the computation.
    """

    def __init__(self, step, image_ids, term, value, tensor, lr, checkpoint=None):
        self.step, self.image_ids, self.term, self.tensor = step, list(image_ids), term, tensor
        last = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint was written"
        super().__init__(
            f"training diverged at step {step}: {term} is {value} (images {self.image_ids} of the dataset; "
            f"first bad tensor: {tensor}; learning rate {lr:.3g}). Usual cause: a learning rate too high, "
            f"try a tenth; {last}")


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
            raise self._diverged(loop, self.batch, "the forward pass", "broken", tensor) from None

    def drawn(self, loop, batch):
        """The pass begins."""
        self.batch = batch

    def differentiated(self, loop, batch):
        """The pass has ended: look at the losses."""
        self.batch = None
        bad = next(((name, value) for name, value in batch.losses.items() if not math.isfinite(value)), None)
        if bad:
            raise self._diverged(loop, batch, *bad, first_bad_input(loop.model, *zip(*batch.items)))

    def clipped(self, loop, batch):
        """Look at the gradients, all at once: one bad number makes their length a bad one."""
        if not math.isfinite(batch.grad_norm):
            tensor = first_bad_gradient(loop.model) or "none by itself, their sum of squares is too large"
            raise self._diverged(loop, batch, "gradient norm", batch.grad_norm, tensor)

    def _diverged(self, trainer, batch, term, value, tensor):
        return TrainingDiverged(trainer.step + 1, batch.indices, term, value, tensor, trainer.optimizer.lr,
                                trainer.last_checkpoint)


def first_bad_input(model, images, targets):
    """Name the first tensor on the way to the losses that is not finite: image, weight, statistic, trace."""
    for i, image in enumerate(images):
        if not is_finite(image):
            return f"pixels of image {i} of the batch"
    bad = first_bad_weight(model)
    if bad:
        return bad
    for i, (image, target) in enumerate(zip(images, targets)):
        bad = _first_bad_activation(model, image, target)
        if bad:
            return f"{bad} of image {i} of the batch"
    return "none of the inputs and weights; it overflowed inside the training pass"


def first_bad_weight(model):
    """Name the first parameter or buffer that is not finite, or return None."""
    return next((f"weight {key}" for key, owner in model.named_arrays() if not is_finite(owner.data)), None)


def first_bad_gradient(model):
    """Name the first gradient that is not finite, in the order of the backward pass, or return None."""
    return next((f"gradient of {path}" for path, parameter in reversed(list(model.named_parameters()))
                 if parameter.grad is not None and not is_finite(parameter.grad)), None)


def is_finite(array):
    """Whether every number is; the sum of squares tells it in one pass, unless it overflows itself."""
    if array.dtype.kind != "f" or array.size == 0:
        return True
    flat = array.reshape(-1)
    return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())


def _first_bad_activation(model, image, target):
    """Look for it in a trace, stage by stage; a trace of a broken model may itself break."""
    try:
        trace = model.trace(image, target)
    except Exception:  # noqa: BLE001 -- the search for a cause must not put an error of its own in the place of it
        return None
    for source, prefix in ((trace, ""), (getattr(trace, "training", None), "training.")):
        for name, value in vars(source).items() if source is not None else ():
            values = value if isinstance(value, list) else [value]
            for i, array in enumerate(values):
                if isinstance(array, np.ndarray) and not is_finite(array):
                    return f"{prefix}{name}" + (f"[{i}]" if isinstance(value, list) else "")
    return None
