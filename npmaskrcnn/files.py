"""Opening and writing files so that nothing surprising happens.

Reading: everything that turns out to be wrong with a file ends as one `InputError` line that begins with the
path. Readers therefore raise `Unreadable` with the reason alone, and `naming(path)` puts the path in front.

Writing: a file appears complete or not at all. The bytes go to a temporary file in the same folder
(`os.replace` is atomic only within one file system), are forced to the disk, and only then take the
name. Whoever interrupts a save keeps the previous file.
"""

import contextlib
import json
import os
import secrets
import stat
from collections import Counter
from pathlib import Path

from .errors import InputError
from .judge import refusal
from .words import count, short

MAX_REASON = 600  # characters


class Unreadable(Exception):
    """Why a file cannot be read, without its name; `naming` turns it into an `InputError`."""


def as_path(value, name):
    """Return a path as a str; `InputError` that names the argument for anything that is none."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if isinstance(path, str) and path.strip() and "\0" not in path:
        return path
    raise refusal(name, "a file name or a path", value)


# ---- reading ----


@contextlib.contextmanager
def naming(path):
    """Turn what goes wrong inside into one `InputError` line that begins with the path."""
    path = as_path(path, "path")
    try:
        yield
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}") from None
    except Unreadable as error:
        reason = " ".join(str(error).split())  # names from the file may be long and have line ends
        raise InputError(f"{path}: {reason[:MAX_REASON]}") from None
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def open_regular(path, expected):
    """Open a regular, non-empty file for reading; anything else is `Unreadable`, and what was `expected` is said."""
    path = as_path(path, "path")
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise Unreadable(f"no such file; expected {expected}") from None
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable(f"is a folder; expected {expected}")
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
        raise Unreadable(f"is not a regular file; expected {expected}")
    if status.st_size == 0:
        raise Unreadable(f"is empty (0 bytes); expected {expected}")
    return open(path, "rb")


def read_text(path, expected):
    """Return the text in a file; `InputError` with the path, and what was `expected`, if there is none."""
    with naming(path), open_regular(path, expected) as file:
        return _decode(file.read(), expected)


def read_json(path):
    """Return the content of a JSON file; `InputError` with the path and, where it is invalid, the line and text."""
    with naming(path), open_regular(path, "a JSON file") as file:
        return parse_json(file.read())


def _decode(content, expected):
    try:
        return content.decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        raise Unreadable(f"is not UTF-8 text (byte {error.start}); expected {expected}") from None


def parse_json(content):
    """Return what the bytes of a JSON text say; `Unreadable` if they are none, or a key stands twice in an object."""
    text = _decode(content, "JSON")
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except json.JSONDecodeError as error:
        line = (text.splitlines() + [""])[error.lineno - 1]
        start = max(0, error.colno - 40)
        raise Unreadable(f"invalid JSON in line {error.lineno}, column {error.colno}: {error.msg}; "
                         f"the text there is {line[start:start + 60].strip()!r}") from None
    except RecursionError:
        raise Unreadable("invalid JSON, nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise Unreadable(f"invalid JSON ({error})") from None


def _once_each(pairs):
    """The dict of a JSON object; of a key that stands twice Python would silently keep the last value."""
    content = dict(pairs)
    if len(content) < len(pairs):
        key, times = Counter(key for key, _ in pairs).most_common(1)[0]
        where = f" with the id {short(content['id'])}" if "id" in content else ""
        raise Unreadable(f"has the key {short(key)} {times} times in one object{where}; expected it once")
    return content


def as_read_back(value):
    """Return what comes back of a value that is written as JSON: lists for tuples."""
    return json.loads(json.dumps(value))


# ---- writing ----


def make_folder(path, name):
    """Make the folder if need be and return its `Path`; `InputError` if `path` is none or cannot be written into."""
    folder = Path(as_path(path, name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: is a file, but a folder is needed to write into") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot be written into")
    return folder


@contextlib.contextmanager
def atomic_writer(path):
    """Open a temporary file that takes the name `path` when, and only when, the block succeeds.

    Raises
    ------
    InputError
        Naming the path, if the folder is missing or read-only, the disk full, or `path` a folder. The
        temporary file is removed, and a file that was there before is untouched.
    """
    path = as_path(path, "path")
    target = os.path.realpath(path)  # through a symbolic link, so that the link stays one
    if os.path.exists(target) and not os.path.isfile(target):   # a device would be replaced by a file
        kind = "a folder" if os.path.isdir(target) else "a device"
        raise InputError(f"{path}: is {kind}; expected the name of a file to write")
    temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
    try:
        file = _create(temporary)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:  # KeyboardInterrupt too
            with contextlib.suppress(OSError):
                os.remove(temporary)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def judge_writable(path):
    """Raise the `InputError` of an `atomic_writer` that could not write there; what is there stays."""
    with contextlib.suppress(_Enough), atomic_writer(path):
        raise _Enough


class _Enough(Exception):
    """Nothing is to be written."""


def judge_replacing(paths, sources, overwrite, elsewhere="another folder", how="overwrite=True"):
    """Raise `InputError` if a file to be written is one of those that are read, or is there and must not be replaced.

    Parameters
    ----------
    paths : iterable of path
        What is to be written.
    sources : iterable of path
        What is read meanwhile.
    overwrite : bool
        Whether a file that is there may be replaced.
    elsewhere, how : str
        What to choose in its place, and how to say that it may be replaced; for the message.
    """
    there = [path for path in paths if os.path.lexists(path)]
    read = set(map(_identity, sources if there else ())) - {None}
    for path in there:
        if _identity(path) in read:
            raise InputError(f"{path}: is what is read here, and would be lost; choose {elsewhere}")
    if there and not overwrite:
        more = f" (and {count(len(there) - 1, 'other file')})" if len(there) > 1 else ""
        raise InputError(f"{there[0]}: is there already{more}; choose {elsewhere}, or {how} replaces it")


def _identity(path):
    """What two names of one file have in common; None for one that is not there (any more)."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def remove_unfinished(folder):
    """Remove what an `atomic_writer` that was killed has left in a folder; for who knows that no other is at work."""
    for path in Path(folder).glob(f".{'[0-9a-f]' * 16}.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


def _create(path):
    # Not tempfile: its files are readable by their owner alone, and the finished file would stay so.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b")
