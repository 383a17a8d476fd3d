"""The lessons: each runs through, shows what is stored in it, and keeps to the form that all have.

What is stored was computed on another machine, perhaps with other versions, so numbers in texts are compared with a
tolerance, and pictures by their size and, where matplotlib is the same, roughly by their look.
`notebooks/execute.py --check` is strict.
"""

import base64
import io
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import exercises
from npmaskrcnn.notebook import STAGES
from tests.scripts import script

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
MAX_KB, MAX_KB_IN_ALL, MAX_CODE_LINES = 700, 8000, 15
NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")

pytestmark = pytest.mark.notebook
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=[path.stem for path in LESSONS])


@pytest.fixture(scope="module")
def execute():
    """The module notebooks/execute.py."""
    return script("notebooks/execute.py")


@pytest.fixture(scope="module")
def count():
    """The module notebooks/count.py."""
    return script("notebooks/count.py")


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def pictures(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


# ---- executing ----


@each_lesson
def test_executing_again_shows_what_is_stored(path, execute):
    stored = read(path)
    again = execute.execute(read(path))        # raises where a cell does
    for i, (old, new) in enumerate(zip(stored.cells, again.cells)):
        if old.cell_type != "code" or "timing" in tags(old):
            continue
        where = f"{path.name}, cell {i}, which begins {old.source[:50]!r}"
        assert len(old.outputs) == len(new.outputs), where
        for before, after in zip(old.outputs, new.outputs):
            compare_outputs(before, after, where)


def compare_outputs(before, after, where):
    assert before.output_type == after.output_type, where
    if before.output_type == "stream":
        compare_texts(before.text, after.text, where)
    else:
        assert sorted(before.data) == sorted(after.data), where
        compare_texts(before.data.get("text/plain", ""), after.data.get("text/plain", ""), where)
        if "text/html" in before.data:
            compare_frames(before.data["text/html"], after.data["text/html"], where)
        if "image/png" in before.data:
            compare_pictures(before.data["image/png"], after.data["image/png"], where)


def compare_frames(before, after, where):
    before, after = (re.findall(r"iVBORw0KGgo[\w+/=]+", page) for page in (before, after))     # as PNGs begin
    assert len(before) == len(after), where
    for frames in zip(before, after):
        compare_pictures(*frames, where)


def compare_texts(before, after, where):
    """The same words, and numbers that agree to a per cent (their last digits depend on the processor's products)."""
    assert words(before) == words(after), where
    numbers = [np.array([float(n.replace(",", "")) for n in NUMBER.findall(text)]) for text in (before, after)]
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=0.01, atol=1e-6, err_msg=where)


def words(text):
    return NUMBER.sub("#", text).split()


def compare_pictures(before, after, where):
    """The same size, and the same look: of blocks of 16 x 16 pixels, few differ much.

    Each version of matplotlib lays figures out in its own way, so the look is compared only if the version is the same.
    """
    before, after = (Image.open(io.BytesIO(base64.b64decode(png))) for png in (before, after))
    assert before.size == after.size, where
    if before.info.get("Software") == after.info.get("Software"):
        blocks = before.width // 16, before.height // 16
        before, after = (np.asarray(picture.convert("L").resize(blocks, Image.Resampling.BOX), dtype=float)
                         for picture in (before, after))
        assert (np.abs(before - after) > 20).mean() < 0.03, where       # gray levels of 255; share of the blocks


# ---- what is stored ----


@each_lesson
def test_a_lesson_is_stored_executed_and_without_errors(path):
    for i, cell in enumerate(code_cells(read(path)), start=1):
        assert cell.execution_count == i, f"{path.name}: cell {cell.source[:50]!r} was not executed in order"
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", f"{path.name}: {output}"


@each_lesson
def test_nothing_in_a_lesson_varies_from_run_to_run(path, execute):
    stored = read(path)
    assert stored == execute.normalize(read(path))
    assert "execution" not in str([cell.metadata for cell in stored.cells])


