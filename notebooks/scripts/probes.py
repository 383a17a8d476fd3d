"""Two probes of a feature map: what lies there ready to be read? Lesson 04 explains them.

A probe is a weighted sum of a cell's numbers, fitted by least squares on the first 240 of the images and tested on
the others. `what` asks for the class of the object, from the one cell at its center; `where` asks of each cell
whether the object covers it. Each image holds one object.
"""

import numpy as np

NUM_TRAIN = 240


def fit(vectors, answers):
    """Least squares with small weights: (n, C) and (n,) or (n, K) -> a function from vectors to answers."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6

    def columns(v):
        return np.concatenate([(v - mean) / spread, np.ones((len(v), 1))], axis=1).astype(np.float64)

    a = columns(vectors)
    solution = np.linalg.solve(a.T @ a + 3 * np.eye(a.shape[1]), a.T @ answers)
    return lambda v: columns(v) @ solution


def what(maps, boxes, labels, stride):
    """Share of right classes, read from the cell at the object's center.

    maps (N, h, w, C), boxes (N, 4), labels (N,).
    """
    n, size = maps.shape[:2]
    center = np.round((boxes[:, :2] + boxes[:, 2:]) / 2 / stride).astype(int).clip(0, size - 1)
    vectors, answers = maps[np.arange(n), center[:, 1], center[:, 0]], np.eye(4)[labels]
    probe = fit(vectors[:NUM_TRAIN], answers[:NUM_TRAIN])
    return (probe(vectors[NUM_TRAIN:]).argmax(axis=1) == labels[NUM_TRAIN:]).mean()


def where(maps, masks, stride):
    """Mean IoU of the painted cells with the true mask. maps (N, h, w, C), masks (N, H, W) of square images."""
    n, size, _, channels = maps.shape
    covered = masks.reshape(n, size, stride, size, stride).mean(axis=(2, 4))
    probe = fit(maps[:NUM_TRAIN].reshape(-1, channels), covered[:NUM_TRAIN].ravel())
    says = probe(maps[NUM_TRAIN:].reshape(-1, channels)).reshape(-1, size, size) > 0.5
    painted, truth = says.repeat(stride, axis=1).repeat(stride, axis=2), masks[NUM_TRAIN:]
    return ((painted & truth).sum(axis=(1, 2)) / (painted | truth).sum(axis=(1, 2))).mean()
