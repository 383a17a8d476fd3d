"""The command line: ``npmaskrcnn demo``, ``train``, ``evaluate``, ``detect``, ``track``, ``overfit``, ``clinic``,
``explore``, ``cost``, ``light``, ``export``.

Each command is a file in `npmaskrcnn.commands`; the text at its beginning is what ``--help`` prints. Here is what
they share: a mistake in what was typed or handed in becomes one line on the error stream and exit code 2, never a
traceback; warnings are one line too; and Ctrl-C ends quietly.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import warnings

from . import __version__
from .begin import INTERRUPTED, begun
from .errors import InputError
from .fast.threads import limit_threads
from .judge import judge_count
from .words import printable

MISTAKE, FAILED = 2, 1
# arguments that the command line calls otherwise
PYTHON_NAMES = {"num_steps": "steps", "rng": "seed", "images": "int8_inputs"}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like every other error here, and that knows --threads."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_argument("--threads", type=int, metavar="N", default=argparse.SUPPRESS,
                          help="cores to compute on (default: all; of explore: 1)")

    def add_argument(self, *names, **options):
        """Add an argument; a text, which is one that has neither an action nor a type, must not be empty."""
        if "action" not in options:
            options.setdefault("type", _not_empty)
        return super().add_argument(*names, **options)

    def parse_known_args(self, args=None, namespace=None):
        """Parse, and refuse what is left: here, where the message can name the command."""
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message):
        """Print the message, point at --help, exit."""
        self.exit(MISTAKE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser():
    """Return the parser of all commands."""
    from .commands import ALL

    parser = Parser(prog="npmaskrcnn", description="Mask R-CNN in NumPy: watch it, train it, look inside.",
                    epilog="example: npmaskrcnn demo", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"npmaskrcnn {__version__}")
    parser.set_defaults(threads=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in ALL:
        title, *description, example = command.__doc__.strip().split("\n\n")
        own = commands.add_parser(command.__name__.rpartition(".")[2], help=title.partition(": ")[2].rstrip("."),
                                  description="\n\n".join(description), epilog=example)
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    return parser


def _not_empty(text):
    """Refuse an empty text: mostly a variable of the shell that was never set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give a name, or leave it out")
    return text


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        What was typed after ``npmaskrcnn``; the process's own arguments if absent.

    Returns
    -------
    code : int
        0 if all went well, 2 for a mistake in the input, 1 for a training that diverged, 130 for Ctrl-C.
    """
    if argv is None:
        os.environ["MPLBACKEND"] = "agg"    # figures go into files; no window, whatever the shell says
    try:
        options = build_parser().parse_args(argv)
    except SystemExit as stop:              # argparse: --help, --version, a mistake
        return stop.code or 0
    return run(options)


class Output:
    """A stream for lines: any character can be printed, and a reader that leaves does not stop the work.

    Parameters
    ----------
    stream : text file or None
        None, if the stream was closed before the command began: then nothing is printed.
    name : str, optional
        What a message about a full disk calls it; without a name there is no message.
    """

    def __init__(self, stream, name=None):
        self.stream = io.StringIO() if stream is None else stream
        self.name = name
        if hasattr(self.stream, "reconfigure"):
            self.stream.reconfigure(errors="backslashreplace")  # a terminal that knows no umlauts

    def write(self, text):
        with self._judged():
            return self.stream.write(text)

    def flush(self):
        with self._judged():
            self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)

    @contextlib.contextmanager
    def _judged(self):
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):
                self.stream.close()         # with what is buffered, which Python would else try to write at its end
            self.stream = io.StringIO()     # from here on into the void
            if self.name is not None and not isinstance(error, BrokenPipeError):
                raise InputError(f"{self.name}: cannot be written ({error.strerror})") from None


def run(options):
    """Carry out parsed options; turn what goes wrong into one line and an exit code."""
    said = set()

    def one_line(message):
        print(f"npmaskrcnn {options.command}: {printable(' '.join(str(message).split()))}", file=sys.stderr)

    def show(message, *_, **__):
        if str(message) not in said:    # a picture comes up again in every pass over the data
            one_line(f"warning: {message}")
        said.add(str(message))

    with (contextlib.redirect_stdout(Output(sys.stdout, "standard output")),
          contextlib.redirect_stderr(Output(sys.stderr)), warnings.catch_warnings()):
        warnings.showwarning = show
        try:
            begun()
            if options.threads is not None and not limit_threads(judge_count(options.threads, "--threads")):
                one_line("warning: --threads has no effect, because NumPy's products are not made by OpenBLAS here; "
                         "set the variable that their library reads, such as OMP_NUM_THREADS, beforehand")
            options.run(options)
            sys.stdout.flush()
            return 0
        except (InputError, Warning) as error:      # a warning, where PYTHONWARNINGS makes errors of them
            one_line(f"error: {_as_typed(str(error), options)}")
            return MISTAKE
        except ArithmeticError as error:    # a training that diverged says step, images, term and tensor
            one_line(f"error: {error}")
            return FAILED
        except OSError as error:
            one_line(f"error: {error.filename or 'a file'}: {error.strerror or error}")
            return MISTAKE
        except MemoryError:
            one_line("error: there is not enough memory for this; use smaller images"
                     + " or a smaller --batch-size" * hasattr(options, "batch_size"))
            return MISTAKE
        except KeyboardInterrupt:
            one_line("interrupted")
            return INTERRUPTED


def _as_typed(message, options):
    """Begin the message with the option as it was typed, where Python's name of the argument stands there.

    What stands there may also be a file, whose name begins like an argument.

    >>> _as_typed("num_steps must be a whole number", argparse.Namespace(steps=0))
    '--steps must be a whole number'
    >>> _as_typed("steps 1.npz: no such file", argparse.Namespace(steps=0, weights="steps 1.npz"))
    'steps 1.npz: no such file'
    """
    name = re.match(r"(\w+(?=[ :[]))?", message)[0]
    typed, values = PYTHON_NAMES.get(name, name), list(vars(options).values())
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])
             if isinstance(text, str) and len(text) >= len(name)]
    is_argument = isinstance(vars(options).get(typed), (int, float, list)) and not message.startswith(tuple(texts))
    return f"--{typed.replace('_', '-')}{message[len(name):]}" if is_argument else message
