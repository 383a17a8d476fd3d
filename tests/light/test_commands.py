"""The commands ``cost`` and ``light``: what they print and write, and that a mistake is one line. 2 s."""

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import cli, light, load, maskrcnn_tiny, save
from npmaskrcnn.shipped import data_file

TINY, PICTURES = data_file("tiny.npz"), [data_file(f"shapes/{i:06d}.png") for i in range(3)]


def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def test_cost_prints_a_table_and_draws_a_figure(capsys, tmp_path):
    code, out, errors = run(capsys, "cost", "--size", 64, 96, "--repeats", 1, "--layers", "--out", tmp_path / "new")
    assert code == 0 and [line[:20] for line in errors] == ["predicting: 0 of 2", "predicting: 2 of 2, "]
    assert out.startswith("one image of 64 x 96 (seen at 85 x 128), ") and "  backbone.fpn.layer_blocks.0.0 " in out
    assert Image.open(tmp_path / "new" / "costs.png").width > 600
    code, out, errors = run(capsys, "cost", "--image", PICTURES[0], "--repeats", 1)
    assert code == 0 and len(out.splitlines()) == 10
    code, _, errors = run(capsys, "cost", "--image", PICTURES[0], "--size", 64, 96)
    assert code == 2 and len(errors) == 1 and "--size and --image exclude each other" in errors[0]


def test_light_prunes_trains_on_and_rounds(capsys, tmp_path):
    code, out, errors = run(capsys, "light", TINY, tmp_path / "small.npz", "--keep-channels", 0.9, "--zero-weights",
                            0.3, "--fine-tune", 1, "--int8-inputs", *PICTURES)
    assert code == 0 and not errors
    assert out.splitlines()[-1].startswith(f"wrote {tmp_path / 'small.npz'}: ")
    model = load(tmp_path / "small.npz")
    assert model.architecture["light"]["int8"] == "weights and inputs" and model.architecture["light"]["channels"]
    assert model.predict(np.zeros((64, 96, 3), np.uint8)) is not None
    assert light.share_of_zeros(model) > 0.299      # of a whole number of weights, the nearest
    code, out, _ = run(capsys, "light", TINY, tmp_path / "small.npz", "--half", "--overwrite")
    assert ", 50 % of the 4,2" in out       # bytes of numbers: that file is compressed, this one is not
    assert code == 0 and load(tmp_path / "small.npz").architecture["light"] == {"half": True}


def test_a_training_is_not_lost_if_nothing_is_found_in_the_pictures(capsys, tmp_path):
    code, _, errors = run(capsys, "light", TINY, tmp_path / "small.npz", "--keep-channels", 0.5, "--fine-tune", 1,
                          "--int8-inputs", *PICTURES)
    assert code == 2 and "error: --int8-inputs: nothing in them reaches" in errors[-1]
    assert load(tmp_path / "small.npz").architecture["light"]["channels"]


@pytest.mark.parametrize("arguments, message", [
    ([TINY, "new.npz"], "nothing is to become lighter"), ([TINY, "small.pth", "--half"], "ends in .npz"),
    (["small.npz", "small.npz", "--half"], "would be lost"),
    ([TINY, "small.npz", "--half"], "small.npz: is there already"), (["none.npz", "new.npz", "--half"], "none.npz"),
    ([TINY, "new.npz", "--keep-channels", 0], "--keep-channels must be"),
    ([TINY, "new.npz", "--zero-weights", 2], "--zero-weights must be")])
def test_a_mistake_is_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.npz").write_bytes(b"")
    code, _, errors = run(capsys, "light", *arguments)
    assert code == 2 and len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "new.npz").exists() and (tmp_path / "small.npz").read_bytes() == b""


def test_a_destination_that_cannot_be_written_is_said_before_the_training(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("npmaskrcnn.commands.light.train", lambda *_, **__: pytest.fail("trained"))
    code, _, errors = run(capsys, "light", TINY, tmp_path / "none" / "small.npz", "--half", "--fine-tune", 5)
    assert code == 2 and "cannot be written" in errors[-1]


@pytest.mark.parametrize("kind", ["int8", "classes"])
def test_a_model_that_cannot_be_trained_on_shapes_costs_no_file(capsys, tmp_path, kind):
    (tmp_path / "small.npz").write_bytes(b"mine")
    if kind == "int8":
        model, says = light.quantize(load(TINY)), "is quantized already; begin with the model that it was made of"
    else:
        model, says = maskrcnn_tiny(2), "on toy shapes: the classes are circle, square, triangle; the model's"
        model.class_names = ["background", "cell"]
    save(model, tmp_path / "from.npz")
    code, _, errors = run(capsys, "light", tmp_path / "from.npz", tmp_path / "small.npz", "--half", "--fine-tune", 1,
                          "--overwrite")
    assert code == 2 and len(errors) == 1 and says in errors[0] and str(tmp_path / "from.npz") in errors[0]
    assert ("--fine-tune" in errors[0]) == (kind == "classes")
    assert (tmp_path / "small.npz").read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_training_leaves_what_it_has_learned(capsys, tmp_path, monkeypatch):
    def interrupted(model, *_, **__):
        model.rpn.head.cls_logits.bias.data[:] = 7
        raise KeyboardInterrupt
    monkeypatch.setattr("npmaskrcnn.commands.light.train", interrupted)
    code, out, _ = run(capsys, "light", TINY, tmp_path / "small.npz", "--keep-channels", 0.5, "--fine-tune", 5)
    assert code == 130 and "small.npz holds the model with what it has learned so far" in out
    assert (load(tmp_path / "small.npz").rpn.head.cls_logits.bias.data == 7).all()


@pytest.mark.parametrize("command", [["shapes"], ["coco", "--annotations", data_file("shapes/instances.json"),
                                                  "--images", data_file("shapes"), "--new-heads"]])
def test_a_training_of_int8_says_what_to_train_in_its_place(capsys, tmp_path, command):
    assert run(capsys, "light", TINY, tmp_path / "small.npz", "--int8")[0] == 0
    code, _, errors = run(capsys, "train", *command, "--weights", tmp_path / "small.npz", "--out", tmp_path / "run")
    assert code == 2 and "weights of int8, which cannot be trained; train the model that it was made of" in errors[0]
    assert len(errors) == 1 and not (tmp_path / "run").exists()
