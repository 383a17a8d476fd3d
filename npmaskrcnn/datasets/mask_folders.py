"""Pictures whose objects were outlined one file each: a folder a picture, in it one picture and a folder of masks.

Whoever outlines with a program of the laboratory often gets this: ``NAME/images/NAME.png`` and, for every object, a
file of its own in ``NAME/masks/``, white where the object is, be white 255 or 1. The nuclei of the Data Science Bowl
2018 (the Broad Institute's set BBBC038) are the best-known set of the kind. Nothing else has to be told: the masks say
where the boxes are, and all are of one class. `write_coco` makes one annotation file of it, which can be trained on.

N objects, H, W height and width.
"""

import copy
import operator
from pathlib import Path

import numpy as np

from ..errors import InputError, warn
from ..files import as_path
from ..images import open_image, read_image, stretch_contrast
from ..judge import judge_array, judge_class_names, judge_count, judge_flag, judge_numbers, judge_white, refusal
from ..structures import Target, mask_extents
from ..words import count, printable
from .label_maps import judge_mask_memory, read_label_map


class MaskFolders:
    """A folder with a folder for every picture, each with ``images/`` (one file) and ``masks/`` (one file an object).

    Parameters
    ----------
    folder : str or path
    class_name : str
        What the objects are.
    stretch : bool
        Make the darkest of each picture black and its brightest white (`stretch_contrast`); for microscopes, whose
        pictures often use a small part of the gray values.
    only_size : (height, width), optional
        Leave out pictures of other sizes: in a mixed collection those of one microscope.
    min_area : int
        Leave out objects of fewer pixels, slivers at the border for example. (One without a pixel, whose file is all
        black, is none.)
    white : number, optional
        Of pictures (not of masks) of 16 or 32 bits; see `read_image`.

    Attributes
    ----------
    class_names, category_ids, image_ids, file_names, sizes : lists
        As those of a `CocoDataset`.

    Raises
    ------
    InputError
        If there is no such picture, a folder has more than one picture or none, or, when it is read, a mask has
        another size than its picture.
    """

    def __init__(self, folder, class_name="object", stretch=False, only_size=None, min_area=1,
                 white=None):
        self.folder = Path(as_path(folder, "folder"))
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is no folder; expected one with a folder for every picture")
        self.class_names, self.category_ids = judge_class_names(["background", class_name], "class_name"), (None, 1)
        self.stretch, self.min_area = judge_flag(stretch, "stretch"), judge_count(min_area, "min_area")
        self.white = judge_white(white, "white")
        if only_size is not None:
            only_size = judge_numbers(only_size, "only_size", 2, lowest=1, whole=True)
        found = [_picture_in(place) for place in sorted(self.folder.iterdir()) if (place / "images").is_dir()]
        sizes = [_size(path) for path in found]
        chosen = [i for i, size in enumerate(sizes) if only_size is None or size == tuple(only_size)]
        if not chosen:
            wanted = "" if only_size is None else f" of {only_size[1]} x {only_size[0]} pixels"
            raise InputError(f"{self.folder}: expected folders with images/ and masks/ in them, got no picture{wanted}"
                             f" (of {count(len(found), 'picture')})")
        self._paths, self.sizes = [found[i] for i in chosen], [sizes[i] for i in chosen]
        self._number()

    def _number(self):
        self.image_ids = list(range(1, len(self) + 1))
        self.file_names = [path.name for path in self._paths]

    def __len__(self):
        return len(self._paths)

    def __repr__(self):
        return f"MaskFolders({str(self.folder)!r}: {count(len(self), 'image')})"

    def part(self, indices):
        """The images of these indices alone, as another `MaskFolders`."""
        expected = f"a list of numbers of the {count(len(self), 'image')}"
        chosen = judge_array(indices, "indices", expected, "iu").astype(int)
        if chosen.ndim != 1 or not (-len(self) <= chosen).all() or not (chosen < len(self)).all():
            raise refusal("indices", expected, indices)
        part = copy.copy(self)
        part._paths, part.sizes = ([values[i] for i in chosen] for values in (self._paths, self.sizes))
        part._number()
        return part

    def path(self, index):
        """Where the picture of image `index` is."""
        return self._paths[self._index(index)]

    def size(self, index):
        """``(height, width)`` of image `index`."""
        return self.sizes[self._index(index)]

    def _index(self, index):
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        return index

    def __getitem__(self, index):
        """Image `index` and its target.

        Returns
        -------
        image : (H, W, 3) uint8 ndarray
        target : Target
            In the order of the masks' file names. A pixel in several masks is in all of them.
        """
        image = read_image(self.path(index), self.white)
        return stretch_contrast(image, least=1) if self.stretch else image, self.target(index)

    def target(self, index):
        """The target of image `index` alone."""
        size, place = self.size(index), self.path(index).parent.parent
        files = _files(place / "masks")
        judge_mask_memory(len(files), size, str(place))
        masks = np.array([_read_mask(path, size) for path in files], bool).reshape(-1, *size)
        masks = masks[masks.sum(axis=(1, 2)) >= self.min_area]
        return Target(mask_extents(masks), np.ones(len(masks), np.int64), masks, name=str(place))


def _files(folder):
    """The files in a folder but hidden ones, by name; none if there is no such folder."""
    return sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))


def _picture_in(place):
    pictures = _files(place / "images")
    if len(pictures) != 1:
        raise InputError(f"{place / 'images'}: expected one picture, got {len(pictures)}")
    if not (place / "masks").is_dir():
        warn(f"{printable(place)}: has no folder masks, so that its picture shows no object")
    return pictures[0]


def _size(path):
    with open_image(path) as image:
        return image.size[::-1]


def _read_mask(path, size):
    """A mask, (H, W) bool: what is nearer to the brightest than to black is the object."""
    with open_image(path) as image:
        deep = image.mode.startswith(("I", "F"))    # as numbers: white need not be the largest of 16 bits
    values = read_label_map(path) if deep else read_image(path)[:, :, 0]
    mask = values > values.max() / 2
    if mask.shape != size:
        raise InputError(f"{path}: has {mask.shape[1]} x {mask.shape[0]} pixels, but its picture {size[1]} x {size[0]}")
    return mask
