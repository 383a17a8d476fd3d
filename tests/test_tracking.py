"""Tracking: who keeps a number and who gets a new one, on masks made by hand; and what is counted over a film.

Pictures are 24 x 60, neither square nor equal to any object, and of few frames; every case is drawn by `frame`.
"""

import numpy as np
import pytest

from npmaskrcnn import Detections, Target
from npmaskrcnn.datasets import ShapesFilm
from npmaskrcnn.errors import InputError
from npmaskrcnn.evaluation import measure_tracks
from npmaskrcnn.structures import mask_extents
from npmaskrcnn.tracking import Tracker, track

SIZE = (24, 60)


def bar(left, top=4, width=8, height=6):
    mask = np.zeros(SIZE, bool)
    mask[max(top, 0):top + height, max(left, 0):left + width] = True
    return mask


def frame(*masks, labels=None, scores=None, with_masks=True):
    masks = np.array(masks, bool).reshape(-1, *SIZE)
    labels = np.ones(len(masks), int) if labels is None else np.array(labels)
    scores = np.full(len(masks), 0.9) if scores is None else np.array(scores)
    return Detections(mask_extents(masks), labels, scores, masks if with_masks else None)


def numbers(frames, **options):
    tracker = Tracker(**options)
    return [tracker.update(one).tolist() for one in frames]


@pytest.mark.parametrize("with_masks", [True, False])
def test_an_object_that_is_hidden_for_some_frames_keeps_its_number(with_masks):
    # 5 pixels a frame to the right; in frames 3 to 5 nobody sees it, and then it overlaps nothing of where it was
    frames = [frame(*[bar(5 * t)] * (not 3 <= t <= 5), bar(40, 15), with_masks=with_masks) for t in range(8)]
    assert numbers(frames)[6:] == [[0, 1], [0, 1]]
    assert numbers(frames, patience=2)[6] == [2, 1]
    assert numbers(frames, moving=False)[6] == [2, 1]


def test_a_shift_is_what_leads_a_fast_object_to_itself():
    # 7 of 8 pixels a frame: after the first step, which overlaps by 1 in 15, nothing but the velocity can tell
    frames = [frame(bar(left)) for left in (0, 4, 14, 24, 34)]
    assert numbers(frames) == [[0]] * 5
    assert numbers(frames, moving=False) == [[0], [0], [1], [2], [3]]


def test_two_that_cross_keep_their_numbers_by_masks_where_boxes_swap_them():
    def slope(down, top):           # a band 6 pixels high from one side to the other; its box is 18 high, whichever
        columns = np.arange(50)
        height = columns * 12 // 49
        start = top + (height if down else 12 - height)
        mask = np.zeros(SIZE, bool)
        mask[:, 5:55] = (np.arange(24)[:, None] >= start) & (np.arange(24)[:, None] < start + 6)
        return mask

    # One goes down by 2 pixels, one up: in the second frame each has the very box that the other had.
    first, second = (slope(True, 0), slope(False, 2)), (slope(True, 2), slope(False, 0))
    np.testing.assert_array_equal(mask_extents(np.array(first)), mask_extents(np.array(second))[::-1])
    assert numbers([frame(*first), frame(*second)]) == [[0, 1], [0, 1]]
    assert numbers([frame(*first, with_masks=False), frame(*second, with_masks=False)]) == [[0, 1], [1, 0]]


def test_the_sum_of_overlaps_decides_and_not_the_largest():
    # the first one's best is the second's old place, too; taking that would leave the other without a partner
    before, after = frame(bar(10), bar(13)), frame(bar(12), bar(16))
    assert numbers([before, after]) == [[0, 1], [0, 1]]


def test_a_number_is_born_with_a_sure_detection_goes_on_with_an_unsure_one_and_is_not_given_again():
    frames = [frame(bar(3), scores=[.5]), frame(bar(3), scores=[.6]), frame(bar(3), scores=[.2]), frame(), frame(),
              frame(bar(3))]
    assert numbers(frames, patience=1, birth_score=0.5) == [[-1], [0], [0], [], [], [1]]
    assert numbers(frames, patience=2, birth_score=0.5)[-1] == [0]


def test_an_object_never_becomes_one_of_another_class():
    assert numbers([frame(bar(3), labels=[1]), frame(bar(3), labels=[2]), frame(bar(3), labels=[1])]) == [[0], [1], [0]]


def test_frames_without_detections_and_films_without_frames_are_valid():
    assert numbers([frame(), frame()]) == [[], []]
    for tracks in (track([]), track([frame()])):
        assert len(tracks) == 0 and tracks.boxes.shape == (0, 4) and tracks.frames.dtype == np.int64
    figures = measure_tracks(track([]), [], [])
    assert (figures.num_objects, figures.switches, figures.MOTA, figures.coverage) == (0, 0, 1, {})


def test_the_order_of_the_detections_changes_nothing():
    film, rng = ShapesFilm(12, 5, SIZE[::-1], seed=3, min_visible=10), np.random.default_rng(0)
    targets = [film.target(i) for i in range(12)]
    plain, mixed = Tracker(), Tracker()
    for target in targets:
        order = rng.permutation(len(target))
        scores = np.round(rng.uniform(.4, 1, len(target)), 1)         # some are equal
        found = Detections(target.boxes, target.labels, scores, target.masks)
        np.testing.assert_array_equal(plain.update(found)[order], mixed.update(found[order]))
    for field in ("frames", "numbers", "labels", "scores", "boxes"):
        np.testing.assert_array_equal(getattr(plain.tracks(), field), getattr(mixed.tracks(), field))


