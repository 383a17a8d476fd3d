"""The commands with a model that has no mask branch: boxes are drawn, measured and learned, and masks never spoken of.

The model is the trained tiny one without its mask branch, so that it finds something.
"""

import json

import pytest

from npmaskrcnn import cli, fasterrcnn_tiny, load, save
from npmaskrcnn.datasets import ShapesDataset, write_coco
from npmaskrcnn.images import read_image
from npmaskrcnn.shipped import data_file, trained_tiny

SAMPLE = data_file("shapes/instances.json")
PICTURE = data_file("shapes/000000.png")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The file of the model."""
    trained, model = trained_tiny(), fasterrcnn_tiny()
    model.config = trained.config
    model.architecture["config"].update(trained.config.as_dict())
    model.load_state_dict({key: value for key, value in trained.state_dict().items() if ".mask_" not in key})
    model.class_names = trained.class_names
    path = tmp_path_factory.mktemp("weights") / "boxes.npz"
    save(model, path)
    return path


@pytest.fixture(scope="module")
def without_segmentation(tmp_path_factory):
    """Annotations that are boxes and nothing else, of pictures that are neither square nor equal."""
    path = write_coco(ShapesDataset(4, image_size=((64, 90), (96, 110)), seed=3), tmp_path_factory.mktemp("boxes"))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"] = [{key: entry[key] for key in ("id", "image_id", "category_id", "bbox")}
                              for entry in content["annotations"]]
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def no_curves(monkeypatch):
    monkeypatch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: None)


def run(capsys, *arguments):
    """Run a command in this process; return its exit code, output and error lines."""
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def test_detect_draws_boxes_and_writes_no_masks(capsys, tmp_path, weights):
    code, out, errors = run(capsys, "detect", PICTURE, "--weights", weights, "--out", tmp_path)
    assert code == 0 and "wrote overlays of 1 of 1 image" in out, errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000-detections.png", "detections.json"]
    entries = json.loads((tmp_path / "detections.json").read_text(encoding="utf-8"))
    whole = trained_tiny().predict(read_image(PICTURE), 0.5)
    assert len(entries) == len(whole) > 0 and not any("segmentation" in entry for entry in entries)


def test_a_label_map_that_is_not_written_is_not_in_the_way(capsys, tmp_path, weights):
    (tmp_path / "000000-labels.png").write_text("mine")
    assert run(capsys, "detect", PICTURE, "--weights", weights, "--out", tmp_path)[0] == 0
    assert (tmp_path / "000000-labels.png").read_text() == "mine"


def test_evaluate_measures_boxes_alone_on_annotations_that_are_boxes(capsys, tmp_path, weights, without_segmentation):
    where = ["--annotations", without_segmentation, "--images", without_segmentation.parent]
    code, out, errors = run(capsys, "evaluate", "--weights", weights, *where, "--out", tmp_path)
    assert code == 0 and "mask " not in out, errors
    assert [path.name for path in tmp_path.iterdir()] == ["precision-recall-boxes.png"]
    code, _, errors = run(capsys, "evaluate", *where)       # a model that has masks
    assert code == 2 and "has no segmentation" in errors[0] and "--boxes-only" in errors[0]


def test_demo_shows_what_there_is(capsys, tmp_path, weights, monkeypatch):
    monkeypatch.setattr("npmaskrcnn.commands.demo.SCORED_IMAGES", 3)
    monkeypatch.setattr("npmaskrcnn.commands.demo.GALLERY_IMAGES", 2)
    code, out, errors = run(capsys, "demo", "--weights", weights, "--seed", 3, "--out", tmp_path)
    assert code == 0 and "boxes  AP" in out and "masks" not in out, errors


def test_export_says_what_it_is(capsys, tmp_path, weights):
    code, out, _ = run(capsys, "export", weights, tmp_path / "m.safetensors")
    assert code == 0 and "fasterrcnn_tiny, 4 classes" in out


@pytest.mark.parametrize("model, builder", [([], "fasterrcnn_tiny"),
                                            (["--model", "resnet18", "--optimizer", "sgd"], "fasterrcnn_resnet_fpn")])
def test_train_learns_boxes_from_annotations_that_are_boxes(capsys, tmp_path, without_segmentation, no_curves, model,
                                                            builder):
    where = ["--annotations", without_segmentation, "--images", without_segmentation.parent]
    common = ["train", "coco", *where, "--steps", 1, "--batch-size", 1, "--out", tmp_path]
    code, _, errors = run(capsys, *common)
    assert code == 2 and "--boxes-only" in errors[0]
    code, out, errors = run(capsys, *common, "--boxes-only", *model, "--min-size", 48)
    assert code == 0 and "mask " not in out, errors
    trained = load(tmp_path / "model.npz")
    assert trained.architecture["builder"] == builder and trained.config.min_size == 48


def test_a_file_without_a_mask_branch_trains_on_boxes_without_being_told(capsys, tmp_path, weights,
                                                                         without_segmentation, no_curves):
    where = ["--annotations", without_segmentation, "--images", without_segmentation.parent]
    common = ["train", "coco", *where, "--val-annotations", where[1], "--val-images", where[3], "--batch-size", 1]
    code, out, errors = run(capsys, *common, "--weights", weights, "--new-heads", "--steps", 1, "--out", tmp_path)
    assert code == 0 and "box AP" in out and "mask " not in out, errors
    code, out, errors = run(capsys, *common, "--resume", tmp_path / "checkpoint.npz", "--steps", 2, "--out", tmp_path)
    assert code == 0 and "after step 1" in out, errors
    code, _, errors = run(capsys, *common, "--weights", weights, "--mask-weight", 1, "--out", tmp_path / "new")
    assert code == 2 and "the model has no mask branch" in errors[-1] and not (tmp_path / "new").exists()


def test_overfit_judges_boxes_alone(capsys):
    code, out, _ = run(capsys, "overfit", "--boxes-only", "--steps", 2)
    assert code == 1 and "FAILED: every object should have box IoU above 0.9" in out and "mask" not in out
