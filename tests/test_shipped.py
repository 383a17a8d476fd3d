"""The shipped weights: every version and step is there, and no other can be asked for."""

import re

import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.shipped import EARLY_STEPS, TRAINED_TINY, trained_tiny


@pytest.mark.parametrize("version", TRAINED_TINY)
def test_every_version_and_step_is_there(version):
    finished, *early = (trained_tiny(step, version) for step in (None, *EARLY_STEPS))
    keys = finished.state_dict().keys()
    assert all(model.state_dict().keys() == keys and not model.untrained for model in early)


@pytest.mark.parametrize("arguments, message", [
    (dict(step=99), "step must be 100 or 400, or left out for the finished model, got 99"),
    (dict(step="100"), "step must be a whole number, got '100'"), (dict(step=True), "step must be a whole number"),
    (dict(version=3), "version must be a whole number from 1 to 2, got 3"),
    (dict(version=None), "version must be a whole number from 1 to 2, got None")])
def test_no_other_can_be_asked_for(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        trained_tiny(**arguments)
