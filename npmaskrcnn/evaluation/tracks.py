"""How well were objects followed? Identity switches, and how long each object was held.

In every frame objects and tracks are paired: first those that were a pair before and still overlap, then the rest, so
that as much as possible is overlapped. An object that gets another track than the last one that it had is an *identity
switch*; one that gets none is a miss; a track that gets no object is a false alarm. This is the pairing of CLEAR MOT
(Bernardin and Stiefelhagen 2008), and its figure, MOTA, is 1 minus all three kinds of error over the number of objects.

N objects in a frame, D rows of tracks in it.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..judge import judge_array, judge_number, refusal
from ..structures import Target
from ..words import count
from .overlap import overlap


@dataclass(frozen=True)
class TrackFigures:
    """What was counted over a film."""
    num_objects: int        # in all frames together
    switches: int
    misses: int
    false_alarms: int
    coverage: dict          # of each object's identity: the part of its frames in which its most frequent track had it

    @property
    def MOTA(self):
        """1 minus the errors of all kinds over the number of objects; 1 where nothing is and nothing was found."""
        errors = self.switches + self.misses + self.false_alarms
        return 1 - errors / max(self.num_objects, 1)


def measure_tracks(tracks, targets, identities, iou_threshold=0.5):
    """Hold tracks against objects whose identities are known.

    Parameters
    ----------
    tracks : Tracks
        Masks are compared, or boxes if they have none.
    targets : list of Target
        One for each frame.
    identities : list of (N,) int arrays
        Which object each row of a target is.
    iou_threshold : float
        A track has an object if they overlap at least so much and are of the same class.

    Returns
    -------
    TrackFigures

    Raises
    ------
    InputError
        If an argument is not what it should be.
    """
    from scipy.optimize import linear_sum_assignment    # only here: training, which imports this folder, needs no SciPy
    judge_number(iou_threshold, "iou_threshold", above=0, highest=1)
    identities = _judged_identities(tracks, targets, identities)
    last, held, false_alarms, switches = {}, {}, 0, 0
    for frame, (target, names) in enumerate(zip(targets, identities, strict=True)):
        found = tracks[tracks.frames == frame]
        iou = overlap(target, found, "bbox" if found.masks is None else "segm", 0.5)[0]
        iou[(iou < iou_threshold) | np.not_equal.outer(found.labels, target.labels)] = 0
        was_pair = np.array([[last.get(name) == number for name in names] for number in found.numbers])
        # One more for each pair of before: no sum of overlaps of others outweighs that.
        rows, columns = linear_sum_assignment(iou + (iou > 0) * was_pair.reshape(iou.shape) * len(names), maximize=True)
        pairs = {names[n]: found.numbers[d] for d, n in zip(rows, columns) if iou[d, n] > 0}
        switches += sum(last.get(name, number) != number for name, number in pairs.items())
        false_alarms += len(found) - len(pairs)
        last.update(pairs)
        for name in names:
            held.setdefault(int(name), []).append(pairs.get(name, -1))
    misses = sum(numbers.count(-1) for numbers in held.values())
    coverage = {name: max(map(numbers.count, set(numbers) - {-1}), default=0) / len(numbers)
                for name, numbers in sorted(held.items())}
    return TrackFigures(sum(map(len, held.values())), switches, misses, false_alarms, coverage)


def _judged_identities(tracks, targets, identities):
    """Return the identities as arrays, or raise `InputError` for what is no film."""
    if not all(hasattr(tracks, name) for name in ("frames", "numbers", "labels", "masks")):
        raise refusal("tracks", "Tracks, such as `tracking.track` returns", tracks)
    for name, given in (("targets", targets), ("identities", identities)):
        if not isinstance(given, (list, tuple)):
            raise refusal(name, "a list with an entry for each frame", given)
    if len(targets) != len(identities):
        raise InputError(f"identities: expected one array for each of {count(len(targets), 'target')}, got "
                         f"{len(identities)}")
    judged = []
    for i, (target, names) in enumerate(zip(targets, identities)):
        if not isinstance(target, Target):
            raise refusal(f"targets[{i}]", "a Target", target)
        names = judge_array(names, f"identities[{i}]", "whole numbers, one for each object")
        if names.shape != (len(target),) or names.dtype.kind not in "iu" and names.size or len(set(names)) < len(names):
            raise refusal(f"identities[{i}]", f"{len(target)} different whole numbers", names)
        judged.append(names)
    if len(tracks) and tracks.frames.max() >= len(targets):
        raise InputError(f"targets: expected one for each frame, got {len(targets)}, but a track is in frame "
                         f"{tracks.frames.max()}")
    return judged
