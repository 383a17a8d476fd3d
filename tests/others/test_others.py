"""The two other models: gradients by differences, hand-made cases of what is their own, and that everything that
serves Mask R-CNN serves them."""

import numpy as np
import pytest

from npmaskrcnn import Target, cost, light, load, maskrcnn_tiny, nn, save
from npmaskrcnn.config import make_config
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.errors import InputError
from npmaskrcnn.evaluation import evaluate
from npmaskrcnn.models import NO_DRAWS, reconfigure
from npmaskrcnn.network import LOSS_NAMES, Backbone
from npmaskrcnn.nn import Notes
from npmaskrcnn.others import OneStage, SemanticNetwork, one_stage_tiny, semantic_tiny
from npmaskrcnn.others.one_stage import DenseHead, choose_anchors
from npmaskrcnn.others.prototypes import PrototypeBranch, assemble, inside_boxes, mask_sample, shrink_masks
from npmaskrcnn.others.semantic import NOWHERE, SemanticHead, find_instances, label_map, pixel_loss_forward
from npmaskrcnn.stages.anchors import AnchorGenerator
from npmaskrcnn.stages.fpn import FeaturePyramidNetwork
from npmaskrcnn.stages.resnet import ResNet, basic_block
from npmaskrcnn.stages.transform import InputTarget, resize_target
from npmaskrcnn.training import Loop, SGD, Trainer, overfit_one_image, train
from npmaskrcnn.training.validation import predict_dataset

BUILDERS = {"semantic": semantic_tiny, "one stage": one_stage_tiny}
STEPS, TOLERANCE = (1e-7, 1e-6, 1e-8, 1e-5), 1e-5      # as in tests/test_gradients.py, for its reasons
WEIGHTS = dict(zip(LOSS_NAMES, (1.0, 0.7, 1.3)))
both = pytest.mark.parametrize("kind", BUILDERS)


def narrow_model(kind):
    """A narrow model in float64, away from the symmetric start."""
    rng = np.random.default_rng(4)
    config = make_config(min_size=64, max_size=112, anchor_sizes=((16,), (24,), (32,), (48,), (64,)),
                         box_bg_iou_thresh=0.4)
    body = ResNet(basic_block, (1, 1, 1, 1), (4, 5, 6, 7), nn.BatchNorm2d, stem_channels=4, stem_kernel=3, rng=rng)
    backbone = Backbone(body, FeaturePyramidNetwork(body.out_channels, 6, nn.BatchNorm2d, rng))
    if kind == "semantic":
        model = SemanticNetwork(backbone, SemanticHead(6, 4, rng=rng), config, 4)
    else:
        anchors = AnchorGenerator(config.anchor_sizes, config.anchor_ratios)
        branches = DenseHead(6, 3, 4, 5, rng=rng), PrototypeBranch(6, 4, 5, rng=rng)
        model = OneStage(backbone, anchors, *branches, config, 4)
    model = model.astype(np.float64)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.03, parameter.data.shape)
    return model


def non_square_images():
    dataset = ShapesDataset(2, image_size=((60, 90), (70, 110)), seed=11, min_objects=2)
    images, targets = zip(*[dataset[i] for i in range(2)])
    return list(images), list(targets)


def nothing(height, width):
    return Target(np.zeros((0, 4)), np.zeros(0, int), np.zeros((0, height, width), bool))


def planned(model, images, targets):
    rng = np.random.default_rng(0)
    batch = model.transform.forward([image / 255.0 for image in images], model.dtype, rng)
    targets = [resize_target(target, size) for target, size in zip(targets, batch.image_sizes)]
    trunk = model.forward_trunk(batch.images, Notes())
    return batch.images, model.make_plan(trunk, batch.image_sizes, targets, rng)


