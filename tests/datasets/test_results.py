"""Detections as COCO results: out, back in, and what is refused on the way in.

Round trips through a file, entries written by hand, and copies of them with one fault each.
"""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest

from npmaskrcnn.datasets import ShapesDataset, detections_to_coco, read_detections, write_detections
from npmaskrcnn.errors import InputError
from npmaskrcnn import rle
from npmaskrcnn.structures import Detections, mask_extents


class Dataset:
    """Two images of 6 x 9 and 5 x 4 pixels, sparse category ids."""

    image_ids = [40, "b"]
    category_ids = (None, 7, 90)

    def size(self, index):
        return [(6, 9), (5, 4)][index]


def example():
    rng = np.random.default_rng(1)
    masks = rng.random((3, 6, 9)).astype(np.float32)
    boxes = np.array([[.1, 1, 5.3, 4], [2, 0, 9, 6], [3, 3, 4.7, 5]], np.float32)
    first = Detections(boxes, np.array([2, 1, 2]), np.array([.9, .3, .3], np.float32), masks)
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, np.float32),
                         np.zeros((0, 5, 4), np.float32))
    return [first, nothing]


def test_an_entry_has_cocos_fields_and_the_files_own_ids():
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    assert [entry["category_id"] for entry in entries] == [90, 7, 90]
    assert {entry["image_id"] for entry in entries} == {40}
    assert entries[0]["score"] == 0.9                  # the shortest decimal, not 0.8999999761581421
    np.testing.assert_allclose(entries[0]["bbox"], [.1, 1, 5.2, 3], rtol=1e-12)
    np.testing.assert_array_equal(rle.decode(entries[0]["segmentation"]), example()[0].masks[0] > .5)
    assert json.loads(json.dumps(entries)) == entries


def test_labels_are_their_own_ids_by_default_and_the_threshold_is_obeyed():
    entries = detections_to_coco(example(), [1, 2], mask_threshold=.9)
    assert [entry["category_id"] for entry in entries] == [2, 1, 2]
    np.testing.assert_array_equal(rle.decode(entries[1]["segmentation"]), example()[0].masks[1] > .9)


def test_detections_come_back_from_a_file_as_they_were(tmp_path):
    path = tmp_path / "results.json"
    write_detections(path, example(), Dataset.image_ids, Dataset.category_ids)
    back = read_detections(path, Dataset())
    for before, after in zip(example(), back):
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.labels, before.labels)
        # x2 = x1 + width, once rounded to float32.
        np.testing.assert_allclose(after.boxes, before.boxes, rtol=2e-7)
        np.testing.assert_array_equal(after.masks, before.masks > .5)
        assert after.masks.dtype == bool and after.boxes.dtype == after.scores.dtype == np.float32


def test_entries_in_any_order_are_sorted_by_image_and_score_with_ties_in_their_order(tmp_path):
    path = tmp_path / "results.json"
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    path.write_text(json.dumps([entries[2], entries[0], entries[1]]), encoding="utf-8")
    found, nothing = read_detections(path, Dataset())
    np.testing.assert_array_equal(found.labels, [2, 2, 1])           # .9, then .3 and .3 as in the file
    assert found.boxes[1, 0] == 3 and len(nothing) == 0 and nothing.masks.shape == (0, 5, 4)


def test_shapes_have_what_results_need(tmp_path):
    dataset = ShapesDataset(3, image_size=((30, 40), (50, 60)), seed=2)
    targets = [dataset.target(i) for i in range(3)]
    found = [Detections(t.boxes, t.labels, np.linspace(1, .5, len(t), dtype=np.float32), t.masks)
             for t in targets]
    write_detections(tmp_path / "r.json", found, dataset.image_ids, dataset.category_ids)
    for target, back in zip(targets, read_detections(tmp_path / "r.json", dataset)):
        np.testing.assert_array_equal(back.masks, target.masks)
        np.testing.assert_array_equal(back.labels, target.labels)


def test_an_empty_file_of_results_is_no_detection(tmp_path):
    write_detections(tmp_path / "r.json", [example()[1]] * 2, [40, "b"])
    assert [len(found) for found in read_detections(tmp_path / "r.json", Dataset())] == [0, 0]


def test_detections_without_masks_are_written_without(tmp_path):
    without = [dataclasses.replace(found, masks=None) for found in example()]
    write_detections(tmp_path / "r.json", without, Dataset.image_ids, Dataset.category_ids)
    assert all("segmentation" not in entry for entry in json.loads((tmp_path / "r.json").read_text()))
    back = read_detections(tmp_path / "r.json", Dataset())
    assert not back.has_masks
    np.testing.assert_array_equal(back[0].boxes, example()[0].boxes)
    with pytest.raises(InputError, match="there are no masks"):
        detections_to_coco([example()[0], dataclasses.replace(example()[0], masks=None)], [1, 2])


