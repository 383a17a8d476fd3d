"""Weight files: the package's own `.npz`, safetensors, and torch's two kinds of `.pth`, without torch."""

from npmaskrcnn.weights.npz import read_npz, write_npz
