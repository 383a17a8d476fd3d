"""An answer as one piece of bytes: what the model says in words, and its arrays as they are.

A page cannot read NumPy's arrays, but it can look at raw bytes as numbers if it is told of which kind they are and
where they begin. So a message is

1. four bytes: the length of the head, a little-endian unsigned integer;
2. the head, JSON in UTF-8: ``{"answer": {...}, "arrays": [{"name", "dtype", "shape", "offset"}, ...]}``, followed by so
   many blanks, counted in its length, that what comes next begins at a multiple of eight;
3. the arrays one after the other, little-endian, in row order, each at a multiple of eight.

``offset`` counts from the beginning of part 3, that is, from 4 + the length of the head. In JavaScript::

    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const numbers = new Float32Array(buffer, 4 + length + array.offset, count);     // no copy
"""

import json
import math

import numpy as np

ALIGNMENT = 8
DTYPES = ("uint8", "int32", "float32")
LENGTH_BYTES = 4


def pack(answer, arrays):
    """Put an answer and its arrays into one message.

    Parameters
    ----------
    answer : dict
        What JSON can hold; no NaN.
    arrays : dict of str to ndarray
        Of a dtype in `DTYPES`.

    Returns
    -------
    message : bytes

    Examples
    --------
    >>> message = pack({"found": 1}, {"box": np.float32([1, 2, 3, 4])})
    >>> len(message) % 8, unpack(message)
    (0, ({'found': 1}, {'box': array([1., 2., 3., 4.], dtype=float32)}))
    """
    entries, pieces, offset = [], [], 0
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"{name}: a page is sent {', '.join(DTYPES)}, not {array.dtype}")
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        entries.append({"name": name, "dtype": array.dtype.name, "shape": array.shape, "offset": offset})
        pieces += [data, bytes(-len(data) % ALIGNMENT)]
        offset += len(data) + len(pieces[-1])
    head = json.dumps({"answer": answer, "arrays": entries}, separators=(",", ":"), allow_nan=False).encode()
    head += b" " * (-(LENGTH_BYTES + len(head)) % ALIGNMENT)
    return b"".join([len(head).to_bytes(LENGTH_BYTES, "little"), head, *pieces])


def unpack(message):
    """Return the answer and the arrays of a message; the inverse of `pack`. The arrays look into it."""
    start = LENGTH_BYTES + int.from_bytes(message[:LENGTH_BYTES], "little")
    head = json.loads(message[LENGTH_BYTES:start])
    arrays = {}
    for entry in head["arrays"]:
        dtype, shape = np.dtype(entry["dtype"]).newbyteorder("<"), tuple(entry["shape"])
        numbers = np.frombuffer(message, dtype, math.prod(shape), start + entry["offset"])
        arrays[entry["name"]] = numbers.reshape(shape)
    return head["answer"], arrays
