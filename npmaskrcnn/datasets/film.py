"""A film of toy shapes: the standard shapes once more, but they move, and it is known which is which.

To follow an object through time is to say of two pictures: this here is that there. Whether a program says it
rightly can be counted only where somebody knows, and here the program that draws the film does. Every object is a
standard shape (`shapes`) with a velocity that never changes but where it bounces off the border; objects pass over each
other, and one that shows at most 40 pixels is left out of the picture and of the truth until it shows more.

Where an object is in frame t follows from where it began: go straight on for t frames, then fold the path back at
each border, as one folds a strip of paper. So any frame can be drawn alone, in any order, and nothing is stored.
"""

import functools
import math

import numpy as np

from ..judge import judge_count, judge_flag, judge_number, refusal
from .shapes import ShapesDataset


class ShapesFilm(ShapesDataset):
    """Frames of shapes that move, with exact boxes, labels and masks, and with the identity of every object.

    ``film[t]`` is ``(image, Target)`` like any dataset's item, and ``film.identities[t]`` says which object each row of
    that target is.

    Parameters
    ----------
    num_frames : int
    num_objects : int
        In the whole film; in a frame fewer can be seen where one hides another, or has left.
    image_size : (height, width)
    seed : int
        Not negative; of the objects, their ways and the noise.
    speed : float
        The fastest object's way in a frame, in parts of the picture's shorter side; the slowest is half as fast.
    leave : bool
        Whether objects turn outside of the picture, so that they leave it and enter it again, and not at its border.
    kinds, noise, min_visible
        As in `ShapesDataset`.

    Examples
    --------
    >>> film = ShapesFilm(num_frames=20, num_objects=3, image_size=(96, 128), seed=1)
    >>> image, target = film[4]
    >>> image.shape, len(target), film.identities[4]
    ((96, 128, 3), 3, array([0, 1, 2]))
    """

    def __init__(self, num_frames, num_objects=4, image_size=(128, 128), seed=0, speed=0.03, leave=False,
                 kinds=("circle", "square", "triangle"), noise=0.03, min_visible=40):
        judge_count(num_frames, "num_frames", 0)
        num_objects = judge_count(num_objects, "num_objects", 0)
        super().__init__(num_frames, image_size, seed, kinds, num_objects, num_objects, noise, min_visible)
        if self.smallest_size != self.largest_size:
            raise refusal("image_size", "(height, width), one for all frames", image_size)
        speed = judge_number(speed, "speed", 0, 1) * min(self.largest_size)
        self.leave = judge_flag(leave, "leave")
        rng = np.random.default_rng([self.seed, 0])
        self._background = rng.integers(0, 256, 3, dtype=np.uint8)
        self._shapes, self._velocities = [], []
        for _ in range(num_objects):
            self._shapes.append(self._new_shape(self.largest_size, self._background, rng))
            angle, length = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1) * speed
            self._velocities.append((length * math.cos(angle), length * math.sin(angle)))

    @functools.cached_property
    def identities(self):
        """For each frame the objects that its target's rows are, (N,) ints from 0; a list as long as the film."""
        return [self._arrange_frame(i)[1] for i in range(len(self))]

    def _draw(self, index):
        """The scene of frame `index`, and the generator from which its noise comes."""
        self._start(index)                          # refuses a frame that there is not
        index = index % len(self)
        return self._arrange_frame(index)[0], np.random.default_rng([self.seed, index + 1])

    def _arrange_frame(self, time):
        height, width = self.largest_size
        shapes = []
        for shape, (vx, vy) in zip(self._shapes, self._velocities):
            rim = -2 * shape.half if self.leave else shape.half     # how near to the border a center comes
            shapes.append(shape._replace(x=_folded(shape.x + time * vx, rim, width - rim),
                                         y=_folded(shape.y + time * vy, rim, height - rim)))
        return self._arrange(self.largest_size, self._background, shapes)


def _folded(x, low, high):
    """Where somebody is who has gone to `x` and turned round at each of two walls.

    >>> [_folded(x, 10, 14) for x in (11, 14, 15, 18, 19)]
    [11, 14, 13, 10, 11]
    """
    length = high - low
    return high - abs((x - low) % (2 * length) - length)
