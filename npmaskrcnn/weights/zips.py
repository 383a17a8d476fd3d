"""The zip archive that both `.npz` and torch's `.pth` are, opened with suspicion.

A zip is a row of members, each behind a small header, and at the very end a directory that says where
they are, how long they are and what their checksums (CRC-32) are. All of that is a claim made by the
file. Before a byte of a member is read, the claims are compared with each other and with the size of
the file: no name that leaves the archive, no name and no place twice, no length that the file cannot hold, no
"bomb" whose few bytes inflate to gigabytes. Reading a member then checks its checksum.
"""

import struct
import zipfile
import zlib

from ..files import Unreadable

MAX_INFLATION = 20  # a compressed archive may unpack to this many times its own size ...
FREE_INFLATION = 64 << 20  # ... or to 64 MB, whichever is more (weights compress little, zeros well)
END_RECORD = struct.Struct("<4s4H2LH")  # signature, disks, members, where the directory is, comment length
WHOLE = "expected a whole file, so copy or download it again"
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError, IndexError)


class CheckedZip:
    """The members of a zip archive whose directory was found plausible.

    Attributes
    ----------
    members : dict
        Name -> `zipfile.ZipInfo`, in the order of the directory.
    """

    def __init__(self, file):
        """Judge the directory of an open file."""
        file_size = file.seek(0, 2)
        try:
            self.archive = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise Unreadable(f"incomplete or damaged: it begins as a zip archive, but its {file_size} bytes do not end "
                             f"with a sound directory ({_reason(error)}); {WHOLE}") from None
        self.members = {}
        for info in self.archive.infolist():
            if info.filename in self.members:
                raise Unreadable(f"has two members named {info.filename!r}; expected every name once")
            self._judge(info, file_size)
            self.members[info.filename] = info
        if len({info.header_offset for info in self.members.values()}) < len(self.members):
            raise Unreadable(f"damaged: its directory has two members in one place; {WHOLE}")
        self._judge_end(file, len(self.members))
        unpacked = sum(info.file_size for info in self.members.values())
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in self.members.values())
        limit = file_size if stored else max(MAX_INFLATION * file_size, FREE_INFLATION)
        if unpacked > limit:
            raise Unreadable(f"declares {unpacked} bytes of content in a file of {file_size}; "
                             f"expected at most {limit}")

    @staticmethod
    def _judge(info, file_size):
        name = info.filename
        if not is_plain_name(name) or name != info.orig_filename:
            raise Unreadable(f"has a member named {info.orig_filename!r}; expected a plain relative name")
        if info.flag_bits & 0x1:
            raise Unreadable(f"member {name!r} is encrypted; expected none to be")
        if info.compress_type not in METHODS:
            raise Unreadable(f"member {name!r} is compressed by method {info.compress_type}; expected one of "
                             f"{sorted(METHODS)} (0 stored, 8 deflated)")
        if info.compress_size > file_size or info.header_offset < 0:  # `zipfile` would ask for so much memory
            raise Unreadable(f"member {name!r} claims {info.compress_size} bytes in a file of {file_size}")
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise Unreadable(f"member {name!r} is uncompressed, yet of two lengths, {info.compress_size} and "
                             f"{info.file_size} bytes")

    @staticmethod
    def _judge_end(file, num_members):
        """Compare the end record's count with the directory: `zipfile` overlooks a directory cut short."""
        file.seek(-END_RECORD.size, 2)
        signature, _, _, _, announced, _, _, _ = END_RECORD.unpack(file.read(END_RECORD.size))
        if signature != b"PK\x05\x06" or announced != num_members:
            raise Unreadable(f"damaged: its directory has {num_members} members, which the record "
                             f"behind it does not confirm; {WHOLE}")

    def read(self, name):
        """Return the bytes of a member, its length and checksum verified."""
        info = self.members[name]
        try:
            content = self.archive.read(info)
        except DAMAGE as error:
            raise Unreadable(f"damaged: member {name!r} cannot be read ({_reason(error)}); {WHOLE}") from None
        if len(content) != info.file_size:
            raise Unreadable(f"damaged: {name!r} has {len(content)} bytes of {info.file_size}; {WHOLE}")
        return content


def _reason(error):
    return str(error) or type(error).__name__


def is_plain_name(name):
    """Tell whether a member's name stays inside the archive on every operating system.

    >>> [is_plain_name(name) for name in ("a/b", "../b", "/b", "a\\\\b", "C:b", "a//b", "")]
    [True, False, False, False, False, False, False]
    """
    parts = name.split("/")
    is_foreign = name[1:2] == ":" or "\\" in name or "\0" in name  # a drive, a folder, an end elsewhere
    return not is_foreign and not any(part in ("", ".", "..") for part in parts)
