"""Make ``polygons.json``: polygons and the masks that pycocotools makes of them.

Run with an interpreter that has pycocotools: ``python tests/reference/make_polygons.py``.
The coordinates are of six kinds (fractional, whole, reaching far outside, in tenths, every corner twice,
just outside), because the rule rounds differently for each; sizes are not square.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

SEED = 11
CASES = 60


def random_polygon(kind, height, width, rng):
    num_corners = int(rng.integers(3, 10))
    size = np.array([width, height])
    if kind == "fractional":
        return rng.uniform(0, 1, (num_corners, 2)) * size
    if kind == "whole":
        return rng.integers(0, size + 1, (num_corners, 2)).astype(float)
    if kind == "far outside":
        return rng.uniform(-1, 2, (num_corners, 2)) * size
    if kind == "tenths":
        return np.round(rng.uniform(-0.2, 1.2, (num_corners, 2)) * size, 1)
    if kind == "twice":
        return np.repeat(np.round(rng.uniform(0, 1, (num_corners, 2)) * size * 2) / 2, 2, axis=0)
    whole = rng.integers(-3, size + 3, (num_corners, 2))
    return whole + rng.choice([0, .1, .3, .5, .7, .9], (num_corners, 2))


def main():
    rng = np.random.default_rng(SEED)
    kinds = ["fractional", "whole", "far outside", "tenths", "twice", "just outside"]
    cases = []
    for i in range(CASES):
        height, width = (int(side) for side in rng.integers(5, 40, 2))
        kind = kinds[i % len(kinds)]
        polygons = [np.round(random_polygon(kind, height, width, rng), 4).ravel().tolist()
                    for _ in range(1 + i % 3)]
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        cases.append({"kind": kind, "height": height, "width": width, "polygons": polygons,
                      "counts": rle["counts"].decode("ascii")})
    content = {"pycocotools": version("pycocotools"), "seed": SEED, "cases": cases}
    path = Path(__file__).with_name("polygons.json")
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = json.dumps({key: value for key, value in content.items() if key != "cases"})[:-1]
    path.write_text(head + ', "cases": [\n' + lines + "\n]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