def test_as_many_ids_as_detections_are_needed():
    with pytest.raises(InputError, match="2 for 1 images"):
        detections_to_coco(example(), [1])


def test_ids_of_numpys_numbers_can_be_written(tmp_path):
    write_detections(tmp_path / "r.json", example(), np.array([40, 41]), np.array([0, 7, 90]))
    assert [e["category_id"] for e in json.loads((tmp_path / "r.json").read_text())] == [90, 7, 90]


@pytest.mark.parametrize("change, message", [
    (dict(labels=np.array([1, 3, 2])),
     r"detections\[0\]: label 3 is none of the 2 classes \(1 category 7, 2 category 90\)"),
    (dict(labels=np.array([1, -1, 2])), "label -1 is none of the 2 classes"),
    (dict(scores=np.array([.5, np.nan, .1], np.float32)), r"detections\[0\]: scores and boxes must be finite"),
    (dict(boxes=np.full((3, 4), np.inf, np.float32)), "scores and boxes must be finite"),
    (dict(masks=None), r"detections\[0\]: there are no masks"),
    (dict(masks=np.full((3, 6, 9), 255.0)), r"masks must be bool, or probabilities in 0\.\.1"),
])
def test_what_no_results_file_can_hold_is_refused(tmp_path, change, message):
    found = dataclasses.replace(example()[0], **change)
    with pytest.raises(InputError, match=message):
        write_detections(tmp_path / "r.json", [found, example()[1]], [40, "b"], Dataset.category_ids)
    with pytest.raises(InputError, match="expected Detections, got int"):
        write_detections(tmp_path / "r.json", [3], [1])


class Named(Dataset):
    """The same two images, with names."""

    file_names = ["left/a.png", "b.png"]
    class_names = ["background", "cat", "dog"]


def write_named(path, image_id=1, file_name="photos\\b.png", category_name="dog"):
    """Write one detection as `npmaskrcnn detect` numbers it: images and classes from 1, and all named."""
    mask = np.ones((5, 4), np.float32)
    found = Detections(np.array([[0, 0, 4, 5]], np.float32), np.array([1]), np.array([.5], np.float32), mask[None])
    entry, = detections_to_coco([found], [image_id])
    path.write_text(json.dumps([{**entry, "file_name": file_name, "category_name": category_name}]))
    return path


def test_names_of_picture_and_class_win_over_numbers_of_another_numbering(tmp_path):
    first, second = read_detections(write_named(tmp_path / "r.json"), Named())
    assert len(first) == 0 and second.labels.tolist() == [2]


@pytest.mark.parametrize("named, message", [
    (dict(file_name="c.png"), "detection 0: file_name is 'c.png', the dataset has 'left/a.png', 'b.png'"),
    (dict(file_name="right/a.png"), "detection 0: file_name is 'right/a.png', the dataset has 'left/a.png'"),
    (dict(file_name=7), "detection 0: file_name must be a text, the name of a picture, got 7"),
    (dict(file_name=""), "detection 0: file_name must be a text, the name of a picture, got ''"),
    (dict(category_name="cow"), "detection 0: category_name is 'cow', the dataset has 'cat', 'dog'"),
])
def test_a_name_that_the_dataset_does_not_have_is_refused(tmp_path, named, message):
    with pytest.raises(InputError, match=message):
        read_detections(write_named(tmp_path / "r.json", **named), Named())


def test_names_are_refused_where_there_is_nothing_to_compare_them_with(tmp_path):
    with pytest.raises(InputError, match="file_name is 'photos.*b.png', the dataset has none"):
        read_detections(write_named(tmp_path / "r.json"), Dataset())


def test_two_pictures_are_not_taken_for_one(tmp_path):
    entries = [json.loads(write_named(tmp_path / "r.json", file_name=name).read_text())[0]
               for name in ("x/b.png", "b.png")]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match="'b.png' and 'x/b.png' are both taken for"):
        read_detections(tmp_path / "r.json", Named())


class Folders(Named):
    """Equal base names in several folders, and one without."""

    image_ids, file_names = [1, 2, 3], ["z/1.png", "a/1.png", "1.png"]

    def size(self, index):
        return 5, 4


@pytest.mark.parametrize("written, index", [("a/1.png", 1), ("A\\1.PNG", 1), ("1.png", 2)])
def test_equal_base_names_are_told_apart_by_their_folders_never_by_number(tmp_path, written, index):
    for image_id in (1, 2, 3):
        found = read_detections(write_named(tmp_path / "r.json", image_id, written), Folders())
        assert [len(f) for f in found] == [i == index for i in range(3)]


