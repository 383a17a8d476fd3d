"""The index of the search: every section of every page as a line of text, in a script that the pages load when
somebody begins to search.

A page that was opened as a file may not read other files, but it may load scripts; so the index is one.
"""

import html
import json
import re

from .texts import HEADINGS

LEFT_OUT = ["svg", "script", "pre.printed", "details.folded", "figure", ".letters", ".frames"]


def index(pages):
    """Make the script that sets `bookIndex` to a list of ``[address, title, [[anchor, heading, text], ...]]``."""
    rows = [[page.address, page.title, opening(page) if page.is_source else sections(page.body)] for page in pages]
    rows = [row for row in rows if row[2]]          # data and folders have nothing to say
    return "window.bookIndex = " + json.dumps(rows, ensure_ascii=False, separators=(",", ":")) + ";\n"


def sections(body):
    """Cut a page at its headings, and a glossary at its terms; "3 × 3" is found as "3x3", as most people type it."""
    found, left_out = [["", "", []]], {id(tag) for selector in LEFT_OUT for tag in body.select(selector)}
    for string in body.find_all(string=True):
        parents = list(string.parents)
        if any(id(parent) in left_out for parent in parents):
            continue
        head = next((parent for parent in parents if parent.name in (*HEADINGS, "dt") and parent.get("id")), None)
        if head is None:
            found[-1][2].append(str(string))
        elif found[-1][0] != head["id"]:
            found.append([head["id"], " ".join(head.get_text().split()), []])
    return [[anchor, heading, re.sub(r"(?<=\d) × (?=\d)", "x", " ".join("".join(pieces).split()))]
            for anchor, heading, pieces in found if heading or "".join(pieces).strip()]


def opening(page):
    """Of a source file only what it says about itself, its first paragraph."""
    text = re.match(r'<div class="source"><pre class="code"><code><span class="s">r?"""(.*?)(?:\n\n|""")', page.code,
                    re.DOTALL)
    return [["", "", " ".join(html.unescape(text[1]).split())]] if text else []
