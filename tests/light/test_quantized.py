"""Eight bits: the products are exact, the answers are near, and files keep them.

What an exact product is, is computed in int64. 1 s.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from npmaskrcnn import InputError, fasterrcnn_tiny, light, load, maskrcnn_tiny, nn, save
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.nn.quantized import QuantizedConv2d, QuantizedConvTranspose2d, QuantizedLinear, exact_dtype, in_steps
from npmaskrcnn.reference import conv2d
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.variants import maskrcnn_variant
from npmaskrcnn.weights import read_npz, read_state, write_npz

IMAGES = [ShapesDataset(3, image_size=(96, 128), seed=31)[i][0] for i in range(3)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def models():
    full = trained_tiny()
    return {"full": full, "weights": light.quantize(full), "weights and inputs": light.quantize(full, IMAGES)}


def quantized(kind, layer, step=0.03):
    twin = kind.of(layer, with_inputs=True)
    twin.input_step.data = np.array(step, np.float32)
    return twin


def whole(x, layer):
    return in_steps(x, layer.input_step.data).astype(np.int64), layer.weight.data.astype(np.int64)


@pytest.mark.parametrize("groups, channels", [(1, 6), (2, 6), (1, 130)])
def test_a_convolution_with_inputs_of_int8_is_the_one_of_int64(rng, groups, channels):
    # 130 channels and 3x3: where Winograd's fractions or float32 alone would not do
    layer = quantized(QuantizedConv2d, nn.Conv2d(channels, 130 if channels > 6 else 4, 3, 1, 1, groups, rng=rng))
    x = rng.normal(size=(1, 9, 7, channels)).astype(np.float32)
    q, weight = whole(x, layer)
    exact = conv2d(q.astype(float), weight.astype(float), None, 1, 1) if groups == 1 else np.concatenate(
        [conv2d(q[..., part].astype(float), weight[..., out].astype(float), None, 1, 1)
         for part, out in ((slice(0, 3), slice(0, 2)), (slice(3, 6), slice(2, 4)))], axis=-1)
    dtype = exact_dtype(layer.weight.data)
    assert_array_equal(layer._multiply_whole(q.astype(dtype), weight.astype(dtype)), exact)


def test_a_linear_and_a_transposed_layer_with_inputs_of_int8_are_those_of_int64(rng):
    linear = quantized(QuantizedLinear, nn.Linear(3000, 5, rng=rng))
    x = rng.normal(size=(3, 3000)).astype(np.float32)
    q, weight = whole(x, linear)
    scale = linear.weight_step.data * linear.input_step.data
    assert exact_dtype(linear.weight.data) == np.float64        # 3000 products of up to 127 * 127, uniform weights
    assert_array_equal(linear(x), (q @ weight).astype(np.float32) * scale + linear.bias.data)
    stamps = quantized(QuantizedConvTranspose2d, nn.ConvTranspose2d(6, 4, 2, 2, rng=rng))
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    q, weight = whole(x, stamps)
    exact = np.einsum("nijc,abcd->niajbd", q, weight).reshape(2, 6, 10, 4)
    scale = stamps.weight_step.data * stamps.input_step.data
    assert_array_equal(stamps(x), exact.astype(np.float32) * scale + stamps.bias.data)


def test_float32_holds_whole_numbers_up_to_the_bound_and_not_beyond():
    assert np.float32(2**24 - 1) + np.float32(1) == 2**24
    assert np.float32(2**24) + np.float32(1) == 2**24           # one more is lost
    ones = np.ones((140_000, 1), np.int8)                       # 127 * 140,000 > 2**24 > 127 * 130,000
    assert exact_dtype(ones) == np.float64 and exact_dtype(ones[:130_000]) == np.float32


def test_a_weight_is_off_by_at_most_half_a_step_of_its_channel(rng):
    layer = nn.Conv2d(5, 4, 3, rng=rng)
    layer.weight.data[..., 2] = 0                               # a channel of nothing
    twin = QuantizedConv2d.of(layer, with_inputs=False)
    error = np.abs(twin.weight.data * twin.weight_step.data - layer.weight.data)
    assert (error <= 0.5001 * twin.weight_step.data).all()
    assert np.abs(twin.weight.data).max(axis=(0, 1, 2)).tolist() == [127, 127, 0, 127]


def test_a_norm_joins_the_steps(rng):
    norm, conv = nn.BatchNorm2d(4), nn.Conv2d(5, 4, 3, padding=1, bias=False, rng=rng)
    for value, low in ((norm.weight, -2), (norm.bias, -1), (norm.running_mean, -1), (norm.running_var, 0.5)):
        value.data = rng.uniform(low, 2, 4).astype(np.float32)
    x, shortcut = rng.normal(size=(1, 6, 8, 5)).astype(np.float32), rng.normal(size=(1, 6, 8, 4)).astype(np.float32)
    twin = QuantizedConv2d.of(conv, with_inputs=True)
    twin.input_step.data = np.array(np.abs(x).max() / 127, np.float32)
    y, found = conv.infer(x, norm, shortcut, True), twin.infer(x, norm, shortcut, True)
    assert found.min() == 0 and 0 < np.abs(y - found).max() < 0.1 * y.max()


@pytest.mark.parametrize("kind", ["weights", "weights and inputs"])
def test_a_quantized_model_saves_loads_and_predicts_the_same(models, tmp_path, kind):
    save(models[kind], tmp_path / "light.npz")
    again = load(tmp_path / "light.npz")
    found, expected = again.predict(IMAGES[0]), models[kind].predict(IMAGES[0])
    assert_array_equal(found.masks, expected.masks)
    assert again.architecture["light"] == {"int8": kind}
    assert len(expected) == len(models["full"].predict(IMAGES[0])) > 0


def test_a_file_of_int8_takes_at_most_three_tenths_of_the_bytes(models, tmp_path):
    for kind, model in models.items():
        save(model, tmp_path / f"{kind}.npz")
    for kind in ("weights", "weights and inputs"):
        assert (tmp_path / f"{kind}.npz").stat().st_size < 0.3 * (tmp_path / "full.npz").stat().st_size
    arrays = read_state(tmp_path / "weights and inputs.npz").arrays
    assert arrays["backbone.body.conv1.weight"].dtype == np.int8 and arrays["backbone.body.conv1.weight"].shape[1] == 3
    assert arrays["backbone.body.conv1.weight_step"].shape == (24,)
    assert arrays["backbone.body.conv1.input_step"].shape == ()


def test_float16_is_half_of_the_bytes_and_loads_without_a_word(models, tmp_path, recwarn):
    rounded = light.half(models["full"])
    save(rounded, tmp_path / "half.npz")
    save(models["full"], tmp_path / "full.npz")
    again = load(tmp_path / "half.npz")
    assert not recwarn.list and again.dtype == np.float32
    assert (tmp_path / "half.npz").stat().st_size < 0.52 * (tmp_path / "full.npz").stat().st_size
    assert_array_equal(again.predict(IMAGES[1]).masks, rounded.predict(IMAGES[1]).masks)
    assert_allclose(again.roi_heads.box_head.fc6.weight.data, models["full"].roi_heads.box_head.fc6.weight.data,
                    rtol=2**-11, atol=1e-7)


def test_the_given_model_stays_as_it_is(models):
    assert "light" not in models["full"].architecture
    assert type(models["full"].backbone.body.conv1) is nn.Conv2d
    assert models["weights"].num_parameters() == 0 < models["full"].num_parameters()


def test_what_cannot_be_is_refused_in_one_line(models):
    image, target = ShapesDataset(1, image_size=(96, 128), seed=31)[0]
    with pytest.raises(InputError, match="predicts and does not learn"):
        models["weights"].loss_and_grads([image], [target], np.random.default_rng(0))
    with pytest.raises(InputError, match="quantized already"):
        light.quantize(models["weights"])
    with pytest.raises(InputError, match="quantized already; .* prune first"):
        light.prune_channels(models["weights"])
    with pytest.raises(InputError, match="nothing in them reaches roi_heads.mask_head.0.0"):
        light.quantize(models["full"], [np.full((64, 96, 3), 128, np.uint8)])
    with pytest.raises(InputError, match="percentile must be a number above 0 and at most 100, got 0"):
        light.quantize(models["full"], IMAGES, percentile=0)
    with pytest.raises(InputError, match="model must be a MaskRCNN, got 3"):
        light.half(3)
    large = maskrcnn_tiny()
    large.backbone.body.bn1.running_var.data[0] = 1e5
    with pytest.raises(InputError, match="backbone.body.bn1.running_var has numbers above 65,504"):
        light.half(large)
    large.rpn.head.cls_logits.bias.data[0] = np.nan
    for make in (light.half, light.quantize, light.prune_channels, lambda model: light.zero_small_weights(model, 0.5)):
        with pytest.raises(InputError, match="model: 'rpn.head.cls_logits.bias' holds NaN or infinity"):
            make(large)


@pytest.mark.parametrize("build", [
    lambda: maskrcnn_tiny(body="mobilenet"), fasterrcnn_tiny, lambda: maskrcnn_variant("mlp_masks"),
    lambda: maskrcnn_variant("no_top_down")], ids=["mobilenet", "no masks", "variant head", "variant pyramid"])
def test_models_of_other_kinds_become_lighter_in_all_four_ways_and_load(build, tmp_path):
    model = build()
    lighter = light.quantize(light.zero_small_weights(light.prune_channels(model, 0.5), 0.3))
    for one in (lighter, light.half(model)):
        save(one, tmp_path / "light.npz")
        expected, found = one.trace(IMAGES[0]), load(tmp_path / "light.npz").trace(IMAGES[0])
        assert_array_equal(found.class_logits, expected.class_logits)
        assert len(expected.class_logits)


def test_channels_of_a_model_without_a_pyramid_are_not_cut():
    with pytest.raises(InputError, match="C4Alone where channels are known for a feature pyramid"):
        light.prune_channels(maskrcnn_variant("c4_only"))


@pytest.mark.parametrize("step, bad", [("weight_step", -0.01), ("input_step", 0), ("weight_step", np.inf)])
def test_a_file_with_steps_that_are_none_is_refused_by_name(tmp_path, models, step, bad):
    save(models["weights and inputs"], tmp_path / "m.npz")
    arrays, meta = read_npz(tmp_path / "m.npz")
    arrays[f"rpn.head.conv.0.0.{step}"][...] = bad
    write_npz(tmp_path / "m.npz", arrays, meta)
    with pytest.raises(InputError, match=f"m.npz: 'rpn.head.conv.0.0.{step}' holds"):
        load(tmp_path / "m.npz")


def test_the_least_step_of_float16_is_not_zero(tmp_path, models):
    twin = light.quantize(models["full"])
    twin.rpn.head.cls_logits.weight_step.data[:] = 1e-12
    save(light.half(twin), tmp_path / "m.npz")
    assert (load(tmp_path / "m.npz").rpn.head.cls_logits.weight_step.data > 0).all()
