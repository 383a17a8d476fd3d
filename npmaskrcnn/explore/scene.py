"""The stage: a picture of shapes that somebody has laid down by hand, and the truth about it.

A scene is what the page sends: a ground, and shapes with a place, a size and a color, from the back to the front. The
picture is painted from it as every picture of the toy shapes is (`datasets.shapes`), noise included, and so the truth
is known to the pixel. A shape that shows no more than forty pixels, because others hide it or because it lies
outside, is neither painted nor part of the truth, as it was in training.

A picture of one's own can be the ground; of what is in it nobody knows the truth, but of the shapes before it.
"""

import copy
import functools
import math
from typing import NamedTuple

import numpy as np

from ..datasets.rings import draw_ring
from ..datasets.shapes import Shape, ShapesDataset, paint
from ..errors import InputError
from ..judge import judge_fraction, judge_known, judge_number, judge_numbers, refusal
from ..ops import resize_bilinear
from ..structures import Target, mask_extents

KINDS = ("circle", "square", "triangle")
SIDES = 16, 256             # of a scene, pixels: the tiny model brings any to 128
MOST_SHAPES = 40
FARTHEST = 1000             # from the corner to a shape's center, pixels
SMALLEST_HALF, LARGEST_HALF = 1, 256
LARGEST_SEED, LARGEST_INDEX = 2**32 - 1, 999
DEFAULTS = {"width": 128, "height": 96, "background": (225, 225, 225), "noise": 0.03, "seed": 0, "shapes": [],
            "ring": None, "picture": None}
OF_A_SHAPE = ("kind", "x", "y", "half", "color")
OF_A_RING = ("x", "y", "radius", "color")


class Truth(NamedTuple):
    """The shapes that can be seen, back to front, as one model may call them."""

    shapes: list            # (N,) which of the scene's shapes each is
    labels: list            # (N,) of the model, or None where it has no class for it
    boxes: np.ndarray       # (N, 4)
    masks: np.ndarray       # (N, H, W) bool

    def target(self):
        """The `Target` of those for which the model has a class."""
        known = [row for row, label in enumerate(self.labels) if label is not None]
        return Target(self.boxes[known], np.array([self.labels[row] for row in known], np.int64), self.masks[known])


class Stage(ShapesDataset):
    """A dataset of one picture, whose shapes are given, not random.

    Parameters
    ----------
    scene : dict
        As the page sends it; the docstring of `api` says what is in it. What is left out is as in `DEFAULTS`.
    pictures : dict of int to (H, W, 3) uint8 ndarray, optional
        Pictures that can be the ground, by number.

    Raises
    ------
    InputError
        For anything that is not what it should be.

    Examples
    --------
    >>> stage = Stage({"shapes": [{"kind": "circle", "x": 40, "y": 50, "half": 20, "color": [200, 60, 40]}]})
    >>> image, target = stage[0]
    >>> image.shape, target
    ((96, 128, 3), Target(1 object in 96 x 128 pixels, labels [1]))
    """

    def __init__(self, scene, pictures=None):
        scene = {**DEFAULTS, **_judged_keys(scene, DEFAULTS, "scene")}
        width, height = (judge_number(scene[side], f"scene.{side}", *SIDES, whole=True) for side in ("width", "height"))
        noise = judge_fraction(scene["noise"], "scene.noise")
        super().__init__(1, (height, width), 0, KINDS, 0, MOST_SHAPES, noise)
        self.grain = _judged_grain(scene["seed"])
        self.shapes = _judged_shapes(scene["shapes"])
        self.ring = None if scene["ring"] is None else _judged_ring(scene["ring"])
        self.ground = self._painted_ground(scene, pictures or {})

    def _painted_ground(self, scene, pictures):
        """What is behind the shapes, (H, W, 3) uint8: a plain color or a picture, and perhaps a ring."""
        ground = np.empty((*self.largest_size, 3), np.uint8)
        ground[:] = _judged_color(scene["background"], "scene.background")
        if scene["picture"] is not None:
            number = judge_number(scene["picture"], "scene.picture", 0, whole=True)
            if number not in pictures:
                raise InputError(f"scene.picture: there is no picture {number} (any more); send it once more")
            ground[:] = _fitted(pictures[number], self.largest_size)
        if self.ring is not None:
            draw_ring(ground, *self.ring)
        return ground

    def _draw(self, index):
        self._start(index)
        scene, self.seen = self._arrange(self.largest_size, self.ground, self.shapes)
        return scene, self._generator()

    def _generator(self):
        """The generator from which the noise comes: as it is in the beginning, or when it has drawn a picture."""
        if isinstance(self.grain, int):
            return np.random.default_rng(self.grain)
        return copy.deepcopy(_after_drawing(*self.grain, self.largest_size))

    def painted(self, class_names):
        """Return the image, (H, W, 3) uint8, and the `Truth` in the classes of a model, background first."""
        scene, rng = self._draw(0)
        labels = [self._label(self.shapes[i], class_names or ()) for i in self.seen]
        truth = Truth(self.seen.tolist(), labels, mask_extents(scene.masks), scene.masks)
        return paint(scene, self.noise, rng), truth

    def _label(self, shape, class_names):
        """A shape's label in a model: by its kind, or for a dot (a circle) by the side of the ring on which it is."""
        name = KINDS[shape.label - 1]
        if name == "circle" and self.ring is not None and "in" in class_names:
            x, y, radius, _ = self.ring
            name = "in" if math.hypot(shape.x - x, shape.y - y) < radius else "out"
        return class_names.index(name) if name in class_names else None


