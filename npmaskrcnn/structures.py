"""What one image contains: the truth that a model learns from, and the answer that it gives.

A `Target` is what a person drew: a box, a class label and a mask for every object of one image. A
`Detections` is what the model found, with a score for each. A target judges itself when it is made,
because a wrong box does not stop a training; it only makes it learn the wrong thing. What cannot be
right is an `InputError`, what can be mended is mended with an `InputWarning`, and after that nobody
looks again: the arrays of a target are read-only.

N objects, D detections, H, W height and width of the image. Boxes are ``(x1, y1, x2, y2)`` in pixels,
x2 and y2 exclusive: the box of a mask ends one past its last column and row. Label 0 is background, so
no object has it.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass

import numpy as np

from .errors import InputError
from .target_checks import as_area, as_boxes, as_flags, as_labels, as_masks, judge_boxes, judge_mask_size
from .words import printable

LONGEST_NAME = 40   # of a class, in a table


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """The objects of one image, checked.

    Parameters
    ----------
    boxes : (N, (x1, y1, x2, y2)) array
        In pixels of the image. Cast to float32; ``np.array([])`` means no boxes. A box that reaches over
        the edge of the image is clipped with a warning.
    labels : (N,) array
        Class of each object, 1 to K - 1 (0 is background). Cast to int64.
    masks : (N, H, W) array
        One mask per object, of the image's size: bool, or 0/1, or 0/255. With no objects also shape (0,).
    is_crowd : (N,) array, optional
        True where a region stands for many objects (COCO's ``iscrowd``); none by default.
    area : (N,) array, optional
        Area in pixels, by which the evaluation sorts small, medium and large. Where it is missing or zero
        it is counted from the mask. float64.
    name : str, optional
        What messages call this target, for example the image's file name.

    Raises
    ------
    InputError
        If the arrays do not fit together or a value cannot be right; one line, naming the object.

    Examples
    --------
    >>> masks = np.zeros((1, 6, 8), bool)
    >>> masks[0, 1:3, 2:7] = True
    >>> target = Target(boxes=[[2, 1, 7, 3]], labels=[1], masks=masks)
    >>> target
    Target(1 object in 6 x 8 pixels, labels [1])
    >>> target.area
    array([10.])
    """

    boxes: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    is_crowd: np.ndarray = None
    area: np.ndarray = None
    name: InitVar[str] = "Target"

    # (N, (x, y, width, height)) float64: the boxes as a file has them, neither clipped nor rounded, by which the
    # evaluation measures. No field: what is made of a target (a flipped one, for example) has none.
    xywh = None

    def __post_init__(self, name):
        boxes = as_boxes(self.boxes, name)
        labels = as_labels(self.labels, name)
        masks = as_masks(self.masks, len(boxes), name)
        if not len(boxes) == len(labels) == len(masks):
            raise InputError(f"{name}: {len(boxes)} boxes, {len(labels)} labels and {len(masks)} masks; "
                             "there must be one of each per object")
        is_crowd = as_flags(self.is_crowd, len(boxes), name)
        if len(boxes):
            extents = mask_extents(masks, name)
            boxes = judge_boxes(boxes, extents, masks.shape[1:], name)
        area = as_area(self.area, masks, name)
        self._keep(boxes, labels, masks, is_crowd, area)

    def _keep(self, *arrays):
        for field, value in zip(("boxes", "labels", "masks", "is_crowd", "area"), arrays):
            value = value.view()
            value.flags.writeable = False   # of our view: the caller's own array stays as it was
            object.__setattr__(self, field, value)

    @classmethod
    def from_judged(cls, boxes, labels, masks, is_crowd, area):
        """Make a target out of the arrays of one that was judged: no second look, no second warning."""
        target = cls.__new__(cls)
        target._keep(boxes, labels, masks, is_crowd, area)
        return target

    def measured_by(self, xywh):
        """Keep the boxes as a file has them, (N, (x, y, width, height)) float64, beside; return the target."""
        object.__setattr__(self, "xywh", xywh)
        return self

    def __len__(self):
        return len(self.boxes)

    def __repr__(self):
        count = f"{len(self)} object{'' if len(self) == 1 else 's'}"
        size = f" in {self.masks.shape[1]} x {self.masks.shape[2]} pixels" if len(self) else ""
        return f"Target({count}{size}, labels {self.labels.tolist()})"

    def check(self, image_size=None, num_classes=None, class_names=None, name="target"):
        """Check what only the image and the model know: its size, and how many classes there are.

        Parameters
        ----------
        image_size : (height, width), optional
        num_classes : int, optional
            Including background; taken from `class_names` if those are given.
        class_names : list of str, optional
            With "background" first.
        name : str
            What the message calls this target.

        Returns
        -------
        self : Target

        Raises
        ------
        InputError
            If the masks have another size than the image, or a label has no class.
        """
        if image_size is not None and len(self):
            judge_mask_size(self.masks.shape, tuple(image_size), name)
        if class_names is not None:
            num_classes = len(class_names)
        if num_classes is not None and len(self) and self.labels.max() >= num_classes:
            index = int(np.argmax(self.labels >= num_classes))
            known = (", ".join(f"{i} {text}" for i, text in enumerate(class_names)) if class_names is not None
                     else f"0 to {num_classes - 1}, 0 being background")
            raise InputError(f"{name}: object {index} has label {self.labels[index]}, "
                             f"but the classes are {known}")
        return self


@dataclass(eq=False, repr=False)
class Detections:
    """What a model found in one image, best first.

    Parameters
    ----------
    boxes : (D, (x1, y1, x2, y2)) float32 ndarray
        In pixels of the image that was handed in.
    labels : (D,) int64 ndarray
    scores : (D,) float32 ndarray
        Descending.
    masks : (D, H, W) float32 ndarray, or None
        The probability, pixel by pixel, of belonging to the object; ``masks > 0.5`` is the usual mask. None if the
        model has no mask branch. Or a `MaskSequence`, which makes them one at a time.
    class_names : list of str, optional
        Of the labels, "background" first, as the model has them: the evaluation goes by names where both sides have
        names, not by numbers.

    Examples
    --------
    >>> found = Detections(np.array([[2., 1., 7., 3.]]), np.array([1]), np.array([.9]), np.zeros((1, 6, 8)))
    >>> found
    Detections(1 object)
      #  label       score      x1      y1      x2      y2
      0  1           0.900     2.0     1.0     7.0     3.0
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    masks: np.ndarray = None
    class_names: list = None

    # (D, (x, y, width, height)) and (D,) float64: boxes and scores as a results file has them, by which the evaluation
    # measures. No fields: what is made of detections with other boxes or scores has none.
    xywh = exact_scores = None

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, index):
        """The detections that `index` picks (a slice, indices or a bool array), as Detections."""
        if np.ndim(index) == 0 and not isinstance(index, slice):
            index = [index]
        masks = None if self.masks is None else self.masks[index]
        picked = Detections(self.boxes[index], self.labels[index], self.scores[index], masks, self.class_names)
        if self.xywh is not None:
            picked.xywh, picked.exact_scores = self.xywh[index], self.exact_scores[index]
        return picked

    def __repr__(self):
        return self.table()

    def table(self, class_names=None, max_rows=20):
        """The detections as text, one a line, with the names of their classes: those given, or their own, if any."""
        class_names = self.class_names if class_names is None else class_names
        if class_names is not None and len(self) and self.labels.max() >= len(class_names):
            raise InputError(f"class_names: {len(class_names)} names, background included, but there is a detection "
                             f"of class {self.labels.max()}")
        lines = [f"Detections({len(self)} object{'' if len(self) == 1 else 's'})"]
        if len(self):
            lines.append(f"{'#':>3}  {'label':<10}{'score':>7}{'x1':>8}{'y1':>8}{'x2':>8}{'y2':>8}")
        for i in range(min(len(self), max_rows)):
            label = int(self.labels[i])
            text = printable(class_names[label], LONGEST_NAME) if class_names is not None else str(label)
            corners = "".join(f"{value:8.1f}" for value in self.boxes[i])
            lines.append(f"{i:>3}  {text:<10}{self.scores[i]:7.3f}{corners}")
        if len(self) > max_rows:
            lines.append(f"... and {len(self) - max_rows} more")
        return "\n".join(lines)


