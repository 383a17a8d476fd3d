"""What people hand in by mistake, and that it is said in one line, or works after all.

Collected from what people reported of programs like this one; each is held against the words that name the argument.
"""

import io
import json
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import InputError, InputWarning, Target, load, maskrcnn_tiny, rle, save
from npmaskrcnn.datasets import (CocoDataset, ShapesDataset, detections_to_coco, masks_from_label_map, read_detections,
                                 write_coco, write_detections)
from npmaskrcnn.datasets.polygons import polygons_to_mask
from npmaskrcnn.evaluation import confusion_matrix, evaluate, match_detections
from npmaskrcnn.images import as_float_image, read_image
from npmaskrcnn.structures import Detections
from npmaskrcnn.training import SGD, Muon, Trainer, WarmupSteps, overfit_one_image, train
from npmaskrcnn.training.augment import augment, flip_horizontal
from npmaskrcnn.training.log import Log, read_log
from npmaskrcnn.weights import export, load_into, read_npz, write_npz, write_safetensors

NOTHING = Target([], [], [])
GRAY = np.full((40, 56, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def model():
    return maskrcnn_tiny(3, min_size=64, max_size=64)


# ---- paths ----

@pytest.mark.parametrize("wrong", [None, 3, io.BytesIO(b"x"), b"x.npz"])
@pytest.mark.parametrize("call", [
    load, CocoDataset, lambda path: save(maskrcnn_tiny(), path), lambda path: export(path, "b.npz"),
    lambda path: export("a.npz", path), lambda path: write_coco(ShapesDataset(1), path),
    lambda path: CocoDataset("a.json", path or 0), lambda path: write_detections(path, [], []),
    lambda path: read_detections(path, ShapesDataset(1)), read_npz])
def test_what_is_no_path_is_named(call, wrong):
    with pytest.raises(InputError, match="must be a file name or a path, got"):
        call(wrong)


def test_model_and_path_in_the_wrong_order_are_told(model, tmp_path):
    with pytest.raises(InputError, match="path must be a file name or a path, got MaskRCNN"):
        save(tmp_path / "a.npz", model)
    with pytest.raises(InputError, match="expected a model to save, as in save.model, path., got None"):
        save(None, tmp_path / "a.npz")
    with pytest.raises(InputError, match="folder must be a file name or a path, got"):
        write_coco(tmp_path, ShapesDataset(1))
    with pytest.raises(InputError, match="expected a dataset with class_names"):
        write_coco(3, tmp_path)


def test_a_file_is_not_converted_into_itself(model, tmp_path):
    save(model, tmp_path / "a.npz")
    (tmp_path / "link.npz").symlink_to(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    for source, destination in (("a.npz", "a.npz"), ("link.npz", "a.npz"), ("a.npz", "link.npz")):
        with pytest.raises(InputError, match="is the file that is to be converted"):
            export(tmp_path / source, tmp_path / destination)
    assert (tmp_path / "a.npz").read_bytes() == before


# ---- values that are no array, no target, no model at all ----

RAGGED = [[1, 2, 3, 4], [1, 2]]


def one_found(**parts):
    """Return detections of one object that covers some of `GRAY`, with other parts instead of the right ones."""
    mask = np.zeros((1, 40, 56), bool)
    mask[0, 2:9, 2:9] = True
    right = dict(boxes=[[2, 2, 9, 9]], labels=[1], scores=[0.5], masks=mask)
    return [Detections(**{**right, **parts})]


ENTRIES = [     # what the message begins with, and the call
    (r"detections\[0\]: boxes must be", lambda value: evaluate(ShapesDataset(1), one_found(boxes=value))),
    (r"detections\[0\]: labels must be", lambda value: evaluate(ShapesDataset(1), one_found(labels=value))),
    (r"detections\[0\]: scores must be", lambda value: evaluate(ShapesDataset(1), one_found(scores=value))),
    (r"detections\[0\]: masks must be", lambda value: evaluate(ShapesDataset(1), one_found(masks=value))),
    (r"detections\[0\]: expected Detections", lambda value: evaluate(ShapesDataset(1), [value])),
    (r"target must be a Target", lambda value: match_detections(value, one_found()[0])),
    (r"dataset\.class_names must be", lambda value: evaluate(value, one_found())),
    (r"Target: boxes must be", lambda value: Target(value, [1], np.ones((1, 9, 9)))),
    (r"label map must be", masks_from_label_map),
    (r"mask must be", rle.encode),
    (r"RLE: expected", rle.decode),
    (r"a\.npz: arrays must be", lambda value: write_npz("a.npz", value)),
    (r"a\.npz: arrays: 'x' must be", lambda value: write_npz("a.npz", {"x": value})),
    (r"a: arrays must be", lambda value: write_safetensors("a", value)),
    (r"a: arrays: 'x' must be", lambda value: write_safetensors("a", {"x": value})),
    (r"the state dict must be", lambda value: maskrcnn_tiny().load_state_dict(value)),
    (r"the state dict: 'x' must be", lambda value: maskrcnn_tiny().load_state_dict({"x": value})),
    (r"dimensions must be", lambda value: maskrcnn_tiny(dimensions=value)),
    (r"dimensions: widths must be", lambda value: maskrcnn_tiny(dimensions={"widths": value})),
    (r"dimensions: mask_layers(\[0\])? must be", lambda value: maskrcnn_tiny(dimensions={"mask_layers": value})),
    (r"images(\[0\])?( must be|: expected|: got the path)", lambda value: maskrcnn_tiny().loss_and_grads(value, [], 0)),
    (r"parameters must be", lambda value: SGD(value, 0.1)),
    (r"parameters must be", Muon),
    (r"milestones must be", lambda value: WarmupSteps(0.1, value)),
    (r"model must be", lambda value: train(value, None)),
    (r"model must be", lambda value: overfit_one_image(value, GRAY, NOTHING)),
    (r"image 0 of the dataset: (expected|got the path)", lambda v: overfit_one_image(maskrcnn_tiny(), v, NOTHING, 1)),
    (r"image 0 of the dataset: dataset\[0\] must be a pair",
     lambda value: overfit_one_image(maskrcnn_tiny(), GRAY, value, 1)),
    (r"dataset\[0\] must be a pair", lambda value: write_coco(Items(value), "never-written")),
    (r"kinds must be", lambda value: ShapesDataset(1, kinds=value)),
    (r"image_size must be", lambda value: ShapesDataset(1, image_size=value)),
]


class Items(list):
    """A dataset of one item, whatever it is."""

    class_names = ["background", "a"]

    def __init__(self, item):
        super().__init__([item])


@pytest.mark.parametrize("value", [RAGGED, "text", [object()], {"x"}, lambda: None], ids=str)
@pytest.mark.parametrize("begins, call", ENTRIES)
def test_what_is_no_such_thing_at_all_is_said_in_one_line(begins, call, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{begins}") as caught:
        call(value)
    assert "\n" not in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_detection_needs_no_masks_and_three_boxes_three_scores():
    nothing = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), None)
    assert evaluate(ShapesDataset(1), [nothing]).segm["AP"] == 0
    assert len(match_detections(ShapesDataset(1)[0][1], nothing, iou_type="segm").outcome) == 0
    for size in ((3, 3), (3, 4)):
        with pytest.raises(InputError, match=r"detections\[0\]: expected boxes"):
            evaluate(ShapesDataset(1), [replace(nothing, boxes=np.zeros(size))])


@pytest.mark.parametrize("image", [
    GRAY[:, :, 0], GRAY[:, :, :1], GRAY.astype(np.uint16) * 257, GRAY / 255, Image.fromarray(GRAY), GRAY > 80,
    np.dstack([GRAY, GRAY[:, :, :1]])], ids=["gray", "one channel", "uint16", "float", "Pillow", "bool", "alpha"])
def test_a_trainer_takes_the_images_that_a_model_takes(image):
    model = maskrcnn_tiny(3, min_size=64, max_size=64)
    mask = np.zeros((1, 40, 56), bool)
    mask[0, 2:20, 2:30] = True
    target = Target([[2, 2, 30, 20]], [1], mask)
    trainer = Trainer(model, [(image, target)], SGD(model.named_parameters(), 0.01), batch_size=1, log_every=0,
                      scale_jitter=(0.8, 1.25))
    assert len(trainer.run(2)["step"]) == 2


# ---- options of wrong kinds ----

@pytest.mark.parametrize("options", [
    dict(min_size=65_537), dict(max_size=10**6), dict(min_size=(60,) * 201), dict(anchor_sizes=((1e9,),) * 5),
    dict(anchor_sizes=((32,) * 41,) * 5), dict(image_mean=(1e6, 0, 0)), dict(box_detections_per_img=10**6)])
def test_no_model_can_be_made_that_could_not_be_loaded_again(options):
    with pytest.raises(InputError, match=f"{next(iter(options))} must be at most .*65,536, got"):
        maskrcnn_tiny(**options)


def test_a_model_of_the_largest_options_is_loaded_again(tmp_path):
    model = maskrcnn_tiny(min_size=(65_536,) * 200, max_size=65_536, anchor_sizes=((65_536,) * 40,) * 5)
    save(model, tmp_path / "m.npz")
    assert load(tmp_path / "m.npz").config == model.config


def test_an_image_that_resizing_would_make_too_large_is_refused():
    model = maskrcnn_tiny(min_size=65_536, max_size=65_536)
    with pytest.raises(InputError, match="image 0, resized to min_size 65536 and max_size 65536: 65536 x 46811 pixels"):
        model.predict(GRAY)


def test_weights_of_the_losses_and_progress_of_a_wrong_kind(model):
    with pytest.raises(InputError, match="loss_weights must be a dict of name to factor, got .1."):
        model.loss_and_grads([GRAY], [NOTHING], np.random.default_rng(0), loss_weights=[1])
    with pytest.raises(InputError, match="progress must be a function of the name of a stage, got 3"):
        model.predict(GRAY, progress=3)


@pytest.mark.parametrize("options, message", [
    (dict(iou_types=3), "iou_types: expected 'bbox', 'segm' or both in a tuple, got 3"),
    (dict(iou_types=()), "iou_types: expected .* got ()"), (dict(iou_types="mask"), "iou type: .* got 'mask'"),
    (dict(mask_threshold="a"), "mask_threshold must be a number .* got 'a'"),
    (dict(mask_threshold=None), "mask_threshold must be a number"),
])
def test_options_of_evaluate_of_a_wrong_kind(options, message):
    dataset = ShapesDataset(1)
    _, target = dataset[0]
    found = Detections(target.boxes, target.labels, np.ones(len(target)), target.masks)
    with pytest.raises(InputError, match=message):
        evaluate(dataset, [found], **options)


@pytest.mark.parametrize("field", ["labels", "scores", "boxes"])
def test_detections_of_texts_are_refused(field):
    dataset = ShapesDataset(1)
    _, target = dataset[0]
    parts = dict(boxes=target.boxes, labels=target.labels, scores=np.ones(len(target)), masks=target.masks)
    parts[field] = parts[field].astype(str)
    with pytest.raises(InputError, match=f"detections.0.: {field} must be numbers"):
        evaluate(dataset, [Detections(**parts)])


@pytest.mark.parametrize("polygon", [[1, 1, "4", 1, 4, 3], [True, 1, 4, 1, 4, 3]])
def test_coordinates_of_polygons_are_numbers(polygon):
    with pytest.raises(InputError, match="polygon 0.[20]. must be a finite number"):
        polygons_to_mask([polygon], 8, 8)


@pytest.mark.parametrize("size", [(-4, 4), (4, 0), (4.5, 4), ("a", 4)])
def test_a_polygon_needs_an_image_of_some_size(size):
    with pytest.raises(InputError, match="must be a whole number of at least 1"):
        polygons_to_mask([[0, 0, 3, 0, 3, 3]], *size)


def test_weights_of_whole_numbers_are_cast_with_a_warning(model, tmp_path):
    state = model.state_dict()
    state["rpn.head.cls_logits.bias"] = np.zeros(3, np.int64)
    write_npz(tmp_path / "a.npz", state, {})
    with pytest.warns(InputWarning,
                      match="a.npz: 1 array cast to float32, the first 'rpn.head.cls_logits.bias' from int64"):
        load_into(maskrcnn_tiny(3, min_size=64, max_size=64), tmp_path / "a.npz")


def test_too_large_a_picture_is_told_with_one_limit(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError,
                       match="bomb.png: has too many pixels; the limit is 36000000 pixels; make it smaller"):
        read_image(tmp_path / "bomb.png")


# ---- targets and images ----

def test_a_target_of_nothing_needs_no_size_to_learn_from(model):
    rng = np.random.default_rng(0)
    losses = model.loss_and_grads([GRAY], [NOTHING], rng)
    assert losses["loss_mask"] == 0 and losses["loss_classifier"] > 0
    assert len(model.trace(GRAY, NOTHING).training.mask_targets) == 0
    for _ in range(4):
        _, target = augment(GRAY, NOTHING, rng, scale_jitter=(0.5, 2))
        assert len(target) == 0


def test_a_target_is_warned_of_once_and_not_again_when_it_is_mirrored():
    masks = np.zeros((1, 40, 56), bool)
    masks[0, 4:30, 3:20] = True
    with pytest.warns(InputWarning, match="does not fit its mask"):
        target = Target([[30, 4, 50, 30]], [1], masks)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, mirrored = flip_horizontal(GRAY, target)
        _, zoomed = augment(GRAY, target, np.random.default_rng(0), flip=False, scale_jitter=(0.5, 0.5))
    np.testing.assert_array_equal(mirrored.boxes, [[6, 4, 26, 30]])
    assert zoomed.area == zoomed.masks.sum() and not zoomed.boxes.flags.writeable


def test_overshoot_of_a_sharp_resize_is_clipped():
    image = np.linspace(-0.03, 1.04, 40 * 56 * 3).reshape(40, 56, 3)
    clipped = as_float_image(image)
    assert clipped.min() == 0 and clipped.max() == 1


@pytest.mark.parametrize("rng", [None, -1, True, "0"])
def test_who_draws_is_a_generator_or_a_seed(model, rng):
    for call in (lambda: model.loss_and_grads([GRAY], [NOTHING], rng), lambda: maskrcnn_tiny(rng=rng)):
        if rng is not None or call.__code__.co_names[0] != "maskrcnn_tiny":
            with pytest.raises(InputError, match="rng must be a np.random.Generator, or a seed of at least 0"):
                call()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="pipe.png: is not a regular file"):
        read_image(tmp_path / "pipe.png")


# ---- weights ----

def test_broken_weights_do_not_pass_for_an_empty_picture(tmp_path):
    model = maskrcnn_tiny(3, min_size=64, max_size=64)
    model.untrained = False
    model.backbone.body.conv1.weight.data[0] = np.nan
    with np.errstate(all="ignore"), pytest.raises(InputError, match="not finite"):
        model.predict(GRAY)
    with pytest.warns(InputWarning, match="body.conv1.weight"):
        save(model, tmp_path / "broken.npz")


@pytest.mark.parametrize("names, message", [
    (["background", "cat"], "are 2, the classes 3"), ("cat", "must be a list of texts"),
    (["background", "cat", "cat"], "must be all different"), (["background", "cat", "\ud800"], "without halves"),
    (["background", "cat", " "], "must be a list of texts"),
])
def test_save_refuses_class_names_that_load_would_refuse(tmp_path, model, names, message):
    model.class_names = names
    try:
        with pytest.raises(InputError, match=f"a.npz: the class names .*{message}"):
            save(model, tmp_path / "a.npz")
    finally:
        model.class_names = None
    assert list(tmp_path.iterdir()) == []


def test_that_a_model_was_never_trained_is_not_forgotten(tmp_path):
    save(maskrcnn_tiny(3, min_size=64, max_size=64), tmp_path / "fresh.npz")
    model = load(tmp_path / "fresh.npz")
    with pytest.warns(InputWarning, match="random weights"):
        model.predict(GRAY)


def test_save_does_not_disguise_its_format(tmp_path, model):
    with pytest.raises(InputError, match="export"):
        save(model, tmp_path / "a.safetensors")


# ---- detections and results files ----

class Empty:
    """Two images without an object."""

    class_names = ["background", "cat"]
    image_ids, category_ids = [1, 2], (None, 1)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return GRAY, NOTHING

    def size(self, index):
        return GRAY.shape[:2]


def detections(box=(3, 4, 20, 30), label=1, size=GRAY.shape[:2], mask=0.9):
    return Detections(np.array([box], np.float32), np.array([label]), np.array([0.5], np.float32),
                      np.full((1, *size), mask, np.float32))


@pytest.mark.parametrize("found, message", [
    (detections(size=(10, 10)), r"expected masks \(1, 40, 56\)"),
    (detections(mask=np.nan), "probabilities in 0..1"),
    (detections(mask=255), "probabilities in 0..1"),
    (detections(box=(20, 4, 3, 30)), "x2 < x1"),
    (detections(label=1.5), "label 1.5"),
])
def test_evaluation_refuses_detections_that_cannot_be_meant(found, message):
    with pytest.raises(InputError, match=rf"detections\[1\]: .*{message}"):
        evaluate(Empty(), [detections(), found])


@pytest.mark.parametrize("field, value", [("bbox", [1, 2, -3, 4]), ("score", "0.9"), ("score", True),
                                          ("bbox", [1, 2, "3", 4])])
def test_a_results_file_of_wrong_values_is_refused(tmp_path, field, value):
    entry = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5, "segmentation": {}}
    (tmp_path / "r.json").write_text(json.dumps([{**entry, field: value}]))
    with pytest.raises(InputError, match=f"r.json: detection 0: {field}"):
        read_detections(tmp_path / "r.json", Empty())


