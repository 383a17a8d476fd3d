"""Torch files written by hand, byte by byte, so that the tests can write wrong ones too."""

import io
import struct
import zipfile

import numpy as np

MAGIC_PICKLE = bytes.fromhex("80 02 8a 0a 6c fc 9c 46 f9 20 6a a8 50 19 2e")
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value):
    encoded = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value):
    """LONG1 for everything."""
    return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)


def group(*items):
    """A tuple of any length."""
    return b"(" + b"".join(items) + b"t"


def numbers(values):
    return group(*map(number, values))


def storage(key="0", count=6, kind="FloatStorage", view=b""):
    kind = b"ctorch\n" + kind.encode() + b"\n"
    return group(text("storage"), kind, text(key), text("cpu"), number(count), view) + b"Q"


def tensor(size=(2, 3), stride=(3, 1), offset=0, **of_storage):
    fields = storage(**of_storage), number(offset), numbers(size), numbers(stride), b"\x89", ORDERED_DICT
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + group(*fields) + b"R"


def state(**values):
    """The pickle of a dict whose values are pickle fragments."""
    return program(entries(**values))


def entries(**values):
    """A dict whose values are pickle fragments."""
    return b"}(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


def program(fragment):
    return b"\x80\x02" + fragment + b"."


SIX = np.arange(6, dtype="<f4").tobytes()


def torch_zip(pickle, storages=None, root="archive", byteorder=b"little", extra=(), compress=False):
    """The bytes of a zip container."""
    members = [(f"{root}/data.pkl", pickle), (f"{root}/byteorder", byteorder)]
    members += [(f"{root}/data/{key}", content) for key, content in (storages or {"0": SIX}).items()]
    return make_zip([*members, *extra], compress)


def make_zip(members, compress=False):
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return file.getvalue()


def torch_legacy(pickle, storages=None, keys=None, little_endian=True):
    """The bytes of the container of before torch 1.6; `storages` is key -> (count, content)."""
    storages = storages or {"0": (6, SIX)}
    system = program(b"}(" + text("little_endian") + (b"\x88" if little_endian else b"\x89") + b"u")
    order = program(b"](" + b"".join(map(text, keys or storages)) + b"e")
    head = MAGIC_PICKLE + program(b"M\xe9\x03") + system + pickle + order
    return head + b"".join(struct.pack("<q", count) + content for count, content in storages.values())


def npy(header, content, version=b"\x01\x00"):
    """The bytes of an .npy with a header of one's own."""
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content
