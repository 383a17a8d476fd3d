"""Exercises about learning and measuring: three losses with their gradients, gradients that join and one that is cut,
a step of SGD and how far it goes, average precision."""

import numpy as np

from .. import ops
from ..evaluation.curves import interpolate_precision, precision_recall_curve
from ..stages.mask_head import mask_loss_backward, mask_loss_forward
from .exercise import case, exercise
from .inputs import floats

# ---- losses ----


@exercise("loss", "dlogits")
def softmax_cross_entropy(logits, labels):
    """logits (N, K), labels (N,) -> loss (a number), dlogits (N, K).

    The box head's classification loss: the mean over regions of `-log softmax(logits)[label]`, with its gradient by the
    logits. `logits` is `(N, K)`, `labels` `(N,)` in 0..K-1. It must not overflow, and be 0 for N = 0.

    Hints
    -----
    - `shifted = logits - logits.max(axis=1, keepdims=True)`; log softmax is `shifted - log(sum(exp(shifted)))`.
    - The gradient is (softmax - one_hot(label)) / N.
    - `logits[np.arange(N), labels]` takes one number from each row.
    """
    loss, cache = ops.softmax_cross_entropy_forward(logits, labels)
    return loss, ops.softmax_cross_entropy_backward(1.0, cache)


@softmax_cross_entropy.tried_on
def _():
    rng = np.random.default_rng(4)
    yield case("one region, undecided among four classes",
               "log(4) = 1.386, the chance level; the gradient is 1/4 everywhere, less 1 at the right class",
               logits=np.zeros((1, 4)), labels=np.array([2]))
    yield case("sure and right", "softmax = exp(logit) / sum of exp",
               logits=floats([0, 9, 0]), labels=np.array([1]))
    yield case("two regions", "the mean over the regions: both the loss and the gradient are divided by N",
               logits=floats([0, 1], [2, 0]), labels=np.array([1, 1]))
    yield case("a logit of 1000",
               "exp(1000) overflows: subtract the row's largest logit first, softmax does not change",
               logits=floats([1000, 0]), labels=np.array([1]))
    yield case("7 regions, 5 classes", logits=3 * rng.standard_normal((7, 5)), labels=rng.integers(0, 5, 7))
    yield case("no region", "0, and an empty gradient", logits=np.zeros((0, 3)), labels=np.zeros(0, int))


@exercise("loss", "dpred")
def smooth_l1(pred, target, beta):
    """pred and target of one shape -> loss (a number), dpred (that shape).

    Smooth L1, summed: for each difference `d = pred - target` it is `d**2 / (2 * beta)` where `|d| < beta` and
    `|d| - beta / 2` elsewhere. Return the loss and its gradient by `pred`.

    Hints
    -----
    - `np.where(condition, a, b)` takes a where the condition holds.
    - The gradient is d / beta, or the sign of d.
    """
    loss, cache = ops.smooth_l1_forward(pred, target, beta)
    return loss, ops.smooth_l1_backward(1.0, cache)


@smooth_l1.tried_on
def _():
    rng = np.random.default_rng(0)
    yield case("one small difference", "on the parabola: d * d / (2 * beta) = 0.125, slope d / beta = 0.5",
               pred=floats(0.5), target=floats(0.0), beta=1.0)
    yield case("one large difference", "on the line: |d| - beta / 2 = 2.5, slope 1",
               pred=floats(3.0), target=floats(0.0), beta=1.0)
    yield case("a large difference to the other side", "the loss has |d|, the slope has the sign of d",
               pred=floats(-3.0), target=floats(0.0), beta=1.0)
    yield case("several with beta = 1/9", "the sum over all elements, not the mean",
               pred=floats(0.05, 0.2, -1, 2), target=floats(0, 0, 0, 2), beta=1 / 9)
    yield case("a (5, 4) array", pred=rng.standard_normal((5, 4)), target=rng.standard_normal((5, 4)), beta=0.5)
    yield case("nothing to compare", "0, and an empty gradient",
               pred=np.zeros((0, 4)), target=np.zeros((0, 4)), beta=1.0)


