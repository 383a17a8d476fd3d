"""The trainer: what it writes, how it is interrupted and taken up, what it refuses.

Log, figures and checkpoints are held against the run that wrote them; a run that was stopped, by Ctrl-C, a signal or an
error, and taken up again against one that was not, bit for bit; messages against the words that a person needs.
"""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest

from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn.structures import Detections, Target
from npmaskrcnn.training import SGD, AdamW, Trainer, TrainingDiverged, WarmupCosine, WarmupSteps, read_log, train
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.training.log import log_columns
from npmaskrcnn.weights import read_npz, write_npz


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    """Drawing takes a second a run; one test looks at the files."""
    if "figures" not in request.node.name:
        monkeypatch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: None)


@pytest.fixture
def make(fake_model, boxes):
    def make(model=None, dataset=None, optimizer=AdamW, lr=0.01, rng=3, schedule=True, log_every=0,
             **options):
        model = model or fake_model()
        dataset = dataset if dataset is not None else boxes()
        return Trainer(model, dataset, optimizer(model.named_parameters(), lr, weight_decay=0.1),
                       WarmupCosine(lr, 10, warmup=3) if schedule is True else schedule,
                       rng=rng, log_every=log_every, **options)
    return make


def everything(trainer):
    """All of the state, flat, for comparing bit for bit."""
    state = dict(trainer.model.state_dict())
    state.update(trainer.optimizer.state_dict())
    if trainer.average is not None:
        state.update((f"average {key}", value) for key, value in trainer.average.averages.items())
    state.update(step=trainer.step, order=trainer.order.order, position=trainer.order.position,
                 rng=str(trainer.rng.bit_generator.state))
    return state


def assert_same(one, two):
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key], err_msg=key)


# ---- learning and logging -------------------------------------------------------------------------


def test_losses_fall(make):
    log = make(lr=0.1, schedule=None, flip=False).run(60)
    assert log["loss_total"][-5:].mean() < 0.1 * log["loss_total"][:5].mean()


def test_every_image_comes_once_in_a_pass(make, boxes):
    trainer = make(dataset=boxes(7), batch_size=2)
    seen = [i for _ in range(7) for i in trainer.order.next(2)]  # batches reach over the end of the pass
    assert sorted(seen[:7]) == sorted(seen[7:]) == list(range(7)) and seen[:7] != seen[7:]


def test_log_file_holds_what_run_returns_and_figures_are_drawn(make, tmp_path):
    trainer = make(out_dir=tmp_path / "run")
    log = trainer.run(4)
    stored = read_log(tmp_path / "run" / "log.csv")
    assert tuple(stored) == log_columns(trainer.model)
    for name, column in log.items():
        np.testing.assert_array_equal(column, stored[name])
    np.testing.assert_array_equal(log["step"], [1, 2, 3, 4])
    np.testing.assert_allclose(log["loss_total"], sum(log[name] for name in LOSS_NAMES), rtol=1e-12)
    np.testing.assert_allclose(log["learning_rate"][:4], [0.01 / 3, 0.02 / 3, 0.01, 0.01], rtol=1e-12)
    parts = np.stack([log[f"grad_norm_{part}"] for part in ("body", "fpn", "rpn", "box_head", "mask_head")])
    together = np.sqrt((parts ** 2).sum(axis=0))
    np.testing.assert_allclose(together, log["grad_norm"], rtol=1e-6)  # float32 sums of squares
    assert {"curves.png", "gradients.png", "checkpoint.npz", "log.csv"} <= set(os.listdir(tmp_path / "run"))


def test_update_ratio_is_the_change_of_the_weights(make):
    trainer = make(optimizer=SGD)
    before = {path: p.data.copy() for path, p in trainer.model.named_parameters() if path.startswith("rpn.")}
    row = trainer.train_step()
    after = {path: p.data for path, p in trainer.model.named_parameters() if path.startswith("rpn.")}
    changed = np.sqrt(sum(((after[k] - before[k]) ** 2).sum() for k in before))
    length = np.sqrt(sum((before[k] ** 2).sum() for k in before))
    np.testing.assert_allclose(row["update_ratio_rpn"], changed / length, rtol=1e-5)  # float32


def test_loss_weights_reach_the_model_and_the_total(make):
    weighted, plain = make(loss_weights={"loss_mask": 0.0}), make()
    row, plain_row = weighted.train_step(), plain.train_step()
    assert row["grad_norm_rpn"] == 0 < plain_row["grad_norm_rpn"]  # the fake's third layer has the third loss
    np.testing.assert_allclose(row["loss_total"], plain_row["loss_total"] - row["loss_mask"], rtol=1e-12)


def test_gradients_are_clipped_before_the_step(make):
    trainer = make(optimizer=SGD, lr=1.0, schedule=None, clip_norm=1e-3)
    trainer.optimizer.weight_decay = 0.0
    before = {path: p.data.copy() for path, p in trainer.model.named_parameters()}
    row = trainer.train_step()
    moved = np.sqrt(sum(((p.data - before[path]) ** 2).sum() for path, p in trainer.model.named_parameters()))
    assert row["grad_norm"] > 1e-2
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-2)  # steps of 1e-5 on float32 weights of about 1


