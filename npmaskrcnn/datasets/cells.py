"""Microscope pictures that draw themselves: bright cells on dark ground, with exact outlines.

Toy shapes are all contour; what a microscope sees is softer. Nuclei under fluorescent light are bright blobs, no two
of one outline, mottled inside, some dim, some touching, some cut by the border; the lamp shines more on one side, the
lens blurs, light that is out of focus lies over everything as haze, and since light comes in photons, what is
bright is also noisy. Here every one of these is a line or two, and the truth is known to the pixel, which for real
pictures somebody has to draw by hand.

An image is drawn like this (`CellsDataset.scene`), every draw from ``default_rng([seed, i])``:

1. its size, the number of cells, and their usual radius, 6.5 to 9.5 % of the shorter side;
2. for each cell an outline (a radius, which waves two to five times on the way round, in some a dent, an elongation and
   its direction) and a place: somewhere, or beside an earlier cell. It stays at the first of ten places at which little
   of it lies on others, else at the last; it may reach over the border;
3. from the front to the back, what of each cell can be seen; one with at most 20 visible pixels is left out;
4. brightness, texture, specks of dirt (which are no cells), blur, haze, uneven light and shot noise, in this order,
   make the picture of it (`_paint`), in gray.

N objects, H, W height and width; x to the right, y down, a pixel's center at + 0.5.
"""

import math
from typing import NamedTuple

import numpy as np

from ..images import stretch_contrast
from ..judge import judge_count
from .drawn import DrawnDataset, target_of, visible

WAVES = np.arange(2, 6)         # how often an outline's radius rises and falls on the way round
MOST_COVERED = 0.06             # of a new cell by those that are there, in a place that is taken
TRIES = 10


class CellsScene(NamedTuple):
    """What a picture shows, before light falls on it; objects from the back to the front."""
    labels: np.ndarray         # (N,) int64, all 1
    layers: np.ndarray         # (N, H, W) bool, each cell whole
    masks: np.ndarray          # (N, H, W) bool, what can be seen of it


class CellsDataset(DrawnDataset):
    """Pictures of cells as a fluorescence microscope sees them, with exact boxes, labels and masks.

    Parameters
    ----------
    num_images : int
    image_size : (height, width) or ((height, width), (height, width))
        A fixed size, or the smallest and largest, both possible, between which each image's is drawn.
    seed : int
        Not negative. Two seeds share no picture; `TEST_SEED` is the test set's.
    min_objects, max_objects : int
        Cells that are placed in an image; 0 is possible. Fewer remain where one is hidden or just outside.
    min_visible : int
        A cell must show more pixels than this.

    Examples
    --------
    >>> dataset = CellsDataset(num_images=10, image_size=(96, 128), seed=1)
    >>> image, target = dataset[3]
    >>> image.shape, image.dtype, len(target)
    ((96, 128, 3), dtype('uint8'), 9)
    >>> dataset.class_names
    ['background', 'cell']
    """

    def __init__(self, num_images, image_size=(128, 128), seed=0, min_objects=5, max_objects=18, min_visible=20):
        super().__init__(num_images, image_size, seed, ("cell",))
        self._judge_objects(min_objects, max_objects)
        self.min_visible = judge_count(min_visible, "min_visible", 0)

    @property
    def most_objects(self):
        """How many objects an image can have."""
        return self.max_objects

    def __getitem__(self, index):
        """Image `index` and what is in it.

        Returns
        -------
        image : (H, W, 3) uint8 ndarray
            Gray: its three channels are equal.
        target : Target
            Boxes are the exact extents of the masks, masks hold visible pixels only; back to front.
        """
        scene, rng = self._draw(index)
        gray = _paint(scene.masks, rng)
        return np.repeat(gray[:, :, None], 3, axis=2), target_of(scene)

    def _draw(self, index):
        """The scene of image `index`, and the generator from which its light comes."""
        size, rng = self._start(index)
        num_cells = int(rng.integers(self.min_objects, self.max_objects + 1))
        usual_radius = rng.uniform(0.065, 0.095) * min(size)
        layers, centers = np.zeros((num_cells, *size), bool), np.zeros((0, 2))
        covered = np.zeros(size, bool)
        for layer in layers:
            outline = _Outline.draw(usual_radius, rng)
            for _ in range(TRIES):
                center = _place(size, centers, 2 * outline.radius, rng)
                window, inside = outline.inside(size, center)
                if np.count_nonzero(covered[window] & inside) <= MOST_COVERED * np.count_nonzero(inside):
                    break
            layer[window] = inside
            covered |= layer
            centers = np.vstack([centers, center])
        masks, keep = visible(layers, self.min_visible)
        return CellsScene(np.ones(len(keep), np.int64), layers[keep], masks[keep]), rng


def _place(size, centers, distance, rng):
    """A cell's center ``(x, y)``: anywhere, also just outside, or in three cases of ten beside another's."""
    height, width = size
    if len(centers) and rng.random() < 0.3:
        angle = rng.uniform(0, 2 * math.pi)
        return centers[rng.integers(len(centers))] + distance * np.array([math.cos(angle), math.sin(angle)])
    rim = 0.3 * distance
    return rng.uniform(-rim, width + rim), rng.uniform(-rim, height + rim)