@exercise("loss", "dlogits")
def mask_bce(logits, labels, targets):
    """(P, M, M, K), (P,) and (P, M, M) -> loss (a number), dlogits (P, M, M, K).

    The mask loss: mean binary cross-entropy over RoIs and pixels, each RoI on the mask of its own class only. `logits`
    is `(P, M, M, K)` with a mask for each of K classes, `labels` `(P,)`, `targets` `(P, M, M)` in 0..1. Return the loss
    and its gradient by the logits.

    Hints
    -----
    - `own = logits[np.arange(len(labels)), :, :, labels]` is (P, M, M).
    - One pixel with logit x and target t costs `max(x, 0) - x * t + log1p(exp(-|x|))`, which is
      `-t * log(p) - (1 - t) * log(1 - p)` with p = sigmoid(x), in a form that cannot overflow.
    - The gradient by `own` is `(sigmoid(own) - targets) / own.size`; put it into an array of zeros of the shape of
      `logits`, with the same index.
    """
    loss, cache = mask_loss_forward(logits, labels, targets)
    return loss, mask_loss_backward(1.0, cache)


@mask_bce.tried_on
def _():
    rng = np.random.default_rng(1)
    undecided = np.zeros((1, 1, 2, 3))
    yield case("one RoI of class 1, two pixels, all logits 0",
               "log(2) = 0.693 a pixel; the gradient is (p - t) / 2 at class 1, and 0 at classes 0 and 2",
               logits=undecided, labels=np.array([1]), targets=floats([[1, 0]]))
    yield case("confident in other classes",
               "other classes' logits change nothing: the masks do not compete (no softmax)",
               logits=undecided + floats(50, 0, -50), labels=np.array([1]), targets=floats([[1, 0]]))
    yield case("two RoIs of different classes", "each RoI has its own channel: logits[np.arange(P), :, :, labels]",
               logits=rng.integers(-2, 3, (2, 1, 2, 3)).astype(float), labels=np.array([2, 1]),
               targets=floats([[1, 0]], [[0, 1]]))
    yield case("a logit of -800 where the pixel is inside",
               "log(sigmoid(-800)) is log(0): use max(x, 0) - x * t + log1p(exp(-|x|)) instead",
               logits=np.full((1, 1, 1, 2), -800.0), labels=np.array([1]), targets=np.ones((1, 1, 1)))
    yield case("four RoIs, 3x5 pixels, four classes, targets with fractions",
               "the mean over RoIs and pixels, not over classes; targets are not rounded",
               logits=rng.standard_normal((4, 3, 5, 4)), labels=np.array([3, 1, 1, 2]), targets=rng.random((4, 3, 5)))


# ---- a join and a cut ----


