"""Where pictures come in: any array or image file, judged once and brought into one form.

A network sees numbers, and the same picture can be many numbers: 0 to 255, 0 to 1, 0 to 65535, one
channel or four, lying on its side because the camera wrote "turn me" into the file. A wrong guess here
raises no error later; the model just detects nothing. So everything enters through two functions:
`as_float_image` for arrays and `read_image` for files. They follow the rules below and refuse the rest.

| array                                      | what becomes of it                                         |
|--------------------------------------------|------------------------------------------------------------|
| (H, W), (H, W, 1)                          | gray, repeated to three channels                           |
| (H, W, 2), (H, W, 4)                       | gray or RGB with alpha, laid on white                      |
| (H, W, 3)                                  | RGB (BGR cannot be told apart: look at the picture)        |
| uint8                                      | divided by 255; a warning if the largest value is 1        |
| uint16                                     | divided by 65535; a warning if 14 bits or less are used    |
| bool                                       | False black, True white                                    |
| float in 0..1                              | taken as it is; up to .05 outside clipped; else refused    |
| any numbers, with ``white``                | divided by white; refused below 0 or above white           |
| other types, (3, H, W), (N, H, W, 3), no pixel | refused, with a hint                                   |

| file                                       | what becomes of it                                         |
|--------------------------------------------|------------------------------------------------------------|
| gray, RGB, palette, 1 bit, CMYK, YCbCr, ...| converted to RGB                                           |
| with transparency                          | laid on white                                              |
| 16 bit gray                                | scaled to 0..255, not cut off there; a warning if 14 bits  |
|                                            | or less are used                                           |
| 16 bit color                               | Pillow reads its upper 8 bits; a warning if 14 bits or     |
|                                            | less are used; with ``white`` refused                      |
| 32 bit integer or float                    | refused: only its maker knows the scale                    |
| 16 and 32 bit gray, with ``white``         | white becomes 255; refused below 0 or above white          |
| TIFF of gray whose 0 is white              | turned round                                               |
| EXIF orientation                           | applied                                                    |
| animation, several pages                   | the first, with a warning                                  |
| missing, empty, truncated, not an image    | refused, with the path                                     |

``white`` is the number that is white, 4095 for the 12 bits of a microscope. What is in a picture never decides how
it is scaled: two pictures of one camera must stay comparable. Files of 8 bits do not ask for it, white is 255 there.

Both refuse more than `MAX_PIXELS` pixels, before they ask for the memory.
"""

import contextlib
import re
import warnings

import numpy as np

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError:     # in a browser, which would have to fetch Pillow: arrays are judged without it
    Image = None

from .errors import InputError, warn
from .files import Unreadable, naming, open_regular
from .judge import (ALPHA_BACKGROUND, checked_image, judge_size, judge_white, likely_bits, too_large_advice,
                    warn_of_few_bits)


