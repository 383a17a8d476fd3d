"""What is each part of Mask R-CNN worth? Train the tiny model with one part exchanged at a time, and measure it.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/parts.py                # all runs: some two hours on two cores
    python notebooks/scripts/parts.py --only roi_pool --seeds 0             # one of them
    python notebooks/scripts/parts.py --table notebooks/results             # parts.md and parts.png of what is stored

Each variant of `npmaskrcnn.variants` is trained by a recipe that is half as long as that of ``npmaskrcnn train shapes``
(600 steps of four images), and so is the baseline that it is held against. What is measured on rings has a baseline of
its own there. Variants whose claim matters most are trained from three seeds (other weights, other images), all others
once, and two trainings that differ in nothing but luck differ, too.

Every finished run is one small file in notebooks/results/parts/, and a run whose file is there is not made again: after
Ctrl-C or a power failure the same command goes on, and one run is lost at most. A run keeps one core busy, so on two
cores one may make the runs of --seeds 0 in one terminal and those of --seeds 1 2 in another. The weights of those that
are shipped are kept in the folder of --out; ``data/make_variants.py`` makes the shipped files of them.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import scipy

import npmaskrcnn
from npmaskrcnn import InputError, save
from npmaskrcnn.commands.train import NUM_SHAPES, SHAPES_MASK_WEIGHT
from npmaskrcnn.datasets import TEST_SEED, RingsDataset, ShapesDataset
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.figures import IOU_THRESHOLDS
from npmaskrcnn.files import atomic_writer, make_folder, read_json
from npmaskrcnn.judge import judge_count, judge_known, judge_number
from npmaskrcnn.plots import save_figure, worth
from npmaskrcnn.progress import ProgressLine
from npmaskrcnn.shipped import TRAINED_VARIANTS
from npmaskrcnn.training import TrainingDiverged, train
from npmaskrcnn.training.validation import predict_dataset
from npmaskrcnn.variants import VARIANTS, maskrcnn_variant

STEPS, TEST_IMAGES, LAST = 600, 200, 50
THREE_SEEDS = ("baseline", "roi_pool", "unaligned", "softmax", "mlp_masks", "c4_only", "p4_only", "no_top_down",
               "no_masks")
# The dots in and out of the rings are smaller than the shapes.
TASKS = {"shapes": (ShapesDataset, {}),
         "rings": (RingsDataset, {"anchor_sizes": ((12,), (20,), (32,), (48,), (72,))})}
KINDS = "box", "mask"
RESULTS = Path(__file__).resolve().parent.parent / "results" / "parts"


def planned(only=None, seeds=None):
    """List the runs (name, task, seed): first all with seed 0, so that a part of them is an answer already.

    `seeds` are some of the plan's; of variants that were asked for by name (`only`) they may be any.
    """
    runs = []
    for name in only or VARIANTS:
        usual = (0, 1, 2) if name in THREE_SEEDS else (0,)
        chosen = usual if not seeds else seeds if only else [seed for seed in usual if seed in seeds]
        tasks = TASKS if name == "baseline" else [VARIANTS[name].task]
        runs += [(name, task, seed) for task in tasks for seed in chosen]
    return sorted(runs, key=lambda run: run[2])


def result_file(folder, name, task, seed):
    return Path(folder) / f"{name}-{task}-{seed}.json"


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


def build(name, task, seed):
    """Build the model of a run; with one seed, all variants begin with the same weights where they have the same."""
    return maskrcnn_variant(name, 3 if task == "rings" else 4, np.random.default_rng(seed), **TASKS[task][1])


def loss_weights(name, model):
    """Return by how much each loss of the model counts in this run."""
    weights = {"loss_mask": SHAPES_MASK_WEIGHT}
    return {loss: weights.get(loss, 1.0) * VARIANTS[name].loss_factors.get(loss, 1) for loss in model.loss_names}


def train_and_measure(run, settings):
    """Train and evaluate; return the model and what is to be stored."""
    name, task, seed = run
    model, dataset, began = build(*run), TASKS[task][0], time.perf_counter()
    result = {"name": name, "task": task, "seed": seed, "settings": settings, "parameters": model.num_parameters()}
    try:
        trainer = train(model, dataset(NUM_SHAPES, seed=seed), settings["steps"], optimizer="muon", rng=seed,
                        loss_weights=loss_weights(name, model), log_every=200)
    except TrainingDiverged as error:       # is a result as well
        return model, {**result, "diverged": str(error)}
    log, trained = trainer.log.arrays(), time.perf_counter()
    test = dataset(settings["test_images"], seed=TEST_SEED)
    found = predict_dataset(model, test, lambda done: None)
    measured = evaluate(test, found, ("bbox", "segm") if model.roi_heads.has_masks else ("bbox",))
    seconds = {"training": round(trained - began, 1), "evaluation": round(time.perf_counter() - trained, 1)}
    losses = {loss: round(float(log[loss][-LAST:].mean()), 4) for loss in model.loss_names}
    parts = zip(KINDS, (measured.bbox, measured.segm))
    return model, {**result, "seconds": seconds, "losses": losses,
                   **{kind: four_figures(part) for kind, part in parts if part is not None}}


def four_figures(part):
    """Return AP, AP50, AP75 and AP90 of boxes or masks."""
    strict = part.precision[np.isclose(IOU_THRESHOLDS, 0.9), :, :, 0, -1]
    return {**{name: round(part[name], 4) for name in ("AP", "AP50", "AP75")},
            "AP90": round(float(strict[strict >= 0].mean()), 4)}


def make(runs, options, settings):
    """Make the runs that are not stored yet, and store each as soon as it is done."""
    left = [run for run in runs if stored(options.results, run, settings) is None]
    print(f"{len(runs) - len(left)} of {len(runs)} runs are in {options.results}", flush=True)
    progress = ProgressLine("runs", len(left))
    for done, run in enumerate(left):
        name, task, seed = run
        progress.update(done, f"next is {name} on {task}, seed {seed}")
        progress.line.close()
        model, result = train_and_measure(run, settings)
        if name in TRAINED_VARIANTS and task == VARIANTS[name].task and seed == 0:
            save(model, make_folder(options.out, "--out") / f"{name}.npz")
        with atomic_writer(result_file(make_folder(options.results, "--results"), *run)) as file:
            file.write(json.dumps({**result, **circumstances(run, settings)}, indent=1).encode() + b"\n")
    progress.update(len(left))


def circumstances(run, settings):
    """Return how a result came about: the command that makes it again, threads, versions."""
    name, _, seed = run
    return {"command": f"python notebooks/scripts/parts.py --only {name} --seeds {seed} --steps {settings['steps']}",
            "threads": os.environ.get("OPENBLAS_NUM_THREADS", "not set"),
            "versions": {"npmaskrcnn": npmaskrcnn.__version__, "numpy": np.__version__, "scipy": scipy.__version__,
                         "python": platform.python_version()}}


# ---- what the results say ----


def gathered(folder):
    """Return all stored results: {task: {name: [result, ...]}}, tasks and names in the order of the plan."""
    results = {}
    for run in planned(list(VARIANTS), range(100)):
        path = result_file(folder, *run)
        if path.exists():
            results.setdefault(run[1], {}).setdefault(run[0], []).append(read_json(path))
    order = list(VARIANTS)
    return {task: dict(sorted(results[task].items(), key=lambda item: order.index(item[0])))
            for task in TASKS if task in results}


def values(results, kind, name="AP"):
    """Return a figure of all seeds, (S,); empty where there is none."""
    return np.array([result[kind][name] for result in results if kind in result])


def text(numbers, baseline=None):
    """Write a mean with the range of its seeds, or the word "once"; with a baseline, the difference to its mean."""
    if not len(numbers) or (baseline is not None and not len(baseline)):
        return "-"
    if baseline is not None:
        return f"{round(numbers.mean() - baseline.mean(), 3) + 0.0:+.3f}".replace("0.", ".")     # + 0.0: no -0
    spread = f" ({numbers.min():.3f} to {numbers.max():.3f})" if len(numbers) > 1 else " once"
    return f"{numbers.mean():.3f}{spread}".replace("0.", ".")


HEADS = ("variant", "task", "what is exchanged", "box AP", "mask AP", "mask AP75", "mask AP90", "box AP, difference",
         "mask AP, difference", "in the paper (AP points)", "minutes a run")


def table(results):
    """Write the table, in markdown, and below it what was measured and what the papers say."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    lines += ["| " + " | ".join(table_row(name, task, runs, by_name.get("baseline", []))) + " |"
              for task, by_name in results.items() for name, runs in by_name.items()]
    settings = next(iter(next(iter(results.values())).values()))[0]["settings"]
    claims = {name: VARIANTS[name].paper for by_name in results.values() for name in by_name if VARIANTS[name].paper}
    return "\n".join([
        *lines, "", f"{settings['steps']} steps of four images; measured on {settings['test_images']} images that no "
        "training sees. Means over seeds, in brackets the lowest and the highest; differences are those to the mean of "
        "the same task's baseline, in which the mask loss counts "
        f"{SHAPES_MASK_WEIGHT:g} times and every other once.", "",
        "What the papers say, of larger models and photographs:", "",
        *(f"- `{name}`: {paper}" for name, paper in claims.items())]) + "\n"


