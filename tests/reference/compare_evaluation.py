"""Compare COCO's figures with pycocotools', from files to figures, where it is easily got wrong in the last digits.

    python tests/reference/compare_evaluation.py [--sets N]
    python tests/reference/compare_evaluation.py ANNOTATIONS RESULTS bbox|segm

Without files: random sets with unsorted images, scores that tie (some in float32 only), and boxes of decimals whose
overlaps lie exactly at a threshold; results with boxes and masks, boxes alone, masks alone. Ends with an error if a
figure, or an entry of the precision and recall arrays, differs by more than 1e-12. Only this script needs pycocotools.
"""

import argparse
import contextlib
import io
import itertools
import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402

from npmaskrcnn import rle  # noqa: E402
from npmaskrcnn.datasets import CocoDataset, read_detections  # noqa: E402
from npmaskrcnn.evaluation import evaluate  # noqa: E402

HEIGHT, WIDTH = 120, 160
TOLERANCE = 1e-12
THRESHOLDS = np.linspace(.5, .95, 10)
PARTS = {"boxes and masks": (), "boxes": ("segmentation",), "masks": ("bbox",)}     # what each kind of file leaves out


def random_annotations(rng):
    """Return a COCO file's content, and results that overlap its boxes by exactly a threshold, up to rounding."""
    image_ids = rng.choice(1000, int(rng.integers(2, 7)), replace=False).tolist()
    if rng.random() < .2:
        image_ids = [f"p{image_id}" for image_id in image_ids]
    category_ids = rng.choice(90, 3, replace=False).tolist()
    annotations, results = [], []
    for image_id in np.repeat(np.array(image_ids, object), rng.integers(0, 6, len(image_ids))):
        threshold, step = rng.choice(THRESHOLDS), rng.choice([1, 2, 4, .5, .1, .3])
        x, y = rng.uniform(0, 60, 2).round(rng.integers(3)).tolist()
        w = round(step * (1 + threshold) / (1 - threshold), int(rng.integers(2, 12)))   # shifted by a step: threshold
        h = round(rng.uniform(5, 40), int(rng.integers(3)))
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[int(y):int(y + h) + 1, int(x):int(x + w) + 1] = True
        is_crowd = rng.random() < .1
        category_id, area = int(rng.choice(category_ids)), float(rng.choice([w * h, 1024, mask.sum()]))
        annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": category_id,
                            "bbox": [x, y, w, h], "area": area,
                            "iscrowd": int(is_crowd), "segmentation": rle.encode(mask, compress=not is_crowd)})
        boxes = [x + step, y, w, h], [x - step, y, w, h], [x, y, w * threshold, h], [x, y, w, round(h * threshold, 6)]
        for box in boxes[:int(rng.integers(5))]:
            score = rng.choice([round(rng.random(), 1), rng.random(), .5 + 1e-9 * rng.integers(5)])
            results.append({"image_id": image_id, "category_id": category_id, "score": float(score),
                            "bbox": [float(value) for value in box],
                            "segmentation": rle.encode(np.roll(mask, rng.integers(-3, 4), rng.integers(2)))})
    rng.shuffle(annotations)
    rng.shuffle(results)
    images = [{"id": image_id, "file_name": f"{image_id}.png", "width": WIDTH, "height": HEIGHT}
              for image_id in image_ids]
    categories = [{"id": category_id, "name": f"class {category_id}"} for category_id in category_ids]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def difference(annotation_file, results_file, iou_type):
    """Return the largest difference of the two programs."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotation_file))
        theirs = COCOeval(truth, truth.loadRes(str(results_file)), iou_type)
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    dataset = CocoDataset(annotation_file)
    ours = getattr(evaluate(dataset, read_detections(results_file, dataset), iou_type), iou_type)
    pairs = ((list(ours.figures.values()), theirs.stats), (ours.precision, theirs.eval["precision"]),
             (ours.recall, theirs.eval["recall"]))
    return max(np.abs(np.asarray(a) - b).max() for a, b in pairs)


def random_differences(num_sets):
    """Yield the difference of every random set and kind of results."""
    with tempfile.TemporaryDirectory() as folder:
        annotation_file, results_file = Path(folder) / "annotations.json", Path(folder) / "results.json"
        drawn = (random_annotations(np.random.default_rng(seed)) for seed in itertools.count())
        for content, results in itertools.islice((one for one in drawn if one[1]), num_sets):
            annotation_file.write_text(json.dumps(content))
            for what, left_out in PARTS.items():
                # pycocotools takes the area of the box for masks, too, where an entry has one: see docs/formats.md.
                iou_type = "segm" if what == "masks" else "bbox"
                results_file.write_text(json.dumps([{key: value for key, value in entry.items() if key not in left_out}
                                                    for entry in results]))
                yield difference(annotation_file, results_file, iou_type)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", metavar="ANNOTATIONS RESULTS bbox|segm")
    parser.add_argument("--sets", type=int, default=300)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    worst = [difference(*arguments.files)] if arguments.files else list(random_differences(arguments.sets))
    print(f"{len(worst)} comparisons, the largest difference is {max(worst):.1e}")
    sys.exit(0 if max(worst) <= TOLERANCE else 1)
