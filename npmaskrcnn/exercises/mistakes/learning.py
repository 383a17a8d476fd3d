"""Common wrong answers about learning and measuring: losses, gradients that join, a step of SGD, average precision."""

import numpy as np

from ... import ops
from ...evaluation.curves import RECALL_POINTS, interpolate_precision, precision_recall_curve
from .. import learning as right

# ---- softmax and cross-entropy ----


@right.softmax_cross_entropy.mistake("The loss is a mean, but its gradient is not: it is divided by the number of "
                                     "regions as well.")
def _(logits, labels):
    loss, dlogits = right.softmax_cross_entropy.reference(logits, labels)
    return loss, dlogits * len(labels)


added_up = right.softmax_cross_entropy.mistake(
    "The regions' losses are added up. The loss is their mean; both it and its gradient are divided by their number.")


@added_up
def _(logits, labels):
    loss, dlogits = right.softmax_cross_entropy.reference(logits, labels)
    return loss * len(labels), dlogits * len(labels)


@added_up       # the gradient is right
def _(logits, labels):
    loss, dlogits = right.softmax_cross_entropy.reference(logits, labels)
    return loss * len(labels), dlogits


@right.softmax_cross_entropy.mistake("The gradient is softmax alone, so every class is pushed down. The right class "
                                     "is to be raised: subtract 1 there, before dividing by N.")
def _(logits, labels):
    loss, _ = right.softmax_cross_entropy.reference(logits, labels)
    return loss, ops.softmax(logits) / len(labels)


@right.softmax_cross_entropy.mistake("exp of a large logit is infinite. Take the row's largest logit away first: "
                                     "softmax stays the same.")
def _(logits, labels):
    rows, exps = np.arange(len(labels)), np.exp(logits)
    softmax = exps / exps.sum(axis=1, keepdims=True)
    one_hot = np.eye(logits.shape[1])[labels]
    return -np.log(softmax[rows, labels]).sum() / max(len(labels), 1), (softmax - one_hot) / len(labels)


@right.softmax_cross_entropy.mistake("Without a region the loss is not a number: the mean of nothing is 0 / 0. It "
                                     "should be 0 then.")
def _(logits, labels):
    loss, dlogits = right.softmax_cross_entropy.reference(logits, labels)
    return loss if len(labels) else np.nan, dlogits


# ---- smooth L1 ----


averaged = right.smooth_l1.mistake(
    "The loss is the mean over the elements. Here it is their sum: what it is divided by is the caller's business.")


@averaged
def _(pred, target, beta):
    loss, dpred = right.smooth_l1.reference(pred, target, beta)
    return loss / max(pred.size, 1), dpred / max(pred.size, 1)


@averaged       # the gradient is right
def _(pred, target, beta):
    loss, dpred = right.smooth_l1.reference(pred, target, beta)
    return loss / max(pred.size, 1), dpred


@right.smooth_l1.mistake("The gradient is that of the mean over the elements. Here the loss is their sum, and each "
                         "element has its own slope.")
def _(pred, target, beta):
    loss, dpred = right.smooth_l1.reference(pred, target, beta)
    return loss, dpred / max(pred.size, 1)


@right.smooth_l1.mistake("The parabola is d**2 / 2 with slope d, whatever beta is. Divide both by beta, or they do not "
                         "meet the line.")
def _(pred, target, beta):
    (loss, dpred), d = right.smooth_l1.reference(pred, target, beta), pred - target
    small = np.abs(d) < beta
    return loss + (d[small] ** 2).sum() * (1 - 1 / beta) / 2, np.where(small, d, dpred)


@right.smooth_l1.mistake("beta plays no part: the answer is that of beta = 1. It says where the parabola ends and how "
                         "steep it is.")
def _(pred, target, beta):
    return right.smooth_l1.reference(pred, target, 1.0)


@right.smooth_l1.mistake("On the line the loss is |d|. Half of beta must be taken away, or it jumps where the parabola "
                         "ends.")
def _(pred, target, beta):
    loss, dpred = right.smooth_l1.reference(pred, target, beta)
    return loss + beta / 2 * (np.abs(pred - target) >= beta).sum(), dpred


