"""Many hands: the independent pieces of a long operation, shared out among the processor's cores.

NumPy's matrix products use all cores by themselves, one product at a time; but what is copied, added and
compared between them runs on one core, and a small product gains little from being torn apart. A model can
do better, because its operations go through their arrays in pieces that do not touch one another: two cores
each take half of the pieces, and all that is done to a piece, products included, is done by one core.

`spread_over_cores` is how an operation hands out its pieces. It does so only within `products_on_one_core`, which the
model opens around a whole pass; elsewhere, and where NumPy's products are not made by OpenBLAS (the only
library that we know how to tell), the caller's thread does all pieces, and the products use all cores.

A thread that sleeps takes a tenth of a millisecond to wake, as long as many a piece takes. Within a pass the helpers
therefore do not sleep between their pieces but spin: they look again and again whether there is work, as OpenBLAS's own
threads do.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading
from types import SimpleNamespace

import numpy as np

# Threads of Python wait for each other a little at every step; more than a few would mostly wait.
MOST_CORES = 4
# Multiply-adds of a matrix product that take longer than handing them over to another thread.
WORTH_A_CORE = 5e6
# Numbers that a step which does the same to each goes through at a time.
PIECE_NUMBERS = 2**18

_cores = 1      # among which pieces are shared out at the moment
_spin = False   # whether helpers spin until there is more work: within a pass
_helpers = []   # the other threads, once they have been needed
_handing_out = threading.Lock()     # held by the thread for which they work


@contextlib.contextmanager
def products_on_one_core(worthwhile=True):
    """Within, `spread_over_cores` uses all cores (at most `MOST_CORES`), and NumPy's products one each.

    May be nested; also a decorator. Nothing changes if it is not `worthwhile`, that is, if there is too little
    work to be torn into pieces. All cores are as many as NumPy's products would use, so
    ``OPENBLAS_NUM_THREADS`` holds here as well. The setting is the process's: the products of other threads
    run on one core meanwhile.
    """
    global _cores, _spin
    before = _product_threads.get() if worthwhile and _cores == 1 else 1
    if before == 1:         # too little work, or within such a block already, or there is one core only
        yield
        return
    try:
        _cores, _spin = min(before, MOST_CORES), True
        _product_threads.set(1)
        yield
    finally:
        _product_threads.set(before)
        _cores, _spin = 1, False
        with _handing_out:
            for helper in _helpers:
                helper.stop_spinning()


def cores_for(multiply_adds):
    """Among how many cores a matrix product of this size should be shared out."""
    return max(1, min(_cores, int(multiply_adds // WORTH_A_CORE)))


def even_length(length, longest, cores):
    """How long pieces may be, at most `longest`, so that each core gets about as much."""
    length = max(length, 1)
    pieces = -(-length // longest)
    pieces = min(length, -(-pieces // cores) * cores)
    return -(-length // pieces)


def even_blocks(num_images, most_images, num_rows, most_rows, cores):
    """Cut the rows of a batch into blocks ``(first image, number of images, first row, number of rows)``.

    Blocks of several images have all their rows, so that a block's pixels follow one another. None has more
    of either than the first. Each core gets about as many.
    """
    if num_images * num_rows == 0:
        return []
    images = even_length(num_images, most_images, cores) if most_rows >= num_rows else 1
    rows = even_length(num_rows, most_rows, -(-cores // num_images)) if images == 1 else num_rows
    return [(image, min(images, num_images - image), row, min(rows, num_rows - row))
            for image in range(0, num_images, images) for row in range(0, num_rows, rows)]


def limit_threads(number):
    """Compute on at most `number` cores from now on, and return whether NumPy's products could be told so."""
    known = _product_threads.set is not None
    if known:
        _product_threads.set(number)
    return known


