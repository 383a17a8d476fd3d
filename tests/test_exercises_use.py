"""Functions of the reader's in the real model: each has its place, and a wrong one is told by name."""

import functools
import importlib

import numpy as np
import pytest
from tests.scripts import script

from npmaskrcnn import InputError, exercises, ops
from npmaskrcnn.datasets.shapes import the_image

ALL = exercises.in_the_model()
USE = importlib.import_module("npmaskrcnn.exercises.use")
RUN = USE._run


@functools.cache
def run_without_functions(steps):
    return RUN(*the_image(), steps, {})


@pytest.fixture
def use(monkeypatch):
    """`exercises.use`, which lets the package alone, whose run is always the same, run once for all tests."""
    monkeypatch.setattr(USE, "_run", lambda image, target, steps, watches: (
        RUN(image, target, steps, watches) if watches else run_without_functions(steps)))
    return exercises.use


def solution(name):
    return getattr(script(f"notebooks/solutions/{name}.py"), name)


def test_all_solutions_together_are_the_model(capsys):
    used = exercises.use(steps=1, seconds=4, **{name: solution(name) for name in ALL})
    assert used.same, used.text
    assert len(ALL) == 20
    for name in ALL:
        line = next(line for line in used.text.split("\n") if line.startswith(f"{name}: "))
        assert "yours" in line and not line.startswith(f"{name}: no ")
    assert capsys.readouterr().out.rstrip("\n") == used.text


def test_wrong_function_is_named_with_its_call_and_what_comes_of_it(use):
    used = use(nms=lambda boxes, scores, threshold: np.argsort(-scores, kind="stable"), steps=1)
    assert not used.same
    assert "nms: 3 calls yours; call 1 is wrong. keep has shape (347,); expected (244,)." in used.text
    assert ("prediction: not the same. The package finds 4 objects that score 0.5 or more, and with yours there are "
            "27:\n  Found besides: the square around (87, 28)") in used.text and ", and 20 more." in used.text
    assert "weights afterwards: not the same, they differ by up to" in used.text


def test_function_that_raises_gives_way_and_says_where(use):
    def match(iou, high, low):
        raise IndexError("too far")
    used = use(match=match, steps=1)
    assert not used.same
    assert "match: yours was not used, the package's did all the work; call 1 is wrong. It raised IndexE" in used.text
    assert "IndexError: too far" in used.text
    assert "Nothing of yours was used, so all that follows is the package's.\nprediction: the same 4 obj" in used.text


def test_common_mistake_is_named_and_what_it_does_to_each_object_is_told(use):
    def rounded(feature, box, size):
        return exercises.EXERCISES["roi_align_forward"].reference(feature, np.round(box), size)

    lines = use(roi_align_forward=rounded, steps=1, seconds=60).text.split("\n")
    assert lines[1].startswith("This looks familiar: The box is rounded to whole cells")
    circle = next(line for line in lines if line.startswith("  the circle around (32, 53) has a box that is up to 1."))
    assert "pixels off, has another mask in" in circle and "has a score that is 0.0" in circle


def test_objects_that_are_not_found_are_told(use):
    text = use(decode_boxes=lambda deltas, anchors: 0 * anchors, steps=1).text
    assert "with yours there are none:" in text and "  the triangle around (58, 67) is not found." in text


def test_what_differs_below_the_scores_or_in_probabilities_only_is_told(use):
    paste = exercises.EXERCISES["paste_mask"].reference
    text = use(paste_mask=lambda *inputs: np.minimum(paste(*inputs), 0.9), steps=1).text
    assert "  the triangle around (58, 67) has a mask whose probabilities are up to 0." in text
    unsure = use(paste_mask=lambda mask, *others: paste(mask, *others) * (mask.max() > 0.9), steps=1)
    assert not unsure.same and "  they are the same, but not those that score less." in unsure.text


def test_mistake_of_which_nothing_is_seen_in_the_model_is_left_to_the_check(use):
    def with_equal(boxes, scores, iou_threshold):
        return ops.nms(boxes, scores, np.nextafter(iou_threshold, 0))
    used = use(nms=with_equal, steps=1)
    assert used.same
    assert 'equal to the package\'s. Nothing came up here that tells them apart; check("nms", nms) does.' in used.text


def test_float32_answers_are_the_same_as_far_as_float32_goes(use):
    decode = exercises.EXERCISES["decode_boxes"].reference
    used = use(decode_boxes=lambda *inputs: decode(*inputs).astype(np.float32), steps=1)
    assert used.same and "as near as float32 comes." in used.text and "prediction: the same 4 objects." in used.text


def test_answer_of_another_shape_gives_way(use):
    used = use(encode_boxes=lambda boxes, anchors: boxes[:, :2], steps=1)
    assert "deltas has shape" in used.text and not used.same


def test_slow_function_is_left_to_the_package_after_its_time(use):
    used = use(iou=solution("iou"), steps=1, seconds=0.01)
    assert used.same and "calls yours in 0.0 s, then the package's" in used.text


def test_nothing_stays_exchanged():
    before = ops._in_use.copy()
    exercises.use(nms=lambda *_: None, roi_align_backward=lambda *_: None, mask_bce=lambda *_: None, steps=1)
    assert ops._in_use == before
    assert exercises.use(steps=1).same


def test_function_may_call_the_operation_that_it_stands_for(use):
    assert use(nms=ops.nms, steps=1).same


@pytest.mark.parametrize(("functions", "message"), [
    ({"mns": print}, "use: no exercise 'mns' has a place in the model; did you mean 'nms'"),
    ({"soft_nms": print}, "use: no exercise 'soft_nms' has a place"),
    ({"nms": 3}, "use: nms must be the function itself, got 3"),
    ({"steps": 0}, "steps must be"), ({"seconds": -1}, "seconds must be")])
def test_bad_arguments_are_refused_in_one_line(functions, message):
    with pytest.raises(InputError, match=message):
        exercises.use(**functions)


def test_figure_shows_both(use):
    used = use(steps=1)
    assert used.figure().axes
