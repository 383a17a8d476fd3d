"""The level of the pyramid whose cells fit a box."""

import math


def assign_level(box, canonical_scale):
    side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    return min(max(math.floor(4 + math.log2(side / canonical_scale)), 2), 5)
