"""What people hand in by mistake, and that it is said in one line, or works after all."""

import numpy as np
import pytest

from npmaskrcnn import InputError, InputWarning, Target, load, maskrcnn_tiny, save
from npmaskrcnn.structures import Detections
from npmaskrcnn.training.augment import augment

NOTHING = Target([], [], [])
GREY = np.full((40, 56, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def model():
    return maskrcnn_tiny(3, min_size=64, max_size=64)


# ---- targets and images ----

def test_a_target_of_nothing_needs_no_size_to_learn_from(model):
    rng = np.random.default_rng(0)
    losses = model.loss_and_grads([GREY], [NOTHING], rng)
    assert losses["loss_mask"] == 0 and losses["loss_classifier"] > 0
    assert len(model.trace(GREY, NOTHING).training.mask_targets) == 0
    for _ in range(4):
        _, target = augment(GREY, NOTHING, rng, scale_jitter=(0.5, 2))
        assert len(target) == 0


@pytest.mark.parametrize("rng", [None, 0])
def test_a_seed_is_no_generator(model, rng):
    with pytest.raises(InputError, match="rng is"):
        model.loss_and_grads([GREY], [NOTHING], rng)


# ---- weights ----

def test_broken_weights_do_not_pass_for_an_empty_picture(tmp_path):
    model = maskrcnn_tiny(3, min_size=64, max_size=64)
    model.untrained = False
    model.backbone.body.conv1.weight.data[0] = np.nan
    with np.errstate(all="ignore"), pytest.raises(InputError, match="not finite"):
        model.predict(GREY)
    with pytest.warns(InputWarning, match="body.conv1.weight"):
        save(model, tmp_path / "broken.npz")


@pytest.mark.parametrize("names, message", [
    (["background", "cat"], "are not 3 strings"),
    (["background", "cat", "cat"], "not all different"),
    (["background", "cat", " "], "blank"),
])
def test_save_refuses_class_names_that_load_would_refuse(tmp_path, model, names, message):
    model.class_names = names
    try:
        with pytest.raises(InputError, match=f"a.npz: the class names .*{message}"):
            save(model, tmp_path / "a.npz")
    finally:
        model.class_names = None
    assert list(tmp_path.iterdir()) == []


def test_save_does_not_disguise_its_format(tmp_path, model):
    with pytest.raises(InputError, match="export"):
        save(model, tmp_path / "a.safetensors")
