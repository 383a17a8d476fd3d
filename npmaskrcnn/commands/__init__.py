"""The commands, one file each: ``add_arguments`` says what can be typed, ``run`` does it.

What ``--help`` prints is the text at the beginning of the file: a line of what it does, a description, an example.
"""

from . import clinic, convert, cost, demo, detect, evaluate, explore, export, light, overfit, track, train

ALL = (demo, train, evaluate, detect, track, overfit, clinic, explore, cost, light, convert, export)
