"""The explorer's page in headless Chromium: what one moves, chooses and drops there, against the model itself."""

import base64
import dataclasses
import io

import numpy as np
import pytest

from npmaskrcnn.explore.minds import MINDS
from npmaskrcnn.explore.scene import Stage
from npmaskrcnn.shipped import trained_tiny
from tests.browser.conftest import OWN_NAMES
from tests.browser.reading import (MAGMA_TOLERANCE, asked, canvas, canvases, choose, found, magma, pixels, place, rest,
                                   settle, text)
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")


def check_against_the_model(page, model=None):
    """The page shows what a model predicts from the same pixels, and says it."""
    model = model or trained_tiny()
    predicted, shown = model.predict(pixels(page)), found(page)
    assert [each["label"] for each in shown] == predicted.labels.tolist()
    np.testing.assert_allclose([each["score"] for each in shown], predicted.scores, atol=1e-4)
    np.testing.assert_allclose(np.reshape([each["box"] for each in shown], (-1, 4)), predicted.boxes, atol=1e-2)
    labels = predicted.labels[predicted.scores >= 0.5]
    numbers = [(int(np.sum(labels == label)), model.class_names[label]) for label in np.unique(labels)]
    said = ", ".join(f"{number} {name}{'s' * (number > 1 and name not in ('in', 'out'))}" for number, name in numbers)
    assert text(page, "#said") == f"Found: {said or 'nothing'}."
    return predicted


# ---- shapes ----


def test_a_shape_dragged_onto_another_is_seen_as_the_model_sees_it(page):
    choose(page, "preset", "touching")
    before = found(page)
    path = [place(page, 84 - 2 * i, 48 + i / 4) for i in range(13)]
    page.drag(path)
    settle(page)
    moved = page.run("return explorer.stage.scene.shapes[1]")
    assert abs(moved["x"] - 60) < 1 and abs(moved["y"] - 51) < 1
    assert found(page) != before
    check_against_the_model(page)


def test_a_shape_is_resized_by_its_corner_and_changed_by_the_tools(page):
    choose(page, "preset", "touching")
    page.drag([place(page, 44, 48), place(page, 44, 48)])           # taken, and let go
    page.drag([place(page, 64, 68), place(page, 58, 60)])
    settle(page)
    shape = page.run("return explorer.stage.scene.shapes[0]")
    assert (shape["x"], shape["y"]) == (44, 48) and abs(shape["half"] - 14) < 1
    check_against_the_model(page)
    for name, value in (("Color", "#2e8a58"), ("Size", 36)):
        page.run("""const [name, value] = arguments, all = [...document.querySelectorAll('#tools label')];
            const input = all.find(({textContent}) => textContent.trim() === name).querySelector('input');
            input.value = value;
            input.dispatchEvent(new Event('input', {bubbles: true}));""", name, value)
    settle(page)
    assert page.run("const {color, half} = explorer.stage.scene.shapes[0]; return [color, half]") == [[46, 138, 88], 18]
    np.testing.assert_allclose(pixels(page)[48, 44], (46, 138, 88), atol=40)        # and noise
    check_against_the_model(page)


def use_tool(page, group, name, value=None):
    """Press a button beside the stage, or move its slider or choose its color: a group of tools, and what it says."""
    page.run("""const [group, name, value] = arguments;
        const set = [...document.querySelectorAll('#tools fieldset')].find(
            each => each.querySelector('legend').textContent.startsWith(group));
        const tool = [...set.querySelectorAll('label, button')].find(each => each.textContent.trim() === name);
        if (value === null) return tool.click();
        tool.control.value = value;
        tool.control.dispatchEvent(new Event('input', {bubbles: true}));""", group, name, value)
    settle(page)


