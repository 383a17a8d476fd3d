"""Where one pixel is, in both languages: row and column, and x and y of its center."""

import numpy as np


def marked_pixel(marked):
    rows, columns = np.nonzero(marked)
    row, column = int(rows[0]), int(columns[0])
    return row, column, column + 0.5, row + 0.5
