"""Run-length encoding: how COCO writes a mask down.

Walk over a mask column by column, top to bottom, and count how long it stays the same: so many pixels
of background, so many of object, so many of background again, and so on. The list of these counts *is*
the mask; the first count is always background, and is 0 if the first pixel belongs to the object. COCO
files hold either the list itself ("uncompressed", used for crowds) or a string in which each count is
written in a few printable characters ("compressed"). An area can be read off the counts directly, without
ever unfolding the mask.

An RLE is ``{"size": [height, width], "counts": list of int, or str}``, as in a COCO file. Bytes are
accepted for the string, because pycocotools returns bytes.
"""

import numpy as np

from .errors import InputError
from .judge import judge_array
from .words import short

# The largest mask that is unfolded: a file may claim any size. Pillow refuses images at the same number.
MAX_PIXELS = 178_956_970

# A difference of two counts below MAX_PIXELS fits 29 bits with its sign: six characters of five bits each.
# One more is allowed for writers that pad.
MAX_CHARACTERS_PER_COUNT = 7


def encode(mask, compress=True):
    """Write a mask as run lengths.

    Parameters
    ----------
    mask : (H, W) bool or integer ndarray
        Nonzero is the object.
    compress : bool
        True for the string of COCO files, False for the plain list of counts.

    Returns
    -------
    rle : dict
        ``{"size": [H, W], "counts": str or list of int}``; it can go into a JSON file as it is.

    Raises
    ------
    InputError
        If `mask` is not two-dimensional, or holds floats: threshold probabilities first.

    Examples
    --------
    >>> mask = np.array([[0, 1, 1],
    ...                  [0, 0, 1]])
    >>> encode(mask, compress=False)
    {'size': [2, 3], 'counts': [2, 1, 1, 2]}
    >>> encode(mask)
    {'size': [2, 3], 'counts': '2111'}
    """
    mask = judge_array(mask, "mask", "an (H, W) array of bools", "biuf")
    if mask.ndim != 2:
        raise InputError(f"encode: a mask has two dimensions (H, W), got shape {mask.shape}")
    if mask.dtype.kind not in "biu":
        raise InputError(f"encode: a mask is bool or integer, got {mask.dtype} (threshold probabilities)")
    pixels = (mask != 0).ravel(order="F")                       # column after column
    changes = np.flatnonzero(np.diff(pixels, prepend=False))    # the first run is background, even if empty
    counts = np.diff(changes, prepend=0, append=pixels.size).tolist()
    return {"size": list(mask.shape), "counts": _counts_to_string(counts) if compress else counts}


def decode(rle, name="RLE", image_size=None):
    """Unfold run lengths into a mask.

    Parameters
    ----------
    rle : dict
        ``{"size": [H, W], "counts": str, bytes or list of int}``.
    name : str
        What messages call it.
    image_size : (height, width), optional
        Of the image that it belongs to.

    Returns
    -------
    mask : (H, W) bool ndarray

    Raises
    ------
    InputError
        If the size is not two whole numbers, not the image's, or has more than `MAX_PIXELS` pixels, or if the
        counts cannot be read, are negative, or do not sum to H * W. Nothing of the claimed size is allocated before.

    Examples
    --------
    >>> decode({"size": [2, 3], "counts": [2, 1, 1, 2]}).astype(int)
    array([[0, 1, 1],
           [0, 0, 1]])
    """
    height, width, runs = _read(rle, name, image_size)
    is_object = np.arange(len(runs)) % 2 == 1
    pixels = np.repeat(is_object, runs)
    return np.ascontiguousarray(pixels.reshape(width, height).T)


def area(rle, name="RLE", image_size=None):
    """Count the pixels of the object, every second run; parameters and errors as in `decode`.

    >>> area({"size": [2, 3], "counts": [2, 1, 1, 2]})
    3
    """
    return int(_read(rle, name, image_size)[2][1::2].sum())


