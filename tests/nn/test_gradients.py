"""Every module's backward against differences of its forward, by inputs and parameters, in float64, on both hands.

The modules are listed in `tests/nn/cases.py`.
"""

import numpy as np
import pytest

from tests.nn.cases import NAMES, backward, flat, forward, has_batch_norm, make, make_inputs, parameters, upstream

pytestmark = pytest.mark.usefixtures("hand")      # on the plain operations and on those in use by default


def difference_of(values, move, loss):
    """Return ``loss`` after minus before moving `values` by plus and minus `move`."""
    start = values.copy()
    values[...] = start + move
    ahead = loss()
    values[...] = start - move
    behind = loss()
    values[...] = start
    return ahead - behind


def check_all_gradients(module, inputs, expected_factor=1.0, batch_statistics=True):
    """Compare every gradient with differences along a random direction.

    A step must be small, or a ReLU or a maximum changes sides on the way, and large, or rounding drowns the
    difference; so several are tried, and a wrong gradient agrees with none of them.
    """
    inputs = [x.copy() for x in inputs]
    outputs, notes = forward(module, inputs, batch_statistics)
    dys = upstream(outputs)
    dxs = backward(module, outputs, dys, notes)
    tensors = [(f"input {i}", x, dx) for i, (x, dx) in enumerate(zip(inputs, dxs))]
    tensors += [(key, p.data, p.grad) for key, p in parameters(module).items()]
    rng = np.random.default_rng(3)

    def loss():
        return sum(float((y * dy).sum()) for y, dy in zip(flat(forward(module, inputs, batch_statistics)[0]), dys))

    for name, values, gradient in tensors:
        direction = rng.standard_normal(values.shape)
        direction /= np.linalg.norm(direction)
        slope = expected_factor * float((gradient * direction).sum())
        scale = max(abs(slope), np.linalg.norm(gradient) / np.sqrt(gradient.size), 1e-3)
        for step in (1e-5, 1e-6, 1e-7, 1e-4):
            measured = difference_of(values, step * direction, loss) / (2 * step)
            if abs(measured - slope) <= 1e-6 * scale:
                break
        else:
            raise AssertionError(f"{name}: backward says {slope}, differences say {measured}")


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_differences(name):
    check_all_gradients(make(name), make_inputs(name))


@pytest.mark.parametrize("name", [name for name in NAMES if has_batch_norm(make(name))])
def test_gradients_on_running_statistics_agree_with_differences(name):
    check_all_gradients(make(name), make_inputs(name), batch_statistics=False)


def test_the_check_sees_a_gradient_that_is_a_hundredth_of_a_percent_off():
    with pytest.raises(AssertionError, match="input 0"):
        check_all_gradients(make("basic block"), make_inputs("basic block"), expected_factor=1.0001)
