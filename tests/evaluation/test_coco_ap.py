"""COCO's figures: pycocotools' stored ones, hand values, and what is said of bad or missing input."""

import itertools
import json
import pathlib
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from npmaskrcnn.datasets import CocoDataset, read_detections
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn import rle
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.evaluation.curves import interpolate_precision, precision_recall_curve
from npmaskrcnn.structures import Detections, Target

REFERENCE = pathlib.Path(__file__).parents[1] / "reference"
CASES = json.loads((REFERENCE / "evaluation.json").read_text())["cases"]
NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


class Scenes:
    """A data set of targets alone; asking it for an image fails."""

    def __init__(self, targets, class_names=("background", "circle", "square")):
        self.targets = targets
        self.class_names = list(class_names)

    def __len__(self):
        return len(self.targets)

    def target(self, i):
        return self.targets[i]

    def __getitem__(self, i):
        raise AssertionError("the evaluation read an image that it does not need")


def load_case(case):
    """The stored inputs; mask probabilities are .75 inside and exactly .5 outside."""
    targets, detections = [], []
    for image in case["images"]:
        size, parts = image["size"], []
        for part in (image["target"], image["detections"]):
            masks = [rle.decode({"size": size, "counts": counts}) for counts in part["masks"]]
            parts.append({name: np.array(values) for name, values in part.items()})
            parts[-1].update(masks=np.array(masks, bool).reshape(-1, *size),
                             boxes=np.array(part["boxes"], np.float32).reshape(-1, 4),
                             labels=np.array(part["labels"], np.int64))
        parts[0]["is_crowd"] = parts[0]["is_crowd"].astype(bool)
        parts[1].update(scores=parts[1]["scores"].astype(np.float32),
                        masks=np.where(parts[1]["masks"], .75, .5))
        targets.append(SimpleNamespace(**parts[0]))
        detections.append(SimpleNamespace(**parts[1]))
    return Scenes(targets, case["class_names"]), detections


def make_target(boxes, labels, size=(40, 60)):
    """Objects that fill their boxes."""
    return Target(boxes=np.array(boxes, float).reshape(-1, 4), labels=labels, masks=fill(boxes, size))


def find(boxes, labels, scores, size=(40, 60)):
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64),
                      np.array(scores, np.float32), fill(boxes, size).astype(np.float32))


def fill(boxes, size):
    masks = np.zeros((len(boxes), *size), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    return masks


# ---- pycocotools' numbers ----


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed {case['seed']}")
@pytest.mark.filterwarnings("ignore::npmaskrcnn.errors.InputWarning")
def test_figures_and_arrays_are_those_of_pycocotools(case):
    dataset, detections = load_case(case)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        evaluation = evaluate(dataset, detections)
    arrays = np.load(REFERENCE / "evaluation.npz")
    for kind in ("bbox", "segm"):
        figures = getattr(evaluation, kind)
        # pycocotools adds 2e-16 to each denominator; all else is the same arithmetic.
        for name in ("precision", "recall"):
            np.testing.assert_allclose(getattr(figures, name), arrays[f"{case['seed']}/{kind}/{name}"],
                                       rtol=0, atol=1e-12)
        np.testing.assert_allclose([figures[name] for name in NAMES], case["figures"][kind],
                                   rtol=0, atol=1e-12)


def test_the_stored_cases_hold_what_is_easily_got_wrong():
    images = [image for case in CASES for image in case["images"]]
    assert any(any(image["target"]["is_crowd"]) for image in images)
    assert any(not image["target"]["labels"] and image["detections"]["labels"] for image in images)
    assert any(image["target"]["labels"] and not image["detections"]["labels"] for image in images)
    assert any(np.bincount(image["detections"]["labels"]).max(initial=0) > 100 for image in images)
    scores = [image["detections"]["scores"] for image in images]
    assert any(len(set(of_image)) < len(of_image) for of_image in scores)
    areas = np.concatenate([image["target"]["area"] for image in images])
    assert {32. ** 2, 96. ** 2} <= set(areas) and areas.min() < 32 ** 2 and areas.max() > 96 ** 2
    assert any(case["figures"]["bbox"] != case["figures"]["segm"] for case in CASES)


# ---- hand values ----


def test_average_precision_of_four_detections_by_hand():
    # Five objects; right, wrong, right, right. Precision 1, 1/2, 2/3, 3/4 at recall .2, .2, .4, .6. The best
    # from there on: 1 up to recall .2 (21 points), 3/4 up to .6 (40 points), 0 beyond.
    precision, recall = precision_recall_curve(np.array([True, False, True, True]), num_ground_truth=5)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 3 / 4], rtol=1e-15)
    np.testing.assert_allclose(recall, [.2, .2, .4, .6], rtol=1e-15)
    interpolated = interpolate_precision(precision, recall)
    np.testing.assert_allclose(interpolated.mean(), (21 * 1 + 40 * 3 / 4) / 101, rtol=1e-14)


