"""Make the book: the executed lessons, the glossary and what they link to, as a site of plain files.

    python docs/build_book.py --out site [--pyodide DIR]

Then open site/index.html. Nothing is loaded from anywhere else, so the folder can be read where it lies, copied to a
phone, or put on any server. It needs what `pip install -e '.[notebooks]'` brings along, and executes nothing. Links
and anchors are followed before a file is written; one that leads nowhere is named, and nothing is written.

With an unpacked distribution of Pyodide (benchmarks/README.md says how to make one) the explorer is in the book and
computes in the browser. Browsers start that from a server alone: ``python -m http.server -d site``.
"""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
try:
    from book import BookError, check, explorer, glossary, pages, search, shelf
except ImportError as missing:
    if missing.name is None or missing.name.split(".")[0] in ("book", "npmaskrcnn"):
        raise
    sys.exit(f"build_book: needs {missing.name}, which Jupyter brings along: pip install -e '.[notebooks]'")
except KeyboardInterrupt:
    sys.exit("build_book: interrupted")

MANIFEST = "made-by-build_book.txt"         # lists what the command wrote, and so may replace
ASSETS = ("book.css", "book.js", "theme.js")
# Pages that stand in the contents beside the lessons, if they exist, and what they are called there.
BESIDE = {"docs/glossary.md": "Glossary", "docs/claims.md": "What is often said",
          "docs/worth.md": "What each part is worth", "README.md": "The package"}
EXPLORER = f"{explorer.FOLDER}/index.html"  # gets a link in the contents


def build(out, root=ROOT, pyodide=None):
    """Make the book of a repository.

    Parameters
    ----------
    out : Path
        A folder that is new, empty or an earlier book.
    root : Path
        Of the repository.
    pyodide : Path, optional
        An unpacked distribution of Pyodide, with which the explorer computes in the browser.

    Returns
    -------
    site : dict of str to bytes
        All that was written.
    """
    out = Path(out)
    judge_out(out)
    site = make(Path(root), pyodide)
    write(site, out)
    return site


def make(root, pyodide=None):
    """Make all files of the site; nothing is written."""
    files = {asset: (HERE / "book" / asset).read_bytes() for asset in ASSETS}
    if explorer.has_page(root):
        files.update(explorer.files(root, pyodide))
    shelves = shelf.Shelf(root)
    lessons = lessons_of(root)
    beside = [path for path in BESIDE if (root / path).is_file()]
    shelves.fill([shelf.START, *lessons, *beside])
    files.update(shelves.files)
    link_words(shelves)
    order = [shelves.pages[path] for path in (shelf.START, *lessons, *beside)]
    chapters = [(page, BESIDE.get(page.path, page.title)) for page in order]
    files["search-index.js"] = search.index(shelves.pages.values()).encode()
    rendered = pages.render(shelves, chapters, EXPLORER if EXPLORER in files else None)
    names = {EXPLORER: explorer.PAGE, **{page.address: page.path for page in shelves.pages.values()}}
    explored = {EXPLORER: files[EXPLORER].decode()} if EXPLORER in files else {}
    check.check({**rendered, **explored}, set(files), names)
    return {**files, **{address: markup.encode() for address, markup in rendered.items()}}


def lessons_of(root):
    """List the lessons of a repository, in order."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob("notebooks/[0-9][0-9]_*.ipynb"))


def link_words(shelves):
    """Link the glossary's words in every lesson."""
    if glossary.GLOSSARY not in shelves.pages:
        return
    entries = glossary.entries((shelves.root / glossary.GLOSSARY).read_text(encoding="utf-8"))
    target = shelves.pages[glossary.GLOSSARY].address
    for page in shelves.pages.values():
        if page.is_lesson:
            glossary.link_words(page.body, page.path.split("/")[-1][:2], entries, shelf.relative(target, page.address))


def judge_out(out):
    """Refuse a folder that holds anything but an earlier book, or that cannot be made or written into."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise BookError(f"--out {out}: {there} is a file; it must be a folder")
    if not os.access(there, os.W_OK):
        raise BookError(f"--out {out}: {there} cannot be written into")
    if out.is_dir() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise BookError(f"--out {out} holds other files; name a new or an empty folder")


def write(site, out):
    """Write the site, and take away what an earlier book left that is no longer in it.

    The list comes first: a folder that holds half a book, because somebody interrupted, is still known as one.
    """
    earlier = earlier_files(out)
    strange = [name for name in site if name not in earlier and (out / name).exists()]
    if strange:
        raise BookError(f"--out {out} holds {strange[0]}, which no earlier book has written; take it away")
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).write_text("\n".join(sorted({*site, *earlier})) + "\n", encoding="utf-8")
    for name in set(earlier) - set(site):
        path = out / name
        if out.resolve() in path.resolve().parents and path.is_file():
            path.unlink()
    for name, content in site.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (out / MANIFEST).write_text("\n".join(sorted(site)) + "\n", encoding="utf-8")


def earlier_files(out):
    """List what an earlier book wrote into a folder."""
    manifest = out / MANIFEST
    return manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], prog="build_book")
    parser.add_argument("--out", required=True, type=Path, help="folder to write the site into: new, empty, or a book")
    parser.add_argument("--pyodide", type=Path, metavar="DIR",
                        help="an unpacked distribution of Pyodide: puts the explorer into the book")
    options, start = parser.parse_args(arguments), time.perf_counter()
    try:
        site = build(options.out, pyodide=options.pyodide)
    except BookError as error:
        parser.exit(2, f"build_book: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "build_book: interrupted\n")
    except OSError as error:
        parser.exit(2, f"build_book: {options.out} cannot be written ({error.strerror})\n")
    size = sum(len(content) for content in site.values()) / 1e6
    print(f"{options.out}: {sum(name.endswith('.html') for name in site)} pages, {size:.1f} MB, "
          f"{time.perf_counter() - start:.0f} s. Open {options.out / 'index.html'}")


if __name__ == "__main__":
    main()
