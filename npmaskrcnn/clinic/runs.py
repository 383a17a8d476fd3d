"""Stored trainings of the clinic's patients: a short log, what was found at three moments, and what it was worth.

A run is a JSON file of six to ten kB in ``data/clinic/``, made by ``notebooks/scripts/clinic.py``. Of the log it has
every tenth step; of a picture, what was found in it, with run lengths for the masks. The picture itself is not stored:
it is one of the toy shapes, which draw themselves.
"""

from dataclasses import dataclass

import numpy as np

from .. import rle
from ..datasets import ShapesDataset
from ..datasets.results import encoded_masks
from ..files import read_json
from ..shipped import data_file
from ..structures import Detections

PICTURE_SEED, PICTURE = 95, 43      # four objects of all three classes, the center of one in each quarter
SHOWN_SCORE, MOST_SHOWN = 0.5, 12   # of what was found, so much is stored
LAST = 5                            # rows of the log, fifty steps, over which a loss at the end is a mean


@dataclass
class Run:
    """A training of a patient.

    Attributes
    ----------
    log : dict of str to (S,) float ndarray
        Of every tenth step: the columns of a `Trainer`'s log.
    steps : list of int
        The three moments.
    pictures : list of Detections
        What was found in the picture at each of them, with a score above one half (the twelve best at most).
    ap : dict of str to float
        ``bbox_AP``, ``segm_AP75`` and so on, on test images, predicted as the patient predicts.
    readings : dict of str to float
        Other numbers, taken at the end, some of them of a trace of the picture; see ``notebooks/scripts/clinic.py``.
    settings : dict
        Steps, images a step, seed, test images.
    """

    log: dict
    steps: list
    pictures: list
    ap: dict
    readings: dict
    settings: dict

    @property
    def first(self):
        """The numbers of the log's first row, by column."""
        return {name: float(column[0]) for name, column in self.log.items()}

    @property
    def middle(self):
        """The means of the log's columns over its middle third, steps 100 to 200 of 300."""
        third = len(next(iter(self.log.values()))) // 3
        return {name: float(column[third:2 * third + 1].mean()) for name, column in self.log.items()}

    @property
    def end(self):
        """The means of the log's columns over the last fifty steps."""
        return {name: float(column[-LAST:].mean()) for name, column in self.log.items()}


def the_picture():
    """Return the image that all pictures show, and its `Target`."""
    return ShapesDataset(PICTURE + 1, seed=PICTURE_SEED)[PICTURE]


def as_stored(found):
    """Return what is kept of the `Detections` in a picture, for a JSON file."""
    found = found[found.scores > SHOWN_SCORE][:MOST_SHOWN]
    return {"boxes": [[round(float(side), 1) for side in box] for box in found.boxes],
            "labels": found.labels.tolist(), "scores": [round(float(score), 3) for score in found.scores],
            "masks": [rle.encode(mask > 0.5)["counts"] for mask in found.masks]}


def load_run(name):
    """Read the stored run of a patient."""
    stored = read_json(data_file(f"clinic/{name}.json"))
    size = the_picture()[0].shape[:2]
    pictures = [_as_found(picture, size) for picture in stored["pictures"]]
    log = {column: np.array(values, np.float64) for column, values in stored["log"].items()}
    return Run(log, stored["steps"], pictures, stored["ap"], stored["readings"], stored["settings"])


def _as_found(stored, size):
    codes = [{"size": list(size), "counts": counts} for counts in stored["masks"]]
    return Detections(np.array(stored["boxes"], np.float32).reshape(-1, 4), np.array(stored["labels"], np.int64),
                      np.array(stored["scores"], np.float32), encoded_masks(codes, size))