def test_a_table_needs_a_name_for_every_class():
    with pytest.raises(InputError, match="2 names, background included, but there is a detection of class 3"):
        detections(label=3).table(["background", "cat"])


def test_one_can_measure_on_images_of_nothing(tmp_path):
    content = {"images": [{"id": 1, "file_name": "a.png", "width": 56, "height": 40}],
               "categories": [{"id": 1, "name": "cat"}], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.warns(InputWarning, match="no (annotation|ground truth)"):
        dataset = CocoDataset(tmp_path / "a.json", allow_empty=True)
        assert evaluate(dataset, [detections()]).bbox["AP"] == -1


def test_a_target_keeps_what_it_has_judged():
    masks = np.zeros((1, 40, 56), bool)
    masks[0, 4:30, 3:20] = True
    target = Target([[3, 4, 20, 30]], [1], masks)
    masks[:] = False
    assert target.masks.sum() == 26 * 17


# ---- the same argument is judged the same everywhere ----

@pytest.mark.parametrize("score", [7, "a", float("nan"), None])
def test_a_score_threshold_of_a_confusion_matrix_is_judged(score):
    with pytest.raises(InputError, match="score_threshold must be a number from 0 to 1, got"):
        confusion_matrix(ShapesDataset(1), [Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0), None)],
                         score_threshold=score, iou_type="bbox")


