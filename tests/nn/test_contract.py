"""What every module of `nn` and `stages` promises, whatever it computes (the layer contract), on both hands.

Nothing here is held against known numbers: dtypes, shapes, whose memory it is, what must stay as it was, and what two
calls owe each other. The modules are listed in `tests/nn/cases.py`.
"""

import copy

import numpy as np
import pytest

from npmaskrcnn import nn
from npmaskrcnn.stages import box_head, fpn, mask_head, mobilenet, resnet, rpn
from npmaskrcnn.stages.roi_pooler import RoIPooler
from tests.nn.cases import (NAMES, PYRAMID, ROIS, arguments, arrays_in, backward, flat, forward, grads, has_batch_norm,
                            make, make_inputs, parameters, upstream)

pytestmark = pytest.mark.usefixtures("hand")      # on the plain operations and on those in use by default


def test_every_class_of_nn_and_stages_is_in_the_table():
    classes = {value for namespace in (nn, box_head, fpn, mask_head, mobilenet, resnet, rpn)
               for value in vars(namespace).values()
               if isinstance(value, type) and issubclass(value, nn.Module)}
    used = {type(m) for name in NAMES for _, m in make(name).named_modules()} - {RoIPooler}
    # the RPN and the RoI heads as a whole have another contract, which the tests of the model's gradients hold
    assert classes - {nn.Module, rpn.RegionProposalNetwork} == used


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
class TestEveryModule:
    def test_keeps_dtype_and_shapes(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, notes = forward(module, inputs)
        dxs = backward(module, outputs, upstream(outputs), notes)
        for array in flat(outputs) + dxs + list(grads(module).values()):
            assert array.dtype == dtype
        assert [dx.shape for dx in dxs] == [x.shape for x in inputs]
        for key, parameter in parameters(module).items():
            assert parameter.grad.shape == parameter.data.shape, key

    def test_backward_changes_neither_cache_nor_outputs(self, name, dtype):
        # inputs and dy are read-only: writing to them would raise
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, notes = forward(module, inputs)
        arrays = arrays_in(notes) + flat(outputs)
        before = copy.deepcopy(arrays)
        backward(module, outputs, upstream(outputs), notes)
        for array, old in zip(arrays, before):
            np.testing.assert_array_equal(array, old)

    def test_gradients_are_memory_of_their_own(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, notes = forward(module, inputs)
        dys = upstream(outputs)
        dxs = backward(module, outputs, dys, notes)
        gradients = dxs + [p.grad for p in parameters(module).values()]
        others = inputs + flat(outputs) + dys + arrays_in(notes) + [p.data for p in parameters(module).values()]
        for i, gradient in enumerate(gradients):
            assert gradient.flags.writeable
            assert not any(np.shares_memory(gradient, other) for other in others + gradients[:i])

    def test_two_backwards_double_the_parameters_gradients(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, notes = forward(module, inputs)
        dxs = backward(module, outputs, upstream(outputs), notes)
        once = grads(module)
        again = backward(module, outputs, upstream(outputs), notes)
        for dx, dx_again in zip(dxs, again):
            np.testing.assert_array_equal(dx, dx_again)
        tolerance = 1e-5 if dtype == "float32" else 1e-13   # sums over levels are added up in another order
        for key, gradient in grads(module).items():
            np.testing.assert_allclose(gradient, 2 * once[key], rtol=0, atol=tolerance * abs(once[key]).max(),
                                       err_msg=key)

    def test_a_cache_belongs_to_its_own_forward(self, name, dtype):
        # two forwards, then their backwards in either order
        alone = {}
        for seed in (1, 2):
            module = make(name, dtype)
            outputs, notes = forward(module, make_inputs(name, dtype, seed))
            alone[seed] = (backward(module, outputs, upstream(outputs, seed), notes), grads(module))
        for order in ((1, 2), (2, 1)):
            module = make(name, dtype)
            calls = {seed: forward(module, make_inputs(name, dtype, seed)) for seed in (1, 2)}
            for seed in order:
                module.zero_grad()
                outputs, notes = calls[seed]
                dxs = backward(module, outputs, upstream(outputs, seed), notes)
                for one, two in zip(dxs, alone[seed][0]):
                    np.testing.assert_array_equal(one, two)
                for key, gradient in grads(module).items():
                    np.testing.assert_array_equal(gradient, alone[seed][1][key], err_msg=key)

    def test_without_notes_it_is_forward_on_running_statistics(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        state = module.state_dict()
        expected, _ = forward(module, inputs, batch_statistics=False)
        outputs = module(*arguments(module, inputs))
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        # norms are folded into convolutions when nothing is noted: other roundings, some per layer
        tolerance = 2e-5 if dtype == "float32" else 1e-12
        for got, want in zip(flat(outputs), flat(expected)):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())
        np.testing.assert_equal(module.state_dict(), state)         # and neither of the two moves anything

    def test_running_statistics_stay_where_they_are_unless_the_batchs_are_used(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        state = module.state_dict()
        outputs, notes = forward(module, inputs, batch_statistics=False)
        backward(module, outputs, upstream(outputs), notes)
        changed = [key for key, value in module.state_dict().items() if not np.array_equal(value, state[key])]
        assert not changed
        forward(module, inputs, batch_statistics=True)
        changed = [key for key, value in module.state_dict().items() if not np.array_equal(value, state[key])]
        assert bool(changed) == has_batch_norm(module)
        assert all(key.endswith(("running_mean", "running_var", "num_batches_tracked")) for key in changed)

    def test_never_writes_to_what_its_caller_handed_in(self, name, dtype):
        # with notes this is tested throughout, since all inputs are read-only
        module, inputs = make(name, dtype), [x.copy() for x in make_inputs(name, dtype)]
        before = copy.deepcopy(inputs)
        module(*arguments(module, inputs))
        for x, old in zip(inputs, before):
            np.testing.assert_array_equal(x, old)

    def test_notes_serve_one_pass_only(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        _, notes = forward(module, inputs)
        with pytest.raises(KeyError, match="in these notes already"):
            module.forward(*arguments(module, inputs), notes)

    def test_is_clean_under_strict_floating_point_rules(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            outputs, notes = forward(module, inputs)
            dxs = backward(module, outputs, upstream(outputs), notes)
            module(*arguments(module, inputs))
        assert all(np.isfinite(array).all() for array in flat(outputs) + dxs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in NAMES if not any(
    part in name for part in ("body", "pyramid", "rpn head", "roi pooler"))])      # these see images, never none
def test_no_rows_in_no_rows_out_forward_and_backward(name, dtype):
    module = make(name, dtype)
    empty = [x[:0] for x in make_inputs(name, dtype)]
    full, _ = forward(make(name, dtype), make_inputs(name, dtype))
    state = module.state_dict()
    outputs, notes = forward(module, empty)
    assert [(y.shape, y.dtype) for y in flat(outputs)] == [((0,) + y.shape[1:], np.dtype(dtype)) for y in flat(full)]
    dxs = backward(module, outputs, upstream(outputs), notes)
    assert [dx.shape for dx in dxs] == [x.shape for x in empty]
    assert not any(gradient.any() for gradient in grads(module).values())
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[key])        # no image, no statistics
    assert len(flat([module(*arguments(module, empty))])[0]) == 0


@pytest.mark.parametrize("counts", [(0, 0), (0, 2)])
def test_the_pooler_takes_images_without_rois(counts):
    pooler, inputs = make("roi pooler"), make_inputs("roi pooler")
    rois = np.concatenate([ROIS[ROIS[:, 0] == image][:count] for image, count in enumerate(counts)])
    notes = nn.Notes()
    y = pooler.forward(inputs, rois, notes)
    assert y.shape == (len(rois), 3, 3, 4)
    dlevels = pooler.backward(y, notes)
    assert [d.shape for d in dlevels] == PYRAMID and not any(d[0].any() for d in dlevels)