class MaskSequence(Sequence):
    """The masks of one image, each made when it is asked for: all of a large image together may not fit into memory.

    ``masks[i]`` is a fresh (H, W) array; a slice, indices or a bool array pick masks without making any, and
    ``np.asarray(masks)`` makes them all.

    Parameters
    ----------
    make : callable
        ``make(row)`` returns a mask, (H, W) of `dtype`.
    rows : (D,) sequence of int
    size : (height, width)
    dtype : numpy dtype
        bool, or a float type for probabilities.

    Examples
    --------
    >>> masks = MaskSequence(lambda row: np.full((2, 3), row), range(4), (2, 3), int)
    >>> masks.shape, masks[1].tolist(), masks[2:].shape
    ((4, 2, 3), [[1, 1, 1], [1, 1, 1]], (2, 2, 3))
    """

    ndim = 3

    def __init__(self, make, rows, size, dtype):
        self._make, self._rows, self.dtype = make, np.asarray(rows, np.intp), np.dtype(dtype)
        self.shape = (len(self._rows), *size)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        rows = self._rows[index]
        return MaskSequence(self._make, rows, self.shape[1:], self.dtype) if rows.ndim else self._make(rows)

    def __array__(self, dtype=None, copy=None):
        masks = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for i, mask in enumerate(self):
            masks[i] = mask
        return masks


