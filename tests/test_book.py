"""The book: what a lesson becomes, that links lead where they led, and what is refused.

Most tests build the book of a tiny repository of their own; one builds the whole.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import notebook
from npmaskrcnn.explore.packing import unpack
from tests.scripts import ROOT, script

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbconvert")
new_cell, new_text, new_output = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell, nbformat.v4.new_output

TEXT = """# 00 The map

Core: 7 minutes. Deeper: nothing.

A convolution and its kernel: $\\frac{1}{2} k$ is half. The `anchor` is code. An anchor has deltas; anchors of a
low-quality match (another low-quality match) are not good matches. See [the code](../npmaskrcnn/a.py), its
[test](../tests/test_a.py), [the folder](../npmaskrcnn/parts), [Muon](01_next.ipynb#Deeper:-Muon),
[01, What it is not](01_next.ipynb), [web](https://example.org/x). Mask R-CNN has masks.

<details><summary>Guess first?</summary>

The answer.

</details>

## Formulas

$$y = \\operatorname{relu}\\bigl(x\\bigr), \\qquad z = x/2$$
"""
GLOSSARY = """# Glossary

Terms of the [lessons](../notebooks/README.md).

- **anchor**: a box to *begin* with, see `stages`. (lesson 00; more in 01)
- **convolution**: a small map. (lesson 01)
- **deltas**: four numbers. (lesson 00)
- **low-quality match**: a match nonetheless. (lesson 01)
- **mask**: where it is. (lesson 00)
- **match**: who must find whom. (lesson 01)
- **step**: one round. (lesson 01)
"""


def png(color=(255, 0, 0)):
    buffer = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), color, np.uint8)).save(buffer, format="png")
    return buffer.getvalue()


def figure(alt="A red square."):
    return new_output("display_data", data={"image/png": base64.b64encode(png()).decode(), "text/plain": "[figure]"},
                      metadata={"image/png": {"alt": alt}})


FRAMES = notebook.FRAMES.format(name="frames-1", alt="Moves.", still=0, label="stride", last=1,
                                first=base64.b64encode(png()).decode(), others='["", "iVBOR"]', texts='["1", "2"]')


def cells():
    return [new_text(TEXT),
            new_cell("print(1 < 2)", execution_count=1, outputs=[new_output("stream", text="a < b\n"), figure()]),
            new_cell("assert folded_here", execution_count=2, metadata={"tags": ["folded"]}),
            new_cell("def nms():\n    ...", execution_count=3, metadata={"tags": ["exercise"]},
                     outputs=[new_output("display_data", data={"text/html": FRAMES})])]


def write_lesson(root, name, cells):
    lesson = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    nbformat.write(lesson, root / "notebooks" / name)


@pytest.fixture
def root(tmp_path):
    """A repository of two lessons."""
    root = tmp_path / "repository"
    for folder in ("notebooks", "docs", "npmaskrcnn/parts", "tests"):
        (root / folder).mkdir(parents=True)
    write_lesson(root, "00_map.ipynb", cells())
    write_lesson(root, "01_next.ipynb", [new_text("# 01 Next\n\nA step, a match, a step.\n\n## What it is not\n\n"
                                                  "Text.\n\n## Deeper: Muon\n\nMore.")])
    (root / "notebooks/README.md").write_text(
        "# The lessons\n\n| | lesson | minutes | what |\n|---|---|---|---|\n"
        '| <img src="a.png" alt="A figure"> | [00 The map](00_map.ipynb) | 7 | All. |\n\n- **Quick.** So:\n\n'
        "  | a | b |\n  |---|---|\n  | 1 | 2 |\n\n[more](../docs/glossary.md#step)\n")
    (root / "notebooks/a.png").write_bytes(png((0, 0, 255)))
    (root / "docs/glossary.md").write_text(GLOSSARY)
    (root / "npmaskrcnn/a.py").write_text('"""What a does.\n\nMore."""\n\nx = "<b>"  # so\n')
    (root / "npmaskrcnn/parts/b.py").write_text('"""What b does."""\n')
    (root / "npmaskrcnn/parts/c.npz").write_bytes(b"\0")
    (root / "tests/test_a.py").write_text("")
    return root


@pytest.fixture(scope="module")
def book():
    """The module docs/build_book.py."""
    return script("docs/build_book.py")


@pytest.fixture
def site(book, root, tmp_path):
    """The book of the two lessons, as text by address."""
    built = book.build(tmp_path / "site", root)
    return {name: content.decode(errors="replace") for name, content in built.items()}


def body_of(page):
    return page.split("<article")[1].split("</article>")[0]


# ---- what a lesson becomes ----


def test_a_lesson_has_its_code_its_outputs_and_its_folds(site):
    lesson = site["notebooks/00_map.html"]
    assert '<span class="m">1</span> &lt; <span class="m">2</span>' in lesson and "a &lt; b</pre>" in lesson
    folded = re.search(r'<details class="folded"><summary>(.*?)</summary>(.*?)</details>', lesson, re.DOTALL)
    assert folded[1] == "Code: a check of what is said above, 1 line" and "folded_here" in folded[2]
    exercise = lesson.split('<div class="cell exercise">')[1]
    assert '<span class="d">nms</span>' in exercise and "<details" not in exercise.split("</pre>")[0]
    assert "<summary>Guess first?</summary>" in lesson


def test_a_picture_is_a_file_with_its_alternative_text_and_frames_stay_what_they_are(site, tmp_path):
    lesson = site["notebooks/00_map.html"]
    source, = re.findall(r'<figure><img alt="A red square." height="2" src="\.\./(images/\w+\.png)" width="3"', lesson)
    assert (tmp_path / "site" / source).read_bytes() == png()
    script_of = re.search(r"<script>.*?</script>", FRAMES, re.DOTALL)[0]
    assert script_of in lesson and '<input max="1" min="0"' in lesson


def test_formulas_are_drawings_with_words(site):
    lesson = body_of(site["notebooks/00_map.html"])
    assert re.findall(r'role="img" style="[^"]*" viewBox="[^"]*"><path d="M', lesson)
    assert "$" not in lesson.split("<script>")[0]
    assert re.findall(r'aria-label="([^"]*)" class="formula"', lesson) == ["1 over 2 k", "y is relu (x),",
                                                                         "z is x over 2"]


@pytest.mark.parametrize("tex, words", [
    (r"\frac{a + 1}{\sqrt r} \cdot \hat x", "(a plus 1) over (root of r) times x hat"), (r"s^2", "s squared"),
    (r"w_{dark} \leftarrow e^{t_w}", "w dark becomes e to the power of t w"), (r"\text{at least 2}", "at least 2"),
    (r"\max(0, \cdot)", "max(0, it)")])
def test_a_formula_is_said(book, tex, words):
    from book import formulas
    assert formulas.spoken(tex) == words


def test_a_wider_formula_is_wider(book):
    from book import formulas
    widths = [float(re.search(r"width:([\d.]+)em", formulas.svg(tex))[1]) for tex in ("x", "x + x", r"\frac12")]
    assert 0.4 < widths[0] < 0.8 < 1.5 < widths[1] < 3 and widths[2] < 1


def test_the_contents_have_minutes_and_say_where_one_is(site):
    contents = site["notebooks/00_map.html"].split('<nav id="contents"')[1].split("</nav>")[0]
    assert re.findall(r'<a href="([^"#]*)"', contents) == ["../index.html", "00_map.html", "01_next.html",
                                                         "../docs/glossary.html"]
    assert '<a href="00_map.html" aria-current="page"><span>00 The map</span> <small>7 min</small>' in contents
    turn = site["notebooks/00_map.html"].split('<nav class="turn"')[1]
    assert re.findall(r'rel="(\w+)" href="([^"]*)"', turn) == [("prev", "../index.html"), ("next", "01_next.html")]


def test_the_start_page_shows_lessons_as_cards_and_tables_in_lists(site):
    start = body_of(site["index.html"])
    card = re.search(r'<ol class="cards">(.*?)</ol>', start, re.DOTALL)[1]
    assert 'src="notebooks/a.png"' in card
    assert '<a href="notebooks/00_map.html">00 The map</a> <small>7 min</small>' in card
    assert re.search(r"<li>.*<table>.*<td>1</td>.*</table>.*</li>", start, re.DOTALL) and "|" not in start


# ---- links ----


def test_links_lead_to_pages_or_become_text(site):
    lesson = body_of(site["notebooks/00_map.html"])
    assert '<a href="../npmaskrcnn/a.py.html">the code</a>' in lesson
    assert "its\ntest," in lesson                                           # is run in a clone
    assert '<a href="01_next.html#deeper-muon">Muon</a>' in lesson           # Jupyter's anchor
    assert '<a href="01_next.html#what-it-is-not">01, What it is not</a>' in lesson
    assert '<a href="https://example.org/x">web</a>' in lesson
    assert '<a href="../npmaskrcnn/parts/index.html">the folder</a>' in lesson
    folder = body_of(site["npmaskrcnn/parts/index.html"])
    assert '<a href="b.py.html">b.py</a>' in folder and "<li>c.npz</li>" in folder
    assert "&lt;b&gt;" in body_of(site["npmaskrcnn/a.py.html"])


WRONG_TEXTS = [
    ("[x](../docs/none.md)", "the link ../docs/none.md leads nowhere"),
    ("[x](00_map.ipynb#none)", "the link 00_map.ipynb#none leads to no heading of notebooks/00_map.ipynb"),
    ("[x](../../secret.md)", "the link ../../secret.md leads out of the repository"),
    ("[x](/etc/passwd)", "the link /etc/passwd is neither within the repository nor of the web"),
    ("![x](../npmaskrcnn/a.py)", "../npmaskrcnn/a.py is not a picture"),
    ("![](a.png)", "the picture a.png has no alternative text"),
    ("![x](https://example.org/x.png)", "the link https://example.org/x.png would be loaded from another host"),
    ('<img src="//a.org/x.png" alt="x">', "the link //a.org/x.png is neither within the repository nor of the web"),
    ("$\\nothing$", "matplotlib cannot draw the formula $\\nothing$: "),
    ('<p id="a"></p><p id="a"></p>', "the anchor a stands twice"),
]


def refusal(book, capsys, monkeypatch, root, out):
    """What the command says when it refuses, which is one line."""
    monkeypatch.setattr(book.build, "__defaults__", (root, None))
    with pytest.raises(SystemExit) as end:
        book.main(["--out", str(out)])
    said = capsys.readouterr()
    assert end.value.code == 2 and not said.out
    assert said.err.startswith("build_book: ") and said.err.count("\n") == 1
    return said.err[len("build_book: "):]


@pytest.mark.parametrize("text, said", WRONG_TEXTS)
def test_what_leads_nowhere_is_named_and_nothing_is_written(book, root, tmp_path, capsys, monkeypatch, text, said):
    write_lesson(root, "01_next.ipynb", [new_text("# 01 Next\n\n## What it is not\n\n## Deeper: Muon\n\n" + text)])
    assert refusal(book, capsys, monkeypatch, root, tmp_path / "site").startswith(f"notebooks/01_next.ipynb: {said}")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("cell, said", [
    (new_cell("x"), "notebooks/01_next.ipynb: not executed (run: python notebooks/execute.py 01)"),
    (new_cell("x", execution_count=1, outputs=[new_output("error", ename="E", evalue="", traceback=[])]),
     "notebooks/01_next.ipynb: the cell that begins 'x' ended in an error"),
    (new_cell("x", execution_count=1, outputs=[figure("")]), "notebooks/01_next.ipynb: the picture ../images/")])
def test_lessons_must_be_executed(book, root, tmp_path, capsys, monkeypatch, cell, said):
    write_lesson(root, "01_next.ipynb", [new_text("# 01 Next\n\n## What it is not\n\n## Deeper: Muon"), cell])
    assert refusal(book, capsys, monkeypatch, root, tmp_path / "site").startswith(said)


def test_what_is_no_notebook_or_not_there_is_said(book, root, tmp_path, capsys, monkeypatch):
    (root / "notebooks/01_next.ipynb").write_text("{")
    said = refusal(book, capsys, monkeypatch, root, tmp_path / "site")
    assert said.startswith("notebooks/01_next.ipynb: not a notebook (")
    write_lesson(root, "01_next.ipynb", [new_text("# 01 Next")])
    (root / "docs/glossary.md").write_text("# Glossary\n\n- **box** without a place\n")
    said = refusal(book, capsys, monkeypatch, root, tmp_path / "site")
    assert said.startswith("docs/glossary.md: an entry reads") and "box" in said
    (root / "notebooks/README.md").unlink()
    said = refusal(book, capsys, monkeypatch, root, tmp_path / "site")
    assert said.startswith("notebooks/README.md: cannot be read")


def test_a_folder_of_other_things_is_left_alone(book, root, tmp_path, capsys, monkeypatch):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert "is a file; it must be a folder" in refusal(book, capsys, monkeypatch, root, file)
    assert "holds other files; name a new or an empty folder" in refusal(book, capsys, monkeypatch, root, folder)
    assert f"{file} is a file" in refusal(book, capsys, monkeypatch, root, file / "site")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)      # for the root user all is writable
    assert "cannot be written into" in refusal(book, capsys, monkeypatch, root, tmp_path / "new/site")
    assert [path.name for path in folder.iterdir()] == ["mine.txt"] and file.read_text() == "mine"


def test_half_a_book_is_known_as_one_and_finished(book, root, tmp_path, monkeypatch, site):
    out, written, write = tmp_path / "half", [], Path.write_bytes

    def interrupted(path, content):
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(SystemExit) as end:
        monkeypatch.setattr(book.build, "__defaults__", (root, None))
        book.main(["--out", str(out)])
    assert end.value.code == 130 and not written[4].exists()
    book.build(out, root)
    assert {path.relative_to(out).as_posix(): path.read_bytes().decode(errors="replace") for path in out.rglob("*")
            if path.is_file() and path.name != book.MANIFEST} == site


# ---- the explorer ----


@pytest.fixture
def explored(book, root):
    """The repository, now with the explorer's page and weights."""
    explorer = book.explorer
    (root / explorer.PAGE).mkdir(parents=True)
    (root / "npmaskrcnn/plots").mkdir()
    (root / "npmaskrcnn/plots/p.py").write_text("")
    (root / explorer.PAGE / "index.html").write_bytes((ROOT / explorer.PAGE / "index.html").read_bytes())
    for name in ("explorer.css", "explorer.js", "worker.js"):
        (root / explorer.PAGE / name).write_text(name)
    (root / "data").mkdir()
    for name in (explorer.AT_ONCE, *explorer.WEIGHTS):
        (root / "data" / name).write_bytes(name.encode())
    return root


@pytest.fixture
def pyodide(book, tmp_path, monkeypatch):
    """What looks like a distribution of Pyodide, and no Node to run it."""
    explorer = book.explorer
    folder = tmp_path / "pyodide"
    folder.mkdir()
    for name in explorer.RUNTIME:
        (folder / name).write_bytes(name.encode())
    zips = {explorer.LIBRARY: ["os.py", "json/", "json/__init__.py", "pydoc.css"], "scipy.whl": [],
            "numpy.whl": ["numpy/a.py", "numpy/b.so", "numpy/c.pyi", "numpy-2.dist-info/METADATA",
                          "numpy-2.dist-info/licenses/LICENSE.txt"]}
    for name, inside in zips.items():
        with zipfile.ZipFile(folder / name, "w") as zipped:
            for each in inside:
                zipped.writestr(each, each)
    packages = {name: {"file_name": f"{name}.whl", "depends": [],
                       "sha256": hashlib.sha256((folder / f"{name}.whl").read_bytes()).hexdigest()}
                for name in ("numpy", "scipy")}
    (folder / explorer.LOCK).write_text(json.dumps({"info": {"python": "3.14.0"}, "packages": packages}))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


IN_THE_ARCHIVE = ["os.py", "json/__init__.py", "pydoc.css", *(f"site-packages/{name}" for name in (
    "numpy/a.py", "numpy/b.so", "numpy-2/licenses/LICENSE.txt", "npmaskrcnn/a.py", "npmaskrcnn/parts/b.py",
    "npmaskrcnn/data/tiny.npz"))]


def test_without_pyodide_a_page_says_how_the_explorer_is_started(book, explored, tmp_path):
    site = book.build(tmp_path / "site", explored)
    assert [name for name in site if name.startswith("explore/")] == ["explore/index.html"]
    assert b"npmaskrcnn explore</code>" in site["explore/index.html"]
    assert b'href="../explore/index.html"' in site["notebooks/00_map.html"]


def test_with_pyodide_the_explorer_is_there_with_what_it_needs(book, explored, pyodide, tmp_path, capsys):
    explorer = book.explorer
    site = book.build(tmp_path / "site", explored, pyodide=pyodide)
    assert b'<html lang="en" data-worker="worker.js">' in site["explore/index.html"]
    assert b'<script src="../theme.js"></script>\n</head>' in site["explore/index.html"] and "theme.js" in site
    assert {name.split("/")[-1] for name in site if name.startswith("explore/pyodide/")} \
        == {*explorer.RUNTIME, explorer.LIBRARY, explorer.LOCK}
    with zipfile.ZipFile(io.BytesIO(site[f"explore/pyodide/{explorer.LIBRARY}"])) as empty:
        assert empty.namelist() == []
    answer, arrays = unpack(gzip.decompress(site["explore/python.bin"]))
    assert list(arrays) == IN_THE_ARCHIVE
    assert {name: array.tobytes().decode() for name, array in arrays.items()}.items() >= {
        "json/__init__.py": "json/__init__.py", "site-packages/npmaskrcnn/data/tiny.npz": "tiny.npz"}.items()
    assert all(f"explore/weights/{name}" in site for name in answer["later"])
    assert "Python is not compiled" in capsys.readouterr().err
    assert "explore/worker.js" not in book.build(tmp_path / "site", explored)
    assert not (tmp_path / "site/explore/worker.js").exists()


@pytest.mark.skipif(os.name == "nt", reason="the program is a shell script")
def test_where_node_is_installed_python_is_compiled(book, explored, pyodide, tmp_path, capsys):
    """A Node that marks the folder's Python files, but one, as compiled."""
    node = tmp_path / "bin/node"
    node.parent.mkdir()
    node.write_text(f"""#!/bin/sh
        PATH=/usr/bin:/bin
        test -f "$1" -a "$2" = "{pyodide}" || exit 1
        find "$3" -name '*.py' | while read -r path; do echo "of $(cat "$path")" > "${{path}}c"; done
        rm "$3/os.pyc" """)
    node.chmod(0o755)
    site = book.build(tmp_path / "site", explored, pyodide=pyodide)
    _, arrays = unpack(gzip.decompress(site["explore/python.bin"]))
    assert list(arrays) == ["os.py", *(name.replace(".py", ".pyc") for name in IN_THE_ARCHIVE[1:])]
    assert arrays["json/__init__.pyc"].tobytes() == b"of json/__init__.py\n" and capsys.readouterr().err == ""


@pytest.mark.parametrize("name, content, said", [
    ("python_stdlib.zip", "PK", "python_stdlib.zip is no zip archive"),
    ("pyodide.asm.wasm", None, "pyodide.asm.wasm cannot be read (No such file or directory); it must be"),
    ("numpy.whl", "another", "numpy.whl is not the file that pyodide-lock.json names"),
    ("pyodide-lock.json", "{", "pyodide-lock.json is not a list of Pyodide's packages"),
    ("pyodide-lock.json", '{"packages": []}', "pyodide-lock.json is not a list of Pyodide's packages")])
def test_what_is_no_pyodide_is_said(book, explored, pyodide, tmp_path, name, content, said):
    (pyodide / name).unlink() if content is None else (pyodide / name).write_text(content)
    with pytest.raises(book.BookError) as refused:
        book.build(tmp_path / "site", explored, pyodide=pyodide)
    assert str(refused.value).startswith(f"--pyodide {pyodide}: {said}") and not (tmp_path / "site").exists()


def test_every_weight_that_the_explorer_knows_is_in_the_book(book):
    from npmaskrcnn.shipped import EARLY_STEPS, TRAINED_VARIANTS
    assert sorted(book.explorer.WEIGHTS) == sorted([*(f"tiny-step-{step}.npz" for step in EARLY_STEPS),
                                                    *(f"variant-{name}.npz" for name in TRAINED_VARIANTS)])


def test_the_explorer_imports_nothing_that_the_book_leaves_out(book):
    code = ("import sys; from npmaskrcnn.explore import Explorer; here = Explorer(); here.answer({'ask': 'look'}); "
            "here.answer({'ask': 'train', 'action': 'start', 'steps': 1}); print(*sys.modules)")
    ran = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, cwd=ROOT, check=True)
    modules = {name.split(".")[1] for name in ran.stdout.split() if name.startswith("npmaskrcnn.")}
    assert {"explore", "mask_rcnn"} <= modules and not modules & set(book.explorer.LEFT_OUT)


def test_jupyter_missing_is_one_line(tmp_path):
    (tmp_path / "nbconvert.py").write_text('raise ModuleNotFoundError("No module", name="nbconvert")')
    ran = subprocess.run([sys.executable, ROOT / "docs/build_book.py", "--out", tmp_path / "site"], text=True,
                         capture_output=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=120)
    assert ran.returncode != 0
    assert ran.stderr == "build_book: needs nbconvert, which Jupyter brings along: pip install -e '.[notebooks]'\n"


@pytest.mark.parametrize("page, wrong", [
    ("<p>", "<p> is not closed"), ("<p></div>", "</div> closes what is not open"),
    ('<a href="b.html">', "the link b.html leads nowhere"), ('<a href="#x">', "the link #x leads to no anchor"),
    ('<a href="javascript:x">', "is not of the web"), ('<script src="https://example.org/x.js">', "from another host")])
def test_the_check_of_finished_pages_sees_what_is_wrong(book, page, wrong):
    tag = re.match(r"<(\w+)", page)[1]
    page = page if "closed" in wrong or "</" in page else f"{page}</{tag}>"
    with pytest.raises(book.BookError, match=re.escape(wrong)):
        book.check.check({"a.html": page}, set(), {})


@pytest.mark.parametrize("right, wrong, said", [
    ('href="01_next.html#deeper-muon"', 'href="01_next.html#muon"', "the link 01_next.html#muon leads to no anchor"),
    ('href="01_next.html"', 'href="02_next.html"', "the link 02_next.html leads nowhere"),
    ('href="../book.css"', 'href="/book.css"', "the link /book.css leads nowhere"),
    ('src="../book.js"', 'src="//example.org/book.js"', "would be loaded from another host"),
    ('<img alt="A red square."', "<img", "has no alternative text"), ('id="formulas"', 'id="main"', "stands twice")])
def test_one_thing_wrong_in_a_finished_page_is_seen(book, site, right, wrong, said):
    pages = {name: page for name, page in site.items() if name.endswith(".html")}
    book.check.check(pages, set(site), {})
    pages["notebooks/00_map.html"] = pages["notebooks/00_map.html"].replace(right, wrong, 1)
    with pytest.raises(book.BookError, match=re.escape(said)):
        book.check.check(pages, set(site), {})


# ---- the glossary's words ----


def terms(page):
    return re.findall(r'<a class="term" href="\.\./docs/glossary\.html#([^"]*)" title="([^"]*)">([^<]*)</a>', page)


def test_the_first_use_of_a_word_is_linked_with_its_meaning(site):
    assert terms(site["notebooks/00_map.html"]) == [
        ("convolution", "a small map.", "convolution"), ("anchor", "a box to begin with, see stages.", "anchor"),
        ("deltas", "four numbers.", "deltas"), ("low-quality-match", "a match nonetheless.", "low-quality match"),
        ("match", "who must find whom.", "matches"), ("mask", "where it is.", "masks")]
    assert "The <code class=\"short\">anchor</code> is code. An <a class" in site["notebooks/00_map.html"]


def test_an_everyday_word_is_linked_where_the_glossary_says(book, root, tmp_path, site):
    assert [word for _, _, word in terms(site["notebooks/01_next.html"])] == ["step", "match"]
    write_lesson(root, "00_map.ipynb", [new_text("# 00 The map\n\nA step.")])
    built = book.build(tmp_path / "site", root)
    assert terms(built["notebooks/00_map.html"].decode()) == []


def test_forms_of_a_word(book):
    found = book.glossary.entries("- **average precision (AP)**: a. (lesson 01)\n- **C2 to C4**: b. ([x](x.md))\n"
                                  "- **ignored (anchor)**: c. (lesson 07; more in 08)")
    forms = [["average precision", "AP"], ["C2 to C4", "C2", "C3", "C4"], ["ignored"]]
    assert [entry.forms for entry in found] == forms
    assert [entry.lessons for entry in found] == [["01"], [], ["07", "08"]]
    assert [entry.is_particular for entry in found] == [False, False, True]


@pytest.mark.parametrize("name, text, linked", [
    ("padding", "It was padded. Padding", "padded"), ("relu", "a ReLU", "ReLU"), ("relu", "prelu, relu6", None),
    ("feature map", "Feature maps", "Feature maps"), ("feature map", "Feature Map Networks", None),
    ("image pyramid", "an <em>image pyramid</em>", "image pyramid"), ("image pyramid", "<em>Image pyramid</em>", None),
    ("box", "a <code>box</code>, <a href='x'>box</a>", None), ("box", "boxes", "boxes"), ("mask", "Mask R-CNN", None)])
def test_a_word_is_linked_in_its_forms_and_not_in_titles_code_and_links(book, name, text, linked):
    body = book.shelf.texts.parsed(f"<h2>{name}</h2><p>{text}, {text}</p>")
    book.glossary.link_words(body, "00", [book.glossary.Entry(name, "It.", "lesson 00")], "glossary.html")
    assert [link.get_text() for link in body.select("a.term")] == [linked] * bool(linked)


def test_the_glossary_leads_to_lessons(site):
    page = body_of(site["docs/glossary.html"])
    assert '<dt id="anchor">anchor</dt>\n<dd>a box to <em>begin</em> with' in page
    assert 'lesson <a href="../notebooks/00_map.html">00</a>; more in <a href="../notebooks/01_next.html">01<' in page
    assert '<a href="#letter-A">A</a>' in page and '<div id="letter-A">' in page


# ---- search, and what stands beside the book ----


def index_of(site):
    text = site["search-index.js"]
    assert text.startswith("window.bookIndex = ")
    return json.loads(text.removeprefix("window.bookIndex = ").rstrip(";\n"))


def test_the_index_has_every_section_and_leads_to_it(site):
    rows = {address: (title, sections) for address, title, sections in index_of(site)}
    for address, (_, sections) in rows.items():
        for anchor, _, _ in sections:
            assert not anchor or f'id="{anchor}"' in site[address]
    title, sections = rows["notebooks/01_next.html"]
    assert title == "01 Next"
    assert [heading for _, heading, _ in sections] == ["01 Next", "What it is not", "Deeper: Muon"]
    assert sections[0][2] == "A step, a match, a step."
    lesson = " ".join(text for _, _, text in rows["notebooks/00_map.html"][1])
    assert "print(1 < 2)" in lesson and "folded_here" not in lesson and "a < b" not in lesson
    entry = ["anchor", "anchor", "a box to begin with, see stages. lesson 00; more in 01"]
    assert entry in rows["docs/glossary.html"][1]
    assert rows["npmaskrcnn/a.py.html"][1] == [["", "", "What a does."]]
    assert "npmaskrcnn/parts/index.html" in site and "npmaskrcnn/parts/index.html" not in rows


def test_an_earlier_book_is_replaced_and_what_is_no_book_s_is_kept(book, root, tmp_path):
    out = tmp_path / "site"
    book.build(out, root)
    assert (out / "npmaskrcnn/a.py.html").exists() and "The explorer" not in (out / "index.html").read_text()
    (out / "mine.txt").write_text("mine")
    (out / "notebooks/02_more.html").write_text("mine")
    write_lesson(root, "00_map.ipynb", [new_text("# 00 The map")])
    book.build(out, root)
    assert not (out / "npmaskrcnn/a.py.html").exists() and (out / "mine.txt").read_text() == "mine"
    write_lesson(root, "02_more.ipynb", [new_text("# 02 More")])
    with pytest.raises(book.BookError, match=r"holds notebooks/02_more.html, which no earlier book has written"):
        book.build(out, root)
    assert (out / "notebooks/02_more.html").read_text() == "mine"


def test_style_and_scripts_load_nothing():
    for name in ("book.css", "book.js", "theme.js", "page.html"):
        text = (ROOT / "docs/book" / name).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|[\"']//|@import|url\(|fetch\(|XMLHttp", text), name


# ---- the whole book ----


class Seen(HTMLParser):
    """Counts what a test of the whole asks for."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.alts, self.prose, self.stack = [], set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes).get("class")))
        self.alts.add(dict(attributes).get("alt"))
        self.stack.append(tag)

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"code", "pre", "script"} & set(self.stack):
            self.prose.append(data)


@pytest.mark.slow
def test_the_book_of_this_repository_has_all_that_the_lessons_have(book, tmp_path):
    site = book.build(tmp_path / "site")
    assert sum(len(content) for content in site.values()) < 15e6
    lessons = sorted((Path(ROOT) / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert len(lessons) == 20 and site["index.html"].count(b" min</small>") >= 40       # contents and cards
    for path in lessons:
        stored, page = nbformat.read(path, as_version=4), site[f"notebooks/{path.stem}.html"].decode()
        seen, code = Seen(page), [cell for cell in stored.cells if cell.cell_type == "code"]
        alts = {output.metadata["image/png"]["alt"] for cell in code for output in cell.outputs
                if "image/png" in output.get("data", {})}
        assert alts <= seen.alts
        exercises = [cell for cell in code if "exercise" in cell.metadata.get("tags", [])]
        assert seen.tags.count(("div", "cell exercise")) == len(exercises)
        folded = [cell for cell in code if "folded" in cell.metadata.get("tags", []) or "you_are_here(" in cell.source]
        assert seen.tags.count(("details", "folded")) == len(folded)
        frames = sum("text/html" in output.get("data", {}) for cell in code for output in cell.outputs)
        assert seen.tags.count(("div", "frames")) == frames
        assert "$" not in "".join(seen.prose), f"{path.name}: a formula was not drawn"
        assert len(terms(page)) > 5
    for name, content in site.items():
        if name.endswith(".html"):
            assert content.count(b"<h1 ") == 1, name
            assert b'<a class="skip" href="#main">' in content and b'<main id="main"' in content
