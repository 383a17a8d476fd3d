"""Execute lessons in place, so that they can be read without running them.

    python notebooks/execute.py                  execute all lessons
    python notebooks/execute.py 02 07            only these
    python notebooks/execute.py --check          execute copies; fail if anything changes but `timing` cells
    python notebooks/execute.py --thumbnails     write notebooks/thumbnails/ from the stored outputs, execute nothing

What differs from run to run or from one machine to the next is taken out: time stamps, widget ids and states, the
kernel's version. Outputs of cells tagged `timing` stay as they are, and nobody compares them. `--check` is strict to
the byte and so holds on the machine, and with the versions of NumPy and matplotlib, on which a lesson was executed.
"""

import argparse
import base64
import io
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}}
WIDGET = "application/vnd.jupyter.widget-view+json"
SLIDER = "[a slider: run this cell to move it; the figure below shows what it does]"
CELL_TIMEOUT = 240              # seconds
THUMBNAIL_SIZE = (480, 270)     # pixels, twice what the table shows


def lessons(names=()):
    """Paths of the lessons whose names begin with one of `names` (all of them without), in order."""
    paths = sorted(HERE.glob("[0-9][0-9]_*.ipynb"))
    starts = [Path(name).name for name in names]
    for start in starts:
        if not any(path.name.startswith(start) for path in paths):
            sys.exit(f"{Path(sys.argv[0]).name}: no lesson in {HERE} begins with {start!r}")
    return [path for path in paths if not names or path.name.startswith(tuple(starts))]


def tags(cell):
    return cell.metadata.get("tags", [])


def execute(notebook, allow_errors=False):
    """Run all cells of a notebook in a fresh kernel, in the notebooks' folder, and normalize the outputs."""
    python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(HERE)}}, allow_errors=allow_errors)
    # one thread a product, unless somebody says otherwise: with several, the last digits depend on their number
    environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": python_path, "PYTHONHASHSEED": "0"}
    client.execute(env=environment)
    return normalize(notebook)


def normalize(notebook):
    """Take out of a notebook, in place, what says nothing about the lesson."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        metadata = {"tags": sorted(tags(cell))} if tags(cell) else {}
        if "folded" in tags(cell):
            metadata["jupyter"] = {"source_hidden": True}       # Jupyter shows what the cell shows, and a button
        cell.metadata = nbformat.from_dict(metadata)
        if cell.cell_type == "code":
            cell.outputs = [_normalized(output) for output in _joined(cell.outputs)]
    return notebook


def _joined(outputs):
    """Join pieces of one stream: where it was cut depends on the moment."""
    joined = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _normalized(output):
    if WIDGET in output.get("data", {}):
        return nbformat.v4.new_output("display_data", data={"text/plain": SLIDER})
    return output


def differences(before, after):
    """Where two executions of a notebook differ, apart from cells tagged `timing`: a list of sentences."""
    if len(before.cells) != len(after.cells):
        return ["the number of cells differs"]
    found = [] if before.metadata == after.metadata else ["the notebook's metadata differ"]
    for i, (old, new) in enumerate(zip(before.cells, after.cells)):
        if old.source != new.source or tags(old) != tags(new):
            found.append(f"cell {i}: another text or other tags")
        elif old.cell_type == "code" and "timing" not in tags(old):
            if old.execution_count != new.execution_count:
                found.append(f"cell {i}: execution count {old.execution_count} became {new.execution_count}")
            if old.outputs != new.outputs:
                found.append(f"cell {i}: other outputs. Its code begins: {old.source[:60]!r}")
    return found


def write_thumbnail(path):
    """Write the first picture of a lesson's cell tagged `thumbnail` as a small PNG; return its path or None."""
    for cell in nbformat.read(path, as_version=4).cells:
        pictures = [output.data["image/png"] for output in cell.get("outputs", [])
                    if "image/png" in output.get("data", {})]
        if "thumbnail" in tags(cell) and pictures:
            picture = Image.open(io.BytesIO(base64.b64decode(pictures[0]))).convert("RGB")
            picture.thumbnail(THUMBNAIL_SIZE, Image.Resampling.LANCZOS)
            target = HERE / "thumbnails" / f"{path.stem}.png"
            target.parent.mkdir(exist_ok=True)
            picture.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)
            return target
    return None


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="lessons by the beginning of their file names; all without")
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if executing would")
    parser.add_argument("--thumbnails", action="store_true", help="only write the thumbnails")
    options = parser.parse_args(arguments)
    paths, has_failed = lessons(options.names), False
    for path in paths:
        if options.thumbnails:
            print(f"{path.name}: {write_thumbnail(path) or 'no cell tagged thumbnail has a picture'}")
            continue
        start = time.perf_counter()
        before = nbformat.read(path, as_version=4)
        notebook = execute(nbformat.read(path, as_version=4))
        seconds = time.perf_counter() - start
        if options.check:
            found = differences(before, notebook)
            has_failed |= bool(found)
            print(f"{path.name}: {'as before' if not found else 'CHANGED'} ({seconds:.0f} s)", *found, sep="\n  ")
        else:
            nbformat.write(notebook, path)
            write_thumbnail(path)
            print(f"{path.name}: executed in {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