def test_a_box_that_covers_six_tenths_counts_at_three_of_ten_thresholds():
    # 10 x 10 object, detection of its left 6 columns: overlap .6, reached at .5, .55 and .6.
    dataset = Scenes([make_target([[10, 10, 20, 20]], [1])], ["background", "circle"])
    for figures in vars(evaluate(dataset, [find([[10, 10, 16, 20]], [1], [.9])])).values():
        if hasattr(figures, "AP"):
            assert figures.AP == pytest.approx(.3, abs=1e-12)
            assert figures.AP50 == 1 and figures["AP75"] == 0
            assert figures.APs == pytest.approx(.3, abs=1e-12) and figures.APm == figures.APl == -1


def test_boxes_and_masks_are_judged_apart():
    target = make_target([[5, 5, 25, 15]], [2])
    right_box = find([[5, 5, 25, 15]], [2], [.8])
    right_box.masks[0, 5:15, 15:25] = .5   # half the mask; exactly .5 is outside
    with pytest.warns(InputWarning):
        evaluation = evaluate(Scenes([target]), [right_box])
    assert evaluation.bbox.AP75 == 1 and evaluation.segm.AP75 == 0 and evaluation.segm.AP50 == 1
    with pytest.warns(InputWarning):
        assert evaluate(Scenes([target]), [right_box], mask_threshold=.4).segm.AP75 == 1


def test_a_wrong_class_is_no_match_and_per_class_tells_them_apart():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])])
    evaluation = evaluate(dataset, [find([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 1], [.9, .8])])
    assert evaluation.bbox.per_class["circle"]["AP"] == 1
    assert evaluation.bbox.per_class["square"]["AP"] == 0
    assert evaluation.bbox.AP == .5


def test_average_precision_pools_images_instead_of_averaging_them():
    # Image 0: right at .9. Image 1: wrong at .8, right at .7. Pooled: precision 1 up to recall 1/2 (51
    # points), then 2/3 (50 points). The mean of the images' own values would be (1 + 1/2) / 2.
    dataset = Scenes([make_target([[0, 0, 9, 9]], [1])] * 2, ["background", "circle"])
    detections = [find([[0, 0, 9, 9]], [1], [.9]), find([[30, 20, 45, 30], [0, 0, 9, 9]], [1, 1], [.8, .7])]
    assert evaluate(dataset, detections).bbox.AP == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


def test_order_of_the_detections_does_not_matter():
    dataset, detections = load_case(CASES[0])
    backwards = [SimpleNamespace(**{name: values[::-1] for name, values in vars(found).items()})
                 for found in detections]
    with pytest.warns(InputWarning):
        assert evaluate(dataset, backwards).segm.figures == evaluate(dataset, detections).segm.figures


# ---- nothing there ----


def test_no_detection_is_zero():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])])
    for evaluation in (evaluate(dataset, [find([], [], [])]),
                       evaluate(dataset, [SimpleNamespace(boxes=np.array([]), labels=np.array([]),
                                                          scores=np.array([]), masks=np.array([]))])):
        assert evaluation.bbox.AP == evaluation.segm.AP == evaluation.segm.AR100 == 0


@pytest.mark.parametrize("num_images", [0, 2])
def test_no_ground_truth_is_undefined_and_said(num_images):
    dataset = Scenes([make_target([], [])] * num_images)
    with pytest.warns(InputWarning, match="no ground truth for circle, square"):
        evaluation = evaluate(dataset, [find([[0, 0, 9, 9]], [1], [.9])] * num_images)
    assert set(evaluation.bbox.figures.values()) == {-1.0}
    assert evaluation.bbox.per_class["circle"] == dict.fromkeys(NAMES)
    assert "no ground truth" in evaluation.summary()


