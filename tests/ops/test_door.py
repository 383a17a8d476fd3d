"""Which form of an operation runs: the fast one, the plain one or somebody's own; for how long; and who calls it.

Own functions that stand in for others are told from the package's by what they return, or by being called at all.
"""

import ast
import inspect
import threading
from pathlib import Path

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import fast, ops
from npmaskrcnn.errors import InputError
from npmaskrcnn.fast import memory, threads
from npmaskrcnn.plain import boxes as plain_boxes
from npmaskrcnn.plain import conv as plain_conv
from npmaskrcnn.plain import nms as plain_nms
from npmaskrcnn.plain import roi_align as plain_roi_align

PACKAGE = Path(npmaskrcnn.__file__).parent
BOXES = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
SCORES, IDXS = np.array([0.6, 0.9, 0.8]), np.array([0, 0, 1])
IMAGE, WEIGHT = np.arange(12.0).reshape(1, 3, 4, 1), np.ones((2, 2, 1, 1))


def say(word):
    return lambda *args, **kwargs: word


def forms_in_use():
    return dict(ops._in_use), {name: vars(module).get(name) for module in ops._modules.values() for name in ops._plain}


@pytest.fixture(autouse=True)
def everything_is_as_before():
    before = forms_in_use()
    yield
    assert forms_in_use() == before


def test_operations_are_fast_by_default_and_show_their_plain_form():
    assert ops._in_use["nms"] is fast.nms
    assert ops._in_use["sigmoid"] is ops._plain["sigmoid"]      # has no quicker form
    assert ops.nms.__doc__ == plain_nms.nms.__doc__ and ops.nms.__name__ == "nms"
    assert inspect.signature(ops.conv2d_forward) == inspect.signature(plain_conv.conv2d_forward)
    assert set(ops.__all__) <= set(dir(ops))


def test_in_the_plain_hand_no_fast_form_is_in_use():
    with ops.plain():
        assert ops._in_use == ops._plain
        with ops.plain():
            pass
        assert ops._in_use == ops._plain


def test_one_function_obeys_wherever_it_was_imported_from():
    from npmaskrcnn.ops import nms
    with ops.using(nms=say("mine")):
        assert nms(BOXES, SCORES, 0.5) == ops.nms(BOXES, SCORES, 0.5) == "mine"
    np.testing.assert_array_equal(nms(BOXES, SCORES, 0.5), [1, 2])


def test_other_threads_obey_too():
    heard = []
    with ops.using(nms=say("mine")):
        thread = threading.Thread(target=lambda: heard.append(ops.nms(BOXES, SCORES, 0.5)))
        thread.start()
        thread.join()
    assert heard == ["mine"]


@pytest.mark.parametrize("opened", [lambda: ops.using(nms=say("mine")), ops.plain])
def test_an_error_ends_the_block_too(opened):
    with pytest.raises(ZeroDivisionError), opened():
        raise ZeroDivisionError
    # and `everything_is_as_before`


def test_the_inner_block_wins_and_the_outer_comes_back():
    with ops.using(nms=say("outer"), sigmoid=say("outer too")):
        with ops.using(nms=say("inner")):
            assert ops.nms() == "inner" and ops.sigmoid() == "outer too"
        assert ops.nms() == "outer"


def test_the_same_replacement_twice_is_still_in_its_place():
    mine = say("mine")
    with ops.using(nms=mine), ops.using(nms=say("between")):
        with ops.using(nms=mine):
            assert ops.nms() == "mine"
        assert ops.nms() == "between"


def test_own_functions_stay_within_and_around_the_plain_hand():
    with ops.plain(), ops.using(nms=say("mine")):
        assert ops.nms() == "mine" and ops._in_use["box_iou"] is plain_boxes.box_iou
    with ops.using(nms=say("mine")), ops.plain():
        assert ops.nms() == "mine" and ops._in_use["box_iou"] is plain_boxes.box_iou


