r"""Optimizers: how a gradient becomes a change of the weights.

The gradient says which way is uphill; an optimizer decides how far to walk downhill. `SGD` walks in the
direction of a running sum of gradients (momentum), so that what points the same way step after step adds up
and what flips its sign cancels. `AdamW` keeps two running means for every single weight, of the gradient
and of its square, and divides one by the root of the other: a weight whose gradients are small takes
steps as large as one whose gradients are large. That is why it needs no tuning per layer and why it learns
a small Mask R-CNN from nothing in a few hundred steps, where SGD is still finding its feet.
Weight decay pulls every weight toward zero a little; in AdamW it acts on the weight itself and not through
the running means ("decoupled"), in SGD it is added to the gradient. Before either, `clip_gradients` keeps one
huge gradient from throwing the weights far away.

The rules are torch's, number for number, and each `_update` is its formula: :math:`w` the weights, :math:`g` their
gradient, :math:`\eta` the learning rate, :math:`\lambda` the decay, :math:`t` the number of the update.

References: Sutskever et al. 2013 (momentum); Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (AdamW);
Pascanu et al. 2013, "On the difficulty of training recurrent neural networks" (clipping).
"""

import math

import numpy as np

from ..errors import InputError
from ..judge import compare_state, judge_number, judge_numbers, judge_state, refusal
from ..nn.module import Parameter

BLOCK = 1 << 16  # numbers updated at a time: what a formula computes on the way is small and stays in cache


