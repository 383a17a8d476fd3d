"""How much memory do large pictures and long data sets take?

    python benchmarks/bench_memory.py [--megapixels 12] [--images 60] [--keep FOLDER]

``npmaskrcnn detect`` and ``evaluate``, each in a process of its own, on one picture of 12 megapixels with 100 annotated
objects and, without any threshold, 100 detections of the tiny model (random ones, which does not matter here), and
``evaluate`` on 60 pictures of one megapixel. Prints the highest resident memory of each process, Python and libraries
included. Needs no torch, and Linux or macOS.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkout  # noqa: F401
import numpy as np
import sides
from PIL import Image

NAMES = "circle", "square", "triangle"


def make_data(folder, num_images, size, num_objects):
    """Write pictures of rectangles on noise, `size` (height, width), with their annotation file."""
    folder.mkdir(parents=True)
    rng, (height, width) = np.random.default_rng(0), size
    images, annotations = [], []
    for i in range(num_images):
        picture = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for _ in range(num_objects):
            w, h = (int(rng.integers(side // 40, side // 4)) for side in (width, height))
            x, y = int(rng.integers(width - w)), int(rng.integers(height - h))
            picture[y:y + h, x:x + w] = rng.integers(0, 256, 3)
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": 2, "iscrowd": 0,
                                "area": w * h, "bbox": [x, y, w, h], "segmentation": [corners]})
        images.append({"id": i + 1, "file_name": f"{i:03d}.png", "width": width, "height": height})
        Image.fromarray(picture).save(folder / f"{i:03d}.png")
    content = {"images": images, "annotations": annotations,
               "categories": [{"id": label, "name": name} for label, name in enumerate(NAMES, start=1)]}
    (folder / "instances.json").write_text(json.dumps(content))


def measure(title, *words):
    """Run a command, and print its highest resident memory and its time."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "npmaskrcnn", *map(str, words)], env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    outcome = "" if status == 0 else "   FAILED"
    print(f"{title:<52}{peak / 1e9:6.2f} GB {time.monotonic() - start:7.0f} s{outcome}", flush=True)


def run(folder, megapixels, num_images):
    """Make the data and measure everything."""
    side = (megapixels * 1e6 / 12) ** 0.5
    large, many, found = folder / "large", folder / "many", folder / "found"
    make_data(large, 1, (round(3 * side), round(4 * side)), 100)
    make_data(many, num_images, (1000, 1000), 10)
    measure(f"detect, {megapixels} megapixels, 100 detections", "detect", large / "000.png", "--score", 0, "--iou", 1,
            "--out", found)
    where = "--annotations", large / "instances.json"
    measure("evaluate --detections, of these", "evaluate", *where, "--detections", found / "detections.json")
    measure("evaluate a model, the same picture", "evaluate", *where, "--images", large)
    measure(f"evaluate a model, {num_images} pictures of a megapixel", "evaluate", "--annotations",
            many / "instances.json", "--images", many)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=sides.between(1, 200, float), default=12,
                        help="of the large picture (default: %(default)s)")
    parser.add_argument("--images", type=sides.positive, default=60,
                        help="pictures of a megapixel (default: %(default)s)")
    parser.add_argument("--keep", type=sides.new_folder, metavar="FOLDER",
                        help="a new folder for the data, which stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.keep or Path(folder), options.megapixels, options.images)


if __name__ == "__main__":
    main()
