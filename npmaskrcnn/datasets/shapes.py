"""Toy shapes: pictures whose truth is exact, because the program that draws them knows it.

Circles, squares and triangles on a plain ground, some in front of others, under a little noise. A
detector needs everything for them that it needs for photographs (several objects, several classes,
occlusion, sizes that differ by a factor of two and a half), but learns them in minutes. Image i depends
on the seed and on i alone, so any picture can be drawn again, in any order, and nothing is stored.

An image is drawn like this (`ShapesDataset.scene`), every draw from ``default_rng([seed, i])``:

1. its size, if that may vary, the color of the ground, and the number of shapes;
2. for each shape a kind, a half-size in 10 to 25 % of the shorter side, a center that keeps it inside the
   picture, and a color more than 120 away from the ground's (sum over the channels, 0 to 255);
3. from the front to the back, what of each shape can be seen; one with at most 40 visible pixels is left
   out, of the picture and of the truth;
4. the picture is colored, and Gaussian noise of .03 (of white) is added pixel by pixel.

N objects, H, W height and width; x to the right, y down, a pixel's center at + 0.5.
"""

import math
from typing import NamedTuple

import numpy as np

from ..judge import judge_count, judge_fraction, refusal
from .drawn import TEST_SEED, DrawnDataset, target_of, visible


class Shape(NamedTuple):
    """One shape as it is drawn: of which class, how large, where, in which color."""
    label: int
    half: float                # half its size, in pixels
    x: float                   # of the center
    y: float
    color: np.ndarray          # (3,) uint8


class Scene(NamedTuple):
    """What a picture shows, before it is colored; objects from the back to the front."""
    background: np.ndarray     # (3,) uint8, or (H, W, 3) where the ground is no plain one
    colors: np.ndarray        # (N, 3) uint8
    labels: np.ndarray         # (N,) int64
    layers: np.ndarray         # (N, H, W) bool, each shape whole
    masks: np.ndarray          # (N, H, W) bool, what can be seen of it


class ShapesDataset(DrawnDataset):
    """Images of simple shapes with exact boxes, labels and masks; the defaults are the standard shapes.

    Parameters
    ----------
    num_images : int
    image_size : (height, width) or ((height, width), (height, width))
        A fixed size, or the smallest and largest, both possible, between which each image's is drawn.
    seed : int
        Not negative. Two seeds share no picture; `TEST_SEED` is the test set's.
    kinds : tuple of str
        Any of "circle", "square", "triangle", "ring", "star". Label 1 is the first.
    min_objects, max_objects : int
        Shapes in an image; 0 is possible. Fewer remain where one is hidden by others.
    noise : float
        Standard deviation, in parts of white.
    min_visible : int
        A shape must show more pixels than this.

    Examples
    --------
    >>> dataset = ShapesDataset(num_images=10, image_size=(96, 128), seed=1)
    >>> image, target = dataset[3]
    >>> image.shape, image.dtype
    ((96, 128, 3), dtype('uint8'))
    >>> target
    Target(1 object in 96 x 128 pixels, labels [3])
    >>> dataset.class_names
    ['background', 'circle', 'square', 'triangle']
    """

    def __init__(self, num_images, image_size=(128, 128), seed=0, kinds=("circle", "square", "triangle"),
                 min_objects=1, max_objects=4, noise=0.03, min_visible=40):
        kinds = tuple(kinds) if isinstance(kinds, (list, tuple)) else (kinds,)
        if not kinds or any(kind not in list(SHAPES) or kinds.count(kind) > 1 for kind in kinds):
            raise refusal("kinds", f"one or more different of {', '.join(SHAPES)}", kinds)
        super().__init__(num_images, image_size, seed, kinds)
        self._judge_objects(min_objects, max_objects)
        self.min_visible = judge_count(min_visible, "min_visible", 0)
        self.noise = judge_fraction(noise, "noise")

    def __getitem__(self, index):
        """Image `index` and what is in it.

        Returns
        -------
        image : (H, W, 3) uint8 ndarray
        target : Target
            Boxes are the exact extents of the masks, masks hold visible pixels only; back to front.
        """
        scene, rng = self._draw(index)
        return paint(scene, self.noise, rng), target_of(scene)

    def _draw(self, index):
        """The scene of image `index`, and the generator from which its noise comes."""
        size, rng = self._start(index)
        background = rng.integers(0, 256, 3, dtype=np.uint8)
        num_shapes = int(rng.integers(self.min_objects, self.max_objects + 1))
        shapes = [self._new_shape(size, background, rng) for _ in range(num_shapes)]
        return self._arrange(size, background, shapes)[0], rng

    def _new_shape(self, size, background, rng):
        """A shape that lies within the picture and stands out from its ground."""
        height, width = size
        label = int(rng.integers(1, len(self.kinds) + 1))
        half = rng.uniform(0.10, 0.25) * min(height, width)
        x, y = rng.uniform(half, width - half), rng.uniform(half, height - half)
        return Shape(label, half, x, y, contrasting_color(background, rng))

    def _arrange(self, size, background, shapes):
        """The scene of some shapes, later ones in front, and the indices of those that can be seen."""
        height, width = size
        layers = np.zeros((len(shapes), height, width), bool)
        for i, shape in enumerate(shapes):
            x = np.arange(width)[None, :] + (0.5 - shape.x)
            y = np.arange(height)[:, None] + (0.5 - shape.y)
            layers[i] = SHAPES[self.kinds[shape.label - 1]](x, y, shape.half)
        masks, keep = visible(layers, self.min_visible)
        colors = np.array([shape.color for shape in shapes], np.uint8).reshape(-1, 3)
        labels = np.array([shape.label for shape in shapes], np.int64)
        return Scene(background, colors[keep], labels[keep], layers[keep], masks[keep]), keep


