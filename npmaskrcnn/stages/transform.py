"""Stage 1, the transform: images of any size become one batch, and results find their way back.

Every image is normalized (mean 0, spread 1 per color), resized so that its shorter side is `min_size`
and its longer at most `max_size`, and put into the top left corner of a common canvas whose sides are
multiples of 32, because the backbone halves the image five times. The canvas beyond an image is 0, the
mean color. Boxes and masks of the ground truth are resized with the image; at the end, detected boxes
are scaled back by the inverse ratios.

Legend: N images, (H, W) given size, (h, w) resized size, (H', W') the common padded size.
"""

import math
from typing import NamedTuple

import numpy as np

from .. import ops
from ..errors import warn
from ..judge import judge_size

SIZE_DIVISIBLE = 32


class ImageBatch(NamedTuple):
    """Images as the net sees them."""

    images: np.ndarray         # (N, H', W', 3) normalized, resized, zero-padded
    image_sizes: list          # N times (h, w): resized, before padding
    original_sizes: list       # N times (H, W): as given
    resize_caches: list        # N caches of the bilinear resize, for the gradient by the images


class InputTarget(NamedTuple):
    """Ground truth of one image in the input frame."""

    boxes: np.ndarray          # (G, 4) float32
    labels: np.ndarray         # (G,) int64
    masks: np.ndarray          # (G, h, w) bool


def resized_size(size, min_size, max_size):
    """Return the (h, w) to which an image of `size` is resized.

    One factor for both axes; each axis is rounded *down*, so that a side can end one pixel short
    (322 x 330 becomes 799 x 819). torchvision: `_resize_image_and_masks`.

    >>> resized_size((480, 640), 800, 1333)
    (800, 1066)
    """
    scale = min(min_size / min(size), max_size / max(size))
    return tuple(max(math.floor(float(side) * scale), 1) for side in size)


def scale_boxes(boxes, from_size, to_size):
    """Scale boxes by the ratio of two integer sizes, one ratio per axis, computed in float32 as in torch."""
    ratios = np.array(to_size, dtype=np.float32) / np.array(from_size, dtype=np.float32)
    ratio_y, ratio_x = (r.astype(boxes.dtype) for r in ratios)
    return boxes * np.stack([ratio_x, ratio_y, ratio_x, ratio_y])


def resize_target(target, size):
    """Bring a `Target` to the resized image's frame: boxes by ratio, masks by nearest neighbor.

    Crowd regions are left out: they are many objects drawn as one, so nothing can be learned from them.
    A box that shrinks to nothing is dropped with a warning.
    """
    keep = ~target.is_crowd
    boxes, labels, masks = target.boxes[keep], target.labels[keep], target.masks[keep]
    if not len(masks):                              # of no object, masks may have no size either
        masks = np.zeros((0, *size), bool)
    if masks.shape[1:] != tuple(size):
        boxes = scale_boxes(boxes, masks.shape[1:], size)
        masks = ops.resize_nearest(masks, size)
    alive = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    if not alive.all():
        warn(f"dropped {int((~alive).sum())} of {len(alive)} objects: nothing is left of their boxes "
             f"when the image is resized to {tuple(size)}")
    return InputTarget(boxes[alive], labels[alive], masks[alive])


class Transform:
    """Normalize, resize, pad; and the way back.

    Parameters
    ----------
    min_size : int or tuple of int
        Shorter side after resizing. Of several, training draws one per image, inference takes the last.
    max_size : int
        Bound on the longer side; it wins over `min_size`.
    image_mean, image_std : three floats
        Of the colors, for images in 0..1.
    """

    def __init__(self, min_size, max_size, image_mean, image_std):
        self.min_sizes = tuple(min_size) if isinstance(min_size, (tuple, list)) else (min_size,)
        self.max_size = max_size
        self.image_mean, self.image_std = image_mean, image_std

    def forward(self, images, dtype, rng=None):
        """Make one batch of images.

        Parameters
        ----------
        images : list of (H, W, 3) float ndarray in 0..1
        dtype : numpy dtype
            In which the model computes.
        rng : np.random.Generator or None
            In training, one ``rng.random()`` per image chooses among the sizes (even if there is but one:
            torchvision does so, and the sequence of draws is part of what can be reproduced).

        Returns
        -------
        ImageBatch
        """
        mean, std = (np.array(v, dtype=dtype) for v in (self.image_mean, self.image_std))
        resized, caches = [], []
        for i, image in enumerate(images):
            min_size = self.min_sizes[-1 if rng is None else int(rng.random() * len(self.min_sizes))]
            size = resized_size(image.shape[:2], min_size, self.max_size)
            judge_size(size, f"image {i}, resized to min_size {min_size} and max_size {self.max_size}")
            normalized = (image.astype(dtype, copy=False) - mean) / std
            cache = None
            if size != image.shape[:2]:
                normalized, cache = ops.resize_bilinear_forward(normalized, size)
            resized.append(normalized)
            caches.append(cache)
        sizes = [image.shape[:2] for image in resized]
        height, width = (SIZE_DIVISIBLE * math.ceil(max(side) / SIZE_DIVISIBLE) for side in zip(*sizes))
        batch = np.zeros((len(images), height, width, 3), dtype=dtype)
        for canvas, image in zip(batch, resized):
            canvas[:image.shape[0], :image.shape[1]] = image
        return ImageBatch(batch, sizes, [image.shape[:2] for image in images], caches)

    def backward(self, dbatch, batch):
        """Return the list of gradients by the given images, each (H, W, 3)."""
        dimages = []
        for dcanvas, (height, width), cache in zip(dbatch, batch.image_sizes, batch.resize_caches):
            dnormalized = dcanvas[:height, :width]          # the padding was not part of the image
            if cache is not None:
                dnormalized = ops.resize_bilinear_backward(dnormalized, cache)
            dimages.append(dnormalized / np.array(self.image_std, dtype=dbatch.dtype))
        return dimages
