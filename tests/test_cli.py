"""The command line: what each command writes and prints, and that a mistake is one line and exit code 2.

Commands run in this process or one of their own on the shipped model and pictures; what they write is read back by
other means. Each mistake is held against the option that it names.
"""

import json
import os
import re
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from npmaskrcnn import MaskRCNN, __version__, cli, load, plots, rle, save
from npmaskrcnn.clinic import PATIENTS
from npmaskrcnn.commands import demo
from npmaskrcnn.commands.train import shapes_validation
from npmaskrcnn.datasets import (CellsDataset, CocoDataset, ShapesDataset, ShapesFilm, read_detections, shapes_test_set,
                                 write_coco)
from npmaskrcnn.fast import threads
from npmaskrcnn.images import read_image
from npmaskrcnn.ops import box_iou
from npmaskrcnn.plots.film import film_frame
from npmaskrcnn.others import one_stage_tiny
from npmaskrcnn.shipped import data_file

SAMPLE = data_file("shapes/instances.json")
PICTURE = data_file("shapes/000000.png")


@pytest.fixture
def no_curves(monkeypatch):
    """Draw no curves, which takes longer than a step (test_trainer looks at them); list the folders they are for."""
    folders = []
    monkeypatch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: folders.append(trainer.out_dir))
    return folders


def run(capsys, *arguments):
    """Run a command in this process; return its exit code, output and error lines."""
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def error_line(capsys, *arguments):
    """Run a command that must fail with exit code 2 and one line of error; return that line."""
    code, _, errors = run(capsys, *arguments)
    assert code == 2, errors
    assert len(errors) == 1 and "Traceback" not in errors[0], errors
    return errors[0]


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0 and out.strip() == f"npmaskrcnn {__version__}"


@pytest.mark.parametrize("command", [["demo"], ["train", "shapes"], ["train", "coco"], ["evaluate"], ["detect"],
                                     ["track"], ["overfit"], ["clinic"], ["explore"], ["cost"], ["light"], ["export"]])
