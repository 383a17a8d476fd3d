"""What hands do with shapes and panels in headless Chromium, two at once or in a hurry: nothing is lost, or leaps."""

import pytest

from npmaskrcnn.explore.scene import KINDS
from tests.browser.reading import canvas, choose, place, rest, rgb, settle, text
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

STEPS = "return +document.getElementById('training').dataset.steps"
IDLE = "return document.getElementById('training').dataset.running === 'false' && !explorer.line.busy"


# ---- the training's buttons ----


def keep_record(page):
    """Write down what is asked of the training from now on, as "start roi_pool", "go", ..."""
    page.run("""window.asked = [];
        const {transport} = explorer, ask = transport.ask.bind(transport);
        transport.ask = (request, blob) => {
            if (request.ask === 'train') asked.push(`${request.action} ${request.model ?? ''}`.trim());
            return ask(request, blob);
        };""")


def test_start_begins_anew_while_a_training_runs(page):
    keep_record(page)
    page.click("#train-start")
    page.wait(STEPS + " >= 2")
    page.run("document.getElementById('train-from').value = 'roi_pool'")
    page.click("#train-start")
    page.wait("return asked.includes('start roi_pool')")
    page.wait("return asked.at(-1) === 'go' && explorer.training.steps === 1")
    page.click("#train-go")
    page.wait(IDLE)
    settle(page)
    asked = page.run("return asked")
    assert asked[0] == "start untrained" and asked.count("start roi_pool") == 1
    assert page.run(STEPS) == len(asked) - 1 - asked.index("start roi_pool")
    assert text(page, "#region .caption").startswith("RoIPool, the older way")
    assert text(page, "#region .facts").endswith("(RoIPool).")


def test_who_chooses_another_model_at_once_has_it(page):
    keep_record(page)
    page.run("""document.getElementById('train-start').click();
        const model = document.getElementById('model');
        model.value = 'step-400';
        model.dispatchEvent(new Event('change'));""")
    page.wait("return explorer.look.answer.model === 'step-400' && explorer.training.losses")
    settle(page)
    assert page.run("return [asked, explorer.look.answer.model, document.getElementById('model').value]") \
        == [["start untrained"], "step-400", "step-400"]


def test_after_a_step_that_failed_the_page_goes_on(page):
    page.click("#train-start")
    page.wait(STEPS + " >= 1")
    page.run("""const {transport} = explorer;
        window.ask = transport.ask.bind(transport);
        transport.ask = async (request, blob) => request.action === 'go'
            ? {answer: {error: 'the training diverged'}, arrays: {}} : ask(request, blob);
        explorer.stage.set({...explorer.stage.scene, shapes: []});""")
    page.wait(IDLE)
    rest(page)
    assert page.run("return explorer.look.answer.truth") == []
    assert text(page, "#training [role=alert]") == "the training diverged"
    page.run("explorer.transport.ask = ask")
    page.click("#train-reset")
    settle(page)
    assert page.run(STEPS) == 0 and text(page, "#training [role=alert]") == ""


def test_losses_of_one_step_are_dots_and_those_of_many_are_lines(page):
    for count in (1, 60_000):
        page.run("""const {training} = explorer;
            training.losses = {loss_mask: Array(arguments[0]).fill(.5), loss_total: Array(arguments[0]).fill(2)};
            training.steps = arguments[0];
            training.plot();""", count)
        shown = canvas(page, "#training .curve").astype(float)
        for color in ("#009E73", "#8a8a8a"):
            inked = (abs(shown - [*rgb(color), 255]).max(axis=2) < 40).sum()
            assert 3 <= inked < 40 if count == 1 else inked > 200, (count, color)


# ---- shapes ----


def act(page, **pointers):
    """Let several pointers act at once: of each its type, and its ticks, one place or "down", "up" or None each."""
    def action(tick):
        if tick in ("down", "up"):
            return {"type": f"pointer{tick.title()}", "button": 0}
        return {"type": "pointerMove", "duration": 0, "x": round(tick[0]), "y": round(tick[1])} if tick \
            else {"type": "pause"}
    page.command("/actions", {"actions": [{"type": "pointer", "id": name, "parameters": {"pointerType": kind},
                                           "actions": [action(tick) for tick in ticks]}
                                          for name, (kind, *ticks) in pointers.items()]})


SHAPES = "return explorer.stage.scene.shapes.map(({x, y, half}) => [x, y, half])"


def near(shapes, others):
    return [abs(a - b) < 1 for one, other in zip(shapes, others, strict=True) for a, b in zip(one, other)]


def test_a_second_finger_holds_nothing(page):
    choose(page, "preset", "touching")
    before = page.run(SHAPES)
    at = {name: place(page, *where) for name, where in {
        "one": (44, 48), "moved": (40, 58), "other": (84, 48), "beside": (90, 20)}.items()}
    act(page, first=("touch", at["one"], "down", None, None, at["moved"], None, "up"),
        second=("touch", None, None, at["other"], "down", at["beside"], "up", None))
    settle(page)
    after = page.run(SHAPES)
    assert all(near(after, [[40, 58, 20], before[1]]))
    page.drag([at["other"], at["beside"]], pointer="touch")     # alone it holds
    settle(page)
    assert all(near(page.run(SHAPES), [after[0], [90, 20, 20]]))


