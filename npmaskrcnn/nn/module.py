"""What owns numbers: parameters, buffers, and the modules that hold them in a tree.

A `Parameter` is an array that training changes, together with its gradient. A `Buffer` is an array that
belongs to the model but is not trained (a running mean, say). A `Module` is a node of a tree: its
attributes are parameters, buffers and child modules, and the path of attribute names from the root to an
array is that array's key, the very key that torchvision uses (``backbone.body.layer1.0.conv1.weight``).

Every module has three verbs::

    y, cache = module.forward(x)          # training: also returns what backward will need
    dx       = module.backward(dy, cache) # adds to parameter.grad, returns the gradient by the input
    y        = module(x)                  # inference: remembers nothing

In a batch norm the two ways differ in more than memory: `forward` normalises with the batch's own statistics
and moves the stored ones, ``module(x)`` uses the stored ones. So a module with children defines both, each by
the same verb of its children. What `backward` returns is fresh memory, which the caller may write to.

The cache is handed to the caller and not kept on the module, because Mask R-CNN runs one module several
times in one pass (the RPN head looks at five pyramid levels): a module that remembered "its" input
would remember only the last one.
"""

import copy

import numpy as np

from .state import compare_state


class Parameter:
    """An array that training changes, and the gradient of the loss with respect to it.

    Attributes
    ----------
    data : ndarray
    grad : ndarray of the same shape, or None
        None until the first `add_grad` after `Module.zero_grad`.
    trainable : bool
        A parameter that is not trainable gets no gradient and is left alone by the optimisers.
    """

    def __init__(self, data, trainable=True):
        self.data = data
        self.grad = None
        self.trainable = trainable

    def add_grad(self, dvalue):
        """Add one consumer's share; `dvalue` is fresh memory, so the first share may be kept as it is."""
        if self.trainable:
            if self.grad is None:
                self.grad = dvalue
            else:
                self.grad += dvalue


class Buffer:
    """An array that belongs to the model's state but has no gradient."""

    def __init__(self, data):
        self.data = data