@pytest.mark.parametrize("is_plain", [False, True])
class TestCallsBetweenOperations:
    @pytest.fixture(autouse=True)
    def chosen_hand(self, is_plain):
        if is_plain:
            with ops.plain():
                yield
        else:
            yield

    def test_own_nms_reaches_batched_nms(self):
        def keep_first(boxes, scores, iou_threshold):
            return np.array([0])
        with ops.using(nms=keep_first):
            np.testing.assert_array_equal(ops.batched_nms(BOXES, SCORES, IDXS, 0.5), [0])
            np.testing.assert_array_equal(ops.batched_nms_best(BOXES, SCORES, IDXS, 0.5, 7), [0])

    def test_own_batched_nms_reaches_its_best(self):
        with ops.using(batched_nms=say([5, 4, 3])):
            assert ops.batched_nms_best(BOXES, SCORES, IDXS, 0.5, 2) == [5, 4]

    def test_own_iou_reaches_every_suppression(self):
        with ops.using(box_iou=lambda boxes1, boxes2: np.ones((len(boxes1), len(boxes2)))):
            np.testing.assert_array_equal(ops.nms(BOXES, SCORES, 0.5), [1])
            np.testing.assert_array_equal(ops.batched_nms(BOXES, SCORES, IDXS, 0.5), [1])
            np.testing.assert_array_equal(ops.batched_nms_best(BOXES, SCORES, IDXS, 0.5, 7), [1])

    def test_own_forward_alone_meets_the_plain_backward(self):
        def mine(x, weight, bias=None, stride=1, padding=0, groups=1):
            y, cache = plain_forward(x, weight, bias, stride, padding, groups)
            return y + 100, cache
        plain_forward = plain_conv.conv2d_forward
        with ops.using(conv2d_forward=mine):
            assert ops._in_use["conv2d_backward"] is plain_conv.conv2d_backward
            y, cache = ops.conv2d_forward(IMAGE, WEIGHT)
            np.testing.assert_array_equal(y[0, 0], [[110], [114], [118]])
            np.testing.assert_array_equal(ops.conv2d(IMAGE, WEIGHT), y)
            np.testing.assert_array_equal(ops.conv2d_add_relu(IMAGE, WEIGHT, shortcut=-y), np.zeros(y.shape))
            dweight, _ = ops.conv2d_weight_gradient(np.ones(y.shape), cache)
            np.testing.assert_array_equal(dweight[:, :, 0, 0], [[18, 24], [42, 48]])

    def test_own_backward_alone_takes_the_plain_cache(self):
        def mine(dy, cache):
            x, weight, has_bias, stride, padding, groups = cache
            return "dx", (stride, padding, groups), has_bias
        with ops.using(conv2d_backward=mine):
            y, cache = ops.conv2d_forward(IMAGE, WEIGHT, None, 2, (0, 1))
            assert ops.conv2d_backward(y, cache) == ("dx", ((2, 2), (0, 1), 1), False)
            assert ops.conv2d_weight_gradient(y, cache) == (((2, 2), (0, 1), 1), False)

    def test_own_pair_may_have_a_cache_of_its_own(self):
        with ops.using(conv2d_forward=say((7, "my cache")), conv2d_backward=lambda dy, cache: (1, 2, cache)):
            assert ops.conv2d(IMAGE, WEIGHT) == 7
            assert ops.conv2d_weight_gradient(None, ops.conv2d_forward()[1]) == (2, "my cache")

    def test_half_of_an_inner_pair_does_not_mix_with_an_outer_pair(self):
        with (ops.using(conv2d_forward=say((7, "my cache")), conv2d_backward=say("mine")),
              ops.using(conv2d_backward=say("inner"))):
            assert ops._in_use["conv2d_forward"] is plain_conv.conv2d_forward

    def test_own_backward_of_regions_takes_the_plain_cache_and_the_forms_without_cache_follow(self):
        rois = np.array([[0, 0.0, 0, 2, 2]])
        with ops.using(roi_align_backward=lambda dy, cache: type(cache)):
            _, cache = ops.roi_align_forward(IMAGE, rois, 2, sampling_ratio=2)
            assert ops.roi_align_backward(None, cache) is plain_roi_align.RoIAlignCache
        with ops.using(roi_align_forward=say(("y", "cache")), roi_pool_forward=say(("pooled", "cache")),
                       resize_bilinear=say("resized")):
            assert ops.roi_align(IMAGE, rois, 2) == "y" and ops.roi_pool(IMAGE, rois, 2) == "pooled"
            assert ops.resize_bilinear_forward(IMAGE, (3, 3))[0] == "resized"

    def test_own_softmax_reaches_the_loss(self):
        _, cache = ops.softmax_cross_entropy_forward(np.zeros((1, 2)), np.array([1]))
        with ops.using(softmax=lambda x: np.full(x.shape, 0.25)):
            np.testing.assert_array_equal(ops.softmax_cross_entropy_backward(1.0, cache), [[0.25, -0.75]])

    def test_own_relu_reaches_the_end_of_a_block(self):
        with ops.using(relu_forward=lambda x: (x + 1000, None)):
            np.testing.assert_array_equal(ops.conv2d_add_relu(IMAGE, WEIGHT), ops.conv2d(IMAGE, WEIGHT) + 1000)