class Optimizer:
    """What all optimizers share: the parameters, their state arrays, blocks, saving and loading.

    A subclass names its state arrays in `slots` and defines ``_update(w, g, *state, lr, t)``, which changes a block
    of weights and of their state in place.

    Parameters
    ----------
    parameters : iterable of (str, Parameter), or of Parameter
        ``model.named_parameters()``. Those that are not trainable are left out; unnamed ones are numbered.
    lr : float
        Learning rate; may be changed between steps (``optimizer.lr = ...``).
    weight_decay : float

    Raises
    ------
    InputError
        If an option is out of range or no parameter is trainable.
    """

    slots = ()  # names of the per-weight state arrays, torch's names

    def __init__(self, parameters, lr, weight_decay=0.0):
        self.parameters = {path: p for path, p in named(parameters) if p.trainable}
        if not self.parameters:
            raise InputError(f"{type(self).__name__}: none of the parameters is trainable")
        self.lr = judge_number(lr, "lr", 0)
        self.weight_decay = judge_number(weight_decay, "weight_decay", 0)
        self.steps = dict.fromkeys(self.parameters, 0)  # updates that each parameter has had
        self.state = {path: {slot: np.zeros(p.data.shape, p.data.dtype) for slot in self.slots_of(path)}
                      for path, p in self.parameters.items()}

    def slots_of(self, path):
        """Name the state arrays that the parameter at `path` needs."""
        return self.slots

    def step(self):
        """Change every parameter that has a gradient, in place. One without a gradient is left alone."""
        for path, parameter in self.parameters.items():
            if parameter.grad is not None:
                if not parameter.data.flags.c_contiguous:  # a flat view of it would be a copy, the update lost
                    parameter.data = np.ascontiguousarray(parameter.data)
                self.steps[path] += 1
                self._update_parameter(path, parameter, self.lr)

    def _update_parameter(self, path, parameter, lr):
        """Change one parameter, block by block."""
        arrays = [array.reshape(-1) for array in (parameter.data, parameter.grad, *self.state[path].values())]
        for start in range(0, parameter.data.size, BLOCK):
            self._update(*(array[start:start + BLOCK] for array in arrays), lr, self.steps[path])

    def state_dict(self):
        """Copy the state: ``"<parameter path>/<slot>"`` and ``"<parameter path>/step"`` to ndarray."""
        return {f"{path}/{name}": np.array(value) for path in self.parameters
                for name, value in {**self.state[path], "step": np.int64(self.steps[path])}.items()}

    def load_state_dict(self, mapping):
        """Take the state back. All of it has to fit, else nothing is changed.

        Raises
        ------
        InputError
            If entries are missing, unexpected or of another shape: the state of another model or optimizer.
        """
        mapping = judge_state(mapping, "the optimizer state")
        report = compare_state(self.state_dict(), mapping)
        if not report.ok:
            raise InputError(f"{type(self).__name__}: this optimizer state belongs to another model or optimizer: "
                             f"{report}")
        for path, parameter in self.parameters.items():
            for slot in self.state[path]:
                self.state[path][slot] = np.array(mapping[f"{path}/{slot}"], parameter.data.dtype, order="C")
            self.steps[path] = int(mapping[f"{path}/step"])


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum, torch's form.

    .. math:: b \leftarrow \mu b + g + \lambda w, \quad w \leftarrow w - \eta b

    Parameters
    ----------
    parameters, lr, weight_decay
        See `Optimizer`.
    momentum : float
        :math:`\mu`, in 0 ... 1.

    Examples
    --------
    >>> from npmaskrcnn.nn.module import Parameter
    >>> weight = Parameter(np.array([1.0, -2.0]))
    >>> optimizer = SGD([("weight", weight)], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     weight.grad = np.array([1.0, 1.0])
    ...     optimizer.step()               # the second step is 1.9 times as long as the first
    >>> weight.data
    array([ 0.71, -2.29])
    """

    slots = ("momentum_buffer",)

    def __init__(self, parameters, lr, momentum=0.9, weight_decay=0.0):
        super().__init__(parameters, lr, weight_decay)
        self.momentum = judge_number(momentum, "momentum", 0, below=1)

    def settings(self):
        """Return the options that do not change from step to step, for the checkpoint."""
        return {"name": "SGD", "momentum": self.momentum, "weight_decay": self.weight_decay}

    def _update(self, w, g, b, lr, t):
        b[:] = self.momentum * b + g + self.weight_decay * w
        w -= lr * b


class AdamW(Optimizer):
    r"""Adam with decoupled weight decay, torch's form.

    .. math::
        w \leftarrow (1 - \eta \lambda) w, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \frac{\eta}{1 - \beta_1^t} \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}

    The two divisions by :math:`1 - \beta^t` undo the bias of running means that began at zero.

    Parameters
    ----------
    parameters, lr, weight_decay
        See `Optimizer`; the default decay is torch's.
    betas : (float, float)
        How much of the running mean of the gradient, and of its square, survives a step.
    eps : float
        Keeps a weight that has never had a gradient from a division by zero.

    Examples
    --------
    >>> from npmaskrcnn.nn.module import Parameter
    >>> weight = Parameter(np.array([1.0, -2.0]))
    >>> optimizer = AdamW([("weight", weight)], lr=0.1, weight_decay=0)
    >>> weight.grad = np.array([1e-3, 1e3])
    >>> optimizer.step()                   # the first step is lr long, whatever the size of the gradient
    >>> weight.data.round(4)
    array([ 0.9, -2.1])
    """

    slots = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, lr, weight_decay)
        self.betas = judge_numbers(betas, "betas", 2, lowest=0, below=1)
        self.eps = judge_number(eps, "eps", 0)

    def settings(self):
        """Return the options that do not change from step to step, for the checkpoint."""
        return {"name": "AdamW", "betas": list(self.betas), "eps": self.eps, "weight_decay": self.weight_decay}

    def _update(self, w, g, m, v, lr, t):
        beta1, beta2 = self.betas
        w *= 1 - lr * self.weight_decay
        m[:] = beta1 * m + (1 - beta1) * g
        v[:] = beta2 * v + (1 - beta2) * g ** 2
        root = np.sqrt(v) * (1 / math.sqrt(1 - beta2 ** t))
        w -= lr / (1 - beta1 ** t) * (m / (root + self.eps))


def clip_gradients(parameters, max_norm):
    """Shorten all gradients by one common factor, so that together they are at most `max_norm` long.

    The direction of the step stays what it was; only a rare huge gradient is kept from throwing the weights far away.
    torch's rule: the factor is ``max_norm / (norm + 1e-6)``, at most 1.

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


def squared_length(array):
    """Return the sum of squares as a float; a single product in BLAS, with no temporary."""
    flat = array.reshape(-1)
    return float(np.dot(flat, flat))


def named(parameters):
    """Yield ``(name, Parameter)`` from named or bare parameters, or a mapping; bare ones are numbered."""
    if hasattr(parameters, "items"):
        parameters = parameters.items()
    for i, entry in enumerate(parameters if hasattr(parameters, "__iter__") else [parameters]):
        name, parameter = entry if isinstance(entry, tuple) and len(entry) == 2 else (str(i), entry)
        if not isinstance(parameter, Parameter):
            raise refusal("parameters", "model.named_parameters()", parameters)
        yield name, parameter
