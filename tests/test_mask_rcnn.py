"""The model as people use it: predict and loss_and_grads, with right, strange and wrong arguments.

Right answers are torchvision's (`test_torchvision` holds that); here calls are held against each other: one image
against a list of one, a call with thresholds against the front of a call without, a seed against the same seed, the sum
of single losses' gradients against the gradient of all. What is wrong is held against the words of its refusal.
"""

import dataclasses
import functools
import gc
import tracemalloc
import warnings

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import InputError, InputWarning, Target, maskrcnn_tiny, ops
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.nn import FORGET, Notes
from npmaskrcnn.stages.transform import resize_target
from npmaskrcnn.structures import MaskSequence
from npmaskrcnn.training.validation import predict_dataset
from tests.reference import cases

IMAGES, TARGETS = cases.images_and_targets("tiny")      # 90 x 125 and 140 x 100
IMAGE, TARGET = IMAGES[0], TARGETS[0]


@pytest.fixture(scope="module")
def model():
    """A model that finds dozens of things, in float32; tests do not change it."""
    return cases.build("tiny", "float32")


@pytest.fixture(scope="module")
def found(model):
    """What the model finds in the first image; tests do not change it."""
    return model.predict(IMAGE)


@functools.cache
def loud_weights():
    """Weights by key for a tiny model; loading copies them."""
    return cases.weights_by_key(maskrcnn_tiny(rng=cases.NoDraws()).state_dict())


def small(**options):
    """A tiny model with loud weights that does little work."""
    options = {**dict(min_size=64, max_size=112, rpn_post_nms_top_n_train=40, box_batch_size_per_image=16), **options}
    model = maskrcnn_tiny(rng=cases.NoDraws(), **options)
    model.load_state_dict(loud_weights())
    return model


def assert_same(one, two):
    for field in ("boxes", "labels", "scores", "masks"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field), err_msg=field)


