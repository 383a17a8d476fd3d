"""What the lessons draw with: pictures come with an alternative text, are small, and are the same bytes each time.

Properties of the pictures: their bytes, their size, their colors, and the text that comes with them.
"""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import notebook
from npmaskrcnn.plots.style import new_figure


def a_figure(value=3.0):
    figure = new_figure(3, 2)
    numbers = np.array([[1.0, value, -0.0], [np.nan, 5.0, 6.0]])
    notebook.draw_cells(figure.subplots(), numbers, title="cells", frame=(0, 1, 1, 2))
    return figure


@pytest.mark.parametrize("lesson", notebook.STAGES)
def test_the_map_says_where_a_lesson_is(lesson):
    figure = notebook.you_are_here(lesson)
    texts = [text for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert texts and (len(texts) == 9 or all(text.get_text() in figure.get_label() for text in texts))
    assert "This lesson is about: " in figure.get_label()


def test_an_unknown_lesson_names_the_known_ones():
    with pytest.raises(ValueError, match="no lesson 'nms'; there are .*09_roi_align"):
        notebook.you_are_here("nms")


def test_a_picture_is_the_same_bytes_each_time_and_has_at_most_256_colors():
    png = notebook.as_png(a_figure())
    assert png == notebook.as_png(a_figure())
    picture = Image.open(io.BytesIO(png))
    assert picture.size == (300, 200) and picture.mode == "P"
    assert picture.info["Software"].startswith("matplotlib ")
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_figure_without_a_description_is_refused():
    with pytest.raises(ValueError, match="alternative text"):
        notebook.show(a_figure())


def captured(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "_display", lambda *shows: shown.append(shows))
    return shown


def test_a_figures_label_is_its_default_description(monkeypatch):
    shown, figure = captured(monkeypatch), a_figure()
    figure.set_label("Six cells.")
    notebook.show(figure)
    notebook.show(figure, "Another text.")
    assert [alt for _, alt in shown] == ["Six cells.", "Another text."]


def test_a_film_has_all_its_frames_and_begins_with_the_first(monkeypatch):
    shown = captured(monkeypatch)
    values = [3.0, 100.0, 7.0]
    notebook.show_film((a_figure(value) for value in values), "Three frames.", seconds=0.5)
    film = Image.open(io.BytesIO(shown[0][0]))
    assert film.n_frames == 3
    for frame, value in enumerate(values):
        film.seek(frame)
        still = Image.open(io.BytesIO(notebook.as_png(a_figure(value)))).convert("RGB")
        difference = np.abs(np.asarray(film.convert("RGB"), int) - np.asarray(still, int))
        assert difference.mean() < 2      # the film's palette serves three frames, the still's one


def test_frames_are_in_the_page_and_the_telling_one_is_seen_without_scripts(monkeypatch):
    shown = captured(monkeypatch)
    notebook.show_frames(a_line, [1, 2, 4], 'A line that "grows".', "slope", still=1)
    (_, alt, data), = shown
    page = data["text/html"]
    others = json.loads(re.search(r"others = (\[.*?\])", page).group(1))
    still = re.search(r'src="data:image/png;base64,(.*?)"', page).group(1)
    assert others[1] == "" and len({others[0], still, others[2]}) == 3 and alt == 'A line that "grows".'
    assert 'value="1"' in page and 'max="2"' in page
    assert "A line that &quot;grows&quot;." in page and '["1", "2", "4"]' in page and "slope: <input" in page
    assert "http" not in page


def a_line(slope):
    figure = new_figure(2, 1)
    figure.add_subplot().plot([0, slope])
    return figure


def test_all_lessons_follow_one_triangle():
    image, target = notebook.the_image()
    assert image.shape == (96, 128, 3)
    assert target.labels[notebook.THE_OBJECT] == 3


def test_cells_show_their_numbers_but_no_minus_zero_and_nothing_for_nan():
    texts = [text.get_text() for text in a_figure().axes[0].texts]
    assert texts == ["1", "3", "0", "5", "6", "cells"]


def test_arrays_with_origins_share_an_axes():
    ax = new_figure(4, 2).subplots()
    notebook.draw_cells(ax, np.ones((2, 3)))
    notebook.draw_cells(ax, np.ones((4, 1)), origin=(1, 5))
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < 0 and right > 6 and bottom > 5 and top < 0       # y downwards


def test_an_array_without_cells_has_a_place():
    ax = new_figure(4, 2).subplots()
    notebook.draw_cells(ax, np.zeros((0, 3)), title="nothing", origin=(2, 1))
    assert ax.get_xlim() == pytest.approx((0.93, 4.07)) and ax.get_ylim() == pytest.approx((2.07, 1.93))


@pytest.mark.parametrize("values, still", [([], 0), ([1, 2], 2), ([1, 2], -1)])
def test_the_still_is_one_of_the_frames(values, still):
    with pytest.raises(ValueError, match=f"still must be the number of one of {len(values)} frames, got {still}"):
        notebook.show_frames(a_line, values, "A line.", "slope", still=still)


def test_texts_are_values_too(monkeypatch):
    shown = captured(monkeypatch)
    notebook.show_frames(lambda name: a_line(len(name)), ["a", "bc"], "A line.", "name")
    assert '["a", "bc"]' in shown[0][2]["text/html"]


def test_one_frame_and_several_frames_have_their_colors():
    one, several = new_figure(4, 2).subplots(1, 2)
    notebook.draw_cells(one, np.ones((2, 3)), frame=(0, 1, 2, 2))
    notebook.draw_cells(several, np.ones((2, 3)), frame=[(0, 1, 2, 2), (0, 0, 1, 1)], frame_color=("red", "blue"))
    assert [patch.get_bbox().bounds for patch in one.patches[6:]] == [(1, 0, 2, 2)]
    assert [patch.get_edgecolor() for patch in several.patches[6:]] == [(1, 0, 0, 1), (0, 0, 1, 1)]