@each_lesson
def test_a_lesson_is_small(path):
    assert path.stat().st_size < 1000 * MAX_KB


@each_lesson
def test_core_is_what_one_sitting_holds_and_says_its_minutes(path, count):
    notebook = read(path)
    said = re.search(r"Core: (\d+) minutes", notebook.cells[0].source)
    found = count.core(notebook)
    assert not found.excess()
    assert int(said.group(1)) == found.minutes
    assert f"({path.name}) | {found.minutes} |" in (NOTEBOOKS / "README.md").read_text()
    assert len(count.core_cells(notebook)) < len(notebook.cells), "has neither exercises nor a part named Deeper"


def test_the_map_has_all_lessons():
    assert [path.stem for path in LESSONS] == list(STAGES)


def test_all_lessons_together_are_small():
    assert sum(path.stat().st_size for path in LESSONS) < 1000 * MAX_KB_IN_ALL


@each_lesson
def test_code_cells_are_short(path):
    for cell in code_cells(read(path)):
        lines = [line for line in cell.source.split("\n") if line.strip()]
        assert len(lines) <= MAX_CODE_LINES, f"{path.name}: {len(lines)} lines in the cell that begins {lines[0]!r}"


@each_lesson
def test_every_figure_has_an_alternative_text(path):
    for cell in code_cells(read(path)):
        for picture in pictures(cell):
            alt = picture.metadata.get("image/png", {}).get("alt", "")
            assert len(alt) >= 20, f"{path.name}: no alternative text in the cell that begins {cell.source[:50]!r}"


@each_lesson
def test_a_lesson_has_at_least_as_much_text_as_code(path):
    notebook = read(path)
    text = sum(len(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    assert text >= sum(len(cell.source) for cell in code_cells(notebook))


@each_lesson
def test_a_lesson_has_one_thumbnail_which_the_table_shows(path):
    with_picture = [cell for cell in code_cells(read(path)) if "thumbnail" in tags(cell) and pictures(cell)]
    assert len(with_picture) == 1
    assert (NOTEBOOKS / "thumbnails" / f"{path.stem}.png").stat().st_size < 40_000
    assert f"({path.name})" in (NOTEBOOKS / "README.md").read_text()


@each_lesson
def test_links_to_files_lead_somewhere(path):
    planned = set(re.findall(r"\((\d\d_\w+\.ipynb)\)", (NOTEBOOKS / "README.md").read_text()))
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\((?!http|#|attachment)([^)\s]+)\)", cell.source):
                target = link.split("#")[0]
                assert (NOTEBOOKS / target).exists() or target in planned, f"{path.name}: {link}"


# ---- exercises ----


@each_lesson
def test_exercise_cells_are_the_stubs_and_are_reported_as_unsolved(path):
    for cell in code_cells(read(path)):
        if "exercise" not in tags(cell):
            assert "exercises.check(" not in cell.source, "an exercise cell needs its tag"
            continue
        name = re.search(r'exercises\.check\("(\w+)"', cell.source).group(1)
        assert cell.source == exercises.stub_text(name)
        assert cell.outputs[0].text.startswith(f"{name}: not yet.")
        assert (NOTEBOOKS / "solutions" / f"{name}.py").exists()


def test_solutions_pass_in_place_of_the_stubs(capsys):
    solutions = sorted((NOTEBOOKS / "solutions").glob("*.py"))
    assert {path.stem for path in solutions} == set(exercises.names())
    for path in solutions:
        namespace = {"exercises": exercises}
        exec(compile(path.read_text(), path, "exec"), namespace)
        exec(exercises.stub_text(path.stem).split("\n\n")[-1], namespace)      # the check, as the notebook calls it
        assert f"{path.stem}: right on all" in capsys.readouterr().out


def test_the_exercises_of_the_lessons_exist():
    assert len(exercises.names()) >= 13
