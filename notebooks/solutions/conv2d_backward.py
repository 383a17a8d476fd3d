"""Convolution backward: each output pixel hands its gradient to the window it saw; windows overlap, so they add."""

import numpy as np


def conv2d_backward(dy, x, weight, stride, padding):
    kh, kw, _, _ = weight.shape
    _, oh, ow, _ = dy.shape
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    row, column = i * stride + a, j * stride + b
                    dpadded[:, row, column] += dy[:, i, j] @ weight[a, b].T
                    dweight[a, b] += padded[:, row, column].T @ dy[:, i, j]
    dx = dpadded[:, padding:padding + x.shape[1], padding:padding + x.shape[2]]
    return dx, dweight, dy.sum(axis=(0, 1, 2))
