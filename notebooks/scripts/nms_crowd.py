"""The boxes of lesson 06's film: `python notebooks/scripts/nms_crowd.py` writes notebooks/results/nms_crowd.json.

The 14 surest boxes of P3, after decoding, that the shipped tiny model finds in one image of two overlapping
objects. They are stored so that the film tells the same story when the model is trained again.
"""

import json
from pathlib import Path

import numpy as np

from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.shipped import trained_tiny

SEED, IMAGE, LEVEL, NUMBER = 7, 209, 1, 14


def main():
    """Run the model on the image and write the boxes, best first."""
    image, _ = ShapesDataset(400, image_size=(96, 128), seed=SEED)[IMAGE]
    trace = trained_tiny(version=1).trace(image)
    rows = np.flatnonzero(trace.top_k_levels == LEVEL)[:NUMBER]      # the order on a level is best first
    result = {"command": "python notebooks/scripts/nms_crowd.py", "seed": SEED, "image": IMAGE,
              "boxes": [[round(float(v), 2) for v in box] for box in trace.top_k_boxes[rows]],
              "scores": [round(float(v), 4) for v in trace.top_k_scores[rows]]}
    path = Path(__file__).resolve().parent.parent / "results" / "nms_crowd.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
