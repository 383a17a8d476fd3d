"""What several commands need: a checked output folder, a loaded model, predictions with progress."""

import numpy as np

from ..errors import InputError
from ..progress import ProgressLine
from ..shipped import trained_tiny


def add_out(parser, folder):
    """Add the option --out."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="folder to write into (default: %(default)s)")


def load_model(weights):
    """Load a weight file, or the trained tiny model if `weights` is None."""
    if weights is None:
        return trained_tiny()
    from ..weights import load
    return load(weights)


def class_names_of(model):
    """Return the model's class names, numbered ones if it has none."""
    return model.class_names or ["background"] + [f"class {i}" for i in range(1, model.num_classes)]


def judge_classes(model, dataset, what):
    """Raise `InputError` unless the model and the dataset agree on the classes."""
    if model.num_classes != len(dataset.class_names) or (
            model.class_names and list(model.class_names[1:]) != list(dataset.class_names[1:])):
        ours = ("are " + ", ".join(model.class_names[1:]) if model.class_names
                else f"have no names, and there are {model.num_classes - 1}")
        raise InputError(f"{what}: the classes are {', '.join(dataset.class_names[1:])}; the model's {ours}")


def predict_dataset(model, dataset, what="looking at images", batch_size=4, **thresholds):
    """Return the detections in every image of a dataset, with a progress line."""
    progress, found = ProgressLine(what, len(dataset)), []
    for start in range(0, len(dataset), batch_size):
        images = [dataset[i][0] for i in range(start, min(start + batch_size, len(dataset)))]
        found += model.predict(images, **thresholds)
        progress.update(len(found))
    return found


def label_map(detections, mask_threshold=0.5):
    """Return an (H, W) uint16 image: pixel value i + 1 is detection i; better ones lie on top."""
    picture = np.zeros(detections.masks.shape[1:], dtype=np.uint16)
    for i in reversed(range(len(detections))):
        picture[detections.masks[i] > mask_threshold] = i + 1
    return picture