class _Outline(NamedTuple):
    """An ellipse with waves, about its center."""
    radius: float              # pixels, of a circle of nearly the same area
    elongation: float          # the long axis by the short one
    angle: float               # of the long axis, radians
    waves: np.ndarray          # (4, 2) for each of `WAVES` a height, in parts of the radius, and a phase
    dent: float                # its depth, in parts of the radius

    @classmethod
    def draw(cls, usual_radius, rng):
        """One out of the many."""
        radius = usual_radius * math.exp(rng.normal(0, 0.2))
        heights = rng.normal(0, 0.10, len(WAVES)) / (WAVES - 1)
        phases = rng.uniform(0, 2 * math.pi, len(WAVES))
        dent = rng.uniform(0.2, 0.5) * (rng.random() < 0.15)
        return cls(radius, rng.uniform(1, 1.9), rng.uniform(0, math.pi), np.stack([heights, phases], axis=1), dent)

    def inside(self, size, center):
        """Where in a picture this can be, as slices, and which of the pixels there are inside: (h, w) bool."""
        turn = np.linspace(-math.pi, math.pi, 257)      # a table: cheaper than waves at every pixel
        border = 1 - self.dent * np.exp(-((turn - math.pi / 2) / 0.45) ** 2)        # in a long side, as a bean's
        border += self.waves[:, 0] @ np.cos(WAVES[:, None] * turn + self.waves[:, 1:])
        stretch = math.sqrt(self.elongation)
        (x, y), reach = center, self.radius * stretch * border.max()
        rows, columns = (slice(*np.clip([math.floor(at - reach), math.ceil(at + reach)], 0, side).tolist())
                         for at, side in ((y, size[0]), (x, size[1])))
        dy = np.arange(rows.start, rows.stop)[:, None] + (0.5 - y)
        dx = np.arange(columns.start, columns.stop)[None, :] + (0.5 - x)
        along = (math.cos(self.angle) * dx + math.sin(self.angle) * dy) / stretch
        across = (math.cos(self.angle) * dy - math.sin(self.angle) * dx) * stretch
        place = np.arctan2(across, along) * (256 / (2 * math.pi)) + 128.5
        return (rows, columns), np.hypot(along, across) <= self.radius * border[place.astype(int)]


def _paint(masks, rng):
    """The picture of cells with these masks, (H, W) uint8.

    Light of 1 is that of a very bright cell.
    """
    size, num_cells = masks.shape[1:], len(masks)
    usual, spread = rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.35)
    light = np.zeros(size)
    for mask, brightness in zip(masks, usual * np.exp(rng.normal(0, spread, num_cells))):
        light[mask] = brightness
    inside = light > 0
    lumps = _unit_noise(size, 1.8, rng) + 0.7 * _unit_noise(size, 0.7, rng)
    light *= np.clip(1 + rng.uniform(0.05, 0.17) * lumps, 0.2, None)
    light *= 0.55 + 0.45 * np.minimum(_blurred(inside.astype(float), 2.0) * 1.4, 1)   # thinner at the rim
    _add_dirt(light, rng)
    light = _blurred(light, rng.uniform(0.5, 1.1))
    haze = _blurred(light, 0.06 * min(size), truncate=2.5)
    light += rng.uniform(0.02, 0.12) * haze + rng.uniform(0.01, 0.08)
    light *= 1 + rng.uniform(0.05, 0.3) * _slow_field(size, rng)
    photons = math.exp(rng.uniform(math.log(60), math.log(1500)))       # that a pixel of a bright cell sends
    seen = rng.poisson(np.maximum(light, 0) * photons) / photons + rng.normal(0, 0.006, size)
    return stretch_contrast(seen, least=0.3)


def _add_dirt(light, rng):
    """Put up to three bright specks into a picture, in one of two pictures: no cells, and nobody's truth."""
    height, width = light.shape
    for _ in range(int(rng.integers(0, 4)) * int(rng.random() < 0.5)):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        speck = light[y:y + 3, x:x + 3]
        speck += rng.uniform(0.3, 1.2) * rng.random(speck.shape)


def _unit_noise(size, sigma, rng):
    """Noise without grain finer than `sigma` pixels, of about standard deviation 1."""
    return _blurred(rng.standard_normal(size), sigma) * (2 * math.sqrt(math.pi) * sigma)


def _blurred(values, sigma, **options):
    from scipy.ndimage import gaussian_filter   # only here, so that the other datasets do without SciPy
    return gaussian_filter(values, sigma, **options)


def _slow_field(size, rng):
    """A smooth field over the whole picture, about -1 to 1: a slope, and a lamp that is bright in one place."""
    y, x = np.ogrid[0:1:size[0] * 1j, 0:1:size[1] * 1j]
    angle, (cx, cy) = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.8, 2)
    slope = math.cos(angle) * (x - 0.5) + math.sin(angle) * (y - 0.5)
    return slope + 1 - 2.5 * ((x - cx) ** 2 + (y - cy) ** 2)