def test_crowds_are_not_trained_on(make, fake_model, boxes):
    class Crowd(boxes):
        def __getitem__(self, index):
            image, target = super().__getitem__(index)
            twice = [np.concatenate([a, a]) for a in (target.boxes, target.labels, target.masks)]
            return image, Target(*twice, is_crowd=[False, True])

    class Watching(fake_model):
        def loss_and_grads(self, images, targets, rng, loss_weights=None):
            self.seen = [len(target) for target in targets]
            return super().loss_and_grads(images, targets, rng, loss_weights)

    model = Watching()
    make(model, Crowd()).train_step()
    assert model.seen == [1, 1, 1, 1]


# ---- what it shows --------------------------------------------------------------------------------


class Stream(io.StringIO):
    flushed = ""

    def flush(self):
        self.flushed = self.getvalue()


def test_a_line_is_out_before_the_first_step(make, boxes):
    stream, dataset = Stream(), boxes()
    dataset.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        make(dataset=dataset, log_every=5, stream=stream).run(5)
    assert stream.flushed.startswith("training on 7 images, 4 a step, steps 1 to 5\n")


def test_lines_carry_losses_rate_speed_and_time_left(make):
    stream = Stream()
    make(log_every=4, stream=stream).run(10)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("step")]
    assert [line.split()[1] for line in lines] == ["1/10", "4/10", "8/10", "10/10"]
    for word in ("total", "class", "box", "mask", "objectness", "rpn box", "lr", "images/s", "left"):
        assert all(word in line for line in lines)
    assert "\r" not in stream.getvalue() and "ln 4 = 1.39" in stream.getvalue()


@pytest.mark.parametrize("steps, said", [(53, 1), (52, 0)])
def test_a_long_training_says_after_three_steps_how_long_it_will_take(make, steps, said):
    stream = Stream()
    make(log_every=20, stream=stream).run(steps)
    lines = [line for line in stream.getvalue().splitlines() if "to come about" in line]
    assert len(lines) == said
    expected = r"a step takes [\d.e-]+ s on this machine, the 50 to come about \d+ s, evaluations aside"
    assert not said or re.fullmatch(expected, lines[0])


def test_a_terminal_gets_one_line_that_is_rewritten(make):
    class Terminal(Stream):
        def isatty(self):
            return True
    stream = Terminal()
    make(log_every=4, stream=stream).run(10)
    assert stream.getvalue().count("\rstep") == 10 and stream.getvalue().count("\n") == 3


def test_silence_is_possible(make, capsys):
    make(log_every=0).run(2)
    assert capsys.readouterr().out == ""


# ---- validation -----------------------------------------------------------------------------------


def test_validation_is_measured_at_intervals_and_at_the_end(make, boxes, tmp_path):
    # the fake model always gives the right answer: AP 1
    trainer = make(validation=boxes(3), eval_every=2, out_dir=tmp_path)
    with pytest.warns(InputWarning, match="square"):  # classes without ground truth
        trainer.run(5)
    stored = read_log(tmp_path / "validation.csv")
    np.testing.assert_array_equal(stored["step"], [2, 4, 5])
    np.testing.assert_allclose(stored["bbox_AP"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(stored["segm_AP50"], 1.0, rtol=1e-12)
    np.testing.assert_array_equal(stored["bbox_APl"], -1.0)  # undefined: there is no large object


def test_evaluation_sees_the_averaged_weights_and_gives_the_own_ones_back(make, fake_model, boxes):
    class Remembering(fake_model):
        def predict(self, images, *args, **options):
            self.seen = self.rpn.head.weight.data.copy()
            return super().predict(images, *args)

    model = Remembering()
    trainer = make(model, validation=boxes(1), weight_average=0.9, lr=0.1)
    trainer.progress.log_every = 0
    with pytest.warns(InputWarning):
        trainer.run(3)
    np.testing.assert_array_equal(model.seen, trainer.average.averages["rpn.head.weight"])
    assert (model.rpn.head.weight.data != model.seen).any()


def test_weight_average_is_the_moving_average(make):
    trainer = make(weight_average=0.25, lr=0.1)
    expected = trainer.model.rpn.head.weight.data.astype(np.float64)
    for step in range(1, 7):
        trainer.train_step()
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * trainer.model.rpn.head.weight.data
    # kept in float32
    np.testing.assert_allclose(trainer.average.averages["rpn.head.weight"], expected, rtol=1e-6)


# ---- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_ten_steps_are_five_and_five(make, fake_model, tmp_path, optimizer, bits):
    options = dict(optimizer=optimizer, weight_average=0.5, scale_jitter=(0.8, 1.3))
    whole = make(rng=np.random.Generator(bits(3)), **options)
    losses = whole.run(10)["loss_total"]

    first = make(rng=np.random.Generator(bits(3)), out_dir=tmp_path, **options)
    first.run(5)
    second = make(fake_model(seed=9), rng=np.random.Generator(bits(8)), out_dir=tmp_path, **options)
    second.resume(tmp_path / "checkpoint.npz")
    log = second.run(5)
    assert_same(everything(whole), everything(second))
    np.testing.assert_array_equal(log["loss_total"], losses)  # the log goes on, too
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], np.arange(1, 11))


