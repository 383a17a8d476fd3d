"""Where pictures come in: any array or image file, judged once and brought into one form.

A network sees numbers, and the same picture can be many numbers: 0 to 255, 0 to 1, 0 to 65535, one
channel or four, lying on its side because the camera wrote "turn me" into the file. A wrong guess here
raises no error later; the model just detects nothing. So everything enters through two functions:
`as_float_image` for arrays and `read_image` for files. They follow the rules below and refuse the rest.

| array                                      | what becomes of it                                         |
|--------------------------------------------|------------------------------------------------------------|
| (H, W), (H, W, 1)                          | grey, repeated to three channels                           |
| (H, W, 2), (H, W, 4)                       | grey or RGB with alpha, laid on white                      |
| (H, W, 3)                                  | RGB (BGR cannot be told apart: look at the picture)        |
| uint8                                      | divided by 255; a warning if the largest value is 1        |
| uint16                                     | divided by 65535; a warning if the largest value is <= 255 |
| bool                                       | False black, True white                                    |
| float in 0..1                              | taken as it is; up to .05 outside clipped; else refused    |
| other types, (3, H, W), (N, H, W, 3), no pixel | refused, with a hint                                   |

| file                                       | what becomes of it                                         |
|--------------------------------------------|------------------------------------------------------------|
| grey, RGB, palette, 1 bit, CMYK, YCbCr, ...| converted to RGB                                           |
| with transparency                          | laid on white                                              |
| 16 bit grey                                | scaled to 0..255, not cut off there                        |
| 32 bit integer or float                    | refused: only its maker knows the scale                    |
| EXIF orientation                           | applied                                                    |
| animation, several pages                   | the first, with a warning                                  |
| missing, empty, truncated, not an image    | refused, with the path                                     |

Both refuse more than `MAX_PIXELS` pixels, before they ask for the memory.
"""

import os
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from npmaskrcnn.errors import InputError, InputWarning

# The largest image, in pixels: as float32 it takes 12 bytes a pixel, and each mask pasted into it 4 more.
MAX_PIXELS = 36_000_000
# What lies behind transparent pixels: white, as on a page.
ALPHA_BACKGROUND = 1.0
# A float image that was resized with a sharp filter may leave 0..1 by this much; it is clipped.
RANGE_TOLERANCE = 0.05


def as_float_image(image, name="image", dtype=np.float32):
    """Any image array as RGB in 0..1; the table of rules is at the top of this file.

    Parameters
    ----------
    image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array
        uint8, uint16, bool or float. A Pillow image is taken too. Never modified.
    name : str
        What messages call it, for example its file name.
    dtype : numpy float type
        Of the result.

    Returns
    -------
    image : (H, W, 3) float32 ndarray
        RGB in 0..1, contiguous. Shares no memory with the argument.

    Raises
    ------
    InputError
        If the array is no image, or one whose scale could only be guessed.

    Examples
    --------
    >>> as_float_image(np.array([[0, 51, 255]], np.uint8))[:, :, 0]
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    if isinstance(image, Image.Image):
        image = _pillow_to_array(image, name)
    if isinstance(image, (str, os.PathLike)):
        raise InputError(f"{name}: got the path {str(image)!r}, expected an array; read_image reads files")
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name}: expected an (H, W, 3) array, got {type(image).__name__}")
    _judge_shape(image.shape, name)
    pixels = _scale(image, name, dtype)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1:]
        pixels = pixels[:, :, :-1] * alpha + ALPHA_BACKGROUND * (1 - alpha)
    rgb = np.empty(pixels.shape[:2] + (3,), pixels.dtype)
    rgb[...] = pixels
    return rgb


def read_image(path):
    """The picture in a file, as RGB; the table of rules is at the top of this file.

    Parameters
    ----------
    path : str or path
        PNG, JPEG, TIFF, GIF, BMP, WebP, ...: what Pillow reads.

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
        return np.ascontiguousarray(_pillow_to_array(image, str(path)))


