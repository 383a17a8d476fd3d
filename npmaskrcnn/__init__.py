"""Mask R-CNN in NumPy."""
