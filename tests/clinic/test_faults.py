"""Every planted fault changes what it says: a step, a prediction, recorded stage by stage, with the fault and without.

Both begin with the same weights and the same draws; the first stage that differs is the one that the patient names, and
after the block nothing differs. About 4 s.
"""

import contextlib
import functools

import numpy as np
import pytest

from npmaskrcnn import InputError, clinic, maskrcnn_tiny
from npmaskrcnn.clinic.patients import ONLY_IN_TRAINING
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.shipped import trained_tiny
from npmaskrcnn.training import SGD, Listener, Trainer, WarmupCosine

SIZE = (64, 96)
# What a step and a prediction consist of, in order; `first_difference` gives the first in which two records differ.
# A patient's `stage` is one of them.
STAGES = ("mirrored image", "mirrored boxes", "mirrored masks", "told boxes", "told labels", "anchors", "proposals",
          "matched anchors", "roi labels", "delta targets", "mask targets", "losses", "gradients", "learning rate",
          "second gradients", "found boxes", "found labels", "found masks")


class Recorder(Listener):
    """Keeps what two steps of a training were made of."""

    def __init__(self):
        self.kept = {}

    def differentiated(self, loop, batch):
        image, target = batch.items[0]
        if loop.step == 0:
            self.kept |= {"mirrored image": image, "mirrored boxes": target.boxes, "mirrored masks": target.masks,
                          "losses": np.array(list(batch.losses.values())), "learning rate": loop.optimizer.lr}
        self.kept["second gradients" if loop.step else "gradients"] = np.concatenate(
            [p.grad.ravel() for p in loop.model.parameters() if p.grad is not None])


def record(context):
    """Record a prediction of the trained model, and two steps of a fresh one that mirrors its image."""
    image, target = ShapesDataset(3, image_size=SIZE, seed=5)[0]
    fresh, recorder = maskrcnn_tiny(min_size=64, max_size=96), Recorder()
    with context:
        trace = trained_tiny().trace(image, target, np.random.default_rng(0))
        trainer = Trainer(fresh, [(image, target)], SGD(fresh.named_parameters(), 1e-9), WarmupCosine(1e-9, 20, 5),
                          batch_size=1, rng=2, log_every=0)
        trainer.listeners.append(recorder)
        trainer.train_step(), trainer.train_step()
    told, found = trace.training, trace.detections
    return recorder.kept | {
        "told boxes": told.gt_boxes, "told labels": told.gt_labels,
        "anchors": np.concatenate(trace.anchors), "proposals": trace.proposals, "matched anchors": told.anchor_matches,
        "roi labels": told.roi_labels, "delta targets": told.roi_delta_targets, "mask targets": told.mask_targets,
        "found boxes": found.boxes, "found labels": found.labels, "found masks": np.asarray(found.masks)}


@functools.cache
def ill_record(name):
    return record(clinic.infect(name))


def first_difference(one, other):
    return next((stage for stage in STAGES if not np.array_equal(one[stage], other[stage])), None)


@pytest.fixture(scope="module")
def sound():
    return record(contextlib.nullcontext())


@pytest.mark.parametrize("name", clinic.PATIENTS)
def test_a_fault_changes_first_the_stage_that_it_names(name, sound):
    assert first_difference(sound, ill_record(name)) == clinic.PATIENTS[name].stage


@pytest.mark.parametrize("name", clinic.PATIENTS)
def test_a_trace_shows_the_fault_unless_it_works_only_in_training(name, sound):
    of_trace = ("told boxes", "told labels", "anchors", "proposals", "matched anchors", "roi labels", "delta targets",
                "mask targets", "found boxes", "found labels", "found masks")
    ill = ill_record(name)
    shows = any(not np.array_equal(ill[stage], sound[stage]) for stage in of_trace)
    assert shows == (clinic.PATIENTS[name].stage not in ONLY_IN_TRAINING)


def test_the_records_hold_a_mirrored_image_and_every_stage(sound):
    image, target = ShapesDataset(3, image_size=SIZE, seed=5)[0]
    assert np.array_equal(sound["mirrored image"], image[:, ::-1]) and set(sound) == set(STAGES)
    assert len(sound["found boxes"]) and len(sound["mask targets"])


def test_nothing_stays_infected_even_after_an_error(sound):
    for name in clinic.PATIENTS:
        with pytest.raises(KeyError), clinic.infect(name):
            raise KeyError
    assert first_difference(sound, record(contextlib.nullcontext())) is None


def test_the_healthy_control_changes_nothing(sound):
    assert first_difference(sound, record(clinic.infect(clinic.HEALTHY))) is None


@pytest.mark.parametrize("ask", [clinic.patient, clinic.infect])
def test_an_unknown_patient_is_refused_and_the_nearest_named(ask):
    with pytest.raises(InputError, match="'jona' is no patient of the clinic; the nearest is 'jonas'"):
        ask("jona")
