"""The gradient check: is the backward pass the derivative of the forward pass?

Take any direction in which an input could move. The slope of ``sum(forward(input) * dy)`` along it, found
by two more forward passes, must be ``sum(dinput * direction)``. One random direction tests every number of
the gradient at once, since each of them enters the sum with a random weight; a random `dy` does the same
for the outputs. Differences are taken in float64, where their own error is some 1e-10.
"""

import numpy as np

STEP = 1e-4
TOLERANCE = 1e-7  # relative; differences with Richardson's correction are good to about 1e-10


def check_gradient(forward, backward, inputs, rng, names=None, directions=3, tolerance=TOLERANCE):
    """Assert that ``backward`` gives the gradients of ``forward`` by all `inputs`.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs) -> (y, cache)``.
    backward : callable
        ``backward(dy, cache) ->`` the gradients of `inputs`, in their order (a bare array for one input).
    inputs : list of float64 ndarray
        Away from kinks: none within `STEP` of a point where forward has no derivative.
    rng : np.random.Generator
    names : list of str, optional
        What an error calls the inputs.
    """
    inputs = [np.asarray(x) for x in inputs]
    assert all(x.dtype == np.float64 for x in inputs), "differences need float64"
    y, cache = forward(*inputs)
    dy = rng.standard_normal(np.shape(y))
    gradients = backward(dy, cache)
    gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
    assert len(gradients) == len(inputs), f"{len(inputs)} inputs, {len(gradients)} gradients"
    names = names or [f"input {k}" for k in range(len(inputs))]
    for k, (x, gradient, name) in enumerate(zip(inputs, gradients, names)):
        assert gradient.shape == x.shape, f"d {name} has shape {gradient.shape}, {name} has {x.shape}"
        for _ in range(directions):
            direction = rng.standard_normal(x.shape)

            def slope(step):
                ahead, _ = forward(*inputs[:k], x + step * direction, *inputs[k + 1 :])
                behind, _ = forward(*inputs[:k], x - step * direction, *inputs[k + 1 :])
                return np.sum((ahead - behind) * dy) / (2 * step)

            numeric = (4 * slope(STEP / 2) - slope(STEP)) / 3  # cancels the error of order step ** 2
            analytic = np.sum(gradient * direction)
            # measured against the size of the terms: a slope may be near zero by chance
            scale = np.sqrt(np.sum((gradient * direction) ** 2)) + abs(numeric) + 1e-12
            error = abs(analytic - numeric) / scale
            assert error < tolerance, (
                f"gradient by {name}: backward says {analytic:.10g}, differences say {numeric:.10g} "
                f"(relative error {error:.1e})"
            )


def away_from_zero(x, margin=0.01):
    """Move numbers nearer to zero than `margin` out to it, so that a kink at zero is not crossed."""
    return np.where(np.abs(x) < margin, np.where(x < 0, -margin, margin), x)


def distinct(shape, rng, dtype=np.float64):
    """Random numbers no two of which are nearer than 0.1, so that no maximum changes hands."""
    size = int(np.prod(shape))
    return (rng.permutation(size) * 0.1 - 0.05 * size).reshape(shape).astype(dtype)
