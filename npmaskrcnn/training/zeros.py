"""Weights that are zero and stay zero: what a pruned model needs when it is trained on."""

from ..light.channels import LAYERS
from .loop import Listener


class KeepZeros(Listener):
    """Sets to zero, after each step, the weights of convolutions and linear layers that were zero when it was made.

    The gradient of such a weight need not be zero, and an optimizer with a memory would move it even so.

    Parameters
    ----------
    model : MaskRCNN
    """

    def __init__(self, model):
        weights = [layer.weight for _, layer in model.named_modules() if isinstance(layer, LAYERS)]
        self.zeros = [(weight, weight.data == 0) for weight in weights]

    def stepped(self, loop, batch):
        """Back to zero."""
        for weight, zero in self.zeros:
            weight.data[zero] = 0
