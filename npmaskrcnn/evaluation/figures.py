"""Twelve numbers that sum an evaluation up, under COCO's names.

Behind them are two arrays. ``precision`` says, for each overlap threshold, recall point, class, area range
and number of detections looked at, how precise the detector was; ``recall`` says how many objects it found in
the end. Each figure is the mean over a part of one of them: AP over everything that is about all areas, AP50
over one threshold only, APs over small objects only, and so on.

T overlap thresholds, R recall points, K classes without background, A area ranges, M limits of detections.
"""

import numpy as np

from ..words import count, printable

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {"all": (0.0, 1e10), "small": (0.0, 32.0 ** 2), "medium": (32.0 ** 2, 96.0 ** 2),
               "large": (96.0 ** 2, 1e10)}
MAX_DETECTIONS = (1, 10, 100)
UNDEFINED = -1.0   # there is no ground truth; pycocotools' sign for it

# name: (array, threshold or None for all ten, area range, detections per image and class)
FIGURES = {
    "AP": ("precision", None, "all", 100),
    "AP50": ("precision", 0.50, "all", 100),
    "AP75": ("precision", 0.75, "all", 100),
    "APs": ("precision", None, "small", 100),
    "APm": ("precision", None, "medium", 100),
    "APl": ("precision", None, "large", 100),
    "AR1": ("recall", None, "all", 1),
    "AR10": ("recall", None, "all", 10),
    "AR100": ("recall", None, "all", 100),
    "ARs": ("recall", None, "small", 100),
    "ARm": ("recall", None, "medium", 100),
    "ARl": ("recall", None, "large", 100),
}


class Figures:
    """COCO's twelve figures for boxes or for masks, and the arrays behind them.

    Each figure is an attribute and an item: ``figures.AP50`` and ``figures["AP50"]`` are the same float. A
    figure for which there is no ground truth at all is -1, as in pycocotools (`UNDEFINED`).

    Attributes
    ----------
    AP, AP50, AP75, APs, APm, APl : float
        Average precision, mean over classes: over thresholds .50 to .95; at .50; at .75; of small objects
        (area up to 32 squared), medium ones, large ones (from 96 squared).
    AR1, AR10, AR100, ARs, ARm, ARl : float
        Average recall, mean over thresholds and classes: with 1, 10, 100 detections per image and class; and
        by area.
    figures : dict
        All twelve, by name.
    per_class : dict
        Class name to a dict of the twelve figures of this class alone; None where it has no ground truth.
    precision : (T, R, K, A, M) float64 ndarray
        pycocotools' axes; -1 where there is no ground truth.
    recall : (T, K, A, M) float64 ndarray
    class_names : list of K str
        Without the background.
    """

    def __init__(self, precision, recall, class_names):
        self.precision = precision
        self.recall = recall
        self.class_names = list(class_names)
        self.figures = _twelve(precision, recall)
        self.per_class = {}
        for k, name in enumerate(self.class_names):
            own = _twelve(precision[:, :, k:k + 1], recall[:, k:k + 1])
            self.per_class[name] = {key: None if value == UNDEFINED else value for key, value in own.items()}

    def __getitem__(self, name):
        return self.figures[name]

    def __getattr__(self, name):   # only asked for what __init__ has not set
        if name in FIGURES:
            return self.figures[name]
        raise AttributeError(f"Figures has no {name!r}; the figures are {', '.join(FIGURES)}")

    def __repr__(self):
        return f"Figures({', '.join(f'{name}={value:.3f}' for name, value in self.figures.items())})"


def _twelve(precision, recall):
    """Return the twelve figures of the two arrays as a dict of floats."""
    arrays = {"precision": precision, "recall": recall}
    figures = {}
    for name, (array, threshold, area, max_detections) in FIGURES.items():
        part = arrays[array][..., list(AREA_RANGES).index(area), MAX_DETECTIONS.index(max_detections)]
        if threshold is not None:
            part = part[np.isclose(IOU_THRESHOLDS, threshold)]
        part = part[part > UNDEFINED]
        figures[name] = float(part.mean()) if part.size else UNDEFINED
    return figures


class Evaluation:
    """What `evaluate` returns: the figures for boxes and for masks.

    Attributes
    ----------
    bbox, segm : Figures or None
        None for a kind of overlap that was not asked for.
    class_names : list of K str
    num_images : int
    """

    def __init__(self, bbox, segm, class_names, num_images):
        self.bbox = bbox
        self.segm = segm
        self.class_names = list(class_names)
        self.num_images = num_images

    def as_dict(self):
        """Everything but the arrays, as a dict for a JSON file."""
        kinds = {kind: getattr(self, kind) for kind in ("bbox", "segm")}
        return {"num_images": self.num_images,
                **{kind: {"figures": f.figures, "per_class": f.per_class} for kind, f in kinds.items() if f}}

    def summary(self):
        """The twelve figures, and AP class by class, as a table of text."""
        kinds = {title: f for title, f in (("box", self.bbox), ("mask", self.segm)) if f is not None}
        lines = [f"COCO figures over {count(self.num_images, 'image')}",
                 f"{'':6} {'IoU':9} {'area':7} {'per image':>9}" + "".join(f"{title:>8}" for title in kinds)]
        for name, (_, threshold, area, max_detections) in FIGURES.items():
            iou = "0.50:0.95" if threshold is None else f"{threshold:.2f}"
            values = "".join(f"{_text(f[name]):>8}" for f in kinds.values())
            lines.append(f"{name:6} {iou:9} {area:7} {max_detections:>9}{values}")
        lines += ["", "AP by class" + " " * 23 + "".join(f"{title:>8}" for title in kinds)]
        for name in self.class_names:
            values = [f.per_class[name]["AP"] for f in kinds.values()]
            texts = ["  no ground truth"] if None in values else [f"{_text(value):>8}" for value in values]
            lines.append(f"{printable(name, 33):34}" + "".join(texts))
        if any(UNDEFINED in f.figures.values() for f in kinds.values()):
            lines += ["", "-  undefined: there is no ground truth of this kind"]
        return "\n".join(lines)

    __str__ = summary

    def __repr__(self):
        return f"Evaluation(bbox={self.bbox!r}, segm={self.segm!r})"


def _text(value):
    return "-" if value == UNDEFINED else f"{value:.3f}"
