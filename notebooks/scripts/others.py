"""When to take something else? Train three kinds of model alike, and measure what each is good at and gets wrong.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/others.py           # all runs
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

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import scipy
import scipy.ndimage

import npmaskrcnn
from npmaskrcnn import InputError, maskrcnn_tiny, ops, plain
from npmaskrcnn.commands.train import NUM_SHAPES, SHAPES_MASK_WEIGHT
from npmaskrcnn.datasets import TEST_SEED, ShapesDataset, detections_to_coco, shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.overlap import mask_overlap
from npmaskrcnn.files import atomic_writer, make_folder, read_json
from npmaskrcnn.judge import judge_count, judge_known, judge_number
from npmaskrcnn.others import one_stage_tiny, semantic_tiny
from npmaskrcnn.plots import instances, save_figure
from npmaskrcnn.plots.style import panels
from npmaskrcnn.progress import ProgressLine
from npmaskrcnn.rle import decode
from npmaskrcnn.structures import Detections, Target
from npmaskrcnn.training import TrainingDiverged, train
from npmaskrcnn.training.validation import predict_dataset

BUILDERS = {"mask_rcnn": maskrcnn_tiny, "one_stage": one_stage_tiny, "semantic": semantic_tiny}
TITLES = {"mask_rcnn": "Mask R-CNN", "one_stage": "one stage", "semantic": "semantic"}
STEPS, TEST_IMAGES, TIMED_IMAGES, SEEDS = 1000, 200, 40, (0, 1, 2)
SMALL, OCCLUDED = 600, 0.7      # pixels; part of the whole
SURE, FOUND, MOSTLY = 0.5, 0.5, 0.5     # score of a detection that errors are told of; IoU; part of an area
SITUATIONS = "apart", "touching", "touching its kind", "small", "occluded"
ERRORS = "found", "wrong class", "merged", "divided", "outline", "nothing there"
SHOWN = "touching its kind", "small", "occluded"        # in the figure
RESULTS = Path(__file__).resolve().parent.parent / "results" / "others"


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
    apart = [i for i in range(len(many)) if len(many.target(i)) > 1 and not situations(many, i)["touching"].any()]
    return {"shapes": shapes_test_set(number), "single": ShapesDataset(number, seed=TEST_SEED + 1, max_objects=1),
            "apart": View(many, apart[:number])}


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


@contextlib.contextmanager
def counted_products():
    """Within the block, count the multiply-adds of convolutions and linear layers; yields a list of them."""
    products = []

    def counting(operation, count):
        def counted(x, weight, *args, **kwargs):
            answer = operation(x, weight, *args, **kwargs)
            products.append(count(x, weight, answer[0] if isinstance(answer, tuple) else answer))
            return answer
        return counted

    of_convolution = lambda x, weight, y: y.size * weight[..., 0].size
    of_stamps = lambda x, weight, y: x.size * weight[..., 0, :].size
    with ops.using(conv2d_forward=counting(plain.conv.conv2d_forward, of_convolution),
                   conv2d_add_relu=counting(plain.conv.conv2d_add_relu, of_convolution),
                   conv_transpose2d_forward=counting(plain.conv.conv_transpose2d_forward, of_stamps),
                   linear_forward=counting(plain.linear.linear_forward, lambda x, weight, y: x.size * weight.shape[1])):
        yield products


def costs(model, dataset):
    """Return milliseconds (median) and million multiply-adds (mean) of a prediction of one image."""
    images, seconds = [dataset[i][0] for i in range(min(TIMED_IMAGES, len(dataset)))], []
    for image in images:
        began = time.perf_counter()
        model.predict(image)
        seconds.append(time.perf_counter() - began)
    with counted_products() as products:
        model.predict(images)
    return {"ms_image": round(1e3 * float(np.median(seconds)), 2),
            "million_multiply_adds": round(sum(products) / len(images) / 1e6, 1)}


# ---- the runs ----


def planned(only, seeds):
    """List the runs (name, seed): first all with the first seed."""
    return [(name, seed) for seed in seeds for name in only or BUILDERS]


def result_file(folder, name, seed):
    return Path(folder) / f"{name}-{seed}.json"


def stored(folder, run, settings):
    """Return the result of a run if it was made with these settings, None if there is none."""
    path = result_file(folder, *run)
    if not path.exists():
        return None
    result = read_json(path)
    if result["settings"] != settings:
        raise InputError(f"{path}: is of a run with {result['settings']}, and {settings} are wanted; choose another "
                         "folder with --results, or remove the file")
    return result


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


def make(runs, options, settings):
    """Make the runs that are not stored yet, and store each as soon as it is done."""
    left = [run for run in runs if stored(options.results, run, settings) is None]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are in {options.results}", flush=True)
    progress = ProgressLine("runs", len(left))
    for done, (name, seed) in enumerate(left):
        progress.update(done, f"next is {name}, seed {seed}")
        progress.line.close()
        result = {**train_and_measure(name, seed, settings), **circumstances(name, seed, settings)}
        with atomic_writer(result_file(make_folder(options.results, "--results"), name, seed)) as file:
            file.write(json.dumps(result, indent=1).encode() + b"\n")
    progress.update(len(left))


def circumstances(name, seed, settings):
    """Return how a result came about: the command that makes it again, threads, versions."""
    return {"command": f"python notebooks/scripts/others.py --only {name} --seeds {seed} --steps {settings['steps']}",
            "threads": os.environ.get("OPENBLAS_NUM_THREADS", "not set"),
            "versions": {"npmaskrcnn": npmaskrcnn.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
                         "python": platform.python_version()}}


# ---- what the results say ----


def gathered(folder):
    """Return all stored results, {name: [result, ...]}, those of the first seed first."""
    results = {name: [read_json(path) for path in sorted(Path(folder).glob(f"{name}-*.json"))] for name in BUILDERS}
    results = {name: [run for run in runs if "diverged" not in run] for name, runs in results.items()}
    return {name: runs for name, runs in results.items() if runs}


def text(values, form=".3f"):
    """Write a mean with the range of its seeds, or the word "once"."""
    spread = f" ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else " once"
    written = f"{np.mean(values):{form}}{spread}"
    return written.replace("0.", ".") if form == ".3f" else written


def table(results):
    """Write the table, in markdown: a column for each model."""
    rows = {"parameters": (lambda run: run["parameters"], ",.0f"),
            "million multiply-adds an image": (lambda run: run["million_multiply_adds"], ".0f"),
            "milliseconds an image": (lambda run: run["ms_image"], ".1f"),
            "milliseconds a step": (lambda run: run["ms_step"], ".0f")}
    for what in ("shapes", "single", "apart"):
        for kind, figure in (("box", "AP"), ("mask", "AP"), ("mask", "AP50"), ("mask", "AP75")):
            rows[f"{what}: {kind} {figure}"] = lambda run, way=(what, kind, figure): (
                run["sets"][way[0]][way[1]][way[2]]), ".3f"
    first = next(iter(results.values()))[0]
    for name in SITUATIONS:
        rows[f"{name}, {first['situations'][name]['objects']} objects: mask AP"] = (
            lambda run, name=name: run["situations"][name]["mask"]["AP"]), ".3f"
    total = sum(number for kind, number in first["errors"].items() if kind != "nothing there")
    for kind in first["errors"]:
        rows[f"of {total} objects: {kind}" if kind != "nothing there" else "detections where nothing is"] = (
            lambda run, kind=kind: run["errors"][kind]), ".0f"
    lines = ["| | " + " | ".join(TITLES[name] for name in results) + " |", "|---" * (len(results) + 1) + "|"]
    lines += [f"| {what} | " + " | ".join(text([of(run) for run in runs], form) for runs in results.values()) + " |"
              for what, (of, form) in rows.items()]
    settings = first["settings"]
    return "\n".join([*lines, "", f"{settings['steps']} steps of four images, measured on {settings['test_images']} "
                      "images of each set. Means over seeds, in brackets the lowest and the highest. Situations and "
                      "errors are defined in notebooks/scripts/others.py."]) + "\n"


def picture(results):
    """Draw, for each shown situation, the same image with the truth and each model's answer."""
    dataset = shapes_test_set(next(iter(results.values()))[0]["settings"]["test_images"])
    figure, axes = panels(len(SHOWN), 1 + len(results), 2.3, 2.5)
    for row, (situation, index) in zip(axes, shown_images(dataset).items()):
        image, target = dataset[index]
        instances(image, target, class_names=dataset.class_names, title=f"{situation}: there", ax=row[0], text=False)
        for ax, (name, runs) in zip(row[1:], results.items()):
            found = as_detections([entry for entry in runs[0]["pictures"] if entry["image_id"] == index], target)
            instances(image, found, class_names=dataset.class_names, title=TITLES[name], ax=ax, text=False)
        for ax in row:
            ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
    figure.set_label("Three images, each with what is there and what " + ", ".join(TITLES[name] for name in results)
                     + " found in it with a score above .5.")
    return figure