def test_what_is_not_concerned_stays_fast():
    with ops.using(nms=say("mine")):
        assert ops._in_use["box_iou"] is fast.box_iou
        assert ops._in_use["conv2d_forward"] is fast.conv2d_forward


def test_an_unknown_name_is_an_error_that_names_the_nearest():
    with pytest.raises(InputError, match="'con2d_forward'.*'conv2d_forward'"), ops.using(con2d_forward=say("mine")):
        pass
    with pytest.raises(InputError, match="'plain'"), ops.using(nms=say("mine"), plain=say("mine")):
        pass


def test_what_cannot_be_called_is_an_error():
    with pytest.raises(InputError, match="nms must be a function, got 0.5"), ops.using(nms=0.5):
        pass


def test_nothing_to_use_changes_nothing():
    with ops.using():
        assert ops._in_use["nms"] is fast.nms


# ---- a whole pass ----


@pytest.fixture
def two_cores(monkeypatch):
    """As if NumPy's products used two threads, and the memory's owner could be asked."""
    asked = []
    monkeypatch.setattr(threads._product_threads, "get", lambda: 2)
    monkeypatch.setattr(threads._product_threads, "set", lambda number: asked.append(number))
    monkeypatch.setattr("npmaskrcnn.fast.passes.keep_freed_memory", lambda: asked.append("keep"))
    return asked


LARGE = 3 * 512 * 512


@pytest.mark.parametrize("numbers, training, expected", [
    (LARGE, False, ["keep"]),               # a small prediction: nothing is worth sharing out
    (LARGE + 1, False, ["keep", 1, 2]),     # one thread a product, and two again at the end
    (1, True, ["keep", 1, 2]),
])
def test_a_whole_pass_gives_each_core_its_own_work_where_that_is_worthwhile(two_cores, numbers, training, expected):
    with ops.whole_pass(numbers, training=training):
        assert threads._cores == (2 if 1 in expected else 1)
    assert two_cores == expected and threads._cores == 1


def test_whole_passes_may_be_nested(two_cores):
    with ops.whole_pass(LARGE, training=True):
        with ops.whole_pass(10), ops.whole_pass(LARGE, training=True):
            assert threads._cores == 2
        assert threads._cores == 2
    assert [number for number in two_cores if number != "keep"] == [1, 2]


def test_in_the_plain_hand_a_whole_pass_changes_nothing(two_cores):
    with ops.plain(), ops.whole_pass(10 * LARGE), ops.whole_pass(10, training=True):
        assert threads._cores == 1
    assert two_cores == []


def test_a_whole_pass_is_over_after_an_error(two_cores):
    with pytest.raises(KeyboardInterrupt), ops.whole_pass(LARGE, training=True):
        raise KeyboardInterrupt
    assert threads._cores == 1


def test_pieces_are_shared_out_within_a_whole_pass(monkeypatch):
    monkeypatch.setattr(threads, "_cores", 2)
    meeting = threading.Barrier(2, timeout=20)      # broken, and an error, unless two threads come

    def work(piece):
        if piece in (0, 8):
            meeting.wait()
        done.append(piece)

    done = []
    ops.for_each(work, range(16))
    assert sorted(done) == list(range(16))
    with ops.plain():
        done.clear()
        ops.for_each(done.append, range(16))
        assert done == list(range(16))


def test_memory_is_kept_for_real():
    assert fast.passes.keep_freed_memory is memory.keep_freed_memory


# ---- what each folder may know ----


def imported_by(file):
    """Names of the modules that a file imports; those of the package begin with a dot or with its name."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


OUTSIDE = {"numpy", "scipy", "scipy.sparse", "typing", "math", "contextlib"}
ALLOWED = {
    "plain": OUTSIDE | {f".{file.stem}" for file in (PACKAGE / "plain").glob("*.py")},
    "fast": OUTSIDE | {f".{file.stem}" for file in (PACKAGE / "fast").glob("*.py")}
            | {"..plain"} | {f"..plain.{file.stem}" for file in (PACKAGE / "plain").glob("*.py")}
            | {"ctypes", "functools", "importlib.util", "os", "sys", "threading", "types"},
}


@pytest.mark.parametrize("folder", ["plain", "fast"])
def test_a_folder_knows_only_what_lies_below_it(folder):
    files = list((PACKAGE / folder).glob("*.py"))
    assert len(files) > 8
    for file in files:
        assert set(imported_by(file)) <= ALLOWED[folder], file


def test_the_door_knows_the_hands_and_the_errors_only():
    assert set(imported_by(PACKAGE / "ops.py")) == {"contextlib", "difflib", "functools", "importlib", "numpy",
                                                    ".", ".errors"}
