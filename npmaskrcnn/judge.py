"""One way to refuse: what callers hand in is judged here, where it enters, and behind that nobody looks again.

Numbers and choices first, then arrays that are to be images, then a state dict, which maps names
(`backbone.body.conv1.weight`) to arrays. Every judgment that fails is an `InputError` of one line that names the
argument (``images[2]``, ``targets[0]``), what was got and what was expected.
"""

import difflib
import numbers
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .errors import InputError, warn
from .words import short

# The largest number of anything that one may ask for: steps, images, classes.
MAX_COUNT = 10**9
# So many choices are all listed, if something else was chosen.
FEW = 6
# The largest image, in pixels: as float32 it takes 12 bytes a pixel, and each mask pasted into it 4 more.
MAX_PIXELS = 36_000_000
# What lies behind transparent pixels: white, as on a page.
ALPHA_BACKGROUND = 1.0
# A float image that was resized with a sharp filter may leave 0..1 by this much; it is clipped.
RANGE_TOLERANCE = 0.05


# ---- numbers and choices ----


def refusal(name, expected, got):
    """Return the `InputError` that says what `name` must be and what was got."""
    return InputError(f"{name} must be {expected}, got {short(got)}")


def is_number(value):
    """Whether `value` is a finite real number, Python's or NumPy's, and no truth value."""
    value = value.item() if isinstance(value, np.generic) else value    # float32 cannot hold the limit
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def judge_number(value, name, lowest=None, highest=None, above=None, below=None, whole=False, optional=False):
    """Return `value` as Python's int or float (or None, if it is optional), or raise `InputError`.

    `lowest` and `highest` may be reached, `above` and `below` not; 10.0 is whole.
    """
    if value is None and optional:
        return None
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0 else value
    fits = (is_number(value) and not (whole and value != int(value))
            and (lowest is None or value >= lowest) and (highest is None or value <= highest)
            and (above is None or value > above) and (below is None or value < below))
    if fits:
        return int(value) if whole or isinstance(value, numbers.Integral) else float(value)
    bounds = {"of at least": lowest, "above": above, "at most": highest, "below": below}
    if lowest is not None and highest is not None:
        bounds = {f"from {lowest:,} to": highest}
    said = [f"{words} {bound:,}" for words, bound in bounds.items() if bound is not None]
    kind = "whole number" if whole else "number" if highest is not None or below is not None else "finite number"
    raise refusal(name, " ".join(["a", kind, " and ".join(said)]).strip(), value)


def judge_numbers(values, name, count, **bounds):
    """Return `count` numbers as a tuple of floats, or raise `InputError`; `bounds` as in `judge_number`."""
    if not isinstance(values, (list, tuple, np.ndarray)) or getattr(values, "ndim", 1) == 0 or len(values) != count:
        raise refusal(name, f"{count} numbers", values)
    return tuple(judge_number(value, f"{name}[{i}]", **bounds) for i, value in enumerate(values))


def judge_fraction(value, name, optional=False):
    """Return a number in 0..1, or raise `InputError`."""
    return judge_number(value, name, 0, 1, optional=optional)


def judge_count(value, name, lowest=1, optional=False):
    """Return a whole number from `lowest` to `MAX_COUNT`, or raise `InputError`."""
    judge_number(value, name, lowest, whole=True, optional=optional)
    return judge_number(value, name, highest=MAX_COUNT, whole=True, optional=optional)


def judge_counts(values, name):
    """Return whole numbers of at least 1 as a tuple, or raise `InputError`."""
    if not isinstance(values, (list, tuple, set, range, np.ndarray)) or getattr(values, "ndim", 1) == 0:
        raise refusal(name, "a list of whole numbers", values)
    return tuple(judge_count(value, name) for value in values)


def judge_flag(value, name):
    """Return True or False, or raise `InputError` for anything else ("no" would count as true)."""
    if not isinstance(value, (bool, np.bool_)):
        raise refusal(name, "True or False", value)
    return bool(value)


def judge_known(names, options, what):
    """Raise `InputError` for the first of `names` that is not among `options`, naming the nearest."""
    for name in names:
        if name not in options:
            near = difflib.get_close_matches(str(name), options, n=1, cutoff=0.5)
            hint = f"the nearest is {near[0]!r}; " if near else ""
            listing = f"there are {', '.join(options)}" if len(options) <= FEW or not near else ""
            raise InputError(f"{name!r} is no {what}; {hint}{listing}".rstrip("; "))


