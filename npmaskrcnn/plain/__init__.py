"""Every operation as its formula reads, forward and backward side by side, with nothing done for speed.

One file an idea. A differentiable operation is a pair: ``y, cache = name_forward(x, ...)`` and ``dx, ... =
name_backward(dy, cache)``; the cache is a named tuple of what backward needs, held by reference. Arrays are NHWC.
Nothing here judges its input: that happens where it enters the package. The same names, quicker, are in `fast`;
`ops` is the door to both.
"""
