"""Keeps pytest away from the scripts in this folder: they need torch, make stored outputs, and are no tests."""

collect_ignore_glob = ["make_*.py", "torchvision_side.py", "compare_*.py"]
