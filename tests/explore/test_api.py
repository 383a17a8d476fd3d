"""What the page is answered is what the model says: against `predict`, `trace` and `loss_and_grads` themselves.

And whatever it asks, it is answered in one line, and the next question finds everything as it was.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npmaskrcnn
from npmaskrcnn import InputError, fasterrcnn_tiny, light, maskrcnn_tiny, ops
from npmaskrcnn.explore import Explorer
from npmaskrcnn.explore.api import LOSSES, PICTURES_KEPT, QUESTIONS
from npmaskrcnn.explore.look import points_read
from npmaskrcnn.explore.minds import MINDS
from npmaskrcnn.explore.packing import unpack
from npmaskrcnn.explore.scene import Stage, presets
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.nn import FORGET
from npmaskrcnn.others import one_stage_tiny
from npmaskrcnn.views import color_code
from npmaskrcnn.variants import maskrcnn_variant

ROOT = Path(npmaskrcnn.__file__).parents[1]
SCENE = next(scene for name, _, scene in presets() if name == "lessons")
CROWD = next(scene for name, _, scene in presets() if name == "crowd")
WIDE = {**SCENE, "width": 200, "height": 150, "shapes": [{**shape, "half": 1.5 * shape["half"]} for shape
                                                        in SCENE["shapes"]]}


@pytest.fixture(scope="module")
def explorer():
    return Explorer()


def ask(explorer, name, **parts):
    """Ask what must be answered."""
    answer, arrays = explorer.answer({"ask": name, **parts})
    assert "error" not in answer, answer
    json.dumps(answer, allow_nan=False)
    for array in arrays.values():
        assert array.dtype.name in ("uint8", "int32", "float32")
    return answer, arrays


def refused(explorer, request, blob=b""):
    """Ask what must be refused, and return the line."""
    answer, arrays = explorer.answer(request, blob)
    assert list(answer) == ["error"] and arrays == {}, request
    assert "\n" not in answer["error"] and 0 < len(answer["error"]) <= 400
    return answer["error"]


# ---- what there is ----


def test_hello_tells_what_can_be_asked(explorer):
    answer, _ = ask(explorer, "hello")
    assert answer["version"] == npmaskrcnn.__version__
    assert [model["name"] for model in answer["models"]] == list(MINDS)
    assert {model["task"] for model in answer["models"]} == {"shapes", "rings"}
    assert {loss["name"] for loss in answer["losses"]} == set(LOSS_NAMES) == set(LOSSES)
    assert answer["thresholds"] == {"score_threshold": 0.05, "rpn_nms": 0.7, "box_nms": 0.5}
    assert answer["limits"] == {"sides": [16, 256], "shapes": 40, "steps": 5}
    for preset in answer["presets"]:
        assert preset["note"]
        assert "error" not in explorer.answer({"ask": "look", "scene": preset["scene"]})[0]


def test_lessons_to_which_the_page_points_are_there():
    page = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "npmaskrcnn/explore/page").glob("*.js"))
    lessons = set(re.findall(r'lesson: "(\w+)"', page))
    assert len(lessons) > 5 and [name for name in lessons if not (ROOT / f"notebooks/{name}.ipynb").exists()] == []


@pytest.mark.parametrize("name", MINDS)
def test_every_model_looks_and_can_be_asked_further(explorer, name):
    answer, arrays = ask(explorer, "look", scene=SCENE, model=name)
    assert answer["model"] == name and answer["look"] > 0
    assert arrays["masks"].shape == (len(answer["detections"]), 96, 128)
    if MINDS[name].task == "rings":
        assert answer["class_names"] == ["background", "in", "out"]
        assert [truth["label"] for truth in answer["truth"]] == [None] * 4
    assert ask(explorer, "roi", proposal=0)[0]["reads"] == ("cells" if name == "roi_pool" else "points")
    assert np.isfinite(ask(explorer, "gradient", scene=SCENE, model=name)[1]["gradient"]).all()


def test_a_scene_is_drawn_by_lot(explorer):
    one, two, again = (ask(explorer, "draw", seed=seed)[0]["scene"] for seed in (1, 2, 1))
    assert one == again != two
    assert ask(explorer, "look", scene=one)[0]["width"] == 128


# ---- look ----


@pytest.mark.parametrize("scene", [SCENE, WIDE, CROWD, {}], ids=["lessons", "wide", "crowd", "empty"])
def test_detections_are_those_of_predict(explorer, scene):
    for thresholds in ({}, {"score_threshold": 0.4, "box_nms": 0.8}):
        answer, arrays = ask(explorer, "look", scene=scene, **thresholds)
        found = explorer.minds.get("finished").predict(arrays["image"], *thresholds.values())
        assert [each["label"] for each in answer["detections"]] == found.labels.tolist()
        np.testing.assert_allclose([each["score"] for each in answer["detections"]], found.scores, atol=1e-4)
        boxes = np.array([each["box"] for each in answer["detections"]]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, found.boxes, atol=1e-3)
        np.testing.assert_array_equal(arrays["masks"], np.rint(found.masks * 255))
        assert answer["counts"]["detections"] == len(found)


def test_arrays_hang_together_as_the_protocol_says(explorer):
    answer, arrays = ask(explorer, "look", scene=WIDE)
    assert arrays["image"].shape == (150, 200, 3) and answer["span"] == {"width": 200.0, "height": 150.0}
    counts, per_cell = answer["counts"], answer["anchors_per_cell"]
    assert [len(arrays[name]) for name in ("anchors", "top_k", "proposals", "candidate_rois")] == [
        counts[name] for name in ("anchors", "top_k", "proposals", "candidates")]
    proposed = arrays["top_k"][arrays["kept"]]
    np.testing.assert_allclose(arrays["moved"][proposed], arrays["proposals"], atol=1e-4)
    assert (np.diff(arrays["objectness"][proposed]) <= 0).all()
    rows, labels = arrays["candidate_rois"], arrays["candidate_labels"]
    np.testing.assert_array_equal(arrays["class_scores"][rows, labels], arrays["candidate_scores"])
    assert answer["detections"]
    for found, row in zip(answer["detections"], arrays["detection_rows"]):
        history = found["history"]
        np.testing.assert_allclose(found["box"], arrays["candidate_boxes"][row], atol=1e-3)
        assert history["candidate"] == row and history["roi"] == rows[row]
        assert arrays["top_k"][history["top_k"]] == history["anchor"] and history["top_k"] == arrays["kept"][rows[row]]
        np.testing.assert_allclose(history["anchor_box"], arrays["anchors"][history["anchor"]], atol=1e-3)
        level, (y, x) = answer["levels"][history["level"]], history["cell"]
        first = level["first"] + (y * level["width"] + x) * per_cell
        assert history["anchor"] == first + history["anchor_of_cell"]
        for box in arrays["anchors"][first:first + per_cell]:
            center = [x * level["stride"][1], y * level["stride"][0]]
            np.testing.assert_allclose((box[:2] + box[2:]) / 2, center, atol=1e-3)


def test_maps_and_levels_are_those_of_the_trace(explorer):
    answer, arrays = ask(explorer, "look", scene={**SCENE, "width": 120, "height": 100})     # with a strip of padding
    trace = explorer.minds.get("finished").trace(arrays["image"])
    assert trace.image_size == (106, 128) and trace.batch.shape[1:3] == (128, 128)
    assert answer["span"]["width"] == 120 and answer["span"]["height"] == pytest.approx(128 * 100 / 106)
    for kind, maps in (("levels", trace.features), ("body_levels", trace.body_features)):
        assert [(level["height"], level["width"], level["channels"]) for level in answer[kind]] == [
            feature.shape[1:] for feature in maps]
        for level, feature in zip(answer[kind], maps):
            values = color_code(feature[0]).colors(feature[0])
            np.testing.assert_allclose(arrays[level["name"]], values * 255, atol=0.51)
    told, read = ask(explorer, "roi", proposal=0)
    center = np.reshape(told["box"], (2, 2)).mean(axis=0)
    np.testing.assert_allclose(read["points_pixels"].mean(axis=0), center, atol=1e-3)
    logits = np.concatenate([level.ravel() for level in trace.objectness])
    np.testing.assert_array_equal(arrays["objectness"], ops.sigmoid(logits))


def test_truth_says_which_shape_is_what_and_which_cannot_be_seen(explorer):
    far = {"kind": "circle", "x": 500, "y": 5, "half": 9, "color": [0, 0, 0]}
    answer, _ = ask(explorer, "look", scene={**SCENE, "shapes": [far, *SCENE["shapes"]]})
    assert answer["unseen"] == [0]
    assert [(truth["shape"], truth["label"]) for truth in answer["truth"]] == [(1, 1), (2, 2), (3, 3), (4, 2)]
    _, truth = Stage(SCENE).painted(answer["class_names"])
    assert [truth["pixels"] for truth in answer["truth"]] == truth.masks.sum(axis=(1, 2)).tolist()


def test_thresholds_hold_for_one_look(explorer):
    model = explorer.minds.get("finished")
    before = model.config
    strict, _ = ask(explorer, "look", scene=SCENE, rpn_nms=0.2, score_threshold=0.9)
    assert strict["thresholds"] == {"score_threshold": 0.9, "rpn_nms": 0.2, "box_nms": 0.5}
    usual, _ = ask(explorer, "look", scene=SCENE)
    assert strict["counts"]["proposals"] < usual["counts"]["proposals"]
    assert strict["counts"]["candidates"] < usual["counts"]["candidates"]
    assert min(found["score"] for found in strict["detections"]) > 0.9
    assert "box_nms" in refused(explorer, {"ask": "look", "scene": SCENE, "rpn_nms": 0.2, "box_nms": 3})
    assert model.config is before


# ---- further questions about a look ----


def test_a_channel_is_that_of_the_last_look(explorer):
    answer, arrays = ask(explorer, "look", scene=SCENE)
    trace = explorer.minds.get("finished").trace(arrays["image"])
    for name, feature, channel in (("C3", trace.body_features[1], 47), ("P6", trace.features[4], 0)):
        told, values = ask(explorer, "channel", level=name, channel=channel, look=answer["look"])
        np.testing.assert_array_equal(values["values"], feature[0, :, :, channel])
        assert (told["low"], told["high"]) == (values["values"].min(), values["values"].max())
    assert "from 0 to 47" in refused(explorer, {"ask": "channel", "level": "P2", "channel": 48})
    assert "'P7' is no map" in refused(explorer, {"ask": "channel", "level": "P7", "channel": 0})
    ask(explorer, "look", scene={})
    for question in ({"ask": "channel", "level": "P2", "channel": 0}, {"ask": "roi", "proposal": 0}):
        assert explorer.answer({**question, "look": answer["look"]}) == ({"stale": True}, {})


def test_a_region_shows_what_the_heads_have_read(explorer):
    answer, arrays = ask(explorer, "look", scene=SCENE)
    trace = explorer.minds.get("finished").trace(arrays["image"])
    for d, found in enumerate(answer["detections"]):
        told, read = ask(explorer, "roi", detection=d, look=answer["look"])
        roi, label = told["proposal"], told["label"]
        assert roi == found["history"]["roi"] and label == found["label"]
        assert told["level"] == found["history"]["roi_level"] == trace.roi_levels[roi]
        assert told["mask_level"] == trace.mask_levels[d]
        code = color_code(trace.features[told["level"]][0])
        np.testing.assert_array_equal(read["patch"], np.rint(code.colors(trace.box_features[roi]) * 255))
        np.testing.assert_array_equal(read["class_scores"], arrays["class_scores"][roi])
        np.testing.assert_allclose(read["class_boxes"][label], found["box"], atol=1e-3)
        np.testing.assert_allclose(read["masks"], ops.sigmoid(trace.mask_logits[d]).transpose(2, 0, 1), rtol=1e-6)
        x1, y1, x2, y2 = told["box"]
        points = read["points_pixels"]
        assert points.shape == (196, 2) and ((points > [x1, y1]) & (points < [x2, y2])).all()
        np.testing.assert_allclose(points.mean(axis=0), [(x1 + x2) / 2, (y1 + y2) / 2], atol=1e-3)
    told, read = ask(explorer, "roi", proposal=len(arrays["proposals"]) - 1)
    assert "masks" not in read and "label" not in told
    assert "from 0 to" in refused(explorer, {"ask": "roi", "detection": len(answer["detections"])})
    assert "either" in refused(explorer, {"ask": "roi"})
    assert "either" in refused(explorer, {"ask": "roi", "proposal": 0, "detection": 0})
    ask(explorer, "look", scene={})
    assert refused(explorer, {"ask": "roi", "detection": 0}) == "the last look has no detection"


def test_a_region_comes_along_with_a_look(explorer):
    def check(wish, scene, **asked):
        """The answer to a wish is what is asked for afterwards."""
        answer, arrays = ask(explorer, "look", scene=scene, roi=wish)
        told, read = ask(explorer, "roi", **asked)
        assert answer["roi"] == told
        assert {name for name in arrays if name.startswith("roi.")} == {f"roi.{name}" for name in read}
        for name, array in read.items():
            np.testing.assert_array_equal(arrays[f"roi.{name}"], array)
        return answer

    check("best", SCENE, detection=0)
    sure = [found for found in check({"detection": 1}, SCENE, detection=1)["detections"] if found["score"] > 0.9]
    assert len(sure) > 1
    for d, found in enumerate(sure):
        x1, y1, x2, y2 = found["box"]
        check({"near": [x1 + 1, y1 - 1, x2 + 1, y2 - 1]}, SCENE, detection=d)
    check({"detection": 1000}, SCENE, detection=0)
    check({"near": [0, 0, 1, 1]}, SCENE, detection=0)
    last = check({"proposal": 0}, SCENE, proposal=0)["counts"]["proposals"] - 1
    check({"proposal": 10**6}, SCENE, proposal=last)
    for wish in ("best", {"detection": 0}, {"near": [0, 0, 9, 9]}):
        assert check(wish, {}, proposal=0)["detections"] == []
    assert "roi" not in ask(explorer, "look", scene=SCENE)[0]


@pytest.mark.parametrize("variant", ["baseline", "unaligned", "half_pixel"])
def test_points_are_where_the_pooler_reads(variant):
    pooler = maskrcnn_variant(variant).roi_heads.box_pooler
    ramp = np.stack(np.meshgrid(np.arange(32.0), np.arange(24.0)), axis=-1)[None]       # each cell holds its x and y
    box = np.array([21.3, 14.9, 77.7, 61.2])
    reads, points = points_read(pooler, ramp, 0, box)
    level = pooler.levels(np.array([[0, *box]]))[0]
    assert level == 0       # so that the pooler reads this map
    pooled = pooler.forward([ramp, *[ramp] * 3], np.array([[0, *box]]), FORGET)[0]
    means = points.reshape(7, 2, 7, 2, 2).mean(axis=(1, 3))
    assert reads == "points"
    np.testing.assert_allclose(means, pooled, atol=1e-9)


def test_of_a_roi_pool_the_cells_that_won_are_shown():
    pooler = maskrcnn_variant("roi_pool").roi_heads.box_pooler
    feature = np.zeros((1, 24, 32, 2))
    feature[0, 9, 12, 0] = feature[0, 5, 6, 1] = feature[0, 2, 2, 0] = 1        # two within the box, one outside
    reads, cells = points_read(pooler, feature, 0, np.array([20.0, 16, 76, 60]))
    assert reads == "cells"
    assert {(12, 9), (6, 5)} <= set(map(tuple, cells.tolist())) and (2, 2) not in set(map(tuple, cells.tolist()))
    assert cells.min(axis=0).tolist() >= [5, 4] and (cells.max(axis=0) <= [19, 15]).all()


# ---- several models ----


def test_minds_are_asked_side_by_side_and_the_last_look_stays(explorer):
    look, _ = ask(explorer, "look", scene=CROWD)
    another = Explorer()
    names = ["step-100", "untrained", "step-400", "finished"]
    for thresholds in ({}, {"score_threshold": 0.3, "box_nms": 0.8}):
        answer, seen = ask(explorer, "minds", scene=SCENE, models=names, **thresholds)
        assert [mind["model"] for mind in answer["minds"]] == names
        assert set(seen) == {"image", *(f"masks.{name}" for name in names)}
        for mind in answer["minds"]:
            alone, same = ask(another, "look", scene=SCENE, model=mind["model"], **thresholds)
            assert mind["class_names"] == alone["class_names"]
            assert mind["detections"] == [{part: found[part] for part in ("box", "label", "score")}
                                          for found in alone["detections"]]
            np.testing.assert_array_equal(seen[f"masks.{mind['model']}"], same["masks"])
            np.testing.assert_array_equal(seen["image"], same["image"])
    told, read = ask(explorer, "roi", detection=0, look=look["look"])       # still the last look, and of the crowd
    assert told["box"] == look["detections"][0]["history"]["proposal_box"]
    assert ask(explorer, "look", scene=SCENE)[0]["look"] == look["look"] + 1


def test_minds_know_their_own_classes_and_are_at_most_four(explorer):
    boxes = Explorer(fasterrcnn_tiny(rng=np.random.default_rng(1)))
    answer, arrays = ask(boxes, "minds", scene=SCENE, models=["no_top_down", "own"], score_threshold=0)
    assert answer["minds"][0]["class_names"] == ["background", "in", "out"] and answer["minds"][1]["detections"]
    assert set(arrays) == {"image", "masks.no_top_down"}        # the second has none
    for wrong in (None, [], "finished", ["finished"] * 5, {"finished": 1}):
        assert "models must be a list of 1 to 4 names" in refused(explorer, {"ask": "minds", "models": wrong})
    assert "no model" in refused(explorer, {"ask": "minds", "models": ["finished", "mine"]})
    assert "no model" in refused(explorer, {"ask": "minds", "models": [["finished"]]})
    assert "start a training" in refused(explorer, {"ask": "minds", "models": ["training"]})
    assert "box_nms" in refused(explorer, {"ask": "minds", "models": ["finished"], "box_nms": 3})


# ---- what changes a loss ----


def test_a_gradient_is_that_of_the_loss_and_leaves_the_model_alone(explorer):
    model = explorer.minds.get("finished")
    before = model.state_dict()
    image, truth = Stage(SCENE).painted(model.class_names)
    for loss in ("loss_mask", "loss_total"):
        weights = {name: float(loss in (name, "loss_total")) for name in LOSS_NAMES}
        losses, (dimage,) = maskrcnn_twin(model).loss_and_grads([image], [truth.target()], 0, weights,
                                                                return_dimages=True, batch_statistics=False)
        answer, arrays = ask(explorer, "gradient", scene=SCENE, loss=loss)
        np.testing.assert_array_equal(arrays["gradient"], np.abs(dimage).sum(axis=2))
        assert answer["high"] == arrays["gradient"].max() > 0
        assert answer["losses"] == {**losses, "loss_total": sum(losses.values())}
    assert all(parameter.grad is None for parameter in model.parameters())
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert "the nearest is 'loss_mask'" in refused(explorer, {"ask": "gradient", "scene": SCENE, "loss": "loss_masks"})


def maskrcnn_twin(model):
    return model.astype(model.dtype)


def test_training_goes_on_step_by_step_and_back_to_its_beginning():
    explorer = Explorer()
    assert "start a training" in refused(explorer, {"ask": "train", "action": "go", "scene": SCENE})
    assert "start a training" in refused(explorer, {"ask": "look", "scene": SCENE, "model": "training"})
    first, arrays = ask(explorer, "train", action="start", scene=SCENE)
    untrained, same = ask(explorer, "look", scene=SCENE, model="untrained")
    assert first["steps"] == 0 and first["model"] == "training" and first["losses"]["loss_total"] == []
    np.testing.assert_array_equal(arrays["class_scores"], same["class_scores"])
    for steps in (5, 5, 5, 5, 1):
        answer, arrays = ask(explorer, "train", action="go", scene=SCENE, steps=steps)
    assert answer["steps"] == 21 and set(answer["losses"]) == {*LOSS_NAMES, "loss_total"}
    assert all(len(values) == 21 for values in answer["losses"].values())
    total = answer["losses"]["loss_total"]
    assert total[-1] < total[0] - 0.5 and total[0] == pytest.approx(sum(answer["losses"][name][0]
                                                                        for name in LOSS_NAMES))
    _, later = ask(explorer, "look", scene=SCENE, model="training")
    np.testing.assert_array_equal(later["class_scores"], arrays["class_scores"])
    _, again = ask(explorer, "look", scene=SCENE, model="untrained")
    np.testing.assert_array_equal(again["class_scores"], same["class_scores"])      # a copy was trained
    answer, arrays = ask(explorer, "train", action="reset", scene=SCENE)
    np.testing.assert_array_equal(arrays["class_scores"], same["class_scores"])
    assert answer["steps"] == 0
    answer, _ = ask(explorer, "train", action="go", scene=SCENE)
    assert answer["steps"] == 1 and answer["losses"]["loss_total"] == total[:1]     # the very same steps


def test_training_asks_for_one_to_five_steps_and_stops_before_numbers_burst():
    explorer = Explorer()
    ask(explorer, "train", action="start", scene=SCENE, model="finished", steps=1)
    for steps in (0, 6, 2.5, "3"):
        line = refused(explorer, {"ask": "train", "action": "go", "scene": SCENE, "steps": steps})
        assert "steps of 'go' must be" in line
    assert "'stop' is no action" in refused(explorer, {"ask": "train", "action": "stop"})
    for damage in (1e30, np.nan):
        weight = explorer._training.model.rpn.head.cls_logits.weight
        weight.data[:] = damage
        assert "diverged after 1 step; reset it" in refused(explorer, {"ask": "train", "action": "go", "scene": SCENE})
        np.testing.assert_array_equal(weight.data, np.float32(damage))      # it has not moved
        ask(explorer, "train", action="reset", scene=SCENE)
        answer, _ = ask(explorer, "train", action="go", scene=SCENE)
        assert answer["steps"] == 1 and answer["detections"][0]["score"] > 0.5


WRONG = [{"score_threshold": 5}, {"rpn_nms": "0.5"}, {"roi": "worst"}, {"scene": {"width": 3}}, {"steps": 99}]


@pytest.mark.parametrize("action, wrong", [
    *((action, part) for action in ("start", "go", "reset") for part in WRONG), ("reset", {"steps": 1}),
    ("start", {"model": "mine"}), ("go", {"model": "finished"}), ("reset", {"model": "finished"})])
def test_a_training_is_not_touched_by_a_request_that_is_wrong(training_after_two_steps, action, wrong):
    explorer, losses, scores = training_after_two_steps
    assert next(iter(wrong)) in refused(explorer, {"ask": "train", "action": action, "scene": SCENE, **wrong})
    assert explorer._training.losses == losses
    _, arrays = ask(explorer, "look", scene=SCENE, model="training")
    np.testing.assert_array_equal(arrays["class_scores"], scores)


@pytest.fixture(scope="module")
def training_after_two_steps():
    explorer = Explorer()
    _, arrays = ask(explorer, "train", action="start", scene=SCENE, steps=2)
    return explorer, {name: list(values) for name, values in explorer._training.losses.items()}, arrays["class_scores"]


def test_a_start_that_diverges_leaves_the_training_that_was():
    broken = maskrcnn_tiny(num_classes=4, rng=np.random.default_rng(1))
    broken.class_names = ["background", "circle", "square", "triangle"]
    broken.rpn.head.cls_logits.weight.data[:] = np.nan
    explorer = Explorer(broken)
    ask(explorer, "train", action="start", scene=SCENE, steps=1)
    assert "diverged" in refused(explorer, {"ask": "train", "action": "start", "scene": SCENE, "model": "own",
                                            "steps": 1})
    assert ask(explorer, "train", action="go", scene=SCENE)[0]["steps"] == 2


# ---- models and pictures of one's own ----


def test_a_model_of_ones_own_stands_beside_the_others():
    model = maskrcnn_tiny(num_classes=3, rng=np.random.default_rng(1), min_size=64, max_size=64)
    explorer = Explorer(model, "mine\n.npz")
    entry = ask(explorer, "hello")[0]["models"][-1]
    assert entry == {"name": "own", "label": "mine\\n.npz", "task": "own", "note": ""}
    answer, arrays = ask(explorer, "look", scene=SCENE, model="own")
    assert answer["class_names"] == ["background", "class 1", "class 2"]
    assert [truth["label"] for truth in answer["truth"]] == [None] * 4
    np.testing.assert_allclose(arrays["anchors"][0], 2 * model.trace(arrays["image"]).anchors[0][0])   # 64 px for 128
    with pytest.raises(InputError, match="other.npz: .* of another kind"):
        Explorer(one_stage_tiny(), "other.npz")


def test_a_model_without_masks_shows_boxes():
    explorer = Explorer(fasterrcnn_tiny(rng=np.random.default_rng(1)))
    answer, arrays = ask(explorer, "look", scene=SCENE, model="own", score_threshold=0)
    assert "masks" not in arrays and answer["counts"]["detections"] > 0
    told, read = ask(explorer, "roi", detection=0)
    assert "masks" not in read and "mask_level" not in told
    assert set(ask(explorer, "gradient", scene=SCENE, model="own")[0]["losses"]) == {
        *LOSS_NAMES, "loss_total"} - {"loss_mask"}
    assert "loss_mask" in refused(explorer, {"ask": "gradient", "scene": SCENE, "model": "own", "loss": "loss_mask"})


def test_models_that_cannot_learn_or_are_broken_say_so(explorer):
    quantized = Explorer(light.quantize(explorer.minds.get("finished"), [Stage(SCENE)[0][0]]))
    ask(quantized, "look", scene=SCENE, model="own")
    for question in ({"ask": "gradient"}, {"ask": "train", "action": "start"}):
        assert "int8" in refused(quantized, {**question, "scene": SCENE, "model": "own"})
    broken = maskrcnn_twin(explorer.minds.get("finished"))
    broken.rpn.head.bbox_pred.bias.data[:] = np.nan
    broken = Explorer(broken)
    assert "not finite" in refused(broken, {"ask": "look", "scene": SCENE, "model": "own"})
    ask(broken, "look", scene=SCENE)


def as_file(picture, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


CUT_OFF = as_file(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))[:2000]


def test_a_picture_becomes_the_ground():
    explorer = Explorer()
    photo = np.zeros((300, 400, 3), np.uint8)
    photo[:, 200:] = [250, 120, 0]
    answer, arrays = explorer.answer({"ask": "picture"}, as_file(photo))
    assert answer == {"picture": 1, "width": 128, "height": 96}
    np.testing.assert_array_equal(arrays["image"][:, [5, 120]], np.broadcast_to([[0, 0, 0], [250, 120, 0]], (96, 2, 3)))
    scene = {**SCENE, "noise": 0, "picture": 1}
    _, arrays = ask(explorer, "look", scene=scene)
    assert arrays["image"][90, 120].tolist() == [250, 120, 0]
    small = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    answer, arrays = explorer.answer({"ask": "picture", "width": 31, "height": 20}, small.tobytes())
    assert answer == {"picture": 2, "width": 31, "height": 20}
    np.testing.assert_array_equal(arrays["image"], small)
    for _ in range(PICTURES_KEPT - 1):
        explorer.answer({"ask": "picture"}, as_file(photo, "JPEG"))
    assert "no picture 1 (any more)" in refused(explorer, {"ask": "look", "scene": scene})
    assert len(explorer.pictures) == PICTURES_KEPT


@pytest.mark.parametrize("blob, parts, said", [
    (b"", {}, "the picture: is empty"), (b"<html>", {}, "the picture: is not an image"),
    (b"\0" * 99, {}, "the picture: is not an image"), (CUT_OFF, {}, "the picture: is damaged"),
    (b"123", {"width": 16, "height": 16}, "has 768 bytes, got 3"), (b"123", {"width": 1, "height": 1}, "width must be"),
    (b"123", {"width": 16}, "height must be"), (b"123", {"width": 1e9, "height": 16}, "width must be")],
    ids=["empty", "html", "zeros", "cut off", "short", "small", "half a size", "huge"])
def test_what_is_no_picture_is_refused(blob, parts, said):
    explorer = Explorer()
    assert said in refused(explorer, {"ask": "picture", **parts}, blob)
    assert explorer.pictures == {}


# ---- whatever is asked ----

BAD = [None, 3, [], "look", {}, {"ask": None}, {"ask": []}, {"ask": "__init__"}, {"ask": "answer"}, {"ask": "lok"},
       {"ask": "hello", "scene": {}}, {"ask": "look", "scenes": {}}, {"ask": "look", "scene": 3},
       {"ask": "look", "model": "mine"}, {"ask": "look", "model": ["finished"]}, {"ask": "look", "model": {}},
       {"ask": "look", "score_threshold": float("nan")}, {"ask": "look", "rpn_nms": "0.5"},
       {"ask": "look", "box_nms": 10**400}, {"ask": "look", "self": 3}, {"ask": "channel"}, {"ask": "roi", "look": -1},
       {"ask": "channel", "level": [], "channel": 0}, {"ask": "channel", "level": "P2", "channel": 1e99},
       {"ask": "roi", "proposal": float("inf")}, {"ask": "roi", "proposal": -1}, {"ask": "roi", "detection": True},
       {"ask": "gradient", "loss": []}, {"ask": "gradient", "loss": "total"}, {"ask": "train"},
       {"ask": "draw", "seed": -1}, {"ask": "train", "action": {}}, {"ask": "picture", "blob": "x"},
       {"ask": "draw", "seed": "a"}, {"ask": "look", "roi": "worst"}, {"ask": "look", "roi": {}},
       {"ask": "look", "roi": {"detection": -1}}, {"ask": "look", "roi": {"proposal": 0, "detection": 0}},
       {"ask": "look", "roi": {"near": [1, 2, 3]}}, {"ask": "look", "roi": {"near": [0, 0, float("nan"), 9]}},
       {"ask": "look", "roi": {"look": 1}}, {"ask": "minds"}, {"ask": "minds", "models": [None]},
       {"ask": "minds", "models": ["finished"], "scene": 3}, {"ask": "minds", "models": ["finished"], "roi": "best"}]


def test_bad_questions_get_one_line_and_change_nothing(explorer):
    before, arrays = ask(explorer, "look", scene=SCENE)
    for request in BAD:
        refused(explorer, request)
    same, _ = ask(explorer, "channel", level="P2", channel=0, look=before["look"])      # still the last look
    after, again = ask(explorer, "look", scene=SCENE)
    assert after["detections"] == before["detections"] and same
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_garbage_in_any_place_is_answered(explorer):
    rng = np.random.default_rng(0)
    junk = [None, True, -1, 0, 3, 1e308, float("nan"), float("-inf"), 10**30, "", "x" * 10_000, "\ud800", [], [[]], {},
            {"x": {}}, "P2", "start"]
    names = [*{part for parts in QUESTIONS.values() for part in parts}, "x\n", "__class__"]
    counted = 0
    for _ in range(300):
        request = {"ask": list(QUESTIONS)[rng.integers(len(QUESTIONS))]}
        for _ in range(rng.integers(1, 4)):
            request[names[rng.integers(len(names))]] = junk[rng.integers(len(junk))]
        answer, _ = explorer.answer(request)
        counted += "error" in answer
        json.dumps(answer, allow_nan=False).encode()
    assert counted > 200


def test_bytes_are_answered_by_bytes(explorer):
    answer, arrays = unpack(explorer.reply(json.dumps({"ask": "look", "scene": SCENE}).encode()))
    assert len(answer["detections"]) == len(arrays["masks"]) > 0
    for wrong in (b"", b"{", b"\xff", b'{"ask": "look", "ask": "hello"}', b"[" * 100_000, b"9" * 10_000, b"null"):
        answer, arrays = unpack(explorer.reply(wrong))
        assert list(answer) == ["error"] and arrays == {}


@pytest.mark.parametrize("absent", [["matplotlib"], ["matplotlib", "scipy", "PIL"]], ids=" ".join)
def test_answers_need_nothing_but_numpy(absent):
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent}))
from npmaskrcnn.explore import Explorer
explorer = Explorer()
for question in ({{"ask": "hello"}}, {{"ask": "look"}}, {{"ask": "gradient"}}, {{"ask": "train", "action": "start"}}):
    assert "error" not in explorer.answer(question)[0]
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
