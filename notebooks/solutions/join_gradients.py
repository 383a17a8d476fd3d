"""P3's gradient: the RPN's share, plus what each RoI sends back to the cell that it read; places are constants."""

import numpy as np


def join_gradients(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    height, width, channels = p3.shape
    dp3, drpn_weight = np.zeros(p3.shape), np.zeros(rpn_weight.shape)
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                dp3[y, x, c] = (rpn_weight[c] * drpn[y, x]).sum()
                drpn_weight[c] += p3[y, x, c] * drpn[y, x]
    for r, (y, x) in enumerate(cells):
        dp3[y, x] += dbox[r]
        if r < len(dmask):
            dp3[y, x] += dmask[r]
    return dp3, drpn_weight     # dcells goes nowhere: the RoIs' places are decisions
