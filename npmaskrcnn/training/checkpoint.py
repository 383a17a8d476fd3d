"""Checkpoints: the whole state of a training in one file, so that nothing is lost but a moment.

A checkpoint is a weight file with more in it. The model's arrays have their usual names, so `npmaskrcnn.load`
reads it as a model; beside them are the optimizer's running means (``optimizer/...``), the average of the
weights (``average/...``) and the order of the images (``order``). The step, the state of the random
generator, the schedule and what the model is are in the JSON entry. It is written to a temporary file that is
then renamed: whatever happens meanwhile, the previous checkpoint stays whole.
"""

import contextlib
import copy

import numpy as np

from ..errors import InputError, warn
from ..files import as_read_back, naming
from ..judge import compare_state, judge_count, judge_number
from ..models import TINY_VERSIONS
from ..weights.npz import read_npz, write_npz
from .divergence import TrainingDiverged, first_bad_weight, is_finite
from .loop import Listener
from .state import rng_from_json, rng_to_json

VERSION = 1  # of the "training" part; the file format has a version of its own
OPTIMIZER, AVERAGE, ORDER = "optimizer/", "average/", "order"


class Checkpoints(Listener):
    """Writes the checkpoints of a `Trainer` when they are due."""

    def stepped(self, trainer, batch):
        """Write ``checkpoint.npz`` or a numbered one, but broken weights never over good ones."""
        due = trainer.checkpoint_every and trainer.step % trainer.checkpoint_every == 0
        if trainer.out_dir is None or not (due or trainer.step in trainer.checkpoint_at):
            return
        tensor = first_bad_weight(trainer.model)
        if tensor:
            raise TrainingDiverged(trainer, trainer.step, batch, "a weight", "not finite", tensor)
        if due:
            trainer.save()
        if trainer.step in trainer.checkpoint_at:
            trainer.save(f"checkpoint-{trainer.step:06d}.npz")


def save_checkpoint(trainer, path):
    """Write the state of a `Trainer` to an ``.npz``.

    Parameters
    ----------
    trainer : Trainer
    path : str or path

    Raises
    ------
    InputError
        If the file cannot be written; a previous one survives.
    """
    model = trainer.model
    arrays = model.state_dict()
    meta = {"architecture": model.architecture, "class_names": model.class_names,
            "model_keys": list(arrays), "training": _facts(trainer)}
    arrays.update((OPTIMIZER + key, value) for key, value in trainer.optimizer.state_dict().items())
    if trainer.average is not None:
        arrays.update((AVERAGE + key, value) for key, value in trainer.average.averages.items())
    arrays[ORDER] = trainer.order.order
    write_npz(path, arrays, meta)


def read_checkpoint(path):
    """Return what `read_npz` returns; raise `InputError` if it is no checkpoint."""
    arrays, meta = read_npz(path)
    if not isinstance(meta.get("training"), dict) or not isinstance(meta.get("model_keys"), list):
        raise InputError(f"{path}: holds a model but no state of a training, so there is nothing to resume; load it as "
                         "a model (--weights) and train that")
    return arrays, meta


def load_checkpoint(trainer, path):
    """Put a stored state into a `Trainer` that was built in the same way; all of it fits, or nothing changes.

    Parameters
    ----------
    trainer, path
        See `save_checkpoint`.

    Raises
    ------
    InputError
        If the file is damaged, is no checkpoint, or belongs to another model, optimizer or dataset.

    Warns
    -----
    InputWarning
        If schedule, batch size or the like differ: the run goes on with the new ones, but is not the old run.
    """
    arrays, meta = read_checkpoint(path)
    facts, keys = meta["training"], meta["model_keys"]
    with naming(path):
        if facts.get("version") != VERSION:
            raise InputError(f"its training state is of version {facts.get('version')}, "
                             f"this npmaskrcnn reads version {VERSION}")
        try:
            _judge(trainer, arrays, meta, facts)
            _restore(trainer, arrays, keys, facts)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"its training state is incomplete ({error!r})") from None
    if facts["optimizer"].get("decay_vectors") is True:     # an option that is no more; True is what is done today
        del facts["optimizer"]["decay_vectors"]
    facts.setdefault("quarter_turns", False)                # there were none
    now = as_read_back(_settings(trainer))
    changed = _dict_differences({name: facts.get(name) for name in now}, now)
    if changed:
        warn(f"{path}: this is not the run that was stored, which had {changed}")