def judge_class_names(names, name):
    """Return class names, background included, as a list, or raise `InputError` for what no model can keep."""
    given = list(names) if isinstance(names, (list, tuple, np.ndarray)) else []
    if len(given) < 2 or not all(isinstance(one, str) and one.strip() for one in given):
        raise refusal(name, "a list of texts, the background's first and at least one class's", names)
    named = [one for one in given if one != "N/A"]      # COCO's gaps in the numbering
    if len(set(named)) < len(named) or any("\ud800" <= letter <= "\udfff" for one in given for letter in one):
        raise refusal(name, "all different, without halves of characters", names)
    return given


def judge_rng(rng, needs=("random", "permutation")):
    """Return a generator: the one given if it has what is needed of it, or a new one from a seed."""
    if not isinstance(rng, type) and all(hasattr(rng, name) for name in needs):
        return rng
    if not isinstance(rng, numbers.Integral) or isinstance(rng, bool) or rng < 0:
        raise refusal("rng", "a np.random.Generator, or a seed of at least 0", rng)
    return np.random.default_rng(rng)


def judge_white(value, name):
    """Return the number that is white in a picture (or None), or raise `InputError`."""
    return judge_number(value, name, 1e-6, 2**32, optional=True)


# ---- arrays ----


def judge_array(value, name, expected, kinds="iuf"):
    """Return `value` as an array of numbers of these kinds, or raise `InputError`; an empty one is always good."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):     # rows of different lengths
        raise refusal(name, expected, value) from None
    if array.dtype.kind in kinds:
        return array
    if array.size:
        raise refusal(name, expected, value)
    return array.astype(np.float64)     # an empty list has no kind


def judge_state(mapping, name):
    """Return a dict of name to array of numbers or bools, or raise `InputError`."""
    if not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping):
        raise refusal(name, "a dict of name to array", mapping)
    return {key: judge_array(value, f"{name}: {key!r}", "an array of bools or real numbers", "biuf")
            for key, value in mapping.items()}


# ---- arrays that are images ----


def checked_image(image, name="image", dtype=np.float32):
    """Return any image array as (H, W, 3) RGB of `dtype` in 0..1, with memory of its own; the rules are in `images`."""
    if hasattr(image, "__fspath__") or isinstance(image, str):
        raise InputError(f"{name}: got the path {str(image)!r}, expected an array; read_image reads files")
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name}: expected an (H, W, 3) array, got {type(image).__name__}")
    _judge_shape(image.shape, name)
    pixels = _scale(image.astype(image.dtype.newbyteorder("="), copy=False), name, dtype)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] in (2, 4):
        alpha = pixels[:, :, -1:]
        pixels = pixels[:, :, :-1] * alpha + ALPHA_BACKGROUND * (1 - alpha)
    rgb = np.empty(pixels.shape[:2] + (3,), pixels.dtype)
    rgb[...] = pixels
    return rgb


def judge_size(size, name):
    """InputError if an image of `size` ``(height, width)`` is empty or larger than `MAX_PIXELS`."""
    height, width = size
    if height < 1 or width < 1:
        raise InputError(f"{name}: has no pixel ({width} x {height})")
    if height * width > MAX_PIXELS:
        raise InputError(f"{name}: {width} x {height} pixels, about {height * width * 12 // 2**20} MiB as "
                         f"float32; {too_large_advice()}")


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
        hint = "; a batch? take one image of it: image[0]"
    elif len(shape) == 3:
        hint = f"; it has {shape[2]} channels: choose three"
    raise InputError(f"{name}: shape {shape}, expected (H, W, 3) or (H, W){hint}")


def _scale(image, name, dtype):
    """The values as `dtype` in 0..1, by the rule of their type; a fresh array or the argument, unmodified."""
    if image.dtype == bool:
        return image.astype(dtype)
    if image.dtype in (np.uint8, np.uint16):
        largest = image.max()
        if image.dtype == np.uint8 and largest == 1:
            warn(f"{name}: uint8, but no value is above 1, so it is read as almost black; "
                 "if 1 means white, multiply by 255")
        if image.dtype == np.uint16:
            warn_of_few_bits(largest, name)
        return np.true_divide(image, np.iinfo(image.dtype).max, dtype=dtype)
    if image.dtype.kind == "f":
        return _scale_float(image, name, dtype)
    raise InputError(f"{name}: values of type {image.dtype}, expected uint8, uint16, bool or float in 0..1; "
                     "for 0..255 use image.astype(np.uint8), for other scales as_float_image(image, white=)")


def likely_bits(largest):
    """Return of how many bits numbers are whose largest is this, if of fewer than 16; else None."""
    return next((bits for bits in (8, 10, 12, 14) if 0 < largest < 2**bits), None)


def warn_of_few_bits(largest, name):
    """Warn if of 16 bits the upper ones are used by no value: then fewer are meant, and the picture comes out dark."""
    if bits := likely_bits(largest):
        warn(f"{name}: 16 bits, but no value is above {largest}, so it is read too dark; if it has {bits} bits, say "
             f"which number is white: --white {2**bits - 1}, or white= of as_float_image, read_image and CocoDataset")


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
                         "normalized already? give the plain image, the model normalizes it")
    if high > 1 + RANGE_TOLERANCE:
        hint = "divide by 255" if high <= 256 else "divide by the value that means white (as_float_image(..., white=))"
        raise InputError(f"{name}: float values up to {high:g}, expected 0..1; {hint}")
    return np.clip(image, 0, 1).astype(dtype, copy=False)


def too_large_advice():
    return f"the limit is {MAX_PIXELS} pixels; make it smaller or cut it into tiles"


# ---- a state dict against the model that is to take it ----

# It fits if it has the model's names and, under each, the model's exact shape: NumPy would broadcast `(3,)` into
# `(3, 3)` in silence, and the model would be wrong without an error. Whoever loads the wrong file wants to see all
# differences at once, because the pattern in them (every `layer3` missing, every head of 91 rows) says which it is.

MAX_SHOWN = 10
COUNTER = "num_batches_tracked"  # torch counts batches in BatchNorm; nothing depends on the count


class LoadReport(NamedTuple):
    """How a state dict relates to a model.

    Attributes
    ----------
    loaded : list of str
        Names in both, with equal shapes.
    missing : list of str
        Names that the model has and the state has not.
    unexpected : list of str
        Names that the state has and the model has not.
    wrong_shape : list of (name, expected shape, shape got)
    """

    loaded: list
    missing: list
    unexpected: list
    wrong_shape: list

    @property
    def ok(self):
        """Whether everything fits: nothing missing, unexpected or of another shape."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def raise_if_different(self):
        """Raise `InputError` with all differences in one line, unless there are none."""
        if not self.ok:
            raise InputError(f"the state dict does not fit the model: {self}")

    def __str__(self):
        total = len(self.loaded) + len(self.missing) + len(self.wrong_shape)
        parts = [f"{len(self.loaded)} of {total} tensors fit"]
        shapes = [f"{name} (expected {expected}, got {got})" for name, expected, got in self.wrong_shape]
        for kind, names in (("missing", self.missing), ("unexpected", self.unexpected), ("of wrong shape", shapes)):
            if names:
                more = f", and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
                parts.append(f"{len(names)} {kind}: {', '.join(names[:MAX_SHOWN])}{more}")
        return "; ".join(parts)