@functools.lru_cache(maxsize=8)     # of the pictures that are moved about at the moment
def _after_drawing(seed, index, size):
    """The generator that has drawn what an image of `ShapesDataset` shows, and would now draw its noise."""
    return ShapesDataset(index + 1, size, seed)._draw(index)[1]


# ---- judging ----


def _judged_keys(given, known, name):
    if not isinstance(given, dict):
        raise refusal(name, "an object", given)
    judge_known(given, list(known), f"part of {name}")
    return given


def _judged_grain(seed):
    """Where the noise comes from: a seed, or the seed and the index of a picture of the toy shapes."""
    if not isinstance(seed, list):
        return judge_number(seed, "scene.seed", 0, LARGEST_SEED, whole=True)
    judge_numbers(seed, "scene.seed", 2, lowest=0, whole=True)
    return (judge_number(seed[0], "scene.seed[0]", highest=LARGEST_SEED, whole=True),
            judge_number(seed[1], "scene.seed[1]", highest=LARGEST_INDEX, whole=True))


def _judged_color(color, name):
    return np.array([round(value) for value in judge_numbers(color, name, 3, lowest=0, highest=255)], np.uint8)


def _judged_place(given, keys, name, size):
    """Center, size and color of a shape or ring; of its `keys` none may be missing."""
    for key in keys:
        if key not in _judged_keys(given, keys, name):
            raise InputError(f"{name}: lacks {key!r}")
    x, y = (judge_number(given[axis], f"{name}.{axis}", -FARTHEST, FARTHEST) for axis in "xy")
    half = judge_number(given[size], f"{name}.{size}", SMALLEST_HALF, LARGEST_HALF)
    return float(x), float(y), float(half), _judged_color(given["color"], f"{name}.color")


def _judged_shapes(given):
    if not isinstance(given, list) or len(given) > MOST_SHAPES:
        raise refusal("scene.shapes", f"a list of at most {MOST_SHAPES} shapes", given)
    shapes = []
    for i, shape in enumerate(given):
        name = f"scene.shapes[{i}]"
        x, y, half, color = _judged_place(shape, OF_A_SHAPE, name, "half")
        if shape["kind"] not in KINDS:
            raise refusal(f"{name}.kind", f"one of {', '.join(KINDS)}", shape["kind"])
        shapes.append(Shape(KINDS.index(shape["kind"]) + 1, half, x, y, color))
    return shapes


def _judged_ring(given):
    return _judged_place(given, OF_A_RING, "scene.ring", "radius")


def _fitted(picture, size):
    """A picture of one's own in the size of the scene, which the page takes from the picture as a rule."""
    if picture.shape[:2] == size:
        return picture
    return np.round(resize_bilinear(picture.astype(np.float32), size))


# ---- scenes to begin with ----


class _Laid(ShapesDataset):
    """Pictures of shapes that remember what they were drawn from."""

    def _arrange(self, size, background, shapes):
        self.background, self.shapes = background, shapes
        return super()._arrange(size, background, shapes)


def drawn_scene(seed, index=0, size=(96, 128)):
    """Return the scene of an image of `ShapesDataset`: its ground, its shapes, and the noise that it has there."""
    dataset = _Laid(index + 1, size, seed)
    dataset.scene(index)
    height, width = size
    return {**DEFAULTS, "width": width, "height": height, "background": dataset.background.tolist(),
            "seed": [seed, index], "shapes": [_shape(KINDS[shape.label - 1], shape.x, shape.y, shape.half,
                                                     shape.color.tolist()) for shape in dataset.shapes]}


def _shape(kind, x, y, half, color):
    return {"kind": kind, "x": x, "y": y, "half": half, "color": list(color)}


def _scene(*shapes, **others):
    return {**DEFAULTS, "background": list(DEFAULTS["background"]), "shapes": [_shape(*shape) for shape in shapes],
            **others}


COLORS = RED, BLUE, GREEN, YELLOW = (196, 62, 46), (38, 84, 164), (46, 138, 88), (226, 186, 52)


def presets():
    """Return scenes to begin with, as (name, label, scene)."""
    crowd = [(KINDS[i % 3], 16 + 24 * (i % 5), 18 + 30 * (i // 5), 12, COLORS[i * 3 % 4]) for i in range(15)]
    ring = {"x": 46, "y": 48, "radius": 44, "color": list(BLUE)}
    return [
        ("lessons", "The lessons' picture", drawn_scene(90003, 11)),
        ("touching", "Two circles that touch", _scene(("circle", 44, 48, 20, RED), ("circle", 84, 48, 20, RED))),
        ("occluded", "A triangle behind a square",
         _scene(("triangle", 56, 50, 24, GREEN), ("square", 78, 60, 15, BLUE))),
        ("crowd", "A crowd", _scene(*crowd)),
        ("empty", "An empty picture", _scene()),
        ("merged", "Two squares, one found", _scene(("square", 54, 46, 20, BLUE), ("square", 62, 54, 20, YELLOW))),
        ("ring", "A ring and two dots",
         _scene(("circle", 46, 48, 6, RED), ("circle", 121, 20, 6, RED), ring=ring)),
    ]


NOTES = {       # on the presets: what there is to be seen
    "lessons": "The picture that all lessons follow, noise and all. For the finished network its triangle begins as "
               "anchor 1678.",
    "touching": "Push one over the other. How far, until only one is found?",
    "occluded": "Push the square farther to the left. Whose mask takes its pixels?",
    "crowd": "The network has learned from pictures of one to four shapes. What does it miss, what does it invent?",
    "empty": "Nothing to be found. There are proposals all the same, and the box head takes each for background.",
    "merged": "NMS takes the two for one. Allow an overlap of 0.70 under “Candidates and their NMS”, and both are "
              "found.",
    "ring": "For the model without a top-down path: it should tell the dot inside from the one outside.",
}
