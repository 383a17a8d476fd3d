"""How an exercise's function takes its place in the real model.

An exercise asks for the idea in its smallest form: RoIAlign of one channel and one region, the IoU of two boxes. The
model wants the whole: all channels, all pairs, and a cache for the way back. An adapter stands between them. Each is
given ``mine``, a function with the exercise's own signature, and returns what takes its place: operations by name, for
`ops.using`, or a context manager that exchanges a stage's function. What an exercise leaves out (groups, other sampling
ratios) stays the package's.
"""

import contextlib
import functools
from unittest.mock import patch

import numpy as np

from .. import mask_rcnn, ops
from ..plain import boxes, conv, losses, norm, resample
from ..plain import nms as suppression
from ..plain import roi_align as align
from ..plain.conv import conv2d_backward, conv2d_forward, conv_transpose2d_forward     # those of the package, also
from ..plain.roi_align import roi_align_forward                                        # while others stand in
from ..stages import matching, roi_heads, roi_pooler
from ..stages.anchors import AnchorGenerator
from ..training.optimizers import SGD
from .watch import stand_in

ADAPTERS = {}       # name of an exercise -> function(mine) -> {operation: function}, or a context manager
EPS = 1e-5          # of the model's batch norms
all_anchors, match_all = AnchorGenerator.__call__, matching.match


@contextlib.contextmanager
def in_their_places(functions):
    """Let the model use functions, by the names of their exercises, until the block ends."""
    operations = {}
    with contextlib.ExitStack() as stack:
        for name, mine in functions.items():
            exchange = ADAPTERS[name](mine)
            if isinstance(exchange, dict):
                operations.update(exchange)     # a forward and its backward have to be exchanged together
            else:
                stack.enter_context(exchange)
        with ops.using(**operations):
            yield


def adapter(name):
    """Decorate the adapter of an exercise."""
    def register(function):
        ADAPTERS[name] = function
        return function
    return register


def operation(name, home):
    """Decorate the adapter of an exercise that is one operation: ``function(mine, *its arguments)``."""
    def register(function):
        original = getattr(home, name)      # now, while nothing is exchanged

        def exchange(mine):
            return {name: stand_in(original, functools.partial(function, mine))}
        return exchange
    return register


def stage(home, name):
    """Decorate the adapter of an exercise that is a function which a stage calls, found in the module or class."""
    def register(function):
        original = getattr(home, name)

        def exchange(mine):
            replacement = stand_in(original, functools.partial(function, mine))
            return patch.object(home, name, lambda *args, **kwargs: replacement(*args, **kwargs))   # binds as a method
        return exchange
    return register


# ---- convolutions and norms ----


@adapter("conv2d_forward")
@operation("conv2d_forward", conv)
def _conv2d_forward(mine, x, weight, bias=None, stride=1, padding=0, groups=1):
    y, cache = conv2d_forward(x, weight, bias, stride, padding, groups)
    if groups == 1:
        no_bias = np.zeros(weight.shape[3], weight.dtype)
        y = mine(x, weight, no_bias if bias is None else bias, cache.stride[0], cache.padding[0])
    return y, cache


@adapter("conv2d_backward")
@operation("conv2d_backward", conv)
def _conv2d_backward(mine, dy, cache):
    if cache.groups != 1:
        return conv2d_backward(dy, cache)
    dx, dweight, dbias = mine(dy, cache.x, cache.weight, cache.stride[0], cache.padding[0])
    return dx, dweight, dbias if cache.has_bias else None


@adapter("conv_transpose2d_forward")
@operation("conv_transpose2d_forward", conv)
def _conv_transpose2d_forward(mine, x, weight, bias=None, stride=1):
    cache = conv_transpose2d_forward(x, weight, bias, stride)[1]
    y = mine(x, weight, stride)
    return (y if bias is None else y + bias), cache


@adapter("batch_norm_backward")
@operation("batch_norm_backward", norm)
def _batch_norm_backward(mine, dy, cache):
    return mine(dy, cache.x, cache.weight, EPS)


@adapter("upsample_backward")
@operation("upsample_nearest_backward", resample)
def _upsample_backward(mine, dy, cache):
    return mine(dy, cache[0])


# ---- boxes ----


@adapter("anchors_of_cell")
@stage(AnchorGenerator, "__call__")
def _anchors_of_cell(mine, generator, grid_sizes, padded_size, dtype=np.float32):
    levels = all_anchors(generator, grid_sizes, padded_size, dtype)
    steps = generator.strides(grid_sizes, padded_size)
    parts = zip(grid_sizes, steps, generator.sizes, generator.aspect_ratios)
    for level, (grid, (along_y, along_x), sizes, ratios) in enumerate(parts):
        if along_y == along_x and len(sizes) == 1:
            own = [mine(row, column, along_x, sizes[0], ratios) for row, column in np.ndindex(*grid)]
            levels[level] = np.concatenate(own).astype(dtype)
    return levels