def spread_over_cores(work, pieces, fewest=1):
    """Call ``work(part)`` once a core, with consecutive parts of `pieces`, at the same time.

    Parameters
    ----------
    work : callable
        Must not write where another part reads or writes.
    pieces : sequence
        Anything that has a length and can be sliced, such as a list of blocks or a range of rows.
    fewest : int
        So many pieces at least are worth handing over to another core.

    Returns
    -------
    results : list
        Of the calls, in the order of the parts: at least one, also if there are no pieces.
    """
    shares = min(_cores, len(pieces) // fewest)
    if shares < 2 or not _handing_out.acquire(blocking=False):
        # too few pieces, or the helpers are at work: for another thread, or for the piece in which this one got here
        return [work(pieces)]
    try:
        ends = [len(pieces) * share // shares for share in range(shares + 1)]
        return _work_together(work, [pieces[start:end] for start, end in zip(ends, ends[1:])])
    finally:
        _handing_out.release()


def spread_pixels(step, *arrays):
    """Let ``step(*pieces)`` go through contiguous (..., C) arrays of one shape, piece by piece; it may fill some."""
    if arrays[0].size <= PIECE_NUMBERS:
        step(*arrays)
        return
    pixels = [array.reshape(-1, array.shape[-1]) for array in arrays]
    length = max(1, PIECE_NUMBERS // pixels[0].shape[1])
    pieces = [slice(start, start + length) for start in range(0, len(pixels[0]), length)]

    def work(part):
        for piece in part:
            step(*(array[piece] for array in pixels))

    spread_over_cores(work, pieces)


def _work_together(work, parts):
    """Do the first part, and let a helper do each of the others."""
    while len(_helpers) < len(parts) - 1:
        _helpers.append(_Helper())
    errors = np.geterr()    # what is to happen at an overflow is a matter of each thread

    def work_elsewhere(part):
        with np.errstate(**errors):
            return work(part)
    at_work = []
    try:
        try:
            for helper, part in zip(_helpers, parts[1:]):
                helper.start(functools.partial(work_elsewhere, part))
                at_work.append(helper)
            results = [work(parts[0])]
        finally:
            answers = [helper.answer() for helper in at_work]   # an error leaves only when nobody computes any more
    except KeyboardInterrupt:       # perhaps between a start and its answer: nobody knows who still works
        _dismiss_helpers()
        raise
    for result, error in answers:
        if error is not None:
            raise error
        results.append(result)
    return results


class _Helper:
    """A thread that does one piece of work after the other."""

    def __init__(self):
        self.resting, self.spinning, self.done = threading.Semaphore(0), _spin_lock(), _spin_lock()
        self.waits_at = self.resting
        self.work = self.outcome = None
        self.dismissed = False
        threading.Thread(target=self._run, name="npmaskrcnn", daemon=True).start()

    def start(self, work):
        """Hand over a function without arguments."""
        self.work = work
        self.waits_at.release()

    def answer(self):
        """Wait for, and return, (result, error)."""
        self.done.acquire()
        outcome, self.outcome = self.outcome, None
        return outcome

    def stop_spinning(self):
        """Rest until there is work again."""
        if self.waits_at is self.spinning:
            self.start(lambda: None)    # who has worked looks anew at which lock to wait
            self.answer()

    def _run(self):
        self.waits_at.acquire()
        while not self.dismissed:
            try:
                self.outcome = self.work(), None
            except BaseException as error:
                self.outcome = None, error
            self.work = None        # and the arrays that it holds
            self.waits_at = self.spinning if _spin else self.resting
            self.done.release()
            self.waits_at.acquire()


def _spin_lock():
    """A lock, taken, whose `acquire` does not sleep but looks again and again; where the system has none, a usual one.

    It is the C library's, and is waited for without Python's own lock. One thread takes it and another gives
    it back, which POSIX leaves open, and which the C libraries with such locks (glibc, musl) allow.
    """
    try:
        system = ctypes.CDLL(None)
        acquire, release, prepare = (getattr(system, f"pthread_spin_{name}") for name in ("lock", "unlock", "init"))
    except (AttributeError, OSError, TypeError):
        return threading.Semaphore(0)
    state = ctypes.c_int()
    place = ctypes.byref(state)
    prepare(place, 0)
    acquire(place)
    return SimpleNamespace(acquire=functools.partial(acquire, place), release=functools.partial(release, place))


def _dismiss_helpers():
    """Let all go home, and forget them."""
    for helper in _helpers:
        helper.dismissed = True
        helper.resting.release()
        helper.spinning.release()
    _helpers.clear()


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
    global _handing_out
    _helpers.clear()
    _handing_out = threading.Lock()


_product_threads = _openblas_threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)     # a forked process has our memory, but not our threads