@right.smooth_l1.mistake("On the line the slope is always 1. It has the sign of the difference: a prediction that is "
                         "too low must rise.")
def _(pred, target, beta):
    loss, dpred = right.smooth_l1.reference(pred, target, beta)
    return loss, np.where(np.abs(pred - target) < beta, dpred, 1)


@right.smooth_l1.mistake("The parabola is d * d / beta. Divide by 2 * beta: else it does not meet the line, and its "
                         "slope is not d / beta.")
def _(pred, target, beta):
    (loss, dpred), d = right.smooth_l1.reference(pred, target, beta), pred - target
    return loss + (d[np.abs(d) < beta] ** 2).sum() / (2 * beta), dpred


# ---- the mask loss ----


@right.mask_bce.mistake("The loss is averaged over the pixels, but summed over the RoIs. Divide by the number of RoIs "
                        "too, in the gradient as well.")
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss * len(labels), dlogits * len(labels)


summed = right.mask_bce.mistake("The loss is summed over RoIs and pixels. It is their mean: divide it, and its "
                                "gradient, by the number of pixels in all RoIs.")


@summed
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss * targets.size, dlogits * targets.size


@summed         # the gradient is right
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss * targets.size, dlogits


@right.mask_bce.mistake("The loss is averaged over the RoIs, but summed over their pixels. Divide by the number of "
                        "pixels too, in the gradient as well.")
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss * targets[0].size, dlogits * targets[0].size


undivided = right.mask_bce.mistake(
    "The loss is a mean, but its gradient is not: divide it by the number of pixels in all RoIs as well.")


@undivided
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss, dlogits * targets.size


@undivided      # by the number of RoIs alone
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss, dlogits * targets[0].size


@undivided      # by the number of pixels in a RoI alone
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss, dlogits * len(labels)


@right.mask_bce.mistake("The gradient has the wrong sign. It is sigmoid(logit) - target: where the target is 1 the "
                        "logit must rise, so its gradient is negative.")
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss, -dlogits


binary = right.mask_bce.mistake(
    "Targets are rounded to 0 or 1. A pixel at an edge is inside by a fraction: use `targets` as they are.")


@binary
def _(logits, labels, targets):
    return right.mask_bce.reference(logits, labels, (targets >= 0.5).astype(float))


@binary
def _(logits, labels, targets):
    return right.mask_bce.reference(logits, labels, (targets > 0.5).astype(float))


@right.mask_bce.mistake("A RoI reads the mask of the class before its own. Labels are columns already: "
                        "`logits[np.arange(P), :, :, labels]`, without - 1.")
def _(logits, labels, targets):
    return right.mask_bce.reference(logits, labels - 1, targets)


@right.mask_bce.mistake("The gradient is multiplied by p * (1 - p), as for a squared error. With the logarithm that "
                        "cancels: it is p - t, divided.")
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    p = 1 / (1 + np.exp(-logits))
    return loss, dlogits * p * (1 - p)


@right.mask_bce.mistake("The gradient is that by the RoIs' own masks. Put it into zeros of the shape of `logits`: "
                        "other classes have a gradient, which is 0.")
def _(logits, labels, targets):
    loss, dlogits = right.mask_bce.reference(logits, labels, targets)
    return loss, dlogits[np.arange(len(labels)), :, :, labels]


all_masks = right.mask_bce.mistake(
    "The masks of all classes take part. A RoI learns on the mask of its own class only; the others get a gradient "
    "of 0.")


@all_masks
def _(logits, labels, targets):
    everywhere = np.broadcast_to(targets[..., None], logits.shape)
    loss, cache = ops.binary_cross_entropy_with_logits_forward(logits, everywhere)
    return loss, ops.binary_cross_entropy_with_logits_backward(1.0, cache)


@all_masks      # summed over the classes
def _(logits, labels, targets):
    everywhere, classes = np.broadcast_to(targets[..., None], logits.shape), logits.shape[3]
    loss, cache = ops.binary_cross_entropy_with_logits_forward(logits, everywhere)
    return loss * classes, ops.binary_cross_entropy_with_logits_backward(classes, cache)


@right.mask_bce.mistake("The classes compete in a softmax. Each mask asks for itself, inside or not: a sigmoid of its "
                        "own logit.")
