"""One side of a comparison, in a process of its own: it waits for orders, one a line, and answers in JSON.

Two numerical libraries in one process disturb each other: both keep threads that spin for a while after
each product, waiting for the next. So each side has its own process, and only one of them is told to work
at a time. Started by `sides.py`; not meant to be run by hand.

The package is that of the checkout that is named on the command line, or of the one that this file lies in. To be
able to run another revision's, a side of ours uses only what every revision has: loading, predicting, losses and
gradients, and the optimizer.

Orders: ``{"do": "open", "side", "weights", "scene", "threads", "pasting"}``, ``{"do": "find", "task"}``,
``{"do": "run", "task", "times"}``, ``{"do": "memory", "task"}``, ``{"do": "stages", "task", "times"}``,
``{"do": "products", "shapes"}``.
"""

import gc
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEARNING_RATE = 1e-12       # all the optimizer's work, yet every repetition starts from the same weights


def resident_bytes(which="VmRSS"):
    """Return the resident memory now (VmRSS) or at its highest (VmHWM)."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(which):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_high_water():
    """Let the high-water mark start from now: what loading the model needed for a moment is left out."""
    gc.collect()
    try:
        import ctypes
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass        # not Linux: the mark then includes the building of the model


class Ours:
    """npmaskrcnn."""

    def __init__(self, threads):
        import npmaskrcnn
        import npmaskrcnn.training  # noqa: F401
        for name in npmaskrcnn.__all__:
            getattr(npmaskrcnn, name)   # or the memory of what is imported later would count as the model's
        self.library = npmaskrcnn

    def open(self, weights, scene, pasting=True):
        """Load model and scene."""
        import numpy as np

        import scene_file
        from npmaskrcnn.training.optimizers import AdamW
        self.np = np
        self.model = self.library.load(weights)
        self.images, self.targets = scene_file.read(scene)
        self.options = {} if pasting else {"paste_all": False}      # which not every revision has
        self.optimizer = None
        self.make_optimizer = lambda: AdamW(self.model.named_parameters(), LEARNING_RATE, weight_decay=1e-4)

    def prepare(self, task):
        """Do what precedes the first repetition."""
        if task == "train" and self.optimizer is None:
            self.optimizer = self.make_optimizer()

    def train(self):
        """Make one training step."""
        self.model.loss_and_grads(self.images, self.targets, self.np.random.default_rng(0))
        self.optimizer.step()

    def predict(self):
        """Predict the first image."""
        return [self.model.predict(self.images[0], **self.options)]

    def predict_batch(self):
        """Predict all images in one call."""
        return self.model.predict(self.images, **self.options)

    def answers(self, found):
        """Return boxes, labels and masks (None: not pasted) of what a prediction found, for each image."""
        return [(one.boxes, one.labels, None if self.options else one.masks) for one in found]

    def watch(self, clock):
        """Put the stopwatch around the stages."""
        from stage_clock import watch_ours
        watch_ours(clock, self.model, self.optimizer)


class Plain(Ours):
    """npmaskrcnn with its plain hand, which does everything as the formulas read."""

    def train(self):
        """Make one training step."""
        with self.library.ops.plain():
            super().train()

    def predict(self):
        """Predict the first image."""
        with self.library.ops.plain():
            return super().predict()

    def predict_batch(self):
        """Predict all images in one call."""
        with self.library.ops.plain():
            return super().predict_batch()


class Torchvision:
    """The same model in torchvision."""

    def __init__(self, threads):
        import torch

        import npmaskrcnn
        import torchvision_twin
        torch.set_num_threads(threads)
        self.library, self.torch, self.twins = npmaskrcnn, torch, torchvision_twin

    def open(self, weights, scene, pasting=True):
        """Load the weights into the twin; our own model is dropped again."""
        import scene_file
        self.model, self.pasting = self.twins.twin_of(self.library.load(weights)), pasting
        if not pasting:
            self.twins.without_pasting(self.model)
        images, targets = scene_file.read(scene)
        self.images = [self.twins.to_torch(image) for image in images]
        self.targets = [self.twins.target_to_torch(target) for target in targets]
        self.optimizer = None

    def prepare(self, task):
        """Do what precedes the first repetition."""
        self.model.train(task == "train")
        if task == "train" and self.optimizer is None:
            self.optimizer = self.torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad],
                                                    lr=LEARNING_RATE, weight_decay=1e-4)

    def train(self):
        """Make one training step."""
        self.torch.manual_seed(0)
        self.optimizer.zero_grad()
        sum(self.model(self.images, self.targets).values()).backward()
        self.optimizer.step()

    def predict(self):
        """Predict the first image."""
        with self.torch.inference_mode():
            return self.model(self.images[:1])

    def predict_batch(self):
        """Predict all images in one call."""
        with self.torch.inference_mode():
            return self.model(self.images)

    def answers(self, found):
        """Return boxes, labels and masks (None: not pasted) of what a prediction found, for each image."""
        return [(one["boxes"].numpy(), one["labels"].numpy(), one["masks"][:, 0].numpy() if self.pasting else None)
                for one in found]

    def watch(self, clock):
        """Put the stopwatch around the stages."""
        from stage_clock import watch_torchvision
        watch_torchvision(clock, self.model, self.optimizer)
        original = self.torch.Tensor.backward
        self.torch.Tensor.backward = clock.timed("all stages", "backward", original)


class Exported:
    """torchvision's model to its 28x28 masks, exported, as another program runs it; torchvision pastes the masks."""

    def __init__(self, threads):
        import torch

        import npmaskrcnn  # noqa: F401  (the scene is read with it; it does not count as this side's memory)
        from torchvision.models.detection.roi_heads import paste_masks_in_image
        torch.set_num_threads(threads)
        self.torch, self.paste, self.threads = torch, paste_masks_in_image, threads

    def open(self, weights, scene, pasting=True):
        """Compile the exported model."""
        import numpy as np

        import scene_file
        images, _ = scene_file.read(scene)
        self.images = [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in images]
        self.pasting, self.compute = pasting, self.compiled(weights)

    def prepare(self, task):
        """There is nothing to do before the first repetition."""

    def predict(self):
        """Predict the first image."""
        return self.found(self.images[:1])

    def predict_batch(self):
        """Predict all images in one call."""
        return self.found(self.images)

    def found(self, images):
        """Return [boxes, labels, scores, masks] for each image."""
        outputs = self.compute(images)
        found = [list(outputs[i:i + 4]) for i in range(0, len(outputs), 4)]
        for image, one in zip(images, found):
            if self.pasting:
                one[3] = self.paste(*map(self.torch.from_numpy, (one[3], one[0])), image.shape[1:]).numpy()
        return found

    def answers(self, found):
        """Return boxes, labels and masks (None: not pasted) of what a prediction found, for each image."""
        return [(boxes, labels, masks[:, 0] if self.pasting else None) for boxes, labels, _, masks in found]


