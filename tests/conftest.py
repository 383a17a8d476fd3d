"""What tests of all folders may ask for.

A file whose tests use the fixture `hand` runs twice, on the plain operations and on the fast ones.
"""

import contextlib
import gc
import signal

import pytest

from npmaskrcnn import ops


def pytest_collection_finish(session):
    """Spare the collector the thousands of tests themselves, which all live to the end, and let it come less often.

    Each of its passes would visit them all, and drawing calls for many.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(params=["plain", "fast"], scope="module")   # to change hands for each test would take longer than most
def hand(request):
    with ops.plain() if request.param == "plain" else contextlib.nullcontext():
        yield request.param


@pytest.fixture
def heeds_interrupts():
    """Heed Ctrl-C: a process that a script has started in the background ignores it, and hands that down."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
