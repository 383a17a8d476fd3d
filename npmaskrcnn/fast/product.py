"""The matrix product, which takes nine tenths of a model's time, in the way that is quickest on this system.

Mostly that is NumPy's `matmul`, which calls a library, usually OpenBLAS. A browser has no such library: there Python is
compiled to WebAssembly (the system is called Emscripten), and the loop that NumPy uses instead takes twice as long as
necessary. Each number of the product is the sum along a row of the first matrix and a column of the second. `np.einsum`
is quick at such a sum if the numbers of both lie next to each other in memory. Those of a row do; those of a column do
once the second matrix is transposed and copied, which costs little beside the products. See benchmarks/README.md.
"""

import sys

import numpy as np

# `einsum` counts what it multiplies, and where a number has 32 bits, as there, it refuses more than that can count.
MOST_NUMBERS = sys.maxsize


def product_of_rows(a, b, out=None):
    """Return ``a @ b`` for matrices or stacks of them, of at least two dimensions, as sums along rows in memory."""
    if max(a.size * b.shape[-1], b.size * a.shape[-2]) > MOST_NUMBERS:
        return np.matmul(a, b, out=out)
    columns = np.ascontiguousarray(b.swapaxes(-1, -2))
    return np.einsum("...ik,...jk->...ij", np.ascontiguousarray(a), columns, out=out)


product = product_of_rows if sys.platform == "emscripten" else np.matmul
