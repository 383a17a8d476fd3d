"""When to take something else? Train three kinds of model alike, and measure what each is good at and gets wrong.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/others.py           # all runs: 50 minutes
    python notebooks/scripts/others.py --only semantic --seeds 0        # one of them
    python notebooks/scripts/others.py --table notebooks/results        # others.md and others.png of what is stored

The tiny Mask R-CNN, a one-stage detector and a semantic network (`npmaskrcnn.others`) begin, with one seed, with the
same body and pyramid, see the same images in the same order, and learn by the same optimizer for as many steps. All are
measured on three sets of 200 images that no training sees: the standard shapes, images of one shape, and images whose
shapes do not touch. On the first also object by object, by their situation:

- apart: its box meets no other object's box;
- touching: its visible mask, grown by a pixel, meets another object's;
- touching its kind: likewise, with another object of its class;
- small: fewer than 600 of its pixels are to be seen;
- occluded: less than 70 % of it is to be seen.

The AP of a situation is that over its objects alone: all others are marked as crowds, so that a detection that lies on
one of them counts neither way. (Detections that lie nowhere count against every situation, which weighs more where
there are few objects: compare models, not situations.)

Every finished run is a small file in notebooks/results/others/, and a run whose file is there is not made again.
"""

import sys
import time
from functools import reduce
from itertools import islice
from operator import getitem
from pathlib import Path

import numpy as np
import running
import scipy.ndimage

from npmaskrcnn import maskrcnn_tiny, ops
from npmaskrcnn.commands.train import NUM_SHAPES, SHAPES_MASK_WEIGHT
from npmaskrcnn.costs import count_products
from npmaskrcnn.datasets import TEST_SEED, ShapesDataset, detections_to_coco, shapes_test_set
from npmaskrcnn.datasets.results import encoded_masks
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.overlap import mask_overlap
from npmaskrcnn.files import read_json
from npmaskrcnn.others import one_stage_tiny, semantic_tiny
from npmaskrcnn.plots import side_by_side
from npmaskrcnn.structures import Detections, Target, as_corners
from npmaskrcnn.training import TrainingDiverged, train
from npmaskrcnn.training.validation import predict_dataset

BUILDERS = {"mask_rcnn": maskrcnn_tiny, "one_stage": one_stage_tiny, "semantic": semantic_tiny}
TITLES = {"mask_rcnn": "Mask R-CNN", "one_stage": "one stage", "semantic": "semantic"}
STEPS, TIMED_IMAGES, SEEDS = 1000, 40, (0, 1, 2)
SMALL, OCCLUDED = 600, 0.7      # pixels; part of the whole
SURE, FOUND, MOSTLY = 0.5, 0.5, 0.5     # score of a detection that errors are told of; IoU; part of an area
SITUATIONS = "apart", "touching", "touching its kind", "small", "occluded"
ERRORS = "found", "wrong class", "merged", "divided", "outline", "nothing there"
SHOWN = "touching its kind", "small", "occluded"        # in the figure


# ---- the images, and who is in which situation ----


class View:
    """Some images of a dataset, and of their objects some; all others become crowds, which do not count."""

    def __init__(self, dataset, rows, chosen=None):
        self.dataset, self.rows, self.chosen, self.class_names = dataset, list(rows), chosen, dataset.class_names

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.dataset[self.rows[i]][0], self.target(i)

    def target(self, i):
        target = self.dataset.target(self.rows[i])
        if self.chosen is None:
            return target
        return Target.from_judged(target.boxes, target.labels, target.masks, ~self.chosen[i], target.area)


def situations(dataset, index):
    """Return {situation: (N,) bool} of the objects of an image."""
    scene, target = dataset.scene(index), dataset.target(index)
    number = len(target)
    others = ~np.eye(number, dtype=bool)
    meets = (ops.box_iou(target.boxes, target.boxes) > 0) & others
    grown = [scipy.ndimage.binary_dilation(mask, np.ones((3, 3), bool)) for mask in scene.masks]
    touches = np.array([[(a & b).any() for b in scene.masks] for a in grown], bool).reshape(number, number) & others
    seen, whole = (layers.sum(axis=(1, 2)) for layers in (scene.masks, scene.layers))
    same = target.labels[:, None] == target.labels
    return dict(zip(SITUATIONS, (~meets.any(axis=1), touches.any(axis=1), (touches & same).any(axis=1), seen < SMALL,
                                 seen < OCCLUDED * whole)))


