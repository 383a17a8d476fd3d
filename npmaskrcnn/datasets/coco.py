"""Your own images: a folder of pictures and one annotation file in COCO's format.

`CocoDataset` reads the annotation file at once and judges all of it (`coco_json` says what is looked at);
pictures and masks are read when they are asked for.

COCO numbers its categories as it likes (1, 3, 90); a network's outputs are numbered 1, 2, 3. The table
between the two is `dataset.category_ids`: label k is the category ``category_ids[k]``, and results that
leave the package carry the file's own numbers again.
"""

import operator
import os
from collections import Counter
from pathlib import Path, PureWindowsPath

import numpy as np

from .. import rle
from ..errors import InputError, warn
from ..files import as_path
from ..images import read_image
from ..judge import judge_white
from ..structures import Target, mask_extents
from ..words import count, printable
from .coco_json import listing, one_spelling, read_annotations
from .label_maps import judge_mask_memory
from .polygons import polygons_to_mask


class CocoDataset:
    """Images with annotations in COCO's format.

    Parameters
    ----------
    annotation_file : str or path
        JSON with images, annotations and categories; polygons and both kinds of RLE.
    image_dir : str or path or None
        The folder to which the file names in the JSON are relative. None if only targets are needed.
    boxes_as_masks : bool
        Take the box as the mask where an annotation has no segmentation; otherwise that is an error.
    skip_invalid : bool
        Leave annotations that cannot be used out, each with a warning; otherwise they are errors. Images
        are never left out, so `dataset[i]` stays image i of the file.
    allow_empty : bool
        Take a file without any annotation: one can measure on images of nothing, but not learn from them.
    white : number, optional
        The value that means white in pictures of 16 or 32 bits, such as 4095 for 12 bits; see `read_image`.

    Attributes
    ----------
    class_names : list of str
        "background", then the categories' names in the order of their ids; the index is the label.
    category_ids : tuple
        ``category_ids[label]`` is the id in the file; None for the background.
    image_ids, file_names, sizes : lists
        Per image; a size is ``(height, width)``.

    Raises
    ------
    InputError
        If the file or anything in it is wrong, or an image is missing; names the annotation or image.

    Notes
    -----
    File names may contain subfolders, and backslashes for slashes; of an absolute path only the last part
    counts; a file that differs in upper and lower case only, or in how accents are composed, is found. ``..``
    is refused. The boxes are the file's where it has them, and the masks' extents where it does not.
    """

    def __init__(self, annotation_file, image_dir=None, boxes_as_masks=False, skip_invalid=False, allow_empty=False,
                 white=None):
        self.annotation_file = Path(as_path(annotation_file, "annotation_file"))
        self.image_dir = None if image_dir is None else Path(as_path(image_dir, "image_dir"))
        self.skip_invalid = skip_invalid
        self.white = judge_white(white, "white")
        categories, images, annotations = read_annotations(self.annotation_file, boxes_as_masks, skip_invalid,
                                                           allow_empty)
        self.class_names = ["background"] + [category["name"] for category in categories]
        self.category_ids = (None, *(category["id"] for category in categories))
        self.image_ids = [image["id"] for image in images]
        self.file_names = [image["file_name"] for image in images]
        self.sizes = [(image["height"], image["width"]) for image in images]
        self._annotations = {image_id: [] for image_id in self.image_ids}
        for annotation in annotations:
            self._annotations[annotation["image_id"]].append(annotation)
        self._paths = [None] * len(images) if image_dir is None else _find_images(
            self.image_ids, self.file_names, self.image_dir, self.annotation_file)

    def __len__(self):
        return len(self.image_ids)

    def __repr__(self):
        crowds = f" and {count(self.num_crowds, 'crowd')} that training leaves out" if self.num_crowds else ""
        return (f"CocoDataset({str(self.annotation_file)!r}: {count(len(self), 'image')}, "
                f"{count(self.num_objects, 'object')}{crowds}, {count(len(self.class_names) - 1, 'class')})")

    @property
    def num_objects(self):
        """How many objects one can learn from: all annotations but crowds."""
        return sum(not a["iscrowd"] for found in self._annotations.values() for a in found)

    @property
    def most_objects(self):
        """How many objects the fullest image has."""
        return max((len(found) for found in self._annotations.values()), default=0)

    @property
    def num_crowds(self):
        """How many annotations are crowds, many objects drawn as one, which training leaves out."""
        return sum(map(len, self._annotations.values())) - self.num_objects

    def table(self):
        """The classes as text: label, category id in the file, objects, crowds (which training leaves out), name."""
        counts = Counter((a["category_id"], bool(a["iscrowd"])) for found in self._annotations.values() for a in found)
        lines = [f"{'label':>5}{'category id':>13}{'objects':>9}{'crowds':>8}  name"]
        for label, number in enumerate(self.category_ids[1:], start=1):
            lines.append(f"{label:>5}{number:>13}{counts[number, False]:>9}{counts[number, True]:>8}  "
                         f"{printable(self.class_names[label])}")
        return "\n".join(lines)

    def __getitem__(self, index):
        """Image `index` and its target.

        Returns
        -------
        image : (H, W, 3) uint8 ndarray
        target : Target
            Crowd regions included, marked in `is_crowd`.
        """
        return self.image(index), self.target(index)

    def image(self, index):
        """The picture of image `index`, (H, W, 3) uint8, turned as its EXIF orientation says."""
        index = self._index(index)
        if self.image_dir is None:
            raise InputError(f"{self.annotation_file}: opened without image_dir, so there is no picture")
        try:
            image = read_image(self._paths[index], self.white)
        except InputError as error:
            raise InputError(f"{error} (image {self.image_ids[index]!r} of {self.annotation_file})") from None
        size = self.sizes[index]
        if image.shape[:2] != size:
            hint = ("; height and width are swapped: was it annotated without regard to its EXIF orientation?"
                    if image.shape[1::-1] == size else "")
            height, width = image.shape[:2]
            raise InputError(f"{self._paths[index]}: has {width} x {height} pixels, but {self.annotation_file} says "
                             f"{size[1]} x {size[0]} (image {self.image_ids[index]!r}){hint}")
        return image

    def target(self, index):
        """The target of image `index` alone, without reading the picture."""
        index = self._index(index)
        height, width = self.sizes[index]
        annotations = self._annotations[self.image_ids[index]]
        judge_mask_memory(len(annotations), (height, width), self._name(index))
        masks, kept = np.zeros((len(annotations), height, width), bool), []     # filled: stacked, they are there twice
        for annotation in annotations:
            mask = self._mask(annotation, index)
            if mask is not None:
                masks[len(kept)] = mask
                kept.append(annotation)
        masks = masks[:len(kept)]
        boxes = [annotation["box"] or extent for annotation, extent in zip(kept, mask_extents(masks), strict=True)]
        labels = [self.category_ids.index(annotation["category_id"]) for annotation in kept]
        target = Target(boxes, labels, masks, [annotation["iscrowd"] for annotation in kept],
                        [annotation["area"] for annotation in kept], self._name(index))
        xywh = [annotation.get("bbox") or (x1, y1, x2 - x1, y2 - y1)
                for annotation, (x1, y1, x2, y2) in zip(kept, target.boxes.tolist(), strict=True)]
        return target.measured_by(np.array(xywh, np.float64).reshape(-1, 4))

    def size(self, index):
        """``(height, width)`` of image `index`, as the annotation file has it."""
        return self.sizes[self._index(index)]

    def path(self, index):
        """Where the picture of image `index` is; None if there is no image_dir."""
        return self._paths[self._index(index)]

    def _mask(self, annotation, index):
        """The mask of one annotation, (H, W) bool; None if it has no pixel and may be left out."""
        height, width = self.sizes[index]
        name, segmentation = f"{self._name(index)}: annotation {annotation['id']!r}", annotation["segmentation"]
        if segmentation is None:
            mask = np.zeros((height, width), bool)
            x1, y1, x2, y2 = annotation["box"]
            mask[int(y1):int(np.ceil(y2)), int(x1):int(np.ceil(x2))] = True
        elif isinstance(segmentation, dict):
            mask = rle.decode(segmentation)
        else:
            mask = polygons_to_mask(segmentation, height, width, f"{name}: segmentation")
        if mask.any():
            return mask
        message = (f"{name}: its polygons cover no pixel of the image of {width} x {height} pixels "
                   "(a line, thinner than a pixel, or outside)")
        if not self.skip_invalid:
            raise InputError(f"{message}; delete it, or in Python: CocoDataset(..., skip_invalid=True)")
        warn(f"{message}; left out")
        return None

    def _name(self, index):
        return f"{self.annotation_file}: image {self.image_ids[index]!r} ({self.file_names[index]})"

    def _index(self, index):
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return index % len(self)


