"""The stored runs are complete and small, and show what the patients' hints say that they show. About 1 s."""

import re

import numpy as np
import pytest

from npmaskrcnn import clinic, rle
from npmaskrcnn.clinic.runs import load_run
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.plots.case import CURVES
from npmaskrcnn.shipped import data_file

RUNS = {name: load_run(name) for name in (clinic.HEALTHY, *clinic.PATIENTS)}
WELL = RUNS[clinic.HEALTHY]
# Words that would name a fault before the reader has found it.
TELLING = {"anna": "y1|swap|exchang", "boris": "shift|moved|next class", "clara": "too high|tenfold",
           "david": "filter|threshold|sure", "emma": "channel|class before", "felix": "weights \\(10",
           "greta": "zero_grad|forgotten|pile", "hugo": "flip|mirror", "iris": "background", "jonas": "half an image"}


@pytest.mark.parametrize("name", RUNS)
def test_a_stored_run_is_complete(name):
    run = RUNS[name]
    assert run.settings == {"steps": 300, "batch_size": 4, "seed": 0, "test_images": 100}
    assert run.log["step"].tolist() == [1, *range(10, 301, 10)]
    assert all(np.isfinite(run.log[column]).all() and len(run.log[column]) == 31 for column in (*LOSS_NAMES, *CURVES))
    assert run.steps == [100, 200, 300] and len(run.pictures) == 3
    assert set(run.readings) == set(WELL.readings) and set(run.ap) == set(WELL.ap)


@pytest.mark.parametrize("name", RUNS)
def test_the_pictures_of_a_stored_run_have_masks_of_the_picture_s_size(name):
    size = clinic.the_picture()[0].shape[:2]
    for found in RUNS[name].pictures:
        assert np.asarray(found.masks).shape == (len(found), *size)
        assert (found.scores > 0.5).all() and found.boxes.shape == (len(found), 4)
        assert rle.encode(np.zeros(size, bool))["size"] == list(size)


def test_all_stored_runs_together_take_less_than_two_megabytes():
    assert sum(data_file(f"clinic/{name}.json").stat().st_size for name in RUNS) < 2_000_000


def test_the_picture_has_all_three_classes_and_the_center_of_an_object_in_each_quarter():
    image, target = clinic.the_picture()
    centers = (target.boxes[:, :2] + target.boxes[:, 2:]) / 2 > np.array(image.shape[1::-1]) / 2
    assert set(target.labels) == {1, 2, 3} and len({tuple(center) for center in centers.tolist()}) == 4


@pytest.mark.parametrize("name", clinic.PATIENTS)
def test_complaint_and_hints_do_not_name_the_diagnosis(name):
    ill = clinic.patient(name)
    for text in (ill.complaint, *ill.hints):
        assert not re.search(TELLING[name], text), text
    assert re.search(TELLING[name], ill.diagnosis)      # so that the words looked for are known to be telling


@pytest.mark.parametrize("name", clinic.PATIENTS)
def test_hints_come_one_by_one_and_end(name):
    ill = clinic.patient(name)
    assert [ill.next_hint() for _ in ill.hints] == ill.hints and len(ill.hints) >= 3
    assert "last hint" in ill.next_hint()
    assert not any("{" in hint for hint in ill.hints)
    assert ill.complaint and ill.diagnosis and ill.cure and ill.stage


def test_a_figure_shows_losses_pictures_and_precision():
    figure = clinic.patient("anna").figure(["background", "circle", "square", "triangle"])
    assert "anna" in figure.get_label() and "steps 100, 200, 300" in figure.get_label()


def test_what_the_hints_say_in_words_holds_of_the_stored_runs():
    ill = {name: RUNS[name] for name in clinic.PATIENTS}
    assert ill["anna"].first["loss_mask"] > 1.3 * WELL.first["loss_mask"] and ill["anna"].readings["found"] == 0
    assert ill["boris"].readings["box_iou"] > 0.9 and ill["boris"].ap["bbox_AP"] < 0.05
    changes, healthy = (run.log["update_ratio_body"] for run in (ill["clara"], WELL))
    assert (changes > healthy).all() and changes.argmax() == 0 and healthy.argmax() == 3 and WELL.log["step"][3] == 30
    assert ill["clara"].log["loss_objectness"][1] < 0.5 * WELL.log["loss_objectness"][1]
    assert all(ill["david"].middle[loss] < 0.5 * WELL.middle[loss] for loss in ("loss_classifier", "loss_box_reg"))
    assert ill["david"].end["loss_classifier"] > WELL.end["loss_classifier"]
    for name in ("emma", "felix"):
        assert all(np.array_equal(ill[name].log[column], WELL.log[column]) for column in WELL.log)
        assert ill[name].readings["outside_segm_AP"] == WELL.ap["segm_AP"]
    assert ill["iris"].readings["found"] == 3 and ill["iris"].pictures[-1].scores[2] < 0.51
    assert ill["emma"].ap["bbox_AP"] == WELL.ap["bbox_AP"] and ill["emma"].ap["segm_AP"] < WELL.ap["segm_AP"] - 0.1
    assert ill["felix"].readings["proposal_iou"] == WELL.readings["proposal_iou"]
    norm = ill["greta"].log["grad_norm"][1:]
    assert 9 < norm.min() < norm.max() < 14 and ill["greta"].first["grad_norm"] == WELL.first["grad_norm"]
    assert all((ill["greta"].end[loss] > WELL.end[loss]) == (loss != "loss_objectness") for loss in LOSS_NAMES)
    assert all((ill["hugo"].first[loss] == WELL.first[loss]) == (loss != "loss_mask") for loss in LOSS_NAMES)
    assert all(ill[name].end[loss] < WELL.end[loss] for name in ("iris", "jonas")
               for loss in ("loss_classifier", "loss_box_reg"))
    assert all(numbers(ill["jonas"])["loss_rpn_box_reg"] > 1.9 * numbers(WELL)["loss_rpn_box_reg"]
               for numbers in (lambda run: run.first, lambda run: run.end))
    truth = clinic.the_picture()[1]
    missing = ~np.isin(truth.labels, ill["jonas"].pictures[-1].labels)      # the circles, small and on the left
    assert missing.sum() == 2 and set(truth.labels[missing]) == {1}
    assert truth.area[missing].max() < truth.area[~missing].min()
    assert truth.boxes[missing, 0].max() < truth.boxes[~missing, 0].min()
    assert ill["hugo"].ap["bbox_AP"] > 0.9 * WELL.ap["bbox_AP"] and ill["hugo"].end["loss_mask"] > 0.5
