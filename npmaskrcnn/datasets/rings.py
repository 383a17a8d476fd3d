"""Dots in and out of a ring: a task whose classes only the surroundings decide.

Every picture shows a large thin ring, of which a part may be cut off, and two small dots. One dot is inside and has
the class "in", the other is outside and has the class "out"; the ring itself is no object. Dots, colors and ground look
alike on both sides, and a dot is so far from the ring that whoever sees the dot's neighborhood alone cannot tell.

Nor does the place in the picture tell: whether two places are good depends on their distance only, so either of them is
as likely to be the one that is in. A model has to carry what it has seen from afar down to where the dot is; that is
what the top-down path of a feature pyramid is for. (A cell of the tiny model's P2, from which boxes of this size are
pooled, sees a square of 47 pixels without it, which ends 23 pixels from the cell, and all of the picture with it.)
Image i depends on the seed and on i alone.
"""

import numpy as np

from ..judge import refusal
from .shapes import SHAPES, Scene, ShapesDataset, contrasting_color

RADIUS = 44.0, 64.0         # of the ring, pixels
HALF_WIDTH = 1.5            # of its line
DOT = 5.0, 7.0              # radius
CLEARANCE = 36.0            # from a dot's center to the ring, at least
TRIES = 100                 # at once
SMALLEST_SIDE = 96          # of a picture; in smaller ones there is no room for two dots so far apart


class RingsDataset(ShapesDataset):
    """Images of two dots and a ring, one dot in it and one out of it; with exact boxes, labels and masks.

    Parameters
    ----------
    num_images : int
    image_size : (height, width) or ((height, width), (height, width))
        At least 96 a side; as in `ShapesDataset`.
    seed : int
    noise : float
        Standard deviation, in parts of white.

    Examples
    --------
    >>> image, target = RingsDataset(num_images=10, image_size=(112, 128), seed=1)[3]
    >>> image.shape, target
    ((112, 128, 3), Target(2 objects in 112 x 128 pixels, labels [1, 2]))
    """

    def __init__(self, num_images, image_size=(128, 128), seed=0, noise=0.03):
        super().__init__(num_images, image_size, seed, noise=noise)
        if min(self.smallest_size) < SMALLEST_SIDE:
            raise refusal("image_size", f"at least {SMALLEST_SIDE} a side", image_size)
        self.class_names, self.category_ids = ["background", "in", "out"], (None, 1, 2)

    def ring(self, index):
        """``(center_x, center_y, radius)`` of the ring in image `index`."""
        (height, width), rng = self._start(index)
        return self._places(height, width, rng)[2]

    def _places(self, height, width, rng):
        """Centers (2, 2) of the dot that is in and of the one that is out, their radii (2,), and the ring."""
        while True:     # one try in sixty is good
            radii = rng.uniform(*DOT, (TRIES, 2))
            dots = rng.uniform(radii[..., None], (width, height) - radii[..., None])
            ring_radius = rng.uniform(*RADIUS, TRIES)
            room = ring_radius - CLEARANCE          # a ring around the first dot has its center as near as this
            center = dots[:, 0] + rng.uniform(-1, 1, (TRIES, 2)) * room[:, None]
            inside, outside = np.linalg.norm(dots - center[:, None], axis=2).T
            good = np.flatnonzero((inside <= room) & (outside >= ring_radius + CLEARANCE))
            if good.size:
                return dots[good[0]], radii[good[0]], (*center[good[0]].tolist(), float(ring_radius[good[0]]))

    def _draw(self, index):
        """The scene of image `index`, and the generator from which its noise comes."""
        (height, width), rng = self._start(index)
        dots, radii, (center_x, center_y, ring_radius) = self._places(height, width, rng)
        x, y = _pixel_centers(height, width)
        plain = rng.integers(0, 256, 3, dtype=np.uint8)
        ground = np.full((height, width, 3), plain)
        draw_ring(ground, center_x, center_y, ring_radius, contrasting_color(plain, rng))
        masks = np.stack([SHAPES["circle"](x - dot[0], y - dot[1], radius) for dot, radius in zip(dots, radii)])
        colors = np.stack([contrasting_color(plain, rng) for _ in dots])
        order = rng.permutation(2)      # so that the first is not always the one that is in
        return Scene(ground, colors[order], np.array([1, 2])[order], masks[order], masks[order]), rng


def draw_ring(ground, center_x, center_y, radius, color):
    """Draw the line of a ring onto a ground (H, W, 3), in place."""
    x, y = _pixel_centers(*ground.shape[:2])
    ground[abs(np.hypot(x - center_x, y - center_y) - radius) <= HALF_WIDTH] = color


def _pixel_centers(height, width):
    return np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
