"""How far a step moved each part of a model, against how long its weights are."""

import numpy as np


def update_ratio(before, after, part, num_parts):
    ratios = np.zeros(num_parts)
    for p in range(num_parts):
        own = part == p
        length = np.linalg.norm(before[own])
        if length > 0:
            ratios[p] = np.linalg.norm((after - before)[own]) / length
    return ratios
