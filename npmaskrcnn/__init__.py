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

__version__ = "0.1.0"

from . import begin, light     # begin comes first
from .costs import cost
from .errors import InputError, InputWarning
from .mask_rcnn import MaskRCNN
from .models import fasterrcnn_tiny, maskrcnn_tiny
from .structures import Detections, Target
from .trace import Trace
from .weights import load, save
from .zoo import (fasterrcnn_mobilenet_v3_large_320_fpn, fasterrcnn_mobilenet_v3_large_fpn, fasterrcnn_resnet50_fpn,
                  fasterrcnn_resnet50_fpn_v2, fasterrcnn_resnet_fpn, maskrcnn_mobilenet_v3_large_fpn,
                  maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2, maskrcnn_resnet_fpn)

__all__ = ["Detections", "InputError", "InputWarning", "MaskRCNN", "Target", "Trace", "cost",
           "fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn",
           "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_resnet_fpn", "fasterrcnn_tiny", "light", "load",
           "maskrcnn_mobilenet_v3_large_fpn", "maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2",
           "maskrcnn_resnet_fpn", "maskrcnn_tiny", "save"]
