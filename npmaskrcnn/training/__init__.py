"""Training: from losses and gradients to a model that has learned."""

from .optimizers import SGD, AdamW, clip_gradients, gradient_norm
from .schedule import WarmupCosine, WarmupSteps
