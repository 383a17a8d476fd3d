"""Comparing a state dict with the model that is to take it.

A state dict maps names (`backbone.body.conv1.weight`) to arrays. It fits a model if it has the model's
names and, under each, the model's exact shape: NumPy would broadcast `(3,)` into `(3, 3)` in silence, and
the model would be wrong without an error. Whoever loads the wrong file wants to see all differences at
once, because the pattern in them (every `layer3` missing, every head of 91 rows) says which file it is.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError

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
        parts += _listing("missing", self.missing)
        parts += _listing("unexpected", self.unexpected)
        parts += _listing("of wrong shape", shapes)
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
    loaded, missing, wrong_shape = [], [], []
    for name in expected:
        if name not in got:
            if not name.endswith(COUNTER):
                missing.append(name)
        elif _shape(expected[name]) != _shape(got[name]):
            wrong_shape.append((name, _shape(expected[name]), _shape(got[name])))
        else:
            loaded.append(name)
    unexpected = [name for name in got if name not in expected and not name.endswith(COUNTER)]
    return LoadReport(loaded, missing, unexpected, wrong_shape)


def _shape(shape_or_array):
    return tuple(shape_or_array) if isinstance(shape_or_array, (tuple, list)) else np.shape(shape_or_array)


def _listing(kind, names):
    if not names:
        return []
    more = f", and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return [f"{len(names)} {kind}: {', '.join(names[:MAX_SHOWN])}{more}"]
