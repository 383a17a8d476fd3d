"""Systems whose integers have 32 bits, WebAssembly and small boards, played by a NumPy that behaves like theirs.

There, an index, a position or a count that nobody asked to be int64 is an int32, and NumPy refuses to narrow an int64
where it wants such a count. Nothing of a prediction, a training step or an evaluation may depend on it.
"""

import numpy as np
import pytest

import npmaskrcnn
from npmaskrcnn import rle
from npmaskrcnn.datasets import polygons_to_mask, shapes_test_set
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.shipped import trained_tiny

OF_DEFAULT_INTEGER = ("arange", "argmax", "argmin", "argsort", "argwhere", "cumsum", "flatnonzero", "lexsort",
                      "nonzero", "searchsorted", "unique")


@pytest.fixture
def small_integers(monkeypatch):
    """Make NumPy's functions answer in int32 where a 32-bit NumPy would, and refuse what it would refuse."""
    def narrow(value):
        if isinstance(value, tuple):
            return tuple(narrow(part) for part in value)
        return value.astype(np.int32) if getattr(value, "dtype", None) == np.int64 else value

    def answering_narrowly(function):
        def narrowed(*args, **kwargs):
            return function(*args, **kwargs) if kwargs.get("dtype") is not None else narrow(function(*args, **kwargs))
        return narrowed

    def refusing(function):
        def refused(array, counts, *args, **kwargs):
            if getattr(counts, "dtype", None) == np.int64:
                raise TypeError("Cannot cast array data from dtype('int64') to dtype('int32') according to 'safe'")
            return function(array, counts, *args, **kwargs)
        return refused

    def bincount(x, *args, bincount=np.bincount, **kwargs):
        if x.dtype == np.int64:
            raise TypeError("Cannot cast array data from dtype('int64') to dtype('int32') according to 'safe'")
        return bincount(x, *args, **kwargs)

    for name in OF_DEFAULT_INTEGER:
        monkeypatch.setattr(np, name, answering_narrowly(getattr(np, name)))
    monkeypatch.setattr(np, "repeat", refusing(np.repeat))
    monkeypatch.setattr(np, "bincount", bincount)
    monkeypatch.setattr(np, "intp", np.int32)


def of_everything():
    """Return what predictions, a training step, an outline, a run-length code and an evaluation give."""
    dataset = shapes_test_set(2)
    model = trained_tiny()
    images, targets = zip(*(dataset[i] for i in range(2)), strict=True)
    found = model.predict(list(images))
    losses = model.loss_and_grads(list(images), list(targets), rng=np.random.default_rng(3))
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    perfect = [npmaskrcnn.Detections(t.boxes, t.labels, np.ones(len(t), np.float32), t.masks) for t in targets]
    outline = polygons_to_mask([[1, 1, 9, 2, 7.5, 8, 2, 9]], 12, 11)
    return {"found": [vars(one) for one in found], "losses": losses, "gradients": gradients, "outline": outline,
            "rle": rle.decode(rle.encode(outline)), "AP": evaluate(dataset, perfect).summary()}


def test_nothing_relies_on_the_default_integer(request):
    usual = of_everything()
    assert len(usual["found"][0]["labels"])                      # there are labels to be int64 in both
    request.getfixturevalue("small_integers")
    small = of_everything()
    np.testing.assert_equal(small, usual)
    for ours, theirs in zip(small["found"], usual["found"], strict=True):
        assert ours["labels"].dtype == theirs["labels"].dtype == np.int64
