"""The script that measures three kinds of model: its situations and errors on hand-made scenes, and its results."""

import numpy as np
import pytest

from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.datasets.shapes import Scene
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.structures import Detections, Target, mask_extents
from tests.scripts import script

others = script("notebooks/scripts/others.py")


class Drawn:
    """A dataset of one image, 60 x 90, whose objects are rectangles (x1, y1, x2, y2), back to front."""

    class_names = ["background", "a", "b"]

    def __init__(self, boxes, labels):
        layers = np.zeros((len(boxes), 60, 90), bool)
        for layer, (x1, y1, x2, y2) in zip(layers, boxes):
            layer[y1:y2, x1:x2] = True
        masks = np.stack([layer & ~layers[i + 1:].any(axis=0) for i, layer in enumerate(layers)])
        self.drawn = Scene(None, None, np.array(labels), layers, masks)

    def __len__(self):
        return 1

    def scene(self, _index):
        return self.drawn

    def target(self, _index):
        return Target(mask_extents(self.drawn.masks), self.drawn.labels, self.drawn.masks)


def answer(boxes, labels):
    masks = np.zeros((len(boxes), 60, 90), np.float32)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = 1
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64),
                      np.full(len(boxes), 0.9, np.float32), masks)


def test_situations_are_what_the_first_lines_say():
    scene = Drawn([(0, 0, 30, 30), (30, 0, 60, 30), (50, 10, 85, 40), (5, 40, 25, 55)], [1, 1, 2, 2])
    found = others.situations(scene, 0)
    assert found["apart"].tolist() == [True, False, False, True]        # edge to edge, boxes share no area
    assert found["touching"].tolist() == [True, True, True, False]
    assert found["touching its kind"].tolist() == [True, True, False, False]
    assert found["small"].tolist() == [False, False, False, True]
    assert found["occluded"].tolist() == [False] * 4                # of the second 700 of 900 pixels are seen
    hidden = Drawn([(0, 0, 30, 30), (20, 0, 40, 30)], [1, 2])
    assert others.situations(hidden, 0)["occluded"].tolist() == [True, False]
    nothing = others.situations(ShapesDataset(1, max_objects=0, min_objects=0), 0)
    assert all(len(flags) == 0 for flags in nothing.values())


def test_each_kind_of_error_is_told():
    scene = Drawn([(0, 0, 30, 30), (30, 0, 60, 30), (0, 35, 40, 55), (70, 0, 90, 20)], [1, 1, 2, 2])
    named = lambda counts: {kind: number for kind, number in counts.items() if number}
    assert named(others.errors(scene, [answer([(0, 0, 30, 30), (32, 0, 60, 30)], [1, 2])])) == {
        "found": 1, "wrong class": 1, "missed": 2}
    assert named(others.errors(scene, [answer([(0, 0, 60, 29)], [1])])) == {"merged": 2, "missed": 2}
    assert named(others.errors(scene, [answer([(0, 35, 18, 55), (22, 35, 40, 55), (61, 35, 89, 55)], [2, 2, 2])])) == {
        "divided": 1, "missed": 3, "nothing there": 1}
    assert named(others.errors(scene, [answer([(70, 0, 76, 20)], [2])])) == {"outline": 1, "missed": 3}
    assert named(others.errors(scene, [answer([], [])])) == {"missed": 4}


def test_the_objects_of_other_situations_count_neither_way():
    scene = Drawn([(0, 0, 30, 30), (40, 0, 70, 30)], [1, 1])
    view = others.View(scene, [0], [np.array([True, False])])
    both, first, second = (answer(boxes, [1] * len(boxes)) for boxes in (
        [(0, 0, 30, 30), (40, 0, 70, 30)], [(0, 0, 30, 30)], [(40, 0, 70, 30)]))
    with pytest.warns(match="no ground truth for b"):
        ap = [evaluate(view, [found]).segm.AP for found in (both, first, second)]
    assert ap == [1, 1, 0]


def test_the_apart_set_has_several_objects_and_none_that_touch():
    apart = others.test_sets(3)["apart"]
    assert len(apart) == 3 and all(len(apart.target(i)) > 1 for i in range(3))
    assert not any(others.situations(apart.dataset, row)["touching"].any() for row in apart.rows)


def test_a_run_is_stored_taken_up_and_shown(tmp_path, capsys):
    run = ["--steps", "2", "--test-images", "3", "--seeds", "0", "--only", "semantic", "--results", str(tmp_path)]
    with pytest.warns(match="no ground truth"):
        assert others.main(run) == 0
    assert others.main(run) == 0 and "1 of 1 runs are in" in capsys.readouterr().out
    assert others.main([*run, "--steps", "3"]) == 2 and "choose another" in capsys.readouterr().err
    assert others.main(["--results", str(tmp_path), "--table", str(tmp_path)]) == 0
    assert "| semantic |" in capsys.readouterr().out and (tmp_path / "others.png").exists()
    assert others.main(["--only", "semantics"]) == 2 and "nearest is 'semantic'" in capsys.readouterr().err
