"""Training live: a model learns the shapes on the stage, a few steps at a time, while somebody looks on.

It is the package's own loop (`training.loop`) with one image for a dataset, whichever lies on the stage at the moment.
The optimizer is Muon, with which an untrained model finds its first shapes after some thirty steps. What is being
trained is a copy: the model that it began with stays as it is.
"""

import copy
import math

import numpy as np

from .. import ops
from ..errors import InputError
from ..training.divergence import BREAKS, first_bad_weight
from ..training.loop import Listener, Loop
from ..training.muon import Muon
from ..training.schedule import WarmupSteps
from ..words import count

LEARNING_RATE, WARMUP = 1e-2, 10
SEED = 0    # of the samples


class LiveTraining:
    """A training that goes on when it is asked to.

    Parameters
    ----------
    model : MaskRCNN
        A copy of it is trained.

    Attributes
    ----------
    model : MaskRCNN
        In training.
    losses : dict of str to list of float
        Of the steps so far, by name.
    """

    def __init__(self, model):
        self._first = model
        self.reset()

    def reset(self):
        """Go back to the beginning: a new copy, and no steps."""
        self.model = copy.deepcopy(self._first)
        self.losses = {name: [] for name in self.model.loss_names}
        self._loop = Loop(self.model, [None], Muon(self.model.named_parameters(), LEARNING_RATE),
                          np.random.default_rng(SEED), WarmupSteps(LEARNING_RATE, warmup=WARMUP), batch_size=1,
                          listeners=[_Brake()])

    def go(self, image, target, steps):
        """Train on an image.

        Parameters
        ----------
        image : (H, W, 3) uint8 ndarray
        target : Target
        steps : int

        Raises
        ------
        InputError
            If the numbers leave all bounds; the steps before that are done.
        """
        self._loop.dataset = [(image, target)]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"), ops.whole_pass(training=True):
            for _ in range(steps):
                for name, loss in self._step().items():
                    self.losses[name].append(loss)

    def _step(self):
        try:
            return self._loop.one_step().losses
        except InputError:
            raise
        except BREAKS:      # numbers that have overflowed may break the pass anywhere
            if first_bad_weight(self.model) is None:
                raise
            raise _diverged(self._loop) from None


class _Brake(Listener):
    """Stops a step whose gradient is no number, before the weights move."""

    def clipped(self, loop, batch):
        """Look at the length of the gradient."""
        if not math.isfinite(batch.grad_norm):
            raise _diverged(loop)


def _diverged(loop):
    return InputError(f"the training diverged after {count(loop.step, 'step')}; reset it")
