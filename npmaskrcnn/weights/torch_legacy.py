"""torch's `.pth` before version 1.6: five pickles in a row, then the numbers.

    pickle   0x1950a86a20f9469cfc6c, the magic number
    pickle   1001, the version of the container
    pickle   {"little_endian": True, "protocol_version": 1001, "type_sizes": {...}}
    pickle   the state dict, with storages named by key
    pickle   the list of the keys, in the order in which the storages follow
    then for each key: 8 bytes, how many numbers (little-endian), and the numbers themselves

The best-known weights, torchvision's COCO_V1 of 2019, come in this container. It has no checksum: a
flipped bit in the numbers goes unnoticed, except where it makes NaN or infinity.
"""

from ..files import Unreadable
from .tensors import read_tensors
from .unpickler import MAX_PICKLE, Program, unpickle
from .wrappers import find_state

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001


def read_torch_legacy(file):
    """Read the state dict of an open file.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : dict
        See `wrappers.find_state`.
    """
    file_size = file.seek(0, 2)
    file.seek(0)
    program = Program(file.read(min(MAX_PICKLE, file_size)))
    (magic, _), (version, _), (system, _), (value, storages), (keys, _) = (unpickle(program) for _ in range(5))
    if magic != MAGIC or version != VERSION:
        raise Unreadable(f"damaged: expected a magic number and version {VERSION}, as before torch 1.6")
    if type(system) is not dict or system.get("little_endian") is not True:
        raise Unreadable("was written on a big-endian machine; expected little-endian numbers")
    tensors, metadata = find_state(value)
    places = _find_storages(file, program.tell(), keys, storages, file_size)

    def read_storage(storage):
        file.seek(places[storage.key])
        return file.read(storage.num_bytes)

    return read_tensors(tensors, read_storage, file_size), metadata


def _find_storages(file, position, keys, storages, file_size):
    """Return key -> position of its numbers, after checking that they fill the file to its end."""
    known = {key for key in keys if type(key) is str} if type(keys) is list else None
    if known != set(storages) or len(keys) != len(storages):
        raise Unreadable("damaged: the list of storages is not the one that its tensors mention (as far as "
                         "they are of numbers that NumPy has)")
    expected = position + sum(8 + storage.num_bytes for storage in storages.values())
    if expected != file_size:
        verb = "incomplete" if file_size < expected else "damaged"
        raise Unreadable(f"{verb}: has {file_size} bytes; its tensors expect {expected}")
    places = {}
    for key in keys:
        file.seek(position)
        count = int.from_bytes(file.read(8), "little", signed=True)
        if count != storages[key].count:
            expected = storages[key].count
            raise Unreadable(f"damaged: storage {key} announces {count} numbers; expected {expected}")
        places[key] = position + 8
        position += 8 + storages[key].num_bytes
    return places
