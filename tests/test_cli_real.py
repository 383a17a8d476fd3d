"""The way of real pictures through the commands: convert a folder of masks, measure classical methods, train.

The folders have the layout of the public set of nuclei; what is in them is drawn.
"""

import json

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn import cli, load, rle
from npmaskrcnn.datasets import CellsDataset, CocoDataset, ShapesDataset, write_coco
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.shipped import data_file, trained_tiny
from npmaskrcnn.training.validation import predict_dataset
from tests.mask_files import write_mask_folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage1_train")
    write_mask_folders(CellsDataset(7, (64, 80), seed=5, min_objects=3, max_objects=9), folder)
    return folder


@pytest.fixture
def no_curves(monkeypatch):
    monkeypatch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: None)


def run(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def test_what_convert_writes_can_be_measured_and_trained_on(capsys, tmp_path, folders, no_curves):
    code, out, errors = run(capsys, "convert", folders, "--class-name", "nucleus", "--val-every", 3, "--out", tmp_path)
    assert code == 0 and "train: 5 pictures with " in out and "val: 2 pictures with " in out, errors
    val = CocoDataset(tmp_path / "val" / "instances.json", tmp_path / "val")
    assert val.class_names == ["background", "nucleus"] and val.num_objects > 4

    where = ["--annotations", tmp_path / "val" / "instances.json", "--images", tmp_path / "val"]
    tables = []
    for method in ("otsu", "watershed"):
        code, out, errors = run(capsys, "evaluate", *where, "--method", method)
        assert code == 0 and "nucleus" in out, errors
        tables.append(out)
    assert tables[0] != tables[1]

    code, _, errors = run(capsys, "train", "coco", "--annotations", tmp_path / "train" / "instances.json", "--images",
                          tmp_path / "train", "--weights", data_file("tiny.npz"), "--new-heads", "--min-size", 64,
                          "--steps", 1, "--batch-size", 2, "--out", tmp_path / "run")
    assert code == 0 and load(tmp_path / "run" / "model.npz").class_names == ["background", "nucleus"], errors

    code, _, errors = run(capsys, "convert", folders, "--out", tmp_path)
    assert code == 2 and "is there already (and 7 other files)" in errors[0] and "--overwrite" in errors[0]
    assert run(capsys, "convert", folders, "--val-every", 3, "--out", tmp_path, "--overwrite")[0] == 0


def test_convert_writes_both_parts_or_none(capsys, tmp_path):
    write_mask_folders(CellsDataset(2, (64, 80), seed=5), tmp_path / "in")
    mask = tmp_path / "in" / "c000" / "masks" / "000.png"       # of the last picture, which is in val
    whole = mask.read_bytes()
    mask.write_bytes(whole[:50])
    words = ["convert", tmp_path / "in", "--val-every", 2, "--out", tmp_path / "out"]
    code, _, errors = run(capsys, *words)
    assert code == 2 and "000.png" in errors[-1]
    assert not list((tmp_path / "out").iterdir())
    mask.write_bytes(whole)
    code, out, _ = run(capsys, *words)
    assert code == 0 and f" objects, {tmp_path / 'out' / 'val' / 'instances.json'}" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["train", "val"]


def test_mistakes_of_convert_are_one_line(capsys, tmp_path, folders):
    for arguments, says in (([tmp_path / "gone"], "gone: is no folder"), ([folders, "--val-every", 1], "--val-every"),
                            ([folders, "--val-every", 9], "has 7 pictures, and --val-every 9 needs as many"),
                            ([folders, "--class-name", "background"], "--class-name must be a name in one line"),
                            ([folders, "--class-name", "two\nlines"], "--class-name must be a name in one line"),
                            ([folders, "--only-size", 3, 4], "no picture of 4 x 3"),
                            ([folders, "--min-area", 0], "--min-area")):
        code, _, errors = run(capsys, "convert", *arguments, "--out", tmp_path / "out")
        assert code == 2 and len(errors) == 1 and says in errors[0], errors
    assert not (tmp_path / "out").exists()


def test_convert_reads_masks_of_0_and_1_and_warns_once_if_no_object_is_left(capsys, tmp_path):
    cells = CellsDataset(2, (64, 80), seed=5)
    write_mask_folders(cells, tmp_path / "in", white=np.uint16(1))
    words = ["convert", tmp_path / "in", "--val-every", 2, "--out", tmp_path / "out"]
    code, out, errors = run(capsys, *words)
    assert code == 0 and f"train: 1 picture with {len(cells.target(1))} objects" in out
    assert not any("warning" in line for line in errors)
    code, out, errors = run(capsys, *words, "--min-area", 5000, "--overwrite")
    warnings = [line for line in errors if "warning" in line]
    assert code == 0 and "train: 1 picture with no object" in out
    assert len(warnings) == 1 and "all have fewer pixels than --min-area 5000" in warnings[0]


def test_a_higher_mask_threshold_makes_smaller_masks_in_every_command(capsys, tmp_path):
    dataset = ShapesDataset(2, (96, 112), seed=3)
    write_coco(dataset, tmp_path / "set")
    where = ["--annotations", tmp_path / "set" / "instances.json", "--images", tmp_path / "set"]
    areas, tables = [], []
    for threshold in ([], ["--mask-threshold", 0.5], ["--mask-threshold", 0.9]):
        out = tmp_path / f"out{len(areas)}"
        code, _, errors = run(capsys, "detect", tmp_path / "set" / "000000.png", "--out", out, *threshold)
        assert code == 0, errors
        with Image.open(out / "000000-labels.png") as labels:
            areas.append(np.count_nonzero(np.array(labels)))
        tables.append(run(capsys, "evaluate", *where, *threshold)[1])
        assert sum(rle.area(entry["segmentation"]) for entry in
                   json.loads((out / "detections.json").read_text(encoding="utf-8"))) >= areas[-1]
    assert areas[0] == areas[1] > areas[2] > 0 and tables[0] == tables[1] != tables[2]
    found = predict_dataset(trained_tiny(), dataset, lambda done: None, to_draw=True)
    assert tables[2].strip() == evaluate(dataset, found, mask_threshold=0.9).summary().strip()
    for command in (["detect", tmp_path / "set" / "000000.png", "--out", tmp_path], ["evaluate", *where]):
        code, _, errors = run(capsys, *command, "--mask-threshold", 1)
        assert code == 2 and "--mask-threshold" in errors[0]


def test_mistakes_of_methods_are_one_line(capsys, tmp_path):
    shapes = ["--annotations", data_file("shapes/instances.json"), "--images", data_file("shapes")]
    for arguments, says in ((["--method", "otsu"], "tells no classes apart: expected one, but the shapes have 3"),
                            ([*shapes, "--method", "otsu"], "instances.json has 3"),
                            ([*shapes, "--method", "otsu", "--weights", "a.npz"], "exclude each other"),
                            ([*shapes, "--method", "otsu", "--detections", "a.json"], "exclude each other"),
                            (["--method", "snakes"], "snakes")):
        code, _, errors = run(capsys, "evaluate", *arguments)
        assert code == 2 and says in errors[-1], errors


@pytest.mark.parametrize("method", ["otsu", "watershed"])
def test_a_method_is_measured_on_a_set_without_objects_but_not_without_pictures(capsys, tmp_path, method):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": "a.png", "width": 30, "height": 20}], "annotations": [],
        "categories": [{"id": 1, "name": "cell"}]}), encoding="utf-8")
    where = ["--annotations", tmp_path / "a.json", "--images", tmp_path]
    code, out, _ = run(capsys, "evaluate", *where, "--method", method)
    assert code == 0 and "undefined" in out
    content = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    (tmp_path / "a.json").write_text(json.dumps({**content, "images": []}), encoding="utf-8")
    code, _, errors = run(capsys, "evaluate", *where, "--method", method)
    assert code == 2 and len(errors) == 1 and "a.json: has no image" in errors[0]
