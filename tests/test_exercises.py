"""The exercises' check: it sees right answers as right, wrong ones as wrong, says what is wrong, and never raises.

Held against the solutions in `notebooks/solutions`, which never call the package's own operation, and against wrong
answers of every kind: other numbers, other types, exceptions, endless loops.
"""

import contextlib
import importlib.util
import inspect
import pathlib
import re

import numpy as np
import pytest

from npmaskrcnn import exercises
from npmaskrcnn.exercises import EXERCISES, checking
from npmaskrcnn.exercises.checking import examine
from npmaskrcnn.exercises.exercise import case, exercise

SOLUTIONS = pathlib.Path(__file__).parents[1] / "notebooks" / "solutions"


def solution(name):
    """The function of a solution file."""
    spec = importlib.util.spec_from_file_location(f"solution_{name}", SOLUTIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def stub_function(name):
    """The function of a stub, as a notebook would define it (its call of `check` has no effect here)."""
    class Silent:
        check = staticmethod(lambda *_: None)

    namespace = {"exercises": Silent}
    exec(exercises.stub_text(name), namespace)
    return namespace[name]


@pytest.mark.parametrize("name", exercises.names())
def test_a_solution_is_reported_right(name, capsys):
    report = exercises.check(name, solution(name))
    assert report.passed, report.text
    assert report.num_right == report.num_cases == len(EXERCISES[name].cases())
    assert capsys.readouterr().out.strip() == report.text


@pytest.mark.parametrize("name", exercises.names())
def test_a_solution_does_not_call_the_package(name):
    text = (SOLUTIONS / f"{name}.py").read_text()
    assert "npmaskrcnn" not in re.sub(r'""".*?"""', "", text, count=1, flags=re.DOTALL)


@pytest.mark.parametrize("name", exercises.names())
def test_a_stub_is_reported_wrong_with_its_first_input(name):
    report = exercises.check(name, stub_function(name))
    assert not report.passed and report.num_right == 0
    assert "returns nothing" in report.text
    for argument in EXERCISES[name].cases()[0].inputs:
        assert re.search(rf"^  {argument}\b", report.text, re.MULTILINE)


@pytest.mark.parametrize("name", exercises.names())
def test_an_answer_that_is_off_in_one_number_is_reported_with_its_place(name):
    right = EXERCISES[name].reference

    def off_by_a_thousandth(*arguments):
        answer = right(*arguments)
        first, *others = answer if isinstance(answer, tuple) else (answer,)
        first = np.array(first)
        if first.size:
            first.flat[-1] += 1 if first.dtype.kind in "iu" else 1e-3 * max(np.abs(first).max(), 1)
        return (first, *others) if others else first

    report = exercises.check(name, off_by_a_thousandth)
    assert not report.passed and report.num_right == 0
    output = EXERCISES[name].outputs[0]
    assert re.search(rf"\b{output}(\[[\d, ]+\])?: expected \S+, got \S+\.", report.text), report.text


TAKE_NUMBERS_ONLY = {"anchors_of_cell", "locate_anchor", "receptive_field"}


@pytest.mark.parametrize("name", [name for name in exercises.names() if name not in TAKE_NUMBERS_ONLY])
def test_the_right_answer_is_wrong_if_the_inputs_were_written_into(name):
    def meddling(*arguments):
        answer = EXERCISES[name].reference(*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.size:
                argument.flat[0] = not argument.flat[0] if argument.dtype == bool else argument.flat[0] + 1
        return answer

    report = exercises.check(name, meddling)
    assert not report.passed
    assert "changed its input" in report.text


def _raises(*_):
    raise KeyError("a mistake")


def _exits(*_):
    raise SystemExit(1)


def _recurses(*arguments):
    return _recurses(*arguments)


@pytest.mark.parametrize("name", ["conv2d_backward", "iou", "nms"])
@pytest.mark.parametrize("function, says", [
    (_raises, "raised KeyError"), (_exits, "raised SystemExit"), (_recurses, "raised RecursionError"),
    (lambda: 1, "raised TypeError"), (lambda *_: None, "returns nothing"), (lambda *_: "text", "expected|numbers"),
    (lambda *_: object(), "expected|numbers"), (lambda *_: [[1, 2], [3]], "expected|numbers"),
    (lambda *_: {}, "expected|numbers"), (lambda *_: np.zeros((7, 7, 7)), "expected"),
    (lambda *_: np.array(["a"]), "expected|numbers"), (lambda *_: (x for x in range(3)), "expected|numbers"),
    (lambda *_: np.full(3, np.nan), "expected|integers"), (lambda *_: (None, None, None), "None|expected|numbers"),
    (lambda *_: 1j, "expected|numbers"), (3, "the function itself"), (None, "the function itself")])
def test_every_way_of_going_wrong_has_its_sentence(name, function, says):
    report = exercises.check(name, function)
    assert not report.passed
    assert re.search(says, report.text), report.text


def test_a_loop_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(checking, "TIME_LIMIT", 0.1)
    monkeypatch.setattr(checking, "PATIENCE", 0.1)

    def endless(*_):
        while True:
            with contextlib.suppress(Exception):        # even one that swallows what it can
                sum(range(1000))

    report = exercises.check("nms", endless)
    assert not report.passed and "did not end" in report.text


def test_not_a_number_is_not_right():
    report = exercises.check("iou", lambda *_: np.nan)
    assert "expected 0.142857, got nan" in report.text


def test_indices_must_be_integers():
    report = exercises.check("nms", lambda *_: np.zeros(1))
    assert "keep should hold integers" in report.text


def test_an_array_of_one_number_is_shown_as_an_array():
    report = exercises.check("nms", lambda *_: np.array([0]))
    assert "Got keep:\n  [0]\n" in report.text


def test_zero_is_met_by_what_rounding_leaves_of_it():
    def by_the_chain_rule(dy, x, weight, eps):
        axes, xhat, dxhat = (0, 1, 2), x - x.mean(axis=(0, 1, 2)), dy * weight
        std = np.sqrt(x.var(axis=axes) + eps)
        dvar = (dxhat * xhat).sum(axis=axes) / (-2 * std ** 3)
        dx = dxhat / std - dxhat.mean(axis=axes) / std + 2 * dvar * xhat * len(weight) / x.size
        return dx, (dy * xhat / std).sum(axis=axes), dy.sum(axis=axes)

    report = exercises.check("batch_norm_backward", by_the_chain_rule)
    assert report.passed, report.text


def test_a_float32_answer_is_right_to_the_precision_of_float32_and_told_so():
    right = EXERCISES["encode_boxes"].reference
    report = exercises.check("encode_boxes", lambda boxes, anchors: right(boxes, anchors).astype(np.float32))
    assert report.passed and "below 1e-05 of the largest number, as asked for where an answer is float32" in report.text
    report = exercises.check("encode_boxes", lambda *inputs: (right(*inputs) * (1 + 1e-4)).astype(np.float32))
    assert not report.passed


def test_what_was_float32_on_the_way_is_shown_with_the_digits_in_which_it_differs():
    right = EXERCISES["encode_boxes"].reference
    report = exercises.check("encode_boxes", lambda *inputs: right(*inputs).astype(np.float32).astype(float))
    assert not report.passed and "Was something made float32 on the way?" in report.text
    assert re.search(r"They are \de-\d\d apart, where \de-\d\d is allowed", report.text)
    expected, got = re.search(r"expected (\S+), got (\S+)\. ", report.text).groups()
    assert expected != got and "To think about" not in report.text and "Expected deltas" not in report.text


def test_the_report_says_where_the_function_raised():
    report = exercises.check("iou", _raises)
    assert 'in _raises, line' in report.text and 'raise KeyError("a mistake")' in report.text


def test_a_large_array_is_shown_around_its_worst_place_only():
    num_cases = len(EXERCISES["paste_mask"].cases())

    def wrong_in_large_images(mask, box, image_size):
        pasted = EXERCISES["paste_mask"].reference(mask, box, image_size)
        if image_size == (40, 60):
            pasted[20, 30] = 9
        return pasted

    report = exercises.check("paste_mask", wrong_in_large_images)
    assert report.num_right == num_cases - 1
    assert "pasted[20, 30]" in report.text and "Expected pasted[19:22, 29:32]:" in report.text
    assert len(report.text) < 1500


@pytest.mark.parametrize("name", exercises.names())
def test_what_to_think_about_comes_second_and_arrays_are_short(name):
    right, tried = EXERCISES[name].reference, EXERCISES[name].cases()
    for i, wanted in enumerate(tried):
        def wrong(*inputs, wanted=wanted):
            answer = right(*inputs)
            first, *others = answer if isinstance(answer, tuple) else (answer,)
            if all(np.array_equal(given, value) for given, value in zip(inputs, wanted.inputs.values(), strict=True)):
                first = np.array(first) + 1 if np.size(first) else np.zeros((1, *np.shape(first)[1:]), int)
            return (first, *others) if others else first

        report = examine(EXERCISES[name], wrong)
        lines = report.text.split("\n")
        assert report.num_right == i and len(lines) <= 70
        if wanted.hint:
            assert lines[1] == f"To think about: {wanted.hint}" or lines[1].startswith("This looks familiar: ")


def test_small_differences_are_shown_with_enough_decimals():
    with pytest.raises(checking.Wrong) as wrong:
        checking.compare([np.array([[1.2e-5, 3e-5]])], np.array([[1.25e-5, 3e-5]]), EXERCISES["encode_boxes"])
    assert "[0.0000125 0.00003  ]" in str(wrong.value) and "[0.000012 0.00003 ]" in str(wrong.value)


@pytest.mark.parametrize("function, says", [
    (lambda *_: None, "returns nothing"), (lambda boxes, scores, threshold: boxes + None, "raised TypeError"),
    (lambda *_: unknown, "raised NameError"), (lambda *_: np.zeros(1), "integers"),  # noqa: F821
    (lambda *_: "text", "numbers"), (lambda *_: np.zeros((1, 1, 1), int), "expected (1,)"),
    (lambda boxes, scores, threshold: boxes @ boxes, "raised ValueError")])
def test_a_hint_is_only_given_where_it_has_to_do_with_the_numbers(function, says):
    report = exercises.check("nms", function)
    assert says in report.text and "To think about" not in report.text


def test_no_hint_follows_a_changed_input_or_a_loop_without_end(monkeypatch):
    monkeypatch.setattr(checking, "TIME_LIMIT", 0.1)
    monkeypatch.setattr(checking, "PATIENCE", 0.1)

    def changes(logits, labels, targets):
        answer = EXERCISES["mask_bce"].reference(logits, labels, targets)
        logits += 1
        return answer

    def endless(*_):
        while True:
            pass

    for function in (changes, endless):
        report = exercises.check("mask_bce", function)
        assert not report.passed and "To think about" not in report.text


def test_a_hint_follows_where_only_this_case_raises():
    def no_empty(boxes, scores, iou_threshold):
        assert_some = scores.max()      # of nothing: ValueError
        return EXERCISES["nms"].reference(boxes, scores, iou_threshold) + 0 * int(assert_some)

    report = exercises.check("nms", no_empty)
    assert "raised ValueError" in report.text and "To think about: an empty array of integers" in report.text


def test_a_shape_is_told_in_words():
    right = EXERCISES["decode_boxes"].reference
    text = exercises.check("decode_boxes", lambda *inputs: right(*inputs).T).text
    assert "boxes has shape (4, 1); expected (1, 4). Rows and columns have changed places." in text
    assert "Expected boxes:\n  [[ 0.  0. 10. 20.]]" in text and "Got boxes:\n  [[ 0.]\n" in text
    assert "iou has shape (1,); expected one number." in exercises.check("iou", lambda *_: np.zeros(1)).text
    assert "keep is one number; expected (1,)." in exercises.check("nms", lambda *_: 0).text


def test_integers_have_a_first_wrong_one_and_others_a_worst():
    text = exercises.check("nms", lambda *inputs: EXERCISES["nms"].reference(*inputs) + 1).text
    assert "keep[0]: expected 0, got 1" in text
    text = exercises.check("match", lambda *inputs: np.zeros(inputs[0].shape[1], int)).text
    assert "2 of 3 numbers are wrong; the first is matches[1]: expected -2, got 0." in text
    text = exercises.check("box_from_mask", lambda mask: [2, 1, 3, 7]).text
    assert "1 of 4 numbers is wrong; the worst is box[3]: expected 2, got 7." in text


def test_name_and_function_may_change_places():
    assert exercises.check(solution("iou"), "iou").passed


def test_an_unknown_name_lists_the_known_ones(capsys):
    report = exercises.check("nsm", lambda: None)
    assert not report.passed
    for text in (report.text, exercises.statement("nsm")):
        assert "Did you mean 'nms'" in text and "average_precision" in text
    exercises.stub("nsm")
    assert "average_precision" in capsys.readouterr().out


def test_a_stub_prints_the_cell(capsys):
    exercises.stub("iou")
    out = capsys.readouterr().out
    assert out.startswith("def iou(box1, box2):") and out.strip().endswith('exercises.check("iou", iou)')


def test_every_exercise_begins_with_a_small_input():
    for name, given in EXERCISES.items():
        numbers = sum(np.size(value) for value in given.cases()[0].inputs.values())
        assert numbers <= 40, name


@exercise("low", "high")
def ends(numbers):
    """numbers (N,) -> the smallest
    and the largest of them.

    Where do the numbers begin, and where do they end?

    N is at least 1.

    Hints
    -----
    - Sort them - or
      do not.
    - `numbers.min()`.
    """
    return numbers.min(), numbers.max()


@ends.tried_on
def _():
    yield case("one number", "it is both", numbers=np.array([3.0]))
    yield case("three numbers", numbers=np.array([3.0, 1.0, 2.0]))


def test_an_exercise_is_read_off_the_function_with_the_right_answer():
    assert ends.name == "ends" and ends.outputs == ("low", "high") and ends.reference(np.arange(3)) == (0, 2)
    assert ends.stub == '''def ends(numbers):
    """numbers (N,) -> the smallest
    and the largest of them."""
    ...  # return low, high'''
    assert ends.statement == "Where do the numbers begin, and where do they end?\n\nN is at least 1."
    assert ends.hints == ("Sort them - or do not.", "`numbers.min()`.")
    assert [tried.about for tried in ends.cases()] == ["one number", "three numbers"]
    assert [tried.hint for tried in ends.cases()] == ["it is both", ""]
    assert examine(ends, lambda numbers: (min(numbers), max(numbers))).passed
    wrong = examine(ends, lambda numbers: (numbers[0], numbers[-1]))
    assert wrong.num_right == 1 and "low: expected 1, got 3." in wrong.text


@pytest.mark.parametrize("name", exercises.names())
def test_a_function_is_given_the_inputs_in_the_order_of_its_arguments(name):
    arguments = list(inspect.signature(EXERCISES[name].reference).parameters)
    assert all(list(tried.inputs) == arguments for tried in EXERCISES[name].cases())


def test_every_exercise_has_a_statement_and_hints():
    for given in EXERCISES.values():
        assert len(given.statement) > 80 and given.hints
        assert given.stub.count("\n") + 3 <= 15      # with the check, one cell


@pytest.mark.parametrize("name", [[], ["nms"], None, 3, {}])
def test_what_is_no_name_is_told_and_not_raised(name, capsys):
    assert not exercises.check(name, len).passed
    exercises.stub(name)
    assert "There is no exercise" in exercises.statement(name)
    assert capsys.readouterr().out.count("There is no exercise") == 2


def test_a_name_in_capitals_is_guessed(capsys):
    exercises.check("IOU", len)
    assert "Did you mean 'iou'?" in capsys.readouterr().out


def test_an_exception_whose_message_is_broken_is_reported():
    class Broken(Exception):
        def __str__(self):
            return 1 / 0

    def broken(*_):
        raise Broken

    assert "raised Broken: (its own message raises ZeroDivisionError)" in exercises.check("iou", broken).text
