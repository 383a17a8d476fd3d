"""What every module of `nn` and `stages` promises, whatever it computes (the layer contract)."""

import copy

import numpy as np
import pytest

from npmaskrcnn import nn
from npmaskrcnn.stages import box_head, fpn, mask_head, resnet, rpn
from npmaskrcnn.stages.roi_pooler import RoIPooler
from tests.nn.cases import (NAMES, PYRAMID, ROIS, arguments, arrays_in, backward, flat, forward, frozen_twin, grads,
                            make, make_inputs, parameters, upstream)


def test_every_class_of_nn_and_stages_is_in_the_table():
    classes = {value for namespace in (nn, box_head, fpn, mask_head, resnet, rpn)
               for value in vars(namespace).values()
               if isinstance(value, type) and issubclass(value, nn.Module)}
    used = {type(m) for name in NAMES if name != "roi pooler" for _, m in make(name).named_modules()}
    assert classes - {nn.Module} == used


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
class TestEveryModule:
    def test_keeps_dtype_and_shapes(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, cache = forward(module, inputs)
        dxs = backward(module, outputs, upstream(outputs), cache)
        for array in flat(outputs) + dxs + list(grads(module).values()):
            assert array.dtype == dtype
        assert [dx.shape for dx in dxs] == [x.shape for x in inputs]
        for key, parameter in parameters(module).items():
            assert parameter.grad.shape == parameter.data.shape, key

    def test_backward_changes_neither_cache_nor_outputs(self, name, dtype):
        # inputs and dy are read-only: writing to them would raise
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, cache = forward(module, inputs)
        arrays = arrays_in(cache) + flat(outputs)
        before = copy.deepcopy(arrays)
        backward(module, outputs, upstream(outputs), cache)
        for array, old in zip(arrays, before):
            np.testing.assert_array_equal(array, old)

    def test_gradients_are_memory_of_their_own(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, cache = forward(module, inputs)
        dys = upstream(outputs)
        dxs = backward(module, outputs, dys, cache)
        gradients = dxs + [p.grad for p in parameters(module).values()]
        others = inputs + flat(outputs) + dys + arrays_in(cache) + [p.data for p in parameters(module).values()]
        for i, gradient in enumerate(gradients):
            assert gradient.flags.writeable
            assert not any(np.shares_memory(gradient, other) for other in others + gradients[:i])

    def test_two_backwards_double_the_parameters_gradients(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        outputs, cache = forward(module, inputs)
        dxs = backward(module, outputs, upstream(outputs), cache)
        once = grads(module)
        again = backward(module, outputs, upstream(outputs), cache)
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
            outputs, cache = forward(module, make_inputs(name, dtype, seed))
            alone[seed] = (backward(module, outputs, upstream(outputs, seed), cache), grads(module))
        for order in ((1, 2), (2, 1)):
            module = make(name, dtype)
            calls = {seed: forward(module, make_inputs(name, dtype, seed)) for seed in (1, 2)}
            for seed in order:
                if not isinstance(module, RoIPooler):
                    module.zero_grad()
                outputs, cache = calls[seed]
                dxs = backward(module, outputs, upstream(outputs, seed), cache)
                for one, two in zip(dxs, alone[seed][0]):
                    np.testing.assert_array_equal(one, two)
                for key, gradient in grads(module).items():
                    np.testing.assert_array_equal(gradient, alone[seed][1][key], err_msg=key)

    def test_inference_is_forward_on_running_statistics(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        state = {} if isinstance(module, RoIPooler) else module.state_dict()
        expected, _ = forward(frozen_twin(name, module), inputs)
        outputs = module(*arguments(module, inputs))
        outputs = flat(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        # norms are folded into convolutions at inference: other roundings, some per layer
        tolerance = 2e-5 if dtype == "float32" else 1e-12
        for got, want in zip(outputs, flat(expected)):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())
        for key, value in state.items():
            np.testing.assert_array_equal(module.state_dict()[key], value)      # and inference moves nothing

    def test_is_clean_under_strict_floating_point_rules(self, name, dtype):
        module, inputs = make(name, dtype), make_inputs(name, dtype)
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            outputs, cache = forward(module, inputs)
            dxs = backward(module, outputs, upstream(outputs), cache)
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
    outputs, cache = forward(module, empty)
    assert [(y.shape, y.dtype) for y in flat(outputs)] == [((0,) + y.shape[1:], np.dtype(dtype)) for y in flat(full)]
    dxs = backward(module, outputs, upstream(outputs), cache)
    assert [dx.shape for dx in dxs] == [x.shape for x in empty]
    assert not any(gradient.any() for gradient in grads(module).values())
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value, state[key])        # no image, no statistics
    assert len(flat([module(*arguments(module, empty))])[0]) == 0


@pytest.mark.parametrize("counts", [(0, 0), (0, 2)])
def test_the_pooler_takes_images_without_rois(counts):
    pooler, inputs = make("roi pooler"), make_inputs("roi pooler")
    rois = np.concatenate([ROIS[ROIS[:, 0] == image][:count] for image, count in enumerate(counts)])
    y, cache = pooler.forward(inputs, rois)
    assert y.shape == (len(rois), 3, 3, 4)
    dlevels = pooler.backward(y, cache)
    assert [d.shape for d in dlevels] == PYRAMID and not any(d[0].any() for d in dlevels)
