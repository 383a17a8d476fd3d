"""The door to the operations of the network: which hand does the work, and whose function stands in for another.

`plain` holds every operation as its formula reads, `fast` quicker forms of many of them. What is called here as
``ops.name`` is the fast form where there is one, and else the plain form. A differentiable operation is a pair:
``y, cache = name_forward(x, ...)`` and ``dx, ... = name_backward(dy, cache)``. What torchvision has, has its name,
argument order and meaning here, on NHWC arrays. Operations compute and do not judge their input: that happens where
it enters the package.

- ``with ops.plain():`` makes the whole model run on the plain forms, which a debugger can be stepped through.
- ``with ops.using(nms=mine):`` puts somebody's own function in the place of one, also where other operations use it.

Both are the process's, and hold until the block ends.
"""

import contextlib
import difflib
import functools
import importlib

import numpy as np  # noqa: F401  (for the examples in the operations' docstrings, which are run here too)

from . import fast
from .errors import InputError

_NAMES = {
    "activations": "hardsigmoid_backward hardsigmoid_forward hardswish_backward hardswish_forward hardswish_in_place",
    "boxes": "box_area box_iou clip_boxes_to_image decode_boxes encode_boxes remove_small_boxes",
    "conv": "conv2d conv2d_add_relu conv2d_backward conv2d_forward conv2d_weight_gradient conv_transpose2d_backward "
            "conv_transpose2d_forward",
    "depthwise": "depthwise_conv2d depthwise_conv2d_backward depthwise_conv2d_forward",
    "linear": "linear_backward linear_forward relu_backward relu_forward relu_in_place sigmoid softmax",
    "losses": "binary_cross_entropy_with_logits_backward binary_cross_entropy_with_logits_forward "
              "binary_cross_entropy_with_logits_per_element smooth_l1_backward smooth_l1_forward smooth_l1_per_element "
              "softmax_cross_entropy_backward softmax_cross_entropy_forward softmax_cross_entropy_per_row",
    "nms": "batched_nms batched_nms_best nms",
    "norm": "batch_norm_backward batch_norm_forward frozen_batch_norm_backward frozen_batch_norm_forward "
            "stored_batch_norm_backward stored_batch_norm_forward",
    "pool": "max_pool2d_backward max_pool2d_forward",
    "resample": "bilinear_neighbors resize_bilinear resize_bilinear_backward resize_bilinear_forward resize_nearest "
                "upsample_nearest_backward upsample_nearest_forward",
    "roi_align": "roi_align roi_align_backward roi_align_forward roi_align_matrix roi_pool roi_pool_backward "
                 "roi_pool_forward",
    "squeeze": "global_avg_pool2d_backward global_avg_pool2d_forward scale_channels_backward scale_channels_forward",
}

# ---- two that are no mathematics: they tell a quick hand where much work comes together ----


def for_each(work, pieces):
    """Call ``work(piece)`` for each of several pieces that do not depend on each other.

    Parameters
    ----------
    work : callable
        Must not write where the work on another piece reads or writes.
    pieces : sequence
    """
    for piece in pieces:
        work(piece)


@contextlib.contextmanager
def whole_pass(numbers=None, training=False):
    """Open around a whole forward, or forward and backward, pass; may be nested.

    Parameters
    ----------
    numbers : int, optional
        In the batch of images, if they are known: how much work is to come.
    training : bool
        Whether gradients are computed.
    """
    yield


# ---- the hands ----

_modules = {name: importlib.import_module(f".plain.{name}", __package__) for name in _NAMES}
_plain = {name: getattr(_modules[home], name) for home, names in _NAMES.items() for name in names.split()}
_plain.update(for_each=for_each, whole_pass=whole_pass)
_fast = {name: getattr(fast, name) for name in _plain if hasattr(fast, name)}
_in_use = {**_plain, **_fast}
_exchanges = []  # one for each open block: somebody's own functions by name, or None for the plain hand

__all__ = ["plain", "using", *_plain]


@contextlib.contextmanager
def using(**functions):
    """Within the block, somebody's own functions do the work of operations, everywhere in the process.

    Also where other operations call them: a fast form that does such work by itself gives way to its plain form,
    which calls it by name. A forward and its backward share their cache and are exchanged together: where only one
    of them is given, the other one is the plain one, so that one's own forward returns the plain cache, or one's
    own backward takes it. Blocks may be nested, and the inner one wins; within or around `plain`, one's own
    functions stay. (An own function that calls the operation that it stands in for calls itself. And the model goes by
    the pairs: its RoIAlign is `roi_align_forward`, not `roi_align`.)

    Parameters
    ----------
    **functions
        By the name of the operation; each with that operation's arguments and results.

    Raises
    ------
    InputError
        If there is no such operation, or a value cannot be called.

    Examples
    --------
    >>> with using(box_area=lambda boxes: "mine"):
    ...     box_area(np.array([[0., 0., 4., 3.]]))
    'mine'
    >>> box_area(np.array([[0., 0., 4., 3.]]))
    array([12.])
    """
    partners = {}
    for name, function in functions.items():
        if name not in _plain:
            nearest = difflib.get_close_matches(name, _plain, n=1, cutoff=0)[0]
            raise InputError(f"there is no operation {name!r} in npmaskrcnn.ops; the nearest is {nearest!r}")
        if not callable(function):
            raise InputError(f"{name} must be a function, got {function!r:.60}")
        stem, _, direction = name.rpartition("_")
        partner = stem + {"forward": "_backward", "backward": "_forward"}.get(direction, "")
        if partner in _plain:
            partners[partner] = _plain[partner]
    with _exchanged({**partners, **functions}):
        yield


@contextlib.contextmanager
def plain():
    """Within the block, the plain forms do all the work; functions given to `using` stay in their places."""
    with _exchanged(None):
        yield


@contextlib.contextmanager
def _exchanged(functions):
    exchange = [functions]  # a list, so that it can be told from another that is equal
    _exchanges.append(exchange)
    try:
        _resolve()
        yield
    finally:
        _exchanges[:] = [other for other in _exchanges if other is not exchange]
        _resolve()


def _resolve():
    """Work out which function does the work of which operation, after a block has begun or ended."""
    own, fast_hand = {}, _fast
    for (functions,) in _exchanges:
        if functions is None:
            fast_hand = {}
        else:
            own.update(functions)
    for name in _plain:
        gives_way = any(part in own for part in fast.BUILT_ON.get(name, ()))
        _in_use[name] = own.get(name, _plain[name] if gives_way else fast_hand.get(name, _plain[name]))
        for module in _modules.values():  # the calls between plain forms
            if name in vars(module):
                setattr(module, name, own.get(name, _plain[name]))


def _door(name):
    @functools.wraps(_plain[name])
    def operation(*args, **kwargs):
        return _in_use[name](*args, **kwargs)

    operation.__module__ = __name__
    return operation


globals().update({name: _door(name) for name in _plain})
