"""Pictures of one's own, as they come from the page: a file's bytes, or raw colors that the browser has read already.

Pillow reads a file, and makes its longer side 128 pixels, which is the size that the tiny models see. Where there is no
Pillow, in a browser, the page itself reads the file and sends the colors.
"""

import tempfile
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..judge import judge_number
from .scene import SIDES

LONGER_SIDE = 128       # of a picture from a file


def image_of_bytes(blob, width, height):
    """Return the image in raw bytes, red, green, blue, row by row.

    Parameters
    ----------
    blob : bytes
    width, height : int

    Returns
    -------
    image : (height, width, 3) uint8 ndarray

    Raises
    ------
    InputError
        If a side is not one that a scene may have, or if the bytes are more or fewer.
    """
    width, height = (judge_number(side, name, *SIDES, whole=True)
                     for side, name in ((width, "width"), (height, "height")))
    if len(blob) != width * height * 3:
        raise InputError(f"a picture of {width} x {height} pixels has {width * height * 3:,} bytes, got {len(blob):,}")
    return np.frombuffer(blob, np.uint8).reshape(height, width, 3).copy()


def image_of_file(blob):
    """Return the image in the bytes of a file, its longer side of 128 pixels.

    Parameters
    ----------
    blob : bytes

    Returns
    -------
    image : (H, W, 3) uint8 ndarray

    Raises
    ------
    InputError
        If it is no picture, or a damaged one.
    """
    from ..images import read_image     # only here: nothing else needs Pillow
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(blob)
        try:
            image = read_image(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "the picture")) from None
    from PIL import Image
    ratio = LONGER_SIDE / max(image.shape[:2])
    size = [max(round(side * ratio), SIDES[0]) for side in image.shape[1::-1]]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
