"""The first and last row and column with a pixel; the right and bottom edges lie one further."""

import numpy as np


def box_from_mask(mask):
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=float)