def test_a_mask_threshold_of_a_results_file_is_judged():
    with pytest.raises(InputError, match="mask_threshold must be a number of at least 0 and below 1, got 7"):
        detections_to_coco([], [], mask_threshold=7)


def test_numbers_may_be_arrays_without_an_axis_and_flags_are_flags(model):
    assert len(model.predict([], score_threshold=np.array(0.5))) == 0
    with pytest.raises(InputError, match="return_dimages must be True or False, got 'no'"):
        model.loss_and_grads([GRAY], [NOTHING], 0, return_dimages="no")
    with pytest.raises(InputError, match="image: shape .* a batch. take one image of it"):
        model.trace(GRAY[None])
    assert maskrcnn_tiny(dimensions={"fpn_channels": 8.0}).architecture["config"]["dimensions"]["fpn_channels"] == 8


def test_an_interrupted_resumption_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    log = Log(("step", "loss"), tmp_path / "log.csv")
    for step in range(1, 6):
        log.append(step=step, loss=0.5)
    before = (tmp_path / "log.csv").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupted)
        log = Log(("step", "loss"), tmp_path / "log.csv")
        log.continue_from(3)
        log.append(step=4, loss=0.1)
    assert (tmp_path / "log.csv").read_bytes() == before
    log = Log(("step", "loss"), tmp_path / "log.csv")
    log.continue_from(3)
    log.append(step=4, loss=0.1)
    assert read_log(tmp_path / "log.csv")["step"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_of_numpy_are_as_good_as_pythons_and_infinity_is_none(dtype):
    parameters = list(maskrcnn_tiny(rng=1).named_parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SGD(parameters, lr=dtype(0.5)).lr == 0.5
        assert len(ShapesDataset(dtype(3))) == 3
        for wrong in (dtype("inf"), dtype("nan"), np.array(dtype("inf"))):
            with pytest.raises(InputError, match="lr must be a finite number of at least 0, got"):
                SGD(parameters, lr=wrong)
            with pytest.raises(InputError, match="num_images must be a whole number of at least 0, got"):
                ShapesDataset(wrong)


@pytest.mark.parametrize("rng", [np.random, np.random.Generator, np.random.RandomState(0)])
def test_a_trainer_needs_a_generator_with_a_state(rng):
    model = maskrcnn_tiny()
    with pytest.raises(InputError, match="rng must be a np.random.Generator, or a seed of at least 0"):
        Trainer(model, ShapesDataset(2), SGD(model.named_parameters(), lr=0.1), rng=rng)


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_an_empty_path_and_one_that_no_file_can_have_are_refused(model, path):
    for call in (lambda: save(model, path), lambda: load(path), lambda: write_npz(path, {}), lambda: read_image(path),
                 lambda: CocoDataset(path), lambda: write_coco(ShapesDataset(1), path)):
        with pytest.raises(InputError, match="must be a file name or a path, got"):
            call()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_is_not_replaced_by_a_file(model, tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match="pipe.npz: is a device; expected the name of a file to write"):
        save(model, tmp_path / "pipe.npz")
    assert (tmp_path / "pipe.npz").is_fifo()