def shapes_test_set(num_images=200):
    """The standard test set: 200 standard shapes from `TEST_SEED`, which no training should use."""
    return ShapesDataset(num_images, seed=TEST_SEED)


def the_image():
    """Return the image that all lessons follow, (96, 128, 3) uint8, and its `Target`.

    Two squares touch, a circle is partly hidden, and the triangle, row 2 of the target, is followed from its pixels to
    its loss. No training has seen it.
    """
    return ShapesDataset(12, image_size=(96, 128), seed=90003)[11]


# ---- what is seen ----

def contrasting_color(background, rng):
    """A color that differs from the background by more than 120, summed over the channels."""
    while True:   # nine draws in ten are accepted
        color = rng.integers(0, 256, 3, dtype=np.uint8)
        if np.abs(color.astype(np.int64) - background).sum() > 120:
            return color


def paint(scene, noise, rng):
    """The picture of a scene, (H, W, 3) uint8, under noise of so many parts of white."""
    pixels = np.full((*scene.masks.shape[1:], 3), scene.background, np.float32)
    for mask, color in zip(scene.masks, scene.colors, strict=True):
        pixels[mask] = color
    if noise:
        pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * (255 * noise)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


# ---- the kinds: x and y from the center, half the size ----

def _circle(x, y, half):
    return x * x + y * y <= half * half


def _star(x, y, half):
    """Five points, one upwards: a wedge of 36 degrees with a straight edge, mirrored ten times."""
    radius, angle = np.hypot(x, y), np.arctan2(x, -y)   # from the upper tip, clockwise
    wedge = math.pi / 5
    angle = abs((angle + wedge) % (2 * wedge) - wedge)      # from the nearest tip
    across, along = radius * np.sin(angle), radius * np.cos(angle)
    inner = 0.45 * half
    inner_across, inner_along = inner * math.sin(wedge), inner * math.cos(wedge)
    # Inside the edge that leads from the tip to the inner corner.
    return across * (half - inner_along) <= (half - along) * inner_across


SHAPES = {"circle": _circle,
          "square": lambda x, y, half: (abs(x) <= half) & (abs(y) <= half),
          "triangle": lambda x, y, half: (2 * abs(x) <= y + half) & (y <= half),    # the tip at y = -half
          "ring": lambda x, y, half: _circle(x, y, half) & ~_circle(x, y, half / 2),
          "star": _star}