def test_a_class_without_ground_truth_is_left_out_of_the_mean():
    dataset = Scenes([make_target([[0, 0, 9, 9]], [1])])
    with pytest.warns(InputWarning, match="no ground truth for square: "):
        evaluation = evaluate(dataset, [find([[0, 0, 9, 9], [5, 5, 20, 20]], [1, 2], [.9, .8])])
    assert evaluation.bbox.AP == 1 and evaluation.bbox.per_class["square"]["AP"] is None
    assert (evaluation.bbox.precision[:, :, 1] == -1).all()


def test_no_warning_when_every_class_is_there():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(dataset, [find([], [], [])])


# ---- ties, and numbers that float32 cannot hold ----


@pytest.mark.parametrize("ids", [[7, 30, 200], ["7", "30", "200"], [7, 30, "30"], None])
def test_equal_scores_go_by_image_id_whatever_the_order_of_the_images(ids):
    target = make_target([[0, 0, 9, 9]], [1])
    right, wrong = find([[0, 0, 9, 9]], [1], [.5]), find([[20, 20, 30, 30]], [1], [.5])
    scenes = [(7, right), (30, wrong), (200, wrong)]
    figures = set()
    for order in itertools.permutations(range(3)):
        dataset = Scenes([target] * 3, ["background", "circle"])
        if ids is not None:
            dataset.image_ids = [ids[k] for k in order]
        figures.add(evaluate(dataset, [scenes[k][1] for k in order]).bbox.AP)
    # The right one comes first, second or third, and has one recall of three: 34 of 101 points.
    expected = {None: {34 / 101, 17 / 101, 34 / 303}, 7: {34 / 101}, "7": {34 / 303}}[ids and ids[0]]
    assert sorted(figures) == pytest.approx(sorted(expected))


def test_boxes_are_measured_as_their_file_has_them(tmp_path):
    box = [13.2, 381.39, 36, 92.98]         # overlaps of .8000000000000002, and of less in float32
    corners = [[13, 381, 50, 381, 50, 475, 13, 475]]
    content = {"images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 480}],
               "categories": [{"id": 1, "name": "cat"}],
               "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "segmentation": corners}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "r.json").write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [9.2, *box[1:]],
                                                  "score": .9}]))
    dataset = CocoDataset(tmp_path / "a.json")
    results = read_detections(tmp_path / "r.json", dataset)
    assert evaluate(dataset, results, "bbox").bbox.AP == pytest.approx(.7)      # .50 to .80, both included
    moved = results[0]
    moved.boxes = moved.boxes + [60, 0, 60, 0]      # what the file said holds no longer
    assert evaluate(dataset, [moved], "bbox").bbox.AP == 0


def test_scores_that_float32_takes_for_equal_are_not(tmp_path):
    dataset = Scenes([make_target([[0, 0, 9, 9]], [1])], ["background", "circle"])
    dataset.image_ids, dataset.category_ids, dataset.size = [1], [None, 1], lambda i: (40, 60)
    entries = [{"image_id": 1, "category_id": 1, "bbox": [x, 0, 9, 9], "score": score}
               for x, score in ((20, .5), (0, .5 + 1e-12))]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    assert evaluate(dataset, read_detections(tmp_path / "r.json", dataset), "bbox").bbox.AP == 1


# ---- classes meet by name ----


def named(labels, class_names):
    found = find([[0, 0, 9, 9], [20, 20, 40, 39], [10, 0, 19, 9]][:len(labels)], labels, [.9, .8, .7][:len(labels)])
    found.class_names = class_names
    return [found]


def test_classes_meet_by_name_where_both_sides_have_names():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])], ["background", "cat", "dog"])
    coco = ["background", "N/A", "dog", "N/A", "cat", "horse"]      # as many a model: gaps, and another order
    assert evaluate(dataset, named([4, 2], coco)).segm.AP == 1
    assert evaluate(dataset, named([2, 4], coco)).segm.AP == 0
    with pytest.warns(InputWarning, match=r"1 detection of classes that the dataset does not have left out \(horse\)"):
        assert evaluate(dataset, named([4, 2, 5], coco)).segm.AP == 1
    with pytest.raises(InputError, match="label 6 is none of the 5 classes .1 N/A, 2 dog"):
        evaluate(dataset, named([6], coco))
    assert evaluate(dataset, named([1, 2], None)).segm.AP == 1


