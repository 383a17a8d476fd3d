"""Muon: same directions, equal strength; hidden matrices only; the rest as AdamW does it.

Orthogonalization is held against the singular value decomposition and against the polynomial applied to the matrix
itself; a step against the rule written out by hand; what is not hidden against `AdamW`, bit for bit.
"""

import numpy as np
import pytest

from npmaskrcnn.models import maskrcnn_tiny
from npmaskrcnn.nn.module import Parameter
from npmaskrcnn.training import AdamW, Muon
from npmaskrcnn.training.muon import orthogonalize, orthogonalize_all


@pytest.mark.parametrize("shape", [(5, 30), (30, 5), (12, 12), (1, 7)])
def test_directions_stay_and_strengths_become_equal(shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    lopsided = left * np.geomspace(1, 30, len(values)) @ right
    result = orthogonalize(lopsided)
    in_old_directions = left.T @ result @ right.T
    strengths = np.diag(in_old_directions)
    # the polynomial's fixed band, from the paper's figure: 0.7 to 1.2 for what is not too small
    assert 0.65 < strengths.min() and strengths.max() < 1.25
    np.testing.assert_allclose(in_old_directions, np.diag(strengths), atol=1e-9)    # float64: nothing leaks across


def test_iterating_on_the_square_is_iterating_on_the_matrix():
    a, b, c = 3.4445, -4.7750, 2.0315
    matrix = np.random.default_rng(2).normal(size=(6, 40))
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    np.testing.assert_allclose(orthogonalize(matrix), x, atol=1e-7)     # the 1e-7 that is added to the norm


def test_zero_stays_zero_and_the_dtype_stays():
    result = orthogonalize(np.zeros((4, 9), np.float32))
    assert result.dtype == np.float32 and not result.any()


def test_together_is_as_one_by_one():
    rng = np.random.default_rng(7)
    matrices = [rng.normal(size=shape) for shape in ((9, 4), (4, 4), (4, 30), (7, 5), (5, 7), (1, 3))]
    for one, result in zip(matrices, orthogonalize_all(matrices)):
        np.testing.assert_array_equal(result, orthogonalize(one))
    assert orthogonalize_all([]) == []


def test_a_hidden_matrix_moves_by_its_orthogonalized_mean_gradient():
    rng = np.random.default_rng(3)
    weight = Parameter(rng.normal(size=(3, 3, 4, 8)))
    start, grads = weight.data.copy(), [rng.normal(size=weight.data.shape) for _ in range(2)]
    optimizer = Muon([("body.layer1.conv2.weight", weight)], lr=0.1, weight_decay=0.01)
    mean, expected = 0, start
    for grad in grads:
        weight.grad = grad
        optimizer.step()
        mean = 0.95 * mean + 0.05 * grad
        ahead = 0.95 * mean + 0.05 * grad
        expected = expected * (1 - 0.1 * 0.01) - 0.1 * orthogonalize(ahead.reshape(36, 8)).reshape(grad.shape)
    np.testing.assert_allclose(weight.data, expected, rtol=1e-12)


def test_vectors_and_outer_layers_are_adamws():
    rng = np.random.default_rng(4)
    names = ["rpn.head.cls_logits.weight", "fc6.bias"]
    values = [rng.normal(size=(1, 1, 6, 3)), rng.normal(size=5)]
    grads = [rng.normal(size=v.shape) for v in values]
    results = []
    for make in (lambda p: Muon(p, lr=0.02, adam_ratio=0.1, weight_decay=0.03),
                 lambda p: AdamW(p, lr=0.002, weight_decay=0.03)):
        parameters = [(name, Parameter(value.copy())) for name, value in zip(names, values)]
        optimizer = make(parameters)
        for _ in range(3):
            for (_, parameter), grad in zip(parameters, grads):
                parameter.grad = grad
            optimizer.step()
        assert optimizer.lr in (0.02, 0.002)
        results.append([p.data for _, p in parameters])
    for ours, theirs in zip(*results):
        np.testing.assert_array_equal(ours, theirs)


def test_the_tiny_models_hidden_matrices_are_body_pyramid_and_heads():
    hidden = Muon(maskrcnn_tiny().named_parameters()).hidden
    assert "roi_heads.box_head.fc6.weight" in hidden and "backbone.fpn.layer_blocks.0.0.weight" in hidden
    outer = ("body.conv1", "cls_", "bbox_pred", "mask_predictor", "bn")
    assert not any(name in path for path in hidden for name in outer)


def test_the_state_goes_and_comes_back():
    rng = np.random.default_rng(5)
    parameters = [("a.weight", Parameter(rng.normal(size=(4, 6)))), ("a.bias", Parameter(rng.normal(size=6)))]
    optimizer = Muon(parameters)
    for _, parameter in parameters:
        parameter.grad = rng.normal(size=parameter.data.shape)
    optimizer.step()
    state = optimizer.state_dict()
    assert set(state) == {"a.weight/momentum_buffer", "a.weight/step",
                          "a.bias/exp_avg", "a.bias/exp_avg_sq", "a.bias/step"}
    twin = Muon([(name, Parameter(p.data.copy())) for name, p in parameters])
    twin.load_state_dict(state)
    for name, value in twin.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
