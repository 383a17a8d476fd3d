"""Common mistakes are recognized: each is wrong, and is answered in its own words."""

import warnings

import pytest

from npmaskrcnn import exercises

MISTAKES = [(name, about, function) for name, exercise in exercises.EXERCISES.items()
            for about, function in exercise.mistakes]


@pytest.mark.parametrize("name", exercises.names())
def test_every_exercise_knows_three_to_five_mistakes(name):
    assert 3 <= len({about for about, _ in exercises.EXERCISES[name].mistakes}) <= 5


@pytest.mark.parametrize("name", exercises.names())
def test_what_is_said_about_a_mistake_is_short(name):
    assert all(30 < len(about) <= 160 for about, _ in exercises.EXERCISES[name].mistakes)


@pytest.mark.parametrize(("name", "about", "function"), MISTAKES,
                         ids=[f"{name}-{about[:30]}" for name, about, _ in MISTAKES])
def test_mistake_is_told_in_its_own_words(name, about, function, capsys):
    assert not exercises.check(name, function).passed
    assert f"This looks familiar: {about}" in capsys.readouterr().out


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
