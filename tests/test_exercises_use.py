"""Functions of the reader's in the real model: each has its place, and a wrong one is told by name."""

import numpy as np
import pytest
from tests.scripts import script

from npmaskrcnn import InputError, exercises, ops

ALL = exercises.in_the_model()


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


def test_wrong_function_is_named_with_its_call_and_what_comes_of_it():
    used = exercises.use(nms=lambda boxes, scores, threshold: np.argsort(-scores, kind="stable"), steps=1)
    assert not used.same
    assert "nms: 3 calls yours; call 1 is wrong. keep has shape (347,); expected (244,)." in used.text
    assert "prediction: not the same" in used.text


def test_function_that_raises_gives_way_and_says_where():
    def match(iou, high, low):
        raise IndexError("too far")
    used = exercises.use(match=match, steps=1)
    assert not used.same
    assert "match: no call yours, then the package's" in used.text and "IndexError: too far" in used.text
    assert "prediction: the same" in used.text


def test_answer_of_another_shape_gives_way():
    used = exercises.use(encode_boxes=lambda boxes, anchors: boxes[:, :2], steps=1)
    assert "deltas has shape" in used.text and not used.same


def test_slow_function_is_left_to_the_package_after_its_time():
    used = exercises.use(iou=solution("iou"), steps=1, seconds=0.01)
    assert used.same and "calls yours in 0.0 s, then the package's" in used.text


def test_nothing_stays_exchanged():
    before = ops._in_use.copy()
    exercises.use(nms=lambda *_: None, roi_align_backward=lambda *_: None, mask_bce=lambda *_: None, steps=1)
    assert ops._in_use == before
    assert exercises.use(steps=1).same


def test_function_may_call_the_operation_that_it_stands_for():
    assert exercises.use(nms=ops.nms, steps=1).same


@pytest.mark.parametrize(("functions", "message"), [
    ({"mns": print}, "use: no exercise 'mns' has a place in the model; did you mean 'nms'"),
    ({"soft_nms": print}, "use: no exercise 'soft_nms' has a place"),
    ({"nms": 3}, "use: nms must be the function itself, got 3"),
    ({"steps": 0}, "steps must be"), ({"seconds": -1}, "seconds must be")])
def test_bad_arguments_are_refused_in_one_line(functions, message):
    with pytest.raises(InputError, match=message):
        exercises.use(**functions)


def test_figure_shows_both():
    used = exercises.use(steps=1)
    assert used.figure().axes
