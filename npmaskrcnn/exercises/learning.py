"""Exercises about learning and measuring: three losses with their gradients, a step of SGD, average precision."""

import numpy as np

from npmaskrcnn import ops
from npmaskrcnn.exercises.exercise import Case, Exercise
from npmaskrcnn.exercises.steps import JOIN_GRADIENTS, UPDATE_RATIO


def _array(*numbers):
    return np.array(numbers, dtype=np.float64)


# ---- losses ----


def _cross_entropy_reference(logits, labels):
    loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
    return loss, ops.softmax_cross_entropy_backward(1.0, cache)


def _cross_entropy_cases():
    rng = np.random.default_rng(4)
    return [
        Case("one region, undecided among four classes", dict(logits=np.zeros((1, 4)), labels=np.array([2])),
             "log(4) = 1.386, the chance level; the gradient is 1/4 everywhere, less 1 at the right class"),
        Case("sure and right", dict(logits=_array(0, 9, 0).reshape(1, 3), labels=np.array([1])), "softmax = exp(logit) / sum of exp"),
        Case("two regions", dict(logits=_array(0, 1, 2, 0).reshape(2, 2), labels=np.array([1, 1])),
             "the mean over the regions: both the loss and the gradient are divided by N"),
        Case("a logit of 1000", dict(logits=_array(1000, 0).reshape(1, 2), labels=np.array([1])),
             "exp(1000) overflows: subtract the row's largest logit first, softmax does not change"),
        Case("7 regions, 5 classes", dict(logits=3 * rng.standard_normal((7, 5)), labels=rng.integers(0, 5, 7))),
        Case("no region", dict(logits=np.zeros((0, 3)), labels=np.zeros(0, int)), "0, and an empty gradient"),
    ]


SOFTMAX_CROSS_ENTROPY = Exercise(
    name="softmax_cross_entropy",
    statement="""The box head's classification loss: the mean over regions of `-log softmax(logits)[label]`, with its gradient by the
logits. `logits` is `(N, K)`, `labels` `(N,)` in 0..K-1. It must not overflow, and be 0 for N = 0.""",
    stub='''
def softmax_cross_entropy(logits, labels):
    """logits (N, K), labels (N,) -> loss (a number), dlogits (N, K)."""
    ...  # return loss, dlogits
''',
    outputs=("loss", "dlogits"), reference=_cross_entropy_reference, cases=_cross_entropy_cases,
    hints=("`shifted = logits - logits.max(axis=1, keepdims=True)`; log softmax is `shifted - log(sum(exp(shifted)))`.",
           "The gradient is (softmax - one_hot(label)) / N.", "`logits[np.arange(N), labels]` takes one number from each row."))


def _smooth_l1_reference(pred, target, beta):
    loss, cache = ops.smooth_l1_forward(pred, target, beta)
    return loss, ops.smooth_l1_backward(1.0, cache)


def _smooth_l1_cases():
    rng = np.random.default_rng(0)
    return [
        Case("one small difference", dict(pred=_array(0.5), target=_array(0.0), beta=1.0),
             "on the parabola: d * d / (2 * beta) = 0.125, slope d / beta = 0.5"),
        Case("one large difference", dict(pred=_array(3.0), target=_array(0.0), beta=1.0),
             "on the line: |d| - beta / 2 = 2.5, slope 1"),
        Case("a large difference to the other side", dict(pred=_array(-3.0), target=_array(0.0), beta=1.0),
             "the loss has |d|, the slope has the sign of d"),
        Case("several with beta = 1/9", dict(pred=_array(0.05, 0.2, -1, 2), target=_array(0, 0, 0, 2), beta=1 / 9),
             "the sum over all elements, not the mean"),
        Case("a (5, 4) array", dict(pred=rng.standard_normal((5, 4)), target=rng.standard_normal((5, 4)), beta=0.5)),
        Case("nothing to compare", dict(pred=np.zeros((0, 4)), target=np.zeros((0, 4)), beta=1.0), "0, and an empty gradient"),
    ]


