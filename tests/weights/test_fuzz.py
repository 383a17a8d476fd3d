"""Five hundred damaged copies of files in each container: refused in one line, or read as what they say.

``FUZZ_FILES=20000 FUZZ_SEED=1 pytest tests/weights/test_fuzz.py`` tries more, and others. What was found with many is
tested by itself in `test_hostile_files.py`.
"""

import argparse
import io
import json
import os
import pickle
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from npmaskrcnn.errors import InputError
from npmaskrcnn.weights import read_state, write_npz, write_safetensors
from tests.weights import forge

NUM_FILES, SEED = int(os.environ.get("FUZZ_FILES", 500)), int(os.environ.get("FUZZ_SEED", 12))
MAX_BYTES = 8 << 20
EXTREMES = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80")
ARRAYS = {"w": np.arange(6, dtype="<f4").reshape(2, 3), "n": np.array(3, "<i8"), "b": np.array([1.5, -2.0])}


@pytest.fixture
def originals(tmp_path):
    tensors = {
        "w": forge.tensor(),
        "n": forge.tensor((), (), key="1", count=1, kind="LongStorage"),
        "b": forge.tensor((2,), (1,), key="2", count=2, kind="DoubleStorage"),
    }
    contents = {str(key): array.tobytes() for key, array in enumerate(ARRAYS.values())}
    counted = {key: (array.size, array.tobytes()) for key, array in zip(contents, ARRAYS.values(), strict=True)}
    write_npz(tmp_path / "npz", ARRAYS, {"step": 3})
    write_npz(tmp_path / "npz deflated", ARRAYS, {"step": 3}, compress=True)
    write_safetensors(tmp_path / "safetensors", ARRAYS, {"a": "b"})
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    state, args = forge.state(**tensors), pickle.dumps(argparse.Namespace(steps=[16, 22], count=Counter([1])), 2)[2:-1]
    checkpoint = forge.state(model=forge.entries(**tensors), args=args, epoch=b"K\x01")
    files["checkpoint zip"] = forge.torch_zip(checkpoint, contents)
    files["checkpoint legacy"] = forge.torch_legacy(checkpoint, counted)
    files["torch zip"] = forge.torch_zip(state, contents)
    files["torch legacy"] = forge.torch_legacy(state, counted)
    return files


def mutate(content, rng):
    """Return a copy with one to three damages: what disks, networks and malice do."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        kind, place = rng.integers(8), int(rng.integers(len(content)))
        length = int(min(rng.integers(1, 40), len(content) - place))
        if kind == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[place] = int(rng.integers(256))
        elif kind == 2:
            content[place : place + 4] = EXTREMES[rng.integers(len(EXTREMES))]
        elif kind == 3:
            del content[place : place + length]
        elif kind == 4:
            content[place:place] = content[place : place + length]
        elif kind == 5:
            content[place:place] = rng.bytes(length)
        elif kind == 6:
            del content[place:]
        else:
            other = int(rng.integers(len(content)))
            content[place : place + length] = content[other : other + length]
    return bytes(content)


@pytest.mark.filterwarnings("error", "ignore:.* took the ")
@pytest.mark.parametrize("containers, is_checked", [
    (["npz", "npz deflated"], True), (["torch zip", "checkpoint zip"], True),
    (["torch legacy", "checkpoint legacy"], False), (["safetensors"], False),
])
def test_damaged_files_are_refused_or_read_as_what_they_say(tmp_path, originals, containers, is_checked):
    rng = np.random.default_rng(SEED)
    path, num_read = tmp_path / "damaged", 0
    tracemalloc.start(1)
    try:
        for i in range(NUM_FILES):
            content = mutate(originals[containers[i % len(containers)]], rng)
            path.write_bytes(content)
            try:
                arrays = read_state(path).arrays
            except InputError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
                continue
            num_read += 1
            if is_checked:
                assert_equal_to_the_original(arrays)
            elif containers == ["safetensors"]:
                assert_shapes_of_the_header(content, arrays)
            else:
                assert sum(array.nbytes for array in arrays.values()) <= 4 * len(content) + (1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MAX_BYTES
    assert 0 < num_read < NUM_FILES / 2  # both outcomes were seen


def assert_equal_to_the_original(arrays):
    """A checksum covers the numbers, and their names and shapes too."""
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def assert_shapes_of_the_header(content, arrays):
    length = int.from_bytes(content[:8], "little")
    header = json.load(io.BytesIO(content[8 : 8 + length]))
    header.pop("__metadata__", None)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    assert shapes == {name: entry["shape"] for name, entry in header.items()}
