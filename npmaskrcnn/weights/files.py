"""Opening and writing files so that nothing surprising happens.

Reading: a file is what its first bytes say, whatever its name says, and everything that turns out to be
wrong with it ends as one `InputError` line that begins with the path. The readers of the single
containers therefore raise `Unreadable` with the reason alone, and `naming(path)` puts the path in front.

Writing: a file appears complete or not at all. The bytes go to a temporary file in the same folder
(`os.replace` is atomic only within one file system), are forced to the disk, and only then take the
name. Whoever interrupts a save keeps the previous file.
"""

import contextlib
import hashlib
import math
import os
import secrets
import stat

from ..errors import InputError

EXPECTED = "expected weights: .npz, .safetensors, or a torch .pth"
LEGACY_MAGIC = bytes.fromhex("80 02 8a 0a 6c fc 9c 46 f9 20 6a a8 50 19")  # pickle of 0x1950a86a20f9469cfc6c

MAX_REASON = 600  # characters
MAX_DIMENSIONS = 8
MAX_SIZE = 1 << 40  # numbers in an array

# First bytes of what people hand in by mistake, and what to call it.
KNOWN_STRANGERS = (
    (b"\x89HDF", "an HDF5 file, as Keras saves it"),
    (b"\x93NUMPY", "a single .npy array"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to (git lfs pull fetches it)"),
    (b"\x80", "a plain pickle, which is not opened because a pickle can run code"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
)


class Unreadable(Exception):
    """Why a file cannot be read, without its name; `naming` turns it into an `InputError`."""


def as_path(value, name):
    """Return a path as a str; `InputError` that names the argument for anything that is none."""
    if isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str):
        return os.fspath(value)
    raise InputError(f"{name} must be a file name or a path, got {value!r:.60}")


def judge_shape(name, shape):
    """Refuse a shape that no weight has, before NumPy is asked for it (empty arrays have long axes, too)."""
    if len(shape) > MAX_DIMENSIONS or math.prod(max(size, 1) for size in shape) > MAX_SIZE:
        raise Unreadable(f"{name!r} has the impossible shape {tuple(shape)}")


@contextlib.contextmanager
def naming(path):
    """Turn what goes wrong inside into one `InputError` line that begins with the path."""
    try:
        yield
    except Unreadable as error:
        reason = " ".join(str(error).split())  # names from the file may be long and have line ends
        raise InputError(f"{path}: {reason[:MAX_REASON]}") from None
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def open_regular(path):
    """Open a regular, non-empty file for reading; anything else is `Unreadable`."""
    path = as_path(path, "path")
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise Unreadable(f"no such file; {EXPECTED}") from None
    except ValueError as error:  # a NUL character in the name
        raise Unreadable(f"not a file name ({error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable(f"is a folder; {EXPECTED}")
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
        raise Unreadable(f"is not a regular file; {EXPECTED}")
    if status.st_size == 0:
        raise Unreadable(f"is empty (0 bytes); {EXPECTED}")
    return open(path, "rb")


def sniff(file):
    """Tell the container from its first bytes: "zip", "torch legacy" or "safetensors".

    Parameters
    ----------
    file : binary file
        Open for reading, of at least one byte. Its position afterwards is 0.

    Returns
    -------
    container : str
        "zip" is an ``.npz`` or a torch ``.pth``; which one, only its member names tell.
    """
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(LEGACY_MAGIC):
        return "torch legacy"
    if head[8:9] == b"{":  # after eight bytes of header length
        return "safetensors"
    raise Unreadable(f"is {_describe(head)}; {EXPECTED}")


def _describe(head):
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<") and (b"html" in text or b"<?xml" in text or b"<head" in text):
        return "a web page, probably an error page saved in place of the download"
    for magic, name in KNOWN_STRANGERS:
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive (torch before 0.2 wrote such files; save it again with a newer torch)"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file"
    if not head.strip(b"\0"):
        return "a run of zero bytes, probably an interrupted download"
    return f"of no known kind (it begins with {head[:4].hex(' ')})"


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
    if os.path.isdir(target):
        raise InputError(f"{path}: is a folder; expected the name of a file to write")
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


def _create(path):
    # Not tempfile: its files are readable by their owner alone, and the finished file would stay so.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "w+b")


def sha256_prefix(path, digits=8):
    """Return the first hexadecimal digits of a file's SHA-256, as torchvision writes them into file names."""
    digest = hashlib.sha256()
    with naming(path), open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:digits]