def test_checkpoint_holds_model_arrays_under_their_own_names(make, tmp_path):
    trainer = make(out_dir=tmp_path, checkpoint_at=[2], checkpoint_every=3)
    trainer.run(4)
    assert {"checkpoint.npz", "checkpoint-000002.npz"} <= set(os.listdir(tmp_path))
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    state = trainer.model.state_dict()
    assert meta["model_keys"] == list(state) and meta["architecture"] == trainer.model.architecture
    assert meta["class_names"] == ["background", "circle", "square", "triangle"]
    assert meta["training"]["step"] == 4
    for key, value in state.items():
        np.testing.assert_array_equal(arrays[key], value)


def test_rows_after_the_checkpoint_are_dropped_from_the_log(make, tmp_path):
    make(out_dir=tmp_path, checkpoint_at=[3], rng=1).run(6)
    trainer = make(out_dir=tmp_path, rng=1).resume(tmp_path / "checkpoint-000003.npz")
    np.testing.assert_array_equal(trainer.log.arrays()["step"], [1, 2, 3])
    trainer.run(1)
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], [1, 2, 3, 4])


def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(make, fake_model, boxes, tmp_path):
    make(out_dir=tmp_path).run(2)
    path = tmp_path / "checkpoint.npz"

    class Wide(fake_model):
        architecture = {"builder": "wide", "num_classes": 4, "config": {"width": 5}}

    wrong_width = fake_model(width=5)
    for trainer, message in (
            (make(Wide(width=5)), r"another run, with model.builder 'fake' \(here 'wide'\), .*width 3 \(here 5\)$"),
                (make(wrong_width), "do not fit the model: .*15 of wrong shape"),
            (make(optimizer=SGD), r"another run, with optimizer 'AdamW' \(here 'SGD'\)$"),
            (make(dataset=boxes(5)), r"another run, with images 7 \(here 5\)$"),
            (make(rng=np.random.Generator(np.random.MT19937(1))), "PCG64 generator, this run has a MT19937")):
        before = everything(trainer)
        with pytest.raises(InputError, match=message) as error:
            trainer.resume(path)
        assert str(path) in str(error.value)
        assert_same(before, everything(trainer))


def test_optimizer_state_of_another_model_is_refused(make, tmp_path):
    from npmaskrcnn.weights import write_npz
    make(out_dir=tmp_path).run(1)
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    arrays["optimizer/rpn.head.weight/exp_avg"] = np.zeros((9, 9), np.float32)
    write_npz(tmp_path / "mixed.npz", arrays, meta)
    trainer = make()
    before = everything(trainer)
    with pytest.raises(InputError, match=r"rpn.head.weight/exp_avg \(expected \(3, 3\), got \(9, 9\)"):
        trainer.resume(tmp_path / "mixed.npz")
    assert_same(before, everything(trainer))


def test_a_mere_weight_file_cannot_be_resumed(make, tmp_path):
    from npmaskrcnn.weights import write_npz
    trainer = make()
    write_npz(tmp_path / "model.npz", trainer.model.state_dict(), {"architecture": {}})
    with pytest.raises(InputError, match="model.npz: holds a model but no state of a training"):
        trainer.resume(tmp_path / "model.npz")


@pytest.mark.parametrize("name, value", [
    ("step", "x"), ("step", -5), ("step", 3.7), ("step", 10 ** 400), ("step", None), ("seconds", "a"),
    ("seconds", -1), ("seconds", 10 ** 400), ("lr", [1]), ("position", "0"), ("num_images", True), ("rng", {}),
    ("rng", 7), ("optimizer", None),
], ids=lambda value: f"{value!r:.9}")
def test_a_checkpoint_of_wrong_facts_is_refused_and_changes_nothing(make, tmp_path, name, value):
    make(out_dir=tmp_path).run(1)
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    meta["training"][name] = value
    write_npz(tmp_path / "wrong.npz", arrays, meta)
    trainer = make()
    before = everything(trainer)
    with pytest.raises(InputError, match="wrong.npz: "):
        trainer.resume(tmp_path / "wrong.npz")
    assert_same(before, everything(trainer))


def test_a_checkpoint_of_numbers_that_are_none_is_refused(make, tmp_path):
    make(out_dir=tmp_path).run(1)
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    name = next(key for key in arrays if key.startswith("optimizer/") and arrays[key].dtype.kind == "f")
    arrays[name] = np.full_like(arrays[name], np.nan)
    write_npz(tmp_path / "wrong.npz", arrays, meta)
    with pytest.raises(InputError, match=f"NaN or infinite numbers, the first '{name}'"):
        make().resume(tmp_path / "wrong.npz")


def test_other_settings_at_resumption_are_reported(make, tmp_path):
    make(out_dir=tmp_path).run(1)
    with pytest.warns(InputWarning, match=r"stored, which had schedule.warmup 3 \(here 2\), batch_size 4 \(here 2\)$"):
        make(batch_size=2, schedule=WarmupCosine(0.01, 10, warmup=2)).resume(tmp_path / "checkpoint.npz")


class Halving:
    """A schedule of one's own."""

    def __init__(self, lr):
        self.lr = lr

    def learning_rate(self, step):
        return self.lr / 2 ** step


