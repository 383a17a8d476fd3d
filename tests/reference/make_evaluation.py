"""Make the stored reference figures of the evaluation, with pycocotools.

    python tests/reference/make_evaluation.py

writes `evaluation.json` (the inputs, masks as run lengths, and pycocotools' twelve figures) and
`evaluation.npz` (its precision and recall arrays) next to this file. Only this script needs pycocotools.
`random_case(seed)` and `coco_eval(...)` serve for comparing many more cases than are stored.
"""

import contextlib
import importlib.metadata
import io
import json
import pathlib
from types import SimpleNamespace

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HERE = pathlib.Path(__file__).parent
SEEDS = range(14)


class Images(list):
    """A data set of targets alone."""

    def __init__(self, targets, class_names):
        super().__init__(targets)
        self.class_names = class_names

    def target(self, i):
        return self[i]


# ---- random scenes ----


def random_case(seed):
    """Return a data set of targets and a list of detections, full of the cases that are easily got wrong."""
    rng = np.random.default_rng(seed)
    kind = ("plain", "crowds", "ties", "grid", "many", "empty", "nothing found")[seed % 7]
    num_classes = int(rng.integers(1, 3 if kind == "many" else 5))
    # The last class never has a ground truth.
    class_names = ["background", *(f"class {k}" for k in range(1, num_classes + 1)), "never there"]
    targets, detections = [], []
    for _ in range(2 if kind == "many" else int(rng.integers(3, 9))):
        size = rng.integers(24, 64, 2) if kind == "many" else rng.integers(40, 190, 2)
        target = random_target(rng, size, num_classes, kind)
        targets.append(target)
        detections.append(random_detections(rng, size, target, num_classes, kind))
    return Images(targets, class_names), detections


def random_target(rng, size, num_classes, kind):
    num = 0 if rng.random() < (.6 if kind == "empty" else .1) else int(rng.integers(1, 9))
    masks = np.array([random_mask(rng, size) for _ in range(num)]).reshape(num, *size)
    boxes = boxes_of(masks)
    if kind == "grid":
        boxes = np.round(boxes / 8) * 8 + [0, 0, 8, 8]
    elif rng.random() < .5:
        boxes = boxes + rng.uniform(-3, 3, boxes.shape)                # boxes that do not match their masks
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    area = masks.sum(axis=(1, 2)) * rng.uniform(.8, 1.2, num)
    area[rng.random(num) < .1] = 32.0 ** 2                             # the ends of the ranges
    area[rng.random(num) < .1] = 96.0 ** 2
    is_crowd = rng.random(num) < (.4 if kind == "crowds" else .1)
    return SimpleNamespace(boxes=boxes.astype(np.float32), labels=rng.integers(1, num_classes + 1, num),
                           masks=masks, is_crowd=is_crowd, area=area)


def random_detections(rng, size, target, num_classes, kind):
    if kind == "nothing found" or rng.random() < .1:
        num = 0
    else:
        num = int(rng.integers(120, 300)) if kind == "many" else int(rng.integers(1, 30))
    num_gt = len(target.labels)
    masks, boxes, labels = [], [], []
    scores = rng.random(num)
    for d in range(num):
        if num_gt and rng.random() < .7:                               # near an object
            scores[d] = (1 + scores[d]) / 2
            g = rng.integers(num_gt)
            mask = np.roll(target.masks[g], rng.integers(-3, 4, 2) * (rng.random() < .7), axis=(0, 1))
            if rng.random() < .3:
                mask = mask & (rng.random(mask.shape[1]) < .8)
            step = 2 if kind == "grid" else 0
            shift = rng.integers(-2, 3, 4) * step if step else rng.normal(0, 2, 4) * (rng.random() < .7)
            box = target.boxes[g] + shift
            label = target.labels[g] if rng.random() < .85 else rng.integers(1, num_classes + 2)
        else:
            mask = random_mask(rng, size) if rng.random() < .95 else np.zeros(size, bool)
            box = boxes_of(mask[None])[0] + rng.uniform(0, 2, 4)
            label = rng.integers(1, num_classes + 2)
        box[2:] = np.maximum(box[2:], box[:2] + 1)
        masks.append(mask)
        boxes.append(box)
        labels.append(label)
    if kind in ("ties", "many"):
        scores = np.round(scores, 1)
    order = np.argsort(-scores, kind="stable")
    return SimpleNamespace(boxes=np.array(boxes, np.float32).reshape(-1, 4)[order],
                           labels=np.array(labels, np.int64)[order], scores=scores.astype(np.float32)[order],
                           masks=as_probabilities(np.array(masks, bool).reshape(-1, *size)[order]))


