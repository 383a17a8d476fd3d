"""Times of every dense operation, forward and backward, beside torch's.

    python benchmarks/bench_ops.py [--only NAME] [--repeats 15] [--threads 2] [--cpu-time] [--plain]

Both sides are given the same shapes and numbers and take turns within one process, so that a noisy machine
disturbs them alike; the last columns are medians of the ratios of neighboring turns (below 1, NumPy is
the quicker). With `--plain` the plain operations take turns with both, and how many times as long as the fast ones
they need comes last. torch runs in the default and in the channels-last layout, and the faster one counts. On a
machine that is busy with other things, `--threads 1 --cpu-time` still tells how much work each side
does. Large operations share their pieces out among the cores, as within a model. Needs torch.
"""

import argparse
import contextlib
import os
import time

import sides

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--only", default="", help="run only cases whose name contains this")
parser.add_argument("--repeats", type=sides.positive, default=15)
parser.add_argument("--threads", type=sides.num_threads, default=2)
parser.add_argument("--plain", action="store_true", help="also time the plain operations")
parser.add_argument("--cpu-time", action="store_true", help="count the processor's time, not the clock's")
args = parser.parse_args()
clock = time.process_time if args.cpu_time else time.perf_counter
os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)  # read when numpy is imported

import checkout  # noqa: E402, F401
import machine  # noqa: E402

sides.require_torch()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from npmaskrcnn import ops  # noqa: E402
from npmaskrcnn.fast.passes import LARGE_BATCH  # noqa: E402

torch.set_num_threads(args.threads)
rng = np.random.default_rng(0)

# name, image batch (N, H, W, C), C_out, kernel, stride, padding, groups
CONVOLUTIONS = [
    ("tiny stem 3x3/2", (4, 128, 128, 3), 24, 3, 2, 1, 1),
    ("tiny 24-24 3x3", (4, 32, 32, 24), 24, 3, 1, 1, 1),
    ("tiny 24-48 3x3/2", (4, 32, 32, 24), 48, 3, 2, 1, 1),
    ("tiny 24-48 1x1/2", (4, 32, 32, 24), 48, 1, 2, 0, 1),
    ("tiny 48-48 3x3", (4, 16, 16, 48), 48, 3, 1, 1, 1),
    ("tiny 64-64 3x3", (4, 8, 8, 64), 64, 3, 1, 1, 1),
    ("tiny 96-96 3x3", (4, 4, 4, 96), 96, 3, 1, 1, 1),
    ("tiny P2 48-48 3x3", (4, 32, 32, 48), 48, 3, 1, 1, 1),
    ("tiny P3 48-48 3x3", (4, 16, 16, 48), 48, 3, 1, 1, 1),
    ("tiny P5 48-48 3x3", (4, 4, 4, 48), 48, 3, 1, 1, 1),
    ("tiny mask head 48-32", (48, 14, 14, 48), 32, 3, 1, 1, 1),
    ("tiny mask head 32-32", (48, 14, 14, 32), 32, 3, 1, 1, 1),
    ("full stem 7x7/2", (1, 800, 1088, 3), 64, 7, 2, 3, 1),
    ("full layer1 3x3", (1, 200, 272, 64), 64, 3, 1, 1, 1),
    ("full layer2 3x3/2", (1, 200, 272, 128), 128, 3, 2, 1, 1),
    ("full layer3 3x3", (1, 50, 68, 256), 256, 3, 1, 1, 1),
    ("full layer4 3x3", (1, 25, 34, 512), 512, 3, 1, 1, 1),
    ("full P2 256-256 3x3", (1, 200, 272, 256), 256, 3, 1, 1, 1),
    ("full 64-256 1x1", (1, 200, 272, 64), 256, 1, 1, 0, 1),
    ("full 1024-256 1x1", (1, 50, 68, 1024), 256, 1, 1, 0, 1),
    ("full 512-1024 1x1/2", (1, 100, 136, 512), 1024, 1, 2, 0, 1),
    ("full 32x4d 3x3", (1, 200, 272, 128), 128, 3, 1, 1, 32),
    ("full 32x32d 3x3", (1, 25, 34, 1024), 1024, 3, 1, 1, 32),
    # the same work as three of the depthwise ones, as a usual convolution of as many groups as channels
    ("grouped 72 3x3", (1, 200, 272, 72), 72, 3, 1, 1, 72),
    ("grouped 120 5x5", (1, 100, 136, 120), 120, 5, 1, 2, 120),
    ("grouped 960 5x5", (1, 25, 34, 960), 960, 5, 1, 2, 960),
]
# of MobileNetV3-Large at 800x1088, and of the tiny one: name, image batch, kernel, stride
DEPTHWISE = [
    ("depthwise 16 3x3", (1, 400, 544, 16), 3, 1),
    ("depthwise 64 3x3/2", (1, 400, 544, 64), 3, 2),
    ("depthwise 72 3x3", (1, 200, 272, 72), 3, 1),
    ("depthwise 72 5x5/2", (1, 200, 272, 72), 5, 2),
    ("depthwise 120 5x5", (1, 100, 136, 120), 5, 1),
    ("depthwise 480 3x3", (1, 50, 68, 480), 3, 1),
    ("depthwise 960 5x5", (1, 25, 34, 960), 5, 1),
    ("tiny depthwise 48 3x3", (4, 16, 16, 48), 3, 1),
]
# of each model: P2, what the stem's pooling gets, and what is enlarged to P2
MAPS = {"tiny": ((4, 32, 32, 48), (4, 64, 64, 24), (4, 16, 16, 48)),
        "full": ((1, 200, 272, 256), (1, 400, 544, 64), (1, 100, 136, 256))}
