"""How reference outputs are stored: one ``.npz``, with its origin and a digest of its contents inside."""

import hashlib
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def digest(arrays):
    """Return the sha256 of names, types, shapes and values, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def save(name, arrays, **meta):
    """Write ``name.npz``; `meta` says with what it was made: versions, options, seeds."""
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    meta = {"numpy": np.__version__, **meta, "digest": digest(arrays)}
    path = FOLDER / f"{name}.npz"
    np.savez_compressed(path, meta=np.array(json.dumps(meta)), **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1e6:.2f} MB")


def load(name):
    """Return ``(arrays, meta)`` of ``name.npz``, after comparing its contents with its digest."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    meta = json.loads(str(arrays.pop("meta")))
    if meta["digest"] != digest(arrays):
        raise ValueError(f"{name}.npz is not what was stored: its digest differs")
    return arrays, meta