@adapter("iou")
@operation("box_iou", boxes)
def _iou(mine, boxes1, boxes2):
    return np.array([[mine(box1, box2) for box2 in boxes2] for box1 in boxes1],
                    boxes1.dtype).reshape(len(boxes1), len(boxes2))


@adapter("encode_boxes")
@operation("encode_boxes", boxes)
def _encode_boxes(mine, given, anchors, weights=(1, 1, 1, 1)):
    return mine(given, anchors) * np.array(weights, given.dtype)


@adapter("decode_boxes")
@operation("decode_boxes", boxes)
def _decode_boxes(mine, deltas, anchors, weights=(1, 1, 1, 1)):
    return mine(deltas / np.array(weights, deltas.dtype), anchors)


@adapter("match")
@stage(matching, "match")
def _match(mine, iou, high_threshold, low_threshold, allow_low_quality_matches=False):
    if not allow_low_quality_matches:       # the box head's matching, which lets objects go empty
        return match_all(iou, high_threshold, low_threshold)
    return mine(iou, high_threshold, low_threshold)


@adapter("nms")
@operation("nms", suppression)
def _nms(mine, boxes, scores, iou_threshold):
    return mine(boxes, scores, iou_threshold)


@adapter("to_image_frame")
@stage(mask_rcnn, "scale_boxes")
def _to_image_frame(mine, boxes, from_size, to_size):
    return mine(boxes, from_size, from_size, to_size)       # one image fills its canvas


# ---- regions ----


@adapter("assign_level")
@stage(roi_pooler, "assign_levels")
def _assign_level(mine, boxes, canonical_scale=224, *_):
    return np.array([mine(box, canonical_scale) for box in boxes], np.int64) - 2


@adapter("roi_align_forward")
@operation("roi_align_forward", align)
def _roi_align_forward(mine, features, rois, output_size, spatial_scale=1.0, sampling_ratio=-1,
                       aligned=False):
    y, cache = roi_align_forward(features, rois, output_size, spatial_scale, sampling_ratio, aligned)
    if sampling_ratio == roi_pooler.SAMPLING_RATIO:     # as the exercise; masks' targets are cut out with another one
        for r, (image, *box) in enumerate(rois):
            for channel in range(features.shape[3]):
                y[r, :, :, channel] = mine(features[int(image), :, :, channel], np.array(box) * spatial_scale,
                                           y.shape[1:3])
    return y, cache


@adapter("roi_align_backward")
@contextlib.contextmanager
def _roi_align_backward(mine):
    """Its caches know weights and no boxes, so the pooler, which knows the boxes, is where it stands."""
    original_forward, original_backward, seen = roi_pooler.RoIPooler.forward, roi_pooler.RoIPooler.backward, {}

    def forward(pooler, features, rois, notes):
        seen[pooler] = rois
        return original_forward(pooler, features, rois, notes)

    def backward(pooler, dy, notes):
        dfeatures = original_backward(pooler, dy, notes)
        for level, stride in enumerate(pooler.strides):
            dlevel = dfeatures[level] = np.zeros_like(dfeatures[level])
            for r in notes[level].rows:
                image, *box = seen[pooler][r]
                for channel in range(dy.shape[3]):
                    dlevel[int(image), :, :, channel] += mine(dy[r, :, :, channel], dlevel.shape[1:3],
                                                              np.array(box) / stride)
        return dfeatures

    with (patch.object(roi_pooler.RoIPooler, "forward", forward),
          patch.object(roi_pooler.RoIPooler, "backward", stand_in(original_backward, backward))):
        yield


@adapter("paste_mask")
@stage(mask_rcnn, "paste_masks")
def _paste_mask(mine, masks, boxes, image_size):
    pasted = [mine(mask, box, tuple(image_size)) for mask, box in zip(masks, boxes)]
    return np.array(pasted, masks.dtype).reshape(len(masks), *image_size)


# ---- losses and the optimizer: an exercise returns the loss and its gradient, which waits in the cache ----


def _times(original):
    """Return the backward of a loss whose cache is its gradient, if the exercise's function has computed it."""
    return lambda dloss, cache: dloss * cache if isinstance(cache, np.ndarray) else original(dloss, cache)


def _loss(name, mine):
    forward, backward = f"{name}_forward", f"{name}_backward"
    return {forward: stand_in(getattr(losses, forward), mine), backward: _times(getattr(losses, backward))}


adapter("softmax_cross_entropy")(functools.partial(_loss, "softmax_cross_entropy"))
adapter("smooth_l1")(functools.partial(_loss, "smooth_l1"))


@adapter("mask_bce")
@contextlib.contextmanager
def _mask_bce(mine):
    with (patch.object(roi_heads, "mask_loss_forward", stand_in(roi_heads.mask_loss_forward, mine)),
          patch.object(roi_heads, "mask_loss_backward", _times(roi_heads.mask_loss_backward))):
        yield


@adapter("sgd_step")
@stage(SGD, "_update")
def _sgd_step(mine, optimizer, w, g, b, lr, _):
    w[:], b[:] = mine(w, g, b, lr, optimizer.momentum, optimizer.weight_decay)
