"""Common mistakes are recognized: each is wrong, and is answered in its own words."""

import warnings

import numpy as np
import pytest

from npmaskrcnn import exercises
from npmaskrcnn.exercises.checking import examine
from npmaskrcnn.exercises.exercise import case, exercise

MISTAKES = [(name, about, function) for name, exercise in exercises.EXERCISES.items()
            for about, function in exercise.mistakes]


@pytest.mark.parametrize("name", exercises.names())
def test_every_exercise_knows_three_mistakes_or_more(name):
    assert len({about for about, _ in exercises.EXERCISES[name].mistakes}) >= 3


@pytest.mark.parametrize("name", exercises.names())
def test_what_is_said_about_a_mistake_is_short(name):
    assert all(30 < len(about) <= 160 for about, _ in exercises.EXERCISES[name].mistakes)


@pytest.mark.parametrize(("name", "about", "function"), MISTAKES,
                         ids=[f"{name}-{about[:30]}" for name, about, _ in MISTAKES])
def test_mistake_is_told_in_its_own_words(name, about, function, capsys):
    assert not exercises.check(name, function).passed
    assert f"This looks familiar: {about}" in capsys.readouterr().out


@exercise("largest", "total")
def of_numbers(numbers):
    """numbers (N,) -> the largest, the sum.

    What is the largest of some numbers, and what is their sum?
    """
    return float(numbers.max(initial=-1)), float(numbers.sum())


@of_numbers.tried_on
def _():
    yield case("one", "hint 1", numbers=np.array([2.0]))
    yield case("two", "hint 2", numbers=np.array([3.0, 5.0]))
    yield case("three", "hint 3", numbers=np.array([1.0, 4.0, 9.0]))
    yield case("none", "hint 4", numbers=np.array([]))


@of_numbers.mistake("It is the first.")
def _(numbers):
    return numbers[0] if len(numbers) else -1.0, numbers.sum()


@of_numbers.mistake("It is the first, twice.")
def _(numbers):
    return (numbers[0], numbers[0]) if len(numbers) else (-1.0, 0.0)


@pytest.mark.parametrize(("function", "named"), [
    (lambda x: (x[0], x.sum()), "It is the first."),                                    # raises for no number
    (lambda x: (x[0] if len(x) else np.nan, x.sum()), "It is the first."),
    (lambda x: (x[0] if len(x) else 7, x.sum()), "It is the first."),                   # empty cases decide nothing
    (lambda x: (x[0] if len(x) else -1, x.mean()), "It is the first."),                 # besides, another output
    (lambda x: (x[0], x[0]) if len(x) else (-1, 0), "It is the first, twice."),
    (lambda x: (np.float32(x[0]) if len(x) else -1, np.float32(x.sum())), "It is the first."),
    (lambda x: (x[0] if len(x) < 3 else x[1], x.sum()), ""),                            # not on all cases
    (lambda x: (x[0] if len(x) < 3 else x.max(), x.sum()), ""),
    (lambda x: (x.max(initial=-1), x[0] if len(x) else 0), ""),                         # not all that it changes
    (lambda x: (x.max(initial=-1), x.mean() if len(x) else 0), ""),
    (lambda x: (x.sum(), x.max(initial=-1)), "in another order. It must be: `return largest, total`.")])
def test_mistake_is_named_only_where_it_gives_the_answers_on_all_cases(function, named):
    report = examine(of_numbers, function)
    assert not report.passed and named in report.named and bool(named) == bool(report.named)
    verdict = f"This looks familiar: {report.named}" if named else f"To think about: hint {report.num_right + 1}"
    assert report.text.split("\n")[1] == verdict


@pytest.mark.parametrize("name", ["conv2d_backward", "fpn_merge", "locate_anchor", "mask_bce", "sgd_step"])
def test_outputs_in_another_order_are_noticed(name):
    wanted = exercises.EXERCISES[name]
    report = examine(wanted, lambda *inputs: (*wanted.reference(*inputs)[1:], wanted.reference(*inputs)[0]))
    assert f"`return {', '.join(wanted.outputs)}`" in report.named


def test_mistake_that_nobody_knows_gets_the_hint_of_its_case(capsys):
    exercises.check("nms", lambda boxes, scores, iou_threshold: scores.argsort()[:0])
    assert "To think about: it is kept" in capsys.readouterr().out


def _answer(name, change):
    """The right answer, changed."""
    return lambda *arguments: change(exercises.EXERCISES[name].reference(*arguments))


def test_right_numbers_of_the_wrong_kind_are_no_mistake_of_another_kind(capsys):
    exercises.check("nms", _answer("nms", lambda keep: keep.astype(float)))
    out = capsys.readouterr().out
    assert "should hold integers" in out and "This looks familiar" not in out


def test_mistake_is_known_from_the_outputs_that_are_wrong(capsys):
    def mean_without_gradient(pred, target, beta):
        loss, dpred = exercises.EXERCISES["smooth_l1"].reference(pred, target, beta)
        return loss / max(pred.size, 1), dpred

    exercises.check("smooth_l1", mean_without_gradient)
    assert "This looks familiar: The loss is the mean" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [tuple, list])
def test_mistake_is_known_whatever_holds_the_numbers(kind, capsys):
    exercises.check("box_from_mask", _answer("box_from_mask", lambda box: kind(box[[1, 0, 3, 2]])))
    assert "This looks familiar: The box is (y1, x1, y2, x2)" in capsys.readouterr().out
    exercises.check("marked_pixel", _answer("marked_pixel", lambda four: kind([*four[:2], four[3], four[2]])))
    assert "This looks familiar: x comes from the row" in capsys.readouterr().out


def test_what_a_function_prints_and_warns_of_is_not_repeated(capsys, recwarn):
    def speaks(boxes, scores, iou_threshold):
        print("now I sort")
        warnings.warn("scores", stacklevel=1)
        return scores.argsort()[:0]

    exercises.check("nms", speaks)
    assert capsys.readouterr().out.count("now I sort") == len(recwarn) == 1


def test_function_that_raises_or_never_ends_is_not_tried_on_all_cases_again():
    calls = []

    def raises(*_):
        calls.append(1)
        raise ValueError

    exercises.check("nms", raises)
    assert len(calls) == 2
