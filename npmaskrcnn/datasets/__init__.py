"""Sets of images with their truth: toy shapes that draw themselves, and files in COCO's format.

A dataset is anything with a length whose `dataset[i]` is ``(image, target)``, an (H, W, 3) uint8 array
and a `Target`; `dataset.class_names` lists the classes with "background" first.
"""

from .coco import CocoDataset
from .coco_write import warn_of_shared_images, write_coco
from .cells import CellsDataset
from .film import ShapesFilm
from .label_maps import masks_from_label_map, read_label_map
from .mask_folders import MaskFolders
from .polygons import polygons_to_mask
from .results import detections_to_coco, read_detections, write_detections
from .rings import RingsDataset
from .shapes import TEST_SEED, ShapesDataset, shapes_test_set
