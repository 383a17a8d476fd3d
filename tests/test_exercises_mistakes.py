"""Common mistakes are recognized: each is wrong, and is answered in its own words."""

import pytest

from npmaskrcnn import exercises

MISTAKES = [(name, about, function) for name, exercise in exercises.EXERCISES.items()
            for about, function in exercise.mistakes]


@pytest.mark.parametrize("name", [name for name in exercises.names() if exercises.EXERCISES[name].mistakes])
def test_exercise_knows_three_mistakes(name):
    assert len(exercises.EXERCISES[name].mistakes) >= 3


@pytest.mark.parametrize(("name", "about", "function"), MISTAKES,
                         ids=[f"{name}-{about[:30]}" for name, about, _ in MISTAKES])
def test_mistake_is_told_in_its_own_words(name, about, function, capsys):
    assert not exercises.check(name, function).passed
    assert f"This looks familiar: {about}" in capsys.readouterr().out


def test_mistake_that_nobody_knows_gets_the_hint_of_its_case(capsys):
    exercises.check("nms", lambda boxes, scores, iou_threshold: scores.argsort()[:0])
    assert "To think about: it is kept" in capsys.readouterr().out
