"""A whole pass, quickly: each core works on pieces of its own, and freed memory is kept for the next step."""

import contextlib

from .memory import keep_freed_memory
from .threads import products_on_one_core, spread_over_cores

# A prediction's operations are large enough to share out their pieces if its batch has more numbers than this.
LARGE_BATCH = 3 * 512 * 512


def for_each(work, pieces):
    """Within a whole pass, the pieces are shared out among the cores. See plain."""
    def work_through(part):
        for piece in part:
            work(piece)

    spread_over_cores(work_through, pieces, fewest=8)


@contextlib.contextmanager
def whole_pass(numbers=None, training=False):
    """See plain."""
    keep_freed_memory()
    with products_on_one_core(training or (numbers or 0) > LARGE_BATCH):
        yield
