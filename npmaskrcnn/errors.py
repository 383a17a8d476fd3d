"""What goes wrong when people hand something in, and how it is said.

Everything a person gives the package (an image, a box, a file, an option) is judged once, where it
enters; behind that door the code trusts its arrays. A judgment that fails is an `InputError`: one
line that names the file or the argument, what was got and what was expected. The command line prints
that line and exits with 2; it never shows a traceback for a user's mistake.
"""

import sys
import warnings


class InputError(ValueError):
    """Something handed to the package cannot be used; the message says what, where and what would do."""


class InputWarning(UserWarning):
    """Something handed to the package was mended (clipped, cast, dropped); the message says what and how."""


def warn(message):
    """Give an `InputWarning` that points at the line outside the package from which all this was called."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].startswith("npmaskrcnn."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, InputWarning, stacklevel=level)
