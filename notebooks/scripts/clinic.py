"""Train the clinic's patients, each with its fault, and the healthy one: the stored runs of `npmaskrcnn.clinic`.

    OPENBLAS_NUM_THREADS=1 python notebooks/scripts/clinic.py               # all: 12 minutes on one core
    python notebooks/scripts/clinic.py --only anna healthy                  # some of them

All are the same training but for their faults: version 2 of the tiny model, the recipe of ``npmaskrcnn train shapes``
with 300 steps of four images, seed 0, once. Every run is one file in data/clinic/, and one that is there is not made
again, so after Ctrl-C the same command goes on.

Beside log, pictures and average precision (predicted in the block of `infect`, as the ill do) there are readings,
taken at the end. On the picture: `proposal_iou` is the mean over its objects of the best IoU with a proposal,
`box_iou` and `mask_iou` those of the best detection of any class with a score above one half, `found` how many of these
there are, `positive_rois` and `sampled_rois` how many regions the heads would learn from, `gt_iou` how well the boxes
that the model is told fit the masks that come with them. On the test images: `outside_bbox_AP` and `outside_segm_AP`
are the same model's when it predicts outside the block, and `AP_circle` and so on its box AP of each class.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import running

from npmaskrcnn import clinic, maskrcnn_tiny, ops
from npmaskrcnn.clinic.runs import as_stored
from npmaskrcnn.commands.train import NUM_SHAPES, SHAPES_MASK_WEIGHT
from npmaskrcnn.datasets import ShapesDataset, shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.overlap import mask_overlap
from npmaskrcnn.files import atomic_writer, make_folder
from npmaskrcnn.judge import judge_count, judge_known
from npmaskrcnn.progress import ProgressLine
from npmaskrcnn.structures import mask_extents
from npmaskrcnn.training import Listener, Muon, Trainer, WarmupCosine
from npmaskrcnn.training.validation import predict_dataset

STEPS, TEST_IMAGES, SEED, EVERY = 300, 100, 0, 10
WARMUP = 50                         # steps; at most a tenth of all, as in `train`
FIGURES = "AP", "AP50", "AP75"
NAMES = (clinic.HEALTHY, *clinic.PATIENTS)
RESULTS = Path(__file__).resolve().parent.parent.parent / "data" / "clinic"


class Pictures(Listener):
    """Looks at the picture at some moments of a training."""

    def __init__(self, steps):
        self.steps, self.found = steps, []

    def stepped(self, trainer, batch):
        if trainer.step in self.steps:
            self.found.append(as_stored(trainer.model.predict(clinic.the_picture()[0])))


def make(name, steps, test_images):
    """Train one; return what is to be stored."""
    began = time.perf_counter()
    model, test = maskrcnn_tiny(rng=np.random.default_rng(SEED)), shapes_test_set(test_images)
    moments = [steps // 3, 2 * steps // 3, steps]
    with clinic.infect(name):
        trainer = Trainer(model, ShapesDataset(NUM_SHAPES, seed=SEED), Muon(model.named_parameters(), 2e-2),
                          WarmupCosine(2e-2, steps, min(WARMUP, steps // 10)), rng=SEED, log_every=0,
                          loss_weights={"loss_mask": SHAPES_MASK_WEIGHT})
        trainer.listeners.append(pictures := Pictures(moments))
        log = trainer.run(steps)
        measured = evaluate(test, predict_dataset(model, test, lambda done: None))
        readings = look(model)
    outside = evaluate(test, predict_dataset(model, test, lambda done: None))
    rows = np.r_[0, EVERY - 1:steps:EVERY]
    readings |= {f"outside_{kind}_AP": getattr(outside, kind)["AP"] for kind in ("bbox", "segm")}
    readings |= {f"AP_{which}": values["AP"] for which, values in measured.bbox.per_class.items()}
    ap = {f"{kind}_{figure}": getattr(measured, kind)[figure] for kind in ("bbox", "segm") for figure in FIGURES}
    settings = {"steps": steps, "batch_size": trainer.batch_size, "seed": SEED, "test_images": test_images}
    return {"settings": settings, "steps": moments, "pictures": pictures.found, "ap": rounded(ap),
            "readings": rounded(readings),
            "log": {column: [float(f"{value:.4g}") for value in values[rows]] for column, values in log.items()
                    if column != "seconds"},
            "minutes": round((time.perf_counter() - began) / 60, 2),
            **running.circumstances("clinic", [name], settings)}


def look(model):
    """Take the readings on the picture."""
    image, target = clinic.the_picture()
    trace = model.trace(image, target, np.random.default_rng(SEED))
    found, told = trace.detections[trace.detections.scores > 0.5], trace.training
    masks = mask_overlap(np.asarray(found.masks) > 0.5, target.masks, is_crowd=False)[0]
    return {"found": len(found), "proposals": len(trace.proposals),
            "proposal_iou": best(ops.box_iou(target.boxes, trace.proposals)),
            "box_iou": best(ops.box_iou(target.boxes, found.boxes)), "mask_iou": best(masks.T),
            "gt_iou": float(np.diag(ops.box_iou(told.gt_boxes, mask_extents(target.masks))).mean()),
            "positive_rois": len(told.mask_rois), "sampled_rois": len(told.rois),
            "positive_anchors": told.num_positive_anchors}


def best(overlaps):
    """Return the mean over the rows of each one's largest number; 0 where there are no columns."""
    return float(overlaps.max(axis=1, initial=0).mean())


def rounded(numbers):
    return {name: round(float(value), 4) for name, value in numbers.items()}


def main(arguments=None):
    parser = running.Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these patients (default: all)")
    parser.add_argument("--steps", type=int, default=STEPS, help="(default: %(default)s)")
    parser.add_argument("--test-images", type=int, default=TEST_IMAGES, help="(default: %(default)s)")
    parser.add_argument("--results", default=RESULTS, metavar="DIR", help="folder of the results")
    options = parser.parse_args(arguments)

    def do():
        judge_known(options.only or [], NAMES, "patient")
        steps = judge_count(options.steps, "--steps", 10)
        test_images = judge_count(options.test_images, "--test-images")
        folder = make_folder(options.results, "--results")
        left = [name for name in options.only or NAMES if not (folder / f"{name}.json").exists()]
        progress = ProgressLine("patients", len(left))
        for done, name in enumerate(left):
            progress.update(done, f"next is {name}")
            with atomic_writer(folder / f"{name}.json") as file:
                file.write(json.dumps(make(name, steps, test_images)).encode() + b"\n")
        progress.update(len(left))

    return running.exit_code(do)


if __name__ == "__main__":
    sys.exit(main())
