"""Scripts that need torch are no tests."""

collect_ignore_glob = ["make_*.py", "torchvision_side.py", "compare_all.py"]