def check_scene(page, here, scene):
    """The page holds a scene, shows it as Python paints it, and says what Python finds there; return the picture."""
    assert page.run("return explorer.stage.scene") == scene
    answer, arrays = asked(page, here)
    np.testing.assert_array_equal(pixels(page), arrays["image"])
    assert [each["label"] for each in found(page)] == [each["label"] for each in answer["detections"]]
    for part, tolerance in (("score", 1e-4), ("box", 1e-2)):
        np.testing.assert_allclose([each[part] for each in found(page)],
                                   [each[part] for each in answer["detections"]], atol=tolerance)
    return arrays["image"].astype(float)


def test_a_shape_behind_comes_to_the_front_and_takes_another_color(page, here):
    choose(page, "preset", "occluded")
    scene = page.run("return explorer.stage.scene")
    before = check_scene(page, here, scene)
    page.run("document.querySelector('.shape').focus()")            # the one behind
    shown = "return document.querySelector('#tools input[type=color]').value"
    assert page.run(shown) == "#2e8a58" and scene["shapes"][0]["color"] == [46, 138, 88]
    use_tool(page, "Chosen shape", "To front")
    scene["shapes"].reverse()
    brought = check_scene(page, here, scene)
    covered = np.abs(brought - before).max(axis=2) > 50             # until now; the noise is the same
    np.testing.assert_allclose(np.median(before[covered], axis=0), scene["shapes"][0]["color"], atol=5)
    np.testing.assert_allclose(np.median(brought[covered], axis=0), (46, 138, 88), atol=5)
    use_tool(page, "Chosen shape", "Color", "#e2ba34")              # it is still the chosen one
    scene["shapes"][1]["color"] = [226, 186, 52]
    np.testing.assert_allclose(np.median(check_scene(page, here, scene)[covered], axis=0), (226, 186, 52), atol=5)
    assert page.run(shown) == "#e2ba34"


def test_the_grounds_color_its_noise_and_its_grain(page, here):
    scene = page.run("return explorer.stage.scene")
    check_scene(page, here, scene)
    use_tool(page, "Ground", "Color", "#204080")
    scene["background"] = [32, 64, 128]
    np.testing.assert_allclose(np.median(check_scene(page, here, scene)[:8], axis=(0, 1)), (32, 64, 128), atol=2)
    use_tool(page, "Ground", "Noise", 0)
    scene["noise"] = 0
    assert (check_scene(page, here, scene)[:8] == (32, 64, 128)).all()
    use_tool(page, "Ground", "Noise", 0.05)
    scene["noise"] = 0.05
    noisy = check_scene(page, here, scene)
    assert 10 < noisy[:8].std(axis=(0, 1)).mean() < 15              # 0.05 of 255 is 12.75
    use_tool(page, "Ground", "Other grain")
    scene["seed"] += 1
    other = check_scene(page, here, scene)
    assert abs(np.corrcoef(noisy[:8, :, 0].ravel(), other[:8, :, 0].ravel())[0, 1]) < 0.2


def test_a_picture_drawn_by_lot_is_that_of_its_seed(page, here):
    choose(page, "preset", "touching")
    seeds = []
    for _ in range(2):
        before = page.run("return explorer.stage.scene.seed")
        page.click("#lot")
        page.wait("return String(explorer.stage.scene.seed) !== arguments[0]", ",".join(map(str, np.ravel(before))))
        settle(page)
        seeds.append(page.run("return explorer.stage.scene.seed"))
        scene = here.answer({"ask": "draw", "seed": seeds[-1][0]})[0]["scene"]
        drawn = check_scene(page, here, scene)
        assert page.run("return document.getElementById('preset').value") == ""
    assert seeds[0] != seeds[1]
    use_tool(page, "Ground", "Other grain")
    other = check_scene(page, here, {**scene, "seed": 0})
    assert not np.array_equal(other, drawn)


def test_one_answer_draws_all_panels(page):
    page.run("""window.asked = [];
        const {transport} = explorer, ask = transport.ask.bind(transport);
        transport.ask = (request, blob) => { asked.push(request.ask); return ask(request, blob); };""")
    row = page.run("return explorer.shown.at(-1)")
    page.run("explorer.choose(arguments[0])", row)
    page.wait("return explorer.region?.answer.detection === arguments[0] && !explorer.line.busy", row)
    assert page.run("return asked.splice(0)") == ["roi"]
    page.run("document.querySelector('.shape').focus()")
    page.press("right")
    settle(page)
    assert page.run("return asked") == ["look"]
    assert page.run("""return explorer.region.answer.detection === explorer.chosen
        && explorer.region.lookNumber === explorer.look.answer.look""")


