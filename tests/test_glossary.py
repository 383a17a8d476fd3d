"""The glossary and the table of claims: in order, and every lesson that they name exists and says what they say.

The lessons are read as the JSON files that they are, so nothing of Jupyter is needed.
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"- \*\*(.+?)\*\*: (.+[.?]) \((.+)\)")
LESSONS = re.compile(r"lesson (\d\d)(?:; more in (\d\d))?")


def plain(text):
    """Text without emphasis and code marks, with single spaces, in lower case."""
    return " ".join(re.sub(r"[*`]", "", text).split()).lower()


def markdown_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


SAID = {path.name[:2]: plain(markdown_of(path)) for path in ROOT.glob("notebooks/[0-9][0-9]_*.ipynb")}
LINES = [line for line in (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("-")]
ENTRIES = [ENTRY.fullmatch(line).groups() for line in LINES if ENTRY.fullmatch(line)]


def is_said(word, text):
    """Whether a word stands in a text, in the singular or in the plural of any of its parts."""
    parts = [re.escape(re.sub(r"(?<=\w\w[^\Ws])s$", "", part)) + "(?:e?s)?" for part in plain(word).split()]
    return re.search(r"(?<!\w)" + " ".join(parts) + r"(?!\w)", text) is not None


def test_every_line_of_the_glossary_has_its_form():
    assert [line for line in LINES if not ENTRY.fullmatch(line)] == []
    assert len(ENTRIES) > 100


def test_the_glossary_is_alphabetical_and_names_nothing_twice():
    names = [name.casefold() for name, _, _ in ENTRIES]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name, where", [(name, where) for name, _, where in ENTRIES], ids=[e[0] for e in ENTRIES])
def test_the_lesson_that_the_glossary_names_has_the_word(name, where):
    if where.startswith("["):               # a link to a file or page, which tests/test_readme.py follows
        return
    for lesson in filter(None, LESSONS.fullmatch(where).groups()):
        assert lesson in SAID, f"there is no lesson {lesson}"
        for word in re.sub(r"\(.*?\)", "", name).split(","):
            assert is_said(word, SAID[lesson]), f"lesson {lesson} does not say {word.strip()!r}"


# ---- docs/claims.md: each row's last column names lesson and heading ----

CLAIMS = (ROOT / "docs/claims.md").read_text(encoding="utf-8")
ROWS = [line for line in CLAIMS.splitlines() if line.startswith("| ") and not line.startswith("| what is said")]


def headings_of(path):
    return re.findall(r"^#{2,3} (.+)$", markdown_of(path), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=range(1, len(ROWS) + 1))
def test_a_claim_has_a_source_and_leads_to_a_heading_or_a_page(row):
    said, measured, where = row.strip("| ").split(" | ")
    assert said.count("(") >= 1 and re.search(r"\d", measured)
    places = re.findall(r"\[(.+?)\]\((.+?)\)", where)
    assert places
    for name, link in places:
        if link.endswith(".ipynb"):
            lesson, heading = name.split(", ", 1)
            path = ROOT / "docs" / link
            assert path.name.startswith(lesson) and heading in headings_of(path), name


def test_the_table_of_claims_can_be_read():
    assert len(ROWS) <= 90
