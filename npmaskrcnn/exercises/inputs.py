"""Small arrays that the cases of several exercises are made of."""

import numpy as np


def floats(*items):
    """An array of float64, from its numbers or its rows: a box is floats(0, 0, 2, 2), two are floats([...], [...])."""
    return np.array(items, dtype=np.float64)


def random_boxes(rng, number, sides=(5, 30)):
    """(number, 4) boxes in an image of 100x100 pixels, whose sides are at least and at most so long."""
    corners = rng.uniform(0, 100 - sides[1], (number, 2))
    return np.concatenate([corners, corners + rng.uniform(*sides, (number, 2))], axis=1)
