"""The training loop in plain sight: draw, loss, clip, step; again.

A step *draws* a few images that the model has not seen for a while, asks the model for its five *losses* and their
gradients, *clips* the gradients if all of them together are too long, and lets the optimizer *step*: every weight
moves a little downhill. That is all of it, and `Loop.one_step` is little longer:

>>> from npmaskrcnn import datasets, maskrcnn_tiny, training
>>> model, dataset = maskrcnn_tiny(), datasets.ShapesDataset(9, image_size=(64, 96), seed=1)
>>> optimizer = training.SGD(model.named_parameters(), lr=0.02)
>>> loop = training.Loop(model, dataset, optimizer, rng=np.random.default_rng(0), batch_size=2)
>>> [len(loop.one_step().losses) for _ in range(2)]
[5, 5]

Whatever else a training needs listens: after each of its parts the loop tells its listeners how far it has come, and
the log, the checkpoints and the watch for NaN and infinity are such listeners (`Trainer` hires them).
"""

import math
from dataclasses import dataclass

import numpy as np

from .optimizers import clip_gradients


class Loop:
    """Trains a model on a dataset, step by step, and without a word.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place.
    dataset : sequence of (image, Target)
    optimizer : Optimizer
        Over the model's parameters.
    rng : np.random.Generator
        Draws the order of the images, their variants and the model's samples.
    schedule : object with ``learning_rate(step)``, optional
        Sets the optimizer's rate before each step.
    batch_size : int
        Images a step.
    clip_norm : float or None
        Longest gradient that a step may follow.
    loss_weights : dict, optional
        Factor by name of the loss; 1 for those left out.
    augment : callable, optional
        ``augment(image, target, rng)`` returns what the model is shown in their place.
    listeners : iterable of Listener
    """

    def __init__(self, model, dataset, optimizer, rng, schedule=None, batch_size=4, clip_norm=10.0,
                 loss_weights=None, augment=None, listeners=()):
        self.model, self.dataset, self.optimizer, self.schedule = model, dataset, optimizer, schedule
        self.rng, self.order, self.batch_size = rng, DataOrder(len(dataset), rng), batch_size
        self.clip_norm, self.loss_weights = clip_norm, loss_weights
        self.augment, self.listeners = augment or (lambda image, target, rng: (image, target)), list(listeners)
        self.step = 0   # steps done so far

    def one_step(self):
        """Do one step, and return its `Batch`."""
        if self.schedule is not None:
            self.optimizer.lr = self.schedule.learning_rate(self.step)

        indices = self.order.next(self.batch_size)                                              # draw
        batch = Batch(indices, [self.dataset[index] for index in indices])
        self.tell("drawn", batch)
        batch.items = [self.augment(image, target, self.rng) for image, target in batch.items]

        images, targets = map(list, zip(*batch.items))                                          # loss
        batch.losses = self.model.loss_and_grads(images, targets, self.rng, self.loss_weights)
        self.tell("differentiated", batch)

        batch.grad_norm = clip_gradients(self.optimizer.parameters, self.clip_norm or math.inf)  # clip
        self.tell("clipped", batch)

        self.optimizer.step()                                                                   # step
        self.step += 1
        self.tell("stepped", batch)
        return batch

    def tell(self, part, batch):
        """Call the method `part` of every listener."""
        for listener in self.listeners:
            getattr(listener, part)(self, batch)


@dataclass
class Batch:
    """The images of one step, and what has come of them so far."""

    indices: list               # into the dataset
    items: list                 # (image, Target) of each: as the dataset has them, then as they are shown
    losses: dict = None         # the five, by name
    grad_norm: float = None     # length of all gradients together, before they were clipped


class Listener:
    """Hears how far a loop has come, and does nothing about it: override what you want to hear."""

    def drawn(self, loop, batch):
        """The images have been read."""

    def differentiated(self, loop, batch):
        """The losses are known, and every parameter has its gradient in ``parameter.grad``."""

    def clipped(self, loop, batch):
        """The gradients are short enough; next, the weights move."""

    def stepped(self, loop, batch):
        """The weights have moved, and the step counts."""


class DataOrder:
    """Which images come next: a shuffled pass over the dataset, then another one.

    A batch may reach over the end of a pass, so every batch is full, and in any pass every image comes once.
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
