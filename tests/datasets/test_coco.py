"""Annotation files: what a CocoDataset reads, and every way in which such a file is wrong.

Held against annotation files written here by hand, whose boxes and masks are known; each wrong one is a copy of a right
one with a single fault, and the message has to name the file, the entry and the value.
"""

import copy
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn.datasets import CocoDataset, ShapesDataset, label_maps, warn_of_shared_images, write_coco
from npmaskrcnn.errors import InputError, InputWarning
from npmaskrcnn import rle
from npmaskrcnn.shipped import data_file

HEIGHT, WIDTH = 20, 30
DELETE = object()
CROWD = np.zeros((HEIGHT, WIDTH), bool)
CROWD[12:18, 20:29] = True
CROWD[14, 23] = False
# Sparse ids, not in order; the second image has no annotation.
CONTENT = {
    "info": {"year": 2024},
    "categories": [{"id": 90, "name": "café 고양이"}, {"id": 7, "name": "dog"}],
    "images": [{"id": 3, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
               {"id": 5, "file_name": "sub folder/b.png", "width": 24, "height": 18}],
    "annotations": [
        {"id": 11, "image_id": 3, "category_id": 90, "bbox": [2, 3, 10, 5], "area": 50, "iscrowd": 0,
         "segmentation": [[2, 3, 12, 3, 12, 8, 2, 8]]},
        {"id": 12, "image_id": 3, "category_id": 7, "bbox": [20, 12, 9, 6], "area": 0, "iscrowd": 1,
         "segmentation": rle.encode(CROWD, compress=False)},
        {"id": 13, "image_id": 3, "category_id": 7, "segmentation": rle.encode(CROWD)},
    ],
}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for image in CONTENT["images"]:
        path = tmp_path / "images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (image["height"], image["width"], 3), dtype=np.uint8)).save(path)
    return tmp_path


def opened(folder, content=CONTENT, **options):
    path = folder / "cats.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return CocoDataset(path, folder / "images", **options)


def changed(where, value):
    """CONTENT with one entry replaced; `where` is its path, and a value of DELETE removes it."""
    content = copy.deepcopy(CONTENT)
    *path, last = where
    inner = content
    for key in path:
        inner = inner[key]
    if value is DELETE:
        del inner[last]
    elif last == len(inner) and isinstance(inner, list):
        inner.append(value)
    else:
        inner[last] = value
    return content


# ---- what is read ----

def test_polygons_both_kinds_of_rle_and_crowds_become_a_target(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = opened(folder)
        image, target = dataset[0]
    assert len(dataset) == 2 and image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(target.labels, [2, 1, 1])
    np.testing.assert_array_equal(target.is_crowd, [False, True, False])
    np.testing.assert_array_equal(target.boxes, [[2, 3, 12, 8], [20, 12, 29, 18], [20, 12, 29, 18]])
    np.testing.assert_array_equal(target.area, [50, 53, 53])          # given; 0 and missing are counted
    assert target.masks[0, 3:8, 2:12].all() and target.masks[0].sum() == 50
    np.testing.assert_array_equal(target.masks[1:], [CROWD, CROWD])


def test_sparse_category_ids_become_labels_in_their_order_and_the_table_says_so(folder):
    dataset = opened(folder)
    assert dataset.class_names == ["background", "dog", "café 고양이"]
    assert dataset.category_ids == (None, 7, 90)
    assert re.search(r"objects +crowds +name\n +1 +7 +1 +1 +dog\n +2 +90 +1 +0 +café 고양이", dataset.table())
    assert "2 images, 2 objects and 1 crowd that training leaves out, 2 classes" in repr(dataset)


def test_an_image_without_annotation_stays_in_its_place(folder):
    dataset = opened(folder)
    image, target = dataset[1]
    assert image.shape == (18, 24, 3) and len(target) == 0
    assert dataset.image_ids == [3, 5] and dataset.size(-1) == (18, 24)
    with pytest.raises(IndexError):
        dataset[2]


def test_targets_can_be_read_without_pictures(folder):
    opened(folder)
    dataset = CocoDataset(folder / "cats.json")
    assert len(dataset.target(0)) == 3
    with pytest.raises(InputError, match="cats.json: opened without image_dir"):
        dataset[0]


def test_whole_numbers_with_a_decimal_point_are_whole(folder):
    text = re.sub(r'"(id|image_id|category_id|width|height)": (\d+)', r'"\1": \2.0', json.dumps(CONTENT))
    (folder / "cats.json").write_text(text)
    dataset = CocoDataset(folder / "cats.json", folder / "images")
    assert repr((dataset.image_ids, dataset.category_ids, dataset.sizes[1])) == "([3, 5], (None, 7, 90), (18, 24))"
    assert len(dataset[0][1]) == 3


@pytest.mark.parametrize("place, message", [
    ('"annotations"', "has the key 'annotations' 2 times in one object; expected it once"),
    ('"bbox": [2, 3', "has the key 'bbox' 2 times in one object with the id 11; expected it once"),
])
def test_a_key_that_stands_twice_is_refused(folder, place, message):
    key = place.split(":")[0]
    text = json.dumps(CONTENT).replace(place, f"{key}: [], {place}")
    (folder / "cats.json").write_text(text)
    with pytest.raises(InputError, match=f"cats.json: {message}"):
        CocoDataset(folder / "cats.json", folder / "images")


def test_the_first_pixel_is_an_object_and_no_normalized_one(folder):
    first = {"id": 1, "image_id": 3, "category_id": 7, "bbox": [0, 0, 1, 1], "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]]}
    content = changed(["annotations", 0], first)
    content["categories"].pop(0)
    assert opened(folder, content).target(0).area[0] == 1


@pytest.mark.parametrize("listed, stored", [("K\u00e4fer.png", "Ka\u0308fer.png"),
                                            ("Ka\u0308fer.PNG", "k\u00e4fer.png")])
def test_accents_are_found_however_they_are_composed(folder, listed, stored):
    (folder / "images" / "a.png").rename(folder / "images" / stored)
    dataset = opened(folder, changed(["images", 0, "file_name"], listed))
    assert dataset.path(0).name == stored and dataset[0][0].shape == (HEIGHT, WIDTH, 3)


def test_of_several_files_like_it_none_is_taken(folder):
    for name in ("A.png", "A.PNG"):
        (folder / "images" / name).write_bytes((folder / "images" / "a.png").read_bytes())
    if len(list((folder / "images").glob("*.*"))) < 3:
        pytest.skip("the file system takes these names for one")
    with pytest.raises(InputError, match="image 3: there is no file .*a.PNG but 3 with names like it, .*A.PNG"):
        opened(folder, changed(["images", 0, "file_name"], "a.PNG"))


def test_a_byte_order_mark_is_no_obstacle(folder):
    path = folder / "cats.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(CONTENT, ensure_ascii=False).encode("utf-8"))
    assert CocoDataset(path, folder / "images").class_names[2] == "café 고양이"


@pytest.mark.parametrize("file_name", ["sub folder\\b.png", "sub folder/B.PNG", "./sub folder/b.png"])
def test_file_names_of_other_systems_are_found(folder, file_name):
    assert opened(folder, changed(["images", 1, "file_name"], file_name))[1][0].shape == (18, 24, 3)


@pytest.mark.parametrize("file_name", ["/home/ann/pictures/a.png", "C:\\Users\\Ann\\a.png",
                                       "\\\\server\\share\\x\\a.png"])
def test_of_an_absolute_path_the_last_part_counts(folder, file_name):
    assert opened(folder, changed(["images", 0, "file_name"], file_name))[0][0].shape == (HEIGHT, WIDTH, 3)


def test_text_ids_of_images_and_annotations_are_kept(folder):
    content = json.loads(json.dumps(CONTENT).replace('"image_id": 3', '"image_id": "x-3"'))
    content["images"][0]["id"] = "x-3"
    content["annotations"][0]["id"] = "first"
    assert opened(folder, content).image_ids == ["x-3", 5]


def test_a_box_rounded_over_the_edge_is_clipped_without_a_word(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = opened(folder, changed(["annotations", 1, "bbox"], [20, 12, 10.6, 6]))
        assert dataset.target(0).boxes[1].tolist() == [20, 12, 30, 18]


def test_a_polygon_partly_outside_is_cut_off(folder):
    content = changed(["annotations", 0], {"id": 1, "image_id": 3, "category_id": 7,
                                           "segmentation": [[-5, 3, 4, 3, 4, 30, -5, 30]]})
    with pytest.warns(InputWarning, match="no annotation of café"):
        target = opened(folder, content).target(0)
    assert target.boxes[0].tolist() == [0, 3, 4, 20] and target.area[0] == 4 * 17


# ---- options ----

def test_boxes_can_stand_for_masks_on_request(folder):
    content = changed(["annotations", 0, "segmentation"], [])
    with pytest.raises(InputError, match=r"annotation 11 .*box only.*boxes_as_masks=True"):
        opened(folder, content)
    target = opened(folder, content, boxes_as_masks=True).target(0)
    assert target.masks[0, 3:8, 2:12].all() and target.masks[0].sum() == 50


@pytest.mark.parametrize("segmentation", [[[1, 1]], [], [[float("nan")] * 6],
                                          {"size": [20, 30], "counts": [3]}])
def test_what_cannot_be_used_is_left_out_on_request_and_nothing_else_moves(folder, segmentation):
    content = changed(["annotations", 1, "segmentation"], segmentation)
    with pytest.warns(InputWarning, match=r"cats\.json: annotation 12 .*left out"):
        dataset = opened(folder, content, skip_invalid=True)
    assert len(dataset) == 2
    target = dataset.target(0)
    np.testing.assert_array_equal(target.labels, [2, 1])
    np.testing.assert_array_equal(target.boxes[:, 0], [2, 20])


def test_annotations_of_unknown_images_and_classes_and_without_an_id_are_left_out_if_wanted(folder):
    content = copy.deepcopy(CONTENT)
    for change in ({"image_id": 99}, {"category_id": 99}, {"id": None}, {"image_id": "3"}, {"bbox": [1]}):
        content["annotations"].append({**CONTENT["annotations"][0], "id": 20 + len(content["annotations"]), **change})
    with pytest.raises(InputError, match="no image has the id 99"):
        opened(folder, content)
    with pytest.warns(InputWarning, match="left out") as caught:
        dataset = opened(folder, content, skip_invalid=True)
    assert len(caught) == 5 and len(dataset.target(0)) == 3


@pytest.mark.parametrize("polygon", [[1, 1, 5, 5, 9, 9], [40, 3, 50, 3, 50, 9, 40, 9],
                                     [4.1, 4.1, 4.3, 4.1, 4.2, 4.3]],
                         ids=["a line", "outside", "within a pixel"])
def test_a_polygon_without_a_pixel_is_refused_or_left_out_on_request(folder, polygon):
    content = changed(["annotations", 0, "segmentation"], [polygon])
    with pytest.raises(InputError, match=r"image 3 \(a\.png\): annotation 11: its polygons cover no pixel"):
        opened(folder, content)[0]
    dataset = opened(folder, content, skip_invalid=True)
    with pytest.warns(InputWarning, match="annotation 11: .*left out"):
        np.testing.assert_array_equal(dataset.target(0).labels, [1, 1])


# ---- what is mended with a warning ----

@pytest.mark.parametrize("where, value, message", [
    (["annotations", 1, "bbox"], [15, 10, 29, 18],
     r"annotation 12 .*reaches outside.*clipped.*corners x1, y1, x2, y2"),
    (["annotations", 0, "bbox"], [-4, 3, 16, 5], r"annotation 11 .*reaches outside the image of 30 x 20"),
    (["categories", 2], {"id": 8, "name": "owl"}, "no annotation of owl"),
])
def test_a_doubtful_file_is_read_with_a_warning_that_names_it(folder, where, value, message):
    with pytest.warns(InputWarning, match=r"cats\.json: .*" + message):
        opened(folder, changed(where, value))


def test_a_box_that_does_not_fit_its_mask_gives_a_warning_that_names_the_image(folder):
    dataset = opened(folder, changed(["annotations", 0, "bbox"], [15, 3, 10, 5]))
    with pytest.warns(InputWarning, match=r"cats\.json: image 3 \(a\.png\): box 0 .* does not fit its mask"):
        dataset.target(0)


def test_a_second_ring_gives_a_warning_that_names_the_annotation(folder):
    rings = [[2, 3, 12, 3, 12, 8, 2, 8], [4, 4, 6, 4, 6, 6, 4, 6]]
    with pytest.warns(InputWarning, match=r"annotation 11: segmentation: polygon 1 lies inside another"):
        assert opened(folder, changed(["annotations", 0, "segmentation"], rings)).target(0).area[0] == 50


# ---- what is refused ----

A = "annotations"
REFUSED = {
    "no images": (["images"], [], "has no image"),
    "no categories": (["categories"], [], "has no category"),
    "no annotations": ([A], [], "has no annotation"),
    "images missing": (["images"], DELETE, "has no list 'images'"),
    "annotations no list": ([A], {}, "has no list 'annotations'"),
    "category without id": (["categories", 0, "id"], DELETE, "category 0 of the list: id is None, expected a whole"),
    "category id text": (["categories", 0, "id"], "90", "category '90': id is '90', expected a whole number"),
    "category twice": (["categories", 2], {"id": 7, "name": "owl"}, "category id used more than once: 7"),
    "name twice": (["categories", 2], {"id": 8, "name": "dog"}, "category name used more than once: 'dog'"),
    "empty name": (["categories", 0, "name"], " ", "category 90: name is ' '"),
    "no name": (["categories", 0, "name"], DELETE, "category 90: name is None"),
    "background": (["categories", 0, "name"], "background", "category 90 is called background"),
    "image twice": (["images", 1, "id"], 3, "image id used more than once: 3"),
    "image without id": (["images", 0, "id"], DELETE, "image 0 of the list: id is None, expected .* or a text"),
    "image no object": (["images", 0], 4, "image 0 of the list: expected an object, got 4"),
    "no file name": (["images", 0, "file_name"], DELETE, "image 3: file_name is None"),
    "no width": (["images", 0, "width"], DELETE, "image 3: width is None, expected a positive whole number"),
    "height text": (["images", 0, "height"], "20", "image 3: height is '20', expected a positive whole number"),
    "height 0": (["images", 0, "height"], 0, "image 3: height is 0, expected a positive whole number"),
    "giant": (["images", 0, "height"], 10**9, r"image 3 \(a.png\): 30 x 1000000000 pixels.*36000000"),
    "missing file": (["images", 0, "file_name"], "z.png", "image 3: there is no file .*z.png"),
    "leads out": (["images", 0, "file_name"], "../../secret.png",
                  "image 3: file_name .* leads out of the folder"),
    "leads out, Windows": (["images", 0, "file_name"], "..\\secret.png", "leads out of the folder"),
    "zero byte": (["images", 0, "file_name"], "a\0.png", "image 3: there is no file"),
    "name too long": (["images", 0, "file_name"], "a" * 5000, "image 3: there is no file"),
    "no object": ([A, 1], [], "annotation 1 of the list: expected an object, got"),
    "no id": ([A, 1, "id"], DELETE, "annotation 1 of the list: id is None"),
    "no image id": ([A, 1, "image_id"], DELETE, "annotation 12: image_id is None"),
    "no category id": ([A, 1, "category_id"], DELETE, "annotation 12: category_id is None"),
    "id twice": ([A, 1, "id"], 11, "annotation id used more than once: 11"),
    "unknown image": ([A, 1, "image_id"], 4, r"annotation 12 \(image 4\): no image has the id 4"),
    "image id as text": ([A, 1, "image_id"], "3", "no image has the id '3'; '3' and 3 differ: write ids as"),
    "image id half": ([A, 1, "image_id"], 3.5, "annotation 12: image_id is 3.5, expected a whole number or a text"),
    "corners": ([A, 0, "bbox"], [2, 3, 12, 8], r"annotation 11 .*bbox \[2, 3, 12, 8\] fits its segmentation only as "
                r"corners.*expected x, y, width, height: \[2, 3, 10, 5\]"),
    "corners of a crowd": ([A, 1, "bbox"], [20, 12, 29, 18], r"annotation 12 .* only as corners.*: \[20, 12, 9, 6\]"),
    "RLE along the rows": ([A, 1, "segmentation"], {**rle.encode(CROWD.T), "size": [HEIGHT, WIDTH]},
                           r"annotation 12 .*RLE fits the bbox \[20, 12, 9, 6\] only if its runs go along the rows"),
    "RLE in a list": ([A, 1, "segmentation"], [rle.encode(CROWD)], "annotation 12 .*an RLE .* without brackets"),
    "normalized box": ([A, 0, "bbox"], [.1, .2, .3, .25],
                       r"annotation 11 .*bbox has only numbers from 0 to 1, \[0.1, .*width"),
    "normalized polygon": ([A, 0, "segmentation"], [[0, .15, .4, .15, .4, 1]],
                           "annotation 11 .*segmentation has only numbers from 0 to 1, .*normalized.*Multiply"),
    "unknown category": ([A, 1, "category_id"], 64,
                         "annotation 12 .*category_id is 64, the declared .* 7 dog, 90"),
    "iscrowd 2": ([A, 0, "iscrowd"], 2, "annotation 11 .*iscrowd is 2"),
    "area negative": ([A, 0, "area"], -3, "annotation 11 .*area is -3"),
    "area NaN": ([A, 0, "area"], float("nan"), "annotation 11 .*area is nan"),
    "area text": ([A, 0, "area"], "12", "annotation 11 .*area is '12'"),
    "box of three": ([A, 0, "bbox"], [1, 2, 3], "annotation 11 .*bbox is .1, 2, 3., expected four"),
    "box NaN": ([A, 0, "bbox"], [1, 2, float("nan"), 4], "annotation 11 .*bbox is .1, 2, nan, 4."),
    "box infinite": ([A, 0, "bbox"], [1, 2, 3, float("inf")], "annotation 11 .*bbox"),
    "box beyond float": ([A, 0, "bbox"], [1, 2, 3, 10**400], "annotation 11 .*bbox"),
    "box text": ([A, 0, "bbox"], "1 2 3 4", "annotation 11 .*bbox is '1 2 3 4'"),
    "box without width": ([A, 0, "bbox"], [1, 2, 0, 4], "annotation 11 .*bbox is .1, 2, 0, 4.*above 0"),
    "box negative width": ([A, 0, "bbox"], [9, 2, -3, 4], "annotation 11 .*above 0"),
    "box outside": ([A, 0, "bbox"], [30, 2, 3, 4],
                    "annotation 11 .*bbox .*lies outside the image of 30 x 20"),
    "no segmentation": ([A, 0, "segmentation"], DELETE, "annotation 11 .*has no segmentation"),
    "null": ([A, 0, "segmentation"], None, "annotation 11 .*has no segmentation"),
    "text": ([A, 0, "segmentation"], "abc", "annotation 11 .*segmentation: expected a list of polygons"),
    "one corner": ([A, 0, "segmentation"], [[1, 1]], "annotation 11 .*segmentation: polygon 0 has 1 corners"),
    "two corners": ([A, 0, "segmentation"], [[1, 1, 5, 5]], "annotation 11 .*two corners, or a box"),
    "box as polygon": ([A, 0, "segmentation"], [2, 3, 10, 5], "annotation 11 .*four numbers are a box"),
    "counts as polygon": ([A, 0, "segmentation"], [[5, 2, 8, 2, 9, 1, 4]], "annotation 11 .*7 numbers.*RLE"),
    "corner NaN": ([A, 0, "segmentation"], [[1, 1, 5, float("nan"), 5, 5]],
                   "annotation 11 .*polygon 0.3. must be a finite number, got nan"),
    "RLE swapped": ([A, 1, "segmentation", "size"], [WIDTH, HEIGHT],
                    r"annotation 12 .*size \[30, 20\], the image is 20 x 30 .*look swapped"),
    "RLE of another size": ([A, 1, "segmentation", "size"], [20, 31], "annotation 12 .*the image is 20 x 30"),
    "RLE without size": ([A, 1, "segmentation", "size"], DELETE, "annotation 12 .*segmentation: RLE"),
    "RLE sum": ([A, 1, "segmentation", "counts"], [10, 20], "annotation 12 .*counts sum to 30"),
    "RLE negative": ([A, 1, "segmentation", "counts"], [700, -100], "annotation 12 .*negative"),
    "RLE text for counts": ([A, 1, "segmentation", "counts"], "not an RLE",
                            "annotation 12 .*segmentation: RLE"),
    "RLE hostile": ([A, 1, "segmentation"], {"size": [10**9, 10**9], "counts": [10**18]},
                    "annotation 12 .*size"),
    "RLE empty": ([A, 1, "segmentation", "counts"], [600], "annotation 12 .*holds no pixel"),
}


@pytest.mark.parametrize("where, value, message", REFUSED.values(), ids=REFUSED)
def test_a_wrong_file_is_refused_when_it_is_opened_in_one_line_that_names_it(folder, where, value, message):
    with pytest.raises(InputError, match=message) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        opened(folder, changed(where, value))
    assert str(caught.value).startswith(str(folder / "cats.json")) and "\n" not in str(caught.value)


TEXTS = {
    "empty": (b"", "is empty"),
    "missing brace": (b'{"images": [\n{"id": 1,\n "file_name": "a.png"\n', "invalid JSON in line"),
    "trailing comma": (b'{"images": [],\n "categories": [1, 2,]}',
                       r"line 2, column \d+.*the text there is .*\[1, 2,\]"),
    "comment": (b'{\n// my cats\n"images": []}', "line 2, column 1.*the text there is '// my cats'"),
    "not UTF-8": ('{"name": "café"}'.encode("latin-1"), r"is not UTF-8 text \(byte 13\)"),
    "deep": (b"[" * 200_000, "invalid JSON, nested too deeply"),
    "long number": (b'{"images": ' + b"9" * 10_000 + b"}", "cats.json"),
    "number": (b"7", "expected a JSON object .* got a int"),
    "results": (b'[{"image_id": 3, "score": 0.5}]', "looks like detection results"),
    "VIA project": (b'{"_via_settings": {}, "_via_img_metadata": {}}', "VIA file .*_via_img_metadata"),
    "VIA regions": (b'{"a.png1234": {"filename": "a.png", "regions": []}}', "VIA file"),
    "labelme": (b'{"version": "5.0", "shapes": []}', "labelme file"),
}


@pytest.mark.parametrize("text, message", TEXTS.values(), ids=TEXTS)
def test_a_file_that_is_not_such_json_is_refused_with_its_path(tmp_path, text, message):
    path = tmp_path / "cats.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        CocoDataset(path, tmp_path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused(folder):
    with pytest.raises(InputError, match="nowhere.json: no such file"):
        CocoDataset(folder / "nowhere.json", folder)
    with pytest.raises(InputError, match="is a folder; expected a JSON file"):
        CocoDataset(folder, folder)
    opened(folder)
    with pytest.raises(InputError, match="nowhere: is no folder; expected the one .* of .*cats.json"):
        CocoDataset(folder / "cats.json", folder / "nowhere")


# ---- pictures ----

def test_a_picture_of_another_size_than_the_file_says_is_refused(folder):
    dataset = opened(folder, changed(["images", 1, "width"], 25))
    with pytest.raises(InputError, match=r"b\.png: has 24 x 18 pixels, but .*cats\.json says 25 x 18"):
        dataset[1]


def test_a_picture_that_was_turned_after_annotating_is_refused_with_a_hint(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = folder / "images" / "a.png"
    with Image.open(path) as image:
        image.save(path, exif=exif)
    with pytest.raises(InputError, match=r"a\.png: has 20 x 30 pixels, but .* says 30 x 20 .*EXIF"):
        opened(folder)[0]


def test_a_damaged_picture_is_refused_with_its_path_and_the_file_that_named_it(folder):
    dataset = opened(folder)
    (folder / "images" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.png: .*is empty.*\(image 3 of .*cats\.json\)"):
        dataset[0]


def test_more_masks_than_fit_are_refused_before_they_are_made(folder, monkeypatch):
    monkeypatch.setattr(label_maps, "MAX_MASK_BYTES", 3 * HEIGHT * WIDTH - 1)
    with pytest.raises(InputError, match=r"image 3 \(a\.png\): 3 masks of 20 x 30 pixels need"):
        opened(folder).target(0)


# ---- writing ----

def test_what_is_written_reads_back_as_it_was(tmp_path):
    shapes = ShapesDataset(6, image_size=((40, 50), (60, 80)), seed=3, min_objects=0)
    path = write_coco(shapes, tmp_path / "new folder")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = CocoDataset(path, path.parent)
        pairs = list(zip(shapes, back))
    assert len(back) == 6 and back.class_names == shapes.class_names
    for (image, target), (read_image, read_target) in pairs:
        np.testing.assert_array_equal(read_image, image)
        for field in ("boxes", "labels", "is_crowd", "area"):
            np.testing.assert_array_equal(getattr(read_target, field), getattr(target, field))
        if len(target):
            np.testing.assert_array_equal(read_target.masks, target.masks)


def test_category_ids_and_crowds_survive_writing(folder, tmp_path):
    path = write_coco(opened(folder), tmp_path / "copy")
    back = CocoDataset(path, path.parent)
    assert back.category_ids == (None, 7, 90) and back.class_names[2] == "café 고양이"
    np.testing.assert_array_equal(back.target(0).is_crowd, [False, True, False])


def test_an_annotation_file_is_replaced_on_request_only(tmp_path):
    shapes = ShapesDataset(1, image_size=(40, 60))
    path = write_coco(shapes, tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="instances.json: is there already"):
        write_coco(shapes, tmp_path)
    assert path.read_bytes() == before
    write_coco(ShapesDataset(2, image_size=(40, 60)), tmp_path, overwrite=True)
    assert path.read_bytes() != before


@pytest.fixture
def renamed(tmp_path):
    """A dataset whose pictures have the names that `write_coco` gives, in another order."""
    write_coco(ShapesDataset(3, image_size=(40, 60)), tmp_path)
    content = json.loads((tmp_path / "instances.json").read_text())
    content["images"].reverse()
    (tmp_path / "list.json").write_text(json.dumps(content))
    (tmp_path / "instances.json").unlink()
    return CocoDataset(tmp_path / "list.json", tmp_path)


def stored(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_everything_is_read_before_anything_is_replaced(tmp_path):
    write_coco(ShapesDataset(3, image_size=(40, 60), seed=1), tmp_path)
    dataset = CocoDataset(tmp_path / "instances.json", tmp_path)
    before = [dataset[i][0] for i in range(3)]

    class Backwards:            # does not say which files it reads
        class_names = dataset.class_names

        def __len__(self):
            return 3

        def __getitem__(self, i):
            return dataset[2 - i]

    again = CocoDataset(write_coco(Backwards(), tmp_path, overwrite=True), tmp_path)
    for i in range(3):
        np.testing.assert_array_equal(again[i][0], before[2 - i])
    assert sorted(path.name for path in tmp_path.iterdir()) == [*again.file_names, "instances.json"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_pictures_of_the_dataset_are_never_overwritten(tmp_path, renamed, overwrite):
    before = stored(tmp_path)
    with pytest.raises(InputError, match="000000.png: is what is read here"):
        write_coco(renamed, tmp_path, overwrite)
    assert stored(tmp_path) == before


def test_neither_is_the_annotation_file_nor_what_a_link_leads_to(tmp_path, renamed):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "000002.png").symlink_to(tmp_path / "000000.png")
    with pytest.raises(InputError, match="000002.png: is what is read here"):
        write_coco(renamed, tmp_path / "copy", overwrite=True)
    (tmp_path / "copy" / "000002.png").unlink()
    (tmp_path / "list.json").rename(tmp_path / "copy" / "instances.json")
    with pytest.raises(InputError, match="instances.json: is what is read here"):
        write_coco(CocoDataset(tmp_path / "copy" / "instances.json", tmp_path), tmp_path / "copy", overwrite=True)


def test_a_strangers_picture_is_replaced_on_request_only(tmp_path):
    (tmp_path / "000001.png").write_bytes(b"a stranger's")
    shapes = ShapesDataset(2, image_size=(40, 60))
    with pytest.raises(InputError, match="000001.png: is there already; .*overwrite=True"):
        write_coco(shapes, tmp_path)
    assert stored(tmp_path) == {"000001.png": b"a stranger's"}
    dataset = CocoDataset(write_coco(shapes, tmp_path, overwrite=True), tmp_path)
    np.testing.assert_array_equal(dataset[1][0], shapes[1][0])


@pytest.mark.parametrize("change", [
    lambda image: (image / 255).astype(np.float32), lambda image: image / 255,
    lambda image: image.astype(np.uint16) * 257, lambda image: image[:, :, :1], lambda image: image[:, :, 0],
    lambda image: image[:, :, 0] > 90, lambda image: np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])],
    ids=["float32", "float64", "uint16", "(H, W, 1)", "gray", "bool", "alpha"])
@pytest.mark.filterwarnings("ignore:.*no annotation of circle")
def test_images_of_every_kind_that_the_package_takes_are_written(tmp_path, change):
    shapes = ShapesDataset(1, image_size=(40, 60))

    class Changed:
        class_names = shapes.class_names
        __len__ = shapes.__len__

        def __getitem__(self, index):
            image, target = shapes[index]
            return change(image), target

    image, changed_image = shapes[0][0], change(shapes[0][0])
    expected = image if changed_image.ndim == 3 and changed_image.shape[2] >= 3 else np.dstack([image[:, :, 0]] * 3)
    if changed_image.dtype == bool:
        expected = np.dstack([changed_image] * 3) * np.uint8(255)
    back = CocoDataset(write_coco(Changed(), tmp_path), tmp_path)
    np.testing.assert_array_equal(back[0][0], expected)


def test_what_cannot_be_written_names_the_picture(tmp_path):
    class Wrong(list):
        class_names = ["background", "circle", "square", "triangle"]

    image, target = ShapesDataset(1, image_size=(40, 60))[0]
    for wrong, message in (((image.astype(np.int32), target), r"dataset\[1\]: image: values of type int32"),
                           ((image[:20], target), r"dataset\[1\]: target: masks have 40 x 60 pixels")):
        with pytest.raises(InputError, match=message):
            write_coco(Wrong([(image, target), wrong]), tmp_path, overwrite=True)
    assert not (tmp_path / "instances.json").exists()


def test_boxes_are_written_as_their_file_had_them(folder, tmp_path):
    dataset = opened(folder, changed(["annotations", 0, "bbox"], [2.1, 3.3, 10.123456789, 5]))
    path = write_coco(dataset, tmp_path / "copy")
    assert json.loads(path.read_text())["annotations"][0]["bbox"] == [2.1, 3.3, 10.123456789, 5]


def test_pictures_shared_by_training_and_validation_are_found_by_content(tmp_path):
    train, validation = (CocoDataset(write_coco(ShapesDataset(3, (64, 90), seed=seed), folder), folder)
                         for seed, folder in ((1, tmp_path / "train"), (2, tmp_path / "val")))
    assert warn_of_shared_images(train, validation) == []
    (tmp_path / "val" / "000002.png").write_bytes((tmp_path / "train" / "000001.png").read_bytes())
    with pytest.warns(InputWarning, match="1 picture in both sets.*000001.png and .*000002.png"):
        assert warn_of_shared_images(train, validation) == [(1, 2)]


# ---- the sample ----

def test_the_sample_is_what_its_script_draws():
    root = Path(__file__).parents[2] / "data" / "shapes"
    dataset = CocoDataset(root / "instances.json", root)
    drawn = ShapesDataset(12, image_size=((72, 100), (88, 136)), seed=1703)
    assert dataset.class_names == drawn.class_names and len(dataset) == 12
    assert all(height < width for height, width in dataset.sizes)
    assert sum(file.stat().st_size for file in root.iterdir()) < 300_000
    for i in range(12):
        np.testing.assert_array_equal(dataset[i][0], drawn[i][0])
        np.testing.assert_array_equal(dataset.target(i).masks, drawn.target(i).masks)


def test_objects_to_learn_from_are_counted_without_crowds(tmp_path):
    annotations = json.loads(data_file("shapes/instances.json").read_text())
    assert CocoDataset(data_file("shapes/instances.json")).num_objects == len(annotations["annotations"])
    for annotation in annotations["annotations"]:
        annotation["iscrowd"] = 1
    (tmp_path / "crowds.json").write_text(json.dumps(annotations))
    assert CocoDataset(tmp_path / "crowds.json").num_objects == 0
