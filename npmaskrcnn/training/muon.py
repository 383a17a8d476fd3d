r"""Muon: take the direction of a weight matrix's gradient, and make all of its parts equally strong.

A matrix turns the unit circle into an ellipse; the ellipse's half-axes are called its singular values. The
gradient of a weight matrix is usually lopsided, a long thin ellipse: a few directions hold nearly all of its
length, so that a step along it learns those few and hardly moves the rest. Muon keeps a running mean of
gradients, as SGD with momentum does, and then makes the ellipse round: same directions, all about equally
strong. A polynomial in the matrix, applied a few times, does that: it pushes every singular value toward 1
(Newton-Schulz iteration).

It is for hidden layers only. Biases, norms, and the layers that touch pixels or make predictions are left
to `AdamW`.

Source: Jordan et al. 2024, *Muon: an optimizer for hidden layers in neural networks*; the polynomial's
coefficients, momentum 0.95 and the scale for layers with more outputs than inputs are theirs.
"""

import numpy as np

from ..judge import judge_number
from .optimizers import AdamW, named

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Where pixels come in, and where predictions go out: every input, every output there means something of its own.
# The transposed convolution stays out too: its weight is no matrix from all its inputs to one output.
OUTER_LAYERS = ("body.conv1", "cls_logits", "bbox_pred", "cls_score", "conv5_mask", "mask_fcn_logits",
                "coefficients", "prototype_logits")


def orthogonalize(matrix):
    """Bring the singular values of a matrix near 1 (0.7 to 1.2), keeping the directions.

    Those below about 1/500 of the matrix's length are lifted too, but not all the way.

    Parameters
    ----------
    matrix : (m, n) ndarray

    Returns
    -------
    matrix : (m, n) ndarray
        Zeros if the input is zero.

    Examples
    --------
    >>> lopsided = np.diag([100.0, 1.0])
    >>> orthogonalize(lopsided).round(1)
    array([[0.7, 0. ],
           [0. , 0.7]])
    """
    return orthogonalize_all([matrix])[0]


def orthogonalize_all(matrices):
    """`orthogonalize` each of a list of matrices: those whose shorter sides are equal go through the turns together."""
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    wide = [matrix / (float(np.linalg.norm(matrix)) + 1e-7) for matrix in wide]     # no singular value above 1
    results = [None] * len(wide)
    for side in {len(matrix) for matrix in wide}:
        rows = [row for row, matrix in enumerate(wide) if len(matrix) == side]
        for row, product in zip(rows, _turns(np.stack([wide[row] @ wide[row].T for row in rows]))):
            result = product @ wide[row]
            results[row] = result if result.shape == matrices[row].shape else result.T
    return results


def _turns(square):
    """What to multiply each x with, given its square x x', in a stack (k, n, n)."""
    # Each turn takes x to p x with p = a + b (x x') + c (x x')^2: a singular value s becomes a s + b s^3 + c s^5,
    # which lifts small ones and holds large ones near 1. All turns happen on the small square x x' alone.
    a, b, c = COEFFICIENTS
    identity = np.eye(square.shape[-1], dtype=square.dtype)
    product = None
    for turn in range(ITERATIONS):
        p = a * identity + (b * identity + c * square) @ square
        product = p if product is None else p @ product
        if turn + 1 < ITERATIONS:
            square = p @ square @ p
    return product


class Muon(AdamW):
    r"""Muon for hidden weight matrices, AdamW for everything else.

    .. math::
        m \leftarrow \mu m + (1 - \mu) g, \quad
        o = \mathrm{orthogonalize}(\mu m + (1 - \mu) g), \quad
        w \leftarrow (1 - \eta \lambda) w - \eta \sqrt{\max(1, \text{outputs} / \text{inputs})} \, o

    Parameters
    ----------
    parameters : iterable of (str, Parameter)
        ``model.named_parameters()``: which layer is hidden is told by its name.
    lr : float
        Of the hidden matrices; a step changes each by about this much in every direction.
    momentum : float
        :math:`\mu`.
    adam_ratio : float
        AdamW's learning rate for the rest, as a share of `lr`.
    weight_decay : float
        Of both.
    """

    def __init__(self, parameters, lr=0.02, momentum=0.95, adam_ratio=0.075, weight_decay=1e-4):
        self.momentum = judge_number(momentum, "momentum", 0, below=1)
        self.adam_ratio = judge_number(adam_ratio, "adam_ratio", 0)
        parameters = list(named(parameters))
        self.hidden = {path for path, parameter in parameters
                       if parameter.data.ndim > 1 and not any(name in path for name in OUTER_LAYERS)}
        super().__init__(parameters, lr, weight_decay=weight_decay)     # asks `slots_of`, which asks `hidden`

    def slots_of(self, path):
        """Name the state arrays of a parameter: one running mean, or AdamW's two."""
        return ("momentum_buffer",) if path in self.hidden else self.slots

    def settings(self):
        """Return the options that do not change from step to step, for the checkpoint."""
        return {**super().settings(), "name": "Muon", "momentum": self.momentum, "adam_ratio": self.adam_ratio}

    def step(self):
        """Change every parameter that has a gradient, in place: hidden matrices after the others, by their size."""
        super().step()
        by_side = {}
        for path, parameter in self.parameters.items():
            if path in self.hidden and (g := parameter.grad) is not None:
                by_side.setdefault(min(g.reshape(-1, g.shape[-1]).shape), []).append(path)
        for paths in by_side.values():
            for path, o in zip(paths, orthogonalize_all([self._ahead(path) for path in paths])):
                inputs, outputs = o.shape
                w = self.parameters[path].data
                w *= 1 - self.lr * self.weight_decay
                w -= self.lr * max(1.0, outputs / inputs) ** 0.5 * o.reshape(w.shape)

    def _update_parameter(self, path, parameter, lr):
        """Change what is no hidden matrix by AdamW."""
        if path not in self.hidden:
            super()._update_parameter(path, parameter, lr * self.adam_ratio)

    def _ahead(self, path):
        """Take a gradient into its running mean; return, as a matrix, where the mean will be next (Nesterov)."""
        m, g = self.state[path]["momentum_buffer"], self.parameters[path].grad
        m += (1 - self.momentum) * (g - m)
        return (g + self.momentum * (m - g)).reshape(-1, g.shape[-1])
