"""The explorer in the book: its page, and, if a distribution of Pyodide is given, Python beside it.

The page is the one of `npmaskrcnn explore`. Here no server answers it but a web worker, in which Pyodide runs the
package; so the site gets the runtime, NumPy, and the package as an archive. Weights that few ask for lie beside it,
and are fetched by whoever chooses that model. Without Pyodide a short page says how to start the explorer.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path

from . import BookError

HERE = Path(__file__).resolve().parent
FOLDER = "explore"                          # in the site
PAGE = "npmaskrcnn/explore/page"            # in the repository
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
LOCK = "pyodide-lock.json"                  # Pyodide's list of packages, with the sums of their files
PACKAGES = ("numpy",)
LEFT_OUT = ("clinic", "commands", "exercises", "plots")     # parts of the package that the explorer does not import
AT_ONCE = "tiny.npz"                        # the weights that the page begins with
WEIGHTS = ("tiny-step-100.npz", "tiny-step-400.npz", "variant-no_top_down.npz", "variant-roi_pool.npz",
           "variant-softmax.npz", "variant-unaligned.npz")
LONG_AGO = (1980, 1, 1, 0, 0, 0)            # so that the same files make the same archive

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
    made.update({f"pyodide/{name}": content for name, content in runtime(Path(pyodide)).items()})
    made["npmaskrcnn.zip"] = archive(root)
    made["weights.json"] = json.dumps(WEIGHTS).encode()
    made.update({f"weights/{name}": (root / "data" / name).read_bytes() for name in WEIGHTS})
    return {f"{FOLDER}/{name}": content for name, content in made.items()}


def with_worker(markup):
    """The page, which now asks the worker, leads back to the book, and says why if it cannot work."""
    for old, new in (('<html lang="en">', '<html lang="en" data-worker="worker.js">'),
                     ("</h1>\n", '</h1>\n    <p class="caption"><a href="../index.html">Back to the lessons</a></p>\n'),
                     ("</body>", FROM_A_FILE + "</body>")):
        if markup.count(old) != 1:
            raise BookError(f"{PAGE}/index.html: {old.strip()} should stand there once")
        markup = markup.replace(old, new)
    return markup


def runtime(folder):
    """Return the files of a distribution that are needed, by name; its list is cut to what is there."""
    try:
        lock = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        packages = {name: lock["packages"][name] for name in PACKAGES}
        wheels = {package["file_name"]: package["sha256"] for package in packages.values()}
        found = {name: (folder / name).read_bytes() for name in (*RUNTIME, *wheels)}
    except OSError as error:
        raise BookError(f"--pyodide {folder}: {Path(error.filename).name} cannot be read ({error.strerror}); it must "
                        "be an unpacked distribution of Pyodide (benchmarks/README.md says how to make one)") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BookError(f"--pyodide {folder}: {LOCK} is not a list of Pyodide's packages") from None
    for name, total in wheels.items():
        if hashlib.sha256(found[name]).hexdigest() != total:
            raise BookError(f"--pyodide {folder}: {name} is not the file that {LOCK} names: its sha256 is another one")
    return {**found, LOCK: json.dumps({**lock, "packages": packages}).encode()}


def archive(root):
    """Return the package, as far as the explorer needs it, and the first weights as a zip archive."""
    package, stream = root / "npmaskrcnn", io.BytesIO()
    inside = {path.relative_to(root).as_posix(): path for path in sorted(package.rglob("*.py"))
              if path.relative_to(package).parts[0] not in LEFT_OUT}
    inside[f"npmaskrcnn/data/{AT_ONCE}"] = root / "data" / AT_ONCE
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, path in inside.items():
            zipped.writestr(zipfile.ZipInfo(name, LONG_AGO), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
