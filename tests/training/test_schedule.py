"""Learning rates as functions of the step.

The curves are held against their properties (straight up, then down) and against values known by hand.
"""

import math

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.training import WarmupCosine, WarmupSteps


def test_cosine_climbs_then_falls_to_the_end():
    schedule = WarmupCosine(2e-3, num_steps=800, warmup=50, final_lr=1e-5)
    rates = np.array([schedule.learning_rate(step) for step in range(801)])
    np.testing.assert_allclose(rates[:50], 2e-3 * np.arange(1, 51) / 50, rtol=1e-14)
    assert rates.argmax() in (49, 50) and (np.diff(rates[50:]) < 0).all()
    np.testing.assert_allclose(rates[425], (2e-3 + 1e-5) / 2, rtol=1e-12)  # half way: the mean of both ends
    np.testing.assert_allclose(rates[800], 1e-5, rtol=1e-12)
    assert schedule.learning_rate(5000) == rates[800]


def test_cosine_without_warmup_starts_at_the_top():
    assert WarmupCosine(0.3, num_steps=10, warmup=0).learning_rate(0) == 0.3


def test_a_warmup_longer_than_the_run_never_divides_by_zero():
    schedule = WarmupCosine(0.3, num_steps=5, warmup=5)
    assert schedule.learning_rate(4) == 0.3 and schedule.learning_rate(5) == 0.3


def test_staircase_multiplies_at_each_milestone():
    schedule = WarmupSteps(0.02, milestones=[100, 200], gamma=0.5, warmup=10)
    assert schedule.learning_rate(0) == 0.002 and schedule.learning_rate(10) == 0.02
    assert [schedule.learning_rate(s) for s in (99, 100, 199, 200)] == [0.02, 0.01, 0.01, 0.005]


def test_rates_are_python_floats():
    for schedule in (WarmupCosine(1, 10), WarmupSteps(0.1)):
        assert type(schedule.learning_rate(3)) is float


@pytest.mark.parametrize("make", [
    lambda: WarmupCosine(-1, 10), lambda: WarmupCosine(math.nan, 10), lambda: WarmupCosine(1, 0),
    lambda: WarmupCosine(1, 10, warmup=-1), lambda: WarmupSteps(0.1, milestones=(5, 5)),
])
def test_bad_numbers_are_refused(make):
    with pytest.raises(InputError, match="must"):
        make()
