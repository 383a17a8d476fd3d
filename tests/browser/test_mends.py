"""The page's own logic in headless Chromium: what waits for an answer, who points at what, and where the focus goes."""

import pytest

from tests.browser.reading import choose, place, rest, settle, text
from tests.browser.test_explorer import drop, png
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

# Answers come as late as a test wants: `hold(kind)`, `free(kind)`; `asked` lists what has been asked.
HOLD = """
window.asked = [];
const {transport} = explorer, ask = transport.ask.bind(transport), held = new Map();
window.hold = kind => { let free; held.set(kind, {wait: new Promise(resolve => { free = resolve; }), free}); };
window.free = kind => { held.get(kind).free(); held.delete(kind); };
transport.ask = async (request, blob) => {
  asked.push(request.ask);
  const outcome = await ask(request, blob);
  await held.get(request.ask)?.wait;
  return outcome;
};
"""
LIT = "return explorer.lit === null ? null : explorer.look.answer.detections[explorer.lit].label"
FOUND = "return [...document.querySelectorAll('.chip')].map(({textContent}) => textContent.split(' ')[0])"


def scene_of(page, *shapes, **parts):
    """Put these shapes on the stage, (kind, x, y, half)."""
    page.run("explorer.stage.set({...explorer.hello.default_scene, ...arguments[0]})", {
        "shapes": [{"kind": kind, "x": x, "y": y, "half": half, "color": [60, 60, 160]} for kind, x, y, half in shapes],
        **parts})


def label_of(page, row=0):
    return page.run("return explorer.look.answer.detections[arguments[0]].label", row)


# ---- what waits for an answer ----


def test_the_line_asks_again_what_was_superseded_unless_a_newer_question_waits(page):
    answers = page.run("""return (async () => {
        const {Line} = await import('./transport.js'), asked = [], answers = [];
        const line = new Line({ask: async request => {
            await new Promise(resolve => setTimeout(resolve));
            asked.push(request);
            return {answer: asked.length % 2 ? {superseded: true} : {request}};
        }});
        answers.push(await line.ask('look', 'alone'));
        answers.push(...await Promise.all([line.ask('look', 'older'), line.ask('look', 'newer')]));
        return [asked, answers];
    })();""")
    assert answers == [["alone", "alone", "older", "newer"],
                       [{"answer": {"request": "alone"}}, None, {"answer": {"request": "newer"}}]]


def test_a_fault_in_a_question_does_not_stop_the_line(page):
    assert page.run("""return (async () => {
        const {Line} = await import('./transport.js'), line = new Line({ask: async request => ({answer: request})});
        const said = [line.ask('look', () => { throw Error('in the question'); }), line.ask('nonsense', {})];
        const faults = await Promise.all(said.map(each => each.catch(error => error.message)));
        return [...faults, (await line.ask('look', 7)).answer];
    })();""") == ["in the question", "nobody knows when it is the turn of nonsense", 7]


def test_nothing_rests_while_a_look_is_under_way(page):
    rest(page)
    page.run(HOLD + """explorer.changed();""")
    page.wait("return asked.includes('look') && !explorer.line.busy")       # it is answered, and rest is near
    page.run("hold('look')")
    scene_of(page)
    page.run("explorer.setShownScore(.4)")
    page.run("return new Promise(resolve => setTimeout(resolve, 600))")
    assert page.run("return document.body.dataset.rest") == "no"
    assert text(page, "#status") == "Found: 1 circle, 1 square, 1 triangle."
    page.run("free('look')")
    rest(page)
    assert text(page, "#status") == "Found: nothing."


def test_when_another_window_has_looked_the_page_looks_again(page):
    page.run("explorer.transport.ask({ask: 'look', scene: {}})")
    page.run(HOLD + "explorer.choose(2)")
    page.wait("return asked.length >= 2 && explorer.region?.answer.detection === explorer.chosen")
    settle(page)
    assert page.run("return asked") == ["roi", "look"]
    assert page.run("return explorer.region.answer.label") == label_of(page, page.run("return explorer.chosen"))


def test_a_picture_is_not_drawn_into_a_scene_of_another_size(page):
    page.run(HOLD + "hold('look')")
    before = page.run("return document.getElementById('picture').toDataURL()")
    scene_of(page, width=64, height=96)
    page.run("explorer.drawStage()")
    assert page.run("return document.getElementById('picture').toDataURL()") == before
    page.run("free('look')")
    settle(page)
    assert page.run("const {width, height} = document.getElementById('picture'); return width / height") == 64 / 96