def table_row(name, task, runs, baseline):
    """Return the cells of a variant."""
    variant, diverged = VARIANTS[name], sum("diverged" in run for run in runs)
    what = variant.what + f"; diverged, {diverged} of {len(runs)}" * (diverged > 0)
    measured = [text(values(runs, *which)) for which in (("box",), ("mask",), ("mask", "AP75"), ("mask", "AP90"))]
    lost = [text(values(runs, kind), values(baseline, kind)) if name != "baseline" else "" for kind in KINDS]
    paper = ", ".join(f"{kind} {points:+.1f}" for kind, points in variant.differences.items())
    minutes = [sum(run["seconds"].values()) / 60 for run in runs if "seconds" in run]
    return [f"`{name}`", task, what, *measured, *lost, paper, f"{np.mean(minutes):.1f}" if minutes else "-"]


def show(results, folder):
    """Print the table, and write it and the figure into a folder."""
    written, folder = table(results), make_folder(folder, "--table")
    with atomic_writer(folder / "parts.md") as file:
        file.write(written.encode())
    groups = {f"on {task}": {name: {kind: values(runs, kind) for kind in KINDS} for name, runs in by_name.items()}
              for task, by_name in results.items()}
    claims = {name: variant.differences for name, variant in VARIANTS.items()}
    save_figure(worth(groups, claims), folder / "parts.png")
    print(written)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these variants (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="of the plan, or any with --only")
    parser.add_argument("--steps", type=int, default=STEPS, help="(default: %(default)s)")
    parser.add_argument("--test-images", type=int, default=TEST_IMAGES, help="(default: %(default)s)")
    parser.add_argument("--results", default=RESULTS, metavar="DIR", help="folder of the results")
    parser.add_argument("--out", default="parts-weights", metavar="DIR", help="folder of the weights that are shipped")
    parser.add_argument("--table", metavar="DIR", help="train nothing; write parts.md and parts.png into this folder")
    options = parser.parse_args(arguments)
    try:
        if options.table:
            if not (results := gathered(options.results)):
                raise InputError(f"{options.results}: holds no result")
            show(results, options.table)
            return 0
        judge_known(options.only or [], list(VARIANTS), "variant of the tiny model")
        seeds = [judge_number(seed, "--seeds", 0, whole=True) for seed in options.seeds or []]
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
