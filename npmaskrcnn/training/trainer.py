"""The training loop with all the care that hours of computing deserve.

The loop itself is in `loop`, and there is no other: a `Trainer` is that loop with listeners. They see to it that
nobody has to guess what is going on (a line, a log, curves), that nothing is lost (checkpoints), and that a training
which goes wrong says so at once and in words.
"""

import contextlib
import os
from pathlib import Path

import numpy as np

from .. import ops, weights
from ..errors import InputError, warn
from ..files import as_path, make_folder
from ..interrupt import terminate_as_interrupt, uninterrupted
from ..judge import judge_count, judge_counts, judge_flag, judge_number, judge_rng
from ..mask_rcnn import judge_loss_weights
from ..progress import ProgressLine
from ..words import count
from . import checkpoint
from .augment import augment, without_crowds
from .divergence import Divergence, TrainingDiverged, first_bad_weight
from .lock import alone_in
from .log import Log, Record, ap_columns, log_columns
from .loop import Loop
from .options import JudgedItems, judge_dataset, judge_images, judge_parts, judge_scale_jitter
from .progress import Progress, chance_levels
from .state import AllOrNothing, WeightAverage
from .validation import average_precision, draw_curves, iou_types
from .zeros import KeepZeros


class Trainer(Loop):
    """Trains a model on a dataset, step by step: the `Loop`, with a log, checkpoints, progress and a watch over it.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place. Or another model that has what `others.Detector` says.
    dataset : ShapesDataset, CocoDataset or the like
        ``len()``, ``[i] -> (image, Target)`` and ``class_names``.
    optimizer : SGD, AdamW or Muon
        Over ``model.named_parameters()``.
    schedule : WarmupCosine, WarmupSteps or None
        None keeps the optimizer's own rate.
    batch_size : int
        Images a step.
    rng : np.random.Generator or int
        A generator, or a seed for one. Draws the order of the images, the mirroring and the model's samples.
    out_dir : path or None
        Folder for ``log.csv``, ``validation.csv``, ``curves.png``, ``gradients.png``, the checkpoints and, at the
        end of `run`, ``model.npz``; made if missing. None writes nothing.
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
    quarter_turns : bool
        Turn images by quarters, as pictures from above or through a microscope may be.
    weight_average : float or None
        Decay of an average of the weights, which evaluations then use; see `WeightAverage`.
    judge_first : bool
        Read every image and target of both sets once, before the first step of `run`, and refuse what is wrong in one
        message. Datasets that say ``draws_itself`` (`ShapesDataset`) are spared.
    keep_zeros : bool
        Weights that are zero at the beginning stay so; see `light.zero_small_weights`.
    stream : text file or None
        Where the lines go; None is standard output.

    Attributes
    ----------
    step : int
        Steps done so far.
    seconds : float
        Spent in them.
    log, validation_log : Log
    average : WeightAverage or None
    last_checkpoint : str or None
    listeners : list of Listener
        In the order in which they hear of a step; more may be added.

    Raises
    ------
    InputError
        If an option is out of range, the dataset is empty or all crowds, its classes are not the model's, or
        the optimizer's parameters are another model's.
    """

    def __init__(self, model, dataset, optimizer, schedule=None, batch_size=4, rng=0, out_dir=None, clip_norm=10.0,
                 loss_weights=None, validation=None, eval_every=None, checkpoint_at=(), checkpoint_every=100,
                 log_every=20, flip=True, scale_jitter=None, quarter_turns=False, weight_average=None,
                 judge_first=False, keep_zeros=False, stream=None):
        judge_parts(model, optimizer, schedule)
        judge_dataset(model, dataset, "dataset", to_learn_from=True)
        super().__init__(model, dataset, optimizer, judge_rng(rng, ("permutation", "integers")), schedule,
                         judge_count(batch_size, "batch_size"),
                         judge_number(clip_norm, "clip_norm", above=0, optional=True),
                         judge_loss_weights(loss_weights, model), self._variant_of)
        self.flip, self.scale_jitter = judge_flag(flip, "flip"), judge_scale_jitter(scale_jitter)
        self.quarter_turns = judge_flag(quarter_turns, "quarter_turns")
        self.eval_every = judge_count(eval_every, "eval_every", optional=True)
        self.checkpoint_at = set(judge_counts(checkpoint_at, "checkpoint_at"))
        self.checkpoint_every = judge_count(checkpoint_every, "checkpoint_every", optional=True)
        self.validation = validation
        if validation is not None:
            judge_dataset(model, validation, "validation")
        self.average = None if weight_average is None else WeightAverage(
            model, judge_number(weight_average, "weight_average", above=0, below=1))
        self.out_dir = None if out_dir is None else make_folder(out_dir, "out_dir")
        self.log = Log(log_columns(model), self.path("log.csv"))
        self.validation_log = Log(ap_columns(iou_types(model)), self.path("validation.csv"))
        self.progress = Progress(judge_count(log_every, "log_every", 0), stream)
        self.judge_first = judge_flag(judge_first, "judge_first")
        self.seconds, self.last_checkpoint = 0.0, None
        self.divergence, self.all_or_nothing, self.record = Divergence(), AllOrNothing(), Record()
        averages = [] if self.average is None else [self.average]
        zeros = [KeepZeros(model)] if judge_flag(keep_zeros, "keep_zeros") else []
        # The judges come before `all_or_nothing` lets the weights move; a checkpoint comes when all else is up to date.
        self.listeners = [JudgedItems(), self.divergence, self.all_or_nothing, *zeros, *averages, self.record,
                          checkpoint.Checkpoints()]

    def path(self, name):
        """Return the path of a file in the output folder, None if there is none."""
        return None if self.out_dir is None else os.path.join(self.out_dir, name)

    def resume(self, path):
        """Take up a stored training; see `checkpoint.load_checkpoint`. Returns self."""
        path = as_path(path, "resume")
        self._judge_folder(os.path.dirname(os.path.realpath(path)))
        checkpoint.load_checkpoint(self, path)
        self.log.continue_from(self.step)
        self.validation_log.continue_from(self.step)
        self.last_checkpoint = path
        self.progress.say(f"resumed from {path} after step {self.step}")
        return self

    def run(self, num_steps):
        """Train for `num_steps` further steps, then write a checkpoint and the model, evaluate and draw the curves.

        An evaluation that cannot be done is a warning, and the training goes on. A run that was taken up makes up for
        one that was cut off; it may have no step left (0), and then is finished.

        Returns
        -------
        log : dict of str to ndarray
            The columns of ``log.csv``.

        Raises
        ------
        TrainingDiverged
            If a loss, a gradient or a weight is not finite.
        KeyboardInterrupt
            After Ctrl-C, when the checkpoint has been written; any other exception likewise.
        InputError
            If the folder holds another run, which this one would overwrite, or another training is writing into it.
        """
        is_new = not (self.step or self.last_checkpoint)
        last = self.step + judge_count(num_steps, "num_steps", 1 if is_new else 0)
        with alone_in(self.out_dir):
            if is_new:
                self._judge_folder()
            self._judge_images()
            if is_new:
                self.log.put_aside()
                self.validation_log.put_aside()
            self._say_what_is_to_come(last)
            self._run_to(last)
        return self.log.arrays()

    def _judge_images(self):
        """Look at all images, once in the life of a trainer."""
        for name in ("dataset", "validation") if self.judge_first else ():
            dataset = getattr(self, name)
            if dataset is not None and not getattr(dataset, "draws_itself", False):
                line = ProgressLine(f"looking at the images of the {name}", len(dataset), self.progress.line)
                tell = line.update if self.progress.log_every else lambda done: None
                try:
                    judge_images(self.model, dataset, name, tell)
                finally:
                    self.progress.line.close()
        self.judge_first = False

    def _run_to(self, last):
        try:
            with terminate_as_interrupt():
                self._take_stock(last)
                while self.step < last:
                    before = self.seconds
                    row = self.train_step()
                    self.progress.step(row, last, self.batch_size, self.seconds - before)
                    self._take_stock(last)
        except KeyboardInterrupt:
            self._stopped("interrupted")
            raise
        except Exception as error:  # a file that is gone, no memory: the steps so far are not to blame
            if self.step and not isinstance(error, TrainingDiverged):   # which leaves nothing worth keeping
                with contextlib.suppress(OSError, InputError):  # where nothing can be written, the cause is told
                    self._stopped(f"stopped by {type(error).__name__}")
            raise

    def _say_what_is_to_come(self, last):
        into = f", into {self.out_dir}" if self.out_dir else ""
        steps = f"steps {self.step + 1} to {last}" if self.step < last else f"all {count(last, 'step')} done"
        objects, crowds = (getattr(self.dataset, name, None) for name in ("num_objects", "num_crowds"))
        contents = "" if objects is None else f" with {count(objects, 'object')}"
        left_out = f" ({count(crowds, 'crowd')} left out)" if crowds else ""
        self.progress.say(f"training on {count(len(self.dataset), 'image')}{contents}{left_out}, {self.batch_size} a "
                          f"step, {steps}{into}")
        self.progress.say(chance_levels(self.model.num_classes, self.model.loss_names))

    def _take_stock(self, last):
        """Evaluate and draw, if it is time and not done yet; at the end write before that all that must not be lost."""
        is_end = self.step == last
        if is_end:
            self.save()
            self._save_model()
        if not (is_end or (self.step and self.eval_every and self.step % self.eval_every == 0)):
            return
        try:
            if self.step not in self.validation_log.arrays()["step"]:
                self.evaluate()
            draw_curves(self)
        except Exception as error:  # whatever is wrong with the images, or with drawing: the model does not need it
            reason = error if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            warn(f"the evaluation of step {self.step} is missing, the model is kept: {reason}")

    def tell(self, part, batch):
        """Call the method `part` of every listener; when all have heard that gradients are clipped, weights move."""
        super().tell(part, batch)
        if part == "clipped":
            self.all_or_nothing.weights_move()

    def train_step(self):
        """Do one step and return its row of the log; an interruption leaves the state before or after it."""
        self.record.begin()
        with (ops.whole_pass(training=True),    # the optimizer, too: a switch costs more than its products gain
              np.errstate(over="ignore", invalid="ignore", divide="ignore"),    # `Divergence` says it better
              self.all_or_nothing.step_of(self), self.divergence.step_of(self)):
            self.one_step()
        return self.record.row

    def _variant_of(self, image, target, rng):
        """Return what the model is shown of an image: mirrored, turned, zoomed, without crowds."""
        return augment(image, without_crowds(target), rng, self.flip, self.scale_jitter, self.quarter_turns)

    def evaluate(self):
        """Measure average precision on the validation set, if any; with the averaged weights, if any."""
        if self.validation is None:
            return
        with self._averaged():
            figures = average_precision(self.model, self.validation, self.progress)
        with uninterrupted():
            self.validation_log.append(step=self.step, seconds=round(self.seconds, 3), **figures)
        measured = [f"{what} AP {figures[f'{kind}_AP']:.3f} (AP50 {figures[f'{kind}_AP50']:.3f})"
                    for kind, what in (("bbox", "box"), ("segm", "mask")) if f"{kind}_AP" in figures]
        self.progress.say(f"step {self.step}: {', '.join(measured)}")

    def save(self, name="checkpoint.npz"):
        """Write a checkpoint into the output folder and return its path; None without a folder."""
        path = self.path(name)
        if path is not None:
            with uninterrupted():
                checkpoint.save_checkpoint(self, path)
            self.last_checkpoint = path
        return path

    def _save_model(self):
        path = self.path("model.npz")
        if path is not None:
            with uninterrupted(), self._averaged():
                weights.save(self.model, path)
            self.progress.say(f"the model is in {path}")

    def _averaged(self):
        """Put the averaged weights, if any, into the model for the length of a ``with`` block."""
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def _judge_folder(self, resumed=None):
        """Refuse a folder that holds a run, unless its checkpoint lies in the (real) folder `resumed`, this one."""
        if self.out_dir is None or resumed == os.path.realpath(self.out_dir):
            return
        found = sorted(path.name for path in Path(self.out_dir).glob("*.npz")
                       if path.name.startswith("checkpoint") or path.name == "model.npz")
        if found:
            raise InputError(f"{self.out_dir}: holds another run ({', '.join(found)}), which would be lost; take "
                             "its own checkpoint up with resume (--resume), or choose another folder (--out)")

    def _stopped(self, how):
        hindrances = {"no folder was named": self.out_dir is None, "no step was done": not self.step,
                      "weights are not finite": first_bad_weight(self.model)}
        hindrance = next((words for words, holds in hindrances.items() if holds), None)
        self.progress.say(f"{how} after step {self.step}; "
                          + (f"no checkpoint is written, because {hindrance}" if hindrance
                             else f"to go on: npmaskrcnn train ... --resume {self.save()}"))
