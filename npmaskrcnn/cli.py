"""The command line: ``npmaskrcnn demo``, ``train``, ``evaluate``, ``detect``, ``overfit``, ``export``.

Each command is a file in `npmaskrcnn.commands`. Here is what they share: a mistake in what was typed or
handed in becomes one line on the error stream and exit code 2, never a traceback; warnings are one line
too; Ctrl-C ends quietly; and ``--threads`` is seen to before NumPy has started its own.
"""

import argparse
import os
import subprocess
import sys
import warnings

from . import __version__
from .commands import ALL
from .errors import InputError

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
MISTAKE, FAILED, INTERRUPTED = 2, 1, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like every other error here."""

    def error(self, message):
        """Print the message, point at --help, exit."""
        self.exit(MISTAKE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser():
    """Return the parser of all commands."""
    parser = Parser(prog="npmaskrcnn", description="Mask R-CNN in NumPy: watch it, train it, look inside.",
                    epilog="example: npmaskrcnn demo", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"npmaskrcnn {__version__}")
    _add_threads(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for command in ALL:
        command.add_parser(commands)
    return parser


def _add_threads(parser):
    parser.add_argument("--threads", type=int, metavar="N", default=None,
                        help="cores to compute on (default: all); before the command")


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        What was typed after ``npmaskrcnn``; the process's own arguments if absent, and then the process
        also exits with the command's code.

    Returns
    -------
    code : int
        0 if all went well, 2 for a mistake in the input, 1 for a training that diverged, 130 for Ctrl-C.
    """
    try:
        options = build_parser().parse_args(argv)
        if argv is None and options.threads is not None:
            _restart_with_threads(options.threads)
        code = run(options)
    except SystemExit as stop:              # argparse: --help, --version, a mistake
        if argv is None:
            raise
        return stop.code or 0
    if argv is None:
        sys.exit(code)
    return code


def run(options):
    """Carry out parsed options; turn what goes wrong into one line and an exit code."""
    def one_line(message):
        print(f"npmaskrcnn {options.command}: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: one_line(f"warning: {message}")
        try:
            if options.threads is not None and options.threads < 1:
                raise InputError(f"--threads is {options.threads}, but must be at least 1")
            options.run(options)
            sys.stdout.flush()
            return 0
        except InputError as error:
            one_line(f"error: {error}")
            return MISTAKE
        except ArithmeticError as error:    # a training that diverged says step, images, term and tensor
            one_line(f"error: {error}")
            return FAILED
        except BrokenPipeError:             # the reader of our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            one_line(f"error: {error.filename or 'a file'}: {error.strerror or error}")
            return MISTAKE
        except MemoryError:
            one_line("error: there is not enough memory for this; use smaller images or a smaller --batch-size")
            return MISTAKE
        except KeyboardInterrupt:
            one_line("interrupted")
            return INTERRUPTED


def _restart_with_threads(threads):
    """Run the same command again in a process whose NumPy uses `threads` cores, and exit with its code.

    NumPy's matrix products read the number of threads when NumPy is imported, and it has been imported
    long before an option can be read; so the variable is set, and the command starts over.
    """
    if threads < 1 or all(os.environ.get(name) == str(threads) for name in THREAD_VARIABLES):
        return
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    command = [sys.executable, "-m", "npmaskrcnn", *sys.argv[1:]]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(sys.executable, command)
    sys.exit(subprocess.call(command))
