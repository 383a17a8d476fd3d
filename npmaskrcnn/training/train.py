"""`train`: one call with good defaults, for those who want a trained model and not a lesson in training."""

from ..errors import InputError
from ..judge import judge_count, judge_known, judge_number
from ..words import count
from .muon import Muon
from .optimizers import SGD, AdamW
from .options import judge_model
from .schedule import WarmupCosine
from .trainer import Trainer

OPTIMIZERS = {"adamw": (AdamW, 2e-3), "sgd": (SGD, 2e-2), "muon": (Muon, 2e-2)}     # with their learning rates


def train(model, dataset, num_steps=800, out_dir=None, optimizer="adamw", lr=None, warmup=50,
          weight_decay=1e-4, resume=None, judge_first=True, ready=None, **options):
    """Train a model: AdamW, a warm-up, a cosine, gradients clipped at 10.

    Parameters
    ----------
    model : MaskRCNN
        Changed in place.
    dataset : ShapesDataset, CocoDataset or the like
    num_steps : int
        Steps in all; those that a resumed training has behind it count.
    out_dir : path, optional
        Folder for the log, the curves, the checkpoints and, at the end, ``model.npz``.
    optimizer : {"adamw", "sgd", "muon"}
    lr : float, optional
        Highest learning rate; 2e-3 for AdamW, 2e-2 for SGD (momentum 0.9) and Muon.
    warmup : int
        Steps over which the rate climbs; at most a tenth of `num_steps` is used.
    weight_decay : float
    resume : path, optional
        A checkpoint of the same training, to be taken up; one that has all its steps is finished: what a kill left
        undone at the end (evaluation, curves, ``model.npz``) is done.
    judge_first : bool
        Look at every image and target of both sets before the first step; see `Trainer`. On two slow cores 10,000
        photographs of COCO's kind take three minutes.
    ready : callable, optional
        ``ready()`` is called when all options are judged, before the images are looked at.
    **options
        Those of `Trainer`: ``batch_size``, ``rng``, ``validation``, ``eval_every``, ``weight_average``, ...

    Returns
    -------
    trainer : Trainer
        With ``.log`` and ``.validation_log``. If weights were averaged, the model has the averaged ones.

    Raises
    ------
    InputError
        If an option is out of range, a batch is larger than the dataset, or `resume` does not fit.
    TrainingDiverged
        If a loss, a gradient or a weight is not finite.

    Examples
    --------
    >>> from npmaskrcnn.training import train
    >>> trainer = train(maskrcnn_tiny(), ShapesDataset(2000), validation=shapes_test_set(),
    ...                 out_dir="npmaskrcnn-run")                               # doctest: +SKIP
    """
    judge_model(model)
    num_steps = judge_count(num_steps, "num_steps")
    judge_known([optimizer], list(OPTIMIZERS), "optimizer")
    rule, own_lr = OPTIMIZERS[optimizer]
    lr = own_lr if lr is None else judge_number(lr, "lr", above=0)
    schedule = WarmupCosine(lr, num_steps, min(judge_count(warmup, "warmup", 0), num_steps // 10))
    trainer = Trainer(model, dataset, rule(model.named_parameters(), lr, weight_decay=weight_decay), schedule,
                      out_dir=out_dir, judge_first=judge_first, **options)
    if trainer.batch_size > len(dataset):
        raise InputError(f"batch_size is {trainer.batch_size}, but the dataset has "
                         f"{count(len(dataset), 'image')}; a batch cannot be larger")
    if resume is not None:
        trainer.resume(resume)
        if trainer.step > num_steps:
            raise InputError(f"{resume}: has {count(trainer.step, 'step')} behind it already, "
                             f"and {count(num_steps, 'step')} in all wanted; ask for more")
    if ready is not None:
        ready()
    trainer.run(num_steps - trainer.step)
    if trainer.average is not None:
        trainer.average.put_in_place()
    return trainer
