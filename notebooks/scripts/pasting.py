"""What do masks lose between 28x28 cells and the image? Perfect masks, pasted in several ways, against the truth.

    python notebooks/scripts/pasting.py                 # about ten seconds on one core

A mask goes into the small grid by RoIAlign (the target) and comes out by pasting. On the way two things happen that are
not each other's inverse: RoIAlign as torchvision calls it takes a pixel's number to sit at the pixel's left edge (half
a pixel), and pasting cuts the grown box to whole pixels (rounding). On the 200 images of the standard test set:

* true boxes: every object's target, made in its own box, is pasted and compared with its mask. Torchvision's way, each
  of the two errors alone, and neither;
* the trained tiny model's boxes: its own masks, pasted torchvision's way and by the exact inverse of the targets that
  it has learned, and perfect masks in the same boxes, which are the targets of the objects that its boxes overlap most.

Writes notebooks/results/pasting.json: the share of objects whose mask IoU is at least .9 and .95, their mean IoU, and
average precision (mean over IoU .5 to .95, and at single ones), of all objects and of small ones, less than 32 x 32
pixels. Lesson 11 shows it.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.datasets.shapes import shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.figures import AREA_RANGES, IOU_THRESHOLDS
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.stages.paste import paste_masks
from npmaskrcnn.structures import Detections

SIDE, STRICT, SHOWN, SMALL = 28, (0.9, 0.95), (0.5, 0.75, 0.9, 0.95), AREA_RANGES["small"][1]
RESULT = Path(__file__).resolve().parent.parent / "results" / "pasting.json"

# how the target is made (RoIAlign's `aligned`), and where a pixel is read when it is pasted (None: torchvision's way)
WAYS = {"torchvision's way": (False, None), "rounding alone": (True, None), "half pixel alone": (False, 0.5),
        "neither": (True, 0.5), "neither, the targets as they are": (False, 0.0)}


def make_targets(masks, boxes, rows, aligned):
    """Targets (D, 28, 28): of each box, the mask of its row."""
    rois = np.concatenate([rows[:, None], boxes], axis=1).astype(np.float64)
    return ops.roi_align(masks[..., None].astype(np.float64), rois, SIDE, aligned=aligned)[..., 0]


def read_back(small, boxes, image_size, half):
    """Paste without rounding: each pixel of the box, taken to sit at its index plus `half`, reads the small mask."""
    pasted = np.zeros((len(small), *image_size))
    for canvas, mask, (x1, y1, x2, y2) in zip(pasted, small, boxes.astype(np.float64)):
        rows, inside_y = _places(image_size[0], y1, y2, half)
        columns, inside_x = _places(image_size[1], x1, x2, half)
        canvas[np.ix_(inside_y, inside_x)] = _weights(rows) @ mask @ _weights(columns).T
    return pasted


def _places(length, low, high, half):
    """Places in the small mask of the pixels that lie in the box, and which these are."""
    cells = (np.arange(length) + half - low) / (high - low) * SIDE
    inside = np.flatnonzero((cells >= 0) & (cells < SIDE))
    return np.clip(cells[inside] - 0.5, 0, SIDE - 1), inside


def _weights(places):
    """Bilinear weights along one axis, (places, 28)."""
    return np.maximum(1 - np.abs(places[:, None] - np.arange(SIDE)), 0)


def paste(small, boxes, image_size, half):
    """Paste torchvision's way (`half` is None) or without rounding."""
    small, boxes = np.asarray(small, np.float64), np.asarray(boxes, np.float64)
    return paste_masks(small, boxes, image_size) if half is None else read_back(small, boxes, image_size, half)


def precisions(dataset, detections, kind="segm"):
    """Average precision, its mean and at single IoU thresholds, of all objects and of the small ones."""
    precision = evaluate(dataset, detections, iou_types=(kind,))
    precision = getattr(precision, kind).precision[..., -1]            # (threshold, recall, class, area)
    rows = {"mean": slice(None), **{f"{limit:g}": int(np.argmin(abs(IOU_THRESHOLDS - limit))) for limit in SHOWN}}
    result = {}
    for area, which in enumerate(["all", "small"]):
        for name, row in rows.items():
            values = precision[row, :, :, area]
            result[f"{which} {name}"] = round(float(values[values >= 0].mean()), 4)
    return result


