"""What is stored of a large array: its norm, its largest entry, a few entries, and projections on random arrays.

An array of ten million numbers cannot be stored; a wrong one is told from the right one as surely by a few
sums in which every entry takes part with a random weight of its own. Small arrays are stored whole. How
close two arrays are is measured against the largest entry (entries) and the norm (sums).
"""

import zlib

import numpy as np

WHOLE = 256             # arrays of up to so many numbers are stored as they are
ENTRIES, PROJECTIONS = 16, 4
ROW = 1021              # prime, so that the folded array's rows fall in step with no axis


def fingerprint(array, name):
    """Return a float64 vector: the array itself if small, else size, norm, maximum, entries, projections.

    Parameters
    ----------
    array : ndarray
    name : str
        Seeds the choice of entries and of directions.
    """
    flat = np.asarray(array).reshape(-1)
    if flat.size <= WHOLE:
        return flat.astype(np.float64)
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    entries = flat[rng.randint(0, flat.size, ENTRIES)].astype(np.float64)
    num_rows = -(-flat.size // ROW)
    folded = np.zeros((num_rows, ROW))
    folded.reshape(-1)[:flat.size] = flat
    # A projection on the outer product of two random vectors: every entry has its own weight, few are drawn.
    projections = [row_weights @ (folded @ column_weights) for row_weights, column_weights in
                   ((_signed(rng, num_rows), _signed(rng, ROW)) for _ in range(PROJECTIONS))]
    norm = np.sqrt(np.sum(folded * folded))
    return np.concatenate([[flat.size, norm, np.abs(folded).max()], entries, projections])


def _signed(rng, n):
    """Random weights of variance one, none near zero."""
    return (rng.random_sample(n) + 0.5) * np.where(rng.random_sample(n) < 0.5, -1, 1) / 1.0408


def assert_alike(array, stored, name, tolerance):
    """Assert that `array` has the stored fingerprint, to `tolerance` relative to its largest entry (or norm)."""
    got = fingerprint(array, name)
    assert got.shape == stored.shape, f"{name}: fingerprint of {got.shape} numbers, stored {stored.shape}"
    if stored.size == 3 + ENTRIES + PROJECTIONS and np.size(array) > WHOLE:
        assert got[0] == stored[0], f"{name}: {got[0]:.0f} numbers, stored {stored[0]:.0f}"
        norm, largest = stored[1:3]
        scale = np.concatenate([[1.0, norm, largest], np.full(ENTRIES, largest), np.full(PROJECTIONS, norm)])
    else:
        scale = np.full(stored.shape, np.abs(stored).max() if stored.size else 1.0)
    error = np.abs(got - stored) / np.where(scale > 0, scale, 1.0)
    largest_error = error.max() if stored.size else 0.0
    assert largest_error <= tolerance, f"{name}: differs by {largest_error:.1e}, allowed {tolerance:.1e}"
