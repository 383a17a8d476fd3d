"""A message is read back as it was written, and as a page reads it: at the offsets that its head names."""

import json
import struct

import numpy as np
import pytest

from npmaskrcnn.explore.packing import pack, unpack

ARRAYS = {"bytes": np.arange(7, dtype=np.uint8), "rows": np.array([-1, 2**31 - 1], np.int32),
          "numbers": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "none": np.zeros((0, 4), np.float32),
          "one": np.float32([3]), "turned": np.arange(6, dtype=np.int32).reshape(2, 3).T,
          "big": np.array([1, 256], ">i4")}


def test_what_is_packed_is_unpacked():
    answer, arrays = unpack(pack({"text": "é ✓", "list": [1, None, 2.5]}, ARRAYS))
    assert answer == {"text": "é ✓", "list": [1, None, 2.5]}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].shape == array.shape and arrays[name].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("length", range(9))
def test_every_array_begins_at_a_multiple_of_eight_wherever_the_head_ends(length):
    message = pack({"text": "x" * length}, ARRAYS)
    size, = struct.unpack("<I", message[:4])
    assert (4 + size) % 8 == 0 and len(message) % 8 == 0
    for entry in json.loads(message[4:4 + size])["arrays"]:
        assert entry["offset"] % 8 == 0
    numbers = next(entry for entry in json.loads(message[4:4 + size])["arrays"] if entry["name"] == "numbers")
    first = struct.unpack("<6f", message[4 + size + numbers["offset"]:][:24])
    np.testing.assert_array_equal(first, ARRAYS["numbers"].ravel())


def test_what_a_page_cannot_read_is_not_sent():
    with pytest.raises(TypeError, match="boxes: .* not float64"):
        pack({}, {"boxes": np.zeros(4)})
    with pytest.raises(ValueError):
        pack({"score": float("nan")}, {})