class Module:
    """A node of the model's tree; see the module's paragraph for the three verbs."""

    def forward(self, x):
        """Return ``(y, cache)``; the training verb."""
        raise TypeError(f"{type(self).__name__} has no forward pass of its own")

    def backward(self, dy, cache):
        """Return ``dx`` and add to the parameters' gradients."""
        raise TypeError(f"{type(self).__name__} has no backward pass of its own")

    def __call__(self, x):
        """Return ``y`` and remember nothing; the inference verb."""
        return self.forward(x)[0]

    # ---- the tree -------------------------------------------------------------------------------

    def named_children(self):
        """Yield ``(name, module)`` for the direct children, in the order in which they were assigned."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix=""):
        """Yield ``(path, module)`` for this module and everything below it, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _named_arrays(self):
        """Yield ``(key, module, name, value)`` for every parameter and buffer in the tree."""
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, (Parameter, Buffer)):
                    yield (f"{path}.{name}" if path else name), module, name, value

    def named_parameters(self):
        """Yield ``(key, Parameter)`` for every parameter, trainable or not."""
        for key, _, _, value in self._named_arrays():
            if isinstance(value, Parameter):
                yield key, value

    def parameters(self):
        """Yield every `Parameter`."""
        for _, parameter in self.named_parameters():
            yield parameter

    def num_parameters(self):
        """Count the numbers that training may change."""
        return sum(p.data.size for p in self.parameters() if p.trainable)

    def zero_grad(self):
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def freeze(self):
        """Make every parameter below here untrainable; return self. (A batch norm's statistics still move, as in torch.)"""
        for parameter in self.parameters():
            parameter.trainable = False
        return self

    @property
    def is_trainable(self):
        """Whether any parameter below here is trainable."""
        return any(parameter.trainable for parameter in self.parameters())

    # ---- state in torchvision's keys and shapes ---------------------------------------------------

    def to_disk(self, name, array):
        """Turn this module's own array `name` from our layout into torchvision's (a view will do)."""
        return array

    def from_disk(self, name, array):
        """Turn torchvision's array `name` into our layout; the inverse of `to_disk`."""
        return array

    def state_dict(self):
        """Copy all parameters and buffers, under torchvision's keys, in torchvision's shapes and order.

        Returns
        -------
        state : dict of str to ndarray
        """
        return {key: np.array(module.to_disk(name, value.data), order="C")
                for key, module, name, value in self._named_arrays()}

    def grad_dict(self):
        """Copy all gradients, under the same keys and in the same shapes as `state_dict`.

        Parameters that are not trainable are absent; a trainable one that the loss did not reach is zero.
        """
        grads = {}
        for key, module, name, value in self._named_arrays():
            if isinstance(value, Parameter) and value.trainable:
                grad = np.zeros_like(value.data) if value.grad is None else value.grad
                grads[key] = np.array(module.to_disk(name, grad), order="C")
        return grads

    def load_state_dict(self, mapping, strict=True):
        """Take parameters and buffers from a mapping in torchvision's keys and shapes.

        Values are cast to the dtype of the array that they replace. ``num_batches_tracked`` may be absent.

        Parameters
        ----------
        mapping : dict of str to array_like
        strict : bool
            If True, any missing, unexpected or wrongly shaped entry is an error and nothing is changed.
            If False, what fits is loaded.

        Returns
        -------
        report : LoadReport
            What was loaded, missing, unexpected and of the wrong shape.

        Raises
        ------
        InputError
            If `strict` and the mapping does not fit; the message lists all differences at once.
        """
        owners = {key: (module, name, value) for key, module, name, value in self._named_arrays()}
        shapes = {key: module.to_disk(name, value.data).shape for key, (module, name, value) in owners.items()}
        report = compare_state(shapes, {key: np.shape(value) for key, value in mapping.items()})
        if strict:
            report.raise_if_different()
        for key in report.loaded:
            module, name, value = owners[key]
            array = module.from_disk(name, np.asarray(mapping[key]))
            value.data = np.array(array, dtype=value.data.dtype, order="C")
        return report

    def astype(self, dtype):
        """Return a copy of the model with every floating array in `dtype` (gradients are not copied)."""
        twin = copy.deepcopy(self)
        for _, _, _, value in twin._named_arrays():
            if np.issubdtype(value.data.dtype, np.floating):
                value.data = value.data.astype(dtype)
            if isinstance(value, Parameter):
                value.grad = None
        return twin

    @property
    def dtype(self):
        """The dtype in which the model computes: that of its first parameter or floating buffer."""
        for _, _, _, value in self._named_arrays():
            if np.issubdtype(value.data.dtype, np.floating):
                return value.data.dtype
        return np.dtype(np.float32)


class ModuleList(Module):
    """Modules in a row, numbered; the caller decides what happens between them."""

    def __init__(self, modules):
        for i, module in enumerate(modules):
            setattr(self, str(i), module)

    def __iter__(self):
        return (module for _, module in self.named_children())

    def __len__(self):
        return sum(1 for _ in self.named_children())

    def __getitem__(self, i):
        return list(self)[i]


class Sequential(ModuleList):
    """Modules in a row, each fed with the one before; the cache is the list of their caches."""

    def __init__(self, *modules):
        super().__init__(modules)

    def forward(self, x):
        """Return the last module's output, and the caches in order."""
        caches = []
        for module in self:
            x, cache = module.forward(x)
            caches.append(cache)
        return x, caches

    def backward(self, dy, cache):
        """Return the gradient by the first module's input."""
        for module, module_cache in zip(reversed(list(self)), reversed(cache)):
            dy = module.backward(dy, module_cache)
        return dy

    def __call__(self, x):
        given = x
        modules = list(self)
        while modules:
            module = modules.pop(0)
            if modules and hasattr(modules[0], "fold_into") and hasattr(module, "with_norm"):
                x = module.with_norm(x, modules.pop(0))         # a convolution takes its norm along
            elif x is not given and hasattr(module, "in_place"):
                x = module.in_place(x)                          # nobody else holds what the last module made
            else:
                x = module(x)
        return x