@pytest.mark.parametrize("schedule, other, reported", [
    (WarmupSteps(0.1, (3, 4)), WarmupSteps(0.1, (3, 5)), r"schedule.milestones \[3, 4\] \(here \[3, 5\]\)$"),
    (Halving(0.1), Halving(0.2), r"schedule.lr 0.1 \(here 0.2\)$"),
    (Halving(0.1), None, "schedule {'name': 'Halving', 'lr': 0.1} .here None.$"),
])
def test_a_schedule_comes_back_as_it_was_stored(make, tmp_path, schedule, other, reported):
    make(out_dir=tmp_path, schedule=schedule, scale_jitter=(0.8, 1.2)).run(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(schedule=schedule, scale_jitter=(0.8, 1.2)).resume(tmp_path / "checkpoint.npz").step == 1
    with pytest.warns(InputWarning, match=reported):
        make(schedule=other, scale_jitter=(0.8, 1.2)).resume(tmp_path / "checkpoint.npz")


def test_an_average_of_other_weights_is_refused(make, tmp_path):
    make(out_dir=tmp_path, weight_average=0.9).run(1)
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    arrays["average/rpn.head.weight"] = np.zeros((9, 9), np.float32)
    write_npz(tmp_path / "mixed.npz", arrays, meta)
    with pytest.raises(InputError, match=r"its averages do not fit the model: .*rpn.head.weight \(expected \(3, 3\)"):
        make(weight_average=0.9).resume(tmp_path / "mixed.npz")
    with pytest.warns(InputWarning, match="weight_average"):    # a run that does not average has no use for it
        assert make().resume(tmp_path / "mixed.npz").step == 1


@pytest.mark.parametrize("stored, reported", [(True, False), (False, True)])
def test_an_option_that_is_no_more_is_reported_only_where_it_mattered(make, tmp_path, stored, reported):
    make(out_dir=tmp_path).run(1)
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    meta["training"]["optimizer"]["decay_vectors"] = stored     # as checkpoints of earlier versions have it
    write_npz(tmp_path / "old.npz", arrays, meta)
    trainer = make()
    with pytest.warns(InputWarning, match="decay_vectors False") if reported else warnings.catch_warnings():
        warnings.simplefilter("always" if reported else "error")
        assert trainer.resume(tmp_path / "old.npz").step == 1


# ---- interruption ---------------------------------------------------------------------------------


def test_a_run_interrupted_before_its_first_step_leaves_nothing_that_blocks_the_next(make, boxes, tmp_path):
    dataset, stream = boxes(7), Stream()
    dataset.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        make(dataset=dataset, out_dir=tmp_path, stream=stream, log_every=1).run(2)
    assert stream.getvalue().endswith("no checkpoint is written, because no step was done\n")
    make(out_dir=tmp_path).run(1)


@pytest.mark.parametrize("read", [5, 15, 17, 20])  # between two steps; inside and at both ends of a batch
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(make, boxes, tmp_path, read):
    whole = make()
    whole.run(7)

    dataset, stream = boxes(), io.StringIO()
    dataset.interrupt_at = read
    broken = make(dataset=dataset, out_dir=tmp_path, log_every=1, stream=stream)
    with pytest.raises(KeyboardInterrupt):
        broken.run(7)
    assert f"--resume {tmp_path / 'checkpoint.npz'}" in stream.getvalue().splitlines()[-1]
    resumed = make(out_dir=tmp_path).resume(tmp_path / "checkpoint.npz")
    assert resumed.step == (read - 1) // 4
    resumed.run(7 - resumed.step)
    assert_same(everything(whole), everything(resumed))


@pytest.mark.parametrize("error", [OSError("the disk is gone"), InputError("17.png: no such file"), MemoryError()])
def test_any_exception_keeps_the_steps_before_it(make, boxes, tmp_path, error):
    class Failing(boxes):
        def __getitem__(self, index):
            if self.reads == 14:
                raise error
            return super().__getitem__(index)
    with pytest.raises(type(error)):
        make(dataset=Failing(), out_dir=tmp_path).run(7)
    assert make(out_dir=tmp_path).resume(tmp_path / "checkpoint.npz").step == 3   # 14 images, four a step


def test_a_folder_with_another_run_in_it_is_not_overwritten(make, tmp_path):
    make(out_dir=tmp_path).run(2)
    before = (tmp_path / "log.csv").read_bytes(), (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(InputError, match="holds another run.*--resume.*--out"):
        make(out_dir=tmp_path).run(1)
    assert before == ((tmp_path / "log.csv").read_bytes(), (tmp_path / "checkpoint.npz").read_bytes())


def test_a_run_is_not_taken_up_into_the_folder_of_another(make, tmp_path):
    make(out_dir=tmp_path / "one").run(1)
    make(out_dir=tmp_path / "two").run(2)
    log = (tmp_path / "two" / "log.csv").read_bytes()
    with pytest.raises(InputError, match="two: holds another run"):
        make(out_dir=tmp_path / "two").resume(tmp_path / "one" / "checkpoint.npz")
    assert (tmp_path / "two" / "log.csv").read_bytes() == log
    trainer = make(out_dir=tmp_path / "three").resume(tmp_path / "one" / "checkpoint.npz")
    trainer.run(1)
    assert trainer.step == 2


def test_an_interruption_inside_the_model_leaves_the_statistics_as_they_were(make, fake_model):
    class Interrupted(fake_model):
        def loss_and_grads(self, *args):
            losses = super().loss_and_grads(*args)
            if self.calls == 3:
                raise KeyboardInterrupt
            return losses

    whole, broken = make(), make(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        broken.run(5)
    broken.run(3)
    whole.run(5)
    assert_same(everything(whole), everything(broken))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_update_waits_for_its_end(make, tmp_path, number, heeds_interrupts):
    class Signaling(AdamW):
        def _update(self, *args):
            super()._update(*args)
            if self.steps["rpn.head.weight"] == 3:
                os.kill(os.getpid(), number)

    whole = make(optimizer=AdamW)
    whole.run(3)
    broken = make(optimizer=Signaling, out_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        broken.run(9)
    assert broken.step == 3
    assert_same(everything(whole), everything(broken))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# ---- one training a folder -------------------------------------------------------------------------


WRITING = "another training is writing into this folder"


def test_a_second_training_into_a_folder_is_refused_while_the_first_one_runs(make, boxes, tmp_path):
    class Meeting(boxes):
        def __getitem__(self, index):
            if self.reads in (0, 8):        # when the folder is still empty, and later
                with pytest.raises(InputError, match=f"{tmp_path}: {WRITING}.*--out"):
                    make(out_dir=tmp_path).run(1)
                met.append(index)
            if self.reads == 12:
                with pytest.raises(InputError, match=WRITING):
                    make(out_dir=tmp_path).resume(tmp_path / "checkpoint-000002.npz").run(1)
                met.append(index)
            return super().__getitem__(index)

    met = []
    make(dataset=Meeting(), out_dir=tmp_path, checkpoint_at=[2]).run(4)
    assert len(met) == 3
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], [1, 2, 3, 4])
    make(out_dir=tmp_path).resume(tmp_path / "checkpoint.npz").run(1)       # it is free again


def test_the_lock_of_a_process_holds_others_off_and_goes_with_it(make, tmp_path):
    code = (f"from npmaskrcnn.training.lock import alone_in\n"
            f"with alone_in({str(tmp_path)!r}):\n    print('held', flush=True)\n    input()")
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=WRITING):
            make(out_dir=tmp_path).run(1)
    finally:
        process.kill()
        process.communicate()
    half, mine = tmp_path / f".{'0a' * 8}.tmp", tmp_path / ".mine.tmp"
    half.touch(), mine.touch()
    make(out_dir=tmp_path).run(1)
    assert mine.exists() and not half.exists()      # what a killed writer left is gone


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF])
def test_where_there_are_no_locks_a_training_goes_without(make, tmp_path, monkeypatch, number):
    def refuse(file):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr("npmaskrcnn.training.lock._lock", refuse)
    make(out_dir=tmp_path).run(1)
    (tmp_path / "two" / ".lock").mkdir(parents=True)        # cannot be opened, as in a folder of somebody else's
    make(out_dir=tmp_path / "two").run(1)