SMOOTH_L1 = Exercise(
    name="smooth_l1",
    statement="""Smooth L1, summed: for each difference `d = pred - target` it is `d**2 / (2 * beta)` where `|d| < beta` and
`|d| - beta / 2` elsewhere. Return the loss and its gradient by `pred`.""",
    stub='''
def smooth_l1(pred, target, beta):
    """pred and target of one shape -> loss (a number), dpred (that shape)."""
    ...  # return loss, dpred
''',
    outputs=("loss", "dpred"), reference=_smooth_l1_reference, cases=_smooth_l1_cases,
    hints=("`np.where(condition, a, b)` takes a where the condition holds.", "The gradient is d / beta, or the sign of d."))


def _mask_bce_reference(logits, labels, targets):
    from npmaskrcnn.stages.mask_head import mask_loss_backward, mask_loss_forward

    loss, cache = mask_loss_forward(logits, labels, targets)
    return loss, mask_loss_backward(1.0, cache)


def _mask_bce_cases():
    rng = np.random.default_rng(1)
    undecided = np.zeros((1, 1, 2, 3))
    return [
        Case("one RoI of class 1, two pixels, all logits 0", dict(logits=undecided, labels=np.array([1]), targets=_array(1, 0).reshape(1, 1, 2)),
             "log(2) = 0.693 a pixel; the gradient is (p - t) / 2 at class 1, and 0 at classes 0 and 2"),
        Case("confident in other classes", dict(logits=undecided + _array(50, 0, -50), labels=np.array([1]), targets=_array(1, 0).reshape(1, 1, 2)),
             "other classes' logits change nothing: the masks do not compete (no softmax)"),
        Case("two RoIs of different classes", dict(logits=rng.integers(-2, 3, (2, 1, 2, 3)).astype(float), labels=np.array([2, 1]),
                                                   targets=_array(1, 0, 0, 1).reshape(2, 1, 2)),
             "each RoI has its own channel: logits[np.arange(P), :, :, labels]"),
        Case("a logit of -800 where the pixel is inside", dict(logits=np.full((1, 1, 1, 2), -800.0), labels=np.array([1]),
                                                              targets=np.ones((1, 1, 1))),
             "log(sigmoid(-800)) is log(0): use max(x, 0) - x * t + log1p(exp(-|x|)) instead"),
        Case("four RoIs, 3x5 pixels, four classes, targets with fractions",
             dict(logits=rng.standard_normal((4, 3, 5, 4)), labels=np.array([3, 1, 1, 2]), targets=rng.random((4, 3, 5))),
             "the mean over RoIs and pixels, not over classes"),
    ]


MASK_BCE = Exercise(
    name="mask_bce",
    statement="""The mask loss: mean binary cross-entropy over RoIs and pixels, each RoI on the mask of its own class only.
`logits` is `(P, M, M, K)` with a mask for each of K classes, `labels` `(P,)`, `targets` `(P, M, M)` in 0..1. Return
the loss and its gradient by the logits.""",
    stub='''
def mask_bce(logits, labels, targets):
    """(P, M, M, K), (P,) and (P, M, M) -> loss (a number), dlogits (P, M, M, K)."""
    ...  # return loss, dlogits
''',
    outputs=("loss", "dlogits"), reference=_mask_bce_reference, cases=_mask_bce_cases,
    hints=("`own = logits[np.arange(len(labels)), :, :, labels]` is (P, M, M).",
           "One pixel with logit x and target t costs `max(x, 0) - x * t + log1p(exp(-|x|))`, which is "
           "`-t * log(p) - (1 - t) * log(1 - p)` with p = sigmoid(x), in a form that cannot overflow.",
           "The gradient by `own` is `(sigmoid(own) - targets) / own.size`; put it into an array of zeros of the shape of "
           "`logits`, with the same index."))


# ---- a step ----


