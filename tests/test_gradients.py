"""The gradient of the whole model, checked by differences.

Matches, samples, proposals and targets are decisions, and backward treats them as constants. So they are
taken once (a `TrainingPlan`) and held fixed while each parameter tensor is moved a little, up and down,
in a random direction; the change of the loss must be what the gradient says.
"""

import numpy as np
import pytest

from npmaskrcnn import fasterrcnn_tiny, maskrcnn_tiny, ops
from npmaskrcnn.datasets import ShapesDataset
from npmaskrcnn.network import LOSS_NAMES
from npmaskrcnn.nn import Notes
from npmaskrcnn.stages.transform import resize_target
from npmaskrcnn.structures import Target

# A step must be small, or ReLUs and max-pools change sides on the way (the loss has kinks, thousands of them), and
# large, or rounding (1e-16 * loss / step) drowns the difference. Which step is between the two differs from tensor to
# tensor, so these are tried in turn until one agrees; a wrong gradient agrees with none, which is tested below.
STEPS = (1e-7, 1e-6, 1e-8, 1e-5)
TOLERANCE = 1e-5
# All parts of the tiny model, with few channels and no two numbers of them alike.
NARROW = dict(widths=(6, 7, 9, 11), fpn_channels=8, representation_size=13, mask_layers=(10, 5))
UNEVEN_WEIGHTS = dict(zip(LOSS_NAMES, (1.0, 0.7, 1.3, 0.9, 1.1)))   # no two losses can be swapped unnoticed


def small_model(build=maskrcnn_tiny, dimensions=NARROW, **config):
    """A narrow tiny model in float64, away from the symmetric start (biases 0, norms 1)."""
    rng = np.random.default_rng(4)
    options = dict(min_size=64, max_size=112, rpn_post_nms_top_n_train=40, box_batch_size_per_image=16)
    model = build(rng=rng, dimensions=dimensions, **{**options, **config}).astype(np.float64)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.03, parameter.data.shape)
    return model


def non_square_images():
    dataset = ShapesDataset(2, image_size=((60, 90), (70, 110)), seed=11, min_objects=2)
    images, targets = zip(*[dataset[i] for i in range(2)])
    assert all(image.shape[0] != image.shape[1] and len(target) > 1 for image, target in zip(images, targets))
    return list(images), list(targets)


def no_objects():
    images, _ = non_square_images()
    height, width = images[0].shape[:2]
    return images[:1], [Target(np.zeros((0, 4)), np.zeros(0, int), np.zeros((0, height, width), bool))]


def planned(model, images, targets, seed=0):
    """Return what a training pass decides: the batch and the plan."""
    rng = np.random.default_rng(seed)
    batch = model.transform.forward([image / 255.0 for image in images], model.dtype, rng)
    input_targets = [resize_target(target, size) for target, size in zip(targets, batch.image_sizes)]
    trunk = model.forward_trunk(batch.images, Notes())
    return batch.images, model.make_plan(trunk, batch.image_sizes, input_targets, rng)


def losses_of(model, images, plan, notes):
    return model.losses_for(model.forward_trunk(images, notes), plan, notes)


def weighted_loss(model, images, plan, batch_statistics=True):
    losses = losses_of(model, images, plan, Notes(batch_statistics))
    return sum(UNEVEN_WEIGHTS[name] * loss for name, loss in losses.items())


def check_all_gradients(model, images, plan, only=None, batch_statistics=True):
    """Compare every parameter's gradient (or one), and the images', with differences along a random direction."""
    model.zero_grad()
    notes = Notes(batch_statistics)
    losses_of(model, images, plan, notes)
    dimages = model.backward(UNEVEN_WEIGHTS, notes, need_dimages=True)
    tensors = [(name, p.data, np.zeros_like(p.data) if p.grad is None else p.grad)
               for name, p in model.named_parameters()] + [("images", images, dimages)]
    rng = np.random.default_rng(7)
    for name, value, gradient in tensors if only is None else [t for t in tensors if t[0] in only]:
        direction = rng.normal(size=value.shape)
        direction /= np.linalg.norm(direction)
        expected = float((gradient * direction).sum())
        # Relative to the derivative that a random direction has on average, so that a direction that happens
        # to be nearly level is not held to a precision that differences do not have; and rounding for a zero.
        typical = max(np.linalg.norm(gradient) / np.sqrt(gradient.size), 1e-4)
        for step in STEPS:
            measured = difference(value, step * direction,
                                  lambda: weighted_loss(model, images, plan, batch_statistics)) / (2 * step)
            if abs(measured - expected) <= TOLERANCE * max(abs(expected), typical):
                break
        else:
            raise AssertionError(f"{name}: gradient says {expected}, differences say {measured}")


