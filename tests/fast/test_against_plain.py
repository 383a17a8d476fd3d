"""Every fast form against its plain form, on random shapes and options, in float32 and in float64.

A training step of the whole tiny model has the same losses and gradients on both hands; and fast forms give the same
in blocks of all sizes.
"""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import fast, ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.fast import conv, winograd
from npmaskrcnn.fast.norm import sum_over_pixels
from npmaskrcnn.plain import conv as plain_conv


def both_hands(work):
    """What `work` returns on the fast hand and on the plain one."""
    quick = work()
    with ops.plain():
        return quick, work()


def assert_same(quick, slow, tolerance, what):
    """Compare all arrays, measured against the largest number of each."""
    assert len(quick) == len(slow), what
    for i, (one, two) in enumerate(zip(quick, slow)):
        which = f"{what}, result {i}"
        if two is None:
            assert one is None, which
            continue
        assert one.shape == two.shape and one.dtype == two.dtype, which
        assert np.abs(one - two).max(initial=0) <= tolerance * max(np.abs(two).max(initial=0), 1), which


def test_every_quick_form_is_offered_to_the_door():
    files = [importlib.import_module(f"npmaskrcnn.fast.{file.stem}") for file in Path(fast.__file__).parent.glob("*.py")
             if file.stem != "__init__"]
    written = {name for file in files for name, value in vars(file).items()
               if name in ops.__all__ and getattr(value, "__module__", "") == file.__name__}
    assert written and written <= set(vars(fast))


# float64: the same sums in another order. float32: sums of up to some hundred terms, each rounded to 6e-8.
PRECISIONS = [(np.float64, 1e-12), (np.float32, 5e-6)]


# ---- one case of each kind: draw what goes in, and return what is to be done on both hands ----

# Where a fast form goes a way of its own, or has an edge: kernel, stride, padding, groups, size of the images.
CORNERS = [
    ((1, 1), (1, 1), (0, 0), 1, (5, 7)), ((1, 1), (2, 2), (0, 0), 1, (5, 7)), ((1, 1), (1, 1), (1, 2), 1, (3, 2)),
    ((1, 1), (1, 1), (0, 0), 2, (4, 3)), ((3, 3), (1, 1), (1, 1), 1, (6, 5)), ((3, 3), (2, 2), (1, 1), 1, (6, 5)),
    ((3, 3), (2, 2), (1, 1), 3, (7, 4)), ((5, 5), (2, 2), (3, 3), 1, (9, 8)), ((2, 3), (3, 3), (0, 0), 1, (8, 9)),
    ((3, 3), (1, 1), (0, 0), 1, (3, 3)), ((2, 2), (1, 1), (3, 3), 1, (1, 1)), ((5, 1), (1, 2), (2, 0), 1, (1, 11))]


