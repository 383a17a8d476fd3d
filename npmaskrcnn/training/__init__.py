"""Training: from losses and gradients to a model that has learned.

`Loop` is the training loop in plain sight, `Trainer` the same loop with a log, checkpoints and a watch over it, and
`train` one call with good defaults; `SGD`, `AdamW`, `Muon`, `WarmupCosine` and `WarmupSteps` are what they are made
of. `overfit_one_image` is the test to run before any long training.
"""

from .augment import augment, flip_horizontal, zoom
from .checkpoint import load_checkpoint, save_checkpoint
from .divergence import TrainingDiverged
from .log import read_log
from .loop import Listener, Loop
from .muon import Muon
from .optimizers import SGD, AdamW, clip_gradients, gradient_norm
from .overfit import overfit_one_image
from .schedule import WarmupCosine, WarmupSteps
from .state import WeightAverage
from .train import train
from .trainer import Trainer
