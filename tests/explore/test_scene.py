"""The stage: painted as the toy shapes are, with the truth of what can be seen, and nothing wrong gets on it."""

import json

import numpy as np
import pytest

from npmaskrcnn import InputError, ops
from npmaskrcnn.datasets import RingsDataset, ShapesDataset
from npmaskrcnn.datasets.rings import draw_ring
from npmaskrcnn.datasets.shapes import the_image
from npmaskrcnn.explore.scene import DEFAULTS, MOST_SHAPES, Stage, drawn_scene, presets
from npmaskrcnn.shipped import trained_tiny

NAMES = ["background", "circle", "square", "triangle"]
RED, BLUE = [200, 30, 20], [20, 40, 200]


def shape(kind="circle", x=40, y=50, half=20, color=RED):
    return {"kind": kind, "x": x, "y": y, "half": half, "color": color}


def painted(names=NAMES, **scene):
    return Stage({"noise": 0, **scene}).painted(names)


def test_a_drawn_picture_is_painted_again_from_its_scene_noise_and_all():
    for seed, index in ((0, 0), (1, 0), (2, 5), (3, 2)):
        image, target = ShapesDataset(6, (96, 128), seed)[index]
        scene = json.loads(json.dumps(drawn_scene(seed, index)))        # as it goes to the page and comes back
        for _ in range(2):
            again, truth = Stage(scene).painted(NAMES)
            np.testing.assert_array_equal(again, image)
        assert truth.labels == target.labels.tolist()
        np.testing.assert_array_equal(truth.masks, target.masks)


def test_the_picture_of_the_lessons_is_the_very_one_and_its_triangle_has_the_same_history():
    image, target = the_image()
    stage = Stage(presets()[0][2])
    np.testing.assert_array_equal(stage.painted(NAMES)[0], image)
    trace = trained_tiny().trace(stage[0][0])
    triangle = trace.detections.labels.tolist().index(3)
    overlap = ops.box_iou(trace.detections.boxes[[triangle]], target.boxes[[2]])[0, 0]
    assert overlap == pytest.approx(0.916, abs=2e-3)        # as lessons 10 and 13 say
    history = trace.provenance(triangle)
    assert (history["anchor"], history["level"], history["cell"]) == (1678, 0, (17, 15))


def test_the_noise_stays_when_shapes_move_and_changes_with_its_seed():
    one, two, other = (Stage({"shapes": [shape(x=x)], "seed": seed}).painted(NAMES)[0].astype(int)
                       for x, seed in ((40, 0), (41, 0), (40, 1)))
    np.testing.assert_array_equal(one[:, 70:], two[:, 70:])
    assert (one[:, 70:] != other[:, 70:]).mean() > 0.8
    assert 5 < one[:, 70:].std() < 10                # 0.03 of white, 7.65
    np.testing.assert_array_equal(painted(background=[1, 2, 3])[0], np.full((96, 128, 3), [1, 2, 3]))


def test_later_shapes_lie_in_front_and_what_cannot_be_seen_is_left_out():
    image, truth = painted(shapes=[shape("square", 40, 50, 10), shape("square", 50, 50, 10, BLUE),
                                   shape("circle", 300, 50, 20), shape("triangle", 50, 50, 5)])
    assert image[50, 35].tolist() == RED and image[50, 45].tolist() == BLUE
    assert truth.shapes == [0, 1, 3] and truth.labels == [2, 2, 3]
    assert truth.masks.sum(axis=(1, 2))[0] == 200    # half of the square behind
    np.testing.assert_array_equal(truth.boxes[0], [30, 40, 40, 60])
    hidden = painted(shapes=[shape("square", 40, 50, 10), shape("square", 40, 50, 12, BLUE)])[1]
    assert hidden.shapes == [1] and hidden.masks.sum() == 24 * 24


def test_as_a_dataset_it_has_the_same_picture_and_truth():
    stage = Stage(presets()[0][2])
    (image, target), (same, truth) = stage[0], stage.painted(NAMES)
    np.testing.assert_array_equal(image, same)
    for field in ("boxes", "labels", "masks"):
        np.testing.assert_array_equal(getattr(target, field), getattr(truth.target(), field))


def test_an_empty_stage_is_a_picture_without_objects():
    image, truth = Stage({}).painted(NAMES)
    assert image.shape == (96, 128, 3) and len(truth.target()) == 0 and truth.shapes == []


def test_labels_are_those_of_the_model_and_dots_go_by_the_side_of_the_ring():
    scene = {"shapes": [shape(x=40, half=6), shape(x=110, half=6), shape("square", x=70, half=6)],
             "ring": {"x": 44, "y": 50, "radius": 40, "color": BLUE}}
    _, truth = painted(["background", "in", "out"], **scene)
    assert truth.labels == [1, 2, None]
    assert truth.target().labels.tolist() == [1, 2] and truth.target().masks.shape == (2, 96, 128)
    assert painted(NAMES, **scene)[1].labels == [1, 1, 2]
    assert painted(["background", "cell"], **scene)[1].labels == [None] * 3
    assert painted(None, **scene)[1].labels == [None] * 3          # a model whose classes have no names
    assert painted(["background", "in", "out"], shapes=scene["shapes"])[1].labels == [None] * 3


