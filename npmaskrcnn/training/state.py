"""What else moves while a model trains: statistics, the random generator, an average of the weights.

The weights are the obvious state of a training. To go on after an interruption as if nothing had happened,
bit for bit, the rest has to be kept as well: the running statistics of BatchNorm, which image comes next, and
the state of the random generator.
So `AllOrNothing` lets no step end half-way.
"""

import contextlib

import numpy as np

from ..errors import InputError
from ..nn.module import Buffer, Parameter
from .interrupt import uninterrupted
from .loop import Listener


def named_owners(model):
    """Yield ``(key, Parameter or Buffer)`` for every array of a model, in the order of its tree."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, (Parameter, Buffer)):
                yield (f"{path}.{name}" if path else name), value


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
        self.owners = {key: owner for key, owner in named_owners(model) if owner.data.dtype.kind == "f"}
        self.decay = decay
        self.averages = {key: owner.data.copy() for key, owner in self.owners.items()}

    def stepped(self, loop, batch):
        """Take the new weights in."""
        self.update(loop.step)

    def update(self, step):
        """Move the average towards the weights as they are after `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
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

    A context manager around each step, and a listener in it. Until the weights move, a step that is stopped is undone;
    from then on Ctrl-C waits for its end, log and checkpoints included.

    Parameters
    ----------
    loop : Loop
    """

    def __init__(self, loop):
        self.loop = loop

    def __enter__(self):
        loop = self.loop
        self.rng, self.lr = loop.rng.bit_generator.state, loop.optimizer.lr
        self.place = loop.order.order, loop.order.position
        self.data = [(owner, owner.data) for _, owner in named_owners(loop.model)]
        self.moving = None

    def clipped(self, loop, batch):
        """Hold Ctrl-C back."""
        moving = uninterrupted()
        moving.__enter__()
        self.moving, self.data = moving, None

    def __exit__(self, *error):
        if self.moving is not None:
            return self.moving.__exit__(*error)
        if error[0] is not None:
            loop = self.loop
            loop.rng.bit_generator.state, loop.optimizer.lr = self.rng, self.lr
            loop.order.order, loop.order.position = self.place
            for owner, array in self.data:  # forward replaces the statistics, it does not write into them
                owner.data = array
        return False


def rng_to_json(rng):
    """Return the state of a generator in JSON's types; arrays in it (MT19937, Philox) become tagged lists."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, np.ndarray):
            return {"array": value.tolist(), "dtype": value.dtype.str}
        return value.item() if isinstance(value, np.generic) else value
    return plain(rng.bit_generator.state)


def rng_from_json(rng, state):
    """Put a state by `rng_to_json` into a generator of the same kind.

    Raises
    ------
    InputError
        If the state is of another kind of generator, or none at all.
    """
    def restored(value):
        if isinstance(value, dict):
            if set(value) == {"array", "dtype"}:
                return np.array(value["array"], np.dtype(value["dtype"]))
            return {key: restored(item) for key, item in value.items()}
        return value
    try:
        rng.bit_generator.state = restored(state)
    except (TypeError, ValueError, KeyError):
        kind = state.get("bit_generator") if isinstance(state, dict) else None
        raise InputError(f"the stored random state is of a {kind or 'damaged'} generator, this run has a "
                         f"{type(rng.bit_generator).__name__}") from None