class TestPredict:
    def test_gives_the_documented_arrays_in_the_images_own_frame(self, model):
        for image, found in zip(IMAGES, model.predict(IMAGES)):
            count, (height, width) = len(found), image.shape[:2]
            assert 10 < count <= 100
            assert [(a.shape, a.dtype.name) for a in (found.boxes, found.labels, found.scores, found.masks)] == [
                ((count, 4), "float32"), ((count,), "int64"), ((count,), "float32"),
                ((count, height, width), "float32")]
            assert (np.diff(found.scores) <= 0).all() and found.scores.min() > 0.25
            assert 1 <= found.labels.min() and found.labels.max() <= 3
            assert 0 <= found.masks.min() and found.masks.max() <= 1
            # resized boxes end at whole resized pixels, so they may end a rounding beyond the image
            assert found.boxes.min() >= 0 and (found.boxes.max(axis=0) <= [width + 1e-3, height + 1e-3] * 2).all()

    def test_each_mask_lies_in_its_box(self, found):
        for mask, (x1, y1, x2, y2) in zip(found.masks, found.boxes):
            grown_x, grown_y = 1 + (x2 - x1) / 28, 1 + (y2 - y1) / 28       # the faded border, one cell of 28
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if len(rows):
                assert x1 - grown_x <= columns[0] and columns[-1] <= x2 + grown_x
                assert y1 - grown_y <= rows[0] and rows[-1] <= y2 + grown_y

    def test_one_image_is_a_list_of_one(self, model, found):
        assert_same(found, model.predict([IMAGE])[0])

    def test_images_of_one_size_do_not_see_each_other(self):
        double = small().astype(np.float64)
        images = [IMAGE, IMAGE[::-1]]
        for together, image in zip(double.predict(images), images):
            alone = double.predict(image)
            np.testing.assert_array_equal(together.labels, alone.labels)
            # rounding of products of other sizes
            np.testing.assert_allclose(together.boxes, alone.boxes, atol=1e-9)

    def test_a_tuple_and_a_stacked_batch_are_lists(self, model):
        images = [IMAGE, IMAGE[::-1]]
        for one, two, three in zip(model.predict(images), model.predict(tuple(images)),
                                   model.predict([*np.stack(images)])):
            assert_same(one, two)
            assert_same(one, three)

    def test_no_images_no_detections(self, model):
        assert model.predict([]) == []

    def test_the_same_image_gives_the_same_bits(self, model, found):
        assert_same(found, model.predict(IMAGE))

    def test_an_image_of_twice_the_size_gives_boxes_of_twice_the_size(self, model, found):
        # both are resized to the same size, the large one with its pixels repeated: nearly the same numbers
        large = IMAGE.repeat(2, axis=0).repeat(2, axis=1)
        large_found = model.predict(large)
        assert large_found.masks.shape[1:] == (180, 250)
        matched = 0
        for box, label in zip(found.boxes[:10], found.labels):
            distance = np.abs(large_found.boxes[large_found.labels == label] / 2 - box).max(axis=1)
            matched += distance.min() < 6
        assert matched >= 8

    def test_a_higher_score_threshold_keeps_the_front(self, model, found):
        low, high = found, model.predict(IMAGE, score_threshold=0.6)
        assert 5 < len(high) == (low.scores > 0.6).sum() < len(low)
        for field in ("boxes", "labels", "scores"):
            np.testing.assert_array_equal(getattr(high, field), getattr(low, field)[:len(high)])

    def test_the_threshold_itself_is_not_enough(self, model, found):
        score = found.scores[3]
        assert (model.predict(IMAGE, score_threshold=float(score)).scores > score).all()

    def test_the_iou_threshold_is_per_class(self, model):
        none, some, every = (model.predict(IMAGE, score_threshold=0.3, iou_threshold=t) for t in (0.0, 0.5, 1.0))
        assert len(none) < len(some) < len(every)
        for label in np.unique(none.labels):
            boxes = none.boxes[none.labels == label]
            assert not ops.box_iou(boxes, boxes)[~np.eye(len(boxes), dtype=bool)].any()

    def test_thresholds_default_to_the_configs(self):
        images = [IMAGE]
        configured = small(box_score_thresh=0.4, box_nms_thresh=0.3).predict(images)[0]
        assert_same(configured, small().predict(images, score_threshold=0.4, iou_threshold=0.3)[0])

    @pytest.mark.parametrize("name", ["score_threshold", "iou_threshold"])
    @pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "0.5", True])
    def test_a_threshold_out_of_range_is_refused_by_name(self, model, name, value):
        with pytest.raises(InputError, match=f"{name} must be a number from 0 to 1, got {value!r}"):
            model.predict(IMAGE, **{name: value})


GRAY = IMAGE[:, :, 0]
OPAQUE = np.full(GRAY.shape, 255, np.uint8)


