"""The film of shapes: they move as they are said to, and it is said which is which. Sizes are not square."""

import numpy as np
import pytest

from npmaskrcnn.datasets import ShapesFilm
from npmaskrcnn.errors import InputError

SIZE = (70, 110)


def centers(layer):
    rows, columns = np.nonzero(layer)
    return np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2


def test_a_film_is_a_dataset_that_its_seed_decides():
    film, again, other = (ShapesFilm(6, 3, SIZE, seed=seed) for seed in (4, 4, 5))
    assert len(film) == 6 and film.class_names == ["background", "circle", "square", "triangle"]
    for i in (5, 0, 3):         # in any order
        image, target = film[i]
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
        np.testing.assert_array_equal(image, again[i][0])
        np.testing.assert_array_equal(target.masks, film.target(i).masks)
        assert (image != other[i][0]).any()
    np.testing.assert_array_equal(film[-1][0], film[5][0])
    assert not np.array_equal(film[0][0], film[1][0])
    with pytest.raises(IndexError):
        film[6]


def test_objects_go_straight_on_at_one_velocity_and_turn_at_the_border():
    film = ShapesFilm(80, 1, SIZE, seed=1, speed=0.05)
    places = np.array([centers(film.layers(i)[0]) for i in range(80)])
    half = (np.ptp(np.nonzero(film.layers(0)[0])[1]) + 1) / 2
    steps = np.abs(np.diff(places, axis=0))
    usual = np.median(steps, axis=0)
    assert 0.45 * 0.05 * 70 < np.hypot(*usual) < 1.1 * 0.05 * 70
    # Places are of whole pixels; a step that holds a turn is shorter.
    assert (np.abs(steps - usual) < 1.1).mean() > 0.85 and (steps < usual + 1.1).all()
    assert places.min() >= half - 1 and (places.max(axis=0) <= np.array(SIZE[::-1]) - half + 1).all()
    assert (np.sign(np.diff(places, axis=0)).min(axis=0) == -1).all()      # back as well as forth
    assert (np.sign(np.diff(places, axis=0)).max(axis=0) == 1).all()


def test_identities_say_which_object_a_row_is_also_where_some_are_hidden():
    film = ShapesFilm(60, 6, SIZE, seed=1)
    labels, hidden = {}, 0
    for i in range(60):
        target, names = film.target(i), film.identities[i]
        assert len(names) == len(target)
        hidden += len(target) < 6
        for name, label in zip(names, target.labels):
            assert labels.setdefault(int(name), int(label)) == label
        assert (np.diff(names) > 0).all()           # who is in front stays in front
    assert set(labels) == set(range(6)) and hidden > 5


def test_objects_leave_and_enter_if_they_may():
    film = ShapesFilm(120, 3, SIZE, seed=0, leave=True)
    seen = np.array([[name in names for name in range(3)] for names in film.identities])
    cut = any(box[0] == 0 or box[2] == SIZE[1] for i in range(120) for box in film.target(i).boxes)
    comes_back = np.diff(seen.astype(int), axis=0) == 1
    assert cut and comes_back.any() and not seen.all()


@pytest.mark.parametrize("film", [ShapesFilm(0), ShapesFilm(2, 0)])
def test_a_film_may_have_no_frame_or_no_object(film):
    assert film.identities == [] if len(film) == 0 else [len(names) for names in film.identities] == [0, 0]
    assert all(len(film[i][1]) == 0 for i in range(len(film)))


@pytest.mark.parametrize("options, says", [
    ({"num_frames": -1}, "num_frames must be"), ({"num_objects": 1.5}, "num_objects must be"),
    ({"image_size": ((8, 9), (10, 11))}, "image_size must be .*one for all frames"), ({"seed": -1}, "seed must be"),
    ({"speed": 2}, "speed must be"), ({"leave": "no"}, "leave must be"), ({"kinds": ("cube",)}, "kinds must be")])
def test_what_cannot_be_right_is_refused(options, says):
    with pytest.raises(InputError, match=says):
        ShapesFilm(**{"num_frames": 3, **options})