LINEAR_LAYERS = [("tiny fc6", (128, 2352), 128), ("full fc6", (1000, 12544), 1024)]     # name, rows, C_out
TRANSPOSED_CONVOLUTIONS = [("tiny mask up 2x2/2", (48, 14, 14, 32)), ("full mask up 2x2/2", (100, 14, 14, 256))]


def convolution_case(name, shape, c_out, k, stride, padding, groups):
    x, weight = normal(*shape), normal(k, k, shape[3] // groups, c_out)
    tx, tw = nchw(x), torch.tensor(np.ascontiguousarray(weight.transpose(3, 2, 0, 1))).requires_grad_()
    return (
        name,
        lambda: ops.conv2d_forward(x, weight, None, stride, padding, groups),
        ops.conv2d_backward,
        lambda layout: torch_case(
            lambda x, w: F.conv2d(x, w, None, stride, padding, 1, groups), layout, tx, tw
        ),
    )


def depthwise_case(name, shape, k, stride):
    x, weight = normal(*shape), normal(k, k, 1, shape[3])
    tx, tw = nchw(x), torch.tensor(np.ascontiguousarray(weight.transpose(3, 2, 0, 1))).requires_grad_()
    return (name, lambda: ops.depthwise_conv2d_forward(x, weight, None, stride, k // 2), ops.depthwise_conv2d_backward,
            lambda layout: torch_case(lambda x, w: F.conv2d(x, w, None, stride, k // 2, 1, shape[3]), layout, tx, tw))


def image_case(name, shape, forward, backward, torch_forward):
    x = normal(*shape)
    tx = nchw(x)
    return name, lambda: forward(x), backward, lambda layout: torch_case(torch_forward, layout, tx)


def norm_cases(size, shape):
    """Batch norm, and frozen batch norm, which is a scale and a shift per channel."""
    weight, bias, mean = (normal(shape[3]) for _ in range(3))
    var = np.abs(normal(shape[3])) + 1
    w, b = (torch.tensor(a).requires_grad_() for a in (weight, bias))
    scale, shift = (torch.tensor(a).view(1, -1, 1, 1) for a in (weight, bias))
    yield image_case(f"{size} batch norm", shape, lambda x: ops.batch_norm_forward(x, weight, bias),
                     ops.batch_norm_backward, lambda x: F.batch_norm(x, None, None, w, b, True))
    yield image_case(f"{size} frozen batch norm", shape,
                     lambda x: ops.frozen_batch_norm_forward(x, weight, bias, mean, var),
                     ops.frozen_batch_norm_backward, lambda x: x * scale + shift)


def linear_case(name, shape, c_out):
    x, weight, bias = normal(*shape), normal(shape[1], c_out), normal(c_out)
    tx, tw, tb = torch.tensor(x), torch.tensor(weight.T.copy()), torch.tensor(bias).requires_grad_()
    return (name, lambda: ops.linear_forward(x, weight, bias), ops.linear_backward,
            lambda layout: torch_case(lambda x, w: F.linear(x, w, tb), layout, tx, tw))


def transposed_case(name, shape):
    x, weight = normal(*shape), normal(2, 2, shape[3], shape[3])
    tx, tw = nchw(x), torch.tensor(np.ascontiguousarray(weight.transpose(2, 3, 0, 1))).requires_grad_()
    return (name, lambda: ops.conv_transpose2d_forward(x, weight, None, 2), ops.conv_transpose2d_backward,
            lambda layout: torch_case(lambda x, w: F.conv_transpose2d(x, w, None, 2), layout, tx, tw))


def other_cases():
    yield from (depthwise_case(*case) for case in DEPTHWISE)
    yield image_case("full hardswish", (1, 50, 68, 480), ops.hardswish_forward, ops.hardswish_backward, F.hardswish)
    for size, (whole, stem, half) in MAPS.items():
        yield image_case(f"{size} ReLU", whole, ops.relu_forward, ops.relu_backward, F.relu)
        yield from norm_cases(size, whole)
        yield image_case(f"{size} max pool 3/2", stem, lambda x: ops.max_pool2d_forward(x, 3, 2, 1),
                         ops.max_pool2d_backward, lambda x: F.max_pool2d(x, 3, 2, 1))
        yield image_case(f"{size} upsample x2", half, lambda x, to=whole[1:3]: ops.upsample_nearest_forward(x, to),
                         ops.upsample_nearest_backward,
                         lambda x, to=whole[1:3]: F.interpolate(x, to, mode="nearest"))
    yield image_case("full resize bilinear", (1, 480, 640, 3),
                     lambda x: ops.resize_bilinear_forward(x, (800, 1066)), ops.resize_bilinear_backward,
                     lambda x: F.interpolate(x, (800, 1066), mode="bilinear", align_corners=False))
    yield from (linear_case(*case) for case in LINEAR_LAYERS)
    yield from (transposed_case(*case) for case in TRANSPOSED_CONVOLUTIONS)


def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)


def nchw(x):
    return torch.tensor(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def torch_case(forward, layout, x, weight=None):
    """A function that runs forward, or forward's backward, once; everything is laid out beforehand."""
    memory = {"default": torch.contiguous_format, "channels last": torch.channels_last}[layout]
    lay = lambda t: t.contiguous(memory_format=memory) if t.dim() == 4 else t
    x = lay(x.detach()).requires_grad_()
    weights = () if weight is None else (lay(weight.detach()).requires_grad_(),)
    dy = lay(torch.randn_like(forward(x, *weights)))

    def run():
        start = clock()
        y = forward(x, *weights)
        middle = clock()
        y.backward(dy)
        end = clock()
        x.grad = None
        for w in weights:
            w.grad = None
        return middle - start, end - middle

    return run


def numpy_case(forward, backward):
    dy = normal(*forward()[0].shape)

    def run():
        start = clock()
        _, cache = forward()
        middle = clock()
        backward(dy, cache)
        return middle - start, clock() - middle

    return run


def main():
    machine.print_machine()
    print(f"{'':24}{'forward, ms':>18}{'backward, ms':>22}{'ratio NumPy / torch':>26}")
    columns = f"{'':24}{'NumPy':>10}{'torch':>8}{'NumPy':>14}{'torch':>8}"
    plain = "   plain / fast" if args.plain else ""
    print(f"{columns}{'fwd':>12}{'bwd':>7}{'both':>7}   torch's layout{plain}")
    cases = [case for case in [*(convolution_case(*c) for c in CONVOLUTIONS), *other_cases()] if args.only in case[0]]
    if not cases:
        parser.error(f"no operation has {args.only!r} in its name")
    for name, forward, backward, torch_run in cases:
        measure(name, numpy_case(forward, backward), torch_run)


def measure(name, numpy_run, torch_run):
    layouts = {layout: torch_run(layout) for layout in ("default", "channels last")}
    runs = {"numpy": numpy_run, **layouts}
    if args.plain:
        runs["plain"] = numpy_run
    times = {key: [] for key in runs}
    began = time.perf_counter()
    for turn in range(args.repeats + 2):
        for key, run in runs.items():
            with ops.plain() if key == "plain" else contextlib.nullcontext():
                if key in ("numpy", "plain"):
                    with ops.whole_pass(LARGE_BATCH, training=True):
                        both = run()
                else:
                    both = run()
            if turn >= 2:  # the first turns fill caches and start threads
                times[key].append(both)
        if turn >= 4 and time.perf_counter() - began > 4:  # enough for the large ones
            break
    times = {key: np.array(value) for key, value in times.items()}
    best = min(layouts, key=lambda key: np.median(times[key].sum(axis=1)))
    mine, its = times["numpy"], times[best]
    (f1, b1), (f2, b2) = 1e3 * np.median(mine, axis=0), 1e3 * np.median(its, axis=0)
    forward, backward = np.median(mine / its, axis=0)
    both = np.median(mine.sum(axis=1) / its.sum(axis=1))
    ratios = f"{forward:12.2f}{backward:7.2f}{both:7.2f}"
    if args.plain:
        best = f"{best:13}{np.median(times['plain'].sum(axis=1) / mine.sum(axis=1)):14.2f}"
    print(f"{name:24}{f1:10.2f}{f2:8.2f}{b1:14.2f}{b2:8.2f}{ratios}   {best}", flush=True)


if __name__ == "__main__":
    main()
