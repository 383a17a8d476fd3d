"""What pruning, int8 and float16 cost the trained tiny model in average precision, and what they save.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/light.py        # about 50 minutes; nothing beside it, for the times

Each row of the table is a model made of the shipped one: rounded, quantized, with weights set to zero, with channels
taken out; pruned ones without and with a short training afterwards. Two more rows say what that training does by
itself: the full model trained on for as long, and a model of half the widths that begins with random weights; and one
has a light body by design, MobileNetV3's inverted blocks in place of residual ones, from random weights as well. Bytes
are those of an uncompressed file; milliseconds are medians over single images, in turn with the full model's, because
a machine's speed changes. Writes notebooks/results/light/NAME.json after each model, makes none that is there already,
and then light.png beside them.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import npmaskrcnn
from npmaskrcnn import light, plots
from npmaskrcnn.datasets import ShapesDataset, shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.models import TINY_DIMENSIONS
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.training import train
from npmaskrcnn.training.validation import predict_dataset

RESULTS = Path(__file__).resolve().parent.parent / "results" / "light"
COMMAND = "OPENBLAS_NUM_THREADS=1 python notebooks/scripts/light.py"
STEPS, SEED, CALIBRATION_SEED, CALIBRATION_IMAGES, TIMED_IMAGES = 1200, 7000, 9000, 16, 30
ZEROS, CHANNELS = (0.5, 0.8, 0.9, 0.95), (0.75, 0.5, 0.35, 0.25)
CHEAP = ("inner", "pyramid", "rpn", "box", "mask")      # all but what the blocks of the body add to


def plan():
    """Return {name: (kind, share that is kept, steps of training, function of the full model)}."""
    images = [ShapesDataset(CALIBRATION_IMAGES, seed=CALIBRATION_SEED)[i][0] for i in range(CALIBRATION_IMAGES)]
    models = {"full": ("full", 1, 0, lambda full: full),
              "float16": ("float16", 1, 0, light.half),
              "int8": ("int8 weights", 1, 0, light.quantize),
              "int8-inputs": ("int8 weights and inputs", 1, 0, lambda full: light.quantize(full, images)),
              "full-trained": ("full, trained on", 1, STEPS, lambda full: full.astype(np.float32)),
              "scratch-0.5": ("half the widths, from random weights", 0.5, STEPS, half_as_wide),
              "mobilenet": ("MobileNetV3's body, from random weights", 1, STEPS, with_light_body)}
    for steps in (0, STEPS):
        end = "-trained" * (steps > 0)
        for share in ZEROS:
            models[f"zeros-{share}{end}"] = ("weights set to zero", round(1 - share, 2), steps,
                                             lambda full, share=share: light.zero_small_weights(full, share))
        for keep in CHANNELS:
            models[f"channels-{keep}{end}"] = ("channels taken out", keep, steps,
                                               lambda full, keep=keep: light.prune_channels(full, keep))
        models[f"norm-0.5{end}"] = ("channels by their norm", 0.5, steps,
                                    lambda full: light.prune_channels(full, 0.5, by="norm"))
        models[f"cheap-0.5{end}"] = ("channels, but the body's stream whole", 0.5, steps,
                                     lambda full: light.prune_channels(full, 0.5, CHEAP))
    models["per-layer-0.9"] = ("weights of each layer set to zero", 0.1, 0,
                               lambda full: light.zero_small_weights(full, 0.9, per_layer=True))
    return models


def half_as_wide(full):
    """A tiny model of half the widths, and random weights."""
    sizes = {name: tuple(n // 2 for n in size) if isinstance(size, tuple) else size // 2
             for name, size in TINY_DIMENSIONS.items() if name != "blocks"}
    return untrained(full, dimensions=sizes)


def with_light_body(full):
    """A tiny model whose body is of the kind of MobileNetV3's, with random weights."""
    return untrained(full, body="mobilenet")


def untrained(full, **options):
    model = npmaskrcnn.maskrcnn_tiny(rng=np.random.default_rng(SEED), **options)
    model.class_names = full.class_names
    return model


def measure(model, full, test_set):
    """Return average precision, bytes, multiply-adds and milliseconds of a model, and the full one's milliseconds."""
    result = evaluate(test_set, predict_dataset(model, test_set, lambda done: None))
    with tempfile.TemporaryDirectory() as folder:
        npmaskrcnn.save(model, Path(folder) / "model.npz")
        size = (Path(folder) / "model.npz").stat().st_size
    costs = [npmaskrcnn.cost(model, image=test_set[i][0], repeats=1).total for i in range(5)]
    seconds = {"milliseconds": [], "milliseconds_full": []}
    for i in range(TIMED_IMAGES):
        for name, one in (("milliseconds", model), ("milliseconds_full", full)):
            start = time.perf_counter()
            one.predict(test_set[i][0])
            seconds[name].append(time.perf_counter() - start)
    return {"bbox_AP": round(result.bbox.AP, 4), "segm_AP": round(result.segm.AP, 4),
            "segm_AP50": round(result.segm.AP50, 4), "bytes": size, "parameters": costs[0].parameters,
            "zeros": round(light.share_of_zeros(model), 3) if costs[0].parameters else 0,
            "million_multiply_adds": round(np.mean([cost.multiply_adds for cost in costs]) / 1e6, 2),
            **{name: round(1e3 * float(np.median(values[1:])), 2) for name, values in seconds.items()}}


def make(name, kind, kept, steps, function, full, test_set):
    """Make one model, train it on if it is to be, measure it."""
    start = time.perf_counter()
    model = function(full)
    if steps:
        train(model, ShapesDataset(4 * steps, seed=SEED), steps, optimizer="muon", weight_average=0.98, rng=0,
              log_every=0, keep_zeros=kind.startswith("weights"))
    return {"name": name, "kind": kind, "kept": kept, "steps": steps, "seed": SEED, "command": COMMAND,
            **measure(model, full, test_set), "minutes": round((time.perf_counter() - start) / 60, 2)}


def table(rows):
    """Return the measurements as a table in Markdown."""
    lines = ["| model | kept | steps | box AP | mask AP | kB | 10^6 multiply-adds | ms | of full's |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['kind']} | {row['kept']:g} | {row['steps'] or ''} | {row['bbox_AP']:.3f} | "
                     f"{row['segm_AP']:.3f} | {row['bytes'] / 1e3:,.0f} | {row['million_multiply_adds']:.0f} | "
                     f"{row['milliseconds']:.1f} | {row['milliseconds'] / row['milliseconds_full']:.2f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="make these and no others")
    options = parser.parse_args()
    full, test_set, models = trained_tiny(), shapes_test_set(), plan()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in options.only or models:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            row = make(name, *models[name], full, test_set)
            print(json.dumps(row), file=sys.stderr, flush=True)
            path.write_text(json.dumps(row, indent=1) + "\n")
    made = [path for path in (RESULTS / f"{name}.json" for name in models) if path.exists()]
    rows = [json.loads(path.read_text()) for path in made]
    print(table(rows))
    plots.save_figure(plots.light_models(rows), RESULTS / "light.png")


if __name__ == "__main__":
    main()
