"""What the benchmarks say first: which kernel makes NumPy's matrix products here, how quickly, and who else is at work.

Most of a model's time are matrix products, so that their rate is the limit which the other figures can be held
against. OpenBLAS chooses the kernel by the processor, unless a variable of the environment chooses for it: then NumPy
is measured with another kernel than users have, and the other libraries, which do not read that variable, are not.
"""

import ctypes
import os

SETTINGS = "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"  # with them, the kernel is not the one that the machine would get
PRODUCT = (2048, 2048, 2048)


def print_machine():
    """Print which kernel makes the matrix products, and how quickly; warn if it is not the machine's own."""
    if hasattr(os, "getloadavg"):       # not on Windows
        print(f"processes at work before this one: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} processors")
    print(f"matrix products: {kernel()}")
    print_product_rate()
    for variable in SETTINGS:
        if variable in os.environ:
            print("!" * 100, f"!!  {variable}={os.environ[variable]} is set: these are not this machine's own times.",
                  f"!!  Measure again with: env -u {' -u '.join(SETTINGS)} python ...", "!" * 100, sep="\n", flush=True)


def print_product_rate():
    """Print the rate of bare products."""
    import worker
    (best, median), = worker.product_rates([PRODUCT])
    print(f"bare products of {' x '.join(map(str, PRODUCT))}: {best:.0f} GFLOP/s at best, {median:.0f} in the median",
          flush=True)


def kernel():
    """Return the name of OpenBLAS's kernel in this process, or say that NumPy's products are made elsewhere."""
    import numpy as np
    products = getattr(np, "_core", None) or np.core
    try:
        library = ctypes.CDLL(products._multiarray_umath.__file__)      # and the libraries that it has loaded
    except OSError:
        return "not known"
    for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
        name, settings = (getattr(library, f"{prefix}openblas_{what}{suffix}", None)
                          for what in ("get_corename", "get_config"))
        if name and settings:
            name.restype = settings.restype = ctypes.c_char_p
            return f"kernel {name().decode()} of {settings().decode()}"
    return "not made by OpenBLAS, or by one that does not say its kernel"