# ---- the end, and what is left undone there --------------------------------------------------------


def test_a_training_that_has_all_its_steps_is_finished_by_taking_it_up(fake_model, boxes, tmp_path):
    def go_on(**options):
        with pytest.warns(InputWarning, match="no ground truth"):
            return train(fake_model(), boxes(), 4, tmp_path, log_every=0, validation=boxes(2), **options)

    expected = go_on(weight_average=0.9).model.state_dict()
    (tmp_path / "model.npz").unlink()
    (tmp_path / "validation.csv").unlink()
    drawn = tmp_path / "curves"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: drawn.touch())
        go_on(weight_average=0.9, resume=tmp_path / "checkpoint.npz")
    assert_same(expected, read_npz(tmp_path / "model.npz")[0])
    np.testing.assert_array_equal(read_log(tmp_path / "validation.csv")["step"], [4])
    assert drawn.exists()


def test_an_evaluation_that_was_cut_off_is_made_up_for_and_none_is_done_twice(make, fake_model, boxes, tmp_path):
    class Killed(fake_model):
        def predict(self, images, paste_all=True):
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().predict(images)

    options = dict(out_dir=tmp_path, validation=boxes(1), eval_every=2)
    with pytest.raises(KeyboardInterrupt), pytest.warns(InputWarning):
        make(Killed(), **options).run(6)
    with pytest.warns(InputWarning):
        make(**options).resume(tmp_path / "checkpoint.npz").run(2)
    np.testing.assert_array_equal(read_log(tmp_path / "validation.csv")["step"], [2, 4, 6])


@pytest.mark.parametrize("error", [OSError("the disk is gone"), InputError("3.png: is damaged"), MemoryError(),
                                   ValueError("a bug in somebody's dataset")])
def test_an_evaluation_that_cannot_be_done_costs_no_model(make, boxes, tmp_path, error):
    class Damaged(boxes):
        def __getitem__(self, index):
            seen.append((tmp_path / "model.npz").exists())
            raise error

    seen, plain = [], make()
    plain.run(4)
    trainer = make(out_dir=tmp_path, validation=Damaged(), eval_every=2)
    with (pytest.warns(InputWarning, match="evaluation of step 2 is missing"),
          pytest.warns(InputWarning, match=f"evaluation of step 4 is missing, the model is kept: .*{error}")):
        trainer.run(4)
    assert seen == [False, True]        # at the end the model is safe before anything is tried
    assert_same(everything(plain), everything(trainer))
    assert_same(plain.model.state_dict(), read_npz(tmp_path / "model.npz")[0])


