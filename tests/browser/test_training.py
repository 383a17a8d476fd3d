"""Training live on the page, in headless Chromium: it is the package's own training, and one can take hold of it."""

import numpy as np
import pytest

from npmaskrcnn.explore.live import LiveTraining
from npmaskrcnn.explore.minds import untrained
from npmaskrcnn.explore.scene import Stage
from npmaskrcnn.ops import box_iou
from tests.browser.reading import canvas, choose, found, pixels, place, rgb, settle, text
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

LINES = {"loss_classifier": "#D55E00", "loss_box_reg": "#E69F00", "loss_mask": "#009E73", "loss_objectness": "#0072B2",
         "loss_rpn_box_reg": "#56B4E9", "loss_total": "#8a8a8a"}       # in the order of drawing
STEPS = "return +document.getElementById('training').dataset.steps"
STOPPED = "return document.getElementById('training').dataset.running === 'false'"


def stop(page):
    """Stop the training; return the number of its steps and the losses."""
    page.click("#train-go")
    page.wait(STOPPED)
    settle(page)
    return page.run(STEPS), page.run("return explorer.training.losses")


def check_losses(losses, training):
    """The page's losses are those of a training in Python."""
    assert losses.keys() == LINES.keys()
    for name, expected in training.losses.items():
        np.testing.assert_allclose(losses[name], expected, rtol=1e-5)
    np.testing.assert_allclose(losses["loss_total"], np.sum(list(training.losses.values()), axis=0), rtol=1e-5)


def check_curve(page, losses):
    """Where a loss was after a step, there is its color, unless one that is drawn later covers it."""
    shown = canvas(page, "#training .curve").astype(float)
    height, width, _ = shown.shape
    numbers = np.array([losses[name] for name in LINES])
    steps, high = numbers.shape[1], max(1, numbers.max())
    at_x, at_y = 26 + (width - 26) * np.arange(1, steps + 1) / steps, height - 16 - (height - 24) * numbers / high
    for i, color in enumerate(LINES.values()):
        free = np.abs(at_y[i + 1:] - at_y[i]).min(axis=0, initial=np.inf) > 4
        assert free.any()
        for x, y in zip(at_x[free], at_y[i][free]):
            near = shown[max(0, round(y) - 2):round(y) + 2, min(int(np.ceil(x)), width - 1)]
            inked = near[near[:, 3] > 60, :3]
            assert len(inked) and np.abs(inked - rgb(color)).max(axis=1).min() < 40, (list(LINES)[i], x, y, near)
    assert (shown[:7, 30:] == 0).all()          # nothing is higher than the highest
    said = page.run("return [...document.querySelectorAll('#training .legend li')].map(each => each.textContent)")
    assert [each.split()[-1] for each in said] == [f"{losses[name][-1]:.2f}" for name in LINES]


@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_a_training_is_pythons_own_and_goes_on_and_begins_again(page):
    choose(page, "preset", "touching")
    training = LiveTraining(untrained())
    image, truth = Stage(page.run("return explorer.stage.scene")).painted(training.model.class_names)
    page.click("#train-start")
    page.wait(STEPS + " >= 6", seconds=60)
    steps, losses = stop(page)
    training.go(image, truth.target(), steps)
    check_losses(losses, training)
    check_curve(page, losses)
    assert page.run("return [explorer.look.answer.model, document.getElementById('model').value]") == ["training"] * 2
    predicted = training.model.predict(pixels(page))
    np.testing.assert_allclose([each["score"] for each in found(page)], predicted.scores, atol=2e-4)

    page.click("#train-go")                     # on it goes
    page.wait(STEPS + " >= arguments[0]", steps + 3, seconds=60)
    more, losses = stop(page)
    training.go(image, truth.target(), more - steps)
    check_losses(losses, training)
    assert text(page, "#training .facts") == f"{more} steps on the shapes of the stage."

    page.click("#train-reset")
    page.wait(STEPS + " === 0")
    settle(page)
    assert page.run("return explorer.training.losses") == {name: [] for name in LINES}
    shown = canvas(page, "#training .curve").astype(float)
    assert all((np.abs(shown - [*rgb(color), 255]).max(axis=2) > 40).all() for color in LINES.values())
    training.reset()
    scores = training.model.predict(pixels(page)).scores
    np.testing.assert_allclose([each["score"] for each in found(page)], scores, atol=2e-4)


def test_a_model_in_training_finds_the_shapes_and_looks_at_those_that_are_moved(page):
    choose(page, "preset", "touching")
    page.click("#train-start")
    page.wait("""return explorer.look.answer.model === 'training'
        && /^Found: . circles?[.]$/.test(document.getElementById('said').textContent);""", seconds=90)
    assert 20 < page.run(STEPS) < 60
    truth = [each["box"] for each in page.run("return explorer.look.answer.truth")]
    assert box_iou(np.array([found(page)[0]["box"]]), np.array(truth)).max() > 0.5
    page.drag([place(page, 84 + i, 48 + 2 * i) for i in range(11)])
    assert not page.run(STOPPED)
    page.wait("return Math.abs(explorer.look.answer.truth[1].box[1] - 48) < 2", seconds=60)     # its upper edge
    steps = page.run(STEPS)
    page.wait(STEPS + " > arguments[0]", steps, seconds=60)
    np.testing.assert_array_equal(pixels(page), Stage(page.run("return explorer.stage.scene"))[0][0])

    choose(page, "model", "finished")           # who looks with another model has stopped
    assert page.run(STOPPED)
    steps = page.run(STEPS)
    assert page.run("return explorer.look.answer.model") == "finished" and text(page, "#said") == "Found: 2 circles."
    page.run("document.querySelector('.shape').focus()")
    page.press("right")
    settle(page)
    assert page.run(STEPS) == steps == page.run("return explorer.training.losses.loss_total.length")
