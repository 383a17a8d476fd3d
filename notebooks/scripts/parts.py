"""What is each part of Mask R-CNN worth? Train the tiny model with one part exchanged at a time, and measure it.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/parts.py                # all runs: some two hours on two cores
    python notebooks/scripts/parts.py --only roi_pool --seeds 0             # one of them
    python notebooks/scripts/parts.py --table notebooks/results             # parts.md and parts.png of what is stored

Each variant of `npmaskrcnn.variants` is trained by a recipe that is shorter than that of ``npmaskrcnn train shapes``
(600 steps of four images), and so is the baseline that it is held against. What is measured on rings has a baseline of
its own there. Variants whose claim matters most are trained from three seeds (other weights, other images), all others
once, and two trainings that differ in nothing but luck differ, too.

Every finished run is one small file in notebooks/results/parts/, and a run whose file is there is not made again: after
Ctrl-C or a power failure the same command goes on, and one run is lost at most. A run keeps one core busy, so on two
cores one may make the runs of --seeds 0 in one terminal and those of --seeds 1 2 in another. The weights of those that
are shipped are kept in the folder of --out; ``data/make_variants.py`` makes the shipped files of them.
"""

import sys
import time

import numpy as np
import running
from running import result_file

from npmaskrcnn import save
from npmaskrcnn.commands.train import NUM_SHAPES, SHAPES_MASK_WEIGHT
from npmaskrcnn.datasets import TEST_SEED, RingsDataset, ShapesDataset
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.figures import IOU_THRESHOLDS
from npmaskrcnn.files import make_folder, read_json
from npmaskrcnn.plots import worth
from npmaskrcnn.shipped import TRAINED_VARIANTS
from npmaskrcnn.training import TrainingDiverged, train
from npmaskrcnn.training.validation import predict_dataset
from npmaskrcnn.variants import VARIANTS, maskrcnn_variant

STEPS, LAST = 600, 50
THREE_SEEDS = ("baseline", "roi_pool", "unaligned", "softmax", "mlp_masks", "c4_only", "p4_only", "no_top_down",
               "no_masks")
# The dots in and out of the rings are smaller than the shapes.
TASKS = {"shapes": (ShapesDataset, {}),
         "rings": (RingsDataset, {"anchor_sizes": ((12,), (20,), (32,), (48,), (72,))})}
KINDS = "box", "mask"


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


def make(options, only, seeds, settings):
    """Make the runs that are not stored yet; keep the weights of those that are shipped."""
    folder = make_folder(options.out, "--out")
    def work(run):
        name, task, seed = run
        model, result = train_and_measure(run, settings)
        if name in TRAINED_VARIANTS and task == VARIANTS[name].task and seed == 0:
            save(model, folder / f"{name}.npz")
        return result

    running.make("parts", planned(only, seeds), options.results, settings, work)


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
    return running.text(numbers)


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
    groups = {f"on {task}": {name: {kind: values(runs, kind) for kind in KINDS} for name, runs in by_name.items()}
              for task, by_name in results.items()}
    claims = {name: variant.differences for name, variant in VARIANTS.items()}
    running.write("parts", table(results), worth(groups, claims), folder)


def main(arguments=None):
    parser = running.parser("parts", __doc__, STEPS)
    parser.add_argument("--out", default="parts-weights", metavar="DIR", help="folder of the weights that are shipped")
    options = parser.parse_args(arguments)
    return running.answer(options, VARIANTS, "variant of the tiny model",
                       lambda *wanted: make(options, *wanted), gathered, show)


if __name__ == "__main__":
    sys.exit(main())
