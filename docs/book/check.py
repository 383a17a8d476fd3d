"""Every link of the finished pages is followed once more, by code that has not written it.

A page is read as a browser reads it: its anchors, its links, what it loads. A link within the book must lead to a file
that is there, and to an anchor in it; nothing may be loaded from another host; no anchor stands twice on a page, and
every picture has its alternative text.
"""

import posixpath
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from . import BookError

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("object", "data"),
          ("video", "src"), ("audio", "src"), ("embed", "src"), ("input", "src"), ("image", "href"), ("use", "href")}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Reader(HTMLParser):
    """Reads a page's anchors and links."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.wrong, self.open = set(), [], [], []

    def handle_starttag(self, tag, attributes):
        """Note what a tag offers and where it leads."""
        given = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id") in self.ids:
            self.wrong.append(f"the anchor {given['id']} stands twice")
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "img" and not given.get("alt"):
            self.wrong.append(f"the picture {given.get('src', '')[:60]} has no alternative text")
        for name, value in attributes:
            if (tag, name) in LOADED or (tag == "a" and name == "href"):
                self.links.append((value or "", (tag, name) in LOADED))

    def handle_startendtag(self, tag, attributes):
        """Note a tag that closes itself."""
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        """Note a closing tag, which must fit the tag opened last."""
        if tag in VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes what is not open")
        else:
            self.open.pop()


def check(pages, others, names):
    """Raise BookError, naming page and link, if anything in the book leads nowhere.

    Parameters
    ----------
    pages : dict of str to str
        HTML by address.
    others : set of str
        Addresses of all other files of the site.
    names : dict of str to str
        How to call each page: the path of what it was made of.
    """
    read = {}
    for address, markup in pages.items():
        read[address] = reader = Reader()
        reader.feed(markup)
        reader.close()
        if reader.open:
            reader.wrong.append(f"<{reader.open[-1]}> is not closed")
        if reader.wrong:
            raise BookError(f"{names.get(address, address)}: {reader.wrong[0]}")
    for address, reader in read.items():
        for link, is_loaded in reader.links:
            reason = what_is_wrong(link, is_loaded, address, read, others)
            if reason:
                raise BookError(f"{names.get(address, address)}: the link {link[:100]} {reason}")


def what_is_wrong(link, is_loaded, address, read, others):
    """Say what is wrong with a link; "" if nothing is."""
    parts = urlsplit(link)
    if parts.scheme == "data" and is_loaded:
        return ""
    if (parts.scheme or parts.netloc) and is_loaded:
        return "would be loaded from another host"
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in ("http", "https", "mailto") else "is not of the web"
    path = address
    if parts.path:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(address), unquote(parts.path)))
    if path not in read and path not in others:
        return "leads nowhere"
    if parts.fragment and path in read and unquote(parts.fragment) not in read[path].ids:
        return "leads to no anchor"
    return ""
