"""What a prediction costs: multiply-adds by hand, sums, and that listening changes nothing. 1 s."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from npmaskrcnn import InputError, cost, light, maskrcnn_tiny, nn
from npmaskrcnn.costs import count_products
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.nn.listening import listening
from npmaskrcnn.shipped import trained_tiny

IMAGE = ShapesDataset(1, image_size=(96, 128), seed=51)[0][0]


@pytest.fixture(scope="module")
def measured():
    model = trained_tiny()
    return model, cost(model, image=IMAGE, repeats=1)


@pytest.mark.parametrize("layer, shape, expected", [
    (nn.Conv2d(6, 4, 3, stride=2, padding=1, rng=None), (2, 7, 9, 6), 2 * 4 * 5 * 3 * 3 * 6 * 4),
    (nn.Conv2d(6, 4, 3, groups=2, rng=None), (1, 7, 9, 6), 5 * 7 * 3 * 3 * 3 * 4),
    (nn.Conv2d(6, 6, (5), padding=2, groups=6, rng=None), (1, 7, 9, 6), 7 * 9 * 25 * 6),
    (nn.ConvTranspose2d(6, 4, 2, 2, rng=None), (2, 3, 5, 6), 2 * 3 * 5 * 4 * 6 * 4),
    (nn.Linear(12, 5, rng=None), (3, 12), 3 * 12 * 5), (nn.Linear(12, 5, rng=None), (0, 12), 0),
    (nn.ReLU(), (3, 12), 0)])
def test_multiply_adds_of_one_layer(layer, shape, expected):
    net = nn.Sequential(layer)
    assert count_products(net, lambda: net(np.zeros(shape, np.float32))) == {"0": expected}


def test_multiply_adds_of_the_tiny_model_by_hand(measured):
    _, found = measured
    # 96 x 128 is padded to 96 x 128; C2 has 24 x 32 cells
    by_name = {share.name: share for share in found.layers}
    assert by_name["backbone.body.conv1"].multiply_adds == 48 * 64 * 9 * 3 * 24
    assert by_name["backbone.body.layer2.0.downsample.0"].multiply_adds == 12 * 16 * 24 * 48
    levels = 24 * 32 + 12 * 16 + 6 * 8 + 3 * 4 + 2 * 2
    assert by_name["rpn.head.conv.0.0"].multiply_adds == levels * 9 * 48 * 48
    assert by_name["roi_heads.box_head.fc6"].multiply_adds == found.num_proposals * 49 * 48 * 128
    masks = by_name["roi_heads.mask_head.1.0"]
    assert masks.multiply_adds == found.num_detections * 14 * 14 * 9 * 32 * 32 > 0
    assert masks.activation_bytes == found.num_detections * 14 * 14 * 32 * 4
    assert masks.parameters == 9 * 32 * 32 + 2 * 32 and masks.weight_bytes == 4 * (9 * 32 * 32 + 4 * 32) + 8


def test_the_layers_make_up_the_stages_and_the_stages_the_whole(measured):
    model, found = measured
    assert [stage.name for stage in found.stages] == ["transform", "body", "feature pyramid", "region proposals",
                                                      "box head", "mask head", "pasting"]
    for quantity in ("multiply_adds", "parameters", "weight_bytes", "activation_bytes"):
        for stage in found.stages:
            own = [getattr(share, quantity) for share in found.layers if share.stage == stage.name]
            assert getattr(stage, quantity) == sum(own)
        assert getattr(found.total, quantity) == sum(getattr(stage, quantity) for stage in found.stages)
    assert found.total.parameters == model.num_parameters()
    assert found.total.weight_bytes == sum(value.data.nbytes for _, value in model.named_arrays())
    for stage in found.stages:
        assert stage.milliseconds >= sum(s.milliseconds for s in found.layers if s.stage == stage.name) >= 0


def test_its_text_is_a_table(measured):
    _, found = measured
    assert repr(found).splitlines()[0].startswith("one image of 96 x 128, ")
    assert len(repr(found).splitlines()) == 2 + len(found.stages) + 1
    assert len(found.table().splitlines()) == 2 + len(found.stages) + len(found.layers) + 1
    assert len({len(line) for line in found.table().splitlines()[1:]}) == 1


def test_lighter_models_are_measured_as_they_are(measured):
    model, found = measured
    pruned = cost(light.prune_channels(model, 0.5, ["stream", "inner", "pyramid"]), image=IMAGE, repeats=1)
    small, large = ({stage.name: stage for stage in one.stages}["body"] for one in (pruned, found))
    assert 0.2 < small.multiply_adds / large.multiply_adds < 0.3
    int8 = cost(light.quantize(model), image=IMAGE, repeats=1)
    assert int8.stages[1].multiply_adds == found.stages[1].multiply_adds
    assert int8.total.parameters == found.total.parameters and int8.total.weight_bytes < 0.3 * found.total.weight_bytes


def test_listening_changes_nothing_and_ends(measured):
    model, _ = measured
    before, heard = model.predict(IMAGE), []
    with listening(model, heard.append):
        during = model.predict(IMAGE)
    num = len(heard)
    assert_array_equal(before.masks, during.masks)
    assert num > 40 and model.predict(IMAGE) is not None and len(heard) == num
    assert not any("infer" in vars(module) or "forward" in vars(module) for _, module in model.named_modules())


def test_an_image_without_proposals_or_detections_costs_what_it_costs():
    found = cost(maskrcnn_tiny(rpn_score_thresh=0.999), (64, 96), repeats=1)
    assert (found.num_proposals, found.num_detections) == (0, 0)
    assert {stage.name: stage.multiply_adds for stage in found.stages}["mask head"] == 0


def test_what_cannot_be_is_refused_in_one_line():
    model = maskrcnn_tiny()
    for arguments, message in [((3,), "model must be a MaskRCNN, got 3"), ((model, (0, 5)), "size"),
                               ((model, 7), "size"), ((type(model),), "model must be a MaskRCNN"),
                               ((model, None, [IMAGE, IMAGE]), "image: expected an .H, W, 3. array, got list"),
                               ((model, None, IMAGE.astype(float)), "^image: float values up to"),
                               ((model, (10**5, 10**5)), "^size: 100000 x 100000 pixels"),
                               ((model, None, None, 1, 3), "tell must be"),
                               ((model, (64, 96), IMAGE), "size must be left out where an image is given"),
                               ((model, (64, 96), None, 0), "repeats must be")]:
        with pytest.raises(InputError, match=message):
            cost(*arguments)


def test_the_table_says_at_which_size_the_model_sees_the_image():
    assert "one image of 96 x 192 (seen at 64 x 128), " in repr(cost(trained_tiny(), (96, 192), repeats=1))
