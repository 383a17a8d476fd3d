"""What all worlds that draw themselves have in common: an endless supply of pictures, none of which is stored.

Picture i depends on the seed and on i alone, so any of them can be drawn again, in any order, and two
seeds share none. A world says what a picture shows (`_draw`) and how it is painted (`__getitem__`).
"""

import operator

import numpy as np

from ..judge import judge_array, judge_count, judge_number, judge_size, refusal
from ..structures import Target, mask_extents
from .label_maps import MAX_MASK_BYTES

# Of every world's test set, on which average precision is quoted, and which no training should use.
TEST_SEED = 20170320


class DrawnDataset:
    """Images that are drawn as they are asked for.

    Parameters
    ----------
    num_images : int
    image_size : (height, width) or ((height, width), (height, width))
        A fixed size, or the smallest and largest, both possible, between which each image's is drawn.
    seed : int
        Not negative.
    kinds : tuple of str
        The classes, without background.
    """

    draws_itself = True     # so that no picture can be missing or damaged, and none has to be looked at beforehand

    def __init__(self, num_images, image_size, seed, kinds):
        self.num_images = judge_count(num_images, "num_images", 0)
        self.seed = judge_number(seed, "seed", 0, whole=True)
        self.smallest_size, self.largest_size = _size_bounds(image_size)
        self.kinds = kinds
        self.class_names = ["background", *kinds]
        self.category_ids = (None, *range(1, len(kinds) + 1))
        self.image_ids = list(range(1, self.num_images + 1))
        self.file_names = [f"{i:06d}.png" for i in range(self.num_images)]

    def __len__(self):
        return self.num_images

    def __repr__(self):
        size = " to ".join(f"{h} x {w}" for h, w in dict.fromkeys((self.smallest_size, self.largest_size)))
        kinds = ", ".join(self.class_names[1:])
        return f"{type(self).__name__}({len(self)} images of {size}, seed {self.seed}, {kinds})"

    def target(self, index):
        """The target of image `index` alone, without painting the image."""
        return target_of(self.scene(index))

    def layers(self, index):
        """Each object of image `index` whole, as if nothing were in front: (N, H, W) bool, back to front."""
        return self.scene(index).layers

    def scene(self, index):
        """Everything that image `index` is painted from, with its `labels`, `layers` and `masks`."""
        return self._draw(index)[0]

    def size(self, index):
        """``(height, width)`` of image `index`."""
        return self._start(index)[0]

    def _judge_objects(self, lowest, highest):
        """Keep how many objects an image may have; `InputError` if the masks of so many would not fit into memory."""
        self.min_objects = judge_count(lowest, "min_objects", 0)
        highest = judge_count(highest, "max_objects", self.min_objects)
        height, width = self.largest_size
        self.max_objects = judge_number(highest, "max_objects", highest=MAX_MASK_BYTES // (height * width), whole=True)

    def _start(self, index):
        """The size of image `index`, and its generator after the size was drawn."""
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        rng = np.random.default_rng([self.seed, index % len(self)])
        size = tuple(low if low == high else int(rng.integers(low, high + 1))
                     for low, high in zip(self.smallest_size, self.largest_size, strict=True))
        return size, rng


def visible(layers, min_visible):
    """What can be seen of each layer, (N, H, W) bool, back to front, and the indices of those that show enough.

    One that shows at most `min_visible` pixels is left out, and then hides nothing.
    """
    masks = np.zeros_like(layers)
    covered = np.zeros(layers.shape[1:], bool)
    keep = []
    for i in reversed(range(len(layers))):
        masks[i] = layers[i] & ~covered
        if np.count_nonzero(masks[i]) > min_visible:
            covered |= layers[i]
            keep.append(i)
    return masks, np.array(keep[::-1], np.int64)


def target_of(scene):
    """The `Target` of a scene: boxes are the exact extents of its masks."""
    return Target(mask_extents(scene.masks), scene.labels, scene.masks)


def _size_bounds(image_size):
    """``((h, w), (h, w))`` from a size or a pair of sizes."""
    sizes = judge_array(image_size, "image_size", "(height, width) or two of them")
    if sizes.shape == (2,):
        sizes = np.stack([sizes, sizes])
    whole = sizes.shape == (2, 2) and sizes.dtype.kind in "iu"
    if not whole or sizes.min() < 1 or (sizes[0] > sizes[1]).any():
        raise refusal("image_size", "(height, width) or two of them, the smallest and the largest", image_size)
    judge_size(sizes[1].tolist(), "image_size")
    return tuple(map(tuple, sizes.tolist()))
