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


def _is_the_command():
    """Whether this process is ``npmaskrcnn`` or ``python -m npmaskrcnn``, not a program that imports the package."""
    script = os.path.splitext(os.path.basename("".join(sys.argv[:1])))[0]
    return script == "npmaskrcnn" or ("-m", "npmaskrcnn") in zip(sys.orig_argv, sys.orig_argv[1:])


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