def test_a_validation_set_may_lack_the_last_classes(make, fake_model, boxes, tmp_path):
    class Cats(boxes):
        class_names = ["background", "cat"]

    class Pets(boxes):
        class_names = ["background", "cat", "dog", "bird"]

    class Seeing(fake_model):   # a cat where it is, and a dog that scores higher
        def predict(self, images, paste_all=True):
            found = super().predict(images)
            return [Detections(*(np.concatenate([a, b]) for a, b in (
                (one.boxes, one.boxes), ([2], one.labels), ([0.9], one.scores), (one.masks, one.masks))))
                for one in found]

    model = Seeing()
    model.class_names = Pets.class_names
    with pytest.warns(InputWarning, match="validation: lacks the classes dog, bird; detections of them are left out, "
                                          "and the average precision is one over cat$"):
        trainer = make(model, Pets(), validation=Cats(2), out_dir=tmp_path)
    trainer.run(2)
    np.testing.assert_array_equal(trainer.validation_log.arrays()["segm_AP"], [1.0])


def test_a_validation_set_without_class_names_is_refused_at_once(make, boxes):
    validation = boxes()
    validation.class_names = None
    with pytest.raises(InputError, match='validation: class_names must be a list of "background" and the classes'):
        make(validation=validation)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_anew(make, tmp_path, kept):
    killed, whole = make(out_dir=tmp_path), make()
    for _ in range(kept):
        killed.train_step()
    make(out_dir=tmp_path).run(3)
    whole.run(3)
    assert_same(whole.model.state_dict(), read_npz(tmp_path / "model.npz")[0])
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], [1, 2, 3])
    assert (tmp_path / "log.csv.old").exists() == bool(kept)


def test_a_log_whose_last_line_was_cut_off_is_taken_up(make, tmp_path):
    make(out_dir=tmp_path).run(3)
    with open(tmp_path / "log.csv", "ab") as file:
        file.write(b"4,0.7,0.0")
    make(out_dir=tmp_path).resume(tmp_path / "checkpoint.npz").run(2)
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], [1, 2, 3, 4, 5])


@pytest.mark.parametrize("content", [b"", bytes(512), b"step,loss_total\n1,\xff\n", b"step\none\n"])
def test_a_damaged_log_costs_no_training(make, tmp_path, content):
    make(out_dir=tmp_path).run(2)
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.warns(InputWarning, match="log.csv: .*; it is kept as .*log.csv.old, and the log begins anew"):
        make(out_dir=tmp_path).resume(tmp_path / "checkpoint.npz").run(2)
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")["step"], [3, 4])
    assert (tmp_path / "log.csv.old").read_bytes() == content


# ---- divergence -----------------------------------------------------------------------------------


def test_divergence_names_step_images_term_and_checkpoint(make, fake_model, tmp_path):
    model = fake_model()
    model.explode_at = 5
    trainer = make(model, out_dir=tmp_path, checkpoint_every=2)
    with pytest.raises(TrainingDiverged) as error:
        trainer.run(8)
    diverged = error.value
    assert (diverged.step, diverged.term) == (5, "loss_mask") and len(diverged.image_ids) == 4
    assert "step 5: loss_mask is nan" in str(diverged) and str(tmp_path / "checkpoint.npz") in str(diverged)
    assert make().resume(tmp_path / "checkpoint.npz").step == 4  # the last good one stays


def test_divergence_names_the_first_bad_weight(make):
    trainer = make()
    trainer.run(1)
    trainer.model.rpn.head.weight.data[0, 1] = np.inf
    trainer.model.roi_heads.mask_head.weight.data[:] = np.nan
    with pytest.raises(TrainingDiverged, match="first bad tensor: weight rpn.head.weight"):
        trainer.run(1)


def test_divergence_names_the_first_bad_gradient_in_backward_order(make, fake_model):
    class Bad(fake_model):
        def loss_and_grads(self, *args):
            losses = super().loss_and_grads(*args)
            self.backbone.body.weight.grad[0, 0] = np.nan
            self.rpn.head.bias.grad[1] = np.inf
            return losses
    model = Bad()
    before = model.state_dict()
    with pytest.raises(TrainingDiverged, match="gradient norm.*gradient of rpn.head.bias"):
        make(model).run(1)
    assert_same(before, model.state_dict())


def test_a_learning_rate_far_too_high_ends_in_one_message(make):
    with pytest.raises(TrainingDiverged, match="learning rate 1e.30"):
        make(lr=1e30, optimizer=SGD, schedule=None, clip_norm=None).run(20)


@pytest.mark.parametrize("error", [IndexError("nan"), OverflowError("inf"), InputError("not finite")])
def test_a_pass_that_breaks_on_broken_numbers_is_a_divergence(make, fake_model, error):
    class Breaking(fake_model):
        def loss_and_grads(self, *args):
            if self.calls == 2:
                self.rpn.head.running_mean.data = np.full(3, np.inf, np.float32)   # where a real pass overflows first
                raise error
            return super().loss_and_grads(*args)
    trainer = make(Breaking())
    with pytest.raises(TrainingDiverged, match="step 3: the forward pass is broken .*weight rpn.head.running_mean"):
        trainer.run(5)
    assert trainer.step == 2 and np.isfinite(trainer.model.rpn.head.running_mean.data).all()    # undone


def test_an_error_that_is_no_divergence_passes_through(make, fake_model):
    class Broken(fake_model):
        def loss_and_grads(self, *args):
            raise ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        make(Broken()).run(1)


