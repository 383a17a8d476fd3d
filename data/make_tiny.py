"""Make the shipped weights from a finished training: `python data/make_tiny.py npmaskrcnn-run`.

README.md here says with which command the run was made. Weights are rounded
so that the three files compress to a size that one does not mind cloning (the finished model to 12 significant bits,
the early ones to 8), and the log to six digits; the figures in README.md are those of the rounded, shipped model.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from npmaskrcnn import load
from npmaskrcnn.datasets import shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.weights import write_npz

HERE = Path(__file__).resolve().parent
NAME = "tiny"
EARLY = (100, 400)


def rounded(array, bits):
    """Keep `bits` significant bits of each number."""
    if array.dtype != np.float32:
        return array
    fraction, exponent = np.frexp(array)
    return np.ldexp(np.round(fraction * 2 ** bits) / 2 ** bits, exponent).astype(np.float32)


def ship(source, target, bits, dtype=np.float32):
    """Round a model and write it; as float16, a file takes half the room and its numbers keep at most 11 bits."""
    model = load(source)
    state = {key: rounded(value, bits) for key, value in model.state_dict().items()}
    state = {key: value.astype(dtype) if value.dtype == np.float32 else value for key, value in state.items()}
    write_npz(target, state, {"architecture": model.architecture, "class_names": model.class_names}, compress=True)


def main(run):
    """Ship a run's models and log; print the finished one's average precision."""
    ship(run / "model.npz", HERE / f"{NAME}.npz", 12)
    for step in EARLY:
        ship(run / f"checkpoint-{step:06d}.npz", HERE / f"{NAME}-step-{step}.npz", 8)
    with open(run / "log.csv", newline="", encoding="utf-8") as source, \
            open(HERE / f"{NAME}-log.csv", "w", newline="", encoding="utf-8") as target:
        rows = csv.reader(source)
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(next(rows))
        writer.writerows([f"{float(value):.6g}" for value in row] for row in rows)
    (HERE / f"{NAME}-validation.csv").write_bytes((run / "validation.csv").read_bytes())
    model, test = load(HERE / f"{NAME}.npz"), shapes_test_set()
    print(evaluate(test, [model.predict(test[i][0]) for i in range(len(test))]).summary())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
