"""What is computed so that one can look at a trace, before anything is drawn.

A feature map has dozens of channels and a screen has three. So a map is shown by its three principal components, as
red, green and blue: cells of the same color hold similar vectors. Colors of two maps cannot be compared, but what was
read from a map (RoIAlign's patch) can be shown by that map's own code. And where RoIAlign reads is a matter of a few
numbers: the edges of its bins, and the points in them. Figures (`plots`) and the explorer's page draw what is computed
here, each in its own way.
"""

import math
from typing import NamedTuple

import numpy as np

COLORS = 3
UNSEEN = 1e-14      # of the largest variance: a component with less is rounding
TAILS = [2, 98]     # per cent of the cells between which a color goes from none to full


class ColorCode(NamedTuple):
    """How the vectors of one map become colors."""

    mean: np.ndarray    # (C,)
    axes: np.ndarray    # (C, 3) principal axes, the one of the largest variance first; 0 where there are fewer
    low: np.ndarray     # (3,) of the components: no color
    high: np.ndarray    # (3,) full color

    def colors(self, vectors):
        """Return the colors (..., 3) in 0..1 of vectors (..., C); what does not vary is gray."""
        return self.colors_of_parts((np.asarray(vectors, np.float64) - self.mean) @ self.axes)

    def colors_of_parts(self, parts):
        """Return the same of components (..., 3)."""
        spread = self.high - self.low
        flat = spread < 1e-9 * max(1, float(spread.max()))
        return np.clip(np.where(flat, 0.5, (parts - self.low) / np.where(flat, 1, spread)), 0, 1)


def color_code(feature):
    """Find the `ColorCode` of a map (h, w, C)."""
    return _code_and_parts(feature)[0]


def feature_picture(feature):
    """A map (h, w, C) as a picture (h, w, 3) in 0..1: its three principal components."""
    return code_and_picture(feature)[1]


def code_and_picture(feature):
    """Both of a map, found in one go."""
    code, parts = _code_and_parts(feature)
    return code, code.colors_of_parts(parts).reshape(*feature.shape[:2], COLORS)


def _code_and_parts(feature):
    """The code of a map, and the components (h * w, 3) of its cells."""
    cells = np.asarray(feature, np.float64).reshape(-1, feature.shape[-1])
    mean = cells.mean(axis=0)
    cells = cells - mean
    wide = cells.shape[1] > len(cells)              # decompose whichever of the two products is smaller
    variances, vectors = np.linalg.eigh(cells @ cells.T if wide else cells.T @ cells)
    variances, vectors = variances[::-1][:COLORS], vectors[:, ::-1][:, :COLORS]     # eigh puts the largest last
    if wide:
        seen = variances > UNSEEN * variances[0]
        vectors = cells.T @ vectors * np.where(seen, 1 / np.sqrt(np.where(seen, variances, 1)), 0)
    axes = np.zeros((cells.shape[1], COLORS))
    axes[:, :vectors.shape[1]] = vectors
    parts = cells @ axes
    signs = np.where(parts.max(axis=0) < -parts.min(axis=0), -1, 1)     # they are free: choose
    parts *= signs
    return ColorCode(mean, axes * signs, *np.percentile(parts, TAILS, axis=0)), parts


def axis_samples(low, high, spatial_scale, output_size, sampling_ratio, aligned):
    """Return where RoIAlign reads along one axis of a box: bin edges and sampling points.

    Parameters
    ----------
    low, high : float
        Where the box begins and ends, in input pixels.
    spatial_scale, output_size, sampling_ratio, aligned
        As in `ops.roi_align`; of the size, that along this axis.

    Returns
    -------
    edges : (output_size + 1,) ndarray
        In cells; cell i has its value at i.
    points : (output_size * sampling_ratio,) ndarray

    Examples
    --------
    >>> axis_samples(8, 16, 0.25, 2, 2, False)
    (array([2., 3., 4.]), array([2.25, 2.75, 3.25, 3.75]))
    """
    start = float(low) * spatial_scale - (0.5 if aligned else 0.0)
    length = (float(high) - float(low)) * spatial_scale
    bin_size = (length if aligned else max(length, 1.0)) / output_size
    per_bin = sampling_ratio if sampling_ratio > 0 else max(math.ceil(bin_size), 1)
    points = start + bin_size / per_bin * (np.arange(output_size * per_bin) + 0.5)
    return start + bin_size * np.arange(output_size + 1), points
