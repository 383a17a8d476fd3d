"""The mask head: targets against tables that torchvision printed, the loss against its mean written out by hand.

Other classes' channels must neither count in the loss nor get a gradient.
"""

import numpy as np
import pytest

from npmaskrcnn.stages.mask_head import (MaskRCNNPredictor, mask_loss_backward, mask_loss_forward, mask_targets,
                                         select_masks)

SQUARE = np.zeros((1, 8, 8), bool)
SQUARE[0, 2:6, 2:6] = True
ZERO = np.zeros(1, int)


@pytest.mark.parametrize("box, side, expected", [
    ([2, 2, 6, 6], 4, [[1, 1, 1, .5]] * 3 + [[.5, .5, .5, .25]]),
    ([0, 0, 8, 8], 4, [[.0625, .25, .1875, 0], [.25, 1, .75, 0], [.1875, .75, .5625, 0], [0] * 4]),
    ([1, 1, 7, 7], 2, [[.6944444, .4166667], [.4166667, .25]])])
def test_target_tables(box, side, expected):
    # RoIAlign without the half-cell shift leans to the top left: that is torchvision's
    targets = mask_targets(SQUARE, np.array([box], np.float32), ZERO, side, np.float32)
    np.testing.assert_allclose(targets[0], expected, rtol=1e-6)     # seven printed digits
    assert targets.dtype == np.float32


def test_targets_are_fractions_and_not_thresholded():
    yy, xx = np.mgrid[:60, :90]
    disc = ((yy - 30) ** 2 + (xx - 45) ** 2 < 400)[None]
    targets = mask_targets(disc, np.array([[20.3, 8.1, 70.7, 52.2]]), ZERO, 28, np.float64)
    assert 0 <= targets.min() and targets.max() <= 1
    assert ((targets > 0.05) & (targets < 0.95)).mean() > 0.02


def test_each_roi_is_cut_from_its_own_objects_mask():
    masks = np.zeros((3, 10, 14), bool)
    masks[0, :5], masks[2] = True, True
    boxes = np.array([[1.0, 1, 9, 4], [2, 6, 9, 9], [3, 1, 8, 9], [1, 1, 9, 4]])
    targets = mask_targets(masks, boxes, np.array([0, 0, 2, 1]), 4, np.float64)
    assert (targets[0] == 1).all() and not targets[1].any() and (targets[2] == 1).all() and not targets[3].any()


def test_no_roi_no_target():
    assert mask_targets(SQUARE, np.zeros((0, 4)), np.zeros(0, int), 28, np.float32).shape == (0, 28, 28)
    assert mask_targets(np.zeros((0, 8, 8), bool), np.zeros((0, 4)), np.zeros(0, int), 4,
                        np.float64).dtype == np.float64


def case():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, 4, 5, 6)), np.array([2, 5, 2]), rng.random((3, 4, 5))


def test_the_loss_is_the_mean_over_rois_and_pixels_of_the_true_classs_channel():
    logits, labels, targets = case()
    loss, _ = mask_loss_forward(logits, labels, targets)
    own = np.stack([logits[i, :, :, label] for i, label in enumerate(labels)])
    p = 1 / (1 + np.exp(-own))
    np.testing.assert_allclose(loss, -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(), rtol=1e-12)
    others = logits.copy()
    others[:, :, :, [0, 1, 3, 4]] += 100
    assert mask_loss_forward(others, labels, targets)[0] == loss


def test_the_gradient_is_zero_in_every_other_channel():
    logits, labels, targets = case()
    _, cache = mask_loss_forward(logits, labels, targets)
    dlogits = mask_loss_backward(2.0, cache)
    expected = np.zeros_like(logits)
    for i, label in enumerate(labels):
        expected[i, :, :, label] = 2 * (1 / (1 + np.exp(-logits[i, :, :, label])) - targets[i]) / 60
    np.testing.assert_allclose(dlogits, expected, rtol=1e-12)


def test_no_positive_roi_no_loss_and_a_gradient_of_no_rows():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, cache = mask_loss_forward(np.zeros((0, 28, 28, 4), np.float32), np.zeros(0, int),
                                        np.zeros((0, 28, 28), np.float32))
        dlogits = mask_loss_backward(1.0, cache)
    assert loss == 0 and dlogits.shape == (0, 28, 28, 4) and dlogits.dtype == np.float32


def test_masks_are_the_labels_channels_sigmoid():
    logits, labels, _ = case()
    masks = select_masks(logits, labels)
    np.testing.assert_allclose(masks[1], 1 / (1 + np.exp(-logits[1, :, :, 5])), rtol=1e-12)
    assert select_masks(logits[:0], labels[:0]).shape == (0, 4, 5)


def test_the_predictor_doubles_the_sides():
    predictor = MaskRCNNPredictor(4, 5, 3, rng=np.random.default_rng(0))
    assert predictor(np.ones((2, 14, 14, 4), np.float32)).shape == (2, 28, 28, 3)
