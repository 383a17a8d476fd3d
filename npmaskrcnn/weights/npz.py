"""The package's own file: an `.npz`, a zip archive of one `.npy` per array, readable by `np.load` anywhere.

An `.npy` is ten bytes (a magic word, a version, a header length), a header such as
`{'descr': '<f4', 'fortran_order': False, 'shape': (64, 3, 7, 7), }` and the numbers, row by row. One
entry is special: `__npmaskrcnn__` holds, as UTF-8 bytes, JSON of the form
`{"format_version": 1, "meta": {...}}`, in which `save` puts the architecture and the class names, and the
trainer its step and seeds. Nothing is ever pickled.

`np.load` would do for files of our own. For a stranger's file it allocates what the header asks for
before it looks whether so much is there, and it advises pickling. So the header is parsed here, strictly.
"""

import json
import math
import re
import zipfile

import numpy as np

from ..errors import InputError, warn
from ..files import Unreadable, atomic_writer, naming, parse_json
from ..judge import judge_state
from .arrays import judge_shape, to_native
from .containers import open_weights, sniff
from .zips import CheckedZip, is_plain_name

FORMAT_VERSION = 1
META_ENTRY = "__npmaskrcnn__"
FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can write: same content, same bytes
PLAIN_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
MAX_HEADER = 1000  # bytes; a header of eight dimensions needs a fifth
NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|])([a-z]\d)', 'fortran_order': (True|False), 'shape': \(((?:[0-9]+, ?)*[0-9]*)\), ?\} *\n?"
)


def write_npz(path, arrays, meta=None, compress=False):
    """Write arrays and JSON-able facts into one file, atomically and with reproducible bytes.

    Parameters
    ----------
    path : str or path
        Taken as it is; no ``.npz`` is appended.
    arrays : mapping of str to ndarray
        Real numbers or bools of any shape. Names may contain ``/``.
    meta : dict, optional
        What JSON can hold.
    compress : bool
        Deflate. Off by default: float weights shrink by a tenth and take ten times as long.

    Raises
    ------
    InputError
        If an array or `meta` cannot be stored, or the path not be written; a previous file survives.
    """
    text, arrays = _meta_to_json(path, meta), judge_state(arrays, f"{path}: arrays")
    for name, array in arrays.items():
        if not is_plain_name(name) or name == META_ENTRY:
            raise InputError(f"{path}: an array cannot be stored under the name {name!r}")
        if array.dtype.str[1:] not in PLAIN_KINDS:
            raise InputError(f"{path}: {name!r} is of dtype {array.dtype}; expected bools or real numbers")
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with atomic_writer(path) as file, zipfile.ZipFile(file, "w", method) as archive:
        _write_entry(archive, META_ENTRY, np.frombuffer(text, np.uint8))
        for name, array in arrays.items():
            _write_entry(archive, name, array)


def _write_entry(archive, name, array):
    info = zipfile.ZipInfo(name + ".npy", FIRST_ZIP_DATE)
    info.compress_type = archive.compression
    info.create_system, info.external_attr = 3, 0o644 << 16  # Unix, rw-r--r--, on whatever system
    info.file_size = array.nbytes + 1024  # tells zipfile whether four bytes suffice for lengths
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    with archive.open(info, "w") as entry:
        np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)


def read_npz(path):
    """Read arrays and meta from an `.npz`, judging every entry before memory is touched.

    Parameters
    ----------
    path : str or path
        Of a file by `write_npz`, or of any ``.npz`` of bools and real numbers.

    Returns
    -------
    arrays : dict of str to ndarray
        In the order of the file, in native byte order, contiguous and writable.
    meta : dict
        What was given to `write_npz`; empty for a file that it did not write.

    Raises
    ------
    InputError
        Naming the path, what was found and what was expected.

    Warns
    -----
    InputWarning
        If big-endian numbers were swapped.
    """
    with naming(path), open_weights(path) as file:
        if sniff(file) != "zip":
            raise Unreadable("is not an .npz file (a zip archive of arrays)")
        return read_npz_archive(CheckedZip(file), path)


def read_npz_archive(archive, path):
    """Do what `read_npz` does, on an archive that is open; `path` is for the warning."""
    strangers = [name for name in archive.members if not name.endswith(".npy")]
    if strangers or not archive.members:
        found = repr(strangers[0]) if strangers else "no member at all"
        raise Unreadable(f"is a zip archive with {found}; expected weights: .npy members (an .npz) "
                         "or <name>/data.pkl (a torch .pth)")
    arrays, swapped = {}, []
    for member in archive.members:
        name = member[: -len(".npy")]
        arrays[name], big_endian = _parse_npy(archive.read(member), name)
        if big_endian:
            swapped.append(name)
    if swapped:
        warn(f"{path}: {len(swapped)} big-endian arrays were swapped to this machine's byte order, "
             f"the first {swapped[0]!r}")
    meta = _meta_from_json(arrays.pop(META_ENTRY)) if META_ENTRY in arrays else {}
    return arrays, meta


def _parse_npy(content, name):
    """Return the array in an `.npy` and whether it was big-endian."""
    start = 10 if content[6:7] == b"\x01" else 12  # version 1.0 has two bytes of length, 2.0 four
    length = int.from_bytes(content[8:start], "little")
    header = NPY_HEADER.fullmatch(content[start : start + min(length, MAX_HEADER)])
    if content[:6] != b"\x93NUMPY" or content[6:8] not in (b"\x01\x00", b"\x02\x00") or header is None:
        raise Unreadable(f"entry {name!r} is not a plain array (objects and records are not read); "
                         "expected bools or real numbers")
    order, kind, fortran, sizes = (group.decode("ascii") for group in header.groups())
    if kind not in PLAIN_KINDS:
        raise Unreadable(f"entry {name!r} is of dtype {order + kind!r}; expected bools or real numbers")
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    dtype = np.dtype(order + kind)
    declared, found = math.prod(shape) * dtype.itemsize, len(content) - start - length
    judge_shape(name, shape)
    if declared != found:
        raise Unreadable(f"entry {name!r} declares shape {shape}, {declared} bytes, and holds {found} bytes")
    flat = np.frombuffer(content, dtype, math.prod(shape), start + length)
    return to_native(flat.reshape(shape, order="F" if fortran == "True" else "C")), order == ">"


def _meta_to_json(path, meta):
    try:
        outer = {"format_version": FORMAT_VERSION, "meta": meta or {}}
        return json.dumps(outer, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: the meta data cannot be written as JSON ({error})") from None


def _meta_from_json(entry):
    try:
        outer = parse_json(entry.tobytes())
    except Unreadable:
        raise Unreadable(f"entry {META_ENTRY!r} is not JSON; expected what npmaskrcnn writes there") from None
    version = outer.get("format_version") if isinstance(outer, dict) else None
    if type(version) is not int or not isinstance(outer.get("meta"), dict):
        raise Unreadable(f"entry {META_ENTRY!r} lacks format_version or meta, which npmaskrcnn writes there")
    if version > FORMAT_VERSION or version < 1:
        raise Unreadable(f"is of format version {version}; this npmaskrcnn reads 1 to {FORMAT_VERSION}, "
                         "a newer one may read it")
    return outer["meta"]
