"""Arithmetic on arrays: every operation of the network, forward and backward side by side, without state.

A differentiable operation is a pair: ``y, cache = name_forward(x, ...)`` and ``dx, ... = name_backward(dy,
cache)``. The cache is a named tuple of what backward needs, held by reference. Names, argument order and
meaning are torchvision's, on NHWC arrays. Operations compute and do not judge their input: that happens
where it enters the package.
"""

from npmaskrcnn.ops.boxes import (
    box_area,
    box_iou,
    clip_boxes_to_image,
    decode_boxes,
    encode_boxes,
    remove_small_boxes,
)
from npmaskrcnn.ops.conv import (
    conv2d,
    conv2d_backward,
    conv2d_forward,
    conv_transpose2d_backward,
    conv_transpose2d_forward,
)
from npmaskrcnn.ops.linear import linear_backward, linear_forward
from npmaskrcnn.ops.losses import (
    binary_cross_entropy_with_logits_per_element,
    smooth_l1_per_element,
    softmax_cross_entropy_per_row,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    smooth_l1_backward,
    smooth_l1_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
)
from npmaskrcnn.ops.nms import batched_nms, nms
from npmaskrcnn.ops.norm import (
    batch_norm_backward,
    batch_norm_forward,
    frozen_batch_norm_backward,
    frozen_batch_norm_forward,
)
from npmaskrcnn.ops.pointwise import relu_backward, relu_forward, sigmoid, softmax
from npmaskrcnn.ops.pool import max_pool2d_backward, max_pool2d_forward
from npmaskrcnn.ops.resample import (
    bilinear_neighbours,
    resize_bilinear,
    resize_bilinear_backward,
    resize_bilinear_forward,
    resize_nearest,
    upsample_nearest_backward,
    upsample_nearest_forward,
)
from npmaskrcnn.ops.roi_align import roi_align, roi_align_backward, roi_align_forward, roi_align_matrix
from npmaskrcnn.ops.roi_pool import roi_pool, roi_pool_backward, roi_pool_forward
