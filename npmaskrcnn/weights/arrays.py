"""What all containers share once the bytes are there: which shapes are believed, and numbers as NumPy has them.

Files keep numbers in little-endian order, whatever the machine, and some keep them as bfloat16: the upper half of
a float32, so eight bits of exponent and seven of fraction. NumPy has no such type; here those two bytes are of its
type for bytes without a meaning, until they are widened.
"""

import math

import numpy as np

from ..files import Unreadable

BFLOAT16 = np.dtype("V2")
MAX_DIMENSIONS = 8
MAX_SIZE = 1 << 40  # numbers in an array


def judge_shape(name, shape):
    """Refuse a shape that no weight has, before NumPy is asked for it (empty arrays have long axes, too)."""
    if len(shape) > MAX_DIMENSIONS or math.prod(max(size, 1) for size in shape) > MAX_SIZE:
        raise Unreadable(f"{name!r} has the impossible shape {tuple(shape)}")


def to_native(array):
    """Return a contiguous copy in this machine's byte order, bfloat16 as float32.

    >>> to_native(np.array([0x3F80, 0xC000], "<u2").view(BFLOAT16))
    array([ 1., -2.], dtype=float32)
    """
    if array.dtype == BFLOAT16:
        wide = array.view("<u2").astype(np.uint32, order="C")
        wide <<= 16
        return wide.view(np.float32)
    return np.array(array, array.dtype.newbyteorder("="), order="C")
