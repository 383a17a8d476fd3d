"""Which container a weight file is: its first bytes say so, whatever its name says.

People hand in web pages, Git LFS pointers, HDF5 files and interrupted downloads in good faith, so those are told
apart, too, and called by their names.
"""

import hashlib

from ..files import Unreadable, naming, open_regular

EXPECTED = "weights: .npz, .safetensors, or a torch .pth"
LEGACY_MAGIC = bytes.fromhex("80 02 8a 0a 6c fc 9c 46 f9 20 6a a8 50 19")  # pickle of 0x1950a86a20f9469cfc6c

# First bytes of what people hand in by mistake, and what to call it.
KNOWN_STRANGERS = (
    (b"\x89HDF", "an HDF5 file, as Keras saves it"),
    (b"\x93NUMPY", "a single .npy array"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to (git lfs pull fetches it)"),
    (b"\x80", "a plain pickle, which is not opened because a pickle can run code (detectron2's .pkl files are such)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
)


def open_weights(path):
    """Open a file in which weights are expected."""
    return open_regular(path, EXPECTED)


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
    raise Unreadable(f"is {_describe(head)}; expected {EXPECTED}")


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


def sha256_prefix(path, digits=8):
    """Return the first hexadecimal digits of a file's SHA-256, as torchvision writes them into file names."""
    digest = hashlib.sha256()
    with naming(path), open_weights(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:digits]
