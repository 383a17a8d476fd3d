"""The benchmarks: what they say without torch, whose package a side runs, and where the stopwatch is put."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

import npmaskrcnn

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize("script", ["bench_tiny.py", "bench_resnet50.py", "bench_ops.py", "check_torchvision_page.py"])
def test_without_torch_a_benchmark_says_what_to_install(tmp_path, script):
    (tmp_path / "torch.py").write_text("raise ImportError(\"No module named 'torch'\")")
    result = subprocess.run([sys.executable, str(BENCHMARKS / script)], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(BENCHMARKS.parent)])})
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert "pip install torch torchvision" in result.stderr


@pytest.mark.parametrize("name", ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"])
def test_where_a_variable_chooses_the_kernel_a_benchmark_warns(monkeypatch, capsys, name):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import machine
    monkeypatch.setattr(machine, "PRODUCT", (8, 8, 8))
    for setting in machine.SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    machine.print_machine()
    usual = capsys.readouterr().out
    assert "matrix products: " in usual and "GFLOP/s" in usual and "!!" not in usual
    monkeypatch.setenv(name, "Sandybridge")
    machine.print_machine()
    assert f"!!  {name}=Sandybridge is set" in capsys.readouterr().out


def test_every_comparison_says_first_what_machine_it_runs_on():
    for script in ("tiny", "resnet50", "ops", "scaling", "revisions", "explorer"):
        assert "    machine.print_machine()\n" in (BENCHMARKS / f"bench_{script}.py").read_text()


def test_without_a_browser_the_explorer_is_not_measured_and_one_line_says_why(tmp_path):
    result = subprocess.run([sys.executable, str(BENCHMARKS / "bench_explorer.py")], capture_output=True, text=True,
                            env={**os.environ, "PATH": str(tmp_path)})
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == "nothing is measured: there are no chromium and chromedriver on the path\n"


def test_two_revisions_are_compared_only_where_there_are_two(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "bench_revisions.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "there is no npmaskrcnn/" in result.stderr


def test_a_side_runs_the_checkout_that_it_is_given(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import sides
    package = tmp_path / "npmaskrcnn"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the other one')")
    with pytest.raises(SystemExit, match="the process of ours ended"):
        sides.Side("ours", "no.npz", "no.npz", 1, tmp_path)


class FakeSide:
    """A side whose runs all take as long as it is told, and which notes when it was asked."""

    def __init__(self, name, seconds, asked):
        self.name, self.seconds, self.asked = name, seconds, asked

    def tell(self, times, **_):
        self.asked.append(self.name)
        return [[self.seconds, 2 * self.seconds]] * times


def test_any_number_of_sides_take_turns_and_none_is_always_first(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import sides
    monkeypatch.setattr(sides, "PAUSE", 0)
    asked = []
    times = sides.take_turns([FakeSide(name, seconds, asked) for name, seconds in zip("ABC", (1, 2, 4))], "predict", 3)
    assert "".join(asked) == "ABC" + "ABC" + "CBA" + "ABC"
    assert [time.seconds.median for time in times] == [1, 2, 4] and times[2].cpu_seconds == (8, 8, 8)
    assert [time.ratio for time in times] == [(1, 1, 1), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)]
    sides.print_times(times, "ABC", per=2)
    assert "C  2000.0 (2000.0 to 2000.0) ms   ratio 0.25 (0.25 to 0.25), of" in capsys.readouterr().out


def test_what_sides_find_is_compared_in_any_order_and_another_number_is_other_work(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rivals
    one = {"boxes": [[0, 0, 5, 5], [2, 2, 9, 9.5]], "labels": [1, 2], "mask_means": [0.25, 0.5]}
    turned = {"boxes": [[2, 2, 9, 9], [0, 0, 5, 5]], "labels": [2, 1], "mask_means": [0.5, 0.125]}
    nothing = {"boxes": [], "labels": []}
    assert rivals.distances(one, turned) == (0.5, 0.125)
    assert rivals.distances(nothing, nothing) == (0, 0)
    assert rivals.distances(one, nothing)[0] > rivals.TOLERANCE
    assert rivals.distances(one, {**one, "labels": [1, 1]})[0] > rivals.TOLERANCE


def test_a_program_that_is_not_installed_is_left_out_with_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rivals
    monkeypatch.setattr(rivals.importlib.util, "find_spec", lambda name: None if name == "openvino" else name)
    contest = rivals.contest(rivals.options("", 5, 1).parse_args([]), tmp_path, "w.npz", "s.npz")
    assert contest.partakers("predict") == ["ours", "torchvision", "onnxruntime"]
    assert contest.partakers("train") == ["ours", "torchvision"]
    assert capsys.readouterr().out == "without OpenVINO, which is not installed: pip install openvino onnx\n"


def test_the_stage_clock_knows_every_stage_of_a_step_and_a_prediction(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scenes
    import sides
    with sides.Side("ours", *scenes.tiny(tmp_path, batch_size=1), threads=1) as side:
        seen = {task: side.tell(do="stages", task=task, times=1, cpu_time=False) for task in ("train", "predict")}
    both = {"transform", "body", "fpn", "rpn head", "anchors", "proposals", "nms", "box pooler", "box head",
            "mask pooler", "mask head", "input checks"}
    own = {"train": {"iou (matching)", "matching", "sampling", "rpn targets", "roi targets", "mask targets", "losses",
                     "optimizer"}, "predict": {"detections", "paste", "roi targets"}}
    for task, answer in seen.items():
        assert {stage for stage, *_ in answer["stages"]} == both | own[task]
        assert sum(seconds for _, _, seconds, _ in answer["stages"]) > 0.8 * answer["total"]


def test_options_that_cannot_be_are_refused_before_anything_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rivals
    import scenes
    import sides
    for judge, text in [(sides.positive, "0"), (sides.num_threads, "1000000"), (sides.image_side, "1000000"),
                        (sides.between(1, 200, float), "nan"), (sides.picture, str(tmp_path)),
                        (sides.picture, str(tmp_path / "none" / "x.png")), (sides.picture, str(tmp_path / "x.xyz"))]:
        with pytest.raises(argparse.ArgumentTypeError, match="expected"):
            judge(text)
    assert sides.picture(str(tmp_path / "x.png")) and sides.num_threads("2") == 2
    parser = rivals.options("", 5, 1)
    with pytest.raises(SystemExit):
        rivals.possible(parser, parser.parse_args(["--without-pasting"]), ["train"])
    assert "leave --without-pasting out" in capsys.readouterr().err
    npmaskrcnn.save(npmaskrcnn.fasterrcnn_tiny(), tmp_path / "boxes.npz")
    with pytest.raises(npmaskrcnn.InputError, match="is a fasterrcnn_tiny; expected a maskrcnn_tiny"):
        scenes.tiny(tmp_path, weights=tmp_path / "boxes.npz")


def test_a_revision_that_cannot_read_the_weights_is_noticed(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_revisions
    weights = npmaskrcnn.shipped.data_file("tiny.npz")
    assert bench_revisions.can_read(BENCHMARKS.parent, weights)
    (tmp_path / "npmaskrcnn").mkdir()
    (tmp_path / "npmaskrcnn" / "__init__.py").write_text("def load(path): raise ValueError")
    assert not bench_revisions.can_read(tmp_path, weights)