def test_every_help_shows_an_example_that_parses(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")         # no line breaks in the example
    code, out, _ = run(capsys, *command, "--help")
    assert code == 0
    example = [line for line in out.replace("\n  ", " ").splitlines() if line.startswith("example: npmaskrcnn ")]
    assert example
    words = example[-1].split()[2:]
    assert words[:len(command)] == command
    cli.build_parser().parse_args(words)


def test_demo_writes_both_pictures_and_prints_the_average_precision(capsys, tmp_path, monkeypatch):
    assert (demo.SCORED_IMAGES, demo.GALLERY_IMAGES) == (50, 8)
    monkeypatch.setattr(demo, "SCORED_IMAGES", 5)
    monkeypatch.setattr(demo, "GALLERY_IMAGES", 4)
    code, out, _ = run(capsys, "demo", "--seed", 3, "--out", tmp_path / "demo")
    assert code == 0
    assert "AP50" in out and "circle" in out and "over 5 unseen images" in out
    for name in ("stages.png", "gallery.png"):
        pixels = np.asarray(Image.open(tmp_path / "demo" / name).convert("L"))
        assert pixels.shape[1] >= 1000 and pixels.std() > 10        # a picture, and not a blank one


def test_detect_writes_overlay_label_map_and_coco_json(capsys, tmp_path):
    code, out, _ = run(capsys, "detect", PICTURE, "--out", tmp_path / "a b é", "--score", "0.6")
    assert code == 0 and "000000.png" in out
    folder = tmp_path / "a b é"
    height, width = np.asarray(Image.open(PICTURE)).shape[:2]
    labels = np.asarray(Image.open(folder / "000000-labels.png"))
    assert labels.shape == (height, width)
    entries = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    assert labels.max() == len(entries) > 0
    for entry in entries:
        assert entry["score"] > 0.6 and entry["category_name"] in ("circle", "square", "triangle")
        assert rle.decode(entry["segmentation"]).shape == (height, width)
    # the best detection lies on top, so its mask is all there
    np.testing.assert_array_equal(labels == 1, rle.decode(entries[0]["segmentation"]))
    assert (folder / "000000-detections.png").stat().st_size > 1000


def test_detect_takes_class_names_of_ones_own(capsys, tmp_path):
    (tmp_path / "names.txt").write_text("rond\ncarré\n三角\n", encoding="utf-8")
    code, out, _ = run(capsys, "detect", PICTURE, "--classes", tmp_path / "names.txt", "--out", tmp_path)
    assert code == 0 and any(name in out for name in ("rond", "carré", "三角"))


def test_two_pictures_of_one_name_do_not_overwrite_each_other(capsys, tmp_path):
    other = tmp_path / "000000.png"
    Image.open(data_file("shapes/000001.png")).save(other)
    code, _, _ = run(capsys, "detect", PICTURE, other, "--out", tmp_path / "out")
    assert code == 0
    assert {p.name for p in (tmp_path / "out").glob("*-labels.png")} == {"000000-labels.png", "000000-2-labels.png"}


@pytest.mark.parametrize("name", ["detections.json", "000000-labels.png", "000000-detections.png"])
def test_detect_replaces_nothing_unless_told(capsys, tmp_path, name):
    (tmp_path / name).write_text("mine")
    line = error_line(capsys, "detect", PICTURE, "--out", tmp_path)
    assert name in line and "--overwrite" in line and (tmp_path / name).read_text() == "mine"
    if name == "detections.json":
        assert run(capsys, "detect", PICTURE, "--out", tmp_path, "--overwrite")[0] == 0
        assert (tmp_path / name).read_text() != "mine"


def test_detect_keeps_what_is_done_when_it_is_interrupted_and_holds_one_image_at_a_time(capsys, tmp_path, monkeypatch):
    alive, most = weakref.WeakSet(), []

    def read(path, white=None):
        if len(most) == 3 + 1:              # all three are judged first, then comes the second of the work
            raise KeyboardInterrupt
        image = read_image(path).view(Picture)
        alive.add(image)
        most.append(len(alive))
        return image

    class Picture(np.ndarray):
        __hash__ = object.__hash__

    monkeypatch.setattr("npmaskrcnn.images.read_image", read)
    pictures = [data_file(f"shapes/00000{i}.png") for i in range(3)]
    code, out, errors = run(capsys, "detect", *pictures, "--out", tmp_path)
    assert code == 130 and "1 of 3 images" in out and "interrupted" in errors[-1]
    assert {e["file_name"] for e in json.loads((tmp_path / "detections.json").read_text())} == {str(pictures[0])}
    assert max(most) == 1


def test_an_interruption_while_a_figure_is_freed_is_not_lost(tmp_path, heeds_interrupts):
    class Figure:
        def savefig(self, file, **options):
            file.write(b"picture")

        def clear(self):
            artist = Figure()
            artist.axes = artist                                            # a circle, for the collector to find
            weakref.finalize(artist, os.kill, os.getpid(), signal.SIGINT)   # when it is taken away

    with pytest.raises(KeyboardInterrupt):
        plots.save_figure(Figure(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"picture"


def test_detect_takes_patterns_and_points_from_a_folder_to_them(capsys, tmp_path):
    assert str(SAMPLE.parent / "*.png") in error_line(capsys, "detect", SAMPLE.parent)
    code, out, _ = run(capsys, "detect", SAMPLE.parent / "00000[0].png", "--out", tmp_path)
    assert code == 0 and "1 of 1 image," in out


@pytest.mark.parametrize("sizes, becomes", [
    ([], (128, 128)), (["--min-size", 64], (64, 64)), (["--min-size", 192], (192, 192)),
    (["--min-size", 192, "--max-size", 160], (160, 160)), (["--max-size", 96], (96, 96))])
def test_detect_and_evaluate_resize_to_the_sizes_that_are_given(capsys, tmp_path, monkeypatch, sizes, becomes):
    """A file that is a bare state dict does not know them."""
    seen, detections = set(), MaskRCNN.detections
    monkeypatch.setattr(MaskRCNN, "detections", lambda model, trace, *args: (
        seen.add(tuple(trace.image_size)), detections(model, trace, *args))[1])
    coco = tmp_path / "two"
    write_coco(ShapesDataset(2, seed=3), coco)
    assert run(capsys, "detect", coco / "000000.png", *sizes, "--out", tmp_path / "out")[0] == 0
    assert seen == {becomes}
    assert run(capsys, "evaluate", "--annotations", coco / "instances.json", "--images", coco, *sizes)[0] == 0
    assert seen == {becomes}


def test_class_names_of_ones_own_must_differ(capsys, tmp_path):
    (tmp_path / "names.txt").write_text("cat\ncat\ndog\n")
    assert "'cat' more than once" in error_line(capsys, "detect", PICTURE, "--classes", tmp_path / "names.txt")


def test_a_picture_that_is_named_twice_is_done_once(capsys, tmp_path):
    code, out, _ = run(capsys, "detect", PICTURE, PICTURE, "--out", tmp_path)
    assert code == 0 and len(list(tmp_path.iterdir())) == 3 and "1 of 1 image," in out


def test_training_and_validation_on_the_same_pictures_is_warned_of(capsys, tmp_path, no_curves):
    code, _, errors = run(capsys, "train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--steps", 1,
                          "--batch-size", 1, "--val-annotations", SAMPLE, "--val-images", SAMPLE.parent,
                          "--out", tmp_path)
    assert code == 0 and any("both sets" in line for line in errors), errors


def test_train_writes_log_curves_checkpoint_and_a_model_that_resumes_and_loads(capsys, tmp_path, no_curves):
    common = ["train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--batch-size", 1,
              "--steps", 2, "--out", tmp_path]
    code, out, errors = run(capsys, *common)
    assert code == 0, errors
    assert "mask" in out and "s left" in out
    assert {"log.csv", "checkpoint.npz", "model.npz"} <= {p.name for p in tmp_path.iterdir()}
    assert set(no_curves) == {tmp_path}
    assert load(tmp_path / "model.npz").class_names == ["background", "circle", "square", "triangle"]
    before = (tmp_path / "model.npz").read_bytes()
    (tmp_path / "model.npz").unlink()       # as after a kill in the last second
    code, out, errors = run(capsys, *common, "--resume", tmp_path / "checkpoint.npz")
    assert code == 0 and "all 2 steps done" in out, errors
    assert (tmp_path / "model.npz").read_bytes() == before
    code, _, errors = run(capsys, *common, "--steps", 1, "--resume", tmp_path / "checkpoint.npz")
    assert code == 2 and "checkpoint.npz: has 2 steps behind it already" in errors[-1]


def test_evaluate_measures_a_model_and_a_results_file_alike(capsys, tmp_path):
    where = ["--annotations", SAMPLE, "--images", SAMPLE.parent]
    code, by_model, _ = run(capsys, "evaluate", *where, "--out", tmp_path)
    assert code == 0 and "AP50" in by_model
    assert (tmp_path / "precision-recall-masks.png").exists()


@pytest.mark.parametrize("left_out, measured", [("segmentation", ["boxes"]), ("bbox", ["boxes", "masks"])])
def test_evaluate_measures_boxes_alone_and_masks_alone_without_pictures(capsys, tmp_path, left_out, measured):
    annotations = json.loads(SAMPLE.read_text(encoding="utf-8"))["annotations"]
    entries = [{**{key: a[key] for key in ("image_id", "category_id", "bbox", "segmentation") if key != left_out},
                "score": .9} for a in annotations]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    code, out, errors = run(capsys, "evaluate", "--annotations", SAMPLE, "--detections", tmp_path / "r.json", "--out",
                            tmp_path / "out")
    assert code == 0, errors
    assert out.split("AP ")[1].split()[3:3 + len(measured)] == ["1.000"] * len(measured)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"precision-recall-{what}.png" for what in measured]


def test_evaluate_goes_by_the_names_of_classes(capsys, tmp_path):
    where = ["--images", SAMPLE.parent]
    code, by_number, _ = run(capsys, "evaluate", "--annotations", SAMPLE, *where)
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    for old, new in ((1, 30), (2, 20), (3, 10)):        # the same classes in another order
        for entry in content["annotations"]:
            entry["category_id"] = new if entry["category_id"] == old else entry["category_id"]
        content["categories"][old - 1]["id"] = new
    (tmp_path / "a.json").write_text(json.dumps(content))
    code, by_name, errors = run(capsys, "evaluate", "--annotations", tmp_path / "a.json", *where)
    assert code == 0, errors
    assert sorted(by_name.splitlines()) == sorted(by_number.splitlines())
    content["categories"][0]["name"] = "disc"
    (tmp_path / "a.json").write_text(json.dumps(content))
    code, _, errors = run(capsys, "evaluate", "--annotations", tmp_path / "a.json", *where)
    assert code == 0 and "the model does not know disc" in errors[0] and "does not have left out (circle)" in errors[-1]
    for category in content["categories"]:
        category["name"] += "s"
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert "no name is in both" in error_line(capsys, "evaluate", "--annotations", tmp_path / "a.json", *where)


def test_train_cells_makes_room_for_the_fullest_picture(capsys, tmp_path, no_curves, monkeypatch):
    monkeypatch.setattr("npmaskrcnn.commands.train._cells", lambda options: (CellsDataset(3, seed=1),
                                                                             CellsDataset(2, seed=2)))
    code, out, _ = run(capsys, "train", "cells", "--steps", 1, "--batch-size", 1, "--out", tmp_path)
    assert code == 0 and "up to 18 objects in a picture: at most 144 proposals (instead of 40)" in out
    model = load(tmp_path / "model.npz")
    assert model.class_names == ["background", "cell"] and model.config.rpn_post_nms_top_n_test == 144


@pytest.mark.parametrize("words, says", [
    (["--steps", 0], "--steps must be"), (["--lr", -1], "--lr must be"), (["--optimizer", "adam"], "no optimizer"),
    (["--resume", data_file("tiny.npz")], "tiny.npz: holds a model but no state of a training")])
def test_nothing_is_said_of_a_training_before_its_options_are_judged(capsys, tmp_path, words, says):
    code, out, errors = run(capsys, "train", "cells", "--out", tmp_path, *words)
    assert code == 2 and not out and len(errors) == 1 and says in errors[0]


@pytest.mark.parametrize("faulty", ["train", "val"])
def test_pictures_and_outlines_of_both_sets_are_judged_before_the_first_step(capsys, tmp_path, faulty):
    files = {name: write_coco(ShapesDataset(4, seed=len(name)), tmp_path / name) for name in ("train", "val")}
    content = json.loads(files[faulty].read_text())
    content["annotations"][0].update(segmentation=[[5, 5, 20, 5, 5, 5]], bbox=[5, 5, 15, 1])     # a line
    image_id = content["annotations"][0]["image_id"]
    files[faulty].write_text(json.dumps(content))
    damaged, other, _ = [tmp_path / faulty / image["file_name"] for image in content["images"]
                         if image["id"] != image_id]
    damaged.write_bytes(damaged.read_bytes()[:300])
    Image.new("RGB", (130, 128)).save(other)
    code, out, errors = run(capsys, "train", "coco", "--annotations", files["train"], "--images", tmp_path / "train",
                            "--val-annotations", files["val"], "--val-images", tmp_path / "val", "--steps", 1,
                            "--batch-size", 1, "--out", tmp_path / "run")
    assert code == 2 and "step" not in out and not (tmp_path / "run" / "log.csv").exists()
    assert "of the 4 images these 3 cannot be used" in errors[-1] and "cover no pixel" in errors[-1]
    assert f"{damaged}: is damaged or incomplete" in errors[-1] and f"{other}: has 130 x 128 pixels" in errors[-1]


def test_a_dataset_that_lacks_classes_of_the_model_is_measured_over_its_own(capsys, tmp_path):
    annotations = write_coco(ShapesDataset(4, seed=1, kinds=("circle",)), tmp_path)
    code, out, errors = run(capsys, "evaluate", "--annotations", annotations, "--images", tmp_path)
    assert code == 0 and "of classes that the dataset does not have left out (square, triangle)" in errors[-1], errors
    assert "circle" in out and "square" not in out


def test_weights_of_other_classes_are_trained_on_with_new_heads(capsys, tmp_path, no_curves):
    annotations = write_coco(ShapesDataset(4, seed=1, kinds=("ring", "star")), tmp_path / "data")
    common = ["train", "coco", "--annotations", annotations, "--images", tmp_path / "data", "--steps", 1,
              "--batch-size", 2, "--out", tmp_path / "run", "--weights", data_file("tiny.npz")]
    assert "the classes are ring, star; the model's are circle, square, triangle" in error_line(capsys, *common)
    code, out, errors = run(capsys, *common, "--new-heads", "--min-size", 64)
    assert code == 0, errors
    assert "random at first, for 2 classes: roi_heads.box_predictor.cls_score" in out
    model = load(tmp_path / "run" / "model.npz")
    assert model.class_names == ["background", "ring", "star"] and model.config.min_size == 64


def test_models_of_other_builders_are_trained_on_with_new_heads_too(capsys, tmp_path, no_curves):
    annotations = write_coco(ShapesDataset(2, seed=1, kinds=("ring", "star")), tmp_path / "data")
    save(one_stage_tiny(), tmp_path / "stored.npz")
    code, out, errors = run(capsys, "train", "coco", "--annotations", annotations, "--images", tmp_path / "data",
                            "--steps", 1, "--batch-size", 1, "--out", tmp_path / "run", "--weights",
                            tmp_path / "stored.npz", "--new-heads", "--min-size", 64)
    assert code == 0 and "random at first, for 2 classes: head.cls_logits; all else" in out, errors
    assert load(tmp_path / "run" / "model.npz").class_names == ["background", "ring", "star"]


def test_what_detect_wrote_belongs_to_its_pictures_whatever_their_order(capsys, tmp_path):
    pictures = [data_file("shapes/000004.png"), data_file("shapes/000001.png")]
    assert run(capsys, "detect", *pictures, "--out", tmp_path)[0] == 0
    dataset = CocoDataset(SAMPLE)
    found = read_detections(tmp_path / "detections.json", dataset)
    assert [i for i, detections in enumerate(found) if len(detections)] == [1, 4]
    for i in (1, 4):
        overlap = box_iou(found[i].boxes, dataset.target(i).boxes)
        assert np.median(overlap.max(axis=1)) > 0.5     # most detections are of objects of this very picture


def test_export_there_and_back_keeps_every_bit(capsys, tmp_path):
    there, back = tmp_path / "model.safetensors", tmp_path / "model.npz"
    assert run(capsys, "export", data_file("tiny.npz"), there)[0] == 0
    line = error_line(capsys, "export", data_file("tiny-step-400.npz"), there)
    assert "model.safetensors: is there already" in line and "--overwrite" in line
    assert "is what is read" in error_line(capsys, "export", there, there, "--overwrite")
    assert run(capsys, "export", data_file("tiny.npz"), there, "--overwrite")[0] == 0
    assert run(capsys, "export", there, back)[0] == 0
    first, second = load(data_file("tiny.npz")), load(back)
    assert first.config == second.config and first.class_names == second.class_names
    np.testing.assert_equal(first.state_dict(), second.state_dict())


def test_shapes_take_up_a_run_for_more_steps(capsys, tmp_path, no_curves):
    common = ["train", "shapes", "--batch-size", 1, "--kinds", "star", "--out", tmp_path]
    shapes = ShapesDataset(1, seed=5, kinds=("star",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("npmaskrcnn.commands.train.shapes_validation", lambda options: shapes)
        assert run(capsys, *common, "--steps", 1)[0] == 0
        code, out, errors = run(capsys, *common, "--steps", 2, "--resume", tmp_path / "checkpoint.npz")
        assert code == 0 and "after step 1" in out, errors
        assert "holds another run" in error_line(capsys, *common, "--steps", 2)


@pytest.mark.parametrize("kinds", [("circle", "square", "triangle"), ("star", "ring")])
def test_shapes_are_validated_on_the_standard_test_set_or_one_like_it(kinds):
    options = cli.build_parser().parse_args(["train", "shapes", "--kinds", *kinds, "--seed", "7"])
    dataset = shapes_validation(options)
    assert len(dataset) == 200 and dataset.class_names == ["background", *kinds]
    if kinds[0] == "circle":
        np.testing.assert_array_equal(dataset[5][0], shapes_test_set()[5][0])


def test_warnings_as_errors_are_one_line(tmp_path):
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    content["categories"].append({"id": 9, "name": "owl"})
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "r.json").write_text("[]")
    result = subprocess.run([sys.executable, "-m", "npmaskrcnn", "evaluate", "--annotations", str(tmp_path / "a.json"),
                             "--detections", str(tmp_path / "r.json")], capture_output=True, text=True,
                            env={**os.environ, "PYTHONWARNINGS": "error"})
    assert result.returncode == 2 and "no annotation of owl" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_that_leaves_does_not_stop_the_work(tmp_path):
    command = [sys.executable, "-m", "npmaskrcnn", "detect", str(PICTURE), "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=300) == 0, process.stderr.read()
    process.stderr.close()
    assert (tmp_path / "detections.json").exists()


@pytest.mark.parametrize("door", ["-m", "script"])
def test_an_interruption_during_the_imports_is_one_line(tmp_path, heeds_interrupts, door):
    (tmp_path / "numpy.py").write_text("import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(9)\n")
    (tmp_path / "npmaskrcnn").write_text("import sys\nfrom npmaskrcnn.cli import main\nsys.exit(main())\n")
    words = ["-m", "npmaskrcnn"] if door == "-m" else [str(tmp_path / "npmaskrcnn")]    # as pip writes it
    places = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    result = subprocess.run([sys.executable, *words, "demo"], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": places})
    assert result.returncode == 130 and result.stderr == "npmaskrcnn: interrupted\n" and not result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_behind_the_output_is_named(tmp_path):
    with open("/dev/full", "w") as full:
        result = subprocess.run([sys.executable, "-m", "npmaskrcnn", "detect", str(PICTURE), "--out", str(tmp_path)],
                                stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2 and "standard output: cannot be written" in result.stderr
    assert "Traceback" not in result.stderr


def test_names_that_the_terminal_cannot_show_and_a_foreign_backend_do_no_harm(tmp_path):
    (tmp_path / "names.txt").write_text("rond\ncarré\n三角\n", encoding="utf-8")
    result = subprocess.run([sys.executable, "-m", "npmaskrcnn", "detect", str(PICTURE), "--out", str(tmp_path),
                             "--classes", str(tmp_path / "names.txt")], capture_output=True,
                            env={**os.environ, "PYTHONIOENCODING": "ascii", "MPLBACKEND": "nonsense"})
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments, says", [
    ([], "COMMAND"),
    (["detect", PICTURE, "--weights", ""], "--weights"),
    (["detect", PICTURE, "--classes", ""], "--classes"),
    (["detect", ""], "argument IMAGE: is empty"),
    (["train", "shapes", "--kinds", "star", ""], "argument --kinds: is empty"),
    (["evaluate", "--detections", ""], "--detections"),
    (["evaluate", "--annotations", "", "--images", ""], "--annotations"),
    (["demo", "--out", ""], "--out"),
    (["evaluate", "--detections", "a.json", "--weights", "b.npz"], "--weights"),
    (["train", "shapes", "--resume", "a.npz", "--weights", "b.npz"], "--weights"),
    (["train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--model", "resnet18", "--weights", "a.npz"],
     "--model"),
    (["train", "shapes", "--steps", "2", "--checkpoint-at", "1", "3"], "--checkpoint-at 3"),
    (["train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--new-heads"], "--weights"),
    (["train", "shapes", "--steps", "99999999999999999999999"], "steps"),
    (["overfit", "--steps", "99999999999999999999999"], "steps"),
    (["dance"], "dance"),
    (["detect", "no-such-file.png"], "no-such-file.png"),
    (["track", "no-such-film.gif"], "no-such-film.gif: no such file"),
    (["track", SAMPLE], "instances.json: is not an image"),
    (["track", "shapes", "--frames", "0"], "error: --frames must be a"),
    (["track", "shapes", "--seed", "-1"], "error: --seed must be a"),
    (["track", "shapes", "--score-threshold", "7"], "error: --score-threshold must be a"),
    (["track", "shapes", "--birth-score", "-1"], "error: --birth-score must be a"),
    (["track", "shapes", "--min-iou", "0"], "error: --min-iou must be a"),
    (["track", "shapes", "--patience", "-1"], "error: --patience must be a"),
    (["track", "shapes", "--fps", "0"], "error: --fps must be a"),
    (["track", PICTURE, "--frames", "9"], "--frames goes with the film of shapes only"),
    (["detect", PICTURE, "--score", "7"], "--score"),
    (["detect", PICTURE, "--score", "nan"], "--score"),
    (["detect", PICTURE, "--iou", "-1"], "--iou"),
    (["detect", PICTURE, "--min-size", "0"], "error: --min-size must be a"),
    (["detect", PICTURE, "--max-size", "99999999999"], "error: --max-size must be a"),
    (["evaluate", "--min-size", "-3"], "error: --min-size must be a"),
    (["evaluate", "--detections", "a.json", "--min-size", "64"], "--min-size exclude"),
    (["detect", PICTURE, "--weights", PICTURE], "000000.png"),
    (["detect", PICTURE, "--classes", SAMPLE], "instances.json"),
    (["detect", SAMPLE], "instances.json"),
    (["demo", "--out", SAMPLE], "instances.json"),
    (["demo", "--weights", "nowhere.npz"], "nowhere.npz"),
    (["evaluate", "--annotations", SAMPLE], "--images"),
    (["evaluate", "--images", SAMPLE.parent], "--annotations"),
    (["evaluate", "--annotations", PICTURE, "--images", "."], "000000.png"),
    (["demo", "--seed", "-1"], "--seed must be a"),
    (["train", "shapes", "--steps", "0"], "error: --steps must be"),
    (["train", "shapes", "--lr", "-1"], "error: --lr must be"),
    (["train", "shapes", "--lr", "nan"], "error: --lr must be"),
    (["train", "shapes", "--batch-size", "0"], "error: --batch-size must be"),
    (["train", "shapes", "--batch-size", "200000"],
     "error: --batch-size is 200000, but the dataset has 100,000 images"),
    (["train", "shapes", "--eval-every", "0"], "error: --eval-every must be"),
    (["train", "shapes", "--checkpoint-at", "0"], "error: --checkpoint-at must be"),
    (["train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--scale-jitter", "0.001", "1"],
     "error: --scale-jitter[0] must be"),
    (["train", "shapes", "--kinds", "hexagon"], "error: --kinds must be one or more different of"),
    (["train", "shapes", "--optimizer", "adamm"], "error: 'adamm' is no optimizer; the nearest is 'adamw'"),
    (["train", "shapes", "--seed", "-1"], "--seed must be a"),
    (["train", "shapes", "--resume", "gone.npz"], "gone.npz"),
    (["train", "coco", "--annotations", "gone.json", "--images", "."], "gone.json"),
    (["overfit", "--steps", "0"], "--steps must be a"),
    (["overfit", "--seed", "-1"], "--seed must be a"),
    (["detect", PICTURE, "--classes", "gone.txt"], "gone.txt: no such file; expected a list of class names"),
    (["train", "coco", "--annotations", SAMPLE, "--images", SAMPLE.parent, "--min-size", "0"], "--min-size must be a"),
    (["export", "gone.npz", "b.npz"], "gone.npz"),
    (["cost", "--out", SAMPLE], "instances.json: is a file, but a folder is needed"),
    (["cost", "--repeats", "0", "--out", "new"], "--repeats must be"),
    (["cost", "--size", "0", "9", "--out", "new"], "--size[0] must be"),
    (["clinic", "anna", "--out", SAMPLE], "instances.json: is a file, but a folder is needed"),
    (["clinic", "--diagnosis"], "--diagnosis goes with NAME"),
    (["clinic", "--hints", "2"], "--hints goes with NAME"),
    (["cost", "--size", "100000", "100000"], "error: --size: 100000 x 100000 pixels"),
    (["light", "half.npz", "b.npz", "--half"], "error: half.npz: no such file"),
    (["light", "half", "b.npz", "--half"], "error: half: no such file"),
    (["light", data_file("tiny.npz"), "b.npz", "--int8-inputs", "images/t.png"], "error: images/t.png: no such file"),
    (["light", data_file("tiny.npz"), "b.npz", "--int8-inputs", "images t.png"], "error: images t.png: no such file"),
    (["track", "shapes", "--white", "4095"], "--white goes with pictures"),
    (["train", "cells", "--quarter-turns"], "npmaskrcnn train cells: error: unrecognized arguments: --quarter-turns"),
    (["export", data_file("tiny.npz"), "b.txt"], "b.txt"),
    (["--threads", "0", "demo"], "threads"),
    (["train", "shapes", "--boxes-only", "--weights", "a.npz"], "--weights and --boxes-only exclude each other"),
    (["train", "shapes", "--boxes-only", "--resume", "a.npz"], "--resume and --boxes-only exclude each other"),
    (["train", "shapes", "--boxes-only", "--mask-weight", "2"], "--mask-weight is of the mask loss"),
])
def test_a_mistake_is_one_line_that_names_it(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert says in error_line(capsys, *arguments)


@pytest.mark.parametrize("arguments", [["cost"], ["clinic", "anna"]])
def test_a_folder_that_cannot_be_written_into_is_said_before_the_work(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)     # root may write anywhere
    code, out, errors = run(capsys, *arguments, "--out", tmp_path)
    assert code == 2 and not out and len(errors) == 1 and f"{tmp_path}: cannot be written into" in errors[0]


def test_the_command_computes_on_as_many_threads_as_told(capsys):
    products = threads._product_threads
    if products.set is None:
        pytest.skip("nobody knows how to tell the library that makes NumPy's products here")
    before = products.get()
    try:
        assert run(capsys, "--threads", 1, "export", "gone.npz", "b.npz")[0] == 2
        assert products.get() == 1
    finally:
        products.set(before)


def test_threads_that_cannot_be_set_are_a_warning(capsys, monkeypatch):
    monkeypatch.setattr(threads._product_threads, "set", None)
    assert "--threads has no effect" in run(capsys, "--threads", 1, "export", "gone.npz", "b.npz")[2][0]


def test_the_module_runs_as_a_command_on_one_thread_and_begins_without_what_draws():
    result = subprocess.run([sys.executable, "-X", "importtime", "-m", "npmaskrcnn", "--threads", "1", "--version"],
                            capture_output=True, text=True)
    assert result.returncode == 0 and __version__ in result.stdout
    assert "npmaskrcnn.commands.clinic" in result.stderr        # which names all that is loaded; these take long:
    assert not any(name in result.stderr for name in ("matplotlib", "scipy.ndimage", "scipy.optimize"))


def test_threads_are_told_before_or_after_the_command():
    for typed in (["--threads", "2", "train", "shapes"], ["train", "--threads", "2", "shapes"],
                  ["train", "shapes", "--threads", "2"]):
        assert cli.build_parser().parse_args(typed).threads == 2
    assert cli.build_parser().parse_args(["demo"]).threads is None


@pytest.mark.parametrize("command, advice", [(["detect", PICTURE], "smaller images"),
                                             (["train", "shapes"], "smaller images or a smaller --batch-size")])
def test_advice_for_lack_of_memory_names_only_options_that_there_are(capsys, tmp_path, monkeypatch, command, advice):
    def run_out(*args, **kwargs):
        raise MemoryError
    monkeypatch.setattr("npmaskrcnn.commands.detect.the_model", run_out)
    monkeypatch.setattr("npmaskrcnn.training.train", run_out)
    assert error_line(capsys, *command, "--out", tmp_path).endswith(f"use {advice}")


def test_one_thing_is_named_as_one(capsys, tmp_path, no_curves):
    annotations = write_coco(ShapesDataset(1, seed=1, min_objects=1, max_objects=1, kinds=("star",)), tmp_path)
    assert "1 image, 1 object, 1 class)" in repr(CocoDataset(annotations, tmp_path))
    code, out, errors = run(capsys, "train", "coco", "--annotations", annotations, "--images", tmp_path, "--steps", 1,
                            "--batch-size", 1, "--out", tmp_path / "run")
    assert code == 0 and "training on 1 image with 1 object, 1 a step" in out, errors


def test_crowds_are_counted_apart_where_a_training_begins(capsys, tmp_path, no_curves):
    annotations = write_coco(ShapesDataset(2, seed=1, min_objects=2), tmp_path)
    content = json.loads(annotations.read_text(encoding="utf-8"))
    content["annotations"][0]["iscrowd"] = 1
    annotations.write_text(json.dumps(content), encoding="utf-8")
    objects = len(content["annotations"]) - 1
    code, out, errors = run(capsys, "train", "coco", "--annotations", annotations, "--images", tmp_path, "--steps", 1,
                            "--batch-size", 1, "--out", tmp_path / "run")
    assert code == 0 and f"training on 2 images with {objects} objects (1 crowd left out)" in out, errors


def test_a_class_may_have_any_name_of_one_line(capsys, tmp_path):
    (tmp_path / "names.txt").write_text("a$_$\n_$20 bill, $10 bill\n" + "\x1b[31m猫" * 50, encoding="utf-8")
    code, out, _ = run(capsys, "detect", PICTURE, "--classes", tmp_path / "names.txt", "--out", tmp_path / "out")
    assert code == 0 and "\x1b" not in out
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    for category, name in zip(content["categories"], ["a$_$", "_$20 bill, $10 bill", "two\nlines"], strict=True):
        category["name"] = name
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "r.json").write_text("[]")
    code, out, _ = run(capsys, "evaluate", "--annotations", tmp_path / "a.json", "--detections", tmp_path / "r.json",
                       "--out", tmp_path)
    assert code == 0 and r"two\nlines" in out and (tmp_path / "precision-recall-masks.png").exists()


def test_pictures_of_12_bits_are_detected_in_and_measured_with_white(capsys, tmp_path, no_curves):
    names = [image["file_name"] for image in json.loads(SAMPLE.read_text(encoding="utf-8"))["images"]]
    for name in names:
        gray = np.array(Image.open(SAMPLE.parent / name).convert("L")).astype(np.uint16) * 16
        Image.fromarray(gray).save(tmp_path / name)
    code, _, errors = run(capsys, "detect", tmp_path / names[0], "--out", tmp_path / "dark")
    assert code == 0 and any("12 bits, say which number is white: --white 4095" in line for line in errors)
    code, out, errors = run(capsys, "detect", tmp_path / names[0], "--white", 4095, "--out", tmp_path / "out")
    assert code == 0 and not any("warning" in line for line in errors) and "Detections(" in out
    code, out, errors = run(capsys, "evaluate", "--annotations", SAMPLE, "--images", tmp_path, "--white", "4095")
    assert code == 0 and not any("bits" in line for line in errors)
    code, out, errors = run(capsys, "train", "coco", "--annotations", SAMPLE, "--images", tmp_path, "--white", "4095",
                            "--steps", 1, "--batch-size", 1, "--min-size", 64, "--out", tmp_path / "run")
    assert code == 0 and not any("bits" in line for line in errors)
    assert names[0] in error_line(capsys, "detect", tmp_path / names[0], "--white", 400, "--out", tmp_path / "o")
    assert "--white must be" in error_line(capsys, "detect", tmp_path / names[0], "--white", 0)
    assert "--white needs --images" in error_line(capsys, "evaluate", "--white", 4095)


@pytest.mark.parametrize("arguments", [
    ["train", "coco", "--annotations", "none.json", "--images", "."], ["train", "shapes", "--weights", "none"],
    ["train", "shapes", "--batch-size", "0"], ["evaluate", "--weights", "none"],
    ["evaluate", "--annotations", "none.json", "--images", "."], ["detect", PICTURE, "--weights", "none"],
    ["detect", "none.png"], ["detect", PICTURE, "--classes", "none"], ["detect", PICTURE, "--white", "0"]])
def test_a_mistake_leaves_no_empty_folder_behind(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    error_line(capsys, *arguments, "--out", "folder")
    assert not list(tmp_path.iterdir())


def test_a_category_that_no_file_could_keep_is_refused_before_the_first_step(capsys, tmp_path):
    content = json.loads(SAMPLE.read_text(encoding="utf-8"))
    for name, words in (("\ud800", "a text without halves of characters"), ("Background ", "is called Background"),
                        (content["categories"][1]["name"] + " ", "category name used more than once")):
        content["categories"][0]["name"] = name
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert words in error_line(capsys, "train", "coco", "--annotations", tmp_path / "a.json", "--images",
                                   SAMPLE.parent, "--out", tmp_path / "run")


def test_pictures_of_the_command_itself_are_never_replaced_and_long_names_are_cut(capsys, tmp_path):
    for name in ("x.png", "x-labels.png"):
        (tmp_path / name).write_bytes(PICTURE.read_bytes())
    line = error_line(capsys, "detect", tmp_path / "x.png", tmp_path / "x-labels.png", "--out", tmp_path, "--overwrite")
    assert "x-labels.png: is what is read here" in line
    assert (tmp_path / "x-labels.png").read_bytes() == PICTURE.read_bytes()
    long = tmp_path / ("m" * 245 + ".png")
    long.write_bytes(PICTURE.read_bytes())
    code, _, errors = run(capsys, "detect", long, "--out", tmp_path / "out")
    assert code == 0 and len(list((tmp_path / "out").iterdir())) == 3, errors


def test_a_model_without_names_needs_as_many_classes_or_names(capsys, tmp_path):
    model = load(data_file("tiny.npz"))
    names, model.class_names = model.class_names[1:], None
    save(model, tmp_path / "m.npz")
    annotations = write_coco(ShapesDataset(4, seed=3, kinds=("square", "triangle")), tmp_path / "two")
    words = ["evaluate", "--weights", tmp_path / "m.npz", "--annotations", annotations, "--images", annotations.parent]
    assert "the model's have no names, and there are 3" in error_line(capsys, *words)
    (tmp_path / "names.txt").write_text("\n".join(names))
    code, out, errors = run(capsys, *words, "--classes", tmp_path / "names.txt")
    assert code == 0 and float(re.search(r"all\s+100\s+([\d.]+)", out)[1]) > 0.5, (out, errors)
    assert any("lacks the classes circle" in line for line in errors)


def test_a_validation_set_may_have_the_classes_in_another_order(capsys, tmp_path, no_curves):
    train = write_coco(ShapesDataset(3, seed=1), tmp_path / "train")
    val = write_coco(ShapesDataset(3, seed=2, kinds=("triangle", "circle")), tmp_path / "val")
    code, out, errors = run(capsys, "train", "coco", "--annotations", train, "--images", train.parent,
                            "--val-annotations", val, "--val-images", val.parent, "--steps", 1, "--batch-size", 1,
                            "--out", tmp_path / "run")
    assert code == 0 and any("lacks the classes square" in line for line in errors), errors


def test_many_objects_in_a_picture_are_proposed_and_a_change_of_size_is_said(capsys, tmp_path, no_curves):
    annotations = write_coco(ShapesDataset(2, image_size=(256, 256), seed=1, min_objects=14, max_objects=16), tmp_path)
    most = CocoDataset(annotations).most_objects
    assert most > 5
    code, out, errors = run(capsys, "train", "coco", "--annotations", annotations, "--images", tmp_path, "--steps", 1,
                            "--batch-size", 1, "--out", tmp_path / "run")
    assert code == 0, errors
    assert f"up to {most} objects in a picture: at most {8 * most} proposals (instead of 40)" in out
    assert "a picture of 256 x 256 pixels is resized to 128 x 128 (--min-size)" in out
    assert load(tmp_path / "run" / "model.npz").config.rpn_post_nms_top_n_test == 8 * most


# ---- track ----

FILM = ShapesFilm(5, 2, (80, 112), seed=15)     # two that are apart, in every frame


@pytest.fixture
def frames(tmp_path):
    """A folder of the film's frames, whose names do not sort as texts, and with what is no frame beside them."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(FILM[i][0]).save(folder / f"f{3 * i + 1}.png")      # f1, f4, f7, f10, f13
    (folder / "notes.txt").write_text("mine")
    (folder / ".hidden.png").write_text("somebody's")
    return folder


def table_of(folder):
    header, *rows = [line.split(",") for line in (folder / "tracks.csv").read_text().splitlines()]
    assert header == ["frame", "track", "label", "score", "x1", "y1", "x2", "y2"]
    return rows


def film_of(path):
    """All frames of a GIF, (T, H, W, 3)."""
    with Image.open(path) as film:
        frames = []
        for i in range(film.n_frames):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")))
    return np.array(frames)


def save_pages(path, **options):
    pages = [Image.fromarray(FILM[i][0]) for i in range(5)]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    return path


@pytest.mark.parametrize("kind", ["folder", "gif", "tiff"])
def test_track_follows_the_objects_of_a_folder_a_gif_and_pages_in_their_order(capsys, tmp_path, frames, kind):
    source = frames if kind == "folder" else save_pages(tmp_path / f"film.{kind}")
    code, out, errors = run(capsys, "track", source, "--out", tmp_path / "out")
    assert code == 0 and "2 tracks in 5 frames" in out and not any("warning" in line for line in errors), (out, errors)
    rows = table_of(tmp_path / "out")
    assert [(row[0], row[1]) for row in rows] == [(str(i), number) for i in range(5) for number in "01"]
    for row in rows:
        target = FILM.target(int(row[0]))
        box = np.array([row[4:]], float)
        best = box_iou(box, target.boxes)[0].argmax()
        assert box_iou(box, target.boxes)[0, best] > 0.8
        assert row[2] == FILM.class_names[target.labels[best]] and 0.5 < float(row[3]) <= 1
    assert {int(row[1]): row[2] for row in rows} == {int(row[1]): row[2] for row in rows[:2]}


def test_every_object_keeps_its_color_through_the_film(capsys, tmp_path, frames):
    assert run(capsys, "track", frames, "--out", tmp_path / "out")[0] == 0
    shown = film_of(tmp_path / "out" / "tracks.gif").astype(int)
    assert shown.shape == (5, 240, 336, 3)          # three times as large
    for row in table_of(tmp_path / "out"):
        x1, y1, x2, _ = (3 * float(side) for side in row[4:])
        color = np.array([int(plots.style.track_color(int(row[1]))[k:k + 2], 16) for k in (1, 3, 5)])
        upper_side = shown[int(row[0]), int(y1) + 1, round((x1 + x2) / 2):round(x2) - 3]
        assert np.abs(np.median(upper_side, axis=0) - color).max() <= 4


def test_track_replaces_nothing_unless_told_and_its_own_source_never(capsys, tmp_path):
    source = save_pages(tmp_path / "tracks.gif")
    for told in ([], ["--overwrite"]):
        assert "tracks.gif: is what is read" in error_line(capsys, "track", source, "--out", tmp_path, *told)
    assert run(capsys, "track", source, "--out", tmp_path / "out")[0] == 0
    line = error_line(capsys, "track", source, "--out", tmp_path / "out")
    assert "tracks.gif: is there already (and 1 other file)" in line and "--overwrite" in line
    assert run(capsys, "track", source, "--out", tmp_path / "out", "--overwrite")[0] == 0


def test_track_draws_shapes_and_counts_identity_switches(capsys, tmp_path):
    words = ["track", "shapes", "--frames", 4, "--objects", 2, "--seed", 5]
    code, out, errors = run(capsys, *words, "--out", tmp_path)
    assert code == 0 and "no identity switch; of 8 objects in all frames" in out, (out, errors)
    assert any(line.startswith("following: 4 of 4") for line in errors)
    assert run(capsys, *words[:4], "--objects", 0, "--out", tmp_path / "none")[0] == 0
    assert table_of(tmp_path / "none") == [] and len(film_of(tmp_path / "none" / "tracks.gif")) > 0


def test_track_keeps_what_is_done_when_it_is_interrupted(capsys, tmp_path, frames, monkeypatch):
    predict, calls = MaskRCNN.predict, []

    def until_the_second(model, *arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return predict(model, *arguments, **options)

    monkeypatch.setattr(MaskRCNN, "predict", until_the_second)
    code, out, errors = run(capsys, "track", frames, "--out", tmp_path / "out")
    assert code == 130 and "2 tracks in 4 frames" in out and "interrupted" in errors[-1]
    assert len(film_of(tmp_path / "out" / "tracks.gif")) == 4 and {row[0] for row in table_of(tmp_path / "out")} == {
        "0", "1", "2", "3"}


def test_an_interruption_while_a_film_is_drawn_leaves_the_frames_that_are_drawn(capsys, tmp_path, frames, monkeypatch,
                                                                                heeds_interrupts):
    def interrupted(image, tracks):
        if len(drawn) == 2:
            signal.raise_signal(signal.SIGINT)
        drawn.append(tracks)
        return film_frame(image, tracks)

    drawn = []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tracks.gif").write_bytes(b"old")
    monkeypatch.setattr("npmaskrcnn.plots.film.film_frame", interrupted)
    code, out, errors = run(capsys, "track", frames, "--out", tmp_path / "out", "--overwrite")
    assert code == 130 and "interrupted" in errors[-1] and "tracks.gif (its first 3 frames) and" in out
    assert len(film_of(tmp_path / "out" / "tracks.gif")) == 3 and len(table_of(tmp_path / "out")) == 10


def test_track_says_what_is_wrong_with_a_film_before_it_begins(capsys, tmp_path, frames):
    words = ["--out", tmp_path / "out"]
    (tmp_path / "empty").mkdir()
    assert "empty: holds no picture" in error_line(capsys, "track", tmp_path / "empty", *words)
    gif = save_pages(tmp_path / "film.gif")
    gif.write_bytes(gif.read_bytes()[:-3000])
    line = error_line(capsys, "track", gif, *words)
    assert "film.gif: " in line and "damaged or incomplete" in line
    Image.new("RGB", (111, 80)).save(frames / "f7.png")
    assert ("frame 2 has 111 x 80 pixels, those before 112 x 80; all frames of a film must have one size"
            in error_line(capsys, "track", frames, *words))
    (frames / "f7.png").write_bytes(PICTURE.read_bytes()[:200])
    assert "f7.png: is damaged" in error_line(capsys, "track", frames, *words)
    assert not (tmp_path / "out").exists()


# ---- clinic ----

def test_clinic_lists_its_patients_with_their_complaints(capsys):
    code, out, _ = run(capsys, "clinic")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(PATIENTS)
    assert all(case.complaint in out and case.diagnosis not in out for case in PATIENTS.values())


def test_clinic_shows_a_patient_and_tells_the_diagnosis_only_when_asked(capsys, tmp_path, monkeypatch):
    code, out, _ = run(capsys, "clinic", "emma", "--hints", 2, "--out", tmp_path / "new")
    assert code == 0
    assert PATIENTS["emma"].complaint in out and "hint 2 of 4" in out and "hint 3" not in out
    assert PATIENTS["emma"].diagnosis not in out
    with Image.open(tmp_path / "new" / "emma.png") as picture:
        assert picture.size == (1100, 960)
    assert "shipped.trained_tiny().trace(image, target, 0)" in out
    monkeypatch.setattr("npmaskrcnn.plots.case_sheet", lambda *_: Figure())     # one is enough
    assert "trained_tiny" not in run(capsys, "clinic", "clara", "--hints", 1, "--out", tmp_path)[1]     # shows nothing
    code, out, _ = run(capsys, "clinic", "emma", "--diagnosis", "--out", tmp_path)
    assert code == 0 and PATIENTS["emma"].diagnosis in out and PATIENTS["emma"].cure in out


def test_clinic_refuses_unknown_patients_and_impossible_numbers(capsys, tmp_path):
    assert "'ana' is no patient of the clinic; the nearest is 'anna'" in error_line(capsys, "clinic", "ana")
    assert "--hints" in error_line(capsys, "clinic", "anna", "--hints", -1, "--out", tmp_path)
