"""Smooth L1: a parabola near zero, a straight line beyond."""

import numpy as np


def smooth_l1(pred, target, beta):
    d = pred - target
    is_near = np.abs(d) < beta
    loss = np.where(is_near, d ** 2 / (2 * beta), np.abs(d) - beta / 2).sum()
    return loss, np.where(is_near, d / beta, np.sign(d))
