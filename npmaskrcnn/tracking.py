"""Through time: the objects of a film, followed from frame to frame by the overlap of their masks.

Mask R-CNN sees one picture at a time and has no memory. But between two frames of a film an object moves only
little, so its mask of now covers most of its mask of before, and of no other's. That is all that is needed to follow
it. In every frame:

1. each living track says where its object should be: its last mask, shifted by the velocity it had;
2. those masks and the new detections are compared, by intersection over union, within a class;
3. each track gets at most one detection and each detection at most one track, so that the sum of the overlaps is
   largest (`scipy.optimize.linear_sum_assignment`); an overlap below `min_iou` counts as none;
4. a detection that got no track begins one, if its score is high enough; a track that got no detection waits,
   and goes on moving: it may be hidden. After `patience` frames of waiting it ends.

It is what SORT does for boxes (Bewley et al. 2016), with masks, and with a plain velocity in place of a Kalman filter.
What it cannot do: nothing here knows how an object *looks*. One that turns or stops while it is hidden, or that comes
back somewhere else, gets a new number; so does one that goes behind another bit by bit and comes out on the other side,
because the last that was seen of it and the first are different parts, and overlap nothing. One that moves by more than
its own size from a frame to the next overlaps nothing either. And two of a class may swap their numbers while one hides
the other.

D detections in a frame, K living tracks, T rows of the table of a film.
"""

import inspect
from dataclasses import dataclass

import numpy as np

from . import ops, rle
from .datasets.results import encoded_masks
from .detection_checks import judge_detections
from .errors import InputError
from .evaluation.overlap import mask_overlap
from .judge import judge_count, judge_flag, judge_fraction, judge_known, judge_number, refusal
from .structures import MaskSequence
from .words import count

MASK_THRESHOLD = 0.5    # of a predicted probability, as everywhere
# Part of the old velocity in the new one, which is the way of the box's center: while an object is being hidden its box
# shrinks, and so the center goes another way than the object.
STEADINESS = 0.5


@dataclass(eq=False, repr=False)
class Tracks:
    """Who was where: a row for every detection that belongs to a track, frame after frame."""
    frames: np.ndarray      # (T,) int64, from 0
    numbers: np.ndarray     # (T,) int64, the track's, from 0 in the order in which they began
    labels: np.ndarray      # (T,) int64
    scores: np.ndarray      # (T,) float64
    boxes: np.ndarray       # (T, (x1, y1, x2, y2)) float64
    masks: MaskSequence     # (T, H, W) bool, held as run lengths and unfolded one at a time; None without a mask branch

    def __len__(self):
        return len(self.frames)

    def __repr__(self):
        return f"Tracks({count(len(np.unique(self.numbers)), 'track')}, {count(len(self), 'detection')})"

    def __getitem__(self, index):
        """The rows that `index` picks (a slice, indices or a bool array), as Tracks."""
        if np.ndim(index) == 0 and not isinstance(index, slice):
            index = [index]
        masks = None if self.masks is None else self.masks[index]
        return Tracks(self.frames[index], self.numbers[index], self.labels[index], self.scores[index],
                      self.boxes[index], masks)