@pytest.mark.parametrize("written, message", [
    ("s/z/1.png", "file_name 's/z/1.png' fits 2 images of the dataset, 'z/1.png', '1.png': .*--images"),
    ("s/1.png", None),
    ("y/1.png", None),
])
def test_a_path_that_fits_several_pictures_is_refused_unless_the_folder_says_which(tmp_path, written, message):
    if message is not None:
        with pytest.raises(InputError, match=message):
            read_detections(write_named(tmp_path / "r.json", 2, written), Folders())
    else:
        assert len(read_detections(write_named(tmp_path / "r.json", 2, written), Folders())[2]) == 1

    class Opened(Folders):
        def path(self, index):
            return f"{written[0]}/{self.file_names[index]}"

    index = 0 if message else 2
    assert len(read_detections(write_named(tmp_path / "r.json", 2, written), Opened())[index]) == 1


def test_letters_with_accents_are_one_name_however_they_are_composed(tmp_path):
    class Accents(Folders):
        file_names = ["K\u00e4fer.png", "b.png", "c.png"]

    assert len(read_detections(write_named(tmp_path / "r.json", file_name="n/Ka\u0308fer.png"), Accents())[0]) == 1


# ---- boxes alone, masks alone ----

def write_some(path, *left_out):
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    path.write_text(json.dumps([{key: value for key, value in entry.items() if key not in left_out}
                                for entry in entries]))
    return path


def test_boxes_alone_have_no_masks(tmp_path):
    results = read_detections(write_some(tmp_path / "r.json", "segmentation"), Dataset())
    assert not results.has_masks and results[0].masks is None and results[1].masks is None
    np.testing.assert_allclose(results[0].boxes, example()[0].boxes, rtol=2e-7)


def test_the_box_of_a_mask_alone_is_its_extent(tmp_path):
    results = read_detections(write_some(tmp_path / "r.json", "bbox"), Dataset())
    assert results.has_masks
    np.testing.assert_array_equal(results[0].boxes, mask_extents(np.asarray(results[0].masks)))
    np.testing.assert_array_equal(results[0].masks, example()[0].masks > .5)


def test_neither_or_masks_of_some_are_refused(tmp_path):
    with pytest.raises(InputError, match="detection 0: has no bbox and no segmentation"):
        read_detections(write_some(tmp_path / "r.json", "bbox", "segmentation"), Dataset())


def test_results_keep_what_the_file_says_beside_the_rounded_arrays(tmp_path):
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    entries[0].update(bbox=[13.2, 1.39, 36, 92.98], score=.1234567891234)
    (tmp_path / "r.json").write_text(json.dumps(entries))
    found = read_detections(tmp_path / "r.json", Dataset())[0]
    assert found.xywh[-1].tolist() == [13.2, 1.39, 36, 92.98] and found.exact_scores[-1] == .1234567891234
    write_detections(tmp_path / "r2.json", [found, example()[1]], Dataset.image_ids, Dataset.category_ids)
    again = read_detections(tmp_path / "r2.json", Dataset())[0]
    np.testing.assert_array_equal(again.xywh, found.xywh)
    np.testing.assert_array_equal(again.exact_scores, found.exact_scores)
    assert dataclasses.replace(found, boxes=found.boxes + 1).xywh is None


@pytest.mark.parametrize("boxes, left_out, message", [
    ([[.1, .2, .5, .4], [0, 0, .3, 1]], "segmentation", "every bbox has only numbers from 0 to 1"),
    ([[.1, .2, .5, .4], [2, 0, 3, 1]], "segmentation", None),
    ([[1, 1, 4, 3], [6, 4, 9, 6]], "segmentation", "every bbox can be read as corners .* do not fit their images"),
    ([[1, 1, 4, 3], [6, 4, 3, 2]], "segmentation", None),
    ([[4, 3, 9, 6], [4, 3, 9, 6]], "", "every bbox can be read as corners .* do not fit their masks"),
    ([[4, 3, 5, 3], [4, 3, 5, 3]], "", None),
])
def test_a_file_of_boxes_that_mean_something_else_gives_a_warning(tmp_path, boxes, left_out, message):
    mask = np.zeros((6, 9), bool)
    mask[3:6, 4:9] = True
    entry = {"image_id": 40, "category_id": 7, "score": .5, "segmentation": rle.encode(mask)}
    entry.pop(left_out, None)
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{**entry, "bbox": box} for box in boxes]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_detections(path, Dataset())
    assert (message is None) == (not caught)
    if message is not None:
        assert re.search(f"r.json: {message}", str(caught[0].message))


