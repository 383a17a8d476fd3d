"""Both hands: a test that uses `hand` runs once on the plain operations and once on those in use by default."""

import contextlib

import pytest

from npmaskrcnn import ops


@pytest.fixture(params=["plain", "fast"])
def hand(request):
    with ops.plain() if request.param == "plain" else contextlib.nullcontext():
        yield request.param