def test_sets(number):
    """Return the three sets on which all models are measured."""
    many = ShapesDataset(20 * number, seed=TEST_SEED + 2, min_objects=2)
    apart = (i for i in range(len(many)) if len(many.target(i)) > 1 and not situations(many, i)["touching"].any())
    return {"shapes": shapes_test_set(number), "single": ShapesDataset(number, seed=TEST_SEED + 1, max_objects=1),
            "apart": View(many, islice(apart, number))}


def shown_images(dataset):
    """Return the images of the figure, chosen by the truth alone: one with most objects in a situation, each once."""
    tables, chosen = [situations(dataset, i) for i in range(len(dataset))], {}
    for name in SHOWN:
        left = [i for i in range(len(dataset)) if i not in chosen.values()]
        chosen[name] = max(left, key=lambda i: tables[i][name].sum())
    return chosen


# ---- measures ----


def three_figures(part):
    return {name: round(part[name], 4) for name in ("AP", "AP50", "AP75")}


def by_situation(dataset, found):
    """Return AP of boxes and masks, and how many objects there are, for each situation."""
    tables = [situations(dataset, i) for i in range(len(dataset))]
    results = {}
    for name in SITUATIONS:
        view = View(dataset, range(len(dataset)), [table[name] for table in tables])
        measured = evaluate(view, found)
        results[name] = {"objects": int(sum(table[name].sum() for table in tables)),
                         "box": three_figures(measured.bbox), "mask": three_figures(measured.segm)}
    return results


def errors(dataset, found):
    """Count what became of every object (by masks), and the sure detections where nothing is.

    An object is found by a detection of its class with IoU .5. Else the first that holds: a detection of another class
    has IoU .5 with it (wrong class); a detection has most of it and most of another object (merged); two or more lie
    mostly on it (divided); a detection overlaps it at all (outline); or it is missed.
    """
    counts = dict.fromkeys((*ERRORS[:-1], "missed", ERRORS[-1]), 0)
    for i, answer in enumerate(found):
        target, sure = dataset.target(i), answer[answer.scores > SURE]
        masks = np.asarray(sure.masks) > 0.5
        iou = mask_overlap(masks, target.masks, np.zeros(len(target), bool))[0]
        common = np.einsum("dyx,gyx->dg", masks.astype(np.float32), target.masks.astype(np.float32))
        of_object = common / np.maximum(target.masks.sum(axis=(1, 2)), 1)
        of_detection = common / np.maximum(masks.sum(axis=(1, 2)), 1)[:, None]
        same = sure.labels[:, None] == target.labels
        holds = (of_object > MOSTLY)
        for g in range(len(target)):
            tests = ((iou[:, g] >= FOUND) & same[:, g], iou[:, g] >= FOUND, holds[:, g] & (holds.sum(axis=1) > 1))
            kind = next((name for name, test in zip(ERRORS, tests) if test.any()), None)
            if kind is None:
                kind = ("divided" if (of_detection[:, g] > MOSTLY).sum() > 1 else
                        "outline" if (common[:, g] > 0).any() else "missed")
            counts[kind] += 1
        counts["nothing there"] += int((common.sum(axis=1) == 0).sum())
    return counts


def costs(model, dataset):
    """Return milliseconds (median) and million multiply-adds (mean) of a prediction of one image."""
    images, seconds = [dataset[i][0] for i in range(min(TIMED_IMAGES, len(dataset)))], []
    for image in images:
        began = time.perf_counter()
        model.predict(image)
        seconds.append(time.perf_counter() - began)
    products = sum(count_products(model, lambda: model.predict(images)).values()) / len(images)
    return {"ms_image": round(1e3 * float(np.median(seconds)), 2), "million_multiply_adds": round(products / 1e6, 1)}


# ---- the runs ----


def planned(only, seeds):
    """List the runs (name, seed): first all with the first seed."""
    return [(name, seed) for seed in seeds or SEEDS for name in only or BUILDERS]


