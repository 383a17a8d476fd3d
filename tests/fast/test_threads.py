"""Pieces of work shared out among cores: every piece once, in order, and the same results as one core gives.

Three cores are pretended, whatever the machine has. Operations on three are held against the same on one, the number
of threads that OpenBLAS is left with against what it was before, and errors against those that a piece raised.
"""

import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn import ops
from npmaskrcnn.fast import conv, threads
from npmaskrcnn.fast.threads import products_on_one_core, spread_over_cores


@pytest.fixture
def three_cores(monkeypatch):
    """As if `products_on_one_core` had been opened on a machine with three cores."""
    monkeypatch.setattr(threads, "_cores", 3)


def test_elsewhere_the_caller_does_all_pieces():
    assert spread_over_cores(lambda part: (list(part), threading.get_ident()), range(100)) == [
        (list(range(100)), threading.get_ident())]


@pytest.mark.parametrize("count", [6, 7, 100])
def test_parts_are_consecutive_and_done_by_different_threads(three_cores, count):
    meeting = threading.Barrier(3, timeout=20)      # broken, and an error, unless three threads come

    def work(part):
        meeting.wait()
        return list(part)
    parts = spread_over_cores(work, range(count))
    assert len(parts) == 3 and sum(parts, []) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("count, fewest, parts", [(0, 2, 1), (3, 2, 1), (4, 2, 2), (29, 10, 2), (9, 10, 1)])
def test_few_pieces_stay_with_few_cores(three_cores, count, fewest, parts):
    assert len(spread_over_cores(list, range(count), fewest)) == parts


def test_an_error_in_another_thread_reaches_the_caller(three_cores):
    def work(part):
        if 5 in part:
            raise ZeroDivisionError("piece 5")
    with pytest.raises(ZeroDivisionError, match="piece 5"):
        spread_over_cores(work, range(6))


def test_an_error_waits_until_the_other_threads_are_done(three_cores):
    may_go_on, done = threading.Event(), []

    def work(part):
        if 0 in part:
            threading.Timer(0.2, may_go_on.set).start()
            raise ZeroDivisionError
        assert may_go_on.wait(20)
        done.append(part)
    with pytest.raises(ZeroDivisionError):
        spread_over_cores(work, range(6))
    assert sorted(map(list, done)) == [[2, 3], [4, 5]]


@pytest.mark.parametrize("what", ["raise", "ignore"])
def test_other_threads_treat_an_overflow_as_the_caller_does(three_cores, what):
    def work(part):
        return np.float32(1e38) * np.full(1, 10 if 5 in part else 1, np.float32)
    with np.errstate(over=what), warnings.catch_warnings():
        warnings.simplefilter("error")
        if what == "raise":
            with pytest.raises(FloatingPointError):
                spread_over_cores(work, range(6))
        else:
            assert np.isinf(spread_over_cores(work, range(6))[-1])


def test_the_number_of_product_threads_is_what_it_was_before_even_after_an_error(monkeypatch):
    product_threads = []
    monkeypatch.setattr(threads._product_threads, "get", lambda: 6)
    monkeypatch.setattr(threads._product_threads, "set", product_threads.append)
    with pytest.raises(KeyboardInterrupt), products_on_one_core():
        assert threads._cores == threads.MOST_CORES
        with products_on_one_core():
            assert product_threads == [1]
        assert threads._cores == threads.MOST_CORES
        raise KeyboardInterrupt
    assert product_threads == [1, 6] and threads._cores == 1


def test_one_core_shares_nothing(monkeypatch):
    monkeypatch.setattr(threads._product_threads, "get", lambda: 1)
    monkeypatch.setattr(threads._product_threads, "set", None)      # would fail if it were called
    with products_on_one_core():
        assert threads._cores == 1


def test_nothing_changes_where_it_is_not_worthwhile(monkeypatch):
    monkeypatch.setattr(threads._product_threads, "get", lambda: 2)
    monkeypatch.setattr(threads._product_threads, "set", None)
    with products_on_one_core(worthwhile=False):
        assert threads._cores == 1


