"""A whole pass through the model, and the independent pieces of a long piece of work.

Both say to whoever is quick where much work comes together. Here they do what they say, and nothing else.
"""

import contextlib


def for_each(work, pieces):
    """Call ``work(piece)`` for each of several pieces that do not depend on each other.

    Parameters
    ----------
    work : callable
        Must not write where the work on another piece reads or writes.
    pieces : sequence
    """
    for piece in pieces:
        work(piece)


@contextlib.contextmanager
def whole_pass(numbers, training=False):
    """Open around a whole forward, or forward and backward, pass; may be nested.

    Parameters
    ----------
    numbers : int
        In the batch of images: how much work is to come.
    training : bool
        Whether gradients are computed.
    """
    yield
