"""Make ``light_ops.npz``: torch's depthwise convolution, hardswish, hardsigmoid, and squeeze and excitation.

Run: ``python tests/reference/make_light_ops.py`` (needs torch and torchvision). Inputs are drawn by NumPy and stored
beside the answers, maps in NHWC order, in float64; options, seed and versions are in the meta entry.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import torchvision  # noqa: E402
from torchvision.ops import SqueezeExcitation  # noqa: E402

from tests.reference.store import save  # noqa: E402

SEED = 12
DEPTHWISE_RUNS = [dict(kernel=kernel, stride=stride, padding=padding, channels=channels, bias=bias)
                  for kernel, stride, padding, channels, bias in [
                      ((3, 3), (1, 1), (1, 1), 5, False), ((3, 3), (2, 2), (1, 1), 4, False),
                      ((5, 5), (1, 1), (2, 2), 3, True), ((5, 5), (2, 2), (2, 2), 7, False),
                      ((2, 4), (3, 1), (0, 2), 2, True)]]
KINKS = [-4.0, -3.0, np.nextafter(-3.0, 0), -1.5, 0.0, 1.5, np.nextafter(3.0, 0), 3.0, 4.0]


def nchw(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2))).requires_grad_()


def nhwc(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def depthwise(stored, key, rng, kernel, stride, padding, channels, bias):
    x, weight = rng.standard_normal((2, 9, 12, channels)), rng.standard_normal((*kernel, 1, channels))
    offset = rng.standard_normal(channels)
    tx, tw = nchw(x), torch.from_numpy(np.ascontiguousarray(weight.transpose(3, 2, 0, 1))).requires_grad_()
    tb = torch.from_numpy(offset).requires_grad_() if bias else None
    y = F.conv2d(tx, tw, tb, stride, padding, groups=channels)
    dy = rng.standard_normal(nhwc(y).shape)
    y.backward(nchw(dy))
    stored.update({f"{key}/x": x, f"{key}/weight": weight, f"{key}/y": nhwc(y), f"{key}/dy": dy,
                   f"{key}/dx": nhwc(tx.grad), f"{key}/dweight": tw.grad.numpy().transpose(2, 3, 1, 0)})
    if bias:
        stored.update({f"{key}/bias": offset, f"{key}/dbias": tb.grad.numpy()})


def activation(stored, key, function, values, rng):
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    dy = rng.standard_normal(len(values))
    y = function(x)
    y.backward(torch.from_numpy(dy))
    stored.update({f"{key}/x": values, f"{key}/y": y.detach().numpy(), f"{key}/dy": dy, f"{key}/dx": x.grad.numpy()})


def squeeze_excitation(stored, rng):
    module = SqueezeExcitation(6, 4, scale_activation=torch.nn.Hardsigmoid).double()
    x, state = rng.standard_normal((2, 5, 8, 6)), {}
    for name, parameter in module.named_parameters():
        state[name] = rng.standard_normal(parameter.shape)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    tx = nchw(x)
    y = module(tx)
    dy = rng.standard_normal(x.shape)
    y.backward(nchw(dy))
    stored.update({"squeeze/x": x, "squeeze/y": nhwc(y), "squeeze/dy": dy, "squeeze/dx": nhwc(tx.grad)})
    stored.update({f"squeeze/state/{name}": value for name, value in state.items()})
    stored.update({f"squeeze/grads/{name}": parameter.grad.numpy() for name, parameter in module.named_parameters()})


def main():
    rng, stored = np.random.default_rng(SEED), {}
    for i, run in enumerate(DEPTHWISE_RUNS):
        depthwise(stored, f"depthwise/{i}", rng, **run)
    values = np.array([*KINKS, *rng.uniform(-5, 5, 40)])
    for name in ("hardswish", "hardsigmoid"):
        activation(stored, name, getattr(F, name), values, rng)
    squeeze_excitation(stored, rng)
    save("light_ops", stored, torch=torch.__version__, torchvision=torchvision.__version__, seed=SEED,
         depthwise=DEPTHWISE_RUNS)


if __name__ == "__main__":
    main()
