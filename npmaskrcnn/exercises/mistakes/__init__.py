"""Answers that are wrong in a way that many share, so that whoever gives one is told which mistake it is.

Each mistake is a function that makes it, and a sentence about what was done and what would be right. Answers are taken
for it if they are what the mistake gives on all cases, in every output that it changes: a right name helps, a wrong
one misleads. So a mistake that comes in several forms, such as in the loss with or without its gradient, has a function
for each.
"""

from . import boxes, convolution, learning, places, proposals, regions  # noqa: F401  (each tells its exercises)