class TestKindsOfImages:
    @pytest.mark.parametrize("image, same_as", [
        (GRAY, np.stack([GRAY] * 3, axis=-1)), (GRAY[:, :, None], np.stack([GRAY] * 3, axis=-1)),
        (np.dstack([GRAY, OPAQUE]), np.stack([GRAY] * 3, axis=-1)), (np.dstack([IMAGE, OPAQUE]), IMAGE),
        (IMAGE.astype(np.uint16) * 257, IMAGE), (IMAGE.astype(np.float32) / np.float32(255), IMAGE),
        (np.asfortranarray(IMAGE), IMAGE), (np.repeat(IMAGE, 2, axis=1)[:, ::2], IMAGE),
        (Image.fromarray(IMAGE), IMAGE),
        (GRAY > 128, np.where(GRAY[:, :, None] > 128, 255, 0).astype(np.uint8).repeat(3, axis=2))],
        ids=["gray", "one channel", "gray and alpha", "RGBA", "16 bit", "float", "Fortran order", "strided", "Pillow",
             "bool"])
    def test_are_what_they_show(self, model, found, image, same_as):
        seen, expected = model.predict(image), found if same_as is IMAGE else model.predict(same_as)
        assert len(seen) > 5
        np.testing.assert_array_equal(seen.labels, expected.labels)
        np.testing.assert_allclose(seen.boxes, expected.boxes, atol=1e-2)       # x / 65535 * 257 rounds otherwise

    def test_stay_as_they_were(self, model):
        given = IMAGE.copy()
        given.flags.writeable = False
        as_float = np.asfortranarray(IMAGE / 255.0)
        as_float.flags.writeable = False
        model.predict([given, as_float])
        model.trace(given)
        small().loss_and_grads([given, as_float], [TARGET, TARGET], np.random.default_rng(0))
        np.testing.assert_array_equal(given, IMAGE)
        np.testing.assert_array_equal(as_float, IMAGE / 255.0)

    @pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (31, 33)])
    def test_of_any_size_are_looked_at(self, model, size):
        found = model.predict(np.random.default_rng(0).integers(0, 255, size + (3,)).astype(np.uint8))
        assert found.masks.shape == (len(found),) + size and np.isfinite(found.boxes).all()

    @pytest.mark.parametrize("value", [0, 255])
    def test_of_one_color_are_looked_at(self, model, value):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = model.predict(np.full((60, 90, 3), value, np.uint8))
        assert np.isfinite(found.scores).all()

    @pytest.mark.parametrize("image, message", [
        (np.zeros((3, 90, 125), np.uint8), r"images\[0\]: shape \(3, 90, 125\).*looks like \(C, H, W\)"),
        (np.zeros((0, 5, 3), np.uint8), "no pixel"), (np.zeros((5, 6, 3), np.int64), "int64"),
        (np.full((5, 6, 3), np.nan), "not finite"), (np.full((5, 6, 3), 200.0), "divide by 255"),
        (np.full((5, 6, 3), -1.5), "normalized already"), ("photo.jpg", r"read_image reads files"), (5, "got int"),
        (None, "got NoneType"), (np.zeros((5, 6, 7), np.uint8), "7 channels")])
    def test_that_are_none_are_refused_in_one_line(self, model, image, message):
        with pytest.raises(InputError, match=message) as caught:
            model.predict(image)
        assert "\n" not in str(caught.value)

    def test_the_wrong_one_in_a_list_is_named(self, model):
        with pytest.raises(InputError, match=r"images\[1\]: "):
            model.predict([IMAGE, np.zeros((3, 5, 6))])


class TestState:
    def test_a_model_with_random_weights_warns_at_its_first_prediction(self):
        with pytest.warns(InputWarning, match="random weights"):
            maskrcnn_tiny(rng=cases.NoDraws(), min_size=32, max_size=32).predict(IMAGE)

    def test_a_loaded_or_trained_model_does_not_warn(self):
        trained = maskrcnn_tiny(min_size=32, max_size=64)
        trained.loss_and_grads([IMAGE], [TARGET], np.random.default_rng(0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            small().predict(IMAGE)
            trained.predict(IMAGE)

    def test_predicting_changes_nothing(self, model):
        before = model.state_dict()
        model.predict(IMAGE)
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[key], err_msg=key)

    def test_astype_gives_another_model_that_computes_in_it(self, model, found):
        double = model.astype(np.float64)
        assert (double.dtype, model.dtype) == (np.float64, np.float32)
        one, two = model.predict(IMAGE, score_threshold=0.5), double.predict(IMAGE, score_threshold=0.5)
        np.testing.assert_array_equal(one.labels, two.labels)
        np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-2)     # float32 through a dozen layers
        back = double.astype(np.float32)
        assert_same(back.predict(IMAGE), found)
        assert back.architecture == model.architecture and back.config == model.config

    @pytest.mark.parametrize("task", ["predict", "loss_and_grads"])
    def test_doing_it_over_and_over_leaves_no_memory_behind(self, task):
        model, rng = small(box_detections_per_img=5, rpn_post_nms_top_n_test=20), np.random.default_rng(0)
        arguments = {"predict": (IMAGE,), "loss_and_grads": ([IMAGE], [TARGET], rng)}[task]

        def used_after(times):
            for _ in range(times):
                getattr(model, task)(*arguments)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        used_after(1)
        tracemalloc.start()
        before = used_after(1)
        grown = used_after(8) - before
        tracemalloc.stop()
        assert grown < 40_000       # 5 kB a time, and a map of a middle level has more


