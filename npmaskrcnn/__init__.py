"""Mask R-CNN in NumPy: every stage, forward and backward, written to be read.

The conventions, stated once:

- **Arrays are NHWC.** Images are ``(N, H, W, 3)``, feature maps ``(N, H, W, C)``: a feature map is an image
  whose pixels are vectors. Convolution weights are ``(kh, kw, C_in, C_out)``, RoI features ``(R, h, w, C)``.
- **On disk everything is torchvision's**: its state_dict keys (which are our attribute paths) and its shapes.
- **Boxes** are ``(x1, y1, x2, y2)``, float, in pixels of the image that they are about, right and bottom
  edge exclusive: pixel (0, 0) is the square from 0 to 1. Sizes are ``(height, width)``.
- **Label 0** is background. Masks of a target are bool, ``(N, H, W)``; predicted masks are probabilities.
- **float32** in the model; every operation keeps its input's dtype, so a float64 model checks gradients.
- **Randomness** enters only as an argument ``rng``. Same seed, same machine: same bits.
- ``d`` before another name is the gradient of the loss with respect to it: ``dx``, ``dfeatures``. Box deltas are
  therefore ``tx, ty, tw, th``, and not dx and dy.
- An operation is a pair, ``y, cache = name_forward(x)`` and ``dx = name_backward(dy, cache)``; a layer or a stage is a
  module, ``y = module.forward(x, notes)`` and ``dx = module.backward(dy, notes)``, or ``y = module(x)`` without notes.
- **Empty is valid** everywhere: no object, no proposal, no detection.

Two deviations from torchvision, both on purpose: a pyramid level's scale is its exact stride (see
`stages.roi_pooler`), and ties in scores keep input order (see `ops.nms`).
"""

import importlib.util

__version__ = "0.1.0"

_HOMES = {      # where what one needs most is defined
    "Detections": "structures", "InputError": "errors", "InputWarning": "errors", "MaskRCNN": "mask_rcnn",
    "Target": "structures", "Trace": "trace", "load": "weights", "maskrcnn_resnet50_fpn": "zoo",
    "maskrcnn_resnet50_fpn_v2": "zoo", "maskrcnn_resnet_fpn": "zoo", "maskrcnn_tiny": "models", "save": "weights",
}
__all__ = list(_HOMES)


def __getattr__(name):
    """Import a name when it is first asked for: the command line must answer Ctrl-C while NumPy is still loading."""
    if name in _HOMES:
        globals()[name] = value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f".{name}", __name__)        # npmaskrcnn.weights, npmaskrcnn.datasets, ...
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOMES])
