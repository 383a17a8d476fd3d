"""The quick forms: the same names, signatures and results as in `plain`, by blocks, cores and sparse matrices.

Nobody has to read this to understand the model. An operation without a quicker form has only its plain one.
Some quick forms do the work of other operations by themselves; `BUILT_ON` says of which, so that `ops.using` can
put the plain form in their place, which calls those others by name.

Where SciPy is missing, as in a browser, which would have to fetch it, there are no sparse matrices: RoIAlign and
resizing then have their plain forms only.
"""

import importlib.util

from .activations import hardswish_backward, hardswish_forward, hardswish_in_place
from .boxes import box_iou
from .conv import (conv2d, conv2d_add_relu, conv2d_backward, conv2d_forward, conv2d_weight_gradient,
                   conv_transpose2d_backward, conv_transpose2d_forward)
from .depthwise import depthwise_conv2d, depthwise_conv2d_backward, depthwise_conv2d_forward
from .linear import linear_backward, linear_forward, relu_backward, relu_forward, relu_in_place
from .nms import batched_nms, batched_nms_best, nms
from .norm import (batch_norm_backward, batch_norm_forward, frozen_batch_norm_backward,
                   frozen_batch_norm_forward)
from .passes import for_each, whole_pass
from .pool import max_pool2d_forward

if importlib.util.find_spec("scipy"):
    from .resample import (resize_bilinear, resize_bilinear_backward, resize_bilinear_forward,
                           upsample_nearest_backward)
    from .roi_align import roi_align, roi_align_backward, roi_align_forward, roi_align_matrix

BUILT_ON = {
    "box_iou": ("box_area",),
    "nms": ("box_iou", "box_area"),
    "batched_nms": ("nms", "box_iou", "box_area"),
    "batched_nms_best": ("batched_nms", "nms", "box_iou", "box_area"),
    "conv2d": ("conv2d_forward",),
    "conv2d_add_relu": ("conv2d_forward", "relu_forward"),
    "conv2d_weight_gradient": ("conv2d_backward",),
    "depthwise_conv2d": ("depthwise_conv2d_forward",),
    "hardswish_backward": ("hardsigmoid_backward", "hardsigmoid_forward"),
    "hardswish_forward": ("hardsigmoid_forward",),
    "hardswish_in_place": ("hardswish_forward", "hardsigmoid_forward"),
    "relu_in_place": ("relu_forward",),
    "resize_bilinear_forward": ("resize_bilinear",),
    "roi_align": ("roi_align_forward",),
}
