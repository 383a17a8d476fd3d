"""The film of tracks: its frames' size, whose color is where, and what lies at the edge. Pictures are not square."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from npmaskrcnn.plots.film import film_frame, write_film
from npmaskrcnn.plots.style import CLASS_COLORS, TRACK_COLORS, track_color
from npmaskrcnn.tracking import Tracks


def tracks_of(numbers, boxes, masks):
    ones = np.ones(len(numbers))
    return Tracks(ones.astype(int), np.array(numbers, int), ones.astype(int), ones,
                  np.array(boxes, float).reshape(-1, 4), masks)


def byte_color(number):
    return [round(255 * part) for part in to_rgb(track_color(number))]


def test_the_colors_of_tracks_are_their_own_and_differ_from_the_next_ones():
    assert not set(TRACK_COLORS) & set(CLASS_COLORS) and len(set(TRACK_COLORS)) == len(TRACK_COLORS)
    for first, second in itertools.combinations(range(16), 2):
        if second - first < 8:      # of 3 * 255 that there are between black and white
            assert np.abs(np.subtract(byte_color(first), byte_color(second))).sum() > 70
    assert track_color(len(TRACK_COLORS)) == track_color(0)


def is_color(pixel, number):
    """A frame has 256 colors, of which one that is nearly a track's may take its place."""
    return np.abs(pixel.astype(int) - byte_color(number)).max() <= 4


@pytest.mark.parametrize("size, becomes", [((24, 40), (216, 360)), ((128, 96), (384, 288)), ((500, 1000), (192, 384)),
                                           ((1, 5000), (1, 384))])
def test_small_frames_are_enlarged_in_whole_steps_and_large_ones_shrunk(size, becomes):
    frame = film_frame(np.zeros((*size, 3), np.uint8), tracks_of([], [], np.zeros((0, *size), bool)))
    assert frame.size == becomes[::-1] and not np.asarray(frame.convert("RGB")).any()


def test_a_mask_is_tinted_its_rim_is_solid_and_what_is_beside_it_stays():
    mask = np.zeros((1, 24, 40), bool)
    mask[0, 8:16, 10:20] = True
    picture = np.full((24, 40, 3), 200, np.uint8)
    shown = np.asarray(film_frame(picture, tracks_of([4], [[10, 8, 20, 16]], mask)).convert("RGB"))
    assert is_color(shown[9 * 8 + 1, 9 * 10 + 30], 4)       # 9 times as large
    inner = shown[9 * 12, 9 * 15]
    assert inner.tolist() != [200] * 3 and not is_color(inner, 4)
    assert shown[9 * 20, 9 * 15].tolist() == [200] * 3
    no_masks = np.asarray(film_frame(picture, tracks_of([4], [[10, 8, 20, 16]], None)).convert("RGB"))
    assert no_masks[9 * 12, 9 * 15].tolist() == [200] * 3 and is_color(no_masks[9 * 8, 9 * 15], 4)


def test_numbers_stay_within_the_frame_and_an_empty_mask_does_no_harm():
    boxes = [[-5, -6, 3, 3], [38, 22, 47, 30]]
    tracks = tracks_of([2, 1000], boxes, np.zeros((2, 24, 40), bool))
    shown = np.asarray(film_frame(np.zeros((24, 40, 3), np.uint8), tracks).convert("RGB")).astype(int)
    for number, corner in ((2, shown[:20, :20]), (1000, shown[-22:, -50:])):
        assert (np.abs(corner - byte_color(number)).max(axis=2) <= 4).mean() > 0.2


def test_a_film_holds_every_frame_for_its_time_and_goes_round(tmp_path):
    frames = [film_frame(np.full((24, 40, 3), 60 * i, np.uint8), tracks_of([], [], None)) for i in range(4)]
    write_film(tmp_path / "a.gif", iter(frames), per_second=20)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["duration"], film.info["loop"]) == (4, 50, 0)
