"""What owns numbers: parameters, buffers, and the modules that hold them in a tree; and the notes of a pass.

A `Parameter` is an array that training changes, together with its gradient. A `Buffer` is an array that
belongs to the model but is not trained (a running mean, say). A `Module` is a node of a tree: its
attributes are parameters, buffers and child modules, and the path of attribute names from the root to an
array is that array's key, the very key that torchvision uses (``backbone.body.layer1.0.conv1.weight``).

A module computes in two verbs, each of which is written once::

    y  = module.forward(x, notes)       # files in `notes` what backward will need
    dx = module.backward(dy, notes)     # adds to parameter.grad, returns the gradient by the input

`Notes` belong to the caller and not to the module, because Mask R-CNN runs one module several times in one
pass (the RPN head looks at five pyramid levels): a module that remembered "its" input would remember only the
last one. Who does not want to go back hands in `FORGET`, notes that keep nothing: ``module(x)`` does that,
and every array is freed as soon as the next one exists. (The network as a whole, with its RPN and its heads, takes more
than one `x` and uses its notes up on the way back; see `network`.)
"""

import copy

import numpy as np

from ..judge import compare_state, judge_state


class Notes(dict):
    """What a pass writes down for its way back: an operation's cache in a leaf, in a composite notes by child.

    Backward reads the notes and leaves them as they are, so that one may go back twice.

    Parameters
    ----------
    batch_statistics : bool
        What batch norms do in this pass. True is training: they use the batch's own statistics, and move the
        stored ones toward them. False: they use the stored ones and change nothing.
    """

    def __init__(self, batch_statistics=True):
        super().__init__()
        self.batch_statistics = batch_statistics

    def of(self, name):
        """Open notes for the child `name`, and return them."""
        self[name] = child = type(self)(self.batch_statistics)
        return child

    def __setitem__(self, name, entry):
        if name in self:
            raise KeyError(f"{name!r} is in these notes already: every pass needs notes of its own")
        super().__setitem__(name, entry)


class _Forgetful(Notes):
    """Notes that keep nothing: whatever is filed or opened is forgotten."""

    def of(self, name):
        return self

    __getitem__ = of

    def __setitem__(self, name, entry):
        pass


FORGET = _Forgetful(batch_statistics=False)


class Parameter:
    """An array that training changes, and the gradient of the loss with respect to it.

    Attributes
    ----------
    data : ndarray
    grad : ndarray of the same shape, or None
        None until the first `add_grad` after `Module.zero_grad`.
    trainable : bool
        A parameter that is not trainable gets no gradient and is left alone by the optimizers.
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
    """A node of the model's tree; see the paragraph at the top for its two verbs."""

    def forward(self, x, notes):
        """Return ``y``, and file in `notes` what `backward` needs; never write to `x`."""
        raise TypeError(f"{type(self).__name__} has no forward pass of its own")

    def backward(self, dy, notes):
        """Return ``dx``, memory of its own, and add to the parameters' gradients; write neither to `dy` nor `notes`."""
        raise TypeError(f"{type(self).__name__} has no backward pass of its own")

    def __call__(self, *inputs):
        """Return ``y`` and remember nothing."""
        return self.forward(*inputs, FORGET)

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

    def _owned_arrays(self):
        """Yield ``(key, owning module, name there, Parameter or Buffer)`` for every array in the tree."""
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, (Parameter, Buffer)):
                    yield (f"{path}.{name}" if path else name), module, name, value

    def named_arrays(self):
        """Yield ``(key, Parameter or Buffer)`` for every array in the tree."""
        for key, _, _, value in self._owned_arrays():
            yield key, value

    def named_parameters(self):
        """Yield ``(key, Parameter)`` for every parameter, trainable or not."""
        return ((key, value) for key, value in self.named_arrays() if isinstance(value, Parameter))

    def parameters(self):
        """Yield every `Parameter`."""
        return (parameter for _, parameter in self.named_parameters())

    def num_parameters(self):
        """Count the numbers that training may change."""
        return sum(p.data.size for p in self.parameters() if p.trainable)

    def zero_grad(self):
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def freeze(self):
        """Make every parameter below here untrainable; return self. (Batch norms still count, as in torch.)"""
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
                for key, module, name, value in self._owned_arrays()}

    def grad_dict(self):
        """Copy all gradients, under the same keys and in the same shapes as `state_dict`.

        Parameters that are not trainable are absent; a trainable one that the loss did not reach is zero.
        """
        grads = {}
        for key, module, name, value in self._owned_arrays():
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
        owners = {key: (module, name, value) for key, module, name, value in self._owned_arrays()}
        shapes = {key: module.to_disk(name, value.data).shape for key, (module, name, value) in owners.items()}
        mapping = judge_state(mapping, "the state dict")
        report = compare_state(shapes, mapping)
        if strict:
            report.raise_if_different()
        for key in report.loaded:
            module, name, value = owners[key]
            array = module.from_disk(name, mapping[key])
            value.data = np.array(array, dtype=value.data.dtype, order="C")
        return report

    def astype(self, dtype):
        """Return a copy of the model with every floating array in `dtype` (gradients are not copied)."""
        twin = copy.deepcopy(self)
        for _, value in twin.named_arrays():
            if np.issubdtype(value.data.dtype, np.floating):
                value.data = value.data.astype(dtype)
            if isinstance(value, Parameter):
                value.grad = None
        return twin

    @property
    def dtype(self):
        """The dtype in which the model computes: that of its first parameter or floating buffer."""
        floating = (value.data.dtype for _, value in self.named_arrays() if value.data.dtype.kind == "f")
        return next(floating, np.dtype(np.float32))


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
    """Modules in a row, each fed with the output of the one before."""

    def __init__(self, *modules):
        super().__init__(modules)

    def forward(self, x, notes):
        """Return the last module's output."""
        for name, module in self.named_children():
            x = module.forward(x, notes.of(name))
        return x

    def backward(self, dy, notes):
        """Return the gradient by the first module's input."""
        for name, module in reversed(list(self.named_children())):
            dy = module.backward(dy, notes[name])
        return dy
