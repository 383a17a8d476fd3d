"""The training loop: draw, mirror, run forward and backward, look, step; again.

A step takes four images the model has not seen for a while, asks it for the five losses and their gradients, and moves every
weight a little downhill. All the rest of this file is care: that nobody has to guess what is going on (a line, a log,
curves), that nothing is lost (checkpoints), and that a training which goes wrong says so at once and in words.

Notebook: the training lesson shows the loop in ten lines.
"""

import contextlib
import functools
import os
import time

import numpy as np

from ..errors import InputError
from . import checkpoint
from .augment import augment, without_crowds
from .divergence import TrainingDiverged, bad_term, first_bad_gradient, first_bad_input, first_bad_weight
from .interrupt import terminate_as_interrupt, uninterrupted
from .log import AP_COLUMNS, COLUMNS, Log, by_part
from .options import (judge_classes, judge_count, judge_dataset, judge_fraction, judge_loss_weights, judge_positive,
                      judge_scale_jitter)
from .optimizers import clip_gradients, squared_length
from .progress import Progress, chance_levels
from .state import DataOrder, WeightAverage, named_owners

# Overflow is looked for here, in so many words; NumPy's warnings about it would come first and say less.
QUIET = functools.partial(np.errstate, over="ignore", invalid="ignore", divide="ignore")