def test_of_two_dropped_pictures_the_second_counts_whichever_is_read_first(page):
    import numpy as np
    pictures = [png(np.full((height, 64, 3), 90, np.uint8)) for height in (32, 48)]
    # Pillow refuses both; the browser takes longer for the first.
    page.run("""const {transport} = explorer, ask = transport.ask.bind(transport), read = window.createImageBitmap;
        window.refusals = 0;
        transport.ask = async (request, blob) => request.ask === 'picture' && !request.width
            ? {answer: {error: `no ${++refusals}`}} : ask(request, blob);
        window.free = null;
        window.createImageBitmap = async file => {
            if (free === null) await new Promise(resolve => { window.free = resolve; });
            return read(file);
        };""")
    drop(page, pictures[0])
    page.wait("return free !== null")
    drop(page, pictures[1])
    page.wait("return explorer.stage.scene.picture !== null")
    page.run("free()")
    page.run("return new Promise(resolve => setTimeout(resolve, 200))")
    settle(page)
    assert page.run("return explorer.stage.scene.height") == 96


# ---- who points, and who is lit ----


def test_a_place_outside_the_picture_is_on_no_object(page):
    scene_of(page, ("square", 14, 50, 24))
    settle(page)
    x1, _, x2, _ = page.run("return explorer.look.answer.detections[0].box")
    assert x1 < 6 < x2
    assert page.run("return [[6, 50], [133, 50], [-122, 50], [6, 146], [6, -46]].map(each => explorer.under(each))") \
        == [0, None, None, None, None]


def test_who_points_at_a_picture_points_at_what_is_there_after_each_look(page):
    scene_of(page, ("circle", 34, 48, 20), ("square", 92, 48, 20))
    settle(page)
    label = page.run("return explorer.look.answer.class_names.indexOf('circle')")
    for selector in ("#result canvas", "#stage"):
        page.hover(*place(page, 34, 48, selector))
        assert page.run(LIT) == label
        for _ in range(2):
            page.run("explorer.changed()")
            settle(page)
        assert page.run(LIT) == label, selector
    page.run("scrollTo(0, 0)")
    page.hover(2, 2)
    assert page.run(LIT) is None


def test_who_points_at_a_name_points_at_its_object_after_each_look(page):
    scene_of(page, ("circle", 34, 48, 20), ("square", 92, 48, 20))
    settle(page)
    names = page.run(FOUND)
    assert sorted(names) == ["circle", "square"]
    page.run("document.querySelector('#found li:last-child .chip').scrollIntoView({block: 'center'})")
    page.hover(*page.run("""const {left, top, width, height} = document.querySelector('#found li:last-child .chip')
        .getBoundingClientRect(); return [left + width / 2, top + height / 2];"""))
    label = page.run(LIT)
    assert page.run("return explorer.look.answer.class_names[arguments[0]]", label) == names[-1]
    page.run("explorer.stage.scene.shapes[0].half = 17; explorer.changed()")
    settle(page)
    assert page.run(LIT) == label


def test_an_object_that_is_no_longer_shown_is_no_longer_lit(page):
    page.run("explorer.choose(0)")
    choose(page, "shown-score", 1)
    assert text(page, "#said") == "Found: nothing." and text(page, "#history") == ""
    assert page.run("return [explorer.lit, explorer.history]") == [None, None]
    choose(page, "shown-score", 0.5)
    assert len(page.run(FOUND)) == 3 and page.run("return explorer.lit") is None


# ---- where the focus goes ----


def test_the_focus_stays_with_an_object_and_goes_to_the_list_when_it_vanishes(page):
    scene_of(page, ("circle", 34, 48, 20), ("square", 92, 48, 20))
    settle(page)
    before = page.run(FOUND)
    for other in before:        # each in turn goes and comes again, so that their order by scores must change once
        page.run("""const chip = [...document.querySelectorAll('.chip')].find(({textContent}) =>
            !textContent.startsWith(arguments[0]));
            chip.focus({focusVisible: true});
            window.kept = chip;
            window.shapes = structuredClone(explorer.stage.scene.shapes);
            explorer.stage.scene.shapes = shapes.filter(({kind}) => kind !== arguments[0]);
            explorer.changed();""", other)
        settle(page)
        focused = "return document.activeElement === kept && kept.textContent.split(' ')[0]"
        assert page.run(FOUND) == [page.run(focused)] == [name for name in before if name != other]
        page.run("explorer.stage.scene.shapes = shapes; explorer.changed();")
        settle(page)
        assert page.run(FOUND) == [page.run(focused), other]
        label = page.run("return explorer.look.answer.class_names.indexOf(arguments[0])", page.run(focused))
        assert page.run(LIT) == label
    scene_of(page)
    settle(page)
    assert page.run(FOUND) == [] and page.run("return document.activeElement.id") == "found"
    assert page.run(LIT) is None


def test_escape_makes_the_large_panel_small_from_anywhere(page):
    page.click("#result .enlarge")
    page.run("document.querySelector('.shape').focus()")
    page.press("escape")
    assert page.run("return document.querySelector('#result .enlarge').ariaPressed") == "false"
    assert page.run("return document.querySelectorAll('.panel.large').length") == 0


# ---- names ----


def test_a_class_may_have_any_name(page):
    page.run("explorer.look.answer.class_names.fill('constructor'); explorer.redraw()")
    assert page.run("return document.querySelector('.chip i').style.background").startswith("rgb(")
