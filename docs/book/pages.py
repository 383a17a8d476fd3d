"""The finished pages: each body in its frame of contents, search, and the way to the page before and after."""

from pathlib import Path

import jinja2
from bs4.dammit import EntitySubstitution
from bs4.formatter import HTMLFormatter
from markupsafe import Markup

from . import texts
from .shelf import START, relative

BOOK = "npmaskrcnn"
HERE = Path(__file__).resolve().parent
PLAIN = HTMLFormatter(entity_substitution=EntitySubstitution.substitute_xml, void_element_close_prefix="")     # <br>


def render(shelf, chapters, explorer):
    """Make HTML of all pages; their bodies are finished on the way, see `prepare`.

    Parameters
    ----------
    shelf : Shelf
    chapters : list of (Page, str)
        The pages that stand in the contents, in the order in which one turns them, and what they are called there.
    explorer : str or None
        Address of the explorer's page, if it is in the site.

    Returns
    -------
    rendered : dict of str to str
        HTML by address.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True,
                                     undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.get_template("page.html")
    places = {page: i for i, (page, _) in enumerate(chapters)}
    rendered = {}
    for page in shelf.pages.values():
        at = places.get(page)
        prepare(page)
        rendered[page.address] = template.render(
            book=BOOK, page=page, root="../" * page.address.count("/"), kind=kind(page),
            body=Markup(as_html(page.body) + page.code), contents=contents(page, chapters, explorer),
            headings=[(tag["id"], heading_text(tag)) for tag in page.body.find_all("h2")],
            before=entry(*chapters[at - 1], page) if at else None,
            after=entry(*chapters[at + 1], page) if at is not None and at + 1 < len(chapters) else None)
    return rendered


def kind(page):
    """The class of a page, for its looks."""
    return "lesson" if page.is_lesson else "source-page" if page.is_source else "text"


def entry(page, title, here):
    """What the template needs of a page in the contents."""
    return {"title": title, "link": relative(page.address, here.address), "minutes": page.minutes,
            "is_here": page is here}


def contents(here, chapters, explorer):
    """The contents, as one page sees them: groups of entries."""
    start, = [entry(page, "Start", here) for page, _ in chapters if page.path == START]
    first = [start]
    if explorer:
        first.append({"title": "The explorer", "link": relative(explorer, here.address), "minutes": None,
                      "is_here": False})
    lessons = [entry(page, title, here) for page, title in chapters if page.is_lesson]
    beside = [entry(page, title, here) for page, title in chapters if not page.is_lesson and page.path != START]
    return [("", first), ("Lessons", lessons), ("Beside them", beside)]


def prepare(page):
    """Finish a body, in place: links at its headings, and the lessons of the start page as cards."""
    if page.path == START:
        cards(page.body)
    for heading in page.body.find_all(["h2", "h3", "h4"]):
        link = page.body.new_tag("a", href=f"#{heading['id']}", attrs={"class": "anchor", "aria-label": "Link to here"})
        link.string = "#"
        heading.append(link)


def heading_text(tag):
    """A heading without the sign of its link."""
    return " ".join("".join(string for string in tag.find_all(string=True)
                            if "anchor" not in string.parent.get("class", [])).split())


def cards(body):
    """Turn the table of lessons into a list of cards: picture, name, minutes and sentence of each."""
    for table in body.find_all("table"):
        if not table.find("img"):
            continue
        items = []
        for row in table.find_all("tr"):
            cells = row.find_all("td")
            if len(cells) == 4:
                picture, name, minutes, about = (cell.decode_contents().strip() for cell in cells)
                small = f" <small>{minutes} min</small>" if minutes else ""
                items.append(f'<li><div class="still">{picture}</div>\n<p class="name">{name}{small}</p>\n'
                             f'<p class="about">{about}</p></li>')
        frame = table.find_parent("div", class_="scroll")
        frame.replace_with(texts.parsed(f'<ol class="cards">\n{chr(10).join(items)}\n</ol>'))


def as_html(body):
    """A body as text. The parser writes all attributes in small letters, SVG wants one of them otherwise."""
    return body.decode(formatter=PLAIN).replace(" viewbox=", " viewBox=")
