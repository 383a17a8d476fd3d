"""The commands, one file each: ``add_parser`` says what can be typed, ``run`` does it."""

from . import demo, detect, evaluate, export, overfit, train

ALL = (demo, train, evaluate, detect, overfit, export)