def test_the_ring_is_that_of_the_rings():
    dataset = RingsDataset(3, seed=5, noise=0)
    for i in range(3):
        image, target = dataset[i]
        ground = np.zeros_like(image)
        draw_ring(ground, *dataset.ring(i), [255, 0, 0])
        line = ground.any(axis=2) & ~target.masks.any(axis=0)
        assert line.sum() > 300 and len(np.unique(image[line], axis=0)) == 1
        assert not (image[~ground.any(axis=2)] == image[line][0]).all(axis=1).any()


def test_a_picture_is_the_ground_in_the_size_of_the_scene():
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    image, _ = Stage({"noise": 0, "picture": 4, "shapes": [shape()]}, {4: picture}).painted(NAMES)
    np.testing.assert_array_equal(image[:, 70:], picture[:, 70:])
    assert image[50, 40].tolist() == RED
    plain = np.full((60, 50, 3), [10, 20, 30], np.uint8)
    image, _ = Stage({"noise": 0, "picture": 4}, {4: plain}).painted(NAMES)
    np.testing.assert_array_equal(image, np.full((96, 128, 3), [10, 20, 30]))
    with pytest.raises(InputError, match="no picture 4"):
        Stage({"picture": 4})


WRONG = [
    (None, "scene must be an object"), ([], "scene must be an object"), ({"widht": 3}, "the nearest is 'width'"),
    ({"width": 15}, "scene.width must be a whole number from 16 to 256"), ({"height": 1e9}, "scene.height"),
    ({"width": 64.5}, "scene.width"), ({"noise": 2}, "scene.noise"), ({"noise": float("nan")}, "scene.noise"),
    ({"seed": -1}, "scene.seed"), ({"seed": 2**40}, "scene.seed"), ({"seed": True}, "scene.seed"),
    ({"seed": [1]}, "scene.seed must be 2 numbers"), ({"seed": [1, 1000]}, r"scene.seed\[1\]"),
    ({"seed": [2**32, 0]}, r"scene.seed\[0\]"), ({"seed": [1, -1]}, r"scene.seed\[1\]"),
    ({"seed": [1, []]}, r"scene.seed\[1\]"),
    ({"background": [1, 2]}, "scene.background"), ({"background": [1, 2, 256]}, r"scene.background\[2\]"),
    ({"background": "red"}, "scene.background"), ({"shapes": {}}, "scene.shapes"), ({"shapes": [3]}, r"shapes\[0\]"),
    ({"shapes": [shape()] * (MOST_SHAPES + 1)}, "at most 40"), ({"shapes": [{"kind": "circle"}]}, "lacks 'x'"),
    ({"shapes": [shape("ring")]}, "kind must be one of circle, square, triangle"), ({"shapes": [shape([])]}, "kind"),
    ({"shapes": [shape(), shape(x=float("inf"))]}, r"scene.shapes\[1\].x"), ({"shapes": [shape(y="3")]}, "y must be"),
    ({"shapes": [shape(half=0)]}, "half must be"), ({"shapes": [shape(half=1e300)]}, "half must be"),
    ({"shapes": [{**shape(), "turned": 3}]}, "'turned' is no part of"), ({"ring": 3}, "scene.ring must be an object"),
    ({"ring": {"x": 3, "y": 3, "radius": 5}}, "lacks 'color'"), ({"picture": "a"}, "scene.picture"),
    ({"picture": [1]}, "scene.picture"), ({"shapes": [shape(color=[0, 0, float("nan")])]}, "color"),
]


@pytest.mark.parametrize("scene, said", WRONG, ids=[said for _, said in WRONG])
def test_what_cannot_be_painted_is_refused_in_one_line(scene, said):
    with pytest.raises(InputError, match=said) as caught:
        Stage(scene)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_presets_show_what_they_say():
    model, found = trained_tiny(), {}
    for name, _, scene in presets():
        assert set(scene) == set(DEFAULTS)
        image, truth = Stage(scene).painted(model.class_names)
        found[name] = [sorted(model.predict(image, 0.5, nms).labels.tolist()) for nms in (0.5, 0.7)]
        assert len(truth.labels) == len(scene["shapes"])
    assert found["lessons"][0] == [1, 2, 2, 3] and found["touching"][0] == [1, 1] and found["occluded"][0] == [2, 3]
    assert len(found["crowd"][0]) > 10 and found["empty"][0] == []
    assert found["merged"] == [[2], [2, 2]]