def _(logits, labels, targets):
    own, dlogits = (np.arange(len(labels)), slice(None), slice(None), labels), np.zeros_like(logits)
    p = ops.softmax(logits)[own]
    dlogits[own] = (p - targets) / p.size
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(), dlogits


@right.mask_bce.mistake("For a logit far from 0 this is log(0). Do not compute log(sigmoid(x)) in two steps: there is "
                        "a form that cannot overflow.")
def _(logits, labels, targets):
    own = logits[np.arange(len(labels)), :, :, labels]
    p = 1 / (1 + np.exp(-own))
    loss = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    return loss, right.mask_bce.reference(logits, labels, targets)[1]


# ---- a join and a cut ----


@right.join_gradients.mistake("The RPN's own gradient is missing in dp3. The RPN reads every cell, so its losses reach "
                              "every cell.")
def _(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    _, drpn_weight = right.join_gradients.reference(p3, rpn_weight, drpn, cells, dbox, dmask, dcells)
    return right.join_gradients.reference(p3, rpn_weight, 0 * drpn, cells, dbox, dmask, dcells)[0], drpn_weight


@right.join_gradients.mistake("The mask head's gradient is missing in dp3. It has read the cells of the first P RoIs, "
                              "and adds to what the box head sends there.")
def _(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    return right.join_gradients.reference(p3, rpn_weight, drpn, cells, dbox, dmask[:0], dcells)


@right.join_gradients.mistake("A RoI's gradient takes the place of what was in the cell. All who have read it add: "
                              "`+=`.")
def _(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    dp3, drpn_weight = right.join_gradients.reference(p3, rpn_weight, drpn, cells[:0], dbox[:0], dmask[:0], dcells)
    for cell, gradient in zip([*cells, *cells], [*dbox, *dmask]):
        dp3[tuple(cell)] = gradient
    return dp3, drpn_weight


@right.join_gradients.mistake("Of several RoIs in one cell only the last counts: `dp3[rows, columns] += ...` writes "
                              "once to each cell. `np.add.at`, or a loop, adds them all.")
def _(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    dp3, drpn_weight = right.join_gradients.reference(p3, rpn_weight, drpn, cells[:0], dbox[:0], dmask[:0], dcells)
    dp3[tuple(cells.T)] += dbox
    dp3[tuple(cells[:len(dmask)].T)] += dmask
    return dp3, drpn_weight


@right.join_gradients.mistake("The gradient by a RoI's place goes on into the RPN. Where a RoI lies is a decision, and "
                              "counts as a constant: dcells goes nowhere.")
def _(p3, rpn_weight, drpn, cells, dbox, dmask, dcells):
    drpn = drpn.copy()
    np.add.at(drpn[:, :, 1:], tuple(cells.T), dcells)
    return right.join_gradients.reference(p3, rpn_weight, drpn, cells, dbox, dmask, dcells)


# ---- a step of SGD ----


@right.sgd_step.mistake("The weight is moved by the old velocity. Renew the velocity first, then move by the new one.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    _, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, weight_decay)
    return weight - lr * velocity, new


apart = right.sgd_step.mistake("The decay is taken off the weight beside the step. It belongs to the gradient, so it "
                               "goes through the velocity.")


@apart
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    moved, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, 0.0)
    return moved - lr * weight_decay * weight, new


@apart
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    moved, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, 0.0)
    return moved * (1 - lr * weight_decay), new


@apart
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    moved, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, 0.0)
    return moved - weight_decay * weight, new


@right.sgd_step.mistake("There is no decay. Add `weight_decay * weight` to the gradient.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    return right.sgd_step.reference(weight, gradient, velocity, lr, momentum, 0.0)


@right.sgd_step.mistake("The decay has the wrong sign, so weights grow. `weight_decay * weight` is *added* to the "
                        "gradient, against which the weight moves.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    return right.sgd_step.reference(weight, gradient, velocity, lr, momentum, -weight_decay)


@right.sgd_step.mistake("The old velocity is forgotten. `momentum` times of it stays in the new one.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    return right.sgd_step.reference(weight, gradient, velocity, lr, 0.0, weight_decay)


@right.sgd_step.mistake("The old velocity is taken away. `momentum * velocity` is added, so that steps in one "
                        "direction grow.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    return right.sgd_step.reference(weight, gradient, velocity, lr, -momentum, weight_decay)


@right.sgd_step.mistake("The velocity points downhill. As in torch it gathers gradients, with their sign, and the "
                        "weight moves by - lr * velocity.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    _, new = right.sgd_step.reference(weight, -gradient, velocity, lr, momentum, -weight_decay)
    return weight + lr * new, new


@right.sgd_step.mistake("The momentum counts twice, as Nesterov's does. The weight moves by lr times the new velocity, "
                        "and that is all.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    _, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, weight_decay)
    return weight - lr * (gradient + weight_decay * weight + momentum * new), new


lr_inside = right.sgd_step.mistake(
    "The learning rate is in the velocity. As in torch, the velocity holds gradients, and lr comes in when the "
    "weight moves.")


@lr_inside
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    new = momentum * velocity + lr * (gradient + weight_decay * weight)
    return weight - new, new


@lr_inside
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    new = momentum * velocity - lr * (gradient + weight_decay * weight)
    return weight + new, new


@right.sgd_step.mistake("The gradient enters the velocity only in part, times 1 - momentum. As in torch, it is added "
                        "whole.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    new = momentum * velocity + (1 - momentum) * (gradient + weight_decay * weight)
    return weight - lr * new, new


@right.sgd_step.mistake("The step goes uphill: the weight moves along the gradient. The loss falls in the opposite "
                        "direction, - lr * velocity.")
def _(weight, gradient, velocity, lr, momentum, weight_decay):
    moved, new = right.sgd_step.reference(weight, gradient, velocity, lr, momentum, weight_decay)
    return 2 * weight - moved, new


# ---- how far a step goes ----


def _by_part(ratio, before, after, part, num_parts):
    """One ratio from the weights and the changes of each part."""
    return np.array([ratio(before[part == i], (after - before)[part == i]) for i in range(num_parts)])


@right.update_ratio.mistake("It is the mean of the single weights' ratios. Take two lengths, of all changes and of all "
                            "weights of the part, and divide once.")
def _(before, after, part, num_parts):
    return _by_part(lambda weights, changes: np.mean(np.abs(changes / weights)) if weights.any() else 0.0,
                    before, after, part, num_parts)


@right.update_ratio.mistake("The change is compared with the weights after the step. Divide by the length that they "
                            "had before it.")
def _(before, after, part, num_parts):
    return _by_part(lambda weights, changes: np.linalg.norm(changes) / (np.linalg.norm(weights + changes) or np.inf),
                    before, after, part, num_parts)


@right.update_ratio.mistake("These are squares of lengths, divided. A length is the root of the sum of squares.")
def _(before, after, part, num_parts):
    return right.update_ratio.reference(before, after, part, num_parts) ** 2


@right.update_ratio.mistake("Absolute values are added up. A vector's length is the root of the sum of its squares: "
                            "(3, 4) is 5 long, not 7.")
def _(before, after, part, num_parts):
    return _by_part(lambda weights, changes: np.abs(changes).sum() / (np.abs(weights).sum() or np.inf),
                    before, after, part, num_parts)


@right.update_ratio.mistake("A part whose weights have length 0 gives 0 / 0, which is not a number. Ask for that "
                            "before you divide: its ratio is 0.")
def _(before, after, part, num_parts):
    return _by_part(lambda weights, changes: np.linalg.norm(changes) / np.linalg.norm(weights),
                    before, after, part, num_parts)


# ---- average precision ----


def _curve(scores, is_true_positive, num_ground_truth):
    order = np.argsort(-scores, kind="stable")
    return precision_recall_curve(is_true_positive[order], num_ground_truth)


area = right.average_precision.mistake(
    "It is the area under the curve, taken at your own points. COCO reads the curve at 101 recalls, each time the "
    "best from there on, and averages.")


@area
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    return (precision * np.diff(recall, prepend=0)).sum()


@area       # of the smoothed curve
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    return (np.maximum.accumulate(precision[::-1])[::-1] * np.diff(recall, prepend=0)).sum()


@right.average_precision.mistake("At each recall it is the first precision that reaches it. Take the *best* one at "
                                 "this recall or a greater: that smooths the dips.")
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    return np.append(precision, 0)[np.searchsorted(recall, RECALL_POINTS)].mean()


@right.average_precision.mistake("Only recalls beyond r are looked at. A point that reaches r exactly counts for it: "
                                 "`recall >= r`.")
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    return np.mean([precision[recall > r].max(initial=0) for r in RECALL_POINTS])


@right.average_precision.mistake("The mean is over the recalls that are reached. Those that are never reached count "
                                 "too, as 0: divide by all 101.")
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    reached = RECALL_POINTS <= recall.max(initial=-1)
    return interpolate_precision(precision, recall)[reached].mean() if reached.any() else 0.0


@right.average_precision.mistake("The detections are taken as they come. They are not sorted: begin with the best "
                                 "score.")
def _(scores, is_true_positive, num_ground_truth):
    return right.average_precision.reference(np.zeros(len(scores)), is_true_positive, num_ground_truth)


lowest_first = right.average_precision.mistake(
    "The detections are sorted with the lowest score first. `np.argsort` sorts in ascending order: sort by `-scores`.")


@lowest_first
def _(scores, is_true_positive, num_ground_truth):
    return right.average_precision.reference(-scores, is_true_positive, num_ground_truth)


@right.average_precision.mistake("It is the share of right ones among all detections, one precision. AP averages the "
                                 "precisions that are reached at 101 recalls.")
def _(scores, is_true_positive, num_ground_truth):
    return is_true_positive.mean() if len(scores) else 0.0


mean_of_points = right.average_precision.mistake(
    "It is the mean of the precisions at your own points. COCO reads the curve at 101 recalls; those never reached "
    "count as 0.")


@mean_of_points
def _(scores, is_true_positive, num_ground_truth):
    precision, _ = _curve(scores, is_true_positive, num_ground_truth)
    return precision.mean() if len(precision) else 0.0


@mean_of_points     # where an object was found
def _(scores, is_true_positive, num_ground_truth):
    precision, _ = _curve(scores, is_true_positive, num_ground_truth)
    right_ones = precision[is_true_positive[np.argsort(-scores, kind="stable")]]
    return right_ones.mean() if len(right_ones) else 0.0


@right.average_precision.mistake("Recall is divided by the number of right detections, so that it always ends at 1. "
                                 "Divide by the number of objects, found or not.")
def _(scores, is_true_positive, num_ground_truth):
    return right.average_precision.reference(scores, is_true_positive, max(is_true_positive.sum(), 1))


@right.average_precision.mistake("Recall is divided by the number of detections. Divide by the number of objects, "
                                 "`num_ground_truth`.")
def _(scores, is_true_positive, num_ground_truth):
    return right.average_precision.reference(scores, is_true_positive, max(len(scores), 1))


@right.average_precision.mistake("Precision is divided by the number of objects. It is the share of right ones among "
                                 "the detections so far: divide by 1, 2, 3, ...")
def _(scores, is_true_positive, num_ground_truth):
    _, recall = _curve(scores, is_true_positive, num_ground_truth)
    return interpolate_precision(recall, recall).mean()


other_recalls = right.average_precision.mistake(
    "The curve is read at other recalls than COCO's. They are the 101 of `np.linspace(0, 1, 101)`: 0, 0.01, ... 1.")


@other_recalls      # as in Pascal VOC
def _(scores, is_true_positive, num_ground_truth):
    return _read_at(np.linspace(0, 1, 11), *_curve(scores, is_true_positive, num_ground_truth))


@other_recalls
def _(scores, is_true_positive, num_ground_truth):
    return _read_at(np.linspace(0, 1, 100), *_curve(scores, is_true_positive, num_ground_truth))


def _read_at(points, precision, recall):
    return np.mean([precision[recall >= point].max(initial=0) for point in points])


@right.average_precision.mistake("Between your points precision is drawn as a straight line. Take the best precision "
                                 "at this recall or a greater one.")
def _(scores, is_true_positive, num_ground_truth):
    precision, recall = _curve(scores, is_true_positive, num_ground_truth)
    return np.interp(RECALL_POINTS, recall, precision, right=0).mean() if len(recall) else 0.0
