"""safetensors: a table of contents in JSON, then all arrays back to back, row by row, little-endian.

    8 bytes   n, the length of the table (unsigned, little-endian)
    n bytes   {"fc.bias": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}, ...}, padded with spaces
    the rest  the numbers; offsets count from its beginning

There is nothing in it that could be run, no strides and no sharing, so the judging is short: the arrays
must fill the rest of the file in turn, without hole, overlap or remainder. There is no checksum either:
a flipped bit in the numbers is a different number, and no reader can tell.
"""

import json
import math

import numpy as np

from ..errors import InputError
from ..files import Unreadable, atomic_writer, parse_json
from ..judge import judge_state
from .arrays import BFLOAT16, judge_shape, to_native

MAX_HEADER = 16 << 20  # bytes; a full Mask R-CNN needs 40 thousand
CODES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}
DTYPES = {name: np.dtype(code) for name, code in CODES.items()}
NAMES = {dtype: name for name, dtype in DTYPES.items() if name != "BF16"}


def read_safetensors_file(file):
    """Read an open safetensors file.

    Returns
    -------
    arrays : dict of str to ndarray
        In the order in which they lie in the file; BF16 as float32.
    metadata : dict of str to str

    Raises
    ------
    Unreadable
    """
    file_size = file.seek(0, 2)
    file.seek(0)
    header_size = int.from_bytes(file.read(8), "little")
    if header_size > min(file_size - 8, MAX_HEADER):
        raise Unreadable(f"incomplete or damaged: a safetensors header of {header_size} bytes is announced "
                         f"in a file of {file_size}")
    try:
        table = parse_json(file.read(header_size))  # it begins with {: `sniff` looked
    except Unreadable as error:
        raise Unreadable(f"the safetensors header is not a JSON object, names with dtype and shape ({error})") from None
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Unreadable("the safetensors __metadata__ is not a map of strings")

    places = {name: _judge_entry(name, entry) for name, entry in table.items()}
    names, position = sorted(places, key=places.get), 0
    for name in names:
        begin, end = places[name]
        if begin != position:
            raise Unreadable(f"{name!r} begins at byte {begin} of the data; expected {position}, right "
                             "behind the one before")
        position = end
    if 8 + header_size + position != file_size:
        verb = "incomplete" if 8 + header_size + position > file_size else "damaged"
        raise Unreadable(f"{verb}: has {file_size} bytes; its header expects {8 + header_size + position}")
    arrays = {}
    for name in names:
        (begin, end), entry = places[name], table[name]
        flat = np.frombuffer(file.read(end - begin), DTYPES[entry["dtype"]])
        arrays[name] = to_native(flat.reshape(entry["shape"]))
    return arrays, metadata


def _judge_entry(name, entry):
    """Return where the numbers of an entry begin and end in the data, if its parts agree."""
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise Unreadable(f"the header entry of {name!r} lacks dtype, shape or data_offsets") from None
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise Unreadable(f"{name!r} is of dtype {str(dtype)[:20]}; expected one of {', '.join(DTYPES)}")
    numbers = [*shape, begin, end] if isinstance(shape, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise Unreadable(f"{name!r} has a size or offset that is not a whole number of at least 0")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    judge_shape(name, shape)
    if end - begin != size:
        raise Unreadable(f"{name!r} has {end - begin} bytes of data; {shape} of {dtype} needs {size}")
    return begin, end


def write_safetensors(path, arrays, metadata=None):
    """Write arrays into a safetensors file, atomically; the data begins at a multiple of eight bytes.

    Parameters
    ----------
    path : str or path
    arrays : mapping of str to ndarray
        Bools and real numbers. They are laid out by falling item size, as other writers do, so that each
        begins at a multiple of its item size.
    metadata : dict of str to str, optional

    Raises
    ------
    InputError
        If an array or the metadata has no place in the format, or the path cannot be written.
    """
    if any(not isinstance(text, str) for pair in (metadata or {}).items() for text in pair):
        raise InputError(f"{path}: safetensors metadata maps strings to strings; got {metadata!r:.80}")
    arrays = judge_state(arrays, f"{path}: arrays")
    for name, array in arrays.items():
        if name == "__metadata__" or array.dtype.newbyteorder("<") not in NAMES:
            raise InputError(f"{path}: {name!r} of dtype {array.dtype} has no place in a safetensors file")
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # a stable sort: state_dict order within
    table, position = {"__metadata__": metadata} if metadata else {}, 0
    for name in names:
        dtype, end = NAMES[arrays[name].dtype.newbyteorder("<")], position + arrays[name].nbytes
        table[name] = {"dtype": dtype, "shape": list(arrays[name].shape), "data_offsets": [position, end]}
        position = end
    header = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    header += b" " * (-len(header) % 8)
    with atomic_writer(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            file.write(arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False).tobytes())
