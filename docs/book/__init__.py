"""What `docs/build_book.py` makes the book of: Markdown, executed lessons and source files become pages of HTML that
load nothing from anywhere else.

`formulas` draws formulas, `texts` renders Markdown, `lessons` the notebooks, `sources` the code that a page links to;
`shelf` collects the pages, beginning with the start page and following every link; `glossary` marks the first use of
each term in a lesson; `search` makes the index; `check` looks at every link of the finished pages.
"""


class BookError(Exception):
    """Something that the book cannot be made with: one line for the person who called the command."""
