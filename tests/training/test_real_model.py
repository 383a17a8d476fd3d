"""Training the real tiny model: resumption to the last bit, checkpoints as models, one image by heart.

Ten steps in one go are held against five and five; what the command line prints of one image learned by heart against
the bar that it names; the measure behind it against overlaps known by hand.
"""

import re

import numpy as np
import pytest

from npmaskrcnn.cli import build_parser, main
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.errors import InputError
from npmaskrcnn.models import fasterrcnn_tiny, maskrcnn_tiny
from npmaskrcnn.structures import Detections, Target
from npmaskrcnn.training import AdamW, Listener, Trainer, TrainingDiverged, WarmupCosine
from npmaskrcnn.training.overfit import measure, overfit_one_image
from npmaskrcnn.weights import load, read_npz, write_npz


def trainer_of(model, **options):
    options = {"batch_size": 2, "rng": 5, "log_every": 0, "scale_jitter": (0.7, 1.4), **options}
    optimizer = AdamW(model.named_parameters(), 2e-3, weight_decay=1e-4)
    dataset = ShapesDataset(5, image_size=(64, 96), seed=1)
    return Trainer(model, dataset, optimizer, WarmupCosine(2e-3, 10, 2), **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Ten steps in one go; and five, a checkpoint, a new model of another seed, five more."""
    folder = tmp_path_factory.mktemp("run")
    whole = trainer_of(maskrcnn_tiny())
    whole.run(10)
    half = trainer_of(maskrcnn_tiny(), out_dir=folder)
    for _ in range(5):
        half.train_step()
    half.save()
    halfway = half.model.state_dict()
    other = trainer_of(maskrcnn_tiny(rng=np.random.default_rng(77)), rng=6).resume(folder / "checkpoint.npz")
    other.run(5)
    return whole, other, halfway, folder / "checkpoint.npz"


def test_ten_steps_are_five_and_five_bit_for_bit(runs):
    whole, resumed, halfway, _ = runs
    np.testing.assert_equal(resumed.model.state_dict(), whole.model.state_dict())
    np.testing.assert_equal(resumed.optimizer.state_dict(), whole.optimizer.state_dict())
    assert whole.rng.bit_generator.state == resumed.rng.bit_generator.state
    assert any((halfway[key] != value).any() for key, value in whole.model.state_dict().items())


def test_a_checkpoint_of_before_dimensions_were_stored_is_taken_up_without_a_word(tmp_path, recwarn):
    first = trainer_of(maskrcnn_tiny(version=1), out_dir=tmp_path)
    first.train_step()
    first.save()
    arrays, meta = read_npz(tmp_path / "checkpoint.npz")
    del meta["architecture"]["config"]["dimensions"]
    write_npz(tmp_path / "old.npz", arrays, meta)
    trainer = trainer_of(maskrcnn_tiny(version=1)).resume(tmp_path / "old.npz")
    assert trainer.step == 1 and not recwarn.list


def test_a_checkpoint_can_be_loaded_as_a_model(runs):
    _, _, halfway, path = runs
    model = load(path)
    assert model.class_names == ["background", "circle", "square", "triangle"]
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, halfway[key], err_msg=key)


def test_a_checkpoint_of_another_architecture_is_refused(runs):
    with pytest.raises(InputError, match=r"another run, with model.config.min_size 128 \(here 96\)"):
        trainer_of(maskrcnn_tiny(min_size=96)).resume(runs[3])


def test_the_average_of_the_weights_predicts(runs):
    trainer = trainer_of(maskrcnn_tiny(), weight_average=0.5, batch_size=1)
    trainer.run(2)
    image, _ = trainer.dataset[0]
    own = trainer.model.predict(image, score_threshold=0.0)
    with trainer.average.in_place():
        averaged = trainer.model.predict(image, score_threshold=0.0)
    again = trainer.model.predict(image, score_threshold=0.0)
    np.testing.assert_array_equal(own.scores, again.scores)
    assert len(own.scores) != len(averaged.scores) or (own.scores != averaged.scores).any()


def test_divergence_of_the_real_model_is_one_message():
    trainer = trainer_of(maskrcnn_tiny(), batch_size=1)
    trainer.schedule = WarmupCosine(1e6, 10, 0)
    with pytest.raises(TrainingDiverged, match="training diverged at step") as error:
        trainer.run(10)
    assert "\n" not in str(error.value) and error.value.step > 1


def test_one_image_is_learned_by_heart_in_half_the_steps_of_the_command(capsys):
    assert build_parser().parse_args(["overfit"]).steps == 150
    assert main(["overfit", "--steps", "75"]) == 0
    printed = capsys.readouterr().out
    rows = [[float(value) for value in line.split()] for line in printed.splitlines()
            if re.fullmatch(r" +\d+ +\d+( +\d\.\d+){3}", line)]
    assert len(rows) >= 2
    for _, pixels, score, box_iou, mask_iou in rows:
        # measured, with the products of four kinds of processors: scores at least .97, boxes .99, masks .94 and .96
        assert pixels >= 400 and min(score, box_iou, mask_iou) > 0.9, printed
    assert "passed" in printed and "0 other detections" in printed


def test_measure_matches_each_object_once_and_within_its_class():
    masks = np.zeros((2, 10, 16), bool)
    masks[0, 1:5, 1:5] = masks[1, 4:9, 8:14] = True
    target = Target([[1, 1, 5, 5], [8, 4, 14, 9]], [1, 2], masks)
    half = masks[0].copy()
    half[3:] = False  # two of four rows: IoU one half
    boxes = np.array([[1, 1, 5, 3], [1, 1, 5, 5], [8, 4, 14, 9]], np.float32)
    scores, probabilities = np.array([0.9, 0.8, 0.7], np.float32), np.stack([half, masks[0], masks[1]])
    result = measure(Detections(boxes, np.array([1, 1, 1]), scores, probabilities.astype(np.float32)), target)
    # the better score goes first; the third has a wrong label
    np.testing.assert_allclose(result.mask_iou, [0.5, 0])
    np.testing.assert_allclose(result.box_iou, [0.5, 0])
    np.testing.assert_array_equal(result.area, [16, 30])
    assert result.extra == 2 and "other detections" in str(result)


def test_measure_of_nothing_is_zero():
    target = Target([[0, 0, 6, 6]], [1], np.ones((1, 6, 6), bool))
    result = measure(Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), np.zeros((0, 6, 6))), target)
    np.testing.assert_array_equal(result.mask_iou, [0.0])
    assert result.extra == 0


def test_without_a_mask_branch_four_losses_are_logged_and_boxes_measured(capsys):
    trainer = trainer_of(fasterrcnn_tiny(), validation=ShapesDataset(2, image_size=(64, 96), seed=4), log_every=1)
    log = trainer.run(2)
    assert not any("mask" in name for name in log)
    assert not any("segm" in name for name in trainer.validation_log.columns)
    losses = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")
    np.testing.assert_allclose(log["loss_total"], sum(log[name] for name in losses), rtol=1e-12)
    assert (log["loss_box_reg"] > 0).any() and (log["grad_norm_box_head"] > 0).all()
    assert "mask" not in capsys.readouterr().out


def test_a_weight_of_the_mask_loss_is_refused_where_there_are_no_masks():
    with pytest.raises(InputError, match="'loss_mask' is no loss of the model; .*loss_classifier, loss_box_reg"):
        trainer_of(fasterrcnn_tiny(), loss_weights={"loss_mask": 2.0})


def test_a_model_without_a_mask_branch_can_be_overfit_and_is_matched_by_boxes():
    image, target = ShapesDataset(1, image_size=(64, 96), seed=1)[0]
    result = overfit_one_image(fasterrcnn_tiny(), image, target, steps=2)
    assert result.mask_iou is None and "mask" not in str(result) and len(result.box_iou) == len(target)
    found = Detections([[0, 0, 6, 5], [8, 0, 14, 7]], [1, 1], [.9, .8])
    there = Target([[8, 0, 14, 6]], [1], np.pad(np.ones((1, 6, 6), bool), ((0, 0), (0, 4), (8, 0))))
    result = measure(found, there)
    np.testing.assert_allclose(result.box_iou, [36 / 42])
    np.testing.assert_allclose(result.scores, [0.8])
    assert result.extra == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_step_that_a_later_listener_stops_before_the_weights_move_is_undone(error):
    class Stop(Listener):
        def clipped(self, loop, batch):
            raise error("stop")
    trainer = trainer_of(maskrcnn_tiny())
    trainer.train_step()
    trainer.listeners.append(Stop())

    def state():
        return trainer.model.state_dict(), trainer.rng.bit_generator.state, trainer.order.position

    before = state()
    with pytest.raises(error):
        trainer.train_step()
    np.testing.assert_equal(state(), before)
    assert trainer.step == 1