# ---- pictures to begin with, and who looks ----


def test_every_preset_is_seen_as_the_model_sees_it(page, here):
    notes = {}
    for preset in here.answer({"ask": "hello"})[0]["presets"]:
        choose(page, "preset", preset["name"])
        np.testing.assert_array_equal(pixels(page), Stage(preset["scene"])[0][0])
        check_against_the_model(page)
        notes[preset["name"]] = text(page, "#note")
        assert page.run("return document.getElementById('error').hidden")
    assert [name for name, note in notes.items() if note.startswith("This model knows shapes")] == ["ring"]


def test_an_empty_image_has_nothing_to_be_found(page, here):
    choose(page, "preset", "empty")
    assert text(page, "#said") == "Found: nothing." and found(page) == []
    answer, arrays = asked(page, here)
    assert answer["counts"]["proposals"] > 0 and answer["counts"]["candidates"] == 0
    assert text(page, "#region .facts").startswith(f"Proposal 0 of {answer['counts']['proposals']}")
    assert text(page, "#masks .facts") == "Masks are painted for detections only, and this region is none."
    assert text(page, "#candidates .facts") == "0 candidates: 0 stay as detections, 0 are dropped."
    assert text(page, "#history") == text(page, "#error") == ""
    assert page.run("return document.querySelectorAll('#found li').length") == 0


def test_thresholds_of_the_sliders_are_the_models(page):
    choose(page, "preset", "merged")
    model = trained_tiny()
    assert [each for each in found(page) if each["score"] >= 0.5] == [found(page)[0]]
    choose(page, "box-nms", 0.7)
    model.config = dataclasses.replace(model.config, box_nms_thresh=0.7)
    check_against_the_model(page, model)
    assert text(page, "#said") == "Found: 2 squares."
    choose(page, "rpn-nms", 0.3)
    choose(page, "score-threshold", 0.2)
    assert page.run("return explorer.look.answer.thresholds") == {"score_threshold": 0.2, "rpn_nms": 0.3,
                                                                  "box_nms": 0.7}
    model.config = dataclasses.replace(model.config, rpn_nms_thresh=0.3, box_score_thresh=0.2)
    check_against_the_model(page, model)
    scores = [each["score"] for each in found(page)]
    choose(page, "shown-score", 0.995)
    assert page.run("return document.querySelectorAll('#found li').length") == sum(each >= 0.995 for each in scores)


@pytest.mark.filterwarnings("ignore:predicting with random weights")
def test_every_mind_looks(page, here):
    models = here.answer({"ask": "hello"})[0]["models"]
    assert {each["name"] for each in models} == {*MINDS, "own"}
    choose(page, "preset", "occluded")
    for each in models:
        choose(page, "model", each["name"])
        assert page.run("return explorer.look.answer.model") == each["name"]
        model = here.minds.get(each["name"])
        if each["task"] == "rings":
            assert text(page, "#note").startswith("This model has never seen shapes")
            choose(page, "preset", "ring")
        predicted = check_against_the_model(page, model)
        assert not text(page, "#note").startswith("This model has never seen")
        answer, arrays = asked(page, here)
        for level in (*answer["body_levels"], *answer["levels"]):
            shown = canvas(page, f"#maps-{level['name'][0]} [data-map={level['name']}]")
            np.testing.assert_array_equal(shown[..., :3], arrays[level["name"]])
        if (predicted.scores >= 0.5).any():
            masks = here.answer({"ask": "roi", "detection": 0})[1]["masks"]
            shown = canvases(page, [f"#masks figure:nth-child({i + 1}) canvas" for i in range(len(masks))])
            np.testing.assert_allclose([each[..., :3] for each in shown], magma(masks), atol=MAGMA_TOLERANCE)
        said = text(page, "#region .facts")
        assert said.endswith("(RoIPool)." if each["name"] == "roi_pool" else "each patch cell the mean of four.")
    assert [text(page, f"#candidates option:nth-child({i + 1})") for i in range(1, 4)] == OWN_NAMES[1:]


