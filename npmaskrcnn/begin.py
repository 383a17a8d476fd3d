"""The first second of the command: a Ctrl-C while it is still being imported ends it with one line.

``python -m npmaskrcnn``, and the script that pip installs, import the whole package before they call anything in it.
No ``try`` of ours can be around that, so the package imports this file first of all; and if it is the command that
starts, Ctrl-C ends the process at once, until `begun` says that the command takes care of itself.
"""

import os
import signal
import sys

INTERRUPTED = 130


def begun():
    """From here on Ctrl-C is a `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_):
    os.write(2, b"npmaskrcnn: interrupted\n")
    os._exit(INTERRUPTED)       # an exception could be caught by what is being imported


# while Python looks for the module of -m, that is what stands in the place of the program's name
if (os.path.splitext(os.path.basename("".join(sys.argv[:1])))[0] in ("-m", "npmaskrcnn")
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
    signal.signal(signal.SIGINT, _end)
