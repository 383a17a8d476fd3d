"""Draw the sample in ``shapes/``: twelve small pictures of shapes with their annotations in COCO's format.

Run ``python data/make_shapes.py`` from the repository. The pictures are smaller than the standard shapes
and none is square, so that a mistake between height and width shows.
"""

from pathlib import Path

from npmaskrcnn.datasets import ShapesDataset, write_coco

SAMPLE_IMAGES = 12
SAMPLE_SEED = 1703


def sample():
    """The dataset that the sample is a copy of."""
    return ShapesDataset(SAMPLE_IMAGES, image_size=((72, 100), (88, 136)), seed=SAMPLE_SEED)


if __name__ == "__main__":
    print(write_coco(sample(), Path(__file__).parent / "shapes", overwrite=True))