def check_all_gradients(model, images, plan, every=1):
    """Compare every parameter's gradient, and the images', with differences along a random direction."""
    def loss(notes):
        losses = model.losses_for(model.forward_trunk(images, notes), plan, notes)
        return sum(WEIGHTS[name] * value for name, value in losses.items())

    model.zero_grad()
    notes = Notes()
    loss(notes)
    dimages = model.backward(WEIGHTS, notes, need_dimages=True)
    assert not notes
    tensors = [(name, p.data, np.zeros_like(p.data) if p.grad is None else p.grad)
               for name, p in model.named_parameters()] + [("images", images, dimages)]
    rng = np.random.default_rng(7)
    for name, value, gradient in tensors[::-every]:
        direction = rng.normal(size=value.shape)
        direction /= np.linalg.norm(direction)
        expected = float((gradient * direction).sum())
        typical = max(np.linalg.norm(gradient) / np.sqrt(gradient.size), 1e-4)
        start = value.copy()
        for step in STEPS:
            value += step * direction
            above = loss(Notes())
            value[...] = start - step * direction
            measured = (above - loss(Notes())) / (2 * step)
            value[...] = start
            if abs(measured - expected) <= TOLERANCE * max(abs(expected), typical):
                break
        else:
            raise AssertionError(f"{name}: gradient says {expected}, differences say {measured}")


@both
def test_every_gradient_on_two_non_square_images(kind):
    model = narrow_model(kind)
    images, plan = planned(model, *non_square_images())
    if kind == "one stage":
        assert len(plan.delta_targets) > 5 and len(plan.masks.rows) > 5
    check_all_gradients(model, images, plan)


@both
def test_gradients_on_an_image_without_objects(kind):
    model = narrow_model(kind)
    images, _ = non_square_images()
    images, plan = planned(model, images[:1], [nothing(*images[0].shape[:2])])
    if kind == "one stage":
        assert not len(plan.delta_targets) and not len(plan.masks.rows) and len(plan.rows) == 12
        assert plan.labels.tolist() == [0] * 12
    check_all_gradients(model, images, plan, every=3)


# ---- modules ----


MODULES = {"semantic head": (lambda rng: SemanticHead(4, 3, rng=rng), [(2, 4, 6, 4), (2, 2, 3, 4)]),
           "dense head": (lambda rng: DenseHead(4, 2, 3, 5, rng=rng), [(2, 4, 6, 4), (2, 2, 3, 4)]),
           "prototypes": (lambda rng: PrototypeBranch(4, 3, 5, rng=rng), [(2, 4, 6, 4)])}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_keeps_its_dtype_writes_into_nothing_and_goes_back_twice(name):
    build, shapes = MODULES[name]
    rng = np.random.default_rng(1)
    module, inputs = build(rng), [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    for x in inputs:
        x.flags.writeable = False
    handed = inputs if len(inputs) > 1 else inputs[0]
    notes = Notes(batch_statistics=False)
    outputs, forgotten = module.forward(handed, notes), module(handed)
    flat = lambda answer: [answer] if isinstance(answer, np.ndarray) else [level for part in answer for level in part]
    for one, other in zip(flat(outputs), flat(forgotten)):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=2e-5)
    douts = [[np.ones_like(level) for level in part] for part in outputs] if name == "dense head" else [
        np.ones_like(outputs)]
    for dlevel in flat(douts if name == "dense head" else douts[0]):
        dlevel.flags.writeable = False
    first = module.backward(*douts, notes)
    grads = {key: p.grad.copy() for key, p in module.named_parameters()}
    second = module.backward(*douts, notes)
    for x, one, other in zip(inputs, *(d if isinstance(d, list) else [d] for d in (first, second))):
        assert one.shape == x.shape and one.dtype == np.float32 and not np.shares_memory(one, other)
        np.testing.assert_array_equal(one, other)
    for key, parameter in module.named_parameters():
        np.testing.assert_allclose(parameter.grad, 2 * grads[key], rtol=1e-5, atol=1e-6)


# ---- the semantic network's own ----


def probabilities(rows, sure=0.75):
    """Probabilities (H, W, 3) of a map that is drawn as text; elsewhere the classes share the rest."""
    best = np.array([[int(letter) for letter in row] for row in rows])
    return np.where(best[..., None] == np.arange(3), sure, (1 - sure) / 2)


def test_what_hangs_together_by_edges_is_one_object_of_its_class():
    found = find_instances(probabilities(["1100220",
                                          "1100020",
                                          "0010000",
                                          "0112200"]), min_pixels=1)
    assert found.labels.tolist() == [1, 1, 2, 2]       # corners do not join, nor do two classes side by side
    assert found.boxes.tolist() == [[0, 0, 2, 2], [1, 2, 3, 4], [4, 0, 6, 2], [3, 3, 5, 4]]
    assert [int((found.components == number).sum()) for number in found.numbers] == [4, 3, 3, 2]
    assert found.scores.tolist() == [0.75] * 4


