"""One door for every container: `read_state` looks at the first bytes and picks the reader.

    first bytes                         container       reader
    PK 03 04, members *.npy             npz             npz.py
    PK 03 04, a member */data.pkl       torch zip       torch_zip.py
    80 02 8a 0a 6c fc 9c 46 f9 20 ...   torch legacy    torch_legacy.py
    eight bytes, then {                 safetensors     safetensors.py
"""

from typing import NamedTuple

import numpy as np

from ..errors import warn
from ..files import Unreadable, naming
from .containers import open_weights, sniff
from .npz import read_npz_archive
from .safetensors import read_safetensors_file
from .torch_legacy import read_torch_legacy
from .torch_zip import find_root, read_torch_zip
from .wrappers import what_was_taken
from .zips import CheckedZip


class StateFile(NamedTuple):
    """What was in a weight file.

    Attributes
    ----------
    arrays : dict of str to ndarray
        In the order of the file, dtypes as stored (bfloat16, which NumPy lacks, as float32).
    metadata : dict
        npz: its meta. safetensors: its string map. torch: what was taken and what left out of a larger
        checkpoint, as `wrappers.find_state` says it.
    container : str
        ``"npz"``, ``"safetensors"``, ``"torch zip"`` or ``"torch legacy"``.
    """

    arrays: dict
    metadata: dict
    container: str


def read_state(path):
    """Read the arrays of a weight file of any known container, trusting nothing in it.

    Parameters
    ----------
    path : str or path
        The name's extension plays no part.

    Returns
    -------
    state : StateFile

    Raises
    ------
    InputError
        One line that begins with the path: the file is missing, of no known kind, damaged, has code
        for weights, or holds a number that is not finite.

    Warns
    -----
    InputWarning
        Saying what was taken of a torch checkpoint that is more than a bare state dict.
    """
    with naming(path), open_weights(path) as file:
        container = sniff(file)
        if container == "safetensors":
            arrays, metadata = read_safetensors_file(file)
        elif container == "torch legacy":
            arrays, metadata = read_torch_legacy(file)
        else:
            archive = CheckedZip(file)
            root = find_root(archive)
            container = "npz" if root is None else "torch zip"
            if root is None:
                arrays, metadata = read_npz_archive(archive, path)
            else:
                arrays, metadata = read_torch_zip(archive, root)
        require_finite(arrays)
    if container.startswith("torch") and metadata:
        warn(f"{path}: {what_was_taken(len(arrays), **metadata)}")
    return StateFile(arrays, metadata, container)


def require_finite(arrays):
    """Refuse weights with NaN or infinity: what a diverged training leaves behind."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Unreadable(f"{name!r} holds NaN or infinity, as after a training that diverged; "
                             "expected finite numbers")
