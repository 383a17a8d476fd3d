"""The script that measures what parts are worth: it goes on where it was stopped, and its table says what is stored."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from npmaskrcnn import InputError, load, shipped
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.variants import VARIANTS, maskrcnn_variant
from tests.scripts import script

parts = script("notebooks/scripts/parts.py")


def run(folder, *arguments):
    return parts.main(["--steps", "2", "--test-images", "2", "--results", str(folder / "results"),
                       "--out", str(folder / "weights"), *arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of two steps."""
    folder = tmp_path_factory.mktemp("parts")
    assert run(folder, "--only", "no_top_down", "no_masks", "--seeds", "0") == 0
    return folder


@pytest.fixture
def results(made, tmp_path):
    """Their results and weights, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def names(folder):
    return sorted(path.name for path in (folder / "results").iterdir())


def test_the_plan_has_three_seeds_for_what_matters_most_and_a_baseline_on_each_task():
    runs = parts.planned()
    assert len(runs) == len(set(runs)) == 52 and {name for name, *_ in runs} == set(VARIANTS)
    seeds = {(name, task): [s for n, t, s in runs if (n, t) == (name, task)] for name, task, _ in runs}
    assert all(seeds[name, VARIANTS[name].task] == [0, 1, 2] for name in parts.THREE_SEEDS)
    assert seeds["baseline", "rings"] == [0, 1, 2] and seeds["half_pixel", "shapes"] == [0]
    assert [seed for _, _, seed in runs] == sorted(seed for _, _, seed in runs)
    assert sorted(parts.planned(seeds=[0]) + parts.planned(seeds=[1, 2])) == sorted(runs)       # two halves
    assert parts.planned(["half_pixel"], [5, 7]) == [("half_pixel", "shapes", 5), ("half_pixel", "shapes", 7)]


def test_each_run_leaves_a_file_that_says_how_it_was_made(made):
    assert names(made) == ["no_masks-shapes-0.json", "no_top_down-rings-0.json"]
    one = json.loads((made / "results" / "no_top_down-rings-0.json").read_text())
    assert one["settings"] == {"steps": 2, "test_images": 2} and one["seed"] == 0 and one["seconds"]["training"] > 0
    assert one["command"] == "python notebooks/scripts/parts.py --only no_top_down --seeds 0 --steps 2"
    assert set(one["versions"]) == {"npmaskrcnn", "numpy", "scipy", "python"}
    assert set(one["losses"]) == set(LOSS_NAMES) and list(one["mask"]) == ["AP", "AP50", "AP75", "AP90"]
    without = json.loads((made / "results" / "no_masks-shapes-0.json").read_text())
    assert "box" in without and "mask" not in without


def test_the_weights_of_what_is_shipped_are_kept_and_load(made):
    assert [path.name for path in (made / "weights").iterdir()] == ["no_top_down.npz"]
    assert load(made / "weights" / "no_top_down.npz").class_names == ["background", "in", "out"]


def test_what_is_there_is_not_made_again_and_what_is_not_is(results, monkeypatch, capsys):
    asked = []

    def instead(run, settings):
        asked.append(run)
        return maskrcnn_variant(run[0]), {"name": run[0], "settings": settings}

    monkeypatch.setattr(parts, "train_and_measure", instead)
    assert run(results, "--only", "no_top_down", "no_masks", "half_pixel", "--seeds", "0", "1") == 0
    assert asked == [("half_pixel", "shapes", 0), ("no_top_down", "rings", 1), ("no_masks", "shapes", 1),
                     ("half_pixel", "shapes", 1)]
    assert "2 of 6 runs are in" in capsys.readouterr().out
    assert run(results, "--only", "no_top_down", "no_masks", "half_pixel", "--seeds", "0", "1") == 0
    assert len(asked) == 4


def test_ctrl_c_loses_the_run_that_was_not_finished_only(results, monkeypatch, capsys):
    def stopped(run, settings):
        if run[2] == 2:
            raise KeyboardInterrupt
        return maskrcnn_variant(run[0]), {"settings": settings}

    monkeypatch.setattr(parts, "train_and_measure", stopped)
    assert run(results, "--only", "half_pixel", "--seeds", "1", "2", "3") == 130
    assert names(results) == ["half_pixel-shapes-1.json", "no_masks-shapes-0.json", "no_top_down-rings-0.json"]
    assert "the same command goes on" in capsys.readouterr().err


def test_a_training_that_diverges_is_a_result_as_well(results, monkeypatch, capsys):
    class Diverged(parts.TrainingDiverged):
        __init__ = ArithmeticError.__init__

    def diverges(*arguments, **options):
        raise Diverged("loss_mask is nan in step 1")

    monkeypatch.setattr(parts, "train", diverges)
    assert run(results, "--only", "half_pixel") == 0
    assert "nan" in json.loads((results / "results" / "half_pixel-shapes-0.json").read_text())["diverged"]
    assert run(results, "--table", str(results / "table")) == 0
    assert "aligned=True); diverged, 1 of 1 | - |" in (results / "table" / "parts.md").read_text()


@pytest.mark.parametrize("arguments, message", [
    (["--only", "roipool"], "'roipool' is no variant of the tiny model; the nearest is 'roi_pool'"),
    (["--only", "no_masks", "--steps", "3"], "is of a run with {'steps': 2, 'test_images': 2}, and {'steps': 3, "
                                             "'test_images': 2} are wanted; choose another folder with --results"),
    (["--seeds", "-1"], "--seeds must be a whole number of at least 0, got -1"),
    (["--steps", "0"], "--steps must be a whole number of at least 1, got 0"),
    (["--results", "nothing-here", "--table", "t"], "nothing-here: holds no result")])
def test_what_cannot_be_is_refused_in_a_line(made, capsys, arguments, message):
    assert run(made, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_losses_count_as_the_variant_says_and_only_those_that_there_are():
    weights = {name: parts.loss_weights(name, maskrcnn_variant(name)) for name in ("baseline", "mask_x4", "no_masks")}
    assert weights["baseline"] == {**dict.fromkeys(LOSS_NAMES, 1.0), "loss_mask": 2.0}
    assert weights["mask_x4"]["loss_mask"] == 8.0 and "loss_mask" not in weights["no_masks"]


def made_up(folder, name, task, seed, box, mask):
    folder.mkdir(exist_ok=True)
    result = {"settings": {"steps": 600, "test_images": 200}, "seconds": {"training": 100.0, "evaluation": 20.0}}
    for kind, value in (("box", box), ("mask", mask)):
        result[kind] = {"AP": value, "AP50": value, "AP75": value + 0.1, "AP90": value - 0.3}
    parts.result_file(folder, name, task, seed).write_text(json.dumps(result))


def test_the_table_has_means_ranges_and_differences_and_the_word_once(tmp_path, capsys):
    for seed, mask in enumerate((0.70, 0.71, 0.75)):
        made_up(tmp_path / "r", "baseline", "shapes", seed, 0.8, mask)
        made_up(tmp_path / "r", "softmax", "shapes", seed, 0.8, mask - 0.05)
    made_up(tmp_path / "r", "half_pixel", "shapes", 0, 0.81, 0.72)
    made_up(tmp_path / "r", "no_top_down", "rings", 0, 0.5, 0.4)
    assert parts.main(["--results", str(tmp_path / "r"), "--table", str(tmp_path / "t")]) == 0
    written = (tmp_path / "t" / "parts.md").read_text()
    rows = {line.split(" | ")[0].strip("| `"): line.strip("| ").split(" | ") for line in written.splitlines()
            if line.startswith("| `")}
    assert list(rows) == ["baseline", "half_pixel", "softmax", "no_top_down"]
    assert rows["softmax"][4] == ".670 (.650 to .700)" and rows["softmax"][7:10] == ["+.000", "-.050", "mask -5.5"]
    assert rows["half_pixel"][3] == ".810 once" and rows["half_pixel"][8] == "+.000" and rows["half_pixel"][10] == "2.0"
    assert rows["no_top_down"][7:9] == ["-", "-"]               # there is no baseline on rings
    assert "600 steps of four images" in written and "Table 2b" in written and "Table 2c" not in written
    assert (tmp_path / "t" / "parts.png").stat().st_size > 5000 and "| `softmax` |" in capsys.readouterr().out


# ---- what is shipped ----

def test_shipped_weights_take_less_than_two_megabytes_and_predict_as_the_trained_ones_do(made, tmp_path, monkeypatch):
    ship = script("data/make_variants.py", monkeypatch).ship
    sys.modules.pop("make_tiny", None)
    trained = made / "weights" / "no_top_down.npz"
    ship(trained, tmp_path / "variant-no_top_down.npz", 9, "float16")
    assert (tmp_path / "variant-no_top_down.npz").stat().st_size < 2_000_000
    monkeypatch.setattr(shipped, "data_file", lambda name: tmp_path / name)
    model, original = shipped.trained_variant("no_top_down"), load(trained)     # without a warning of the cast
    assert not model.untrained and model.dtype == np.float32
    assert type(model.backbone.fpn).__name__ == "PyramidWithoutTopDown"
    shipped_state = model.state_dict()
    for key, value in original.state_dict().items():
        np.testing.assert_allclose(shipped_state[key], value, rtol=2 ** -8, atol=1e-7)


def test_a_variant_that_is_not_shipped_is_refused():
    with pytest.raises(InputError, match=re.escape("'softmaxx' is no variant with trained weights; the nearest is "
                                                   "'softmax'; there are roi_pool, unaligned, softmax, no_top_down")):
        shipped.trained_variant("softmaxx")