def as_detections(entries, target):
    """Return stored entries of one image as `Detections`."""
    boxes = np.array([entry["bbox"] for entry in entries], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    masks = np.array([decode(entry["segmentation"]) for entry in entries], bool).reshape(-1, *target.masks.shape[1:])
    return Detections(boxes, np.array([entry["category_id"] for entry in entries], np.int64),
                      np.array([entry["score"] for entry in entries], np.float32), masks)


def show(results, folder):
    """Print the table, and write it and the figure into a folder."""
    written, folder = table(results), make_folder(folder, "--table")
    with atomic_writer(folder / "others.md") as file:
        file.write(written.encode())
    save_figure(picture(results), folder / "others.png")
    print(written)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(BUILDERS)} (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", default=SEEDS, help="(default: 0 1 2)")
    parser.add_argument("--steps", type=int, default=STEPS, help="(default: %(default)s)")
    parser.add_argument("--test-images", type=int, default=TEST_IMAGES, help="(default: %(default)s)")
    parser.add_argument("--results", default=RESULTS, metavar="DIR", help="folder of the results")
    parser.add_argument("--table", metavar="DIR", help="train nothing; write others.md and others.png into this folder")
    options = parser.parse_args(arguments)
    try:
        if options.table:
            if not (results := gathered(options.results)):
                raise InputError(f"{options.results}: holds no result")
            show(results, options.table)
            return 0
        judge_known(options.only or [], list(BUILDERS), "model of this comparison")
        seeds = [judge_number(seed, "--seeds", 0, whole=True) for seed in options.seeds]
        settings = {"steps": judge_count(options.steps, "--steps"),
                    "test_images": judge_count(options.test_images, "--test-images")}
        make(planned(options.only, seeds), options, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on, with the run that was not finished", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
