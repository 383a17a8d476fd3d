"""Freed memory is kept for the next array, instead of being given back to the system and asked for again.

A training step needs the same hundred megabytes as the step before, and the layers of a prediction need again what the
layers before them have left. The C library hands freed memory back to the operating system; the next array asks for it
again, and gets it page by page, each filled with zeros first. On Linux that takes a tenth of a step of the tiny model.
The model spares it: from its first pass on, the process gives memory back only when it ends.
"""

import ctypes
import functools

# Parameters of mallopt, from glibc's <malloc.h>; larger arrays than glibc's highest threshold still come and go.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
HIGHEST_MMAP_THRESHOLD = 32 * 2**20


@functools.cache    # once is enough
def keep_freed_memory():
    """Tell the C library to keep it, in this process, from now on. Does nothing where that is not glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, HIGHEST_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