# ---- which pixels matter ----


def test_the_gradient_is_drawn_and_changes_nothing(page, here):
    before = found(page)
    scene = page.run("return explorer.stage.scene")
    for loss in ("loss_mask", "loss_total"):
        choose(page, "loss", loss)
        page.wait("return document.getElementById('gradient').dataset.shown === arguments[0]", loss)
        answer, arrays = here.answer({"ask": "gradient", "scene": scene, "loss": loss})
        shown = canvas(page, "#gradient canvas")[..., :3]
        side = shown.shape[1] // 128
        expected = magma(np.sqrt(arrays["gradient"]), 0, answer["high"] ** 0.5).repeat(side, 0).repeat(side, 1)
        np.testing.assert_allclose(shown, expected, atol=MAGMA_TOLERANCE)
        assert shown.max() > 250
        assert text(page, "#gradient .facts").startswith(f"The loss is {answer['losses'][loss]:.3f};")
    assert found(page) == before
    page.run("document.querySelector('.shape').focus()")
    page.press("right")             # it follows when the hand rests
    rest(page)
    assert not np.array_equal(canvas(page, "#gradient canvas")[..., :3], shown)


# ---- pictures of one's own ----


def png(picture):
    """A picture as the bytes of a file, in text."""
    from PIL import Image
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def drop(page, *files):
    """Drop files onto the stage, one after the other; each as base64 text."""
    page.run("""for (const content of arguments[0]) {
        const file = new File([Uint8Array.from(atob(content), each => each.charCodeAt(0))], 'dropped.png');
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(file);
        for (const kind of ['dragover', 'drop']) {
            const event = new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true});
            if (document.getElementById('stage').dispatchEvent(event) && kind === 'dragover') throw 'not taken';
        }
    }""", files)


def test_a_picture_of_ones_own_is_the_ground(page, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    (tmp_path / "picture.png").write_bytes(base64.b64decode(png(picture)))
    page.send("#file", str(tmp_path / "picture.png"))
    page.wait("return explorer.stage.scene.picture !== null")
    settle(page)
    np.testing.assert_array_equal(pixels(page), picture)


def test_a_dropped_picture_is_the_ground_and_shapes_lie_on_it(page):
    one, other = np.random.default_rng(0).integers(0, 256, (2, 72, 128, 3), dtype=np.uint8)
    drop(page, png(one))
    page.wait("return explorer.stage.scene.picture !== null")
    settle(page)
    np.testing.assert_array_equal(pixels(page), one)
    check_against_the_model(page)
    number = page.run("return explorer.stage.scene.picture")
    drop(page, png(one), png(other))            # the newest counts
    page.wait("return explorer.stage.scene.picture === arguments[0] + 2", number)
    settle(page)
    np.testing.assert_array_equal(pixels(page), other)
    page.click("[data-add=circle]")
    settle(page)
    scene = page.run("return explorer.stage.scene")
    assert len(scene["shapes"]) == 1
    np.testing.assert_array_equal(pixels(page), Stage({**scene, "picture": 1}, {1: other})[0][0])
    check_against_the_model(page)


def test_a_file_that_is_no_picture_is_refused_in_a_line(page):
    before = pixels(page)
    drop(page, base64.b64encode(b"no picture at all").decode())
    page.wait("return !document.getElementById('error').hidden")
    said = text(page, "#error")
    assert "the picture" in said and "\n" not in said and len(said) < 200
    np.testing.assert_array_equal(pixels(page), before)
    page.run("document.querySelector('.shape').focus()")
    page.press("right")
    settle(page)
    assert page.run("return document.getElementById('error').hidden")
    check_against_the_model(page)