def open_image(path):
    """A file as a decoded Pillow image, whatever its mode; InputError with the path if that fails."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"image: expected a path, got {type(path).__name__}")
    name = str(path)
    if os.path.isdir(path):
        raise InputError(f"{name}: is a folder, expected an image file")
    if os.path.exists(path) and not os.path.isfile(path):   # reading a named pipe would wait for ever
        raise InputError(f"{name}: is not a regular file, expected an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)   # the limit below is lower
            image = Image.open(path)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        raise InputError(f"{name}: is not an image that can be read ({_first_bytes(path)})") from None
    except Image.DecompressionBombError:     # its own limit is another one
        raise InputError(f"{name}: has too many pixels; {_too_large_advice()}") from None
    except Exception as error:   # Pillow's parsers let through whatever a damaged header makes them raise
        raise InputError(f"{name}: cannot be opened ({_one_line(error)})") from None
    try:
        judge_size(image.size[::-1], name)
        # An MPO is one photograph, with a preview or a depth map behind it.
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            _warn(f"{name}: holds {image.n_frames} pictures; only the first is used")
            image.seek(0)
        image.load()
    except InputError:
        image.close()
        raise
    except Exception as error:   # see above; a truncated file is an OSError without its name
        image.close()
        raise InputError(f"{name}: is damaged or incomplete ({_one_line(error)})") from None
    return image


def judge_size(size, name):
    """InputError if an image of `size` ``(height, width)`` is empty or larger than `MAX_PIXELS`."""
    height, width = size
    if height < 1 or width < 1:
        raise InputError(f"{name}: has no pixel ({width} x {height})")
    if height * width > MAX_PIXELS:
        raise InputError(f"{name}: {width} x {height} pixels, about {height * width * 12 / 2**20:.0f} MiB as "
                         f"float32; {_too_large_advice()}")


# ---- arrays ----

def _judge_shape(shape, name):
    """InputError unless an array of this shape can be an image of height, width and at most four channels."""
    if 0 in shape and len(shape) in (2, 3):
        raise InputError(f"{name}: has no pixel (shape {shape})")
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 2, 3, 4)):
        return judge_size(shape[:2], name)
    hint = ""
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        hint = "; this looks like (C, H, W): np.moveaxis(image, 0, -1)"
    elif len(shape) == 4:
        hint = "; a batch? give a list of images, or one image: image[0]"
    elif len(shape) == 3:
        hint = f"; it has {shape[2]} channels: choose three"
    raise InputError(f"{name}: shape {shape}, expected (H, W, 3) or (H, W){hint}")


def _scale(image, name, dtype):
    """The values as `dtype` in 0..1, by the rule of their type; a fresh array or the argument, unmodified."""
    if image.dtype == bool:
        return image.astype(dtype)
    if image.dtype in (np.uint8, np.uint16):
        full = np.iinfo(image.dtype).max
        largest = image.max()
        if image.dtype == np.uint8 and largest == 1:
            _warn(f"{name}: uint8, but no value is above 1, so it is read as almost black; "
                  "if 1 means white, multiply by 255")
        if image.dtype == np.uint16 and 0 < largest <= 255:
            _warn(f"{name}: uint16, but no value is above {largest}, so it is read as almost black; "
                  "if 255 means white, use image.astype(np.uint8)")
        return np.true_divide(image, full, dtype=dtype)
    if image.dtype.kind == "f":
        return _scale_float(image, name, dtype)
    raise InputError(f"{name}: values of type {image.dtype}, expected uint8, uint16, bool or float in 0..1; "
                     "for 0..255 use image.astype(np.uint8)")


def _scale_float(image, name, dtype):
    """Float values checked to lie in 0..1."""
    with np.errstate(invalid="ignore"):   # NaN comes out as NaN
        low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        row, column = (int(i) for i in np.argwhere(~np.isfinite(image))[0][:2])
        raise InputError(f"{name}: the pixel in row {row}, column {column} is not finite "
                         f"({np.count_nonzero(~np.isfinite(image))} such values)")
    if low < -RANGE_TOLERANCE:
        raise InputError(f"{name}: float values from {low:g} to {high:g}, expected 0..1; "
                         "normalised already? give the plain image, the model normalises it")
    if high > 1 + RANGE_TOLERANCE:
        hint = "divide by 255" if high <= 256 else "divide by the value that means white"
        raise InputError(f"{name}: float values up to {high:g}, expected 0..1; {hint}")
    return np.clip(image, 0, 1).astype(dtype, copy=False)


# ---- files ----

def _pillow_to_array(image, name):
    """A decoded Pillow image as (H, W, 3) uint8."""
    judge_size(image.size[::-1], name)
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:   # a damaged EXIF block must not cost the picture
        _warn(f"{name}: its EXIF block cannot be read ({_one_line(error)}); it is not turned")
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_16_bit(np.asarray(image), image.mode, name)
    if image.mode == "F":
        raise InputError(f"{name}: holds 32 bit float values (mode F), whose scale is unknown; save it as "
                         "8 or 16 bit, or read it yourself and give a float array in 0..1")
    try:
        if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
            image = image.convert("RGBA")
            page = Image.new("RGBA", image.size, (round(255 * ALPHA_BACKGROUND),) * 3 + (255,))
            image = Image.alpha_composite(page, image)
        return np.asarray(image.convert("RGB"))
    except (ValueError, OSError):
        raise InputError(f"{name}: mode {image.mode} cannot be converted to RGB") from None


def _from_16_bit(values, mode, name):
    """16 bit grey to (H, W, 3) uint8 by the full range; Pillow's own conversion would cut off at 255."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise InputError(f"{name}: holds 32 bit values from {low} to {high} (mode {mode}), whose scale is "
                         "unknown; save it as 8 or 16 bit")
    if 0 < high <= 255:
        _warn(f"{name}: 16 bit, but no value is above {high}, so it is read as almost black")
    grey = np.round(values.astype(np.float64) / 257).astype(np.uint8)   # 65535 / 255 = 257
    return np.repeat(grey[:, :, None], 3, axis=2)


def _first_bytes(path):
    """What a file that is no image seems to be."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError:
        return "it cannot be opened"
    if not start:
        return "it is empty"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "it is a web page or XML"
    return f"it begins with {start[:8]!r}"


def _too_large_advice():
    return f"the limit is {MAX_PIXELS} pixels; make it smaller or cut it into tiles"


def _one_line(error):
    text = getattr(error, "strerror", None) or str(error)      # without the number of the system's error
    return " ".join(text.split()) or type(error).__name__


def _warn(message):
    warnings.warn(message, InputWarning, stacklevel=4)
