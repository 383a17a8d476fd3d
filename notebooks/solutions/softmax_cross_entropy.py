"""Cross-entropy of a softmax, and its gradient: what was believed, minus what is true."""

import numpy as np


def softmax_cross_entropy(logits, labels):
    n = len(labels)
    if n == 0:
        return 0.0, np.zeros_like(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_softmax)
    dlogits[np.arange(n), labels] -= 1
    return -log_softmax[np.arange(n), labels].mean(), dlogits / n