def _facts(trainer):
    """Return all of a training's state and settings that are not arrays."""
    return {"version": VERSION, "step": trainer.step, "seconds": trainer.seconds,
            "position": trainer.order.position, "num_images": trainer.order.num_images,
            "rng": rng_to_json(trainer.rng), "lr": trainer.optimizer.lr, **_settings(trainer)}


def _settings(trainer):
    """Return what a resumed run has of its own, and must have in common with the stored one to be the same run."""
    schedule, average = trainer.schedule, trainer.average
    return {"optimizer": trainer.optimizer.settings(),
            "schedule": None if schedule is None else {"name": type(schedule).__name__, **vars(schedule)},
            "batch_size": trainer.batch_size, "clip_norm": trainer.clip_norm, "loss_weights": trainer.loss_weights,
            "flip": trainer.flip, "scale_jitter": trainer.scale_jitter, "quarter_turns": trainer.quarter_turns,
            "white": getattr(trainer.dataset, "white", None),
            "weight_average": None if average is None else average.decay}


def _judge(trainer, arrays, meta, facts):
    """Compare what was stored with what is there; raise InputError before anything is changed."""
    model = trainer.model
    for name, lowest in (("step", 0), ("position", 0), ("num_images", 1)):
        judge_count(facts[name], f"its {name}", lowest)
    for name in ("seconds", "lr"):
        judge_number(facts[name], f"its {name}", 0)
    broken = [name for name, value in arrays.items() if not is_finite(value)]
    if broken:
        raise InputError(f"{len(broken)} of its arrays hold NaN or infinite numbers, the first {broken[0]!r}")
    theirs = {"model": meta.get("architecture"), "classes": meta.get("class_names"),
              "optimizer": facts["optimizer"]["name"], "images": facts["num_images"]}
    ours = {"model": as_read_back(model.architecture), "classes": model.class_names,
            "optimizer": trainer.optimizer.settings()["name"], "images": trainer.order.num_images}
    with contextlib.suppress(KeyError, TypeError):      # of before the tiny model's dimensions were stored
        if theirs["model"]["builder"] == "maskrcnn_tiny":
            theirs["model"]["config"].setdefault("dimensions", as_read_back(TINY_VERSIONS[1][1]))
    if theirs != ours:
        raise InputError(f"is of another run, with {_dict_differences(theirs, ours)}")
    parts = {"weights": (model.state_dict(), {key: arrays[key] for key in meta["model_keys"]})}
    averages = _entries(arrays, AVERAGE)
    if trainer.average is not None and averages:        # a run that begins to average does so from the stored weights
        parts["averages"] = trainer.average.averages, averages
    for what, (expected, got) in parts.items():
        report = compare_state(expected, got)
        if not report.ok:
            raise InputError(f"its {what} do not fit the model: {report}")
    order, num_images = arrays[ORDER], trainer.order.num_images
    if not (order.ndim == 1 and facts["position"] <= len(order) and len(order) in (0, num_images)
            and (np.sort(order) == np.arange(len(order))).all()):
        raise InputError("its order of the images is damaged")
    rng_from_json(copy.deepcopy(trainer.rng), facts["rng"])     # judges itself


def _restore(trainer, arrays, keys, facts):
    """Put the stored state in the place of what is there; the optimizer goes first, because it judges itself."""
    trainer.optimizer.load_state_dict(_entries(arrays, OPTIMIZER))
    rng_from_json(trainer.rng, facts["rng"])
    trainer.model.load_state_dict({key: arrays[key] for key in keys})
    trainer.model.untrained = False
    if trainer.average is not None:
        for key, owner in trainer.average.owners.items():
            trainer.average.averages[key] = np.array(arrays.get(AVERAGE + key, owner.data), owner.data.dtype)
    trainer.order.order, trainer.order.position = arrays[ORDER], int(facts["position"])
    trainer.step, trainer.seconds = int(facts["step"]), float(facts["seconds"])
    trainer.optimizer.lr = float(facts["lr"])


def _entries(arrays, prefix):
    """Return the arrays whose names begin with `prefix`, under the rest of their names."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _dict_differences(theirs, ours, path=""):
    """Say in which entries two nested dicts differ: ``builder 'a' (here 'b')``."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return f"{path.lstrip('.')} {theirs!r} (here {ours!r})"
    return ", ".join(_dict_differences(theirs.get(key), ours.get(key), f"{path}.{key}")
                     for key in dict.fromkeys([*theirs, *ours]) if theirs.get(key) != ours.get(key))