def test_two_touching_objects_of_a_class_are_one_and_a_divided_one_is_two():
    assert len(find_instances(probabilities(["111111"]), min_pixels=1).labels) == 1
    assert find_instances(probabilities(["112211"]), min_pixels=1).labels.tolist() == [1, 1, 2]


def test_scores_order_objects_and_low_small_and_surplus_ones_are_left_out():
    p = probabilities(["1100", "1101"])
    p[:, :2] = [0.25, 0.625, 0.125]
    everything = find_instances(p, min_pixels=1)
    assert everything.scores.tolist() == [0.75, 0.625] and everything.boxes[0].tolist() == [3, 1, 4, 2]
    assert len(find_instances(p, 0.7, min_pixels=1).labels) == 1
    assert find_instances(p, min_pixels=2).scores.tolist() == [0.625]
    assert find_instances(p, most=1, min_pixels=1).scores.tolist() == [0.75]
    assert len(find_instances(probabilities(["000"])).labels) == 0


def test_the_label_map_knows_front_background_and_padding():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0], masks[1, :, 2] = True, True
    labels = label_map(InputTarget(np.zeros((2, 4)), np.array([2, 1]), masks), (2, 3), (3, 4))
    assert labels.tolist() == [[2, 2, 1, NOWHERE], [0, 0, 1, NOWHERE], [NOWHERE] * 4]


def test_padding_costs_nothing():
    logits = np.zeros((1, 2, 2, 4))
    logits[0, 1] = 100.0, 0, 0, 0
    loss, _ = pixel_loss_forward(logits, np.array([[[1, NOWHERE], [NOWHERE, NOWHERE]]]))
    assert loss == pytest.approx(np.log(4))
    assert pixel_loss_forward(logits, np.full((1, 2, 2), NOWHERE))[0] == 0


def test_the_classes_begin_apart_in_every_direction():
    weight = semantic_tiny().head.cls_logits.weight.data[0, 0]                 # (C, K)
    between = np.linalg.svd(weight - weight.mean(axis=1, keepdims=True), compute_uv=False)[:3]
    assert between.min() > 0.5 and between.max() < 2        # of N(0, .01) it is .07: only background comes apart then


# ---- the one-stage detector's own ----


def test_the_crop_holds_the_pixels_whose_centers_are_in_the_box():
    inside = inside_boxes(np.array([[1.0, 0.0, 3.0, 1.0], [0.6, 0.4, 1.4, 3.0], [2.0, 1.0, 2.0, 2.0]]), (3, 4))
    assert inside.sum(axis=(1, 2)).tolist() == [2, 0, 0]
    assert inside[0, 0].tolist() == [False, True, True, False]
    assert inside_boxes(np.array([[-9.0, -9.0, 9.0, 9.0]]), (3, 4)).all()


def test_prototypes_are_mixed_by_signed_coefficients():
    left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    masks = assemble(np.stack([left, right], axis=-1), np.array([[2.0, -3.0], [0.0, 1.0]]))
    assert masks.tolist() == [[[2.0, -3.0]], [[0.0, 1.0]]]


def test_masks_shrink_to_the_share_of_a_cell_that_they_cover():
    masks = np.zeros((1, 3, 6), bool)
    masks[0, :2, :3] = True
    assert shrink_masks(masks, (4, 8), (2, 4)).tolist() == [[[1, 0.5, 0, 0], [0, 0, 0, 0]]]
    assert shrink_masks(masks[:0], (4, 8), (2, 4)).shape == (0, 2, 4)


def test_each_mask_counts_alike_however_large_its_crop():
    boxes = np.array([[4.0, 4.0, 8.0, 8.0], [0.0, 0.0, 24.0, 12.0]])
    sample = mask_sample(np.arange(2), np.zeros(2, int), boxes, np.zeros((2, 5, 7)), (4, 4), np.float64)
    np.testing.assert_allclose(sample.weights.sum(axis=(1, 2)), 0.5)
    assert (sample.weights[0] > 0).sum() == 9 and (sample.weights[1] > 0).sum() == 4 * 7    # a cell beyond the box


