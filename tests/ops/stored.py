"""What the tests of the operations share: torchvision's stored answers, and a small map whose values tell their cells.

`tests/reference/make_ops.py` ran torchvision; META says with which options each answer was made.
"""

import json

import numpy as np

from tests.reference.store import FOLDER

REFERENCE = np.load(FOLDER / "ops_boxes.npz")
META = json.loads(str(REFERENCE["meta"]))

#  1  2  3  4
#  5  6  7  8      a cell's value sits at its integer index: features[0, y, x] at the point (x, y)
#  9 10 11 12
# 13 14 15 16
FOUR_BY_FOUR = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
