"""Count what a reader of the lessons has before them, and hold the cores to what one sitting takes.

    python notebooks/count.py               all lessons
    python notebooks/count.py 02 07         only these

The core of a lesson is what stands before its exercises; the parts named *Deeper* come after them and can be left out.
Folded cells are not counted: they hold what draws and what asserts, and their output is read, not they. A reader takes
a minute for 180 words, for ten lines of code and for two figures.
"""

import argparse
import re
from typing import NamedTuple

from execute import lessons, tags

import nbformat

MOST_WORDS, MOST_FIGURES, MOST_LINES, MOST_LINES_OF_CELL, MOST_MINUTES = 1800, 6, 120, 12, 20
END_OF_CORE = re.compile(r"^## (Exercises|Deeper)", re.MULTILINE)


class Core(NamedTuple):
    """What is in the core of a lesson."""

    words: int
    figures: int
    lines: int          # of code
    longest: int        # cell, in lines

    @property
    def minutes(self):
        """What a reader takes, rounded."""
        return round(self.words / 180 + self.lines / 10 + self.figures / 2)

    def excess(self):
        """Say in which respects this is too much."""
        bounds = zip((*self._fields, "minutes"), (*self, self.minutes),
                     (MOST_WORDS, MOST_FIGURES, MOST_LINES, MOST_LINES_OF_CELL, MOST_MINUTES))
        return [f"{name.replace('longest', 'lines in a cell')} {number}, at most {most}"
                for name, number, most in bounds if number > most]


def core_cells(notebook):
    """List the cells before the heading of the exercises, or of the first part named Deeper, which begins a cell."""
    cells = []
    for cell in notebook.cells:
        end = END_OF_CORE.search(cell.source) if cell.cell_type == "markdown" else None
        if end and end.start():
            raise ValueError(f"{end.group()!r} does not begin its cell, so what is before it would not be counted")
        if end:
            break
        cells.append(cell)
    return cells


def core(notebook):
    """Count the core of a lesson."""
    cells = core_cells(notebook)
    words = sum(number_of_words(cell.source) for cell in cells if cell.cell_type == "markdown")
    lines = [sum(bool(line.strip()) for line in cell.source.split("\n")) for cell in cells
             if cell.cell_type == "code" and "folded" not in tags(cell)]
    figures = sum(is_figure(output) for cell in cells for output in cell.get("outputs", []))
    return Core(words, figures, sum(lines), max(lines, default=0))


def number_of_words(markdown):
    """Count words as a reader meets them: no addresses, no tags, no rules of tables."""
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", markdown)
    return len(re.findall(r"\w[\w'’.-]*", text))


def is_figure(output):
    """Whether a cell's output is a picture, or frames with a slider."""
    return bool({"image/png", "text/html"} & set(output.get("data", {})))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="lessons by the beginning of their file names; all without")
    total = 0
    for path in lessons(parser.parse_args(arguments).names):
        found = core(nbformat.read(path, as_version=4))
        total += found.minutes
        print(f"{path.stem:<22}{found.minutes:4} minutes: {found.words:5} words, {found.figures:2} figures, "
              f"{found.lines:4} lines of code, of which {found.longest:2} in a cell",
              *found.excess(), sep="; too much: " if found.excess() else "")
    print(f"all: {total} minutes")


if __name__ == "__main__":
    main()
