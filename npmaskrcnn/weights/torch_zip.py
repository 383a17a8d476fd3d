"""torch's `.pth` since version 1.6: a zip archive in which everything lies open.

    model/data.pkl     a pickle: names, sizes and strides of the tensors
    model/byteorder    "little" or "big"; absent in older files, which are little-endian
    model/data/0       the numbers of the first storage, as they lie in memory
    model/data/1       ...
    model/version      of the container, with a few more that only inform

The first part of the names is the name under which the file was first saved. Members are stored
uncompressed and aligned, so that torch can map them into memory.
"""

import zipfile

from ..files import Unreadable
from .tensors import read_tensors
from .unpickler import MAX_PICKLE, Program, unpickle
from .wrappers import find_state


def find_root(archive):
    """Return the folder that all members of a torch archive share; None if it is no torch archive."""
    roots = [name[: -len("/data.pkl")] for name in archive.members if name.endswith("/data.pkl")]
    if len(roots) > 1:
        raise Unreadable(f"has {len(roots)} members named data.pkl; expected one")
    return roots[0] if roots else None


def read_torch_zip(archive, root):
    """Read the state dict of an open archive.

    Parameters
    ----------
    archive : CheckedZip
    root : str
        As `find_root` found it.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : dict
        See `wrappers.find_state`.
    """
    for name, info in archive.members.items():
        if not name.startswith(root + "/"):
            raise Unreadable(f"has a folder {root!r} and a member {name!r}; expected one folder with all")
        if info.compress_type != zipfile.ZIP_STORED:
            raise Unreadable(f"member {name!r} is compressed; torch stores its members as they are")
    order = archive.read(root + "/byteorder") if root + "/byteorder" in archive.members else b"little"
    if order != b"little":
        raise Unreadable(f"is of byte order {order[:10].decode('ascii', 'replace')!r}; expected 'little'")
    pickle_size = archive.members[root + "/data.pkl"].file_size
    if pickle_size > MAX_PICKLE:
        raise Unreadable(f"has a data.pkl of {pickle_size} bytes; expected at most {MAX_PICKLE}: beside "
                         "the tensors it holds far more than a training needs to go on; save the state dict alone")

    value, _ = unpickle(Program(archive.read(root + "/data.pkl")))
    tensors, metadata = find_state(value)

    def read_storage(storage):
        member = f"{root}/data/{storage.key}"
        found = archive.members[member].file_size if member in archive.members else None
        if found != storage.num_bytes:
            raise Unreadable(f"member {member!r} is {'missing' if found is None else f'{found} bytes long'}; "
                             f"its pickle expects {storage.num_bytes} bytes")
        return archive.read(member)

    file_size = sum(info.file_size for info in archive.members.values())
    return read_tensors(tensors, read_storage, file_size), metadata
