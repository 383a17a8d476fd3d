"""The optimizers walk torch's paths, keep dtypes, and save and load their state.

Weights after each of a few steps are held against those that torch stored (tests/reference/optimizers.npz), in float64
and to 1e-12, clipping against torch's `clip_grad_norm_`; frozen parameters, other memory orders and a broken gradient
against what they should leave unchanged; a state that went and came back against one that never left.
"""

from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.nn.module import Parameter
from npmaskrcnn.training import SGD, AdamW, clip_gradients, gradient_norm
from npmaskrcnn.training import optimizers

REFERENCE = Path(__file__).parents[1] / "reference" / "optimizers.npz"
RUNS = {
    "sgd_plain": (SGD, dict(momentum=0.0)),
    "sgd_momentum": (SGD, dict(momentum=0.9)),
    "sgd_decay": (SGD, dict(momentum=0.8, weight_decay=0.05)),
    "adamw": (AdamW, dict()),
    "adamw_options": (AdamW, dict(betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3)),
    "adamw_no_decay": (AdamW, dict(weight_decay=0.0)),
}


@pytest.fixture(scope="module")
def stored():
    with np.load(REFERENCE) as file:
        return dict(file)


def fresh_parameters(stored):
    return {name: Parameter(stored[f"start/{name}"].copy()) for name in ("weight", "bias")}


@pytest.mark.parametrize("block", [7, optimizers.BLOCK])
@pytest.mark.parametrize("run", RUNS)
def test_trajectory_is_torchs(stored, run, block, monkeypatch):
    monkeypatch.setattr(optimizers, "BLOCK", block)  # 7 does not divide the 30 numbers of `weight`
    cls, options = RUNS[run]
    parameters = fresh_parameters(stored)
    optimizer = cls(parameters.items(), lr=0.1, **options)
    for step, lr in enumerate(stored["lrs"]):
        optimizer.lr = float(lr)
        for name, parameter in parameters.items():  # one parameter misses a gradient once
            parameter.grad = None if (step, name) == (3, "bias") else stored[f"grads/{name}"][step].copy()
        optimizer.step()
        for name, parameter in parameters.items():
            # float64; the order of a few multiplications differs from torch's
            np.testing.assert_allclose(parameter.data, stored[f"{run}/{name}"][step], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clipping_is_torchs(stored, max_norm):
    parameters = fresh_parameters(stored)
    for name, parameter in parameters.items():
        parameter.grad = stored[f"grads/{name}"][-4].copy()
    norm = clip_gradients(parameters.values(), max_norm)
    np.testing.assert_allclose(norm, stored[f"clip_{max_norm:g}/norm"], rtol=1e-13)
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.grad, stored[f"clip_{max_norm:g}/{name}"], rtol=1e-13)
    assert gradient_norm(parameters.items()) <= max(max_norm, norm if norm < max_norm else 0)


def test_clipping_leaves_a_nan_where_it_is():
    good, bad = Parameter(np.zeros(2)), Parameter(np.zeros(1))
    good.grad, bad.grad = np.array([3.0, 4.0]), np.array([np.nan])
    assert np.isnan(clip_gradients([good, bad], 1.0))
    np.testing.assert_array_equal(good.grad, [3.0, 4.0])


@pytest.mark.parametrize("cls", [SGD, AdamW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_memory_are_kept(cls, dtype):
    rng = np.random.default_rng(1)
    parameter = Parameter(rng.standard_normal((4, 6)).astype(dtype))
    array, before = parameter.data, parameter.data.copy()
    parameter.grad = rng.standard_normal((4, 6)).astype(dtype)
    gradient = parameter.grad.copy()
    cls([("w", parameter)], lr=np.float64(0.1), weight_decay=np.float64(0.1)).step()
    assert parameter.data is array and array.dtype == dtype and (array != before).all()
    np.testing.assert_array_equal(parameter.grad, gradient)


@pytest.mark.parametrize("cls", [SGD, AdamW])
def test_memory_order_does_not_matter(cls):
    rng = np.random.default_rng(2)
    value, grad = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    straight, turned = Parameter(value.copy()), Parameter(np.asfortranarray(value))
    straight.grad, turned.grad = grad.copy(), np.asfortranarray(grad)
    cls([straight, turned], lr=0.1).step()
    np.testing.assert_array_equal(straight.data, turned.data)


@pytest.mark.parametrize("cls", [SGD, AdamW])
def test_frozen_parameters_are_left_alone(cls):
    frozen, free = Parameter(np.ones(3), trainable=False), Parameter(np.ones(3))
    frozen.grad, free.grad = np.ones(3), np.ones(3)
    optimizer = cls([("frozen", frozen), ("free", free)], lr=0.1, weight_decay=0.5)
    optimizer.step()
    np.testing.assert_array_equal(frozen.data, 1.0)
    assert (free.data < 1).all() and list(optimizer.parameters) == ["free"]


@pytest.mark.parametrize("cls", [SGD, AdamW])
def test_state_round_trip_continues_bit_for_bit(cls):
    rng = np.random.default_rng(3)
    grads = rng.standard_normal((6, 4, 5))

    def walk(parameter, optimizer, grads):
        for grad in grads:
            parameter.grad = grad.copy()
            optimizer.step()

    whole = Parameter(np.ones((4, 5)))
    walk(whole, cls([("w", whole)], lr=0.1), grads)
    half = Parameter(np.ones((4, 5)))
    first = cls([("w", half)], lr=0.1)
    walk(half, first, grads[:3])
    second = cls([("w", half)], lr=0.1)
    second.load_state_dict(first.state_dict())
    walk(half, second, grads[3:])
    np.testing.assert_array_equal(whole.data, half.data)


def test_state_of_another_model_is_refused_and_changes_nothing():
    ours = AdamW([("a", Parameter(np.ones(3))), ("b", Parameter(np.ones((2, 2))))], lr=0.1)
    theirs = AdamW([("a", Parameter(np.ones(4))), ("c", Parameter(np.ones(2)))], lr=0.1)
    with pytest.raises(InputError, match=r"another model.*; 3 missing: b/exp_avg, .*; 3 unexpected: c/"):
        ours.load_state_dict(theirs.state_dict())
    with pytest.raises(InputError, match="momentum_buffer"):
        ours.load_state_dict(SGD(ours.parameters.items(), lr=0.1).state_dict())
    wide = AdamW([("a", Parameter(np.ones((3, 1)))), ("b", Parameter(np.ones((2, 2))))], lr=0.1)
    with pytest.raises(InputError, match=r"2 of wrong shape: a/exp_avg \(expected \(3,\), got \(3, 1\)"):
        ours.load_state_dict(wide.state_dict())
    assert all(not value.any() for value in ours.state_dict().values())


@pytest.mark.parametrize("options, message", [
    (dict(lr=-1e-3), "lr must be"), (dict(lr=float("nan")), "lr must be"),
    (dict(lr=0.1, weight_decay=-1), "weight_decay must be"), (dict(lr=0.1, momentum=1.0), "momentum must be"),
])
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SGD([Parameter(np.ones(2))], **options)


def test_nothing_trainable_is_refused():
    with pytest.raises(InputError, match="none of the parameters is trainable"):
        AdamW([Parameter(np.ones(2), trainable=False)], lr=0.1)