def _sgd_reference(weight, gradient, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * weight
    return weight - lr * velocity, velocity


def _sgd_cases():
    rng = np.random.default_rng(2)
    return [
        Case("plain: no momentum, no decay", dict(weight=_array(1, 2), gradient=_array(10, -10), velocity=_array(0, 0), lr=0.1,
                                                  momentum=0.0, weight_decay=0.0), "downhill: weight - lr * gradient"),
        Case("with momentum from earlier steps", dict(weight=_array(1, 2), gradient=_array(0, 0), velocity=_array(1, -1), lr=0.1,
                                                      momentum=0.9, weight_decay=0.0),
             "without a new gradient it rolls on with 0.9 of its velocity"),
        Case("with weight decay", dict(weight=_array(10, -10), gradient=_array(0, 0), velocity=_array(0, 0), lr=0.1,
                                       momentum=0.9, weight_decay=0.01), "decay adds weight_decay * weight to the gradient"),
        Case("everything together", dict(weight=rng.standard_normal((2, 3)), gradient=rng.standard_normal((2, 3)),
                                         velocity=rng.standard_normal((2, 3)), lr=0.02, momentum=0.9, weight_decay=1e-4)),
    ]


SGD_STEP = Exercise(
    name="sgd_step",
    statement="""One step of stochastic gradient descent with momentum, as in torch: add `weight_decay * weight` to the gradient;
the velocity becomes `momentum * velocity` plus that; the weight moves by `-lr * velocity`. Return the new weight and the new velocity,
and leave the old ones alone.""",
    stub='''
def sgd_step(weight, gradient, velocity, lr, momentum, weight_decay):
    """Three arrays of one shape and three numbers -> new weight, new velocity."""
    ...  # return new_weight, new_velocity
''',
    outputs=("new_weight", "new_velocity"), reference=_sgd_reference, cases=_sgd_cases,
    hints=("The new velocity, not the old one, moves the weight.",))


# ---- average precision ----


def _ap_reference(scores, is_true_positive, num_ground_truth):
    from npmaskrcnn.evaluation.curves import interpolate_precision, precision_recall_curve

    order = np.argsort(-scores, kind="stable")
    precision, recall = precision_recall_curve(is_true_positive[order], num_ground_truth)
    return float(interpolate_precision(precision, recall).mean())


def _ap_cases():
    rng = np.random.default_rng(3)
    return [
        Case("everything found, nothing else", dict(scores=_array(0.9, 0.8), is_true_positive=np.array([True, True]), num_ground_truth=2),
             "precision 1 at every recall: 1; it is read at 101 recalls, it is not the area between your points"),
        Case("half of the objects found", dict(scores=_array(0.9), is_true_positive=np.array([True]), num_ground_truth=2),
             "recalls 0, 0.01, ... 0.5 are reached with precision 1, that is 51 of 101; beyond it counts as 0"),
        Case("a false positive between two true ones", dict(scores=_array(0.9, 0.8, 0.7), is_true_positive=np.array([True, False, True]),
                                                            num_ground_truth=2),
             "precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: beyond recall 0.5 it is 2/3"),
        Case("not in order of their scores", dict(scores=_array(0.1, 0.9), is_true_positive=np.array([True, False]), num_ground_truth=1),
             "the false one has the better score and comes first"),
        Case("a dip that recovers", dict(scores=_array(5, 4, 3, 2, 1), is_true_positive=np.array([False, False, True, True, True]),
                                         num_ground_truth=4),
             "at each recall take the best precision at this recall or a greater one"),
        Case("no detection", dict(scores=np.zeros(0), is_true_positive=np.zeros(0, bool), num_ground_truth=3), "0"),
        Case("60 detections of 40 objects", dict(scores=rng.random(60), is_true_positive=rng.random(60) < 0.6, num_ground_truth=40)),
    ]


AVERAGE_PRECISION = Exercise(
    name="average_precision",
    statement="""COCO's average precision for one class and one IoU threshold. Sort the detections of all images, best score first.
After each, precision is the share of right ones so far, recall the share of all objects found so far. At each of the 101 recalls
`np.linspace(0, 1, 101)` take the best precision at this recall or a greater one, 0 where it is never reached. The mean of
the 101 numbers is AP.""",
    stub='''
def average_precision(scores, is_true_positive, num_ground_truth):
    """scores (D,), is_true_positive (D,) bool, num_ground_truth int -> AP, a number in 0..1."""
    ...
''',
    outputs=("AP",), reference=_ap_reference, cases=_ap_cases,
    hints=("`np.cumsum(right)` counts the right ones so far; divide by 1, 2, 3, ... and by the number of objects.",
           "For one recall r: `precision[recall >= r].max()`, if there is any such."))


EXERCISES = (SOFTMAX_CROSS_ENTROPY, SMOOTH_L1, MASK_BCE, JOIN_GRADIENTS, SGD_STEP, UPDATE_RATIO, AVERAGE_PRECISION)