class Tracker:
    """Follows objects through a film, a frame at a time.

    Parameters
    ----------
    min_iou : float
        Two masks that overlap less are not of one object.
    birth_score : float
        A detection that belongs to no track begins one if its score is higher; a living track takes weaker ones, too.
    patience : int
        Frames that a track without a detection waits before it ends; with 0 none is bridged.
    moving : bool
        Whether a track's mask is expected where its velocity leads, or where it was last.

    Examples
    --------
    >>> from npmaskrcnn import Detections
    >>> tracker = Tracker()
    >>> def seen(*lefts):           # squares of 4 pixels, in a picture of 6 x 20
    ...     masks = np.zeros((len(lefts), 6, 20), bool)
    ...     for mask, x in zip(masks, lefts):
    ...         mask[1:5, x:x + 4] = True
    ...     boxes = np.array([[x, 1, x + 4, 5] for x in lefts])
    ...     return Detections(boxes, np.ones(len(lefts), int), np.full(len(lefts), .9), masks)
    >>> for frame in (seen(0, 15), seen(14, 1), seen(2), seen(3, 12)):
    ...     print(tracker.update(frame))
    [0 1]
    [1 0]
    [0]
    [0 1]
    """

    def __init__(self, min_iou=0.1, birth_score=0.8, patience=10, moving=True):
        self.min_iou = judge_number(min_iou, "min_iou", above=0, highest=1)
        self.birth_score = judge_fraction(birth_score, "birth_score")
        self.patience = judge_count(patience, "patience", 0)
        self.moving = judge_flag(moving, "moving")
        self._living, self._num_tracks = [], 0
        self._with_masks, self._size = None, None       # unknown before the first detection
        self._rows, self.num_frames = [], 0

    def update(self, detections):
        """Take the detections of the next frame.

        Parameters
        ----------
        detections : Detections
            In any order. With masks None the boxes are compared.

        Returns
        -------
        numbers : (D,) int64 ndarray
            The track of each, -1 for one that belongs to none.

        Raises
        ------
        InputError
            If they are no detections, or have masks of another size than those of the frames before, or, unlike them,
            none.
        """
        name = f"detections of frame {self.num_frames}"
        found = judge_detections(detections, name, needs_masks=getattr(detections, "masks", None) is not None)
        found.boxes = found.boxes.astype(np.float64)
        masks = self._masks_of(found, name)
        tracks, rows = self._assign(found, masks)
        numbers = np.full(len(found), -1, np.int64)
        for track, row in zip(tracks, rows):
            track.see(found.boxes[row], masks[row])
            numbers[row] = track.number
        # Numbers go by score, and must not depend on the order in which detections come.
        order = np.lexsort((*found.boxes.T, found.labels, -found.scores))
        for row in order[(numbers[order] < 0) & (found.scores[order] > self.birth_score)]:
            numbers[row] = self._num_tracks
            self._living.append(_Track(self._num_tracks, found.labels[row], found.boxes[row], masks[row]))
            self._num_tracks += 1
        self._keep(found, masks, numbers)
        return numbers

    def tracks(self):
        """What was followed so far, as `Tracks`."""
        frames, numbers, labels, scores, boxes, codes = zip(*self._rows) if self._rows else [()] * 6
        masks = None if None in codes else encoded_masks(codes, self._size or (0, 0))
        return Tracks(np.array(frames, np.int64), np.array(numbers, np.int64), np.array(labels, np.int64),
                      np.array(scores, np.float64), np.array(boxes, np.float64).reshape(-1, 4), masks)

    def _masks_of(self, found, name):
        """The masks of a frame as bools, each None if there are none."""
        if not len(found):
            return []
        with_masks = found.masks is not None
        self._with_masks = with_masks if self._with_masks is None else self._with_masks
        if with_masks != self._with_masks:
            raise InputError(f"{name}: {'has' if with_masks else 'has no'} masks, unlike the frames before; expected "
                             "them in all frames of a film, or in none")
        if not with_masks:
            return [None] * len(found)
        self._size = self._size or found.masks.shape[1:]
        if found.masks.shape[1:] != self._size:
            raise InputError(f"{name}: has masks of {found.masks.shape[1:]}, the frames before of {self._size}; all "
                             "frames of a film have one size")
        return [mask if mask.dtype == bool else mask > MASK_THRESHOLD for mask in found.masks]

    def _assign(self, found, masks):
        """The tracks that go on, and the rows of the detections with which they do."""
        from scipy.optimize import linear_sum_assignment    # only here: it takes longer to load than most commands need

        expected = [track.expected(self.moving) for track in self._living]
        overlaps = _overlaps(expected, found.boxes, masks)
        same_class = np.equal.outer([track.label for track in self._living], found.labels)
        overlaps[~(same_class & (overlaps >= self.min_iou))] = 0       # nor if it is NaN, of two boxes without area
        which, rows = linear_sum_assignment(overlaps, maximize=True)
        kept = overlaps[which, rows] > 0
        return [self._living[k] for k in which[kept]], rows[kept]

    def _keep(self, found, masks, numbers):
        """Add a frame's rows to the table, and let those tracks end that have waited too long."""
        for row in sorted(np.flatnonzero(numbers >= 0), key=numbers.__getitem__):
            code = None if masks[row] is None else rle.encode(masks[row])
            self._rows.append((self.num_frames, numbers[row], found.labels[row], found.scores[row], found.boxes[row],
                               code))
        for track in self._living:
            track.missed = 0 if track.number in numbers else track.missed + 1
        self._living = [track for track in self._living if track.missed <= self.patience]
        self.num_frames += 1


class _Track:
    """One object: where it was seen last, and how it moved."""

    def __init__(self, number, label, box, mask):
        self.number, self.label, self.box, self.mask = number, label, box, mask
        self.velocity, self.missed = None, 0        # pixels a frame, (x, y); frames since it was seen

    def expected(self, moving):
        """Its box and its mask of now, if it went on as it did."""
        if not moving or self.velocity is None:
            return self.box, self.mask
        way = np.round(self.velocity * (self.missed + 1)).astype(int)
        return self.box + np.tile(way, 2), None if self.mask is None else _shifted(self.mask, *way)

    def see(self, box, mask):
        """Go on with a detection."""
        velocity = (_center(box) - _center(self.box)) / (self.missed + 1)
        self.velocity = velocity if self.velocity is None else (
            STEADINESS * self.velocity + (1 - STEADINESS) * velocity)
        self.box, self.mask = box, mask


def track(detections_per_frame, **options):
    """Follow the objects of a whole film; `options` are those of `Tracker`.

    Parameters
    ----------
    detections_per_frame : iterable of Detections
        A generator will do: of past frames nothing is held but what is in the table.

    Returns
    -------
    Tracks
    """
    judge_known(options, list(inspect.signature(Tracker).parameters), "option of Tracker")
    tracker = Tracker(**options)
    if not hasattr(detections_per_frame, "__iter__"):
        raise refusal("detections_per_frame", "an iterable of Detections, one for each frame", detections_per_frame)
    for detections in detections_per_frame:
        tracker.update(detections)
    return tracker.tracks()


def _overlaps(expected, boxes, masks):
    """The (K, D) overlaps of K pairs of a box and a mask with D boxes and masks; of the boxes where a mask lacks."""
    if any(mask is None for mask in [*masks, *(mask for _, mask in expected)]):
        return ops.box_iou(np.array([box for box, _ in expected]).reshape(-1, 4), boxes)
    # Of these there is no crowd; the second set of masks is looked at within its boxes only.
    return mask_overlap(masks, [mask for _, mask in expected], np.zeros(len(expected), bool))[0].T


def _center(box):
    return (box[:2] + box[2:]) / 2


def _shifted(mask, dx, dy):
    """A mask that has moved to the right and down; what leaves the picture is lost.

    >>> _shifted(np.array([[1, 1, 0], [0, 1, 1]], bool), 1, -1).astype(int)
    array([[0, 0, 1],
           [0, 0, 0]])
    """
    height, width = mask.shape
    moved = np.zeros_like(mask)
    moved[max(dy, 0):max(height + dy, 0), max(dx, 0):max(width + dx, 0)] = (
        mask[max(-dy, 0):max(height - dy, 0), max(-dx, 0):max(width - dx, 0)])
    return moved
