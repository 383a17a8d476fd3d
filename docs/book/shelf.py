"""The pages of the book, found by following links: it begins with the start page and the lessons, and what a page
links to comes along.

Markdown files and notebooks become pages, source files pages of code, folders lists of files, pictures are copied. A
page lies in the site where its file lies in the repository, so links between them stay what they are but for their
ends; only the start page stands at the top.
"""

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup

from . import BookError, glossary, lessons, sources, texts

START = "notebooks/README.md"
LESSON = re.compile(r"notebooks/\d\d_\w+\.ipynb")
PICTURES = {".png", ".gif", ".jpg", ".jpeg", ".svg", ".webp"}
ELSEWHERE = {"http", "https", "mailto"}     # schemes of links that leave the book


@dataclass(eq=False)
class Page:
    """A page of the book."""

    path: str                   # in the repository
    address: str                # in the site
    body: BeautifulSoup
    code: str = ""              # HTML behind the body that holds no links: of a source file
    minutes: int | None = None  # of a lesson's core
    made: frozenset = frozenset()       # addresses of pictures that came out of a notebook

    @property
    def title(self):
        """The first heading's text."""
        heading = self.body.find("h1")
        return " ".join(heading.get_text().split()) if heading else self.path

    @property
    def is_lesson(self):
        """Whether it is a lesson."""
        return bool(LESSON.fullmatch(self.path))

    @property
    def is_source(self):
        """Whether it shows a source file or a folder."""
        return not self.path.endswith((".md", ".ipynb"))

    @cached_property
    def ids(self):
        """What a link may lead to."""
        return {tag["id"] for tag in self.body.find_all(id=True)}


class Shelf:
    """Pages and pictures.

    Parameters
    ----------
    root : Path
        Of the repository.
    """

    def __init__(self, root):
        self.root = Path(root).resolve()
        self.pages = {}         # path in the repository -> Page
        self.files = {}         # address in the site -> bytes
        self.addresses = {}     # address in the site -> path of the page that lies there

    def fill(self, paths):
        """Take in pages, and all that they link to."""
        waiting = list(paths)
        while waiting:
            path = waiting.pop(0)
            if path not in self.pages:
                self.pages[path] = page = self.read(path)
                if self.addresses.setdefault(page.address, path) != path:
                    raise BookError(f"{path} and {self.addresses[page.address]} would both become {page.address}")
                waiting += self.follow(page)
        for page in self.pages.values():
            self.write_links(page)

    def read(self, path):
        """Make the page of a file or folder."""
        file, code, minutes, pictures = self.root / path, "", None, {}
        try:
            if path.endswith(".ipynb"):
                body, minutes, pictures = lessons.render(file, path)
            elif path == glossary.GLOSSARY:
                found = self.root.glob("notebooks/*.ipynb")
                links = {lesson.name[:2]: f"../notebooks/{lesson.name}" for lesson in found}
                body = glossary.page(file.read_text(encoding="utf-8"), links)
            elif path.endswith(".md"):
                body = texts.parsed(texts.markdown(file.read_text(encoding="utf-8")))
                if not body.find("h1"):
                    body.insert(0, sources.heading(path))
            elif file.is_dir():
                body = sources.folder_page(file, path, lambda child: not child.is_dir() and self.kind(child) != "other")
            else:
                body, code = sources.file_page(file, path)
        except BookError as error:
            raise BookError(str(error) if path in str(error) else f"{path}: {error}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise BookError(f"{path}: cannot be read ({error})") from None
        self.files |= pictures
        return Page(path, address_of(path, file.is_dir()), body, code, minutes, frozenset(pictures))

    def kind(self, file):
        """What a file is to the book: "page", "picture" or "other"."""
        if file.suffix in PICTURES:
            return "picture"
        if sources.is_for_a_clone(file.relative_to(self.root).as_posix()):
            return "other"
        return "page" if file.is_dir() or file.suffix in (".md", ".ipynb") or sources.is_page(file) else "other"

    def follow(self, page):
        """Copy the pictures of a page, and return the paths of the pages that it links to."""
        found = []
        for tag, attribute in links_of(page.body):
            path, _ = self.target(page, tag[attribute])
            if path is None or path == page.path:
                continue
            file = self.root / path
            if not file.exists():
                raise BookError(f"{page.path}: the link {tag[attribute]} leads nowhere")
            if self.kind(file) == "picture":
                self.files[path] = file.read_bytes()
                width, height = lessons.png_size(self.files[path])
                if tag.name == "img" and width and not tag.get("width"):
                    tag["width"], tag["height"] = width, height
            elif tag.name == "img":
                raise BookError(f"{page.path}: {tag[attribute]} is not a picture")
            elif self.kind(file) == "page":
                found.append(path)
        return found

    def target(self, page, link):
        """Path in the repository that a link means, or None if it leaves the book, and its fragment."""
        parts = urlsplit(link)
        if parts.scheme in (*ELSEWHERE, "data") or link in page.made:
            return None, ""
        if parts.scheme or parts.netloc or parts.path.startswith("/"):
            raise BookError(f"{page.path}: the link {link} is neither within the repository nor of the web")
        folder = page.path if (self.root / page.path).is_dir() else posixpath.dirname(page.path)
        path = posixpath.normpath(posixpath.join(folder, unquote(parts.path))) if parts.path else page.path
        if path.startswith(".."):
            raise BookError(f"{page.path}: the link {link} leads out of the repository")
        return path, unquote(parts.fragment)

    def write_links(self, page):
        """Let the links of a page lead to pages of the site; what is not in the book is left as text."""
        for tag, attribute in links_of(page.body):
            link = tag[attribute]
            path, fragment = self.target(page, link)
            if link in page.made:
                tag[attribute] = relative(link, page.address)
            elif path is None:
                continue
            elif path in self.pages:
                anchor = self.anchor(self.pages[path], fragment, tag.get_text(), page, link)
                address = relative(self.pages[path].address, page.address) if path != page.path else ""
                tag[attribute] = address + anchor or "#"
            elif path in self.files:
                tag[attribute] = relative(path, page.address)
            else:
                tag.unwrap()

    def anchor(self, target, fragment, text, page, link):
        """The anchor in a page that a link means, with its "#".

        Jupyter makes other anchors of headings than GitHub; both have the same letters. A link that reads "03, What it
        is not", as the table of claims has them, means that heading.
        """
        if fragment:
            if texts.slug(fragment) not in target.ids and fragment not in target.ids:
                raise BookError(f"{page.path}: the link {link} leads to no heading of {target.path}")
            return "#" + quote(fragment if fragment in target.ids else texts.slug(fragment))
        named = texts.slug(re.sub(r"^\d\d, ", "", text))
        return "#" + quote(named) if re.match(r"\d\d, ", text) and named in target.ids else ""


def links_of(body):
    """List the tags of a page that lead somewhere, each with the attribute that says where."""
    return [(tag, attribute) for name, attribute in (("a", "href"), ("img", "src"))
            for tag in body.find_all(name) if tag.get(attribute) is not None]


def address_of(path, is_folder=False):
    """Where the page of a file or folder lies in the site."""
    if path == START:
        return "index.html"
    if is_folder:
        return f"{path}/index.html"
    stem, suffix = posixpath.splitext(path)
    return f"{stem}.html" if suffix in (".md", ".ipynb") else f"{path}.html"


def relative(address, page):
    """An address as it is written in a page of the site."""
    return quote(posixpath.relpath(address, posixpath.dirname(page) or "."))
