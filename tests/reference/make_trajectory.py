"""Make ``trajectory.npz``: torchvision's five losses in twenty steps of SGD on the tiny model, in float64.

Run: ``python tests/reference/make_trajectory.py`` (needs torch and torchvision). Weights, images, samples and
optimizer are those of `cases`; torch's generator is seeded once, before the first step.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from npmaskrcnn.network import LOSS_NAMES  # noqa: E402
from tests.reference import torchvision_side as side  # noqa: E402
from tests.reference.cases import (STEPS, TRAJECTORY_SEED, TRAJECTORY_SGD, trajectory_batch,  # noqa: E402
                                   trajectory_model)
from tests.reference.store import save  # noqa: E402


def main():
    torch.set_num_threads(1)
    model = trajectory_model()
    twin = side.twin_of(model).train()
    optimizer = torch.optim.SGD(twin.parameters(), **TRAJECTORY_SGD)
    torch.manual_seed(TRAJECTORY_SEED)
    trajectory = []
    for step in range(STEPS):
        images, targets = trajectory_batch(step)
        losses = twin([side.to_torch(image, torch.float64) for image in images],
                      [side.target_to_torch(target) for target in targets])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        trajectory.append([losses[name].item() for name in LOSS_NAMES])
    save("trajectory", {"losses": np.array(trajectory)}, **side.VERSIONS, seed=TRAJECTORY_SEED,
         optimizer=TRAJECTORY_SGD,
         steps=STEPS, options=model.config.as_dict(), names=LOSS_NAMES)


if __name__ == "__main__":
    main()
