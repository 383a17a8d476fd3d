"""Sets of images with their truth: toy shapes that draw themselves, and files in COCO's format.

A dataset is anything with a length whose `dataset[i]` is ``(image, target)``, an (H, W, 3) uint8 array
and a `Target`; `dataset.class_names` lists the classes with "background" first.
"""

from npmaskrcnn.datasets.shapes import TEST_SEED, ShapesDataset, shapes_test_set

__all__ = ["ShapesDataset", "TEST_SEED", "shapes_test_set"]
