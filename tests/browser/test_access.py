"""The explorer's page for every hand and eye, in headless Chromium: a finger, a keyboard, a screen reader, by night."""

import shutil

import numpy as np
import pytest

from npmaskrcnn.explore import server as serving
from npmaskrcnn.explore.scene import KINDS
from tests.browser.reading import Paper, asked, canvas, choose, place, rest, rgb, settle, text
from tests.browser.test_explorer import check_against_the_model
from tests.browser.test_panels import paint_stage
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

VEIL_BY_NIGHT, KEPT_BY_NIGHT = "#101215", "#6db1ff"
ENOUGH = 4.5        # contrast of text, WCAG 2.1, AA

BRIGHTNESS = "return document.querySelector('#proposals canvas').getContext('2d').getImageData(8, 8, 1, 1).data[0]"
# Texts that can be seen, with their colors and that of what is behind them, parts that shine through included.
TEXTS = """const number = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
function behind(element) {
    const [r, g, b, a] = number(getComputedStyle(element).backgroundColor);
    if (a === 1) return [r, g, b];
    const below = behind(element.parentElement);
    return [r, g, b].map((part, i) => a * part + (1 - a) * below[i]);
}
return [...document.querySelectorAll('body *')].filter(element => element.checkVisibility()
        && [...element.childNodes].some(({nodeType, data}) => nodeType === 3 && data.trim())
        && !element.closest('[aria-hidden], .unseen, :disabled, option, noscript, .skip'))
    .map(element => [element.textContent.trim().slice(0, 40), number(getComputedStyle(element).color).slice(0, 3),
                     behind(element)]);"""


