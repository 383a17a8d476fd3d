"""How long the gradient is, and how to keep it from being too long.

References: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks".
"""

import math

import numpy as np

from ..errors import InputError


def gradient_norm(parameters):
    """Return the length of all gradients together, as one vector.

    Parameters
    ----------
    parameters : iterable of Parameter, or of (str, Parameter)
        Those without a gradient count as zero.

    Returns
    -------
    norm : float

    Examples
    --------
    >>> from npmaskrcnn.nn.module import Parameter
    >>> a, b = Parameter(np.zeros(2)), Parameter(np.zeros(1))
    >>> a.grad, b.grad = np.array([1.0, 2.0]), np.array([2.0])
    >>> gradient_norm([a, b])
    3.0
    """
    return math.sqrt(sum(squared_length(p.grad) for _, p in named(parameters) if p.grad is not None))


def clip_gradients(parameters, max_norm):
    """Shorten all gradients by one common factor, so that together they are at most `max_norm` long.

    The direction of the step stays what it was; only a rare huge gradient is kept from throwing the weights
    far away. torch's rule: the factor is ``max_norm / (norm + 1e-6)``, at most 1.

    Parameters
    ----------
    parameters : iterable of Parameter, or of (str, Parameter)
        Their ``grad`` is changed in place.
    max_norm : float
        Infinity only measures.

    Returns
    -------
    norm : float
        The length before clipping.
    """
    parameters = [p for _, p in named(parameters) if p.grad is not None]
    norm = gradient_norm(parameters)
    factor = max_norm / (norm + 1e-6)
    if factor < 1:  # False for a NaN as well, which clipping must not spread over every gradient
        for parameter in parameters:
            parameter.grad *= factor
    return norm


def squared_length(array):
    """Return the sum of squares as a float; a single product in BLAS, with no temporary."""
    flat = array.reshape(-1)
    return float(np.dot(flat, flat))


def named(parameters):
    """Yield ``(name, Parameter)`` from named or bare parameters, or a mapping; bare ones are numbered."""
    if hasattr(parameters, "items"):
        parameters = parameters.items()
    if not hasattr(parameters, "__iter__"):
        raise InputError(f"parameters must be model.named_parameters(), got a {type(parameters).__name__}")
    for i, entry in enumerate(parameters):
        yield entry if isinstance(entry, tuple) else (str(i), entry)
