"""The product that a browser's NumPy makes best is the usual one; and elsewhere the usual one is made."""

import sys

import numpy as np
import pytest

from npmaskrcnn.fast import product as module
from npmaskrcnn.fast.product import product, product_of_rows

SHAPES = [((5, 7), (7, 3)), ((1, 1), (1, 1)), ((0, 4), (4, 3)), ((2, 0), (0, 3)), ((2, 5, 7), (2, 7, 3)),
          ((6, 4), (3, 4, 5))]


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-15), (np.float32, 1e-6), (np.float16, 1e-2)])
@pytest.mark.parametrize("first, second", SHAPES)
def test_sums_along_rows_are_the_product(first, second, dtype, tolerance, is_turned):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, first).astype(dtype), rng.uniform(-1, 1, second).astype(dtype)
    if is_turned:       # the same numbers, in memory column after column
        a, b = (np.ascontiguousarray(each.swapaxes(-1, -2)).swapaxes(-1, -2) for each in (a, b))
    usual = a @ b
    out = np.full_like(usual, np.nan)
    for made in (product_of_rows(a, b), product_of_rows(a, b, out=out), out):
        assert made.dtype == usual.dtype and made.shape == usual.shape
        np.testing.assert_allclose(made, usual, rtol=0, atol=tolerance * max(1, first[-1]))


@pytest.mark.parametrize("first, second", [((4, 5), (5, 3)), ((2, 4, 5), (2, 5, 3)), ((4, 5), (2, 5, 3))])
def test_more_than_einsum_can_count_is_left_to_the_usual_product(monkeypatch, first, second):
    a, b = np.ones(first), np.ones(second)
    number = 60 * (2 if len(second) > 2 else 1)
    monkeypatch.setattr(module, "MOST_NUMBERS", number)
    product_of_rows(a, b)
    monkeypatch.setattr(np, "einsum", None)
    monkeypatch.setattr(module, "MOST_NUMBERS", number - 1)
    np.testing.assert_array_equal(product_of_rows(a, b), 5)


def test_only_a_browser_gets_another_product():
    assert product is (product_of_rows if sys.platform == "emscripten" else np.matmul)
