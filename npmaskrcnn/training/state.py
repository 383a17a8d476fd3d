"""What else moves while a model trains: statistics, the random generator, an average of the weights.

The weights are the obvious state of a training. To go on after an interruption as if nothing had happened,
bit for bit, the rest has to be kept as well: the running statistics of BatchNorm, which image comes next, and
the state of the random generator. And no step may end half-way, with some of it moved and some not: `AllOrNothing`.
"""

import contextlib
import json

import numpy as np

from ..errors import InputError
from ..interrupt import uninterrupted
from .loop import Listener


class WeightAverage(Listener):
    r"""An exponential moving average of weights and statistics, for evaluation.

    Late in training the weights circle around a good point; their average is nearer to it than any of them.

    .. math:: \bar w \leftarrow \alpha \bar w + (1 - \alpha) w, \quad \alpha = \min(d, (1 + t) / (10 + t))

    The smaller :math:`\alpha` of the first steps t lets the random start be forgotten.

    Parameters
    ----------
    model : MaskRCNN
    decay : float
        :math:`d`; 0.99 averages over about the last hundred steps.

    References
    ----------
    Polyak and Juditsky 1992; Tan and Le 2019 (the decay's warm-up as in TensorFlow).
    """

    def __init__(self, model, decay):
        self.owners = {key: owner for key, owner in model.named_arrays() if owner.data.dtype.kind == "f"}
        self.decay = decay
        self.averages = {key: owner.data.copy() for key, owner in self.owners.items()}

    def stepped(self, loop, batch):
        """Move the average toward the new weights."""
        decay = min(self.decay, (1 + loop.step) / (10 + loop.step))
        for key, owner in self.owners.items():
            average = self.averages[key]
            average *= decay
            average += (1 - decay) * owner.data

    def put_in_place(self):
        """Replace the model's own arrays by the average, for good."""
        for key, owner in self.owners.items():
            owner.data = self.averages[key].copy()

    @contextlib.contextmanager
    def in_place(self):
        """Put the average into the model, for the length of a ``with`` block."""
        own = {key: owner.data for key, owner in self.owners.items()}
        try:
            for key, owner in self.owners.items():
                owner.data = self.averages[key]
            yield
        finally:
            for key, owner in self.owners.items():
                owner.data = own[key]


class AllOrNothing(Listener):
    """Whatever stops a step, the state of the training is the one before it or the one after it.

    Until the weights move, a step that is stopped is undone; from then on Ctrl-C waits for its end.
    """

    @contextlib.contextmanager
    def step_of(self, loop):
        """Hold this context around a step."""
        rng, lr, order = loop.rng.bit_generator.state, loop.optimizer.lr, loop.order
        place = order.order, order.position
        data = [(owner, owner.data) for _, owner in loop.model.named_arrays()]
        self.is_moving = False
        with contextlib.ExitStack() as self.held:
            try:
                yield
            except BaseException:
                if not self.is_moving:
                    loop.rng.bit_generator.state, loop.optimizer.lr = rng, lr
                    order.order, order.position = place
                    for owner, array in data:  # forward replaces the statistics, it does not write into them
                        owner.data = array
                raise

    def weights_move(self):
        """Hold Ctrl-C back: everybody has heard of the step so far, and next the weights move."""
        self.held.enter_context(uninterrupted())
        self.is_moving = True


def rng_to_json(rng):
    """Return the state of a generator in JSON's types; arrays in it (MT19937, Philox) become tagged lists."""
    def tagged(array):
        return {"array": array.tolist(), "dtype": array.dtype.str}

    return json.loads(json.dumps(rng.bit_generator.state, default=tagged))


def rng_from_json(rng, state):
    """Put a state by `rng_to_json` into a generator of the same kind.

    Raises
    ------
    InputError
        If the state is of another kind of generator, or none at all.
    """
    def untagged(entries):
        return np.array(entries["array"], entries["dtype"]) if set(entries) == {"array", "dtype"} else entries

    try:
        rng.bit_generator.state = json.loads(json.dumps(state), object_hook=untagged)
    except (TypeError, ValueError, KeyError, OverflowError):
        kind = state.get("bit_generator") if isinstance(state, dict) else None
        raise InputError(f"the stored random state is of a {kind or 'damaged'} generator, this run has a "
                         f"{type(rng.bit_generator).__name__}") from None
