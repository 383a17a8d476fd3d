"""Make ``optimizers.npz``: what torch's optimizers do to two parameters with given gradients, in float64.

Run: ``python tests/reference/make_optimizers.py`` (needs torch). Gradients are drawn by NumPy and stored
beside the trajectories; one parameter has no gradient in step 3, and the learning rate changes at every step.
"""

from pathlib import Path

import numpy as np
import torch

SEED, STEPS = 5, 12
RUNS = {
    "sgd_plain": (torch.optim.SGD, dict(momentum=0.0)),
    "sgd_momentum": (torch.optim.SGD, dict(momentum=0.9)),
    "sgd_decay": (torch.optim.SGD, dict(momentum=0.8, weight_decay=0.05)),
    "adamw": (torch.optim.AdamW, dict()),
    "adamw_options": (torch.optim.AdamW, dict(betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3)),
    "adamw_no_decay": (torch.optim.AdamW, dict(weight_decay=0.0)),
}


def main():
    rng = np.random.default_rng(SEED)
    shapes = {"weight": (3, 5, 2), "bias": (7,)}
    start = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    sizes = np.geomspace(1e-3, 1e2, STEPS)
    grads = {name: rng.standard_normal((STEPS, *shape)) * sizes.reshape(-1, *[1] * len(shape))
             for name, shape in shapes.items()}
    lrs = 0.05 / (1 + np.arange(STEPS))
    stored = {"lrs": lrs, "torch_version": np.array(torch.__version__), "seed": np.array(SEED)}
    for name in shapes:
        stored[f"start/{name}"], stored[f"grads/{name}"] = start[name], grads[name]
    for run, (cls, options) in RUNS.items():
        parameters = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
        optimizer = cls(list(parameters.values()), lr=0.1, **options)
        path = {name: [] for name in shapes}
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = float(lrs[step])
            for name, parameter in parameters.items():
                parameter.grad = None if (step, name) == (3, "bias") else torch.tensor(grads[name][step])
            optimizer.step()
            for name, parameter in parameters.items():
                path[name].append(parameter.detach().numpy().copy())
        for name in shapes:
            stored[f"{run}/{name}"] = np.stack(path[name])
    for max_norm in (0.5, 1e3):
        parameters = [torch.nn.Parameter(torch.tensor(value)) for value in start.values()]
        for parameter, name in zip(parameters, shapes):
            parameter.grad = torch.tensor(grads[name][-4])
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        stored[f"clip_{max_norm:g}/norm"] = norm.numpy()
        for parameter, name in zip(parameters, shapes):
            stored[f"clip_{max_norm:g}/{name}"] = parameter.grad.numpy()
    np.savez(Path(__file__).with_name("optimizers.npz"), **stored)


if __name__ == "__main__":
    main()
