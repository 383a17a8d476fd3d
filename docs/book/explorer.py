"""The explorer in the book: its page, and, if a distribution of Pyodide is given, Python beside it.

The page is the one of `npmaskrcnn explore`. Here no server answers it but a web worker, in which Pyodide runs the
package; so the site gets the runtime and one archive with all that is Python: the standard library, NumPy and the
package. Most of the time until the first answer would go by while Python translates these files, so they are translated
here, where Node is installed. Weights that few ask for lie beside it, and are fetched by whoever chooses that model.
Without Pyodide a short page says how to start the explorer.
"""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from npmaskrcnn.explore.packing import pack

from . import BookError

HERE = Path(__file__).resolve().parent
FOLDER = "explore"                          # in the site
PAGE = "npmaskrcnn/explore/page"            # in the repository
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm")
LIBRARY = "python_stdlib.zip"
LOCK = "pyodide-lock.json"                  # Pyodide's list of packages, with the sums of their files
PACKAGES = ("numpy",)
NEEDED = re.compile(r".*\.(py|so)|[^/]*\.dist-info/licenses/.*")    # files of a wheel
THEME = "theme.js"                          # which all pages of the book load
ARCHIVE, INSTALLED = "python.bin", "site-packages/"
LEFT_OUT = ("clinic", "commands", "exercises", "plots")     # parts of the package that the explorer does not import
AT_ONCE = "tiny.npz"                        # the weights that the page begins with
WEIGHTS = ("tiny-step-100.npz", "tiny-step-400.npz", "variant-no_top_down.npz", "variant-roi_pool.npz",
           "variant-softmax.npz", "variant-unaligned.npz")

FROM_A_FILE = """<script>
if (location.protocol === "file:") document.getElementById("said").textContent = "A page that was opened as a file may "
  + "not start Python. Let a server show it: python -m http.server, in the folder of the book.";
</script>
"""


def has_page(root):
    """Whether a repository has the explorer."""
    return (root / PAGE / "index.html").is_file()


def files(root, pyodide=None):
    """Return what the site gets: bytes by address.

    Parameters
    ----------
    root : Path
        Of the repository.
    pyodide : Path, optional
        An unpacked distribution of Pyodide, with NumPy's wheel.
    """
    if pyodide is None:
        return {f"{FOLDER}/index.html": (HERE / "explorer.html").read_bytes()}
    made = {path.name: path.read_bytes() for path in sorted((root / PAGE).iterdir()) if path.is_file()}
    made["index.html"] = with_worker(made["index.html"].decode()).encode()
    runtime, python = distribution(Path(pyodide))
    made.update({f"pyodide/{name}": content for name, content in runtime.items()})
    made[ARCHIVE] = archive(compiled(Path(pyodide), {**python, **package(root)}))
    made.update({f"weights/{name}": (root / "data" / name).read_bytes() for name in WEIGHTS})
    return {THEME: (HERE / THEME).read_bytes(), **{f"{FOLDER}/{name}": content for name, content in made.items()}}


def with_worker(markup):
    """The page, which now asks the worker, is as light or dark as the book, leads back to it, and says what fails."""
    for old, new in (('<html lang="en">', '<html lang="en" data-worker="worker.js">'),
                     ("</head>", f'<script src="../{THEME}"></script>\n</head>'),
                     ("</h1>\n", '</h1>\n    <p class="caption"><a href="../index.html">Back to the lessons</a></p>\n'),
                     ("</body>", FROM_A_FILE + "</body>")):
        if markup.count(old) != 1:
            raise BookError(f"{PAGE}/index.html: {old.strip()} should stand there once")
        markup = markup.replace(old, new)
    return markup


def distribution(folder):
    """Return what is needed of a distribution: files of the runtime, and, as they will lie there, of Python."""
    try:
        lock = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        wheels = {lock["packages"][name]["file_name"]: lock["packages"][name]["sha256"] for name in PACKAGES}
        found = {name: (folder / name).read_bytes() for name in (*RUNTIME, LIBRARY, *wheels)}
    except OSError as error:
        raise BookError(f"--pyodide {folder}: {Path(error.filename).name} cannot be read ({error.strerror}); it must "
                        "be an unpacked distribution of Pyodide (benchmarks/README.md says how to make one)") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BookError(f"--pyodide {folder}: {LOCK} is not a list of Pyodide's packages") from None
    for name, total in wheels.items():
        if hashlib.sha256(found[name]).hexdigest() != total:
            raise BookError(f"--pyodide {folder}: {name} is not the file that {LOCK} names: its sha256 is another one")
    python = {}
    for name in (LIBRARY, *wheels):
        try:
            with zipfile.ZipFile(io.BytesIO(found.pop(name))) as zipped:
                inside = {each: zipped.read(each) for each in zipped.namelist() if not each.endswith("/")}
        except (zipfile.BadZipFile, zlib.error):
            raise BookError(f"--pyodide {folder}: {name} is no zip archive, or a damaged one") from None
        if name in wheels:      # a folder *.dist-info would be read when Python starts
            inside = {INSTALLED + each.replace(".dist-info/", "/"): content for each, content in inside.items()
                      if NEEDED.fullmatch(each)}
        python.update(inside)
    # The runtime asks for these two: an empty archive, and a list without packages, since all are in ours.
    found[LIBRARY] = b"PK\5\6" + bytes(18)
    found[LOCK] = json.dumps({**lock, "packages": {}}).encode()
    return found, python


def package(root):
    """Return the package, as far as the explorer needs it, and the first weights, as they will lie there."""
    folder = root / "npmaskrcnn"
    inside = {path.relative_to(root).as_posix(): path for path in sorted(folder.rglob("*.py"))
              if path.relative_to(folder).parts[0] not in LEFT_OUT}
    inside[f"npmaskrcnn/data/{AT_ONCE}"] = root / "data" / AT_ONCE
    return {INSTALLED + name: path.read_bytes() for name, path in inside.items()}


def compiled(pyodide, files):
    """Return files with bytecode in the place of Python; without Node, which runs that Python, as they are."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if name.endswith(".py"):
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        try:
            subprocess.run(["node", HERE / "compile.mjs", pyodide.resolve(), folder], check=True, capture_output=True,
                           text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = (getattr(error, "stderr", None) or "").splitlines()      # None if there is no Node
            why = next((f"cannot start this Pyodide ({line.strip()})" for line in said if "Error" in line),
                       "is not here")
            print(f"Node {why}, so the explorer's Python is not compiled: its first answer will take nearly twice as "
                  "long", file=sys.stderr)
            return files
        made = {}
        for name, content in files.items():
            path = Path(folder, f"{name}c")
            made.update({f"{name}c": path.read_bytes()} if path.is_file() else {name: content})
        return made


def archive(files):
    """Return files in one piece: a message as the page gets them from Python, and the list of the other weights."""
    arrays = {name: np.frombuffer(content, np.uint8) for name, content in files.items()}
    return gzip.compress(pack({"later": WEIGHTS}, arrays), mtime=0)
