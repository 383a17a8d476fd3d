"""Many hands: the independent pieces of a long operation, shared out among the processor's cores.

NumPy's matrix products use all cores by themselves, one product at a time; but what is copied, added and
compared between them runs on one core, and a small product gains little from being torn apart. A model can
do better, because its operations go through their arrays in pieces that do not touch one another: two cores
each take half of the pieces, and all that is done to a piece, products included, is done by one core.

`spread_over_cores` is how an operation hands out its pieces. It does so only within `products_on_one_core`, which the
model opens around a whole pass; elsewhere, and where NumPy's products are not made by OpenBLAS (the only
library that we know how to tell), the caller's thread does all pieces, and the products use all cores.
"""

import concurrent.futures
import contextlib
import ctypes
import os
import sys
from types import SimpleNamespace

import numpy as np

# Threads of Python wait for each other a little at every step; more than a few would mostly wait.
MOST_CORES = 4

_cores = 1      # among which pieces are shared out at the moment
_helpers = None  # the other threads, once they have been needed


@contextlib.contextmanager
def products_on_one_core(worthwhile=True):
    """Within, `spread_over_cores` uses all cores (at most `MOST_CORES`), and NumPy's products one each.

    May be nested; also a decorator. Nothing changes if it is not `worthwhile`, that is, if there is too little
    work to be torn into pieces. All cores are as many as NumPy's products would use, so
    ``OPENBLAS_NUM_THREADS`` holds here as well. The setting is the process's: the products of other threads
    run on one core meanwhile.
    """
    global _cores
    before = _product_threads.get() if worthwhile and _cores == 1 else 1
    if before == 1:
        yield
        return
    try:
        _cores = min(before, MOST_CORES)
        _product_threads.set(1)
        yield
    finally:
        _product_threads.set(before)
        _cores = 1


def limit_threads(number):
    """Compute on at most `number` cores from now on, and return whether NumPy's products could be told so."""
    known = _product_threads.set is not None
    if known:
        _product_threads.set(number)
    return known


def spread_over_cores(work, pieces, fewest=2):
    """Call ``work(part)`` once a core, with consecutive parts of `pieces`, at the same time.

    Parameters
    ----------
    work : callable
        Must not write where another part reads or writes, nor call `spread_over_cores`: helpers that wait for helpers
        would wait for ever.
    pieces : sequence
        Anything that has a length and can be sliced, such as a list of blocks or a range of rows.
    fewest : int
        So many pieces at least are worth handing over to another core.

    Returns
    -------
    results : list
        Of the calls, in the order of the parts: at least one, also if there are no pieces.
    """
    global _helpers
    shares = min(_cores, len(pieces) // fewest)
    if shares < 2:
        return [work(pieces)]
    if _helpers is None:
        _helpers = concurrent.futures.ThreadPoolExecutor(MOST_CORES - 1, "npmaskrcnn")
    ends = [len(pieces) * share // shares for share in range(shares + 1)]
    mine, *others = [pieces[start:end] for start, end in zip(ends, ends[1:])]
    errors = np.geterr()    # what is to happen at an overflow is a matter of each thread

    def work_elsewhere(part):
        with np.errstate(**errors):
            return work(part)
    answers = []
    try:
        for part in others:
            answers.append(_helpers.submit(work_elsewhere, part))
        return [work(mine)] + [answer.result() for answer in answers]
    finally:
        concurrent.futures.wait(answers)    # an error or Ctrl-C leaves only when nobody computes any more


def _openblas_threads():
    """Find how the number of threads of NumPy's matrix products is got and set, where these are OpenBLAS's.

    Where it cannot be told, `get` returns 1, so that nothing is shared out, and `set` is None.
    """
    products = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
    try:
        library = ctypes.CDLL(products.__file__)        # and the libraries that it has loaded
    except (AttributeError, OSError, TypeError):
        library = None
    for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
        get, set_, parallel = (getattr(library, f"{prefix}openblas_{name}{suffix}", None)
                               for name in ("get_num_threads", "set_num_threads", "get_parallel"))
        # 1: with threads of its own. Under OpenMP (2) the number would be a matter of each thread.
        if get and set_ and parallel and parallel() == 1:
            return SimpleNamespace(get=get, set=set_)
    return SimpleNamespace(get=lambda: 1, set=None)


def _forget_helpers():
    global _helpers
    _helpers = None


_product_threads = _openblas_threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)     # a forked process has our memory, but not our threads