class TestLossAndGrads:
    def test_gives_five_floats_in_torchvisions_order(self):
        losses = small().loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0))
        assert list(losses) == list(LOSS_NAMES) == ["loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness",
                                                    "loss_rpn_box_reg"]
        assert all(type(loss) is float and np.isfinite(loss) and loss > 0 for loss in losses.values())

    def test_the_same_seed_gives_the_same_bits_and_another_seed_other_samples(self):
        results = []
        for seed in (0, 0, 1):
            model = small()
            losses = model.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(seed))
            results.append((losses, model.grad_dict()))
        assert results[0][0] == results[1][0] != results[2][0]
        for key, gradient in results[0][1].items():
            np.testing.assert_array_equal(gradient, results[1][1][key], err_msg=key)

    def test_gradients_are_of_this_step_only(self):
        model = small(rpn_batch_size_per_image=4096, box_batch_size_per_image=4096)     # all are sampled: no chance
        model.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0))
        once = model.grad_dict()
        twice = small(rpn_batch_size_per_image=4096, box_batch_size_per_image=4096)
        twice.loss_and_grads(IMAGES[::-1], TARGETS[::-1], np.random.default_rng(1))
        twice.load_state_dict(loud_weights())       # its running statistics have moved
        twice.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0))
        for key, gradient in twice.grad_dict().items():
            np.testing.assert_array_equal(gradient, once[key], err_msg=key)

    def test_every_parameter_has_a_gradient_in_its_shape_and_dtype(self):
        model = small()
        model.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0))
        for key, parameter in model.named_parameters():
            assert parameter.grad.shape == parameter.data.shape and parameter.grad.dtype == np.float32, key
            assert parameter.grad.any() and np.isfinite(parameter.grad).all(), key
        assert list(model.grad_dict()) == [key for key, _ in model.named_parameters()]

    def test_weights_scale_gradients_and_not_losses(self):
        results = {}
        for name in (None,) + LOSS_NAMES:
            model = small().astype(np.float64)
            weights = dict(zip(LOSS_NAMES, range(1, 6)))
            if name:
                weights = {other: float(other == name) for other in LOSS_NAMES}
            results[name] = model.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0),
                                                 weights), model.grad_dict()
        for key, gradient in results[None][1].items():
            parts = sum(factor * results[name][1][key] for factor, name in enumerate(LOSS_NAMES, start=1))
            np.testing.assert_allclose(gradient, parts, rtol=0, atol=1e-12 * np.abs(gradient).max(), err_msg=key)
        for name in LOSS_NAMES:
            assert results[name][0] == results[None][0]
        assert not results["loss_mask"][1]["rpn.head.cls_logits.weight"].any()
        assert not results["loss_objectness"][1]["roi_heads.mask_head.0.0.weight"].any()

    def test_absent_weights_are_one(self):
        gradients = []
        for weights in (None, {}, {"loss_mask": 1}):
            model = small()
            model.loss_and_grads(IMAGES, TARGETS, np.random.default_rng(0), weights)
            gradients.append(model.grad_dict())
        for key, gradient in gradients[0].items():
            np.testing.assert_array_equal(gradient, gradients[1][key])
            np.testing.assert_array_equal(gradient, gradients[2][key])

    def test_crowds_are_left_out(self):
        masks = np.concatenate([TARGET.masks, TARGET.masks[:1]])
        boxes, labels = np.concatenate([TARGET.boxes, TARGET.boxes[:1]]), np.append(TARGET.labels, 1)
        crowded = Target(boxes, labels, masks, is_crowd=[False] * len(TARGET) + [True])
        assert small().loss_and_grads([IMAGE], [crowded], np.random.default_rng(0)) == small().loss_and_grads(
            [IMAGE], [TARGET], np.random.default_rng(0))

    @pytest.mark.parametrize("options", [
        {}, dict(rpn_post_nms_top_n_train=0), dict(rpn_pre_nms_top_n_train=0), dict(rpn_score_thresh=1.0),
        dict(box_positive_fraction=0.0, rpn_positive_fraction=0.0)])
    @pytest.mark.parametrize("objects", [True, False])
    def test_nothing_proposed_nothing_positive_nothing_there(self, options, objects):
        target = TARGET if objects else Target(np.zeros((0, 4)), [], np.zeros((0,) + IMAGE.shape[:2], bool))
        model = maskrcnn_tiny(rng=np.random.default_rng(0), **{**dict(min_size=64, max_size=112), **options})
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            losses = model.loss_and_grads([IMAGE], [target], np.random.default_rng(0))
        assert all(np.isfinite(loss) for loss in losses.values())
        assert all(np.isfinite(gradient).all() for gradient in model.grad_dict().values())
        if not objects:
            assert losses["loss_mask"] == losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(IMAGE)

    @pytest.mark.parametrize("limit", ["rpn_pre_nms_top_n_test", "rpn_post_nms_top_n_test", "box_detections_per_img"])
    def test_a_limit_of_zero_is_no_detection(self, limit):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = small(**{limit: 0}).predict(IMAGE)
        assert found.masks.shape == (0,) + IMAGE.shape[:2] and found.boxes.shape == (0, 4)

    def test_two_identical_objects_are_fine(self):
        twins = Target(TARGET.boxes[[0, 0]], TARGET.labels[[0, 0]], TARGET.masks[[0, 0]])
        assert np.isfinite(list(small().loss_and_grads([IMAGE], [twins], np.random.default_rng(0)).values())).all()

    def test_labels_beyond_the_classes_are_refused_with_the_classes(self):
        model = small()
        wrong = Target(TARGET.boxes[:1], [4], TARGET.masks[:1])
        with pytest.raises(InputError, match=r"targets\[1\]: object 0 has label 4, but the classes are 0 to 3"):
            model.loss_and_grads([IMAGE, IMAGE], [TARGET, wrong], np.random.default_rng(0))
        model.class_names = ["background", "disc", "box", "bar"]
        with pytest.raises(InputError, match="0 background, 1 disc, 2 box, 3 bar"):
            model.loss_and_grads([IMAGE], [wrong], np.random.default_rng(0))

    def test_masks_of_another_size_than_the_image_are_refused(self):
        with pytest.raises(InputError, match=r"targets\[0\]: masks have 90 x 125 pixels .* the image has 140 x 100"):
            small().loss_and_grads(IMAGES[1:], TARGETS[:1], np.random.default_rng(0))

    @pytest.mark.parametrize("images, targets, message", [
        (IMAGES, TARGETS[:1], "2 images and 1 targets"), ([], [], "at least one"),
        (IMAGES[:1], [TARGET.boxes], "list of Target"),
        (IMAGES[:1], TARGET, "list of Target"), (IMAGES[:1], [dict(boxes=TARGET.boxes)], "list of Target"),
        (IMAGE, [TARGET], "images must be .*, got an array of shape"),
        ([np.zeros((3, 90, 125))], [TARGET], r"images\[0\]: shape")])
    def test_arguments_that_do_not_belong_together_are_refused(self, images, targets, message):
        with pytest.raises(InputError, match=message) as caught:
            small().loss_and_grads(images, targets, np.random.default_rng(0))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("weights, message", [
        ({"loss_masks": 1.0}, "'loss_masks' is no loss of the model; the nearest is 'loss_mask'"),
        ({"loss_mask": "2"}, "loss_mask"),
        ({"loss_mask": float("nan")}, "number of at least 0"), ({"loss_mask": True}, "number of at least 0")])
    def test_wrong_loss_weights_are_refused(self, weights, message):
        with pytest.raises(InputError, match=message):
            small().loss_and_grads([IMAGE], [TARGET], np.random.default_rng(0), weights)

    def test_a_refused_call_changes_nothing(self):
        model = small()
        before = model.state_dict()
        with pytest.raises(InputError):
            model.loss_and_grads([IMAGE], [TARGET], np.random.default_rng(0), {"loss_masks": 1.0})
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[key])


