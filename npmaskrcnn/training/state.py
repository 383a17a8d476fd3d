"""What else moves while a model trains: statistics, the order of the images, an average of the weights.

The weights are the obvious state of a training. To go on after an interruption as if nothing had happened,
bit for bit, the rest has to be kept as well: the running statistics of BatchNorm, which image comes next, and
the state of the random generator.
"""

import contextlib

import numpy as np

from ..errors import InputError
from ..nn.module import Buffer, Parameter


def named_owners(model):
    """Yield ``(key, Parameter or Buffer)`` for every array of a model, in the order of its tree."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, (Parameter, Buffer)):
                yield (f"{path}.{name}" if path else name), value


class DataOrder:
    """Which images come next: a shuffled pass over the dataset, then another one.

    A batch may reach over the end of a pass, so every batch is full, and in any pass every image comes once.

    Parameters
    ----------
    num_images : int
    rng : np.random.Generator
        Asked for one permutation a pass.
    """

    def __init__(self, num_images, rng):
        self.num_images, self.rng = num_images, rng
        self.order, self.position = np.zeros(0, np.int64), 0

    def next(self, count):
        """Return the indices of the next `count` images, a list of int."""
        indices = []
        for _ in range(count):
            if self.position == len(self.order):
                self.order, self.position = self.rng.permutation(self.num_images), 0
            indices.append(int(self.order[self.position]))
            self.position += 1
        return indices


class WeightAverage:
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


@contextlib.contextmanager
def all_or_nothing(trainer):
    """Undo what a step has moved that did not come to its end: random state, order of images, statistics."""
    rng, order = trainer.rng.bit_generator.state, trainer.order
    place = order.order, order.position
    data = [(owner, owner.data) for _, owner in named_owners(trainer.model)]
    try:
        yield
    except BaseException:
        trainer.rng.bit_generator.state = rng
        order.order, order.position = place
        for owner, array in data:  # forward replaces the statistics, it does not write into them
            owner.data = array
        raise


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