def in_true_boxes(dataset):
    """Each way of pasting perfect masks in the objects' own boxes: IoU of every object, and average precision."""
    result = {}
    targets = [dataset.target(i) for i in range(len(dataset))]
    area = np.concatenate([target.area for target in targets])
    for name, (aligned, half) in WAYS.items():
        detections, ious = [], []
        for target in targets:
            size = target.masks.shape[1:]
            small = make_targets(target.masks, target.boxes, np.arange(len(target.labels)), aligned)
            pasted = paste(small, target.boxes, size, half)
            detections.append(Detections(target.boxes, target.labels, np.ones(len(target.labels)), pasted))
            over = pasted > 0.5
            ious += ((over & target.masks).sum((1, 2)) / (over | target.masks).sum((1, 2))).tolist()
        ious = np.array(ious)
        result[name] = {
            which: {"objects": int(rows.sum()), "mean IoU": round(float(ious[rows].mean()), 4),
                    **{f"share {limit:g}": round(float((ious[rows] >= limit).mean()), 4) for limit in STRICT}}
            for which, rows in (("all", area >= 0), ("small", area < SMALL))}
        result[name]["AP"] = precisions(dataset, detections)
    return result


def perfect_small(target, found, own, aligned):
    """Targets under the detected boxes, of the object of the same class that each overlaps most; else its own mask."""
    overlap = ops.box_iou(found.boxes, target.boxes) * (found.labels[:, None] == target.labels)
    best, small = overlap.argmax(axis=1), np.array(own, np.float64)
    on_object = overlap.max(axis=1) > 0
    small[on_object] = make_targets(target.masks, found.boxes[on_object], best[on_object], aligned)
    return small


def in_found_boxes(dataset):
    """Average precision of the model's boxes, of its masks pasted in several ways, and of perfect masks."""
    model = trained_tiny()
    names = {"the model's masks, torchvision's way": ("own", None, None),
             "the model's masks, half pixel alone": ("own", None, 0.5),
             "the model's masks, neither": ("own", None, 0.0),
             "perfect masks, torchvision's way": ("perfect", False, None),
             "perfect masks, half pixel alone": ("perfect", False, 0.5),
             "perfect masks, neither": ("perfect", False, 0.0)}
    detections = {name: [] for name in names}
    for i in range(len(dataset)):
        image, target = dataset[i]
        trace = model.trace(image)
        found, size = trace.detections, image.shape[:2]
        own = ops.sigmoid(trace.mask_logits[np.arange(len(found.labels)), :, :, found.labels])
        for name, (kind, aligned, half) in names.items():
            small = own if kind == "own" else perfect_small(target, found, own, aligned)
            pasted = paste(small, found.boxes, size, half)
            detections[name].append(Detections(found.boxes, found.labels, found.scores, pasted))
    result = {name: {"AP": precisions(dataset, values)} for name, values in detections.items()}
    return {"the model's boxes": {"AP": precisions(dataset, next(iter(detections.values())), "bbox")}, **result}


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("--images", type=int, default=200, help="of the test set (default: %(default)s)")
    options.add_argument("--result", type=Path, default=RESULT, help="file to write")
    options = options.parse_args()
    dataset = shapes_test_set(options.images)
    result = {"command": "python notebooks/scripts/pasting.py", "images": options.images,
              "true boxes": in_true_boxes(dataset), "found boxes": in_found_boxes(dataset)}
    options.result.write_text(json.dumps(result, indent=1) + "\n")
    for part in ("true boxes", "found boxes"):
        for name, figures in result[part].items():
            print(f"{name:38}", figures)


if __name__ == "__main__":
    main()