def test_numpys_own_wheels_can_be_told():
    if not list(Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*.so")):
        pytest.skip("not NumPy's own wheel for Linux, which brings OpenBLAS")
    assert threads._product_threads.set is not None
    before = threads._product_threads.get()
    assert before >= 1
    with products_on_one_core():
        assert threads._product_threads.get() == 1
    assert threads._product_threads.get() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_makes_its_own_threads(three_cores):
    spread_over_cores(list, range(6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)     # that forking a process with threads is unwise
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if spread_over_cores(list, range(6)) == [[0, 1], [2, 3], [4, 5]] else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("kernel, stride, padding, groups", [(3, 1, 1, 1), (3, 2, 1, 2), (1, 1, 0, 1), (1, 2, 0, 1)])
def test_convolution_is_the_same_on_one_core_and_on_three(monkeypatch, kernel, stride, padding, groups):
    monkeypatch.setattr(conv, "BLOCK_BYTES", 2 ** 12)
    monkeypatch.setattr(conv, "BLOCK_PIXELS", 8)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 13, 10, 4))
    weight = rng.standard_normal((kernel, kernel, 4 // groups, 6))
    bias = rng.standard_normal(6)
    outcomes = []
    for cores in (1, 3):
        monkeypatch.setattr(threads, "_cores", cores)
        y, cache = ops.conv2d_forward(x, weight, bias, stride, padding, groups)
        dx, dweight, dbias = ops.conv2d_backward(np.random.default_rng(1).standard_normal(y.shape), cache)
        outcomes.append((y, dx, dbias, dweight))
    for one, three in zip(outcomes[0][:3], outcomes[1][:3]):
        np.testing.assert_array_equal(one, three)
    # the weight's gradient is a sum over all pixels: three part sums are rounded otherwise than one
    np.testing.assert_allclose(outcomes[0][3], outcomes[1][3], rtol=1e-12, atol=1e-12)


def test_linear_and_transposed_convolution_are_the_same_on_one_core_and_on_three(monkeypatch):
    rng = np.random.default_rng(0)
    rows, matrix = rng.standard_normal((700, 30)), rng.standard_normal((30, 20))
    maps, stamp = rng.standard_normal((7, 5, 4, 3)), rng.standard_normal((2, 2, 3, 6))
    outcomes = []
    for cores in (1, 3):
        monkeypatch.setattr(threads, "_cores", cores)
        y, cache = ops.linear_forward(rows, matrix, np.ones(20))
        stamped, stamp_cache = ops.conv_transpose2d_forward(maps, stamp, np.ones(6), 2)
        outcomes.append((y, *ops.linear_backward(y, cache),
                         stamped, *ops.conv_transpose2d_backward(stamped, stamp_cache)))
    for one, three in zip(*outcomes):
        np.testing.assert_allclose(one, three, rtol=1e-13, atol=1e-12)      # BLAS may sum a longer product otherwise


# ---- helpers that spin ----


def helper_states():
    return [helper.waits_at is helper.spinning for helper in threads._helpers]


def test_helpers_spin_within_a_pass_and_rest_after_it(monkeypatch):
    monkeypatch.setattr(threads, "_product_threads", threads.SimpleNamespace(get=lambda: 3, set=lambda number: None))
    for _ in range(2):
        with products_on_one_core():
            spread_over_cores(list, range(6))
            assert helper_states()[:2] == [True, True]
            assert spread_over_cores(list, range(6)) == [[0, 1], [2, 3], [4, 5]]
        assert not any(helper_states())


def test_helpers_rest_after_an_error_in_a_pass(monkeypatch):
    monkeypatch.setattr(threads, "_product_threads", threads.SimpleNamespace(get=lambda: 3, set=lambda number: None))
    with pytest.raises(ZeroDivisionError), products_on_one_core():
        spread_over_cores(lambda part: 1 / (5 - part[-1]), range(6))
    assert not any(helper_states())


def test_work_within_work_is_done_by_the_thread_that_asks(three_cores):
    def work(part):
        return spread_over_cores(lambda inner: (list(inner), threading.get_ident()), part)
    answers = spread_over_cores(work, range(12))
    assert [[pieces for pieces, _ in inner] for inner in answers] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9, 10, 11]]]
    assert len({thread for inner in answers for _, thread in inner}) == 3


def test_after_ctrl_c_others_do_the_work(three_cores):
    spread_over_cores(list, range(6))
    before = list(threads._helpers)

    def interrupted(part):
        if 0 in part:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        spread_over_cores(interrupted, range(6))
    assert threads._helpers == []
    assert spread_over_cores(list, range(6)) == [[0, 1], [2, 3], [4, 5]]
    assert not set(threads._helpers) & set(before)


def test_without_the_systems_spin_locks_helpers_sleep(three_cores, monkeypatch):
    monkeypatch.setattr(threads, "_helpers", [])
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda name: threads.SimpleNamespace())
    assert spread_over_cores(list, range(6)) == [[0, 1], [2, 3], [4, 5]]
    assert isinstance(threads._helpers[0].done, threading.Semaphore)
