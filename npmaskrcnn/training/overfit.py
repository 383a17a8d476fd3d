"""Learning one image by heart: the quickest test of a detector.

A model that cannot learn a single image perfectly will not learn a thousand. So before a long training, and
after any change of the code: one image, the same at every step, no mirroring, and then the question whether
the model finds exactly its objects. If it does not, something is broken, and the usual suspects are few:
boxes and masks that do not belong together, a wrong label, frozen layers, anchors that fit no object, a
learning rate that is off by a factor of ten, a backward pass with a mistake in it.
"""

from dataclasses import dataclass

import numpy as np

from ..evaluation.overlap import mask_overlap
from ..judge import judge_count, judge_number
from ..ops import box_iou
from .muon import Muon
from .options import judge_model
from .schedule import WarmupCosine
from .trainer import Trainer


@dataclass
class Overfit:
    """What a model knows of the one image; N objects.

    Attributes
    ----------
    box_iou : (N,) float ndarray
        Of every object with the detection that was matched to it; 0 where none was.
    mask_iou : (N,) float ndarray, or None
        None, if the model has no mask branch.
    scores : (N,) float ndarray
        Of these detections; 0 where there is none.
    area : (N,) int ndarray
        Pixels of the object's mask.
    extra : int
        Detections scored over one half that belong to no object.
    log : dict of str to ndarray
        The losses, step by step.
    """

    box_iou: np.ndarray
    mask_iou: np.ndarray
    scores: np.ndarray
    area: np.ndarray
    extra: int
    log: dict

    def __str__(self):
        lines = ["object  pixels  score  box IoU"]
        lines += [f"{i:>6}  {area:>6}  {score:.3f}  {box:>7.3f}" for i, (area, score, box)
                  in enumerate(zip(self.area, self.scores, self.box_iou))]
        if self.mask_iou is not None:
            column = ["mask IoU", *(f"{value:>8.3f}" for value in self.mask_iou)]
            lines = [f"{line}  {value}" for line, value in zip(lines, column)]
        return "\n".join(lines + [f"{self.extra} other detections with a score over 0.5"])


def overfit_one_image(model, image, target, steps=150, rng=0, lr=2e-2, batch_size=1, log_every=0, **options):
    """Train on a single image, and measure how well it is then found.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place; meant to be a fresh one.
    image : (H, W, 3) ndarray
        uint8, or float in 0..1.
    target : Target
    steps : int
    rng : np.random.Generator or int
    lr : float
        Highest learning rate of `Muon`, warmed up over the first tenth and brought to zero along a cosine.
    batch_size : int
        How many copies of the image make a step.
    log_every : int
        Steps between two printed lines; 0 prints nothing.
    **options
        Further ones of `Trainer`.

    Returns
    -------
    result : Overfit
        After 150 steps of two copies, with a rate of 0.01 and the mask loss counted twice, a healthy tiny model
        has a box IoU and a mask IoU above 0.9 on every object of at least 400 pixels (``npmaskrcnn overfit``).
    """
    judge_model(model)
    schedule = WarmupCosine(judge_number(lr, "lr", above=0), judge_count(steps, "steps"), warmup=steps // 10)
    optimizer = Muon(model.named_parameters(), lr)
    trainer = Trainer(model, [(image, target)], optimizer, schedule, batch_size, rng, log_every=log_every, flip=False,
                      **options)
    log = trainer.run(steps)
    return measure(model.predict(image), target, log)


def measure(detections, target, log=None):
    """Match detections to the objects of one image, best score first, each once and within its class.

    What decides is the overlap of their masks, or of their boxes if the detections have no masks.

    Parameters
    ----------
    detections : Detections
    target : Target
    log : dict, optional
        Handed on.

    Returns
    -------
    result : Overfit
    """
    overlap = boxes = box_iou(target.boxes, detections.boxes)
    if detections.masks is not None:
        overlap = mask_overlap(detections.masks > 0.5, target.masks, is_crowd=False)[0].T
    matched = np.full(len(target), -1)
    for d, label in enumerate(detections.labels):  # descending scores
        overlaps = np.where((matched < 0) & (target.labels == label), overlap[:, d], 0)
        if overlaps.any():
            matched[overlaps.argmax()] = d

    def of_matched(values):     # behind the last detection stands a zero, where -1 finds it
        return np.pad(values, ((0, 0), (0, 1)))[np.arange(len(target)), matched]

    scores = np.broadcast_to(detections.scores, overlap.shape)
    others = np.delete(detections.scores, matched[matched >= 0])
    mask_iou = None if detections.masks is None else of_matched(overlap)
    return Overfit(of_matched(boxes), mask_iou, of_matched(scores),
                   area=target.masks.sum(axis=(1, 2)), extra=int((others > 0.5).sum()), log=log or {})
