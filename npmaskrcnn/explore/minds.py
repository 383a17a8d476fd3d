"""Who looks at the stage: the finished model, what it was before, relatives with another part, and one's own.

Each is loaded when somebody asks for it, and kept. All but two know circles, squares and triangles. The one
without a top-down path was trained on dots in and out of a ring, to which that path matters, and knows nothing else; a
model of one's own knows what it knows. (The one in training is `live`'s.)
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..judge import judge_known
from ..models import maskrcnn_tiny
from ..shipped import trained_tiny, trained_variant
from ..words import printable
from .scene import KINDS

SHAPES, RINGS, OWN = "shapes", "rings", "own"
OWN_NAME, IN_TRAINING = "own", "training"
LONGEST_LABEL = 60


class Mind(NamedTuple):
    """A model by the name under which the page asks for it."""

    label: str          # what the page calls it
    task: str           # what it knows: SHAPES, RINGS or OWN
    load: object        # load() -> MaskRCNN
    note: str = ""      # what one must know to be fair to it


def untrained():
    """Return the tiny model with its first, random weights."""
    model = maskrcnn_tiny(num_classes=1 + len(KINDS), rng=np.random.default_rng(0))
    model.class_names = ["background", *KINDS]
    return model


MINDS = {
    "finished": Mind("Finished: 1,000 steps", SHAPES, trained_tiny),
    "step-400": Mind("After 400 steps", SHAPES, lambda: trained_tiny(400)),
    "step-100": Mind("After 100 steps", SHAPES, lambda: trained_tiny(100), "After 100 steps the network is hardly "
                     "ever sure by one half. Lower the score under “The result” to see what it thinks."),
    "untrained": Mind("Untrained: random weights", SHAPES, untrained, "The weights of this network are random, "
                      "and what it finds means nothing."),
    "roi_pool": Mind("RoIPool for RoIAlign", SHAPES, lambda: trained_variant("roi_pool"), "Trained for 600 steps with "
                     "RoIPool in the place of RoIAlign: see “One region, read”, and how outlines jump as you drag."),
    "unaligned": Mind("Regions rounded", SHAPES, lambda: trained_variant("unaligned"), "Trained for 600 steps with "
                      "regions rounded to whole cells: see “One region, read”, and how outlines jump as you drag."),
    "softmax": Mind("Masks that compete", SHAPES, lambda: trained_variant("softmax"), "Trained for 600 steps with a "
                    "softmax over the classes in each pixel: see “Masks of every class”."),
    "no_top_down": Mind("No top-down path", RINGS, lambda: trained_variant("no_top_down"), "Trained on dots in and out "
                        "of a ring. What lies around a dot does not come down to its fine map: so it guesses, and "
                        "mostly finds a dot twice, as in and as out."),
}


class Minds:
    """The models, each loaded once.

    Parameters
    ----------
    own : MaskRCNN, optional
        A model of one's own.
    own_label : str
        What the page calls it.
    """

    def __init__(self, own=None, own_label="Your own model"):
        self.known, self._loaded = dict(MINDS), {}
        if own is not None:
            if not hasattr(own, "trace"):
                raise InputError(f"{own_label}: the explorer shows the stages of Mask R-CNN, but this is a model of "
                                 "another kind")
            self.known[OWN_NAME] = Mind(printable(own_label, LONGEST_LABEL), OWN, lambda: own)

    def list(self):
        """Return name, label, task and note of each model, as the page lists them."""
        return [{"name": name, "label": mind.label, "task": mind.task, "note": mind.note}
                for name, mind in self.known.items()]

    def get(self, name):
        """Return a model by its name; `InputError` if there is none."""
        judge_known([name], list(self.known), "model")
        if name not in self._loaded:
            self._loaded[name] = self.known[name].load()
        return self._loaded[name]
