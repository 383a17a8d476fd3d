"""Markdown becomes HTML, with nbconvert's own renderer, so that a lesson reads here as it does in Jupyter.

Three things differ. Formulas are drawn at once, since no script will do it later. Headings get an anchor and a link to
it. Code is marked up sparingly: a reader looks for comments, strings and what is defined, and the rest may stay quiet.
"""

import html
import re

from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import MISTUNE_V3, IPythonRenderer, MarkdownWithMath, import_plugin
from pygments import lexers, token
from pygments.util import ClassNotFound

from . import formulas

TABLES_IN_LISTS = ("mistune.plugins.table.table_in_list",) if MISTUNE_V3 else ()      # which GitHub and Jupyter show
SHORT, LONG = 24, 120       # letters: code that stays on one line; a table's cell that is a text
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# token type -> class in book.css; what is not named is not marked
MARKS = ((token.Comment, "c"), (token.String, "s"), (token.Keyword, "k"), (token.Operator.Word, "k"),
         (token.Number, "m"), (token.Name.Function, "d"), (token.Name.Class, "d"), (token.Name.Decorator, "d"))


class Renderer(IPythonRenderer):
    """nbconvert's renderer of Markdown, with drawn formulas and our own code."""

    def block_math(self, body):
        """A formula on a line of its own."""
        return formulas.svg(body.strip(), is_display=True)

    def inline_math(self, body):
        """A formula within a line."""
        return formulas.svg(body.strip())

    def block_code(self, code, info=None):
        """A block of code between fences."""
        return code_block(code, (info or "").strip())


def markdown(text):
    """Render Markdown as a string of HTML."""
    plugins = [import_plugin(name) for name in (*MarkdownWithMath.DEFAULT_PLUGINS, *TABLES_IN_LISTS)]
    return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True), plugins=plugins).render(text)


def parsed(markup):
    """Parse the HTML of a page; headings get ids as GitHub makes them, a table a frame that scrolls, and a picture that
    stands by itself is a figure."""
    soup = BeautifulSoup(markup, "html.parser")
    taken = {tag["id"] for tag in soup.find_all(id=True)}
    for heading in soup.find_all(HEADINGS):
        name, number = slug(heading.get_text()), 1
        while heading.get("id", name) in taken:
            name, number = f"{slug(heading.get_text())}-{number}", number + 1
        heading["id"] = name
        taken.add(name)
    for table in soup.find_all("table"):
        finish_table(soup, table)
    for code in soup.find_all("code"):
        if code.parent.name != "pre" and len(code.get_text()) <= SHORT:
            code["class"] = ["short"]
    for paragraph in soup.find_all("p"):
        if paragraph.find("img") and not paragraph.get_text().strip() and len(paragraph.find_all(True)) == 1:
            paragraph.name = "figure"
    return soup


def finish_table(soup, table):
    """Give a table a frame that scrolls; one of texts can be shown row by row where there is no room for columns."""
    table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    heads = [cell.get_text().strip() for cell in table.find_all("th")]
    cells = table.find_all("td")
    for cell in table.find_all("th"):
        if not cell.get_text().strip():
            cell.name = "td"                # a heading that says nothing is none
    for cell in table.find_all(["td", "th"], style=True):       # text-align of a column, which Markdown has as style
        cell["class"] = [cell["style"].replace("text-align:", "").strip(" ;")]
        del cell["style"]
    if any(len(cell.get_text()) > LONG for cell in cells):
        table["class"] = ["long"]
        for i, cell in enumerate(cells):
            cell["data-head"] = heads[i % len(heads)] if heads else ""


def slug(text):
    """The anchor of a heading, as GitHub makes it: "What it is not" becomes "what-it-is-not"."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text.strip().lower()))


def code_block(code, language="python"):
    """Mark up code, sparingly."""
    return f'<pre class="code"><code>{marked_up(code.rstrip(), language)}</code></pre>'


def marked_up(code, language):
    """Code as HTML, in which few kinds of words have a class."""
    try:
        lexer = lexers.get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return html.escape(code, quote=False)
    pieces = []
    for kind, text in lexer.get_tokens(code):
        mark = next((name for marked, name in MARKS if kind in marked), "")
        if pieces and pieces[-1][0] == mark:
            pieces[-1][1] += text
        else:
            pieces.append([mark, text])
    spans = [f'<span class="{mark}">{html.escape(text, quote=False)}</span>' if mark else html.escape(text, quote=False)
             for mark, text in pieces]
    return "".join(spans).rstrip("\n")
