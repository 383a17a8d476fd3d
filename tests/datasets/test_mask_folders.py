"""A folder a picture and a file a mask: what is read is what was drawn, and what cannot be is refused by name."""

import numpy as np
import pytest
from PIL import Image

from npmaskrcnn.datasets import CellsDataset, CocoDataset, MaskFolders, write_coco
from npmaskrcnn.errors import InputError, InputWarning
from tests.mask_files import write_mask_folders


@pytest.fixture
def cells():
    return CellsDataset(4, ((40, 50), (60, 60)), seed=3, min_objects=2, max_objects=5)


def test_pictures_and_masks_are_read_in_the_order_of_their_names(tmp_path, cells):
    write_mask_folders(cells, tmp_path)
    (tmp_path / "readme").mkdir()                       # no picture's folder
    (tmp_path / "c000" / "masks" / ".DS_Store").write_text("x")
    read = MaskFolders(tmp_path, "nucleus")
    order = [1, 2, 0, 3]                                # a001, b002, c000, c003
    assert read.class_names == ["background", "nucleus"] and len(read) == 4
    assert read.file_names == ["a001.png", "b002.png", "c000.png", "c003.png"]
    for i, k in enumerate(order):
        (image, target), (drawn, truth) = read[i], cells[k]
        np.testing.assert_array_equal(image, drawn)
        np.testing.assert_array_equal(target.masks, truth.masks)
        np.testing.assert_array_equal(target.boxes, truth.boxes)
        assert read.size(i) == drawn.shape[:2] and set(target.labels.tolist()) <= {1}
    part = read.part([3, 0])
    assert part.file_names == ["c003.png", "a001.png"] and part.image_ids == [1, 2] and len(read) == 4
    np.testing.assert_array_equal(part[0][0], cells[3][0])


@pytest.mark.parametrize("white", [(1, np.uint8), (1, np.uint16), (4095, np.uint16), (65535, np.uint16)])
def test_white_of_a_mask_may_be_any_number(tmp_path, cells, white, recwarn):
    write_mask_folders(cells, tmp_path, white=white[1](white[0]))
    np.testing.assert_array_equal(MaskFolders(tmp_path).target(0).masks, cells.target(1).masks)
    assert not recwarn.list


def test_images_that_are_not_there_are_named(tmp_path, cells):
    write_mask_folders(cells, tmp_path)
    read = MaskFolders(tmp_path)
    for ask in (read.__getitem__, read.size, read.path, read.target):
        with pytest.raises(IndexError, match="image 99 of 4"):
            ask(99)
    for wrong in ([99], [-5], ["a"], [1.5], 3):
        with pytest.raises(InputError, match="indices must be"):
            read.part(wrong)
    assert len(list(read)) == 4 and len(read.part([])) == 0 and read.part([-1]).file_names == ["c003.png"]


def test_what_is_written_as_coco_is_read_back_the_same(tmp_path, cells):
    write_mask_folders(cells, tmp_path / "in")
    read = MaskFolders(tmp_path / "in", "nucleus")
    heard = []
    back = CocoDataset(write_coco(read, tmp_path / "out", tell=heard.append), tmp_path / "out")
    assert heard == [0, 1, 2, 3, 4]
    assert back.class_names == ["background", "nucleus"]
    for i in range(4):
        np.testing.assert_array_equal(back[i][0], read[i][0])
        np.testing.assert_array_equal(back.target(i).masks, read.target(i).masks)


def test_dark_pictures_are_stretched_if_wanted(tmp_path, cells):
    write_mask_folders(cells, tmp_path, "L", dim=0.15)
    assert MaskFolders(tmp_path)[0][0].max() < 40
    image = MaskFolders(tmp_path, stretch=True)[0][0]
    assert image.min() == 0 and image.max() == 255
    assert np.corrcoef(image.ravel(), cells[1][0].ravel())[0, 1] > 0.99


def test_a_picture_of_12_bits_is_read_with_the_white_that_is_told(tmp_path, cells, recwarn):
    write_mask_folders(cells, tmp_path)
    deep = cells[1][0][:, :, 0].astype(np.uint16) * 16
    Image.fromarray(deep).save(tmp_path / "a001" / "images" / "a001.png")
    assert abs(MaskFolders(tmp_path, white=4080)[0][0].astype(int) - cells[1][0]).max() <= 1 and not recwarn.list
    with pytest.warns(InputWarning, match="--white 4095"):
        MaskFolders(tmp_path)[0]


def test_small_objects_and_pictures_of_other_sizes_are_left_out_if_wanted(tmp_path):
    for name, size in (("one", (40, 60)), ("two", (60, 40))):
        write_mask_folders(CellsDataset(2, size, seed=3), tmp_path / name)
        for place in (tmp_path / name).iterdir():
            place.rename(tmp_path / f"{name}-{place.name}")
        (tmp_path / name).rmdir()
    read = MaskFolders(tmp_path, only_size=(60, 40), min_area=35)
    assert read.sizes == [(60, 40)] * 2 and all(name.startswith(("a", "c")) for name in read.file_names)
    truth = CellsDataset(2, (60, 40), seed=3).target(1).masks
    large = truth[truth.sum(axis=(1, 2)) >= 35]
    assert 0 < len(large) < len(truth)
    np.testing.assert_array_equal(read.target(0).masks, large)


def test_a_picture_without_masks_shows_nothing(tmp_path, cells):
    write_mask_folders(cells, tmp_path)
    for path in (tmp_path / "a001" / "masks").iterdir():
        path.unlink()
    assert MaskFolders(tmp_path)[0][1].masks.shape == (0, *cells.size(1))
    (tmp_path / "a001" / "masks").rmdir()
    with pytest.warns(InputWarning, match="a001.*no folder masks"):
        assert len(MaskFolders(tmp_path)[0][1]) == 0


def test_what_cannot_be_read_is_refused_by_name(tmp_path, cells):
    write_mask_folders(cells, tmp_path / "in")
    for wrong, message in ((tmp_path / "gone", "gone: is no folder"), (tmp_path, "got no picture"),
                           (tmp_path / "in" / "a001", "got no picture")):
        with pytest.raises(InputError, match=message):
            MaskFolders(wrong)
    with pytest.raises(InputError, match=r"no picture of 9 x 8 pixels \(of 4 pictures\)"):
        MaskFolders(tmp_path / "in", only_size=(8, 9))
    Image.new("L", (7, 5)).save(tmp_path / "in" / "b002" / "masks" / "x.png")
    height, width = cells.size(2)
    with pytest.raises(InputError, match=f"x.png: has 7 x 5 pixels, but its picture {width} x {height}"):
        MaskFolders(tmp_path / "in")[1]
    Image.new("L", (7, 5)).save(tmp_path / "in" / "c003" / "images" / "other.png")
    with pytest.raises(InputError, match="c003.*expected one picture, got 2"):
        MaskFolders(tmp_path / "in")
