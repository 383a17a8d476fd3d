"""Make the shipped weights of variants of the tiny model: `python data/make_variants.py parts-weights`.

The folder is that of ``notebooks/scripts/parts.py --out``. Weights are rounded to 9 significant bits and stored as
float16, so that a file takes less than 2 MB; printed are its size and the average precision of what is shipped.
"""

import sys
from pathlib import Path

from make_tiny import HERE, ship

from npmaskrcnn import load
from npmaskrcnn.datasets import TEST_SEED, RingsDataset, ShapesDataset
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.shipped import TRAINED_VARIANTS
from npmaskrcnn.training.validation import predict_dataset
from npmaskrcnn.variants import VARIANTS

BITS, MOST_BYTES, TEST_IMAGES = 9, 2_000_000, 200


def main(folder, into=HERE, test_images=TEST_IMAGES):
    """Ship those variants whose weights are in the folder."""
    for name in TRAINED_VARIANTS:
        target = Path(into) / f"variant-{name}.npz"
        ship(Path(folder) / f"{name}.npz", target, BITS, "float16")
        size, model = target.stat().st_size, load(target)
        if size > MOST_BYTES:
            sys.exit(f"{target}: takes {size:,} bytes, more than {MOST_BYTES:,}")
        test = (RingsDataset if VARIANTS[name].task == "rings" else ShapesDataset)(test_images, seed=TEST_SEED)
        found = evaluate(test, predict_dataset(model, test, lambda done: None))
        print(f"{target.name}: {size:,} bytes, box AP {found.bbox.AP:.3f}, mask AP {found.segm.AP:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
