"""Both hands: a test that uses the fixture `hand` runs twice, on the plain operations and on the fast ones."""

import contextlib

import pytest

from npmaskrcnn import ops


@pytest.fixture(params=["plain", "fast"])
def hand(request):
    with ops.plain() if request.param == "plain" else contextlib.nullcontext():
        yield request.param
