"""Every module gives and takes its state in torchvision's shapes.

Keys and shapes are held against those written down in `tests/nn/cases.py`, the order of axes against single weights
that are looked up on both sides, refusals against their words.
"""

import copy

import numpy as np
import pytest

from npmaskrcnn import nn
from npmaskrcnn.errors import InputError
from tests.nn.cases import CASES, NAMES, backward, flat, forward, make, make_inputs, parameters, upstream


@pytest.mark.parametrize("name", NAMES)
class TestState:
    def test_has_torchvisions_shapes(self, name):
        expected = CASES[name][2]
        state = make(name).state_dict()
        if expected is not None:
            assert {key: value.shape for key, value in state.items()} == expected
        for key, value in state.items():
            assert value.flags.c_contiguous and value.flags.owndata, key

    def test_survives_the_way_to_another_module_and_back(self, name):
        module, other = make(name, seed=0), make(name, seed=1)
        report = other.load_state_dict(module.state_dict())
        assert report.ok
        np.testing.assert_equal(other.state_dict(), module.state_dict())
        inputs = make_inputs(name)
        for one, two in zip(flat(forward(module, inputs)[0]), flat(forward(other, inputs)[0])):
            np.testing.assert_array_equal(one, two)

    def test_is_a_copy(self, name):
        module = make(name)
        state = module.state_dict()
        before = copy.deepcopy(state)
        for value in state.values():
            value += 1
        for key, value in module.state_dict().items():
            np.testing.assert_array_equal(value, before[key])

    def test_gradients_have_the_keys_and_shapes_of_the_state(self, name):
        module, inputs = make(name), make_inputs(name)
        outputs, notes = forward(module, inputs)
        backward(module, outputs, upstream(outputs), notes)
        state = module.state_dict()
        gradients = module.grad_dict()
        assert list(gradients) == list(parameters(module))
        for key, gradient in gradients.items():
            assert gradient.shape == state[key].shape and gradient.any(), key


def test_a_convolutions_axes_on_disk_are_out_in_y_x():
    layer = nn.Conv2d(2, 3, 4, rng=np.random.default_rng(0))
    assert layer.state_dict()["weight"][2, 1, 3, 0] == layer.weight.data[3, 0, 1, 2]


def test_a_transposed_convolutions_axes_on_disk_are_in_out_y_x():
    layer = nn.ConvTranspose2d(2, 3, 4, rng=np.random.default_rng(0))
    assert layer.state_dict()["weight"][1, 2, 3, 0] == layer.weight.data[3, 0, 1, 2]


def test_a_linear_layers_columns_behind_a_flattening_run_c_y_x_on_disk():
    height, width, channels = 2, 3, 5
    layer = nn.Linear(30, 4, flattened_from=(height, width, channels), rng=np.random.default_rng(0))
    y, x, c = 1, 2, 3
    ours, theirs = (y * width + x) * channels + c, (c * height + y) * width + x
    assert layer.state_dict()["weight"][2, theirs] == layer.weight.data[ours, 2]


def test_a_sequentials_keys_are_its_childrens_numbers():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 1, bias=False))
    assert list(module.state_dict()) == ["0.weight", "0.bias", "2.weight"]


def test_what_does_not_fit_changes_nothing():
    module = nn.Linear(3, 2, rng=np.random.default_rng(0))
    before = module.state_dict()
    with pytest.raises(InputError,
                       match=r"1 missing: bias; 1 of wrong shape: weight \(expected \(2, 3\), got \(3, 2\)"):
        module.load_state_dict({"weight": np.ones((3, 2))})
    np.testing.assert_array_equal(module.weight.data, before["weight"].T)


def test_what_fits_is_taken_if_one_is_not_strict():
    module = nn.Linear(3, 2, rng=np.random.default_rng(0))
    report = module.load_state_dict({"bias": [5.0, 6.0], "other": np.ones(1)}, strict=False)
    assert (report.loaded, report.missing, report.unexpected) == (["bias"], ["weight"], ["other"])
    np.testing.assert_array_equal(module.bias.data, np.array([5, 6], np.float32))


def test_values_are_cast_to_the_modules_dtype():
    module = nn.Linear(3, 2).astype(np.float64)
    module.load_state_dict({"weight": np.ones((2, 3), np.float16), "bias": np.ones(2, ">f4")})
    assert module.weight.data.dtype == module.bias.data.dtype == np.float64 and module.bias.data.dtype.isnative


def test_batch_norm_reads_files_with_and_without_the_counter():
    module = nn.BatchNorm2d(2)
    state = module.state_dict()
    assert state["num_batches_tracked"].shape == () and state["num_batches_tracked"].dtype == np.int64
    counter = state.pop("num_batches_tracked")
    assert module.load_state_dict(state).ok
    assert nn.FrozenBatchNorm2d(2).load_state_dict({**state, "num_batches_tracked": counter}).ok


def test_astype_leaves_the_original_and_the_counter_alone():
    module = nn.Sequential(nn.Conv2d(3, 4, 1, rng=np.random.default_rng(0)), nn.BatchNorm2d(4))
    twin = module.astype(np.float64)
    assert (module.dtype, twin.dtype) == (np.float32, np.float64)
    assert twin.state_dict()["1.num_batches_tracked"].dtype == np.int64
    twin.parameters().__next__().data[...] = 0
    assert module.state_dict()["0.weight"].any()


def test_a_frozen_parameter_gets_no_gradient():
    module = nn.Sequential(nn.Conv2d(3, 4, 1, rng=np.random.default_rng(0)).freeze(), nn.Conv2d(4, 5, 1))
    notes = nn.Notes()
    y = module.forward(np.ones((1, 2, 3, 3), np.float32), notes)
    module.backward(y, notes)
    assert list(module.grad_dict()) == ["1.weight", "1.bias"]
    assert [p.grad is None for p in module.parameters()] == [True, True, False, False]
    assert module.num_parameters() == 25


def test_a_trainable_parameter_that_was_not_reached_has_a_zero_gradient():
    module = nn.Linear(3, 2, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(module.grad_dict()["weight"], np.zeros((2, 3)))
