"""One training a folder: a second one would write its rows between the first one's, and its model over the other's.

The lock is the operating system's, on an empty file ``.lock`` that stays in the folder. The system lets go of it when
the process ends, in whatever way, so that a training that was killed blocks nobody; what it had begun to write is
removed by the next. Where there are no locks (some network drives, a folder that cannot be written into), a training
goes without.
"""

import contextlib
import errno
import os

from ..errors import InputError
from ..files import remove_unfinished

try:
    import fcntl
except ImportError:     # Windows
    import msvcrt

    def _lock(file):
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    def _lock(file):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)     # by another; systems differ in the word


@contextlib.contextmanager
def alone_in(folder):
    """Hold the lock of an output folder (None needs none) for the length of a block; InputError if another does."""
    with contextlib.ExitStack() as stack:
        file = None
        if folder is not None:
            with contextlib.suppress(OSError):
                file = stack.enter_context(open(os.path.join(folder, ".lock"), "ab"))
        if file is not None:
            try:
                _lock(file)
                remove_unfinished(folder)       # only who is alone there knows that nobody is writing it
            except OSError as error:
                if error.errno in HELD:     # else there are no locks here
                    raise InputError(f"{folder}: another training is writing into this folder; wait for its end, or "
                                     "choose another folder (--out)") from None
        yield