def compare_state(expected, got):
    """Compare what a model expects with what a state dict offers; names and exact shapes.

    Parameters
    ----------
    expected : mapping of str to shape (tuple of int) or ndarray
    got : mapping of str to ndarray or shape
        ``num_batches_tracked`` may be absent or superfluous: it has no effect.

    Returns
    -------
    report : LoadReport
        ``str(report)`` is one line with at most ten of each kind of difference.

    Examples
    --------
    >>> report = compare_state({"fc.weight": (3, 2), "fc.bias": (3,)}, {"fc.weight": np.zeros((4, 2))})
    >>> report.ok
    False
    >>> print(report)
    0 of 2 tensors fit; 1 missing: fc.bias; 1 of wrong shape: fc.weight (expected (3, 2), got (4, 2))
    """
    shapes = {name: (_shape(expected[name]), _shape(got[name])) for name in expected if name in got}
    return LoadReport(
        loaded=[name for name, (wanted, given) in shapes.items() if wanted == given],
        missing=[name for name in expected if name not in got and not name.endswith(COUNTER)],
        unexpected=[name for name in got if name not in expected and not name.endswith(COUNTER)],
        wrong_shape=[(name, wanted, given) for name, (wanted, given) in shapes.items() if wanted != given])


def _shape(shape_or_array):
    return tuple(shape_or_array) if isinstance(shape_or_array, (tuple, list)) else np.shape(shape_or_array)