# ---- bad options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options, message", [
    (dict(batch_size=0), "batch_size must be a whole number of at least 1, got 0"),
    (dict(batch_size=2.5), "batch_size must be a whole number"),
    (dict(batch_size=10 ** 30), "batch_size must be a whole number at most 1,000,000,000, got 10"),
    (dict(clip_norm=-1), "clip_norm must be a finite number above 0"),
    (dict(eval_every=0), "eval_every"), (dict(checkpoint_every=0), "checkpoint_every"),
    (dict(checkpoint_at=[0]), "checkpoint_at"), (dict(log_every=-1), "log_every"),
    (dict(weight_average=1.0), "weight_average must be a number above 0 and below 1, got 1.0"),
    (dict(scale_jitter=(2, 1)), "scale_jitter"), (dict(scale_jitter=(0, 1)), "scale_jitter"),
    (dict(scale_jitter=0.5), "scale_jitter must be 2 numbers"),
    (dict(loss_weights={"loss_masks": 1}), "'loss_masks' is no loss of the model; the nearest is 'loss_mask'"),
    (dict(loss_weights={"loss_mask": -1}), "'loss_mask'. must be a finite number of at least 0, got -1"),
    (dict(lr=-1e-3), "lr must be"), (dict(lr="a"), "lr must be"),
    (dict(scale_jitter=(0.001, 1)), "scale_jitter.0. must be a number from 0.1 to 10, got 0.001"),
    (dict(scale_jitter=(1, 100)), "scale_jitter"), (dict(scale_jitter=[1]), "scale_jitter"),
    (dict(loss_weights=[1]), "loss_weights must be a dict"),
    (dict(loss_weights={"loss_mask": "a"}), "'loss_mask'. must be a finite number of at least 0, got 'a'"),
    (dict(checkpoint_at=3), "checkpoint_at must be a list of whole numbers, got 3"),
    (dict(rng="a"), "rng must be"), (dict(rng=-1), "rng must be .* got -1"), (dict(rng=None), "rng must be"),
    (dict(schedule=0.1), "schedule must be a WarmupCosine"), (dict(flip="no"), "flip must be True or False, got 'no'"),
    (dict(quarter_turns=2), "quarter_turns must be True or False, got 2"),
    (dict(dataset=3), "dataset: expected a dataset"), (dict(validation=3), "validation: expected a dataset"),
    (dict(out_dir=3), "out_dir must be a file name or a path, got 3"),
])
def test_bad_options_are_refused_at_once(make, options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


def test_parts_that_are_none_are_refused(fake_model, boxes):
    model = fake_model()
    with pytest.raises(InputError, match="optimizer must be an SGD, AdamW or Muon .* got 'sgd'"):
        Trainer(model, boxes(), "sgd")
    with pytest.raises(InputError, match="model must be a MaskRCNN, got None"):
        Trainer(None, boxes(), SGD(model.named_parameters(), 0.1))
    with pytest.raises(InputError, match="parameters must be model.named_parameters.., got <.*FakeModel"):
        SGD(model, 0.1)


def test_an_optimizer_of_another_model_is_refused(fake_model, boxes):
    with pytest.raises(InputError, match="optimizer: holds the parameters of another model; build it from this"):
        Trainer(fake_model(), boxes(), SGD(fake_model().named_parameters(), 0.1))


def test_a_dataset_of_nothing_but_crowds_is_refused(make, boxes):
    class Crowds(boxes):
        num_objects = 0

    with pytest.raises(InputError, match="dataset: has no object to learn from, only crowds"):
        make(dataset=Crowds())


@pytest.mark.parametrize("item, got", [(3, "got int"), ((np.zeros((8, 8, 3)), {}), r"got \(ndarray, dict\)")])
def test_a_dataset_that_gives_something_else_is_named(make, boxes, item, got):
    class Wrong(boxes):
        def __getitem__(self, index):
            return item

    with pytest.raises(InputError, match=r"image \d of the dataset: .* pair \(image, Target\), " + got):
        make(dataset=Wrong()).train_step()


def test_resuming_from_nothing_is_refused(make):
    with pytest.raises(InputError, match="resume must be a file name or a path, got None"):
        make().resume(None)


def test_zero_steps_are_refused(make):
    with pytest.raises(InputError, match="num_steps must be a whole number of at least 1, got 0"):
        make().run(0)


def test_an_empty_dataset_is_refused(make, boxes):
    with pytest.raises(InputError, match="dataset: has no image"):
        make(dataset=boxes(0))
    with pytest.raises(InputError, match="validation: has no image"):
        make(validation=boxes(0))


def test_other_classes_are_refused_with_both_lists(make, fake_model, boxes):
    many, renamed = boxes(), boxes()
    many.class_names = ["background", "a", "b", "c", "d"]
    renamed.class_names = ["background", "square", "circle", "triangle"]
    with pytest.raises(InputError, match="dataset: the classes are a, b, c, d; the model's have no names.* are 3"):
        make(dataset=many)
    model = fake_model()
    make(model)
    assert model.class_names == boxes.class_names
    with pytest.raises(InputError, match=r"are square, circle, triangle; the model's are circle, square, triangle"):
        make(model, renamed)


def test_a_label_beyond_the_classes_is_refused_with_its_image(make, boxes):
    with pytest.raises(InputError, match=r"image \d of the dataset: object 0 has label 4.*3 triangle"):
        make(dataset=boxes(label=4)).run(1)


def test_a_folder_that_cannot_be_made_is_refused(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/run: is a file, but a folder is needed"):
        make(out_dir=tmp_path / "file" / "run")


# ---- what is looked at before the first step -------------------------------------------------------


class Faulty:
    """Wraps a dataset and breaks some of its items."""

    def __init__(self, dataset, faults):
        self.dataset, self.faults, self.class_names, self.reads = dataset, faults, dataset.class_names, []

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        self.reads.append(index)
        if index in self.faults:
            raise self.faults[index]
        return self.dataset[index]


def test_all_faults_of_the_images_are_told_before_the_first_step(fake_model, boxes, tmp_path):
    faulty = Faulty(boxes(7), {2: InputError("2.png: is damaged"), 5: OSError("5.png: no such device")})
    with pytest.raises(InputError, match="^dataset: of the 7 images these 2 cannot be used: 2.png: is damaged; "
                                         "image 5 of the dataset: 5.png: no such device$"):
        train(fake_model(), faulty, 3, tmp_path, log_every=0)
    assert faulty.reads == list(range(7)) and not (tmp_path / "log.csv").exists()
    one = Faulty(boxes(7), {6: InputError("6.png: is damaged")})
    with pytest.raises(InputError, match="^6.png: is damaged$"):
        train(fake_model(), boxes(), 3, tmp_path, validation=one, log_every=0)
    with pytest.raises(InputError, match=r"^image 0 of the validation: object 0 has label 9"):
        train(fake_model(), boxes(), 3, validation=boxes(1, label=9), log_every=0)
    assert not (tmp_path / "log.csv").exists()
    train(fake_model(), boxes(), 1, tmp_path, log_every=0)
    with pytest.raises(InputError, match="6.png"):
        train(fake_model(), boxes(), 1, tmp_path, resume=tmp_path / "checkpoint.npz", validation=one, log_every=0)


def test_a_folder_of_nothing_but_faults_is_not_looked_at_to_its_end(fake_model, boxes):
    faulty = Faulty(boxes(99), {i: InputError(f"{i}.png: is damaged") for i in range(1, 99)})
    with pytest.raises(InputError, match="of the first 11 of 99 images these 10 cannot be used: 1.png.* 10.png: is d"):
        train(fake_model(), faulty, 3, log_every=0)
    assert len(faulty.reads) == 11


def test_what_draws_itself_and_what_is_not_to_be_judged_is_not_looked_at(fake_model, boxes):
    drawn = Faulty(boxes(7), {})
    drawn.draws_itself = True
    train(fake_model(), drawn, 1, batch_size=2, log_every=0)
    plain = Faulty(boxes(7), {})
    train(fake_model(), plain, 1, batch_size=2, log_every=0, judge_first=False)
    assert len(drawn.reads) == len(plain.reads) == 2 and ShapesDataset.draws_itself


def test_how_far_the_look_has_come_is_shown(fake_model, boxes, make):
    stream = Stream()
    trainer = make(dataset=boxes(3), validation=boxes(2), judge_first=True, stream=stream, log_every=1)
    with pytest.warns(InputWarning, match="no ground truth"):
        trainer.run(1)
        reads = trainer.dataset.reads
        trainer.run(1)
    assert trainer.dataset.reads == reads + 4       # the second run looks at nothing but its batch
    lines = stream.getvalue().splitlines()
    assert lines[0] == "looking at the images of the dataset: 0 of 3"
    assert [line.split(",")[0] for line in lines[1:4]] == [
        "looking at the images of the dataset: 3 of 3", "looking at the images of the validation: 0 of 2",
        "looking at the images of the validation: 2 of 2"]


# ---- train ----------------------------------------------------------------------------------------


def test_train_judges_and_resumes(fake_model, boxes, tmp_path, monkeypatch):
    monkeypatch.setattr("npmaskrcnn.weights.save", lambda model, path: open(path, "w").close())
    with pytest.raises(InputError, match="'adam' is no optimizer; the nearest is 'adamw'"):
        train(fake_model(), boxes(), 3, optimizer="adam")
    with pytest.raises(InputError, match="num_steps"):
        train(fake_model(), boxes(), 0)
    with pytest.raises(InputError, match="lr must be"):
        train(fake_model(), boxes(), 3, lr=-1)
    with pytest.raises(InputError, match="batch_size is 8, but the dataset has 7 images"):
        train(fake_model(), boxes(7), 3, batch_size=8)
    with pytest.raises(InputError, match="is no optimizer"):
        train(fake_model(), boxes(), 3, optimizer=["sgd"])
    train(fake_model(), boxes(), 4, tmp_path, log_every=0)
    assert (tmp_path / "model.npz").exists()
    with pytest.raises(InputError, match="4 steps behind it already"), pytest.warns(InputWarning, match="schedule"):
        train(fake_model(), boxes(), 3, tmp_path, resume=tmp_path / "checkpoint.npz", log_every=0)
    with pytest.warns(InputWarning, match="schedule"):
        trainer = train(fake_model(), boxes(), 6, tmp_path, resume=tmp_path / "checkpoint.npz", log_every=0)
    assert trainer.step == 6 and len(trainer.log) == 6


def test_train_leaves_the_averaged_weights_in_the_model(fake_model, boxes):
    trainer = train(fake_model(), boxes(), 3, log_every=0, weight_average=0.9)
    averages = trainer.average.averages
    np.testing.assert_array_equal(trainer.model.rpn.head.weight.data, averages["rpn.head.weight"])