def test_the_hardest_negatives_are_chosen_and_ignored_anchors_never():
    logits = np.zeros((6, 2))
    logits[:, 1] = [0, 5, 4, 9, -1, 3]
    positive, negative = choose_anchors(np.array([0, -1, -1, -2, -1, -1]), logits, negatives=2, fewest=1)
    assert positive.tolist() == [0] and negative.tolist() == [1, 2]
    assert choose_anchors(np.full(6, -1), logits, 2, 3)[1].tolist() == [3, 1, 2]


# ---- what serves Mask R-CNN serves them ----


@both
def test_with_one_seed_the_backbone_begins_as_mask_r_cnns(kind):
    ours, theirs = BUILDERS[kind]().state_dict(), maskrcnn_tiny().state_dict()
    shared = [key for key in ours if key.startswith("backbone.")]
    assert len(shared) > 90 and all((ours[key] == theirs[key]).all() for key in shared)


@both
def test_a_short_training_lowers_the_losses_and_writes_what_a_training_writes(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("npmaskrcnn.training.trainer.draw_curves", lambda trainer: None)    # see the last test below
    model, dataset = BUILDERS[kind](min_size=64, max_size=96), ShapesDataset(8, image_size=(64, 96), seed=1)
    trainer = train(model, dataset, 16, batch_size=2, out_dir=tmp_path, optimizer="muon", rng=0, log_every=0,
                    validation=dataset)
    log = trainer.log.arrays()
    assert log["loss_total"][-4:].mean() < 0.85 * log["loss_total"][:2].mean()
    assert log["grad_norm_head"].min() > 0 and "grad_norm_rpn" not in log
    assert {"log.csv", "model.npz", "checkpoint.npz"} <= {file.name for file in tmp_path.iterdir()}
    again = BUILDERS[kind](min_size=64, max_size=96)
    trainer = Trainer(again, dataset, trainer.optimizer.__class__(again.named_parameters()), trainer.schedule,
                      batch_size=2, log_every=0)
    trainer.resume(tmp_path / "checkpoint.npz")
    assert trainer.step == 16 and not again.untrained


@both
def test_one_image_can_be_learned_by_heart(kind):
    image, target = ShapesDataset(40, image_size=(64, 96), seed=3, min_objects=2, max_objects=2)[1]
    weights = {"loss_mask": 2.0} if kind == "one stage" else {}
    model = BUILDERS[kind](min_size=64, max_size=96)
    result = overfit_one_image(model, image, target, 40, lr=1e-2, loss_weights=weights)
    assert result.mask_iou.min() > 0.7 and result.box_iou.min() > 0.7


@both
@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_a_saved_model_comes_back_and_says_the_same(kind, tmp_path):
    images, _ = non_square_images()
    model = BUILDERS[kind](3, rng=np.random.default_rng(5), min_size=80, max_size=128, box_score_thresh=0.2)
    model.class_names = ["background", "a", "b"]
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is type(model) and again.config == model.config and again.class_names == model.class_names
    assert again.untrained
    for one, other in zip(model.predict(images), again.predict(images)):
        assert len(one) == len(other)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.masks, other.masks)


@both
@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_masks_when_asked_are_those_that_are_pasted_and_scores_descend(kind):
    images, _ = non_square_images()
    model = BUILDERS[kind](rng=np.random.default_rng(2))
    for one, other in zip(model.predict(images, 0.0), model.predict(images, 0.0, paste_all=False)):
        assert len(one) and one.masks.shape == (len(one), *other.masks.shape[1:])
        np.testing.assert_array_equal(one.masks, np.asarray(other.masks))
        assert (np.diff(one.scores) <= 0).all() and one.masks.dtype == np.float32
    assert all(found.masks.shape[1:] == image.shape[:2] for found, image in zip(model.predict(images, 0.0), images))


@both
@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_nothing_found_is_an_answer_that_can_be_measured(kind):
    model, dataset = BUILDERS[kind](), ShapesDataset(2, image_size=(64, 96), seed=1)
    reconfigure(model, box_score_thresh=1.0)
    assert model.predict([]) == []
    found = predict_dataset(model, dataset, lambda done: None)
    assert [len(one) for one in found] == [0, 0] and found[0].boxes.shape == (0, 4)
    assert evaluate(dataset, found).segm.AP == 0