def extent(rle, name="RLE", image_size=None):
    """The smallest box around the object, without unfolding the mask; parameters and errors as in `decode`.

    Returns
    -------
    box : (x1, y1, x2, y2) ints
        x2 and y2 are one past the last column and row; all 0 for a mask without a pixel.

    >>> extent({"size": [2, 3], "counts": [2, 1, 1, 2]})
    (1, 0, 3, 2)
    """
    height, _, runs = _read(rle, name, image_size)
    ends = np.cumsum(runs)
    last = ends[1::2] - 1                       # the last pixel of every run of the object, and the first one
    first = ends[0:2 * len(last):2]
    first, last = first[last >= first], last[last >= first]
    if not len(first):
        return 0, 0, 0, 0
    rows = np.concatenate([first, last]) % height
    over_a_border = (first // height != last // height).any()      # such a run has a column's last pixel and a first
    y1, y2 = (0, height) if over_a_border else (rows.min(), rows.max() + 1)
    return int(first[0] // height), int(y1), int(last[-1] // height) + 1, int(y2)


# ---- reading: everything is judged before it is believed ----


def _read(rle, name, image_size):
    """Return height, width and the runs (intp) of an RLE, or raise InputError."""
    if not isinstance(rle, dict) or "size" not in rle or "counts" not in rle:
        raise InputError(f"{name}: expected a dict with 'size' and 'counts', got {short(rle)}")
    height, width = _read_size(rle["size"], name)
    if image_size is not None and (height, width) != image_size:
        swapped = (width, height) == image_size
        hint = "; height and width look swapped (RLE sizes are height, width)" if swapped else ""
        raise InputError(f"{name}: has size {[height, width]}, the image is "
                         f"{image_size[0]} x {image_size[1]} (height x width){hint}")
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        counts = _string_to_counts(counts, name)
    elif not isinstance(counts, (list, tuple, np.ndarray)) or not _all_ints(counts):
        raise InputError(f"{name}: counts are a list of whole numbers or a string, got {short(counts)}")
    if len(counts) and min(counts) < 0:
        raise InputError(f"{name}: counts must not be negative, got {short(min(counts))}")
    total = sum(int(count) for count in counts)                          # Python's ints: no overflow
    if total != height * width:
        raise InputError(f"{name}: counts sum to {short(total)}, but size {height} x {width} (height x width) "
                         f"has {height * width} pixels")
    return height, width, np.array(counts, dtype=np.intp)               # what np.repeat counts in


def _read_size(size, name):
    """Return height and width as ints, or raise InputError."""
    is_pair = isinstance(size, (list, tuple, np.ndarray)) and len(size) == 2
    if not is_pair or not _all_ints(size) or min(size) < 0:
        raise InputError(f"{name}: size is [height, width] in whole pixels, got {short(size)}")
    height, width = int(size[0]), int(size[1])
    if height * width > MAX_PIXELS:
        raise InputError(f"{name}: size {short(size)} is more than the {MAX_PIXELS} pixels that are unfolded")
    return height, width


def _all_ints(values):
    return all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values)


# ---- the compressed string ----
#
# From the fourth count on, the difference to the count before the last is written (object runs resemble
# object runs). Each number is cut into groups of five bits, lowest first; a sixth bit says that more groups
# follow, and the top bit of the last group is the sign. 48 is added to each group, which makes it a printable
# character, "0" to "o".


def _counts_to_string(counts):
    """Compress a list of counts."""
    characters = []
    for i, count in enumerate(counts):
        number = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            group = number & 0x1F
            number >>= 5                                                 # keeps the sign: ends at 0 or -1
            more = number != (-1 if group & 0x10 else 0)
            characters.append(chr(48 + (group | 0x20 if more else group)))
    return "".join(characters)


def _string_to_counts(string, name):
    """Read a compressed string; every character is checked, and no number grows without bound."""
    counts = []
    number, num_groups = 0, 0
    for position, code in enumerate(map(ord, string) if isinstance(string, str) else string):
        if not 48 <= code < 112:
            raise InputError(f"{name}: character {chr(code)!r} at position {position} is outside '0' to 'o'; "
                             "this is no compressed RLE string")
        group = code - 48
        number |= (group & 0x1F) << (5 * num_groups)
        num_groups += 1
        if group & 0x20:
            if num_groups == MAX_CHARACTERS_PER_COUNT:
                raise InputError(f"{name}: the number at position {position} is too long; damaged string?")
            continue
        if group & 0x10:
            number -= 1 << (5 * num_groups)                              # the sign
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number, num_groups = 0, 0
    if num_groups:
        raise InputError(f"{name}: the string ends inside a number, after {len(counts)} counts; truncated?")
    return counts
