"""Answers that are wrong in a way that many share, so that whoever gives one is told which mistake it is.

Each mistake is a function that makes it, and a sentence about what was done and what would be right. An answer is
taken for it if what is wrong of it, on the case that went wrong, is what the mistake gives; of several mistakes, for
the one that it equals most often.
"""

from . import boxes, convolution, learning, places, proposals, regions  # noqa: F401  (each tells its exercises)