def test_without_a_name_on_both_sides_nothing_is_measured():
    with pytest.raises(InputError, match=r"detections\[0\]: the classes are cat, dog, the dataset's are circle, "
                                         "square, and no name is in both"):
        evaluate(one_scene(), named([1], ["background", "cat", "dog"]))


# ---- the result ----


def test_arrays_have_the_axes_of_pycocotools_and_the_summary_their_means():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])])
    evaluation = evaluate(dataset, [find([[0, 0, 9, 9], [20, 20, 40, 37]], [1, 2], [.9, .4])])
    assert evaluation.bbox.precision.shape == (10, 101, 2, 4, 3)
    assert evaluation.bbox.recall.shape == (10, 2, 4, 3)
    text = evaluation.summary()
    for name in NAMES:
        value = evaluation.segm[name]
        line = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert line.split()[-1] == ("-" if value == -1 else f"{value:.3f}")
    assert list(evaluation.bbox.figures) == NAMES
    json.dumps(evaluation.as_dict())
    with pytest.raises(AttributeError, match="AP95"):
        _ = evaluation.bbox.AP95


def test_boxes_alone_need_no_masks():
    dataset = Scenes([make_target([[0, 0, 9, 9], [20, 20, 40, 39]], [1, 2])])
    found = find([[0, 0, 9, 9]], [1], [.9])
    found.masks = None
    evaluation = evaluate(dataset, [found], iou_types=("bbox",))
    assert evaluation.bbox.AP == .5 and evaluation.segm is None
    assert "mask" not in evaluation.summary()
    assert evaluate(dataset, [found], iou_types="bbox").bbox.figures == evaluation.bbox.figures
    with pytest.raises(InputError, match=r"detections\[0\]: there are no masks"):
        evaluate(dataset, [found])


def test_inputs_are_not_changed():
    dataset, detections = load_case(CASES[2])
    for array in (a for record in [*dataset.targets, *detections] for a in vars(record).values()):
        array.flags.writeable = False
    with pytest.warns(InputWarning):
        evaluate(dataset, detections)


# ---- bad input ----


def one_scene():
    return Scenes([make_target([[0, 0, 9, 9]], [1])])


def spoil(**fields):
    found = find([[0, 0, 9, 9]], [1], [.9])
    for name, value in fields.items():
        setattr(found, name, value)
    return [found]


@pytest.mark.parametrize("detections, message", [
    ([], "each of the 1 images of the dataset, in the same order, got 0"),
    (spoil() * 2, "got 2"),
    (spoil()[0], "expected a list of Detections"),
    (iter(spoil()), "expected a list of Detections"),
    ([None], r"detections\[0\]: expected Detections, got NoneType"),
    (spoil(labels=np.array([0])), r"label 0 is none of the 2 classes \(1 circle, 2 square\)"),
    (spoil(labels=np.array([3])), "label 3 is none"),
    (spoil(labels=np.array([-1])), "label -1 is none"),
    (spoil(labels=np.array([1, 2])), "expected boxes"),
    (spoil(boxes=np.zeros((1, 5))), "expected boxes"),
    (spoil(scores=np.array([np.nan])), "finite"),
    (spoil(boxes=np.array([[0, 0, np.inf, 9]])), "finite"),
    (spoil(masks=np.zeros((1, 60, 40))), r"masks \(1, 40, 60\), of the image's size, got \(1, 60, 40\)"),
    (spoil(masks=np.zeros((1, 1, 40, 60))), "expected masks"),
])
def test_detections_that_do_not_belong_are_one_clear_error(detections, message):
    with pytest.raises(InputError, match=message) as error:
        evaluate(one_scene(), detections)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options, message", [
    ({"iou_types": ("box",)}, "'bbox' or 'segm'"),
    ({"iou_types": "mask"}, "'bbox' or 'segm', got 'mask'"),
    ({"mask_threshold": 1.0}, "mask_threshold"),
    ({"mask_threshold": float("nan")}, "mask_threshold"),
])
def test_options_without_meaning_are_one_clear_error(options, message):
    with pytest.raises(InputError, match=message):
        evaluate(one_scene(), spoil(), **options)


def test_a_dataset_without_classes_or_with_foreign_labels_is_refused():
    with pytest.raises(InputError, match="class_names"):
        evaluate(Scenes([], ["background"]), [])
    with pytest.raises(InputError, match="target 0: label 2"):
        evaluate(Scenes([make_target([[0, 0, 9, 9]], [2])], ["background", "circle"]), spoil())
