"""Batch norm uses the batch in training and the running statistics at inference: against hand values, torch's own."""

import numpy as np

from npmaskrcnn import nn

ONE_TO_FOUR = np.array([1.0, 2, 3, 4], np.float32).reshape(1, 2, 2, 1)


def test_training_moves_the_running_statistics_by_a_tenth_toward_the_batchs():
    # mean 2.5, unbiased variance 5/3: .9 * 0 + .1 * 2.5 and .9 * 1 + .1 * 5/3, torch's own numbers
    module = nn.BatchNorm2d(1)
    module.forward(ONE_TO_FOUR, nn.Notes())
    np.testing.assert_allclose(module.running_mean.data, [0.25], rtol=1e-6)     # float32
    np.testing.assert_allclose(module.running_var.data, [1.0666667], rtol=1e-6)
    assert module.num_batches_tracked.data == 1


def test_training_normalizes_with_the_biased_variance():
    y = nn.BatchNorm2d(1, eps=0.0).forward(ONE_TO_FOUR.astype(np.float64), nn.Notes())
    np.testing.assert_allclose(y.ravel(), np.array([-1.5, -0.5, 0.5, 1.5]) / 1.25 ** 0.5, rtol=1e-12)   # rounding


def test_inference_uses_the_running_statistics_and_leaves_them():
    module = nn.BatchNorm2d(1).astype(np.float64)
    module.load_state_dict({"weight": [2.0], "bias": [1.0], "running_mean": [3.0], "running_var": [4.0 - 1e-5]})
    np.testing.assert_allclose(module(ONE_TO_FOUR.astype(np.float64)).ravel(), [-1, 0, 1, 2], rtol=1e-12)
    assert module.running_mean.data == 3 and module.num_batches_tracked.data == 0


def test_eps_decides_where_the_variance_is_small():
    # variance 1e-5: eps 1e-5 shrinks the output by the root of 2, which is why COCO_V1 (eps 0) is a case of its own
    x = np.array([[[[1.0]]]])
    state = {"weight": [1.0], "bias": [0.0], "running_mean": [0.0], "running_var": [1e-5]}
    results = []
    for eps in (0.0, 1e-5):
        module = nn.FrozenBatchNorm2d(1, eps).astype(np.float64)
        module.load_state_dict(state)
        results.append(module(x).item())
    np.testing.assert_allclose(results[0] / results[1], 2 ** 0.5, rtol=1e-12)