def contrast(one, other):
    """The contrast of two colors as WCAG has it, 1 to 21."""
    parts = np.array([one, other], float) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    low, high = np.sort(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


# ---- a finger ----


def test_a_finger_drags_a_shape_and_beside_it_scrolls_the_page(page):
    page.size(400, 800)
    settle(page)
    before = page.run("return explorer.stage.scene.shapes")
    page.drag([place(page, 38 + 2 * i, 36 - i) for i in range(9)], pointer="touch")
    settle(page)
    after = page.run("return explorer.stage.scene.shapes")
    assert abs(after[0]["x"] - before[0]["x"] - 16) < 1 and abs(after[0]["y"] - before[0]["y"] + 8) < 1
    assert after[1:] == before[1:] and page.run("return scrollY") == 0
    check_against_the_model(page)
    page.drag([place(page, 118, 90 - 6 * i) for i in range(12)], pointer="touch")
    page.wait("return scrollY > 50")
    assert page.run("return explorer.stage.scene.shapes") == after


def test_a_finger_that_touches_an_object_chooses_it(page):
    page.size(400, 800)
    settle(page)
    for row in (1, 2):
        x1, y1, x2, y2 = page.run("return explorer.look.answer.detections[arguments[0]].box", row)
        at = place(page, (x1 + x2) / 2, y1 + 0.7 * (y2 - y1))
        for _ in range(2):          # touched once more, it stays
            page.drag([at, at], pointer="touch")
            settle(page)
            assert page.run("return [explorer.chosen, explorer.lit]") == [row, row]
    page.run("explorer.choose(explorer.chosen)")
    page.drag([[at[0] + 3 * i, at[1]] for i in range(9)], pointer="touch")      # who drags does not choose
    settle(page)
    assert page.run("return explorer.chosen") is None
    assert page.run("return getComputedStyle(document.querySelector('.enlarge')).display") == "none"


def test_what_is_said_of_a_picture_goes_with_it(page):
    choose(page, "preset", "empty")
    assert "Nothing to be found" in text(page, "#note")
    page.click("[data-add=square]")
    rest(page)
    assert text(page, "#note") == ""


# ---- a keyboard ----


def tab_to(page, selector, most=80):
    """Press Tab until an element has the focus."""
    for _ in range(most):
        page.press("tab")
        if page.run("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_everything_can_be_done_by_keys(page):
    choose(page, "preset", "touching")
    page.run("document.activeElement.blur()")
    tab_to(page, ".shape")
    page.press("right", "right", "down", "+")
    page.press("right", holding="shift")
    settle(page)
    shape = page.run("return explorer.stage.scene.shapes[0]")
    assert (shape["x"], shape["y"], shape["half"]) == (54, 49, 21)
    check_against_the_model(page)
    page.press("delete")
    settle(page)
    assert page.run("return [explorer.stage.scene.shapes.length, document.activeElement.className]") \
        == [1, "shape chosen"]
    tab_to(page, "[data-add=square]")
    page.press("enter")
    settle(page)
    assert page.run("return explorer.stage.scene.shapes.map(({kind}) => kind)") == ["circle", "square"]
    check_against_the_model(page)
    page.run("document.querySelector('.shape').focus()")
    tab_to(page, ".chip")
    row = page.run("return +document.activeElement.dataset.row")
    assert page.run("return explorer.lit") == row           # it lights while it has the focus
    page.press("enter")
    tab_to(page, "button:not(.chip)")
    settle(page)
    assert page.run("return [explorer.chosen, explorer.lit]") == [row, row]
    assert page.run("return document.querySelector('.chip').ariaPressed") == "true"


def test_one_stage_can_be_large(page):
    width = "return document.getElementById(arguments[0]).offsetWidth"
    for panel in page.run("return explorer.panels.map(({name}) => name)"):
        page.run("document.querySelector(arguments[0]).focus()", f"#{panel} .enlarge")
        before = page.run(width, panel)
        page.press("enter")
        assert page.run(width, panel) == page.run(width, "panels") >= before
        assert page.run("return document.activeElement.ariaPressed") == "true"
        page.press("escape")
        assert page.run(width, panel) == before
        assert page.run("return document.activeElement.ariaPressed") == "false"
    page.click("#result .enlarge")
    page.wait("return document.querySelector('#result canvas').width >= 4 * 128")   # and it is drawn as large
    settle(page)
    assert len(np.unique(canvas(page, "#result canvas").reshape(-1, 4), axis=0)) > 100


def test_the_focus_can_be_seen_wherever_it_goes(page):
    page.run("document.activeElement.blur(); window.visited = new Set()")
    where = """const {activeElement: element} = document;
        const marked = element.id === 'file' ? document.querySelector('[for=file]') : element;
        const {outlineStyle, outlineWidth} = getComputedStyle(marked), {width, height} = marked.getBoundingClientRect();
        const old = visited.has(element) || element === document.body;
        visited.add(element);
        return [old, element.outerHTML.slice(0, 80), outlineStyle, parseFloat(outlineWidth), width * height];"""
    while True:
        page.press("tab")
        old, name, style, width, area = page.run(where)
        if old:
            break
        assert style != "none" and width >= 2 and area > 100, name
    missed = page.run("""return [...document.querySelectorAll('a, button, input, select, [tabindex="0"]')]
        .filter(each => !each.disabled && each.checkVisibility() && !each.closest(':disabled') && !visited.has(each))
        .map(each => each.outerHTML.slice(0, 80));""")
    assert missed == []


# ---- a screen reader ----


def test_what_a_screen_reader_hears(page):
    rest(page)
    status = "return document.getElementById('status').textContent"
    assert page.run(status) == text(page, "#said") == "Found: 1 circle, 1 square, 1 triangle."
    assert page.run("""const {role, ariaLive} = document.getElementById('status');
        return [role, ariaLive]""") == ["status", "polite"]
    choose(page, "preset", "empty")
    page.wait(status + " === 'Found: nothing.'")
    choose(page, "preset", "occluded")
    rest(page)
    choose(page, "loss", "loss_mask")
    nodes = page.devtools("Accessibility.getFullAXTree")["nodes"]
    heard = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes
             if not node["ignored"]]
    roles = {"button", "image", "combobox", "slider", "ColorWell", "link", "article", "region", "group"}
    nameless = [(role, name) for role, name in heard if role in roles and not name]
    assert nameless == []
    assert {role for role, _ in heard} >= {"button", "image", "combobox", "slider", "ColorWell", "link", "article"}
    images = [name for role, name in heard if role == "image"]
    assert len(images) == page.run("return document.querySelectorAll('canvas').length") > 25
    assert len(set(images)) == len(images)
    shapes = [name for role, name in heard if role == "button" and " of 2, at " in name]
    assert shapes == ["triangle 1 of 2, at 56, 50, 48 pixels wide", "square 2 of 2, at 78, 60, 30 pixels wide"]


# ---- by day and by night, wide and narrow ----


@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
def test_texts_can_be_read(page, dark):
    page.size(1200, 900, dark=dark)
    page.click(".chip")
    page.run("explorer.complain('Something that went wrong.')")
    page.wait("return document.getAnimations().every(({playState}) => playState === 'finished')")
    texts = page.run(TEXTS)
    assert len(texts) > 100
    assert [(words, color, ground) for words, color, ground in texts if contrast(color, ground) < ENOUGH] == []


@pytest.mark.parametrize("kind", KINDS)
def test_names_on_pictures_can_be_read(page, here, kind):
    scene = {**page.run("return explorer.hello.default_scene"), "shapes": [
        {"kind": kind, "x": 60, "y": 50, "half": 22, "color": [122, 79, 191]}]}
    page.run("explorer.stage.set(arguments[0])", scene)
    settle(page)
    paper = paint_stage(page, *asked(page, here))
    paper.check()
    (words, letters, color), = paper.tags
    assert words.startswith(kind)
    assert max(contrast(each, rgb(color)) for each in np.unique(paper.shown[letters][..., :3].reshape(-1, 3), axis=0)) \
        >= ENOUGH


def test_pictures_change_with_the_light(page, here):
    answer, arrays = asked(page, here)
    by_day = canvas(page, "#proposals figure:nth-child(2) canvas")
    page.size(1200, 900, dark=True)
    page.wait(BRIGHTNESS + " < 200")
    paper = Paper(page, "#proposals figure:nth-child(2) canvas", arrays["image"], 0.6, VEIL_BY_NIGHT)
    for i, row in reversed(list(enumerate(arrays["kept"]))):
        paper.box(arrays["proposals"][i], KEPT_BY_NIGHT, 1.5, 0.12 + 0.75 * arrays["objectness"][arrays["top_k"][row]])
    paper.check()
    page.size(1200, 900)
    page.wait(BRIGHTNESS + " > 200")
    np.testing.assert_array_equal(canvas(page, "#proposals figure:nth-child(2) canvas"), by_day)


@pytest.mark.parametrize("chosen", ["light", "dark"])
def test_a_reader_of_the_book_may_choose_another_light_than_the_system_s(page, server, tmp_path, monkeypatch, chosen):
    shutil.copytree(serving.PAGE, tmp_path / "page")
    index = tmp_path / "page/index.html"
    root = f'<html lang="en" data-theme="{chosen}">'       # as the book's theme.js makes it
    index.write_text(index.read_text(encoding="utf-8").replace('<html lang="en">', root), encoding="utf-8")
    monkeypatch.setattr(serving, "PAGE", tmp_path / "page")
    page.size(1200, 900, dark=chosen == "light")
    page.go(server.address)
    page.wait("return window.explorer?.look")
    settle(page)
    assert page.run("return getComputedStyle(document.body).backgroundColor") == {
        "light": "rgb(244, 242, 236)", "dark": "rgb(20, 22, 26)"}[chosen]
    assert page.run(BRIGHTNESS + " > 200") == (chosen == "light")


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_is_wider_than_the_window(page, width):
    page.size(width, 800)
    for name in (None, *page.run("return explorer.panels.map(({name}) => name)")):
        if name:
            page.run("explorer.panels.find(({name}) => name === arguments[0]).setLarge(true)", name)
        assert page.run("return document.documentElement.scrollWidth <= window.innerWidth")
        # What lies outside on purpose is left out, and the list of names, which may be scrolled.
        beyond = page.run("""return [...document.querySelectorAll('body *')].filter(element =>
            element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1
            && !element.closest('.unseen, .skip, .shapes, .map i, #found > *'))
            .map(element => element.outerHTML.slice(0, 80));""")
        assert beyond == [], name
