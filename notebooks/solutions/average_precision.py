"""COCO's average precision of one class at one IoU threshold."""

import numpy as np


def average_precision(scores, is_true_positive, num_ground_truth):
    right = is_true_positive[np.argsort(-scores, kind="stable")]
    num_right = np.cumsum(right)
    precision, recall = num_right / np.arange(1, len(right) + 1), num_right / num_ground_truth
    best = [precision[recall >= r].max() if (recall >= r).any() else 0.0 for r in np.linspace(0, 1, 101)]
    return float(np.mean(best))
