"""What happens when one of the five losses counts ten times as much as the others, or a tenth?

    python notebooks/scripts/loss_balance.py            # about half an hour on one core

Trains the tiny model from random weights for 300 steps of two toy images, with all losses weighted alike (from three
seeds, to see how much chance alone changes) and then with one weight at 10 or at 0.1; the three changes that do most
are made with all three seeds. Weights at the start, images and draws are the same in all runs of one seed. Writes
notebooks/results/loss_balance.json: for each run the unweighted losses, as means over the last 50 steps, and average
precision on 100 test images. The file is renewed after each run, and runs that it already holds are not made again:
delete it to begin anew. Lesson 10 shows it.
"""

import json
import sys
from pathlib import Path

import numpy as np

from npmaskrcnn import maskrcnn_tiny
from npmaskrcnn.datasets import ShapesDataset, shapes_test_set
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.training import train

STEPS, BATCH_SIZE, TEST_IMAGES, LAST = 300, 2, 100, 50
LOUDEST = ("loss_classifier", 10.0), ("loss_box_reg", 10.0), ("loss_classifier", 0.1)
RESULT = Path(__file__).resolve().parent.parent / "results" / "loss_balance.json"


def run(loss_weights, seed):
    """Train once; return the losses at the end and the average precision."""
    dataset = ShapesDataset(STEPS * BATCH_SIZE, seed=seed)
    model = maskrcnn_tiny(len(dataset.class_names), rng=np.random.default_rng(seed), version=1)
    trainer = train(model, dataset, num_steps=STEPS, optimizer="muon", warmup=20, batch_size=BATCH_SIZE, rng=seed,
                    loss_weights=loss_weights, validation=shapes_test_set(TEST_IMAGES), log_every=0)
    log, precision = trainer.log.arrays(), trainer.validation_log.arrays()
    ends = {name: round(float(log[name][-LAST:].mean()), 4) for name in LOSS_NAMES}
    return {"loss_weights": loss_weights, "seed": seed, "losses": ends,
            **{name: round(float(precision[name][-1]), 4) for name in ("bbox_AP", "bbox_AP50", "segm_AP", "segm_AP50")}}


def main():
    plan = [({}, 0)] + [({name: 10.0}, 0) for name in LOSS_NAMES] + [({}, 1)]
    plan += [({name: 0.1}, 0) for name in LOSS_NAMES] + [({}, 2)]
    plan += [({name: factor}, seed) for name, factor in LOUDEST for seed in (1, 2)]     # is it chance?
    settings = {"steps": STEPS, "batch_size": BATCH_SIZE, "test_images": TEST_IMAGES, "last_steps": LAST}
    stored = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    runs = stored.pop("runs", []) if stored.items() >= settings.items() else []
    RESULT.parent.mkdir(exist_ok=True)
    for loss_weights, seed in plan:
        if any(r["loss_weights"] == loss_weights and r["seed"] == seed for r in runs):
            continue
        runs.append(run(loss_weights, seed))
        print(json.dumps(runs[-1]), file=sys.stderr, flush=True)
        RESULT.write_text(json.dumps({**settings, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
