"""Masks as people paint them: one picture whose pixel values are object numbers.

A label map is an image file in which 0 is the ground and every other value an object: 1 for the first, 2
for the second. Read as a picture it loses its meaning (a palette turns 2 into some gray, eight bits fold
300 into 44), so these files have a reader of their own, which gives the numbers as they were written.

N objects, H, W height and width.
"""

import numpy as np

from ..errors import InputError
from ..images import open_image
from ..judge import judge_array

# Masks of one image that would need more memory than this are refused before it is asked for.
MAX_MASK_BYTES = 2 * 2**30


def read_label_map(path):
    """The object numbers in a label map file.

    Parameters
    ----------
    path : str or path
        PNG or TIFF; palette, 1, 8, 16 or 32 bit gray.

    Returns
    -------
    label_map : (H, W) int64 ndarray
        The stored numbers: palette indices, not their colors; 16 bit values unscaled.

    Raises
    ------
    InputError
        If the file cannot be read, has colors instead of numbers, or is a JPEG, which changes numbers.
    """
    with open_image(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise InputError(f"{path}: a JPEG is no label map: its compression changes the values; save it as PNG")
        if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
            raise InputError(f"{path}: mode {image.mode}, expected one channel of object numbers "
                             "(palette or gray, 8 or 16 bit)")
        from PIL import ImageOps    # only here: who reads no pictures needs no Pillow
        return np.array(ImageOps.exif_transpose(image)).astype(np.int64)


def masks_from_label_map(label_map, name="label map"):
    """One mask for each object number of a label map.

    Parameters
    ----------
    label_map : (H, W) integer array
        0 is the ground.
    name : str
        What messages call it.

    Returns
    -------
    masks : (N, H, W) bool ndarray
    ids : (N,) int64 ndarray
        The numbers, ascending: ``masks[i]`` is ``label_map == ids[i]``.

    Raises
    ------
    InputError
        If it is not two-dimensional, holds no whole numbers or negative ones, or so many that their masks
        would not fit into memory.

    Examples
    --------
    >>> masks, ids = masks_from_label_map(np.array([[0, 7, 7], [3, 3, 0]]))
    >>> ids
    array([3, 7])
    >>> masks[1].astype(int)
    array([[0, 1, 1],
           [0, 0, 0]])
    """
    label_map = judge_array(label_map, name, "an array of whole numbers", "biuf")
    if label_map.ndim != 2:
        hint = "; take one channel: label_map[:, :, 0]" if label_map.ndim == 3 else ""
        raise InputError(f"{name}: expected shape (H, W), got {label_map.shape}{hint}")
    if label_map.dtype.kind not in "biu":
        raise InputError(f"{name}: expected whole numbers, got {label_map.dtype}")
    ids = np.unique(label_map)
    if len(ids) and int(ids[-1]) > np.iinfo(np.int64).max:
        raise InputError(f"{name}: object numbers end at {np.iinfo(np.int64).max:,}, got {ids[-1]:,}")
    ids = ids.astype(np.int64)
    if len(ids) and ids[0] < 0:
        raise InputError(f"{name}: object numbers must not be negative, got {ids[0]}")
    ids = ids[ids > 0]
    judge_mask_memory(len(ids), label_map.shape, name)
    return label_map == ids[:, None, None], ids


def judge_mask_memory(num_masks, size, name):
    """InputError if that many bool masks of `size` ``(height, width)`` need more than `MAX_MASK_BYTES`."""
    needed = num_masks * size[0] * size[1]
    if needed > MAX_MASK_BYTES:
        raise InputError(f"{name}: {num_masks} masks of {size[0]} x {size[1]} pixels need "
                         f"{needed / 2**30:.1f} GiB, more than {MAX_MASK_BYTES / 2**30:.0f} GiB; "
                         "make the image smaller or cut it into tiles")