def convolution(rng, dtype, kernel, stride, padding, groups, size):
    c_in, c_out = groups * rng.integers(1, 5), groups * rng.integers(1, 5)
    x = rng.standard_normal((rng.integers(1, 4), *size, c_in)).astype(dtype)
    weight = rng.standard_normal((*kernel, c_in // groups, c_out)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype) if rng.random() < 0.5 else None
    arguments = x, weight, bias, stride, padding, groups

    def work():
        y, cache = ops.conv2d_forward(*arguments)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        return (y, ops.conv2d(*arguments), ops.conv2d_add_relu(*arguments, shortcut=dy),
                *ops.conv2d_backward(dy, cache), *ops.conv2d_weight_gradient(dy, cache))

    return work


def random_convolution(rng, dtype):
    kernel, stride, padding = (tuple(map(int, rng.integers(*ends, 2))) for ends in ((1, 6), (1, 4), (0, 4)))
    groups = int(rng.choice([1, 1, 2, 3]))
    size = np.maximum(rng.integers(1, 12, 2), np.array(kernel) - 2 * np.array(padding))      # at least one window
    return convolution(rng, dtype, kernel, stride, padding, groups, size)


def random_depthwise_convolution(rng, dtype):
    kernel, stride, padding = (tuple(map(int, rng.integers(*ends, 2))) for ends in ((1, 6), (1, 4), (0, 4)))
    size = np.maximum(rng.integers(1, 12, 2), np.array(kernel) - 2 * np.array(padding))      # at least one window
    x = rng.standard_normal((rng.integers(1, 4), *size, rng.integers(1, 7))).astype(dtype)
    weight = rng.standard_normal((*kernel, 1, x.shape[3])).astype(dtype)
    bias = rng.standard_normal(x.shape[3]).astype(dtype) if rng.random() < 0.5 else None

    def work():
        y, cache = ops.depthwise_conv2d_forward(x, weight, bias, stride, padding)
        return (y, ops.depthwise_conv2d(x, weight, bias, stride, padding),
                *ops.depthwise_conv2d_backward(np.cos(y), cache))

    return work


def random_transposed_convolution(rng, dtype):
    kernel = tuple(map(int, rng.integers(1, 4, 2)))
    stride = kernel if rng.random() < 0.7 else tuple(map(int, rng.integers(1, 4, 2)))
    c_in, c_out = rng.integers(1, 6, 2)
    x = rng.standard_normal((rng.integers(1, 5), *rng.integers(1, 7, 2), c_in)).astype(dtype)
    weight = rng.standard_normal((*kernel, c_in, c_out)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype) if rng.random() < 0.5 else None

    def work():
        y, cache = ops.conv_transpose2d_forward(x, weight, bias, stride)
        return y, *ops.conv_transpose2d_backward(np.cos(y), cache)

    return work


def random_batch_norm_pooling_and_linear_layer(rng, dtype):
    x = rng.standard_normal((rng.integers(1, 4), *rng.integers(4, 30, 2), rng.integers(1, 9))).astype(dtype)
    scale, bias = rng.standard_normal((2, x.shape[3])).astype(dtype)
    kernel, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    pooling = (tuple(kernel), tuple(stride), tuple(rng.integers(0, kernel // 2 + 1)))
    weight = rng.standard_normal((x.shape[3], 7)).astype(dtype)

    def work():
        normed, norm_cache = ops.batch_norm_forward(x, scale, bias)
        pooled, pool_cache = ops.max_pool2d_forward(x, *pooling)
        y, linear_cache = ops.linear_forward(x.reshape(-1, x.shape[3]), weight)
        return (normed, norm_cache.mean, norm_cache.unbiased_var, *ops.batch_norm_backward(np.cos(x), norm_cache),
                pooled, ops.max_pool2d_backward(np.cos(pooled), pool_cache),
                y, *ops.linear_backward(np.cos(y), linear_cache))

    return work


def random_resizing(rng, dtype):
    size = rng.integers(1, 20, 2)
    new_size = tuple(map(int, rng.integers(0, 40, 2)))
    x = rng.standard_normal((rng.integers(1, 4), *size, rng.integers(1, 5))).astype(dtype)

    def work():
        y, cache = ops.resize_bilinear_forward(x, new_size)
        return y, ops.resize_bilinear_backward(np.cos(y), cache)

    return work


def random_regions(rng, dtype):
    """Coordinates are the same to the bit, so both hands floor every point to the same cells."""
    features = rng.standard_normal((rng.integers(1, 4), *rng.integers(1, 20, 2), rng.integers(1, 5))).astype(dtype)
    corners = rng.uniform(-20, 80, (rng.integers(0, 9), 4))
    rois = np.concatenate([rng.integers(0, len(features), (len(corners), 1)), corners], axis=1).astype(dtype)
    options = dict(output_size=tuple(map(int, rng.integers(1, 8, 2))), spatial_scale=rng.choice([1, 0.25, 0.3]),
                   sampling_ratio=int(rng.choice([-1, 1, 2, 3])), aligned=bool(rng.integers(2)))

    def work():
        y, cache = ops.roi_align_forward(features, rois, **options)
        matrix = ops.roi_align_matrix(rois, features.shape[:3], **options)
        return y, ops.roi_align_backward(np.cos(y), cache), matrix.toarray()

    return work


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("corner", CORNERS)
def test_a_convolution_with_an_edge_is_the_same_on_both_hands(corner, dtype, tolerance):
    rng = np.random.default_rng(8)
    for _ in range(2):      # other numbers of channels and images, with and without a bias
        assert_same(*both_hands(convolution(rng, dtype, *corner)), tolerance, corner)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("draw, times", [
    (random_convolution, 100), (random_depthwise_convolution, 100), (random_transposed_convolution, 40),
    (random_batch_norm_pooling_and_linear_layer, 40),
    (random_resizing, 40), (random_regions, 40)], ids=lambda value: getattr(value, "__name__", value))
def test_random_work_is_the_same_on_both_hands_forward_and_backward(draw, times, dtype, tolerance):
    rng = np.random.default_rng(0)
    for number in range(times):
        assert_same(*both_hands(draw(rng, dtype)), tolerance, f"number {number}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_boxes_have_the_same_iou_and_keep_the_same(dtype):
    rng = np.random.default_rng(5)
    for _ in range(40):
        corners = rng.integers(0, 12, (rng.integers(0, 150), 2)) * 8        # many boxes that are equal, or without area
        boxes = np.concatenate([corners, corners + rng.integers(0, 5, corners.shape) * 8], axis=1).astype(dtype)
        scores, idxs = rng.integers(0, 30, len(boxes)) / 30, rng.integers(0, 4, len(boxes))

        def work():
            return (ops.box_iou(boxes, boxes[::2]), ops.nms(boxes, scores, 1 / 3),
                    ops.batched_nms(boxes, scores, idxs, 0.25), ops.batched_nms_best(boxes, scores, idxs, 0.5, 9))

        for quick, slow in zip(*both_hands(work)):
            np.testing.assert_array_equal(quick, slow)


def test_a_training_step_has_the_same_losses_and_gradients_on_both_hands():
    images, targets = zip(*(ShapesDataset(2, seed=3)[i] for i in range(2)))
    model = npmaskrcnn.maskrcnn_tiny(rng=np.random.default_rng(0)).astype(np.float64)

    def work():
        losses = model.loss_and_grads(list(images), list(targets), np.random.default_rng(1))
        return [np.array(loss) for loss in losses.values()] + list(model.grad_dict().values())

    # float64, in which no decision (a proposal, a sample) is near enough to another to depend on the order of a sum
    assert_same(*both_hands(work), 1e-9, "losses, then gradients by key")


# The tolerance of float32 is about five times that of the definition: see the module.
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 2e-13), (np.float32, 2e-5)])
@pytest.mark.parametrize("block", [1, 7, 128])
@pytest.mark.parametrize("size, padding", [((2, 1, 1), 1), ((1, 9, 12), 1), ((3, 8, 7), 0), ((1, 7, 10), 2),
                                           ((5, 3, 3), 1), ((2, 21, 5), (0, 3)), ((1, 8, 17), 1)])
def test_fewer_multiplications_give_the_same(monkeypatch, size, padding, block, dtype, tolerance):
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((*size, 5), (3, 3, 5, 4), (4,)))
    monkeypatch.setattr(winograd, "BLOCK_TILES", block)
    monkeypatch.setattr(conv, "is_worthwhile", lambda *_, **__: True)
    made = []
    for name in ("correlate_tiles", "weight_gradient_of_tiles"):
        def noted(*args, name=name):
            made.append(name)
            return getattr(winograd, name)(*args)
        monkeypatch.setattr(conv, name, noted)

    def work():
        y, cache = ops.conv2d_forward(x, weight, bias, 1, padding)
        dx, dweight, dbias = ops.conv2d_backward(np.sin(y), cache)
        return ops.conv2d_add_relu(x, weight, bias, 1, padding, shortcut=np.cos(y)), y, dx, dweight, dbias

    quick, slow = both_hands(work)
    assert_same(quick, slow, tolerance, "tiles")
    assert sorted(made) == 3 * ["correlate_tiles"] + ["weight_gradient_of_tiles"]


def test_few_channels_few_numbers_and_double_precision_are_multiplied_by_the_definition():
    x, weight, one = np.zeros((1, 1, 1, 512), np.float32), (3, 3, 512, 512), (1, 1)
    for side, kernel, stride, groups, expected in ((32, weight, one, 1, True), (28, weight, one, 1, False),
                                                   (32, weight, (2, 2), 1, False), (32, weight, one, 2, False),
                                                   (32, (3, 3, 512, 256), one, 1, False),
                                                   (320, (3, 3, 512, 32), one, 1, False),
                                                   (32, (1, 3, 512, 512), one, 1, False)):
        assert winograd.is_worthwhile(x, (side, side), kernel, stride, groups) == expected
    assert not winograd.is_worthwhile(x, (32, 32), weight, one, 1, gradient=True)
    assert winograd.is_worthwhile(x, (40, 40), weight, one, 1, gradient=True)
    assert not winograd.is_worthwhile(x.astype(np.float64), (32, 32), weight, one, 1)


def test_rounding_with_fewer_multiplications_is_a_few_times_that_of_the_definition():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 40, 44, 256)), rng.standard_normal((3, 3, 256, 64)) / 48
    exact = plain_conv.conv2d(x, weight, None, 1, 1)

    def rounding(hand):
        return np.std(hand(x.astype(np.float32), weight.astype(np.float32)) - exact)

    by_tiles = rounding(lambda *args: winograd.correlate_tiles(*args, (1, 1), (40, 44), lambda *_: None))
    # with whole numbers as points it is more than ten times
    assert by_tiles < 8 * rounding(lambda *args: plain_conv.conv2d(*args, None, 1, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("piece", [1, 50, 10**9])
@pytest.mark.parametrize("shape", [(2, 5, 4, 7), (0, 5, 4, 7), (3, 0), (9,)])
def test_what_is_done_to_each_number_does_not_depend_on_the_pieces(monkeypatch, shape, piece, dtype):
    monkeypatch.setattr("npmaskrcnn.fast.threads.PIECE_NUMBERS", piece)
    monkeypatch.setattr("npmaskrcnn.fast.threads._cores", 2)
    rng = np.random.default_rng(0)
    x, dy = np.asarray(rng.standard_normal((2, *shape)), dtype)
    statistics = np.asarray(rng.random((4, *shape[-1:])), dtype)

    def work():
        y, cache = ops.relu_forward(x)
        swished, swish_cache = ops.hardswish_forward(3 * x)
        normed, norm_cache = ops.frozen_batch_norm_forward(x, *statistics)
        return (y, ops.relu_backward(dy, cache), ops.relu_in_place(x.copy()), normed, swished,
                ops.hardswish_backward(dy, swish_cache), ops.hardswish_in_place(3 * x),
                ops.frozen_batch_norm_backward(dy, norm_cache))

    assert_same(*both_hands(work), 0, "each number")


@pytest.mark.parametrize("old, new", [((3, 5), (6, 10)), ((3, 5), (6, 9)), ((3, 5), (5, 10)), ((1, 1), (2, 2)),
                                      ((4, 4), (4, 4)), ((4, 4), (3, 2)), ((2, 3), (7, 9)), ((0, 3), (0, 6))])
def test_pixels_collect_the_gradients_of_their_copies(old, new):
    x, dy = (np.random.default_rng(0).standard_normal((2, *size, 3)) for size in (old, new))
    assert_same(*both_hands(lambda: [ops.upsample_nearest_backward(dy, ops.upsample_nearest_forward(x, new)[1])]),
                1e-15, "upsampled")


@pytest.mark.parametrize("num_pixels", [0, 1, 63, 64, 200_000])
def test_sums_over_many_pixels_round_off_no_more_than_those_over_few(num_pixels):
    pixels = 1 + np.random.default_rng(0).random((num_pixels, 3), np.float32)
    exact = pixels.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(sum_over_pixels(pixels), exact, rtol=1e-7)       # of float32, added one by one: 1e-4


def test_every_fast_form_has_a_plain_form_of_the_same_signature():
    forms = {name: form for name, form in vars(fast).items() if inspect.isfunction(form)}
    assert len(forms) > 20
    for name, form in forms.items():
        with ops.plain():
            assert inspect.signature(form) == inspect.signature(getattr(ops, name)), name


def operations_called_by(code):
    """Names of the operations that a plain form's code calls, functions inside it included."""
    names = {name for name in code.co_names if name in ops.__all__}
    return names.union(*(operations_called_by(part) for part in code.co_consts if inspect.iscode(part)))


def test_fast_forms_declare_all_operations_that_their_plain_form_calls():
    calls = {}
    with ops.plain():
        for name in ops.__all__[2:]:
            calls[name] = operations_called_by(inspect.unwrap(getattr(ops, name)).__code__) - {name}
    for _ in calls:     # also those that these call in turn
        calls = {name: parts.union(*(calls[part] for part in parts)) for name, parts in calls.items()}
    assert calls["batched_nms_best"] == {"batched_nms", "nms", "box_iou", "box_area"}
    for name, parts in calls.items():
        if hasattr(fast, name):
            assert set(fast.BUILT_ON.get(name, ())) == parts, name


# ---- blocks ----


@pytest.mark.parametrize("block_bytes", [1, 3000, 10**9])
@pytest.mark.parametrize("groups", [1, 2])
def test_size_of_the_blocks_of_a_convolution_does_not_show(monkeypatch, block_bytes, groups):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 11, 9, 4))
    weight, bias = rng.standard_normal((3, 2, 4 // groups, 8)), rng.standard_normal(8)
    shortcut = rng.standard_normal((3, 6, 10, 8))

    def run():
        y, cache = ops.conv2d_forward(x, weight, bias, (2, 1), 1, groups)
        summed = ops.conv2d_add_relu(x, weight, bias, (2, 1), 1, groups, shortcut)
        return y, summed, *ops.conv2d_backward(np.cos(y), cache)

    whole = run()
    monkeypatch.setattr("npmaskrcnn.fast.conv.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("npmaskrcnn.fast.conv.BLOCK_PIXELS", 1)
    for blocked, expected in zip(run(), whole):
        np.testing.assert_allclose(blocked, expected, rtol=0, atol=1e-11)  # sums of float64 in another order


@pytest.mark.parametrize("long_row", [1, 12, 10**9])
@pytest.mark.parametrize("block_bytes", [1, 700, 10**9])
def test_size_of_the_blocks_of_a_depthwise_convolution_does_not_show(monkeypatch, block_bytes, long_row):
    rng = np.random.default_rng(4)
    x, weight, bias = (rng.standard_normal(shape) for shape in ((3, 11, 9, 4), (3, 5, 1, 4), (4,)))

    def run():
        y, cache = ops.depthwise_conv2d_forward(x, weight, bias, (1, 2), (1, 2))
        return y, *ops.depthwise_conv2d_backward(np.cos(y), cache)

    whole = run()
    monkeypatch.setattr("npmaskrcnn.fast.depthwise.BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("npmaskrcnn.fast.depthwise.LONG_ROW", long_row)
    monkeypatch.setattr("npmaskrcnn.fast.depthwise.DEARER", 10**9)
    monkeypatch.setattr("npmaskrcnn.fast.threads._cores", 2)
    for blocked, expected in zip(run(), whole):
        np.testing.assert_allclose(blocked, expected, rtol=0, atol=1e-12)  # sums of float64 in another order


@pytest.mark.parametrize("block_bytes", [1, 300, 10**9])
def test_size_of_the_blocks_of_a_pooling_does_not_show(monkeypatch, block_bytes):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 5, (2, 11, 8, 3)).astype(float)
    y, cache = ops.max_pool2d_forward(x, 3, 2, 1)
    dy = rng.integers(-5, 5, y.shape).astype(float)  # whole numbers add up to the same in any order
    dx = ops.max_pool2d_backward(dy, cache)
    monkeypatch.setattr("npmaskrcnn.fast.pool.BLOCK_BYTES", block_bytes)
    blocked, cache = ops.max_pool2d_forward(x, 3, 2, 1)
    np.testing.assert_array_equal(blocked, y)
    np.testing.assert_array_equal(ops.max_pool2d_backward(dy, cache), dx)


def test_pieces_of_work_are_each_done_once():
    done = []
    ops.for_each(done.append, range(50))
    assert sorted(done) == list(range(50))


def test_a_transposed_convolution_of_no_pixels_is_empty_on_both_hands():
    weight = np.ones((2, 2, 3, 4))

    def work():
        y, cache = ops.conv_transpose2d_forward(np.ones((2, 0, 5, 3)), weight, None, 2)
        return y, *ops.conv_transpose2d_backward(y, cache)[:2]
    assert_same(*both_hands(work), 0, "no pixels")