def judged_pair(item, name):
    """Return the image and the `Target` that an item of a dataset consists of, or raise InputError."""
    if not isinstance(item, (tuple, list)) or len(item) != 2 or not isinstance(item[1], Target):
        got = (type(item).__name__ if not isinstance(item, (tuple, list)) else
               f"({', '.join(type(part).__name__ for part in item)})")
        raise InputError(f"{name} must be a pair (image, Target), got {got:.80}")
    return item


def mask_extents(masks, name="masks"):
    """The smallest box around each mask.

    Parameters
    ----------
    masks : (N, H, W) bool ndarray
    name : str
        What the message calls them.

    Returns
    -------
    boxes : (N, (x1, y1, x2, y2)) float32 ndarray
        x2 and y2 are one past the last column and row.

    Raises
    ------
    InputError
        If a mask has no pixel.

    Examples
    --------
    >>> masks = np.zeros((1, 6, 8), bool)
    >>> masks[0, 1:3, 2:7] = True
    >>> mask_extents(masks)
    array([[2., 1., 7., 3.]], dtype=float32)
    """
    if not len(masks):
        return np.zeros((0, 4), np.float32)
    rows, columns = masks.any(axis=2), masks.any(axis=1)
    empty = ~rows.any(axis=1)
    if empty.any():
        raise InputError(f"{name}: the mask of object {np.argmax(empty)} has no pixel; "
                         "leave the object out, with its box and its label")
    height, width = masks.shape[1:]
    return np.stack([columns.argmax(axis=1), rows.argmax(axis=1),
                     width - columns[:, ::-1].argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)],
                    axis=1).astype(np.float32)


def as_corners(xywh):
    """Boxes ``(x, y, width, height)`` of a file as ``(x1, y1, x2, y2)``, (N, 4) float32."""
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)


def as_xywh(record):
    """The boxes of a target or of detections as (N, (x, y, width, height)) float64: a file's own, if there are."""
    if getattr(record, "xywh", None) is not None:
        return record.xywh
    boxes = np.asarray(record.boxes, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