def test_boxes_of_any_type_of_number_and_without_area_are_compared():
    one = Detections(np.array([[5, 5, 9, 9], [7, 7, 7, 7]], np.uint8), np.ones(2, int), np.array([.9, .85]), None)
    assert numbers([one, one]) == [[0, 1], [0, 2]]      # nothing overlaps what has no area


def test_the_table_has_every_row_with_its_mask():
    tracks = track([frame(bar(3), bar(30)), frame(bar(32))])
    assert (tracks.frames.tolist(), tracks.numbers.tolist()) == ([0, 0, 1], [0, 1, 1])
    np.testing.assert_array_equal(tracks.masks, [bar(3), bar(30), bar(32)])
    assert tracks.boxes[2].tolist() == [32, 4, 40, 10] and "2 tracks, 3 detections" in repr(tracks)
    assert track([frame(bar(3), with_masks=False)]).masks is None
    one = tracks[1]
    assert len(one) == 1 and one.numbers.tolist() == [1]
    np.testing.assert_array_equal(one.masks, [bar(30)])


def test_probabilities_are_masks_above_one_half():
    found = frame(bar(3))
    unsure = Detections(found.boxes, found.labels, found.scores, np.where(found.masks, 0.51, 0.5).astype(np.float32))
    np.testing.assert_array_equal(track([unsure]).masks, found.masks)


@pytest.mark.parametrize("make, says", [
    (lambda: Tracker(min_iou=0), "min_iou must be"), (lambda: Tracker(birth_score=2), "birth_score must be"),
    (lambda: Tracker(patience=-1), "patience must be"), (lambda: Tracker(moving="no"), "moving must be"),
    (lambda: track([7]), "detections of frame 0: expected Detections, got int"),
    (lambda: track([frame(bar(3)), Detections(np.ones((1, 4)), np.ones(1, int), np.ones(1), np.ones((1, 24, 61)))]),
     r"detections of frame 1: has masks of \(24, 61\), the frames before of \(24, 60\)"),
    (lambda: measure_tracks(track([]), [], [], iou_threshold=0), "iou_threshold must be"),
    (lambda: track([frame(bar(3)), frame(), frame(bar(3), with_masks=False)]),
     "detections of frame 2: has no masks, unlike the frames before"),
    (lambda: track([frame(bar(3), with_masks=False), frame(bar(3))]), "detections of frame 1: has masks, unlike"),
    (lambda: track([], min_iuo=0.5), "'min_iuo' is no option of Tracker; the nearest is 'min_iou'"),
    (lambda: track(None), "detections_per_frame must be an iterable"),
    (lambda: measure_tracks(None, [], []), "tracks must be Tracks"),
    (lambda: measure_tracks(track([]), None, []), "targets must be a list"),
    (lambda: measure_tracks(track([]), [truth(bar(3))], []), "identities: expected one array for each of 1 target"),
    (lambda: measure_tracks(track([]), ["x"], [[0]]), r"targets\[0\] must be a Target"),
    (lambda: measure_tracks(track([]), [truth(bar(3))], [["a"]]), r"identities\[0\]"),
    (lambda: measure_tracks(track([]), [truth(bar(3), bar(9))], [[1, 1]]), "2 different whole numbers"),
    (lambda: measure_tracks(track([frame(bar(3))]), [], []), "targets: expected one for each frame, got 0"),
])
def test_what_cannot_be_right_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


# ---- what is counted ----

def truth(*masks):
    masks = np.array(masks, bool).reshape(-1, *SIZE)
    return Target(mask_extents(masks), np.ones(len(masks), int), masks)


def test_switches_misses_and_false_alarms_are_counted_as_by_hand():
    # Object 7 has the tracks 0, none, 1, 1; object 9, which is there in three frames, has track 2 and then 2, 0.
    a, b, far = bar(3), bar(30), bar(45, 14)
    targets = [truth(a), truth(a, b), truth(a, b), truth(a, b)]
    identities = [np.array(ids) for ids in ([7], [7, 9], [7, 9], [7, 9])]
    tracks = track([frame(a, far), frame(b), frame(a, b), frame(a, b)])
    tracks.numbers[:] = [0, 5, 2, 1, 2, 1, 0]
    figures = measure_tracks(tracks, targets, identities)
    assert (figures.num_objects, figures.switches, figures.misses, figures.false_alarms) == (7, 2, 1, 1)
    assert figures.coverage == {7: 2 / 4, 9: 2 / 3} and figures.MOTA == pytest.approx(1 - 4 / 7)


def test_a_pair_of_before_stays_one_although_another_overlaps_more():
    target, names = truth(bar(3)), np.array([0])
    tracks = track([frame(bar(3)), frame(bar(4), bar(3), scores=[.9, .85])])
    assert tracks.numbers.tolist() == [0, 0, 1]
    tracks.numbers[1:] = tracks.boxes[1:, 0] == 3       # the old one is now a pixel beside the object
    assert measure_tracks(tracks, [target, target], [names, names]).switches == 0


def test_a_track_of_another_class_has_nothing():
    figures = measure_tracks(track([frame(bar(3), labels=[2])]), [truth(bar(3))], [np.array([0])])
    assert (figures.misses, figures.false_alarms, figures.coverage) == (1, 1, {0: 0})
