"""A state dict fits by exact names and shapes, and all differences are told at once.

Held against small dicts of names and shapes whose differences are known.
"""

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.judge import compare_state


def test_what_fits_is_ok():
    report = compare_state({"w": (2, 3), "b": np.zeros(3)}, {"b": np.ones(3), "w": np.ones((2, 3))})
    assert report.ok and report.loaded == ["w", "b"]
    report.raise_if_different()


def test_a_shape_that_would_broadcast_is_wrong():
    report = compare_state({"w": (3, 3)}, {"w": np.ones(3)})
    assert report.wrong_shape == [("w", (3, 3), (3,))] and not report.ok


def test_the_batch_counter_may_be_absent_or_superfluous():
    assert compare_state({"bn.num_batches_tracked": ()}, {}).ok
    assert compare_state({}, {"bn.num_batches_tracked": np.array(3)}).ok


def test_all_differences_are_in_one_line_with_ten_of_each_at_most():
    expected = {f"missing{i}": (1,) for i in range(12)} | {"shape": (2, 1), "fits": (4,)}
    got = {"unexpected": np.ones(1), "shape": np.ones(2), "fits": np.ones(4)}
    with pytest.raises(InputError) as caught:
        compare_state(expected, got).raise_if_different()
    assert str(caught.value) == (
        "the state dict does not fit the model: 1 of 14 tensors fit; 12 missing: "
        + ", ".join(f"missing{i}" for i in range(10)) + ", and 2 more; 1 unexpected: unexpected; "
        "1 of wrong shape: shape (expected (2, 1), got (2,))"
    )