@exercise("dp3", "drpn_weight")
def join_gradients(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    """p3 (H, W, C), rpn_weight (C, 3), drpn (H, W, 3), cells (R, 2), dbox (R, C), dmask (P, C), dcells (R, 2)
    -> dp3 (H, W, C), drpn_weight (C, 3).

    P3 is read three times: by the RPN, by the box head and by the mask head. Join what comes back, and cut where a
    decision was made. In small: `p3` is a map `(H, W, C)`. The RPN multiplies each cell by a matrix,
    `rpn = p3 @ rpn_weight`; of the three numbers in a cell, the first is the score and the others say where, in rows
    and columns, a RoI is to lie. So R RoIs were placed, and each reads one whole cell, `cells[r]` (row, column): the
    box head at all of them, the mask head at the first P, the positive ones. Backward, you are given the gradients by
    the RPN's output (`drpn`, from its own two losses), by what the heads have read (`dbox`, `dmask`), and also by the
    places at which they read (`dcells`). Return the gradients by `p3` and by `rpn_weight`, as Mask R-CNN computes them.

    Hints
    -----
    - Begin with the RPN: it is a product in each cell, so `dp3` begins as `drpn @ rpn_weight.T`.
    - Then walk over the RoIs and *add* each gradient to the cell that was read.
    - Of the four places where gradients stop, one is here: proposals' coordinates are constants. One of the arguments
      is not needed.
    """
    del dcells      # where a RoI lies has been decided, and is a constant
    rows, columns = cells.T
    dp3 = drpn @ rpn_weight.T
    np.add.at(dp3, (rows, columns), dbox)
    np.add.at(dp3, (rows[:len(dmask)], columns[:len(dmask)]), dmask)
    return dp3, np.einsum("yxc,yxk->ck", p3, drpn)


@join_gradients.tried_on
def _():
    def small(drpn=0.0, cells=(), dbox=(), dmask=(), dcells=0.0):
        """A map of 2x2 cells with two channels, and an RPN with three outputs; what is not named is 0."""
        return {"p3": floats([[1, 2], [3, 4]], [[5, 6], [7, 8]]), "rpn_weight": floats([1, 0, 10], [-1, 2, 1]),
                "drpn": np.zeros((2, 2, 3)) + drpn, "cells": np.array(cells, int).reshape(-1, 2),
                "dbox": floats(*dbox).reshape(-1, 2), "dmask": floats(*dmask).reshape(-1, 2),
                "dcells": np.zeros((len(cells), 2)) + dcells}

    only_score = floats([[0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]])
    yield case("the RPN alone: no RoI, and one score that pulls",
               "the RPN computes p3 @ rpn_weight in each cell; its backward is drpn @ rpn_weight.T for the map, and "
               "for the weight the sum over the cells of (what went in) x (what came back)",
               **small(drpn=only_score))
    yield case("the box head alone: one RoI",
               "a RoI that reads a cell sends its gradient to this cell, and to no other",
               **small(cells=[(1, 0)], dbox=[(1, 2)]))
    yield case("both heads: two RoIs, of which the first is positive",
               "dmask has a row for each of the *first* P RoIs, the positive ones",
               **small(cells=[(1, 0), (0, 1)], dbox=[(1, 2), (3, 4)], dmask=[(10, 20)]))
    yield case("two RoIs that read the same cell",
               "both gradients count: dp3[rows, columns] += ... keeps only the last; np.add.at, or a loop, adds all",
               **small(cells=[(1, 0), (1, 0)], dbox=[(1, 2), (3, 4)]))
    yield case("a gradient by the RoI's place",
               "the cut: where a RoI lies has been decided, and is a constant. dcells goes nowhere, neither to the "
               "map nor to the RPN's weight",
               **small(cells=[(1, 0)], dbox=[(1, 2)], dcells=5.0))
    rng = np.random.default_rng(6)
    cells = rng.integers(0, (4, 5), (7, 2))
    cells[5] = cells[1]
    yield case("a map of 4x5 cells, 7 RoIs, 3 of them positive",
               "all three consumers add into dp3; rpn_weight hears the RPN's own losses alone",
               p3=rng.standard_normal((4, 5, 3)), rpn_weight=rng.standard_normal((3, 3)),
               drpn=rng.standard_normal((4, 5, 3)), cells=cells, dbox=rng.standard_normal((7, 3)),
               dmask=rng.standard_normal((3, 3)), dcells=rng.standard_normal((7, 2)))


# ---- a step, and how far it goes ----


@exercise("new_weight", "new_velocity")
def sgd_step(weight, gradient, velocity, lr, momentum, weight_decay):
    """Three arrays of one shape and three numbers -> new weight, new velocity.

    One step of stochastic gradient descent with momentum, as in torch: add `weight_decay * weight` to the gradient; the
    velocity becomes `momentum * velocity` plus that; the weight moves by `-lr * velocity`. Return the new weight and
    the new velocity, and leave the old ones alone.

    Hints
    -----
    - The new velocity, not the old one, moves the weight.
    """
    velocity = momentum * velocity + gradient + weight_decay * weight
    return weight - lr * velocity, velocity


@sgd_step.tried_on
def _():
    rng = np.random.default_rng(2)
    zero = floats(0, 0)
    yield case("plain: no momentum, no decay", "downhill: weight - lr * gradient",
               weight=floats(1, 2), gradient=floats(10, -10), velocity=zero, lr=0.1, momentum=0.0, weight_decay=0.0)
    yield case("with momentum from earlier steps", "without a new gradient it rolls on with 0.9 of its velocity",
               weight=floats(1, 2), gradient=zero, velocity=floats(1, -1), lr=0.1, momentum=0.9, weight_decay=0.0)
    yield case("with weight decay", "decay adds weight_decay * weight to the gradient",
               weight=floats(10, -10), gradient=zero, velocity=zero, lr=0.1, momentum=0.9, weight_decay=0.01)
    yield case("everything together", "momentum * velocity + gradient + weight_decay * weight is the new velocity",
               weight=rng.standard_normal((2, 3)), gradient=rng.standard_normal((2, 3)),
               velocity=rng.standard_normal((2, 3)), lr=0.02, momentum=0.9, weight_decay=1e-4)


@exercise("ratios")
def update_ratio(before, after, part, num_parts):
    """before and after (W,), part (W,) in 0..num_parts-1 -> ratios (num_parts,).

    The update-to-weight ratio of each part of a model: the length of the change that a step made, divided by the length
    of the weights before the step. All weights come as one long vector; `part[i]` says to which part weight `i`
    belongs. A part whose weights are all 0, or that has none, gets 0.

    Hints
    -----
    - `before[part == 2]` are the weights of part 2; `np.linalg.norm` is a vector's length.
    - Take care of a part whose length is 0 before you divide.
    """
    weights, changes = (np.bincount(part, values ** 2, num_parts) for values in (before, after - before))
    return np.sqrt(np.divide(changes, weights, out=np.zeros(num_parts), where=weights > 0))


@update_ratio.tried_on
def _():
    rng = np.random.default_rng(8)
    weights = rng.standard_normal(40)
    yield case("one part: of weights (3, 4) one moves by 0.1",
               "the change has length 0.1, the weights have length 5 (Pythagoras: the root of 3*3 + 4*4)",
               before=floats(3, 4), after=floats(3, 4.1), part=np.array([0, 0]), num_parts=1)
    yield case("downhill", "a length has no sign: 1 / 10",
               before=floats(10, 0), after=floats(9, 0), part=np.array([0, 0]), num_parts=1)
    yield case("two parts, which do not lie side by side",
               "one ratio for each part, over all of its weights together; not the mean of the single weights' ratios",
               before=floats(1, 10, 1, 10), after=floats(2, 10, 2, 11), part=np.array([0, 1, 0, 1]), num_parts=2)
    yield case("a weight of 0 that begins to move",
               "divide once, the lengths; a ratio for each weight would divide by 0",
               before=floats(0, 2), after=floats(1, 2), part=np.array([0, 0]), num_parts=1)
    yield case("a part that stands still, and one without weights", "0 for both: no change, and nothing to change",
               before=floats(1, 2), after=floats(1, 2), part=np.array([0, 0]), num_parts=2)
    yield case("40 weights, 4 parts",
               before=weights, after=weights + 0.01 * rng.standard_normal(40), part=rng.integers(0, 4, 40), num_parts=4)


# ---- average precision ----


@exercise("AP")
def average_precision(scores, is_true_positive, num_ground_truth):
    """scores (D,), is_true_positive (D,) bool, num_ground_truth int -> AP, a number in 0..1.

    COCO's average precision for one class and one IoU threshold. Sort the detections of all images, best score first.
    After each, precision is the share of right ones so far, recall the share of all objects found so far. At each of
    the 101 recalls `np.linspace(0, 1, 101)` take the best precision at this recall or a greater one, 0 where it is
    never reached. The mean of the 101 numbers is AP.

    Hints
    -----
    - `np.cumsum(right)` counts the right ones so far; divide by 1, 2, 3, ... and by the number of objects.
    - For one recall r: `precision[recall >= r].max()`, if there is any such.
    """
    order = np.argsort(-scores, kind="stable")
    precision, recall = precision_recall_curve(is_true_positive[order], num_ground_truth)
    return float(interpolate_precision(precision, recall).mean())


@average_precision.tried_on
def _():
    rng = np.random.default_rng(3)
    yield case("everything found, nothing else",
               "precision 1 at every recall: 1",
               scores=floats(0.9, 0.8), is_true_positive=np.array([True, True]), num_ground_truth=2)
    yield case("half of the objects found",
               "recall is 1 / 2; recalls 0, 0.01, ... 0.5 are reached with precision 1, that is 51 of 101; beyond it "
               "counts as 0",
               scores=floats(0.9), is_true_positive=np.array([True]), num_ground_truth=2)
    yield case("a false positive between two true ones",
               "precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: beyond recall 0.5 it is 2/3",
               scores=floats(0.9, 0.8, 0.7), is_true_positive=np.array([True, False, True]), num_ground_truth=2)
    yield case("not in order of their scores", "the false one has the better score and comes first",
               scores=floats(0.1, 0.9), is_true_positive=np.array([True, False]), num_ground_truth=1)
    yield case("a dip that recovers", "at each recall take the best precision at this recall or a greater one",
               scores=floats(5, 4, 3, 2, 1), is_true_positive=np.array([False, False, True, True, True]),
               num_ground_truth=4)
    yield case("no detection", "0", scores=np.zeros(0), is_true_positive=np.zeros(0, bool), num_ground_truth=3)
    yield case("60 detections of 40 objects",
               scores=rng.random(60), is_true_positive=rng.random(60) < 0.6, num_ground_truth=40)
