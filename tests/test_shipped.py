"""The shipped weights: every step is there, and no other can be asked for."""

import re

import pytest

from npmaskrcnn.datasets import TEST_SEED, RingsDataset, ShapesDataset
from npmaskrcnn.errors import InputError
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.shipped import EARLY_STEPS, TRAINED_VARIANTS, data_file, trained_tiny, trained_variant
from npmaskrcnn.variants import VARIANTS


def test_every_step_is_there():
    finished, *early = (trained_tiny(step) for step in (None, *EARLY_STEPS))
    keys = finished.state_dict().keys()
    assert all(model.state_dict().keys() == keys and not model.untrained for model in early)


@pytest.mark.parametrize("name", TRAINED_VARIANTS)
def test_every_shipped_variant_knows_its_task_loads_without_a_warning_and_is_small(name):
    model, kind = trained_variant(name), RingsDataset if VARIANTS[name].task == "rings" else ShapesDataset
    dataset = kind(6, seed=TEST_SEED)
    found = evaluate(dataset, model.predict([dataset[i][0] for i in range(len(dataset))]))
    assert found.segm.AP > 0.2 and found.bbox.AP > 0.2      # untrained, it is 0
    assert data_file(f"variant-{name}.npz").stat().st_size < 2_000_000


@pytest.mark.parametrize("arguments, message", [
    (dict(step=99), "step must be 100 or 400, or left out for the finished model, got 99"),
    (dict(step="100"), "step must be a whole number, got '100'"), (dict(step=True), "step must be a whole number")])
def test_no_other_can_be_asked_for(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        trained_tiny(**arguments)
