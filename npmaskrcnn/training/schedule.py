"""The learning rate as a function of the step.

The first steps of a fresh network are its wildest: the heads are random, the gradients large and the
optimizer knows nothing yet about their size. So the rate starts near zero and climbs in a straight line
(*warm-up*). At the end the opposite holds: the weights jitter around a good place, and only smaller steps let
them settle. The *cosine* shrinks the rate smoothly to zero over the whole run; the *staircase* of the
original papers divides it by ten at chosen steps. Both are pure functions: ``learning_rate(step)`` depends on
nothing but the step, so a resumed run has the very rates of an uninterrupted one.

References: Loshchilov and Hutter 2017 (cosine); Goyal et al. 2017 (warm-up); He et al. 2017, 3.1 (steps).
"""

import math
from dataclasses import dataclass

from ..judge import judge_count, judge_counts, judge_number, refusal


@dataclass(frozen=True)
class WarmupCosine:
    """Straight up for `warmup` steps, then down along half a cosine, to `final_lr` after `num_steps` steps.

    Attributes
    ----------
    lr : float
        The highest rate, reached in the last step of the warm-up.
    num_steps : int
        Length of the run, warm-up included. Past it the rate stays at `final_lr`.
    warmup : int
        Steps of warm-up; 0 for none.
    final_lr : float

    Examples
    --------
    >>> schedule = WarmupCosine(lr=1.0, num_steps=12, warmup=4)
    >>> [round(schedule.learning_rate(step), 3) for step in (0, 1, 3, 4, 8, 12)]
    [0.25, 0.5, 1.0, 1.0, 0.5, 0.0]
    """

    lr: float
    num_steps: int
    warmup: int = 50
    final_lr: float = 0.0

    def __post_init__(self):
        judge_number(self.lr, "lr", 0)
        judge_count(self.num_steps, "num_steps")
        judge_count(self.warmup, "warmup", 0)
        judge_number(self.final_lr, "final_lr", 0)

    def learning_rate(self, step):
        """Return the rate for the step that has `step` steps before it."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, self.num_steps - self.warmup))
        return self.final_lr + (self.lr - self.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class WarmupSteps:
    """Straight up for `warmup` steps, then constant, multiplied by `gamma` at every milestone.

    Attributes
    ----------
    lr : float
    milestones : tuple of int
        Steps, increasing, from which on one more factor `gamma` holds.
    gamma : float
    warmup : int

    Examples
    --------
    >>> schedule = WarmupSteps(lr=0.02, milestones=(60, 80), warmup=0)
    >>> [round(schedule.learning_rate(step), 6) for step in (0, 59, 60, 80)]
    [0.02, 0.02, 0.002, 0.0002]
    """

    lr: float
    milestones: tuple = ()
    gamma: float = 0.1
    warmup: int = 0

    def __post_init__(self):
        object.__setattr__(self, "milestones", judge_counts(self.milestones, "milestones"))
        judge_number(self.lr, "lr", 0)
        judge_number(self.gamma, "gamma", 0)
        judge_count(self.warmup, "warmup", 0)
        if any(b <= a for a, b in zip(self.milestones, self.milestones[1:])):
            raise refusal("milestones", "steps that increase", self.milestones)

    def learning_rate(self, step):
        """Return the rate for the step that has `step` steps before it."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        return self.lr * self.gamma ** sum(step >= milestone for milestone in self.milestones)
