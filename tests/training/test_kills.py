"""Trainings that are killed without a warning, in processes of their own, and taken up in this one.

benchmarks/kill_trainings.py has sixty, taken up in processes of their own as well.
"""

from pathlib import Path

import pytest

from npmaskrcnn import cli
from npmaskrcnn.fast import threads

WITHOUT_CURVES = """
import sys
from npmaskrcnn import cli
from npmaskrcnn.training import trainer
trainer.draw_curves = lambda trainer: None      # they take longer than all the rest
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def kills():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        import kill_trainings
        patch.setattr(kill_trainings, "PROGRAM", ("-c", WITHOUT_CURVES))
        patch.setattr(kill_trainings, "STEPS", 3)
        patch.setattr(kill_trainings, "EVAL_EVERY", 3)
        patch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: None)
        yield kill_trainings


@pytest.fixture(scope="module")
def finish(kills):
    """A function that begins a training, or takes it up, and ends it."""
    def finish(folder, out):
        checkpoint = out / "checkpoint.npz"
        words = kills.command(folder, out, checkpoint if checkpoint.exists() else None)
        assert cli.main(words[words.index("--threads"):]) == 0

    before = threads._product_threads.get()
    yield finish
    threads.limit_threads(before)


@pytest.fixture(scope="module")
def folder(kills, finish, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    kills.make_data(folder)
    finish(folder, folder / "whole")
    return folder


# As soon as they are there: while loading; between two checkpoints; when all steps are done, and nothing is measured.
@pytest.mark.parametrize("name", [".lock", "log.csv", "model.npz"])
def test_a_training_that_was_killed_ends_with_the_model_of_one_that_was_not(kills, finish, folder, name):
    out = folder / f"killed-{name}"
    assert kills.kill(kills.start(folder, out), (out / name).exists)
    finish(folder, out)
    assert kills.differences(folder / "whole", out) == []
    assert not list(out.glob("*.tmp"))