def as_float_image(image, name="image", dtype=np.float32, white=None):
    """Any image array as RGB in 0..1; the table of rules is at the top of this file.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array
        uint8, uint16, bool or float. A Pillow image is taken too. Never modified.
    name : str
        What messages call it, for example its file name.
    dtype : numpy float type
        Of the result.
    white : number, optional
        The value that means white, 4095 for 12 bits: then integers and floats of any scale are taken.

    Returns
    -------
    image : (H, W, 3) ndarray of `dtype`
        RGB in 0..1, contiguous. Shares no memory with the argument.

    Raises
    ------
    InputError
        If the array is no image, or one whose scale could only be guessed, or has values above `white`.

    Examples
    --------
    >>> as_float_image(np.array([[0, 51, 255]], np.uint8))[:, :, 0]
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    if Image is not None and isinstance(image, Image.Image):
        image, white = _pillow_to_array(image, name, white), None
    if white is not None and isinstance(image, np.ndarray) and image.size:
        image = _divided_by_white(image, white, name, dtype)
    return checked_image(image, name, dtype)


def read_image(path, white=None):
    """The picture in a file, as RGB; the table of rules is at the top of this file.

    Parameters
    ----------
    path : str or path
        PNG, JPEG, TIFF, GIF, BMP, WebP, ...: what Pillow reads.
    white : number, optional
        The value that means white in gray of 16 or 32 bits, 4095 for 12 bits. Files of 8 bits are read as always.

    Returns
    -------
    image : (H, W, 3) uint8 ndarray
        RGB, turned as its EXIF orientation says.

    Raises
    ------
    InputError
        If there is no such file, or none that can be read whole, or it is too large; with the path.
    """
    with open_image(path) as image:
        return np.ascontiguousarray(_pillow_to_array(image, str(path), white))


@contextlib.contextmanager
def open_image(path, only_first=True):
    """A file as a decoded Pillow image, whatever its mode, within a block; InputError with the path if that fails.

    Of several pictures it is the first, with a warning if it is the `only_first` that is wanted.
    """
    if Image is None:
        raise InputError(f"{path}: picture files are read by Pillow, which is not installed")
    with naming(path), open_regular(path, "an image file") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)   # the limit below is lower
                image = Image.open(file, formats=_formats())
            judge_size(image.size[::-1], str(path))
            num_pictures = count_pictures(image)
            _load_picture(image, 0)     # counting them may have turned the pages
        except (InputError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise Unreadable(f"is not an image that can be read ({_beginning(file)})") from None
        except Image.DecompressionBombError:     # its own limit is another one
            raise Unreadable(f"has too many pixels; {too_large_advice()}") from None
        except Exception as error:   # Pillow's parsers let through whatever a damaged file makes them raise
            raise Unreadable(f"is damaged or incomplete ({_reason(error)})") from None
        if only_first and num_pictures > 1:
            warn(f"{path}: holds {num_pictures} pictures; only the first is used")
        yield image


def read_pictures(path, white=None):
    """Yield all pictures in a file, an animation or pages, one after the other; each like that of `read_image`."""
    with open_image(path, only_first=False) as image:
        for i in range(count_pictures(image)):
            try:
                _load_picture(image, i)
            except Exception as error:
                raise Unreadable(f"picture {i} is damaged or incomplete ({_reason(error)})") from None
            yield np.array(_pillow_to_array(image, str(path), white))   # a copy: Pillow draws the next over this one


def count_pictures(image):
    """Return how many pictures are in an open file."""
    # An MPO is one photograph, with a preview or a depth map behind it.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _load_picture(image, number):
    """Decode one of the pictures in a file, and note what its mode does not tell."""
    image.seek(number)
    # Its decoder's raw mode is one of 16 bits, and the image's is not: the lower 8 are about to be lost.
    loses_bits = not image.mode.startswith("I") and re.search(";16[BLN]", str(image.tile)) is not None
    white_is_zero = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
    image.load()
    image.info.update({UPPER_BITS: loses_bits, WHITE_IS_ZERO: white_is_zero})


def _divided_by_white(image, white, name, dtype):
    """The numbers of an array divided by the one that is white; `InputError` if they are not within 0 and that."""
    white = judge_white(white, "white")
    if image.dtype.kind not in "uif":
        raise InputError(f"{name}: values of type {image.dtype}; white goes with numbers only")
    low, high = image.min(), image.max()
    if not (low >= 0 and high <= white):    # nor is NaN
        raise InputError(f"{name}: values from {low:g} to {high:g}, expected 0 to {white:g}, which is to be white")
    return np.true_divide(image, white, dtype=dtype)


def stretch_contrast(values, least=0):
    """Make the darkest half percent of a picture black and its brightest thousandth white.

    So a microscope's software shows what uses few of the gray values. No reader does it by itself: what is in a picture
    does not decide how it is scaled, unless somebody wants it.

    Parameters
    ----------
    values : array
        Of any shape; colors keep their proportions.
    least : number
        Black and white are at least so far apart, so that the noise of an empty picture stays faint.

    Returns
    -------
    picture : uint8 ndarray of that shape

    Examples
    --------
    >>> stretch_contrast(np.array([[2, 3, 4]]), least=1)
    array([[  0, 127, 255]], dtype=uint8)
    """
    black, white = np.quantile(values, [0.005, 0.999])
    white = max(white, black + least)
    return np.clip(np.round(255 * (values - black) / (white - black)), 0, 255).astype(np.uint8)


# ---- files ----

# Keys in a Pillow image's `info`: its file has 16 bits a channel, of which Pillow has read 8; its file's 0 is white.
UPPER_BITS, WHITE_IS_ZERO = "npmaskrcnn: upper bits only", "npmaskrcnn: white is zero"
PHOTOMETRIC = 262       # the tag of a TIFF that says so
OTHER_WAYS = "save it as 8 bit, or read it with another library and use as_float_image(array, white={white})"


def _pillow_to_array(image, name, white):
    """A decoded Pillow image as (H, W, 3) uint8."""
    judge_size(image.size[::-1], name)
    kind = image.mode, image.format     # a turned image has no format any more
    try:
        image.load()
    except Exception as error:   # a closed image, or one that was opened and whose file ends too early
        raise InputError(f"{name}: its pixels cannot be read ({_reason(error)})") from None
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:   # a damaged EXIF block must not cost the picture
        warn(f"{name}: its EXIF block cannot be read ({_reason(error)}); it is not turned")
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image, kind, name, white)
    if image.info.get(UPPER_BITS):
        _judge_upper_bits(image, name, white)
    try:
        if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            page = Image.new("RGBA", image.size, (round(255 * ALPHA_BACKGROUND),) * 3 + (255,))
            image = Image.alpha_composite(page, image)
        return np.asarray(image.convert("RGB"))
    except (ValueError, OSError):
        raise InputError(f"{name}: mode {image.mode} cannot be converted to RGB") from None


def _from_deep(image, kind, name, white):
    """Gray of 16 or 32 bits as (H, W, 3) uint8, scaled so that white is 255; Pillow's own conversion would cut off."""
    values, see_through = np.asarray(image), image.info.get("transparency")
    if white is None:
        low, high = values.min(), values.max()
        # Pillow has 16 bits in the mode of 32, too, but not where a TIFF has 32.
        if image.mode == "F" or low < 0 or high > 65535 or kind == ("I", "TIFF"):
            raise InputError(f"{name}: holds 32 bit values from {low:g} to {high:g} (mode {image.mode}), whose scale "
                             "is unknown; say which one is white (white=, --white), or save it as 8 or 16 bit")
        warn_of_few_bits(high, name)
        white = 65535
    gray = _divided_by_white(values, white, name, np.float64)
    if image.info.get(WHITE_IS_ZERO):       # of 8 bits Pillow turns it round itself
        gray = 1 - gray
    if see_through is not None:             # the number that is transparent, on a page
        gray = np.where(values == see_through, ALPHA_BACKGROUND, gray)
    return np.repeat(np.round(255 * gray).astype(np.uint8)[:, :, None], 3, axis=2)