class Trainer:
    """Trains a model on a dataset, step by step.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place.
    dataset : ShapesDataset, CocoDataset or the like
        ``len()``, ``[i] -> (image, Target)`` and ``class_names``.
    optimizer : SGD or AdamW
        Over ``model.named_parameters()``.
    schedule : WarmupCosine, WarmupSteps or None
        None keeps the optimiser's own rate.
    batch_size : int
        Images a step.
    rng : np.random.Generator or int
        A generator, or a seed for one. Draws the order of the images, the mirroring and the model's samples.
    out_dir : path or None
        Folder for ``log.csv``, ``validation.csv``, ``curves.png``, ``gradients.png`` and the checkpoints;
        made if missing. None writes nothing.
    clip_norm : float or None
        Longest gradient that a step may follow.
    loss_weights : dict, optional
        Factor by name of the loss; 1 for those left out.
    validation : dataset or None
    eval_every : int or None
        Steps between two evaluations; None evaluates at the end of `run` only.
    checkpoint_at : iterable of int
        Steps after which ``checkpoint-<step>.npz`` is written, and kept.
    checkpoint_every : int or None
        Steps between two writings of ``checkpoint.npz``, which is replaced.
    log_every : int
        Steps between two lines (a terminal shows every step); 0 is silent.
    flip : bool
        Mirror half of the images.
    scale_jitter : (smallest, largest) or None
        Zoom factors; see `augment.zoom`.
    weight_average : float or None
        Decay of an average of the weights, which evaluations then use; see `WeightAverage`.

    Attributes
    ----------
    step : int
        Steps done so far.
    log, validation_log : Log
    average : WeightAverage or None

    Raises
    ------
    InputError
        If an option is out of range, the dataset is empty, or its classes are not the model's.
    """

    def __init__(self, model, dataset, optimizer, schedule=None, batch_size=4, rng=0, out_dir=None, clip_norm=10.0,
                 loss_weights=None, validation=None, eval_every=None, checkpoint_at=(), checkpoint_every=100,
                 log_every=20, flip=True, scale_jitter=None, weight_average=None, stream=None):
        self.model, self.dataset, self.optimizer, self.schedule = model, dataset, optimizer, schedule
        self.batch_size = judge_count(batch_size, "batch_size")
        self.clip_norm = None if clip_norm is None else judge_positive(clip_norm, "clip_norm")
        self.loss_weights = judge_loss_weights(loss_weights)
        self.eval_every = None if eval_every is None else judge_count(eval_every, "eval_every")
        self.checkpoint_at = {judge_count(step, "checkpoint_at") for step in checkpoint_at}
        self.checkpoint_every = None if checkpoint_every is None else judge_count(checkpoint_every, "checkpoint_every")
        self.flip, self.scale_jitter = bool(flip), judge_scale_jitter(scale_jitter)
        num_images = judge_dataset(dataset)
        judge_classes(model, dataset)
        self.validation = validation
        if validation is not None:
            judge_dataset(validation, "validation")
            judge_classes(model, validation, "validation")
        self.rng = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)
        self.order = DataOrder(num_images, self.rng)
        self.average = None if weight_average is None else WeightAverage(
            model, judge_fraction(weight_average, "weight_average"))
        self.out_dir = _folder(out_dir)
        self.log, self.validation_log = Log(COLUMNS, self.path("log.csv")), Log(AP_COLUMNS, self.path("validation.csv"))
        self.progress = Progress(judge_count(log_every, "log_every", 0), stream)
        self.step, self.seconds, self.last_checkpoint = 0, 0.0, None

    def path(self, name):
        """Return the path of a file in the output folder, None if there is none."""
        return None if self.out_dir is None else os.path.join(self.out_dir, name)

    def resume(self, path):
        """Take up a stored training; see `checkpoint.load_checkpoint`. Returns self."""
        checkpoint.load_checkpoint(self, path)
        self.log.continue_from(self.step)
        self.validation_log.continue_from(self.step)
        self.last_checkpoint = path
        self.progress.say(f"resumed from {path} after step {self.step}")
        return self

    def run(self, num_steps):
        """Train for `num_steps` further steps, then evaluate, draw the curves and write a checkpoint.

        Returns
        -------
        log : dict of str to ndarray
            The columns of ``log.csv``.

        Raises
        ------
        TrainingDiverged
            If a loss, a gradient or a weight is not finite.
        KeyboardInterrupt
            After Ctrl-C, when the checkpoint has been written.
        """
        last = self.step + judge_count(num_steps, "num_steps")
        self.progress.say(f"training on {len(self.dataset)} images, {self.batch_size} a step, steps {self.step + 1} "
                          f"to {last}" + (f", into {self.out_dir}" if self.out_dir else ""))
        self.progress.say(chance_levels(self.model.num_classes))
        clock, pace = time.perf_counter() - self.seconds, None
        try:
            with terminate_as_interrupt():
                while self.step < last:
                    before = self.seconds
                    row = self.train_step(clock)
                    took = max(self.seconds - before, 1e-9)
                    pace = took if pace is None else 0.9 * pace + 0.1 * took
                    self.progress.step(self.step, last, row, row["learning_rate"], self.batch_size / pace,
                                       pace * (last - self.step))
                    evaluated = self.eval_every and self.step % self.eval_every == 0
                    if self.validation is not None and (evaluated or self.step == last):
                        clock += self.evaluate()
                self._draw_curves()
                self.save()
        except KeyboardInterrupt:
            self._interrupted()
            raise
        return self.log.arrays()

    def train_step(self, clock=None):
        """Do one step and return its row of the log; an interruption leaves the state before or after it.

        Parameters
        ----------
        clock : float or None
            Value of ``time.perf_counter()`` at which this training would have begun without a pause.
        """
        clock = time.perf_counter() - self.seconds if clock is None else clock
        lr = self.optimizer.lr if self.schedule is None else self.schedule.learning_rate(self.step)
        with self._all_or_nothing(), QUIET():
            indices, images, targets = self._draw()
            losses = self._losses_and_gradients(indices, images, targets, lr)
            norms = {path: squared_length(p.grad) for path, p in self.optimizer.parameters.items() if p.grad is not None}
            norm = self._clip(indices, lr)
        with uninterrupted(), QUIET():
            before = {path: p.data.copy() for path, p in self.optimizer.parameters.items()}
            self.optimizer.lr = lr
            self.optimizer.step()
            self.step += 1
            if self.average is not None:
                self.average.update(self.step)
            self.seconds = time.perf_counter() - clock
            row = dict(step=self.step, seconds=round(self.seconds, 3), learning_rate=lr, **losses, grad_norm=norm)
            row["loss_total"] = sum(self.loss_weights[name] * value for name, value in losses.items())
            row.update((f"grad_norm_{part}", value) for part, value in by_part(norms).items())
            row.update(self._update_ratios(before))
            self.log.append(**row)
            self._keep_checkpoints(indices, lr)
        return row

    def evaluate(self):
        """Measure COCO's average precision on the validation set; returns the seconds that it took."""
        from ..evaluation import evaluate
        from ..structures import Detections

        began, found = time.perf_counter(), []
        with self.average.in_place() if self.average is not None else contextlib.nullcontext():
            for i in range(len(self.validation)):
                self.progress.evaluating(i, len(self.validation))
                one = self.model.predict(self.validation[i][0])
                found.append(Detections(one.boxes, one.labels, one.scores, one.masks > 0.5))  # a quarter of the memory
        result = evaluate(self.validation, found)
        figures = {column: float(getattr(result, column[:4])[column[5:]]) for column in AP_COLUMNS[2:]}
        with uninterrupted():
            self.validation_log.append(step=self.step, seconds=round(self.seconds, 3), **figures)
            self._draw_curves()
        self.progress.say(f"step {self.step}: box AP {figures['bbox_AP']:.3f} (AP50 {figures['bbox_AP50']:.3f}), "
                          f"mask AP {figures['segm_AP']:.3f} (AP50 {figures['segm_AP50']:.3f})")
        return time.perf_counter() - began

    def save(self, name="checkpoint.npz"):
        """Write a checkpoint into the output folder and return its path; None without a folder."""
        path = self.path(name)
        if path is not None:
            with uninterrupted():
                checkpoint.save_checkpoint(self, path)
            self.last_checkpoint = path
        return path

    # ---- the parts of a step ------------------------------------------------------------------------

    def _draw(self):
        """Return the indices, images and targets of the next batch."""
        indices, images, targets = self.order.next(self.batch_size), [], []
        for index in indices:
            image, target = self.dataset[index]
            target.check(image.shape[:2], self.model.num_classes, self.model.class_names,
                         f"image {index} of the dataset")
            image, target = augment(image, without_crowds(target), self.rng, self.flip, self.scale_jitter)
            images.append(image)
            targets.append(target)
        return indices, images, targets

    def _losses_and_gradients(self, indices, images, targets, lr):
        try:
            losses = self.model.loss_and_grads(images, targets, self.rng, self.loss_weights)
        except Exception:  # numbers that overflowed may break the pass anywhere, and with any message
            tensor = first_bad_weight(self.model)
            if tensor is None:
                raise
            raise self._diverged(indices, "the forward pass", "broken", tensor, lr) from None
        bad = bad_term(losses)
        if bad:
            raise self._diverged(indices, *bad, first_bad_input(self.model, images, targets), lr)
        return losses

    def _clip(self, indices, lr):
        parameters = self.optimizer.parameters
        norm = clip_gradients(parameters, self.clip_norm if self.clip_norm is not None else float("inf"))
        if not np.isfinite(norm):
            tensor = first_bad_gradient(self.model) or "none by itself, their sum of squares is too large"
            raise self._diverged(indices, "gradient norm", norm, tensor, lr)
        return norm

    def _diverged(self, indices, term, value, tensor, lr):
        return TrainingDiverged(self.step + 1, indices, term, value, tensor, lr, self.last_checkpoint)

    def _update_ratios(self, before):
        """Return, part by part, how long the step was against the weights that it changed."""
        parameters = self.optimizer.parameters
        weights = by_part({path: squared_length(value) for path, value in before.items()})
        for path, value in before.items():
            value -= parameters[path].data
        updates = by_part({path: squared_length(value) for path, value in before.items()})
        return {f"update_ratio_{part}": updates[part] / weights[part] if weights[part] else 0.0 for part in updates}

    def _keep_checkpoints(self, indices, lr):
        due = self.checkpoint_every and self.step % self.checkpoint_every == 0
        if self.out_dir is None or not (due or self.step in self.checkpoint_at):
            return
        tensor = first_bad_weight(self.model)
        if tensor:  # never over a good one
            raise TrainingDiverged(self.step, indices, "weights", "not finite", tensor, lr, self.last_checkpoint)
        if due:
            self.save()
        if self.step in self.checkpoint_at:
            self.save(f"checkpoint-{self.step:06d}.npz")

    @contextlib.contextmanager
    def _all_or_nothing(self):
        """Undo what a broken step has moved: the random state, the order of the images, the running statistics."""
        rng, order = self.rng.bit_generator.state, (self.order.order, self.order.position)
        data = [(owner, owner.data) for _, owner in named_owners(self.model)]
        try:
            yield
        except BaseException:
            self.rng.bit_generator.state = rng
            self.order.order, self.order.position = order
            for owner, array in data:  # statistics are replaced, not written to, and weights do not move here
                owner.data = array
            raise

    # ---- around the steps ---------------------------------------------------------------------------

    def _draw_curves(self):
        if self.out_dir is None or not len(self.log):
            return
        from ..plots import gradient_curves, loss_curves

        log, aps = self.log.arrays(), self.validation_log.arrays()
        validation = {"step": aps["step"], "box AP": aps["bbox_AP"], "mask AP": aps["segm_AP"]}
        figure = loss_curves(log, self.model.num_classes, validation if len(aps["step"]) else None)
        figure.savefig(self.path("curves.png"))
        gradient_curves(log).savefig(self.path("gradients.png"))

    def _interrupted(self):
        if self.out_dir is None:
            self.progress.say(f"interrupted after step {self.step}; nothing is saved without a folder")
            return
        path = self.save()
        self.progress.say(f"interrupted after step {self.step}; to go on: npmaskrcnn train ... --resume {path}")


def _folder(path):
    """Make the folder and return its path."""
    if path is None:
        return None
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be used as output folder ({error.strerror})") from None
    return os.fspath(path)
