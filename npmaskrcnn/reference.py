"""Slow twins: every fast operation once more, in plain loops, straight from its definition.

Nothing here is meant to be fast. Each function is the definition written down, one number at a time,
so that it can be checked by eye; the tests run the fast operations of `npmaskrcnn.ops` against these
twins, and the notebooks show them first.
"""

import math

import numpy as np

# ---- images and feature maps: convolution, pooling, resampling ----


# ---- boxes and regions: IoU, NMS, RoIAlign, RoIPool ----
