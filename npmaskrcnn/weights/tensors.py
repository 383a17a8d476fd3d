"""From the description of torch's tensors to arrays, every number of the description judged first.

A torch tensor is a window on a storage, a flat run of numbers: element `(i, j)` of a matrix lies at
`offset + i * stride[0] + j * stride[1]`. Several tensors may look at one storage, a transposed matrix is
the same numbers with swapped strides, and a stride of 0 repeats one number. A window that reaches out
of its storage would show whatever else is in memory, so the last element's place is computed before
anything is read; and because stride 0 makes much out of little, the sum of all arrays is bounded too.
"""

import math

import numpy as np

from ..files import Unreadable
from .arrays import judge_shape, to_native

MAX_SHARING = 4  # all arrays together may take this many times the size of the file ...
FREE_BYTES = 1 << 20  # ... and a megabyte, so that a small file may repeat a number


def read_tensors(tensors, read_storage, file_size):
    """Read the arrays that `tensors` describe.

    Parameters
    ----------
    tensors : dict of str to Tensor
    read_storage : callable
        Storage -> bytes, exactly as many as the storage declares.
    file_size : int
        In bytes; what the whole may justify.

    Returns
    -------
    arrays : dict of str to ndarray
        Contiguous, each with memory of its own.
    """
    for name, tensor in tensors.items():
        _judge_window(name, tensor)
    total = sum(math.prod(tensor.size) * tensor.storage.dtype.itemsize for tensor in tensors.values())
    limit = MAX_SHARING * file_size + FREE_BYTES
    if total > limit:
        raise Unreadable(f"describes {total} bytes of tensors, while {file_size} are in the file; "
                         f"expected at most {limit}")
    by_storage = {}
    for name, tensor in tensors.items():
        by_storage.setdefault(tensor.storage, []).append(name)
    arrays = dict.fromkeys(tensors)  # keeps their order
    for storage, names in by_storage.items():  # one storage in memory at a time
        content = read_storage(storage)
        for name in names:
            arrays[name] = _window(tensors[name], content)
    return arrays


def _judge_window(name, tensor):
    storage, offset, size, stride = tensor
    if type(size) is not tuple or type(stride) is not tuple or len(size) != len(stride):
        raise Unreadable(f"tensor {name!r} has a size and a stride that do not belong together")
    if not all(type(number) is int and 0 <= number < 1 << 40 for number in (offset, *size, *stride)):
        raise Unreadable(f"tensor {name!r} has a size, stride or offset that is no count of numbers")
    judge_shape(name, size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.count:
        raise Unreadable(f"tensor {name!r} of size {size} reaches to number {last} of its storage, "
                         f"which has {storage.count}")


def _window(tensor, content):
    storage, offset, size, stride = tensor
    step = storage.dtype.itemsize
    if 0 in size:
        return to_native(np.zeros(size, storage.dtype))
    # NumPy checks the window against the buffer once more. The stride along an axis of length 1 is free.
    strides = [steps * step if n > 1 else 0 for n, steps in zip(size, stride, strict=True)]
    return to_native(np.ndarray(size, storage.dtype, content, offset * step, strides))
