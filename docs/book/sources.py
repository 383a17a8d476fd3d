"""Source files and folders that a page links to, as pages of their own.

A lesson says "now read this file", and whoever reads it on a phone has no clone of the repository at hand; so what is
linked comes along: code and small data files marked up, of a folder the list of its files. Tests, benchmarks and the
pages for contributors do not: they are run and followed in a clone, and stay text here.
"""

import html

from . import texts

LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml", ".cfg": "ini", ".sh": "bash", ".csv": "text",
             ".txt": "text", "": "text"}
LARGEST = 100_000       # bytes of a file that becomes a page
IN_A_CLONE = ("tests", "benchmarks", ".ci", "docs/contributing.md", "docs/changes.md")


def is_for_a_clone(name):
    """Whether a file is of use only to those who have a clone."""
    return any(name == left_out or name.startswith(f"{left_out}/") for left_out in IN_A_CLONE)


def is_page(path):
    """Whether a file is shown as a page; others are named, and not linked."""
    if path.suffix not in LANGUAGES or path.stat().st_size > LARGEST:
        return False
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def file_page(path, name):
    """The page of a source file: its path as heading, and its code, which needs no parsing."""
    code = texts.code_block(path.read_text(encoding="utf-8"), LANGUAGES[path.suffix])
    return heading(name), f'<div class="source">{code}</div>'


def folder_page(path, name, is_linked):
    """The page of a folder: the names of its files, linked where `is_linked(file)` says so."""
    items = []
    for file in sorted(path.iterdir(), key=lambda file: (file.is_dir(), file.name)):
        if file.name.startswith((".", "__pycache__")):
            continue
        shown = html.escape(file.name + "/" * file.is_dir())
        link = html.escape(file.name)
        items.append(f'<li><a href="{link}">{shown}</a></li>' if is_linked(file) else f"<li>{shown}</li>")
    body = heading(name)
    body.append(texts.parsed(f'<ul class="files">\n{chr(10).join(items)}\n</ul>'))
    return body


def heading(name):
    """A path as heading, which may be broken into lines after each slash."""
    return texts.parsed(f'<h1 class="path">{html.escape(name).replace("/", "/<wbr>")}</h1>\n')
