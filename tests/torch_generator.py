"""torch's default CPU generator in NumPy, so that the losses can be computed on torchvision's very samples.

torch seeds its Mersenne twister as `numpy.random.RandomState` does, draws a float from the low 24 bits of
one word, and shuffles forward with one word per swap. Whoever hands this object to `loss_and_grads` gets
the samples that torchvision draws after ``torch.manual_seed(seed)``.
"""

import numpy as np


class TorchGenerator:
    """The two methods of a generator that the model needs, with torch's numbers.

    Examples
    --------
    >>> TorchGenerator(42).permutation(10)
    array([2, 6, 1, 8, 4, 5, 0, 9, 3, 7])
    """

    def __init__(self, seed):
        self.words = np.random.RandomState(seed)

    def _draw(self, n):
        return self.words.randint(0, 2 ** 32, size=n, dtype=np.uint32)

    def random(self):
        """Return one float in 0..1: torch.rand(1)."""
        return float(self._draw(1)[0] & 0xFFFFFF) / 2 ** 24

    def permutation(self, n):
        """Return torch.randperm(n)."""
        order = list(range(n))
        for i, word in enumerate(self._draw(max(n - 1, 0)).tolist()):
            j = i + word % (n - i)
            order[i], order[j] = order[j], order[i]
        return np.array(order, dtype=np.int64)