@both
def test_the_batch_statistics_can_be_left_alone_and_the_images_gradient_asked_for(kind):
    model, (images, targets) = BUILDERS[kind](), non_square_images()
    before = {key: value.data.copy() for key, value in model.named_arrays()}
    losses, dimages = model.loss_and_grads(images, targets, 0, return_dimages=True, batch_statistics=False)
    assert list(losses) == model.loss_names and [d.shape for d in dimages] == [image.shape for image in images]
    assert all((before[key] == value.data).all() for key, value in model.named_arrays())


@both
@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_its_cost_can_be_measured_and_its_numbers_rounded(kind):
    model = BUILDERS[kind]()
    found = cost(model, (64, 96), repeats=1)
    assert [stage.name for stage in found.stages][-2:] == [
        {"semantic": "semantic head", "one stage": "dense head"}[kind], "pasting"]
    assert found.num_proposals == 0 and found.total.parameters == model.num_parameters()
    assert set(light.quantize(model).architecture["light"]) == {"int8"}
    for prune in (light.prune_channels, light.zero_small_weights):
        with pytest.raises(InputError, match="what can be pruned is known for a MaskRCNN only"):
            prune(model, 0.5)


@both
def test_a_loop_without_a_trainer_will_do(kind):
    model, dataset = BUILDERS[kind](min_size=64, max_size=96), ShapesDataset(2, image_size=(64, 96), seed=1)
    loop = Loop(model, dataset, SGD(model.named_parameters(), 0.01), np.random.default_rng(0), batch_size=1)
    assert list(loop.one_step().losses) == model.loss_names


# ---- refusals ----


@pytest.mark.parametrize(("call", "message"), [
    (lambda: semantic_tiny(box_nms_thresh=0.5), "'box_nms_thresh' is no option of this model"),
    (lambda: one_stage_tiny(rpn_nms_thresh=0.5), "'rpn_nms_thresh' is no option of this model"),
    (lambda: semantic_tiny(foo=3), "'foo' is no option of this model; there are min_size, .*, box_detections_per_img$"),
    (lambda: one_stage_tiny(box_nms_tresh=0.5), "the nearest is 'box_nms_thresh'"),
    (lambda: one_stage_tiny(box_nms_thresh=7), "box_nms_thresh must be"),
    (lambda: semantic_tiny(1), "num_classes"),
    (lambda: semantic_tiny(rng=NO_DRAWS).loss_and_grads([], [], 0), "at least one"),
    (lambda: semantic_tiny().loss_and_grads(*non_square_images(), 0, {"loss_mask": 2}), "'loss_mask' is no loss of"),
])
def test_what_cannot_be_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


@both
def test_a_file_of_another_kind_is_refused(kind, tmp_path):
    other = {"semantic": one_stage_tiny, "one stage": semantic_tiny}[kind]
    save(BUILDERS[kind](rng=NO_DRAWS), tmp_path / "model.npz")
    from npmaskrcnn.weights import load_into
    for model in (other(rng=NO_DRAWS), maskrcnn_tiny(rng=NO_DRAWS)):
        with pytest.raises(InputError, match="head"):
            load_into(model, tmp_path / "model.npz")


@both
def test_a_file_may_not_claim_other_classes_than_its_weights_have(kind, tmp_path):
    from npmaskrcnn.weights.rebuild import build
    model = BUILDERS[kind](rng=NO_DRAWS)
    for claimed in (5000, 0, "4", 7):
        with pytest.raises(InputError, match="classes, while cls_logits.bias is of shape"):
            build({**model.architecture, "num_classes": claimed}, model.state_dict())


@both
def test_the_curves_show_the_losses_that_there_are(kind):
    from npmaskrcnn.plots import gradient_curves, loss_curves
    from npmaskrcnn.training.log import log_columns
    model = BUILDERS[kind](rng=NO_DRAWS)
    log = {column: np.ones(3) for column in log_columns(model)}
    label = loss_curves(log, model.num_classes).get_label()
    assert {"semantic": "Four panels", "one stage": "Six panels"}[kind] in label
    assert {"semantic": "the one loss and", "one stage": "the three losses and"}[kind] in label
    parts = {"semantic": 3, "one stage": 4}[kind]       # body, FPN, head; prototypes
    assert f"of {parts} parts of the model" in gradient_curves(log).get_label()