def difference(value, move, loss):
    """Return ``loss(value + move) - loss(value - move)``, leaving `value` as it was."""
    start = value.copy()
    value += move
    above = loss()
    value[...] = start - move
    below = loss()
    value[...] = start
    return above - below


def test_every_parameter_of_the_model_on_two_non_square_images():
    model = small_model()
    images, plan = planned(model, *non_square_images())
    assert len(plan.rois.mask_labels) > 2 and plan.anchors.num_positives > 2
    check_all_gradients(model, images, plan)


def test_every_parameter_of_a_model_without_a_mask_branch():
    model = small_model(fasterrcnn_tiny, {name: size for name, size in NARROW.items() if name != "mask_layers"})
    images, plan = planned(model, *non_square_images())
    assert (plan.rois.labels > 0).any() and plan.anchors.num_positives > 2
    check_all_gradients(model, images, plan)


def test_the_norms_and_their_neighbors_on_stored_statistics():
    model = small_model()
    images, plan = planned(model, *non_square_images())     # moves the statistics away from their start, too
    names = ["images", *(name for name, p in model.named_parameters() if p.data.ndim == 1)][::3]
    assert sum(".bn" in name or ".1." in name for name in names) > 10
    check_all_gradients(model, images, plan, only=names, batch_statistics=False)


def test_every_parameter_on_an_image_without_objects():
    model = small_model()
    images, plan = planned(model, *no_objects())
    assert plan.anchors.num_positives == 0 and len(plan.rois.mask_labels) == 0 and len(plan.rois.labels) > 0
    check_all_gradients(model, images, plan)


def test_every_parameter_with_no_positive_roi_at_all():
    # With no room for a positive in the sample, every sampled RoI is background though there are objects.
    model = small_model(box_positive_fraction=0.0)
    images, plan = planned(model, *non_square_images())
    assert plan.anchors.num_positives > 0 and len(plan.rois.mask_labels) == 0 and not plan.rois.labels.any()
    check_all_gradients(model, images, plan)


@pytest.mark.parametrize("part", ["backbone.fpn.layer_blocks.1.0.weight", "rpn.head.conv.0.0.bias",
                                  "roi_heads.mask_predictor.conv5_mask.weight"])
def test_the_check_sees_a_wrong_gradient(part, monkeypatch):
    model = small_model()
    images, plan = planned(model, *non_square_images())
    parameter = dict(model.named_parameters())[part]
    add_grad = parameter.add_grad
    monkeypatch.setattr(parameter, "add_grad", lambda dvalue: add_grad(dvalue * 1.001))
    with pytest.raises(AssertionError, match=part):
        check_all_gradients(model, images, plan, only=[part])


def test_loss_and_grads_gives_the_plans_losses_and_gradients():
    model = small_model()
    images, targets = non_square_images()
    losses, dimages = model.loss_and_grads(images, targets, np.random.default_rng(0), UNEVEN_WEIGHTS,
                                           return_dimages=True)
    gradients = model.grad_dict()
    batch, plan = planned(model, images, targets)
    model.zero_grad()
    notes = Notes()
    with ops.whole_pass(batch.size, training=True):     # as there: a sum over pixels is rounded otherwise in two halves
        expected = losses_of(model, batch, plan, notes)
        model.backward(UNEVEN_WEIGHTS, notes)
    assert losses == {name: float(value) for name, value in expected.items()}
    for name, gradient in model.grad_dict().items():
        np.testing.assert_array_equal(gradients[name], gradient)
    assert [d.shape for d in dimages] == [image.shape for image in images]


def test_the_gradient_by_the_given_images_goes_back_through_the_resize():
    model = small_model(min_size=50)
    images, targets = non_square_images()
    images = [image / 255.0 for image in images]
    _, dimages = model.loss_and_grads(images, targets, np.random.default_rng(0), UNEVEN_WEIGHTS, return_dimages=True)
    _, plan = planned(model, [image * 255.0 for image in images], targets)
    rng = np.random.default_rng(1)
    for i, image in enumerate(images):
        direction = dimages[i] / np.linalg.norm(dimages[i]) + rng.normal(size=image.shape) / np.sqrt(image.size)
        expected = float((dimages[i] * direction).sum())
        for step in STEPS:      # as above; the gradient's own direction makes the derivative large
            def loss(moved):
                batch = model.transform.forward(images[:i] + [moved] + images[i + 1:], model.dtype)
                return weighted_loss(model, batch.images, plan)
            measured = (loss(image + step * direction) - loss(image - step * direction)) / (2 * step)
            if abs(measured - expected) < TOLERANCE * abs(expected):
                break
        else:
            raise AssertionError(f"image {i}: gradient says {expected}, differences say {measured}")