def test_masks_that_fit_their_boxes_only_along_the_rows_give_a_warning(tmp_path):
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    masks = np.zeros((3, 6, 9), bool)
    masks[0, 1:3, 2:8] = masks[1, 2:5, 1:7] = masks[2, :2, 3:] = True
    for entry, mask in zip(entries, masks, strict=True):
        x1, y1, x2, y2 = mask_extents(mask[None])[0].tolist()
        entry.update(bbox=[x1, y1, x2 - x1, y2 - y1],
                     segmentation={**rle.encode(mask.T, compress=False), "size": [6, 9]})
    (tmp_path / "r.json").write_text(json.dumps(entries))
    with pytest.warns(UserWarning, match="only if their runs go along the rows"):
        read_detections(tmp_path / "r.json", Dataset())
    entries[0]["segmentation"] = [entries[0]["segmentation"]]
    (tmp_path / "r.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match="detection 0: segmentation: expected an RLE .* by itself, got a list"):
        read_detections(tmp_path / "r.json", Dataset())


def test_an_absolute_name_in_the_annotation_file_is_told_by_its_folders_too(tmp_path):
    class Absolute(Dataset):
        file_names = ["/home/me/s/z/1.png", "/home/me/s/a/1.png"]

    entry = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)[0]
    for written, index in (("s/z/1.png", 0), ("a/1.png", 1), ("/home/me/s/a/1.png", 1)):
        segmentation = rle.encode(np.zeros(Dataset().size(index), bool))
        (tmp_path / "r.json").write_text(json.dumps([{**entry, "file_name": written, "segmentation": segmentation}]))
        assert [len(found) for found in read_detections(tmp_path / "r.json", Absolute())] == [1 - index, index]


def test_results_are_a_sequence(tmp_path):
    results = read_detections(write_some(tmp_path / "r.json"), Dataset())
    assert len(results) == 2 and [len(found) for found in results] == [3, 0] and len(results[-1]) == 0
    assert [len(found) for found in results[:5]] == [3, 0]


@pytest.mark.parametrize("field, value, message", [
    ("image_id", 41, "detection 1: image_id is 41, the dataset has 40, 'b'"),
    ("image_id", [40], "detection 1: image_id is"),
    ("image_id", "40", "image_id is '40', the dataset has 40, 'b'; '40' and 40 differ: write ids as numbers"),
    ("category_id", "7", "category_id is '7', the dataset has 7, 90; '7' and 7 differ"),
    ("score", "0.9", "detection 1: score must be a finite number, got '0.9'"),
    ("score", 1e300, r"detection 1: score must be from -1e.30 to 1e.30, got 1e.300"),
    ("bbox", [1, 2, 1e300, 3], r"detection 1: bbox must be from -1e.30 to 1e.30, got 1e.300"),
    ("image_id", 10**400, r"detection 1: image_id is 10{50,60}\.\.\., the dataset has"),
    ("category_id", 1, "detection 1: category_id is 1, the dataset has 7, 90"),
    ("bbox", [1, 2, 3], "detection 1: bbox(.2.)? must be (4|a finite) number"),
    ("bbox", [1, 2, 3, float("nan")], "detection 1: bbox"),
    ("bbox", {}, "detection 1: bbox must be 4 numbers, got {}"),
    ("image_id", True, "detection 1: image_id is True"),
    ("score", float("nan"), "detection 1: score must be a finite number, got nan"),
    ("score", "high", "detection 1: score"),
    ("score", None, "detection 1: score"),
    ("segmentation", None, "detection 1: has no segmentation"),
    ("segmentation", {"size": [6, 9], "counts": [3]}, "detection 1: segmentation: RLE"),
    ("segmentation", rle.encode(np.ones((9, 6), bool)),
     r"segmentation: RLE: has size \[9, 6\], the image is 6 x 9 .*look swapped"),
])
def test_a_wrong_entry_is_refused_with_path_and_position(tmp_path, field, value, message):
    entries = detections_to_coco(example(), Dataset.image_ids, Dataset.category_ids)
    entries[1][field] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_detections(path, Dataset())
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("text, message", [('{"images": []}', "expected a list of detections, got a dict"),
                                           ("[1]", "detection 0: expected an object"), ("[", "invalid JSON")])
def test_a_file_that_holds_no_results_is_refused(tmp_path, text, message):
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_detections(path, Dataset())


def test_masks_that_do_not_fit_into_memory_together_are_read_one_at_a_time(tmp_path):
    class Large(Dataset):
        def size(self, index):
            return 6000, 6000

    code = {"size": [6000, 6000], "counts": [6, 3, 36_000_000 - 9]}
    entries = [{"image_id": 40, "category_id": 7, "bbox": [0, 6, 1, 3], "score": .5, "segmentation": code}] * 100
    (tmp_path / "r.json").write_text(json.dumps(entries))
    found = read_detections(tmp_path / "r.json", Large())[0]        # 3.6 GB, which detect can write
    assert found.masks.shape == (100, 6000, 6000) and np.count_nonzero(found[:2].masks[1]) == 3
