"""The explorer's page in headless Chromium: what one moves, chooses and reads there, against the model itself."""

import json
import threading

import numpy as np
import pytest

from npmaskrcnn.explore import Explorer
from npmaskrcnn.explore.server import Server
from npmaskrcnn.shipped import trained_tiny
from tests.browser.webdriver import open_browser, programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

AT_REST = "return document.body.dataset.rest === 'yes'"
PIXELS = """const {base} = explorer, {data} = base.getContext('2d').getImageData(0, 0, base.width, base.height);
return [base.width, base.height, [...data]];"""


@pytest.fixture(scope="module")
def server():
    with Server(Explorer()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(server, chromium):
    """The page at rest, fresh; afterwards it must not have complained, nor asked another host."""
    chromium.complaints(), chromium.traffic()
    chromium.size(1200, 900)
    chromium.go(server.address)
    rest(chromium)
    yield chromium
    assert chromium.complaints() == []
    assert {address for address in chromium.traffic() if not address.startswith(
        (server.address, "data:", "blob:", "chrome:"))} == set()    # chrome: is the browser's own first page


def rest(page):
    page.wait(AT_REST)


def pixels(page):
    width, height, flat = page.run(PIXELS)
    return np.array(flat, np.uint8).reshape(height, width, 4)[:, :, :3]


def found(page):
    return json.loads(page.run("return document.getElementById('found').dataset.detections"))


def place(page, x, y):
    """Where a point of the scene is in the window."""
    return page.run("""const {left, top, width, height} = document.getElementById('stage').getBoundingClientRect();
        const {scene} = explorer.stage;
        return [left + arguments[0] / scene.width * width, top + arguments[1] / scene.height * height];""", x, y)


def choose(page, identity, value):
    page.run("""const element = document.getElementById(arguments[0]);
        element.value = arguments[1];
        for (const kind of ['input', 'change']) element.dispatchEvent(new Event(kind, {bubbles: true}));""",
             identity, value)
    page.wait("return explorer.line.waiting.size === 0 && !explorer.line.busy")
    rest(page)


def check_against_the_model(page, model=None):
    """The page shows what a model predicts from the same pixels."""
    model = model or trained_tiny()
    predicted, shown = model.predict(pixels(page)), found(page)
    assert [each["label"] for each in shown] == predicted.labels.tolist()
    np.testing.assert_allclose([each["score"] for each in shown], predicted.scores, atol=1e-4)
    np.testing.assert_allclose([each["box"] for each in shown], predicted.boxes, atol=1e-2)


def test_a_shape_dragged_onto_another_is_seen_as_the_model_sees_it(page):
    choose(page, "preset", "touching")
    before = found(page)
    path = [place(page, 84 - 2 * i, 48 + i / 4) for i in range(13)]
    page.drag(path)
    rest(page)
    moved = page.run("return explorer.stage.scene.shapes[1]")
    assert abs(moved["x"] - 60) < 1 and abs(moved["y"] - 51) < 1
    assert found(page) != before
    check_against_the_model(page)


def test_shapes_are_moved_resized_and_removed_by_keys(page):
    choose(page, "preset", "touching")
    page.run("document.querySelector('.shape').focus()")
    page.press("right", "right", "down", "+")
    page.press("right", holding="shift")
    rest(page)
    shape = page.run("return explorer.stage.scene.shapes[0]")
    assert (shape["x"], shape["y"], shape["half"]) == (54, 49, 21)
    check_against_the_model(page)
    page.press("delete")
    rest(page)
    assert page.run("return [explorer.stage.scene.shapes.length, document.activeElement.className]") \
        == [1, "shape chosen"]
    assert page.run("return document.getElementById('said').textContent") == "Found: 1 circle."


def test_maps_hold_what_the_trace_holds(page, server):
    arrays = server.desk.explorer._last.arrays()
    drawn = """const canvas = document.querySelector(`[data-map=${arguments[0]}]`);
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.height, canvas.width, [...data]];"""
    for name in ("C2", "C3", "C4", "C5", "P3", "P6"):
        height, width, flat = page.run(f"window.scope = document.getElementById('maps-{name[0]}'); " + drawn.replace(
            "document.query", "scope.query"), name)
        np.testing.assert_array_equal(np.array(flat, np.uint8).reshape(height, width, 4)[:, :, :3], arrays[name])


def test_one_answer_draws_all_panels(page):
    page.run("""window.asked = [];
        const {transport} = explorer, ask = transport.ask.bind(transport);
        transport.ask = (request, blob) => { asked.push(request.ask); return ask(request, blob); };""")
    row = page.run("return explorer.look.answer.detections.length - 1")
    page.run("explorer.choose(arguments[0])", row)
    page.wait("return explorer.region?.answer.detection === arguments[0] && !explorer.line.busy", row)
    assert page.run("return asked.splice(0)") == ["roi"]
    page.run("document.querySelector('.shape').focus()")
    page.press("right")
    rest(page)
    assert page.run("return asked") == ["look"]
    assert page.run("""return explorer.region.answer.detection === explorer.chosen
        && explorer.region.of === explorer.look.answer.look""")


def test_a_chosen_detection_lights_its_history(page):
    page.click(".chip")
    history = page.run("return explorer.look.answer.detections[0].history")
    assert page.run("return document.getElementById('history').textContent").count(f"proposal {history['roi'] + 1}")
    lit = page.run("return [...document.querySelectorAll('#maps-P .map i:not(.box)')].map(cell => !cell.hidden)")
    assert lit.index(True) == history["level"] and sum(lit) == 1


def test_thresholds_of_the_sliders_are_the_models(page):
    choose(page, "preset", "merged")
    merged = len([each for each in found(page) if each["score"] >= 0.5])
    choose(page, "box-nms", 0.7)
    assert len([each for each in found(page) if each["score"] >= 0.5]) > merged
    choose(page, "rpn-nms", 0.3)
    assert page.run("return explorer.look.answer.thresholds") == {"score_threshold": 0.05, "rpn_nms": 0.3,
                                                                  "box_nms": 0.7}


@pytest.mark.parametrize("steps", [100, 400])
def test_another_mind_looks(page, steps):
    choose(page, "model", f"step-{steps}")
    check_against_the_model(page, trained_tiny(steps))


def test_the_gradient_is_drawn_and_changes_nothing(page):
    before = found(page)
    choose(page, "loss", "loss_mask")
    page.wait("return document.getElementById('gradient').dataset.shown === 'loss_mask'")
    shown = page.run("return [...explorer.panels.find(({name}) => name === 'gradient').outcome.arrays.gradient.data]")
    bright = np.argmax(shown)
    color = page.run("""const canvas = document.querySelector('#gradient canvas'), side = canvas.width / 128;
        const [x, y] = [arguments[0] % 128, Math.floor(arguments[0] / 128)].map(at => (at + .5) * side);
        return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data];""", int(bright))
    assert color == [252, 253, 191, 255]        # the brightest that there is
    assert "The loss is" in page.run("return document.querySelector('#gradient .facts').textContent")
    assert found(page) == before


def test_a_training_goes_on_stops_and_begins_again(page):
    choose(page, "preset", "touching")
    page.click("#train-start")
    page.wait("return +document.getElementById('training').dataset.steps >= 3", seconds=60)
    page.click("#train-go")
    page.wait("return document.getElementById('training').dataset.running === 'false'")
    rest(page)
    assert page.run("return explorer.look.answer.model") == "training"
    page.click("#train-reset")
    page.wait("return document.getElementById('training').dataset.steps === '0'")


def test_a_picture_of_ones_own_is_the_ground(page, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    page.send("#file", str(tmp_path / "picture.png"))
    page.wait("return explorer.stage.scene.picture !== null")
    rest(page)
    np.testing.assert_array_equal(pixels(page), picture)


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_is_wider_than_the_window(page, width):
    page.size(width, 800)
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