def _formats():
    """The formats that are read: all of Pillow's but those for which it would start another program."""
    Image.init()
    return [name for name in Image.ID if name not in ("EPS", "WMF")]


def _judge_upper_bits(image, name, white):
    """Warn of a color picture of 16 bits that is dark because it has fewer; with `white` it cannot be read."""
    if white is not None:
        raise InputError(f"{name}: has 16 bits a channel, of which Pillow reads the upper 8, too few to scale them by "
                         f"white; {OTHER_WAYS.format(white=f'{white:g}')}")
    largest = 256 * max(high for _, high in np.atleast_2d(image.convert("RGB").getextrema())) + 255
    if bits := likely_bits(largest):
        warn(f"{name}: 16 bits a channel, but no value is above {largest}, so it is read as dark or black, and Pillow "
             f"reads the upper 8 bits only; if it has {bits} bits: {OTHER_WAYS.format(white=2**bits - 1)}")


def _beginning(file):
    """What a file that is no image seems to be."""
    file.seek(0)
    start = file.read(64)
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "it is a web page or XML"
    if start.startswith((b"II*\0", b"MM\0*")):
        return "it is a TIFF with numbers of a kind that Pillow does not read"
    return f"it begins with {start[:8]!r}"


def _reason(error):
    """Why Pillow gave up, without the number of the system's error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
