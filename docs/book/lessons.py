"""An executed lesson becomes a page: its texts, its code, and what the code printed and drew.

A cell tagged `folded` holds what asserts and what draws; here it is folded, too, and what it shows is not, and so are
the imports above the map with which a lesson begins. Pictures
leave the notebook and become files with their alternative texts beside them. Frames with a slider are HTML that needs
no kernel, and stay as they are.
"""

import base64
import binascii
import hashlib
import html
import re
import struct

import nbformat
from nbconvert.filters import strip_ansi

from . import BookError, texts


def render(path, name):
    """Render a lesson.

    Parameters
    ----------
    path : Path
    name : str
        What to call it if something is wrong with it.

    Returns
    -------
    body : BeautifulSoup
    minutes : int or None
        What its first cell says.
    pictures : dict of str to bytes
        The files that the page shows, by their address in the book.
    """
    notebook = read(path, name)
    pictures, pieces = {}, []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            pieces.append(texts.markdown(cell.source))
        elif cell.cell_type == "code" and cell.source.strip():
            pieces.append(code_cell(cell, pictures))
    said = re.search(r"Core: (\d+) minutes", notebook.cells[0].source if notebook.cells else "")
    return texts.parsed("\n".join(pieces)), int(said[1]) if said else None, pictures


def read(path, name):
    """Read a notebook that has been executed from beginning to end without an error."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:      # nbformat has its own of many kinds, and json has others
        raise BookError(f"{name}: not a notebook ({' '.join(str(error).split())[:100]})") from None
    again = f"python notebooks/execute.py {path.name[:2]}"
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            raise BookError(f"{name}: not executed (run: {again})")
        if any(output.output_type == "error" for output in cell.outputs):
            raise BookError(f"{name}: the cell that begins {cell.source[:40]!r} ended in an error (run: {again})")
    return notebook


def code_cell(cell, pictures):
    """A cell of code with what it showed."""
    tags = cell.metadata.get("tags", [])
    code = texts.code_block(cell.source)
    is_map = "notebook.you_are_here(" in cell.source
    if is_map or "folded" in tags:
        what = ": imports" if is_map else ": a check of what is said above" if "assert" in cell.source else ""
        lines = sum(bool(line.strip()) for line in cell.source.split("\n"))
        code = f'<details class="folded"><summary>Code{what}, {lines} line{"s" * (lines > 1)}</summary>\n' \
               f'{code}</details>'
    kind = "cell exercise" if "exercise" in tags else "cell"
    shown = "\n".join(shown_as(output, pictures) for output in cell.outputs)
    return f'<div class="{kind}">\n{code}\n{shown}</div>'


def shown_as(output, pictures):
    """One output of a cell as HTML."""
    if output.output_type == "stream":
        return printed(strip_ansi(output.text).rstrip())
    if "text/html" in output.data:
        return f'<div class="frames">{output.data["text/html"]}</div>'
    if "image/png" in output.data:
        png = decoded(output.data["image/png"])
        address = f"images/{hashlib.sha256(png).hexdigest()[:16]}.png"
        pictures[address] = png
        alt = html.escape(output.metadata.get("image/png", {}).get("alt", output.data.get("text/plain", "")))
        width, height = png_size(png)
        return f'<figure><img src="{address}" alt="{alt}" width="{width}" height="{height}"></figure>'
    return printed(output.data.get("text/plain", ""))


def printed(text):
    """What code printed; sentences may be broken into lines where a window is narrow, columns may not."""
    kind = "printed" if re.search(r"\S {2,}\S", text) else "printed sentences"
    return f'<pre class="{kind}">{html.escape(text, quote=False)}</pre>'


def decoded(text):
    """The bytes of a picture in a notebook."""
    try:
        return base64.b64decode(text)
    except binascii.Error:
        raise BookError("a picture in the notebook cannot be decoded") from None


def png_size(png):
    """Width and height of a PNG, which stand behind its signature; (0, 0) is no PNG."""
    return struct.unpack(">II", png[16:24]) if png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) >= 24 else (0, 0)