class OpenVINO(Exported):
    """The exported model in OpenVINO, in float32: left alone, it takes bfloat16 where the processor has it."""

    def __init__(self, threads):
        super().__init__(threads)
        import openvino
        self.core = openvino.Core()

    def compiled(self, path):
        """Return a function of the images."""
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": self.threads,
                   "PERFORMANCE_HINT": "LATENCY"}
        model = self.core.compile_model(path, "CPU", options)
        return lambda images: list(model(images).values())


class OnnxRuntime(Exported):
    """The exported model in ONNX Runtime."""

    def __init__(self, threads):
        super().__init__(threads)
        import onnxruntime
        self.library = onnxruntime

    def compiled(self, path):
        """Return a function of the images."""
        options = self.library.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = self.library.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        return lambda images: session.run(None, dict(zip(names, images)))


SIDES = {"ours": Ours, "plain": Plain, "torchvision": Torchvision, "openvino": OpenVINO, "onnxruntime": OnnxRuntime}


def product_rates(shapes, clock=time.perf_counter):
    """Return the best GFLOP/s of float32 matrix products (m, k) @ (k, n), of a handful of tries each."""
    import numpy as np
    rates = []
    for m, k, n in shapes:
        a, b, out = np.ones((m, k), np.float32), np.ones((k, n), np.float32), np.empty((m, n), np.float32)
        times = []
        for _ in range(max(3, min(20, int(2e10 / (m * k * n))))):
            start = clock()
            np.matmul(a, b, out=out)
            times.append(clock() - start)
        rates.append([2e-9 * m * k * n / min(times), 2e-9 * m * k * n / sorted(times)[len(times) // 2]])
    return rates


def seconds_of(function, times):
    """Return [wall seconds, processor seconds] of each of `times` runs."""
    taken = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        taken.append([time.perf_counter() - wall, time.process_time() - cpu])
    return taken


def obey(order, state):
    """Carry out one order and return the answer."""
    what = order["do"]
    if what == "open":
        state["side"] = SIDES[order["side"]](order["threads"])
        state["imported"] = resident_bytes()
        state["side"].open(order["weights"], order["scene"], order["pasting"])
        forget_high_water()
        return {"imported": state["imported"], "opened": resident_bytes()}
    if what == "products":
        return product_rates(order["shapes"], time.process_time if order["cpu_time"] else time.perf_counter)
    side = state["side"]
    side.prepare(order["task"])
    function = getattr(side, order["task"])
    if what == "find":
        return [{"boxes": boxes.tolist(), "labels": labels.tolist(),
                 **({} if masks is None else {"mask_means": masks.mean(axis=(1, 2)).tolist()})}
                for boxes, labels, masks in side.answers(function())]
    if what == "run":
        return seconds_of(function, order["times"])
    if what == "memory":
        forget_high_water()
        seconds_of(function, order.get("times", 2))
        return resident_bytes("VmHWM") - state["imported"]
    if what == "stages":
        from stage_clock import StageClock
        if "clock" not in state:
            state["clock"] = StageClock(time.process_time if order["cpu_time"] else time.perf_counter)
            side.watch(state["clock"])
            function = getattr(side, order["task"])
        clock = state["clock"]
        function()
        clock.reset()
        taken = seconds_of(function, order["times"])
        return {"total": sum(t[order["cpu_time"]] for t in taken) / len(taken),
                "stages": [[*key, seconds / len(taken), clock.calls[key] / len(taken)]
                           for key, seconds in clock.seconds.items()]}
    raise ValueError(f"no such order: {what}")


def main():
    """Read orders until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                   # whatever else is printed must not mix with the answers
    warnings.simplefilter("ignore")
    sys.path[:0] = [str(HERE), sys.argv[1] if len(sys.argv) > 1 else str(HERE.parent)]
    state = {}
    for line in sys.stdin:
        answers.write(json.dumps(obey(json.loads(line), state)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
