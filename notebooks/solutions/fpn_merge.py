"""From the coarsest map down: a lateral for each level, plus the merged map above with every cell copied to 2x2."""


def fpn_merge(c3, c4, c5, w3, w4, w5):
    merged5 = c5 @ w5
    merged4 = c4 @ w4 + merged5.repeat(2, axis=0).repeat(2, axis=1)
    merged3 = c3 @ w3 + merged4.repeat(2, axis=0).repeat(2, axis=1)
    return merged3, merged4, merged5
