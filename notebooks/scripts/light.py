"""What pruning, int8 and float16 cost the trained tiny model in average precision, and what they save.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/light.py        # about an hour, with nothing beside it

Each row of the table is a model made of the shipped one: rounded, quantized, with weights set to zero, with channels
taken out; pruned ones without and with a short training afterwards. Two more rows say what that training does by
itself: the full model trained on for as long, and a model of half the widths that begins with random weights; and one
has a light body by design, MobileNetV3's inverted blocks in place of residual ones, from random weights as well. Bytes
are those of an uncompressed file; milliseconds are medians over single images, in turn with the full model's, because
a machine's speed changes.

    python notebooks/scripts/light.py --only int8 channels-0.5-trained      # some of them
    python notebooks/scripts/light.py --table notebooks/results             # light.md and light.png of what is stored

Every finished run is a small file in notebooks/results/light/, and a run whose file is there is not made again.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import running

import npmaskrcnn
from npmaskrcnn import light, plots
from npmaskrcnn.datasets import ShapesDataset, shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.files import read_json
from npmaskrcnn.models import TINY_DIMENSIONS
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.training import train
from npmaskrcnn.training.validation import predict_dataset

STEPS, CALIBRATION_SEED, CALIBRATION_IMAGES, TIMED_IMAGES, COUNTED_IMAGES = 1200, 9000, 16, 30, 5
SHAPES_SEED = 7000      # of the images to train on, and what is added to it is the run's seed
ZEROS, CHANNELS = (0.5, 0.8, 0.9, 0.95), (0.75, 0.5, 0.35, 0.25)
CHEAP = ("inner", "pyramid", "rpn", "box", "mask")      # all but what the blocks of the body add to


def plan():
    """Return {name: (kind, share that is kept, is it trained?, function of the full model and the run's seed)}."""
    images = [ShapesDataset(CALIBRATION_IMAGES, seed=CALIBRATION_SEED)[i][0] for i in range(CALIBRATION_IMAGES)]
    models = {"full": ("full", 1, False, lambda full, _: full),
              "float16": ("float16", 1, False, lambda full, _: light.half(full)),
              "int8": ("int8 weights", 1, False, lambda full, _: light.quantize(full)),
              "int8-inputs": ("int8 weights and inputs", 1, False, lambda full, _: light.quantize(full, images)),
              "full-trained": ("full, trained on", 1, True, lambda full, _: full.astype(np.float32)),
              "scratch-0.5": ("half the widths, from random weights", 0.5, True, half_as_wide),
              "mobilenet": ("MobileNetV3's body, from random weights", 1, True, with_light_body)}
    for trained in (False, True):
        end = "-trained" * trained
        for share in ZEROS:
            models[f"zeros-{share}{end}"] = ("weights set to zero", round(1 - share, 2), trained,
                                             lambda full, _, share=share: light.zero_small_weights(full, share))
        for keep in CHANNELS:
            models[f"channels-{keep}{end}"] = ("channels taken out", keep, trained,
                                               lambda full, _, keep=keep: light.prune_channels(full, keep))
        models[f"norm-0.5{end}"] = ("channels by their norm", 0.5, trained,
                                    lambda full, _: light.prune_channels(full, 0.5, by="norm"))
        models[f"cheap-0.5{end}"] = ("channels, but the body's stream whole", 0.5, trained,
                                     lambda full, _: light.prune_channels(full, 0.5, CHEAP))
    models["per-layer-0.9"] = ("weights of each layer set to zero", 0.1, False,
                               lambda full, _: light.zero_small_weights(full, 0.9, per_layer=True))
    return models


def half_as_wide(full, seed):
    """A tiny model of half the widths, and random weights."""
    sizes = {name: tuple(n // 2 for n in size) if isinstance(size, tuple) else size // 2
             for name, size in TINY_DIMENSIONS.items() if name != "blocks"}
    return untrained(full, seed, dimensions=sizes)


def with_light_body(full, seed):
    """A tiny model whose body is of the kind of MobileNetV3's, with random weights."""
    return untrained(full, seed, body="mobilenet")


def untrained(full, seed, **options):
    model = npmaskrcnn.maskrcnn_tiny(rng=np.random.default_rng(seed), **options)
    model.class_names = full.class_names
    return model


def measure(model, full, test_set):
    """Return average precision, bytes, multiply-adds and milliseconds of a model, and the full one's milliseconds."""
    result = evaluate(test_set, predict_dataset(model, test_set, lambda done: None))
    with tempfile.TemporaryDirectory() as folder:
        npmaskrcnn.save(model, Path(folder) / "model.npz")
        size = (Path(folder) / "model.npz").stat().st_size
    costs = [npmaskrcnn.cost(model, image=test_set[i][0], repeats=1).total
             for i in range(min(COUNTED_IMAGES, len(test_set)))]
    seconds = {"milliseconds": [], "milliseconds_full": []}
    for i in range(min(TIMED_IMAGES, len(test_set))):
        for name, one in (("milliseconds", model), ("milliseconds_full", full)):
            start = time.perf_counter()
            one.predict(test_set[i][0])
            seconds[name].append(time.perf_counter() - start)
    return {"bbox_AP": round(result.bbox.AP, 4), "segm_AP": round(result.segm.AP, 4),
            "segm_AP50": round(result.segm.AP50, 4), "bytes": size, "parameters": costs[0].parameters,
            "million_multiply_adds": round(float(np.mean([cost.multiply_adds for cost in costs])) / 1e6, 2),
            **{name: round(1e3 * float(np.median(values)), 2) for name, values in seconds.items()}}


def make(name, seed, settings, recipe, full, test_set):
    """Make one model, train it on if it is to be, measure it."""
    kind, kept, trained, function = recipe
    began = time.perf_counter()
    model, steps = function(full, seed), settings["steps"] if trained else 0
    if trained:
        train(model, ShapesDataset(4 * steps, seed=SHAPES_SEED + seed), steps, optimizer="muon", weight_average=0.98,
              rng=seed, log_every=0, keep_zeros=kind.startswith("weights"))
    return {"name": name, "seed": seed, "settings": settings, "kind": kind, "kept": kept, "steps": steps,
            **measure(model, full, test_set), "minutes": round((time.perf_counter() - began) / 60, 2)}


def table(rows):
    """Return the measurements as a table in Markdown."""
    lines = ["| model | kept | steps | box AP | mask AP | kB | 10^6 multiply-adds | time, of full's |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['kind']} | {row['kept']:g} | {row['steps'] or ''} | {row['bbox_AP']:.3f} | "
                     f"{row['segm_AP']:.3f} | {row['bytes'] / 1e3:,.0f} | {row['million_multiply_adds']:.0f} | "
                     f"{row['milliseconds'] / row['milliseconds_full']:.2f} |")
    images = rows[0]["settings"]["test_images"]
    return "\n".join([*lines, "", f"Each once, measured on {images} images that no training sees; steps of four "
                      "images. Bytes are those of the uncompressed file; the time is that of one image with one "
                      "thread, as a ratio to the full model's, which predicted in turn."]) + "\n"


def gathered(names, folder):
    """Return the stored results of the first seed, in the order of the plan."""
    paths = [running.result_file(folder, name, 0) for name in names]
    return [read_json(path) for path in paths if path.exists()]


def main(arguments=None):
    options, models = running.parser("light", __doc__, STEPS).parse_args(arguments), plan()

    def go(only, seeds, settings):
        full, test_set = trained_tiny(), shapes_test_set(settings["test_images"])
        running.make("light", [(name, seed) for seed in seeds or [0] for name in only or models], options.results,
                     settings, lambda run: make(*run, settings, models[run[0]], full, test_set))

    def show(rows, folder):
        running.write("light", table(rows), plots.light_models(rows), folder)

    return running.answer(options, models, "model of this comparison", go,
                          lambda folder: gathered(models, folder), show)


if __name__ == "__main__":
    sys.exit(main())
