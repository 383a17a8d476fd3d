"""The same weights on both sides: each array is drawn from a seed that is its key's checksum.

Whoever knows a state dict's keys and shapes can draw its values, in any order and without the other side.
Nothing is left at a value that hides a mistake: biases are not 0, norms not 1, running statistics not (0, 1),
no two channels are equal. Spreads keep activations of order one from layer to layer, and the predictors are
loud enough that a good number of detections is confident. Only uniform numbers of the legacy generator are
used, whose stream NumPy promises to keep, and every value is representable in float32.
"""

import zlib

import numpy as np

# Standard deviation of a predictor's weights, times sqrt(fan in); other layers keep the spread of their input.
PREDICTORS = {"rpn.head.cls_logits": 2.0, "rpn.head.bbox_pred": 0.3, "box_predictor.cls_score": 3.0,
              "box_predictor.bbox_pred": 1.0, "mask_fcn_logits": 2.0}


def center_and_spread(key, shape):
    """Return mean and standard deviation of the array `key` of torchvision's `shape`."""
    name = key.rsplit(".", 1)[1]
    if name == "running_mean":
        return 0.0, 0.2
    if name == "running_var":
        return 1.0, 0.25
    if name == "bias":
        return 0.0, 0.1
    if len(shape) == 1:             # a norm's scale; a block's branch is quiet, or the sum of many would explode
        return (0.5 if ".layer" in key and "downsample" not in key else 0.85 if ".block." in key else 1.0), 0.2
    fan_in = shape[0] if "conv5_mask" in key else int(np.prod(shape[1:]))
    gain = next((gain for part, gain in PREDICTORS.items() if part in key), 0.6 if ".fpn." in key else 2 ** 0.5)
    return 0.0, gain * fan_in ** -0.5


def draw(key, shape, seed=0):
    """Return the float32 array (int64 0 for ``num_batches_tracked``) that belongs to `key`."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    center, spread = center_and_spread(key, shape)
    array = np.random.RandomState((zlib.crc32(key.encode()) + seed) % 2 ** 32).random_sample(shape)
    array -= 0.5
    array *= spread * 12 ** 0.5     # of uniform numbers in -1/2..1/2
    array += center
    array = array.astype(np.float32)
    if "cls_score.weight" in key:   # what all features share would make one class win everywhere
        array[:, 1::2] = -array[:, ::2]
    return array


def weights_by_key(state, seed=0):
    """Return a state dict with the keys and shapes of `state` and values drawn by key.

    >>> {key: value.shape for key, value in weights_by_key({"rpn.head.cls_logits.bias": np.zeros(3)}).items()}
    {'rpn.head.cls_logits.bias': (3,)}
    """
    return {key: draw(key, tuple(value.shape), seed) for key, value in state.items()}
