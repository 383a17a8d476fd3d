"""Images and their targets in a file. Uses nothing of the package but its `Target`, which every revision has."""

import numpy as np


def write(path, images, targets):
    """Store float images and their targets."""
    arrays = {"num_images": len(images)}
    for i, (image, target) in enumerate(zip(images, targets)):
        arrays.update({f"image{i}": image, f"boxes{i}": target.boxes, f"labels{i}": target.labels,
                       f"masks{i}": target.masks})
    np.savez(path, **arrays)


def read(path):
    """Return images and targets as `write` stored them."""
    from npmaskrcnn import Target
    with np.load(path) as arrays:
        indices = range(int(arrays["num_images"]))
        return ([arrays[f"image{i}"] for i in indices],
                [Target(arrays[f"boxes{i}"], arrays[f"labels{i}"], arrays[f"masks{i}"]) for i in indices])