# ---- finding the files ----

def _by_spelling(folder):
    """The files in a folder by `one_spelling` of their paths: cameras write B.JPG, a Mac decomposes accents."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found.setdefault(one_spelling(str(path)), []).append(path)
    return found


def _find_images(image_ids, file_names, image_dir, annotation_file):
    """The path of every image; InputError that names the image if one is missing or outside the folder."""
    if not image_dir.is_dir():
        raise InputError(f"{image_dir}: is no folder; expected the one with the images of {annotation_file}")
    any_case, paths = {}, []
    for image_id, file_name in zip(image_ids, file_names, strict=True):
        name = f"{annotation_file}: image {image_id!r}"
        windows = PureWindowsPath(file_name)            # which knows the slashes of both systems
        relative = windows.name if windows.anchor else windows.as_posix()
        if ".." in relative.split("/"):
            raise InputError(f"{name}: file_name {file_name!r} leads out of the folder {image_dir}")
        path = image_dir / relative
        if not os.path.isfile(path):
            any_case = any_case or _by_spelling(image_dir)
            like_it = any_case.get(one_spelling(str(path)), [])
            if len(like_it) != 1:
                several = f" but {len(like_it)} with names like it, {listing(map(str, like_it))}" if like_it else ""
                raise InputError(f"{name}: there is no file {path}{several}")
            path = like_it[0]
        paths.append(path)
    return paths
