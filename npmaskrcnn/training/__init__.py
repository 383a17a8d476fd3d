"""Training: from losses and gradients to a model that has learned.

`train` is one call with good defaults; `Trainer` is the loop behind it; `SGD`, `AdamW`, `WarmupCosine` and
`WarmupSteps` are what it is made of. `overfit_one_image` is the test to run before any long training.
"""

from .augment import augment, flip_horizontal, zoom
from .checkpoint import load_checkpoint, save_checkpoint
from .divergence import TrainingDiverged
from .gradients import clip_gradients, gradient_norm
from .log import read_log
from .muon import Muon
from .optimizers import SGD, AdamW
from .overfit import overfit_one_image
from .schedule import WarmupCosine, WarmupSteps
from .state import WeightAverage
from .train import train
from .trainer import Trainer

__all__ = ["AdamW", "Muon", "SGD", "Trainer", "TrainingDiverged", "WarmupCosine", "WarmupSteps", "WeightAverage",
           "augment", "clip_gradients", "flip_horizontal", "gradient_norm", "load_checkpoint",
           "overfit_one_image", "read_log", "save_checkpoint", "train", "zoom"]