def test_a_shape_that_is_deleted_in_the_hand_is_gone(page):
    """And the next one, or a new picture, does not leap into it."""
    choose(page, "preset", "touching")
    hold = place(page, 44, 48), place(page, 54, 60)
    act(page, mouse=("mouse", hold[0], "down", hold[1]))
    page.press("delete")
    assert page.run(SHAPES) == [[84, 48, 20]]
    act(page, mouse=("mouse", hold[0], "up"))
    assert page.run(SHAPES) == [[84, 48, 20]]
    act(page, mouse=("mouse", place(page, 84, 48), "down"))
    page.press("delete")                                        # the last one
    act(page, mouse=("mouse", hold[0], hold[1], "up"))
    assert page.run(SHAPES) == []
    choose(page, "preset", "touching")
    act(page, mouse=("mouse", hold[0], "down"))
    page.run("explorer.stage.set({...explorer.stage.scene, shapes: explorer.stage.scene.shapes.slice(1)})")
    act(page, mouse=("mouse", hold[1], "up"))
    assert page.run(SHAPES) == [[84, 48, 20]]
    settle(page)


def test_after_the_last_shape_the_focus_is_still_on_the_stage(page):
    focus = "return document.activeElement.ariaLabel"
    page.run("document.querySelector('.shape').focus()")
    page.press("delete", "delete")
    assert page.run(focus).startswith("square 1 of 1")
    page.press("delete")
    assert page.run(focus) == "Shapes on the stage"
    page.click("[data-add=circle]")
    page.run("""const remove = [...document.querySelectorAll('#tools button')]
        .find(({textContent}) => textContent === 'Delete');
        remove.focus();
        remove.click();""")
    assert page.run(focus) == "Shapes on the stage"
    settle(page)


def test_the_smallest_shape_alone_is_painted(page):
    for kind in KINDS:
        choose(page, "preset", "empty")
        page.click(f"[data-add={kind}]")
        page.run("document.querySelector('.shape').focus()")
        page.press(*"-" * 30)
        for x, y in ((60, 50), (60.5, 50), (60, 50.5), (60.5, 50.5)):
            page.run("explorer.stage.move(...arguments)", x, y)
            settle(page)
            assert page.run("return explorer.look.answer.unseen") == [], (kind, page.run(SHAPES))


def test_a_shape_that_is_not_painted_says_so(page):
    choose(page, "preset", "occluded")
    label = "return document.querySelector('.shape').ariaLabel"
    assert page.run(label) == "triangle 1 of 2, at 56, 50, 48 pixels wide"
    page.run("explorer.stage.choose(0); explorer.stage.resize(6); explorer.stage.move(78, 60)")     # behind the square
    settle(page)
    assert page.run(label) == ("triangle 1 of 2, at 78, 60, 12 pixels wide, not painted, since too little of it can be "
                               "seen")
    page.run("explorer.stage.move(0, 0)")                                                           # mostly outside
    settle(page)
    assert page.run(label).endswith("at 0, 0, 12 pixels wide, not painted, since too little of it can be seen")
    page.run("explorer.stage.move(20, 20)")
    settle(page)
    assert page.run(label) == "triangle 1 of 2, at 20, 20, 12 pixels wide"


def test_size_is_the_width(page):
    page.run("explorer.stage.choose(0); explorer.stage.resize(80)")
    size = """const {value, min, max} = document.querySelector('#tools input[type=range]');
        return [value, min, max].map(Number);"""
    assert page.run(size) == [160, 10, 160]
    assert text(page, "#tools legend:has(~ label [type=range])") == "Chosen shape: 160 pixels wide"
    choose(page, "#tools input[type=range]", 30)
    assert page.run(SHAPES)[0][2] == 15
    keys = page.run("""return document.getElementById(document.querySelector('.shape')
        .getAttribute('aria-describedby')).textContent""")
    assert "Arrow keys" in keys and "Delete" in keys


# ---- panels ----


def test_arrow_keys_keep_to_the_level_that_is_shown(page):
    where = "const {level, row, column} = document.getElementById('anchors').dataset; return [level, +row, +column]"
    page.run("document.querySelector('#anchors canvas').focus({preventScroll: true})")
    level, row, column = page.run(where)
    for i in range(1, 4):
        page.press("left")
        assert page.run(where) == [level, row, max(0, column - i)]
    page.run("explorer.choose(0)")
    choose(page, "#anchors select", "P5")       # a chosen level is shown, whoever is chosen
    assert page.run(where)[0] == "P5"


def test_a_pointer_before_the_first_look_does_no_harm(page):
    page.run("""const {look} = explorer;
        explorer.look = null;
        document.querySelector('#anchors canvas').dispatchEvent(new PointerEvent('pointermove', {clientX: 9}));
        explorer.look = look;""")
    assert page.complaints() == []


def test_the_slider_of_proposals_says_where_it_stands(page):
    last = page.run("return explorer.look.answer.counts.proposals - 1")
    choose(page, "#region input", last)
    choose(page, "rpn-nms", 0.05)               # fewer are left
    fewer = page.run("return explorer.look.answer.counts.proposals - 1")
    assert fewer < last
    assert page.run("return +document.querySelector('#region input').value") == fewer
    assert text(page, "#region output") == str(fewer)
    assert text(page, "#region .facts").startswith(f"Proposal {fewer} of {fewer + 1} ")
    choose(page, "rpn-nms", 0.7)                # and what was chosen is shown again
    assert text(page, "#region output") == str(min(last, page.run("return explorer.look.answer.counts.proposals - 1")))
