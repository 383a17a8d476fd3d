"""What could be done before anything was learned: bright objects on dark ground by a threshold and by distances.

A model should be held against what a page of arithmetic does. Otsu's threshold splits a picture's gray values into a
dark and a bright class; what is bright and hangs together is an object. So two that touch are one. They can be parted
by their shape: of two disks that touch, every pixel knows how far it is from the ground, and that distance has a peak
in each disk and a saddle between them. Water that rises from the peaks (the distance upside down) meets at the saddle,
and there is the border: the watershed transform.

No weights are learned here; two constants, in radii of an object, were chosen by hand on pictures of nuclei. If cells
are not brighter than their ground, or are not round, there is no more to do. References: Otsu 1979, *A threshold
selection method from gray-level histograms*; Beucher and Lantuéjoul 1979, *Use of watersheds in contour detection*.
"""

import numpy as np
import scipy

from .images import as_float_image
from .structures import Detections, mask_extents

GRAY = 0.299, 0.587, 0.114          # how bright red, green and blue are to the eye (ITU-R BT.601)
SMALLEST = 40                       # pixels
# In radii of a usual object: how far distances are smoothed, because an outline that is rough has many small peaks, and
# how near to each other two peaks are one.
SMOOTH, SAME_PEAK = 0.2, 0.5


def otsu_threshold(gray, bins=256):
    """Return the gray value that parts a picture best into dark and bright.

    Best means that the means of the two classes are as far apart as can be, weighed with how many pixels are in each:
    the variance between the classes, ``w_dark * w_bright * (mean_bright - mean_dark)²``, is greatest.

    Parameters
    ----------
    gray : (H, W) float array
        With at least one pixel.
    bins : int

    Returns
    -------
    threshold : float
        Brighter pixels are above it. Of a picture of one value it is that value.
    """
    low, high = float(gray.min()), float(gray.max())
    if high - low < 1e-6:       # one gray, but for what rounding the three channels' sum leaves
        return high
    number, edges = np.histogram(gray, bins, (low, high))
    value = (edges[:-1] + edges[1:]) / 2
    dark, dark_sum = np.cumsum(number)[:-1], np.cumsum(number * value)[:-1]
    bright, bright_sum = gray.size - dark, (number * value).sum() - dark_sum     # neither is 0: both ends have pixels
    between = dark * bright * (bright_sum / bright - dark_sum / dark) ** 2
    return float(edges[1 + np.argmax(between)])


def find_components(image):
    """Find what is brighter than Otsu's threshold and hangs together.

    Parameters
    ----------
    image : array
        Any that a model takes.

    Returns
    -------
    found : Detections
        All of label 1, larger ones first. The method is never in doubt, so the score says how large one is, as a
        fraction of the largest.
    """
    bright = _foreground(image)
    return _as_detections(scipy.ndimage.label(bright)[0])


def find_by_watershed(image):
    """Find bright objects as `find_components` does, and part those that touch, by a watershed of distances.

    Parameters
    ----------
    image : array
        Any that a model takes.

    Returns
    -------
    found : Detections
        As of `find_components`.
    """
    bright = _foreground(image)
    distance = scipy.ndimage.distance_transform_edt(bright)
    radius = 3 * distance[bright].mean() if bright.any() else 1         # in a disk the mean is a third of the radius
    height = scipy.ndimage.gaussian_filter(distance, SMOOTH * radius)
    uphill = _steepest_ascent(height)
    while not np.array_equal(further := uphill[uphill], uphill):        # twice as far each time
        uphill = further
    peaks = np.zeros(bright.size, bool)
    peaks[uphill] = True
    peaks = scipy.ndimage.maximum_filter(peaks.reshape(bright.shape), 1 + int(SAME_PEAK * radius))
    return _as_detections(bright * scipy.ndimage.label(peaks)[0].ravel()[uphill].reshape(bright.shape))


def _steepest_ascent(height):
    """For every pixel the index of the highest of the nine around it, which is its own on a peak: (H * W,) ints."""
    index = np.pad(np.arange(height.size).reshape(height.shape), 1)
    padded = np.pad(height, 1, constant_values=-1)
    steps = [(1, 1)] + [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]     # rather stay than walk
    rows, columns = height.shape
    nine = np.stack([padded[y:y + rows, x:x + columns] for y, x in steps])
    where = np.stack([index[y:y + rows, x:x + columns] for y, x in steps])
    return np.take_along_axis(where, nine.argmax(axis=0)[None], axis=0).ravel()


METHODS = {"otsu": find_components, "watershed": find_by_watershed}


def _foreground(image):
    """What is brighter than Otsu's threshold, (H, W) bool, with holes filled."""
    gray = as_float_image(image) @ np.array(GRAY, np.float32)
    return scipy.ndimage.binary_fill_holes(gray > otsu_threshold(gray))


def _as_detections(labels):
    """The parts of a label map as detections, larger ones first; parts of fewer than `SMALLEST` pixels are dirt."""
    area = np.bincount(labels.ravel())
    area[0] = 0
    order = np.argsort(-area, kind="stable")
    order = order[area[order] >= SMALLEST]
    masks = labels == order[:, None, None]
    scores = (area[order] / max(area.max(), 1)).astype(np.float32)
    return Detections(mask_extents(masks), np.ones(len(order), np.int64), scores, masks.astype(np.float32))