# ---- other parts handed to the same network ----


def without_mask_branch():
    """The tiny model with None in the places of the mask branch: Faster R-CNN with all other weights the same."""
    model = small()
    heads = model.roi_heads
    heads.mask_pooler = heads.mask_head = heads.mask_predictor = None
    return model


def test_without_a_mask_branch_there_are_four_losses_and_no_masks():
    model, whole = without_mask_branch(), small()
    image, target = IMAGE, TARGET
    losses, expected = (m.loss_and_grads([image], [target], np.random.default_rng(0)) for m in (model, whole))
    assert losses == {name: value for name, value in expected.items() if name != "loss_mask"}
    assert all(parameter.grad is not None for parameter in model.parameters())
    found, with_masks = model.predict(image), whole.predict(image)
    assert found.masks is None and found[:2].masks is None and len(found) == len(with_masks) > 0
    trace = model.trace(image, target)
    assert trace.mask_logits is None and "loss_mask" not in trace.training.losses
    assert str(found).startswith("Detections(")


def test_a_config_that_is_exchanged_is_gone_by():
    model = small()
    assert len(model.trace(IMAGE).proposals) > 3
    model.config = dataclasses.replace(model.config, rpn_post_nms_top_n_test=3)
    assert len(model.trace(IMAGE).proposals) == 3