def random_mask(rng, size):
    """An ellipse or a rectangle, at times with a piece missing; at least a pixel."""
    height, width = size
    cy, cx = rng.uniform(0, height), rng.uniform(0, width)
    ry, rx = np.exp(rng.uniform(np.log(2), np.log(.6 * min(size)), 2))
    y = (np.arange(height)[:, None] + .5 - cy) / ry
    x = (np.arange(width)[None, :] + .5 - cx) / rx
    mask = x ** 2 + y ** 2 < 1 if rng.random() < .5 else (abs(x) < 1) & (abs(y) < 1)
    if rng.random() < .3:
        mask &= abs(x) > .2
    mask[min(int(cy), height - 1), min(int(cx), width - 1)] = True
    return mask


def boxes_of(masks):
    boxes = np.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks):
        if mask.any():
            y, x = np.nonzero(mask)
            box[:] = x.min(), y.min(), x.max() + 1, y.max() + 1
    return boxes


def as_probabilities(masks):
    """The model's form of masks: above .5 is the object."""
    return np.where(masks, np.float32(.75), np.float32(.5))


# ---- pycocotools ----


def encode(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode()}


def xywh(box):
    x1, y1, x2, y2 = (float(v) for v in box)
    return [x1, y1, x2 - x1, y2 - y1]


def coco_eval(dataset, detections, iou_type):
    """Return COCOeval's precision and recall arrays and its twelve figures."""
    annotations, results = [], []
    for i, (target, found) in enumerate(zip(dataset, detections)):
        for g in range(len(target.labels)):
            annotations.append({
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": int(target.labels[g]),
                "bbox": xywh(target.boxes[g]), "segmentation": encode(target.masks[g]),
                "area": float(target.area[g]), "iscrowd": int(target.is_crowd[g])})
        for d in range(len(found.labels)):
            shape = ({"bbox": xywh(found.boxes[d])} if iou_type == "bbox"
                     else {"segmentation": encode(found.masks[d] > .5)})
            results.append({"image_id": i + 1, "category_id": int(found.labels[d]),
                            "score": float(found.scores[d]), **shape})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i + 1, "height": target.masks.shape[1], "width": target.masks.shape[2]}
                       for i, target in enumerate(dataset)],
            "categories": [{"id": k, "name": name} for k, name in enumerate(dataset.class_names) if k],
            "annotations": annotations}
        truth.createIndex()
        answer = truth.loadRes(results) if results else COCO()
        if not results:
            answer.dataset = {**truth.dataset, "annotations": []}
            answer.createIndex()
        evaluation = COCOeval(truth, answer, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.eval["precision"], evaluation.eval["recall"], evaluation.stats


# ---- storing ----


def main():
    cases, arrays = [], {}
    for seed in SEEDS:
        dataset, detections = random_case(seed)
        case = {"seed": seed, "class_names": dataset.class_names, "images": [], "figures": {}}
        for target, found in zip(dataset, detections):
            size = [int(n) for n in target.masks.shape[1:]]
            case["images"].append({
                "size": size,
                "target": {"boxes": target.boxes.tolist(), "labels": target.labels.tolist(),
                           "masks": [encode(mask)["counts"] for mask in target.masks],
                           "is_crowd": target.is_crowd.tolist(), "area": target.area.tolist()},
                "detections": {"boxes": found.boxes.tolist(), "labels": found.labels.tolist(),
                               "scores": found.scores.tolist(),
                               "masks": [encode(mask > .5)["counts"] for mask in found.masks]}})
        for iou_type in ("bbox", "segm"):
            precision, recall, figures = coco_eval(dataset, detections, iou_type)
            case["figures"][iou_type] = figures.tolist()
            arrays[f"{seed}/{iou_type}/precision"] = precision
            arrays[f"{seed}/{iou_type}/recall"] = recall
        cases.append(case)
    made_with = {"pycocotools": importlib.metadata.version("pycocotools"), "numpy": np.__version__}
    (HERE / "evaluation.json").write_text(json.dumps({"made_with": made_with, "cases": cases},
                                                     separators=(",", ":")) + "\n")
    np.savez_compressed(HERE / "evaluation.npz", **arrays)


if __name__ == "__main__":
    main()
