"""The matrix product, which takes nine tenths of a model's time, by whoever makes it best on this system.

As a rule that is NumPy's `matmul`, which hands it to a library, OpenBLAS mostly. In a browser there is none: Python is
compiled to WebAssembly there, a system that it calls Emscripten, and NumPy's own loop takes twice as long as it must.
Every number of a product is a sum of products along a row of the one matrix and a column of the other. `np.einsum` is
quick at such a sum where both lie in memory number after number, as a row does, and a column once its matrix has been
transposed and copied: a few numbers beside the many products. See benchmarks/README.md.
"""

import sys

import numpy as np

# `einsum` counts what it multiplies, and where a number has 32 bits, as there, it refuses more than that can count.
MOST_NUMBERS = sys.maxsize


def product_of_rows(a, b, out=None):
    """``a @ b`` for matrices, or stacks of them, each number as a sum along two rows that lie in memory as such."""
    if max(a.size * b.shape[-1], b.size * a.shape[-2]) > MOST_NUMBERS:
        return np.matmul(a, b, out=out)
    columns = np.ascontiguousarray(b.swapaxes(-1, -2))
    return np.einsum("...ik,...jk->...ij", np.ascontiguousarray(a), columns, out=out)


product = product_of_rows if sys.platform == "emscripten" else np.matmul