def test_losses_can_be_had_without_notes():
    model = small()
    batch = model.transform.forward([IMAGE / 255.0], model.dtype)
    targets = [resize_target(TARGET, batch.image_sizes[0])]
    trunk = model.forward_trunk(batch.images, FORGET)
    plan = model.make_plan(trunk, batch.image_sizes, targets, np.random.default_rng(0))
    losses = model.losses_for(trunk, plan, FORGET)
    noted = Notes(batch_statistics=False)
    expected = model.losses_for(model.forward_trunk(batch.images, noted), plan, noted)
    assert FORGET == {} and list(losses) == list(LOSS_NAMES)
    for name, loss in losses.items():       # norms are folded when nothing is noted: float32 rounds otherwise
        np.testing.assert_allclose(loss, expected[name], rtol=1e-4)


@pytest.mark.parametrize("wrong", ["no", None, 1, []])
def test_batch_statistics_is_true_or_false(wrong):
    with pytest.raises(InputError, match="batch_statistics must be True or False, got"):
        small().loss_and_grads([IMAGE], [TARGET], np.random.default_rng(0), batch_statistics=wrong)


@pytest.mark.parametrize("wrong", [None, 3, {}, "x"])
def test_only_a_config_can_be_exchanged_for_the_config(wrong):
    model = small()
    with pytest.raises(InputError, match="config must be a Config, such as"):
        model.config = wrong
    assert model.config.min_size == 64


def test_masks_that_are_pasted_when_asked_for_are_those_of_a_prediction(model):
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    found, asked = model.predict(image, 0, 1), model.predict(image, 0, 1, paste_all=False)
    assert isinstance(asked.masks, MaskSequence) and len(found)
    np.testing.assert_array_equal(np.asarray(asked.masks), found.masks)
    np.testing.assert_array_equal(asked.boxes, found.boxes)
    dataset = Pictures([image, image[:40]])
    held = predict_dataset(model, dataset, lambda done: None)
    for one, drawn in zip(held, predict_dataset(model, dataset, lambda done: None, to_draw=True)):
        assert isinstance(one.masks, MaskSequence) and one.masks.dtype == bool      # held as run lengths
        np.testing.assert_array_equal(np.asarray(one.masks), drawn.masks > .5)


class Pictures(list):
    class_names = ["background", *"abcdefgh"]

    def __getitem__(self, index):
        return super().__getitem__(index), Target([], [], [])