def train_and_measure(name, seed, settings):
    """Train and measure; return what is to be stored."""
    model, began = BUILDERS[name](rng=np.random.default_rng(seed)), time.perf_counter()
    weights = {"loss_mask": SHAPES_MASK_WEIGHT} if "loss_mask" in model.loss_names else {}
    result = {"name": name, "seed": seed, "settings": settings, "parameters": model.num_parameters()}
    try:
        trainer = train(model, ShapesDataset(NUM_SHAPES, seed=seed), settings["steps"], optimizer="muon", rng=seed,
                        loss_weights=weights, log_every=200)
    except TrainingDiverged as error:       # is a result as well
        return {**result, "diverged": str(error)}
    log, trained = trainer.log.arrays(), time.perf_counter()
    sets = test_sets(settings["test_images"])
    shapes = sets["shapes"]
    result.update(costs(model, shapes), ms_step=round(1e3 * float(np.median(np.diff(log["seconds"]))), 1), sets={})
    for what, dataset in sets.items():
        found = predict_dataset(model, dataset, lambda done: None, batch_size=1)
        measured = evaluate(dataset, found)
        result["sets"][what] = {"box": three_figures(measured.bbox), "mask": three_figures(measured.segm)}
        if what == "shapes":
            result.update(situations=by_situation(shapes, found), errors=errors(shapes, found))
            images = shown_images(shapes).values()
            result["pictures"] = detections_to_coco([found[i][found[i].scores > SURE] for i in images], list(images))
    result["seconds"] = {"training": round(trained - began, 1), "measuring": round(time.perf_counter() - trained, 1)}
    return result


# ---- what the results say ----


def gathered(folder):
    """Return all stored results, {name: [result, ...]}, those of the first seed first."""
    results = {name: [read_json(path) for path in sorted(Path(folder).glob(f"{name}-*.json"))] for name in BUILDERS}
    results = {name: [run for run in runs if "diverged" not in run] for name, runs in results.items()}
    return {name: runs for name, runs in results.items() if runs}


def rows(first):
    """List the rows of the table: what is said, how it is written, where it is in a result."""
    listed = [("parameters", ",.0f", "parameters"),
              ("million multiply-adds an image, of layers", ".0f", "million_multiply_adds"),
              ("milliseconds an image", ".1f", "ms_image"), ("milliseconds a step", ".0f", "ms_step")]
    listed += [(f"{what}: {kind} {figure}", ".3f", "sets", what, kind, figure) for what in first["sets"]
               for kind, figure in (("box", "AP"), ("mask", "AP"), ("mask", "AP50"), ("mask", "AP75"))]
    listed += [(f"{name}, {found['objects']} objects: mask AP", ".3f", "situations", name, "mask", "AP")
               for name, found in first["situations"].items()]
    *of_objects, nowhere = first["errors"]
    total = sum(first["errors"][kind] for kind in of_objects)
    listed += [(f"of {total} objects: {kind}", ".0f", "errors", kind) for kind in of_objects]
    return [*listed, ("detections where nothing is", ".0f", "errors", nowhere)]


def table(results):
    """Write the table, in markdown: a column for each model."""
    first = next(iter(results.values()))[0]
    lines = ["| | " + " | ".join(TITLES[name] for name in results) + " |", "|---" * (len(results) + 1) + "|"]
    for said, form, *way in rows(first):
        cells = [running.text([reduce(getitem, way, run) for run in runs], form) for runs in results.values()]
        lines.append(f"| {said} | " + " | ".join(cells) + " |")
    settings = first["settings"]
    return "\n".join([*lines, "", f"{settings['steps']} steps of four images, measured on {settings['test_images']} "
                      "images of each set. Means over seeds, in brackets the lowest and the highest, of trainings that "
                      "did not diverge. Situations and errors are defined in notebooks/scripts/others.py."]) + "\n"


def picture(results):
    """Draw, for each shown situation, an image with the truth and each model's answer (of the first seed)."""
    dataset = shapes_test_set(next(iter(results.values()))[0]["settings"]["test_images"])
    shown = shown_images(dataset)
    images, targets = zip(*(dataset[i] for i in shown.values()))
    answers = {TITLES[name]: [as_detections([entry for entry in runs[0]["pictures"] if entry["image_id"] == i],
                                            image.shape[:2]) for i, image in zip(shown.values(), images)]
               for name, runs in results.items()}
    return side_by_side(images, {"there": targets, **answers}, titles=list(shown))


def as_detections(entries, size):
    """Return stored entries of one image as `Detections`."""
    xywh = np.array([entry["bbox"] for entry in entries], np.float64).reshape(-1, 4)
    masks = encoded_masks([entry["segmentation"] for entry in entries], size)
    return Detections(as_corners(xywh), np.array([entry["category_id"] for entry in entries], np.int64),
                      np.array([entry["score"] for entry in entries], np.float32), np.asarray(masks))


def main(arguments=None):
    options = running.parser("others", __doc__, STEPS).parse_args(arguments)

    def go(only, seeds, settings):
        running.make("others", planned(only, seeds), options.results, settings,
                     lambda run: train_and_measure(*run, settings))

    def show(results, folder):
        running.write("others", table(results), picture(results), folder)

    return running.answer(options, BUILDERS, "model of this comparison", go, gathered, show)


if __name__ == "__main__":
    sys.exit(main())
