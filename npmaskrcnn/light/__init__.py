"""Lighter models out of trained ones: fewer weights, fewer channels, fewer bits.

A trained model has more numbers, and more digits of each, than it needs. Four ways to take some away, each of which
returns a new model and leaves the given one alone:

==========================  ===========================================  =============================================
function                    what becomes smaller                         what it takes to gain from it
==========================  ===========================================  =============================================
`half`                      the file: two bytes a number                 nothing
`quantize`                  the file: one byte a number                  for time: a processor with products of int8
`zero_small_weights`        nothing by itself: weights become zero       a program that leaves out zeros
`prune_channels`            products, weights, memory, and so time       nothing: it is an ordinary, narrower model
==========================  ===========================================  =============================================

What is pruned is missed at first. A short training brings most of it back: `training.train`,
which moves zeros off zero unless it is told ``keep_zeros=True``. Every such model saves, loads and predicts as
any other; what was done to it is in ``model.architecture["light"]``.

Sources: Han et al. 2015 (magnitude pruning), Li et al. 2017 and Liu et al. 2017 (channels), Jacob et al. 2018 (int8).
"""

from .bits import half, quantize
from .channels import channel_groups
from .pruning import prune_channels, share_of_zeros, zero_small_weights
from .rebuild import make_light

__all__ = ["channel_groups", "half", "make_light", "prune_channels", "quantize", "share_of_zeros", "zero_small_weights"]
