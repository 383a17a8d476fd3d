"""Every panel draws what the trace holds: canvases in headless Chromium, read back and held against the arrays."""

import re

import numpy as np
import pytest

from npmaskrcnn.explore import Explorer
from tests.browser.reading import (CLASS_COLORS, DROPPED, INK, KEPT, LIT, MAGMA_TOLERANCE, Paper, asked, canvas,
                                   canvases, choose, magma, place, rgb, settle, text)
from tests.browser.webdriver import programs

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

SHOWN_SCORE = 0.5


@pytest.fixture(scope="module")
def seen(still, here):
    """What Python answers to the page's first scene: words and arrays."""
    return asked(still, here)


def color_of(names, label):
    return CLASS_COLORS[names[label]]


# ---- maps: a pixel for a cell ----


def test_maps_are_the_traces(still, seen):
    answer, arrays = seen
    levels = [*answer["body_levels"], *answer["levels"]]
    names = [level["name"] for level in levels]
    assert names == ["C2", "C3", "C4", "C5", "P2", "P3", "P4", "P5", "P6"]
    shown = canvases(still, [f"#maps-{name[0]} [data-map={name}]" for name in names])
    for level, colors in zip(levels, shown):
        np.testing.assert_array_equal(colors[..., :3], arrays[level["name"]])
        caption = text(still, f"#maps-{level['name'][0]} figure:has([data-map={level['name']}]) figcaption")
        assert caption == f"{level['name']}: {level['width']} × {level['height']}"


@pytest.mark.parametrize("level, channel", [("C3", 5), ("P4", 17)])
def test_a_map_is_shown_by_channel(still, here, seen, level, channel):
    panel = f"#maps-{level[0]}"
    answer, arrays = here.answer({"ask": "channel", "level": level, "channel": channel, "look": seen[0]["look"]})
    others = [f"{panel} canvas:not([data-map={level}])"]
    before = canvases(still, others)
    choose(still, f"{panel} select", level)
    choose(still, f"{panel} input", channel)
    shown = canvas(still, f"{panel} [data-map={level}]")[..., :3]
    np.testing.assert_allclose(shown, magma(arrays["values"], answer["low"], answer["high"]), atol=MAGMA_TOLERANCE)
    assert len(np.unique(shown)) > 20
    assert text(still, f"{panel} .facts") == (f"{level}, channel {channel}: from {answer['low']:.2f} (dark) to "
                                             f"{answer['high']:.2f} (bright).")
    np.testing.assert_array_equal(canvases(still, others), before)
    choose(still, f"{panel} select", "")
    np.testing.assert_array_equal(canvas(still, f"{panel} [data-map={level}]")[..., :3], seen[1][level])


@pytest.mark.parametrize("form", ["best of each cell", "only the wide ones", "only the square ones",
                                  "only the tall ones"])
def test_objectness_is_bright_where_an_object_is_likely(still, seen, form):
    answer, arrays = seen
    value = still.run("""return [...document.querySelectorAll('#objectness option')]
        .find(({textContent}) => textContent === arguments[0]).value""", form)
    choose(still, "#objectness select", value)
    x1, y1, x2, y2 = arrays["anchors"][:3].T
    forms = ["only the wide ones", "only the square ones", "only the tall ones"]
    row = np.argsort((y2 - y1) / (x2 - x1))[forms.index(form)] if form in forms else None
    shown = canvases(still, [f"#objectness [data-map={level['name']}]" for level in answer["levels"]])
    for level, colors in zip(answer["levels"], shown):
        size = level["height"] * level["width"]
        numbers = arrays["objectness"][level["first"]:level["first"] + 3 * size].reshape(-1, 3)
        numbers = numbers.max(axis=1) if row is None else numbers[:, row]
        np.testing.assert_allclose(colors[..., :3].reshape(-1, 3), magma(numbers), atol=MAGMA_TOLERANCE)
    sure = np.count_nonzero(arrays["objectness"] >= 0.5)
    assert text(still, "#objectness .facts").startswith(f"{sure} of {len(arrays['objectness'])} anchors")
    choose(still, "#objectness select", "best")


def test_masks_of_every_class_are_those_of_the_mask_head(still, here, seen):
    answer, arrays = here.answer({"ask": "roi", "detection": 0})
    shown = canvases(still, [f"#masks figure:nth-child({i}) canvas" for i in range(1, 5)])
    for mask, colors in zip(arrays["masks"], shown):
        np.testing.assert_allclose(colors[..., :3], magma(mask), atol=MAGMA_TOLERANCE)
    names = answer["class_names"]
    assert [text(still, f"#masks figure:nth-child({i}) figcaption") for i in range(1, 5)] == names
    assert [text(still, "#masks .counts figcaption")] == [names[answer["label"]]]
    assert text(still, "#masks .facts").startswith(
        f"The box head says: {names[answer['label']]}, {100 * seen[0]['detections'][0]['score']:.0f} %.")


def test_the_mask_of_the_class_that_counts_is_framed(still, seen):
    detections, names = seen[0]["detections"], seen[0]["class_names"]
    assert {each["label"] for each in detections} == {1, 2, 3}
    for row, each in enumerate(detections):
        still.run("explorer.choose(arguments[0])", row)
        still.wait("return explorer.region.answer.detection === arguments[0]", row)
        settle(still)
        framed = still.run("""return [...document.querySelectorAll('#masks figure')].filter(
            each => getComputedStyle(each.querySelector('.map')).boxShadow !== 'none').map(
            each => each.querySelector('figcaption').textContent)""")
        assert framed == [names[each["label"]]]
    still.run("explorer.choose(arguments[0])", row)     # let it go
    settle(still)


# ---- pictures with boxes ----


def test_the_stage_shows_the_picture_and_what_was_found(still, seen):
    answer, arrays = seen
    paint_stage(still, answer, arrays).check()
    outlines = "[...document.querySelectorAll('#tools button')].find(({textContent}) => textContent === 'Outlines')"
    still.run(f"{outlines}.click()")
    Paper(still, "#picture", arrays["image"]).check(0)
    still.run(f"{outlines}.click()")
    paint_stage(still, answer, arrays).check()


def paint_stage(page, answer, arrays, lit=None):
    paper = Paper(page, "#picture", arrays["image"])
    paint_found(paper, answer, lit, 2, halo=True)
    return paper


def paint_found(paper, answer, lit=None, width=1.5, halo=False):
    """Paint the boxes of what is shown, the best in front, and over them all names."""
    names, behind = answer["class_names"], [answer["detections"][row] for row in reversed(shown_rows(answer))]
    best = lit is not None and answer["detections"][lit]
    for each in behind:
        color = LIT if each is best else color_of(names, each["label"])
        paper.box(each["box"], color, 3 if each is best else width, halo=halo or each is best)
    for each in behind:
        paper.tag(f"{names[each['label']]} {100 * each['score']:.0f} %", each["box"], color_of(names, each["label"]))


def shown_rows(answer):
    return [row for row, each in enumerate(answer["detections"]) if each["score"] >= SHOWN_SCORE]


def test_proposals_before_and_after_nms(still, seen):
    for paper in paint_proposals(still, *seen):
        paper.check()
    counts = seen[0]["counts"]
    assert text(still, "#proposals figure:nth-child(1) figcaption").startswith(f"before: {counts['top_k']} boxes")
    assert text(still, "#proposals figure:nth-child(2) figcaption") == f"after: {counts['proposals']} proposals"


def paint_proposals(page, answer, arrays, lit=None, **colors):
    before, after = (Paper(page, f"#proposals figure:nth-child({i}) canvas", arrays["image"], 0.6) for i in (1, 2))
    boxes, kept = arrays["moved"][arrays["top_k"]], arrays["kept"].tolist()
    strong = 0.12 + 0.75 * arrays["objectness"][arrays["top_k"]]
    for row in sorted(set(range(len(boxes))) - set(kept), reverse=True):
        before.box(boxes[row], DROPPED, 1, 0.7 * strong[row])
    for i, row in reversed(list(enumerate(kept))):
        before.box(boxes[row], KEPT, 1.2, strong[row])
        after.box(arrays["proposals"][i], KEPT, 1.5, strong[row])
    if lit is not None:
        history = answer["detections"][lit]["history"]
        before.box(history["proposal_box"], LIT, 3, halo=True)
        after.box(history["proposal_box"], LIT, 3, halo=True)
        before.box(history["anchor_box"], LIT, 1.5, dashed=True)
    return before, after


def test_the_region_is_read_at_its_points(still, here, seen):
    answer, arrays = here.answer({"ask": "roi", "detection": 0})
    check_region(still, answer, arrays, seen[1]["image"])
    assert text(still, "#region .facts").startswith(
        f"Proposal {answer['proposal']} of {seen[0]['counts']['proposals']} (0 is the surest), "
        f"read from P{2 + answer['level']}")


def check_region(page, answer, arrays, image, color=KEPT):
    paper = Paper(page, "#region canvas.picture", image, 0.45)
    paper.box(answer["box"], color, 2.5, halo=True)
    apart = (answer["box"][2] - answer["box"][0]) / 14 * paper.scale
    paper.dots(arrays["points_pixels"], INK, min(1.5, 0.28 * apart / paper.line))
    paper.check()
    np.testing.assert_array_equal(canvas(page, "#patch")[..., :3], arrays["patch"])


def test_the_box_head_moves_a_box_for_each_class(still, here, seen):
    answer, arrays = here.answer({"ask": "roi", "detection": 0})
    paper, names, scores = Paper(still, "#classes canvas", seen[1]["image"], 0.45), answer["class_names"], \
        arrays["class_scores"]
    paper.box(answer["box"], INK, 1.5, dashed=True)
    for label in range(1, len(names)):
        sure = scores[label] > 0.5
        paper.box(arrays["class_boxes"][label], color_of(names, label), 3 if sure else 1.5, max(0.3, scores[label]),
                  halo=sure)
    paper.check()
    check_bars(still, "#classes .bars", names, scores, [CLASS_COLORS[name] for name in names])


def check_bars(page, selector, names, values, colors):
    """The bars say names and numbers, and are as long as the numbers."""
    page.wait("return document.getAnimations().every(({playState}) => playState === 'finished')")
    said, lengths, painted = page.run("""const all = [...document.querySelector(arguments[0]).children];
        const bars = all.filter(({tagName}) => tagName === 'DIV');
        return [all.filter(({tagName}) => tagName !== 'DIV').map(({textContent}) => textContent),
                bars.map(bar => bar.firstChild.getBoundingClientRect().width / bar.getBoundingClientRect().width),
                bars.map(bar => getComputedStyle(bar.firstChild).backgroundColor)];""", selector)
    assert said == [each for name, value in zip(names, values) for each in (name, f"{value:.3f}")]
    np.testing.assert_allclose(lengths, values, atol=5e-3)
    assert painted == [f"rgb({', '.join(str(int(color[i:i + 2], 16)) for i in (1, 3, 5))})" for color in colors]


def test_candidates_kept_and_dropped(still, seen):
    answer, arrays = seen
    paint_candidates(still, answer, arrays).check()
    for label, name in enumerate(answer["class_names"][1:], 1):
        choose(still, "#candidates select", label)
        assert label in arrays["candidate_labels"], f"the scene should have candidates that are {name}s"
        paint_candidates(still, answer, arrays, only=label).check()
    choose(still, "#candidates select", "")
    counts = answer["counts"]
    assert text(still, "#candidates .facts") == (
        f"{counts['candidates']} candidates: {counts['detections']} stay as detections, "
        f"{counts['candidates'] - counts['detections']} are dropped.")


def paint_candidates(page, answer, arrays, lit=None, only=None):
    paper, names = Paper(page, "#candidates canvas", arrays["image"], 0.55), answer["class_names"]
    labels, scores, kept = arrays["candidate_labels"], arrays["candidate_scores"], arrays["detection_rows"].tolist()
    for row in sorted(range(len(labels)), key=lambda row: (row in kept, scores[row])):
        if only in (None, labels[row]):
            style = dict(width=2, alpha=0.35 + 0.65 * scores[row]) if row in kept \
                else dict(width=1.2, alpha=0.3 + 0.5 * scores[row], dashed=True)
            paper.box(arrays["candidate_boxes"][row], color_of(names, labels[row]), **style)
    if lit is not None:
        paper.box(arrays["candidate_boxes"][answer["detections"][lit]["history"]["candidate"]], LIT, 3, halo=True)
    return paper


def test_the_result_is_the_pasted_masks(still, seen):
    paint_result(still, *seen).check()
    found = seen[0]["detections"]
    assert text(still, "#result .facts") \
        == f"{len(shown_rows(seen[0]))} of {len(found)} detections have a score of 0.50 or more."


def paint_result(page, answer, arrays, lit=None, selector="#result canvas"):
    paper, names = Paper(page, selector, arrays["image"], 0.35), answer["class_names"]
    alpha, colors = np.zeros(arrays["image"].shape[:2]), np.zeros(arrays["image"].shape)
    for row in reversed(shown_rows(answer)):    # the best one last: where two overlap it is the one that is seen
        mask = np.pad(arrays["masks"][row] >= 128, 1)
        inner = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        mask = mask[1:-1, 1:-1]
        alpha[mask] = np.where(inner, 130 / 255, 1)[mask]
        colors[mask] = rgb(color_of(names, answer["detections"][row]["label"]))
    paper.lay(paper.large(colors), paper.large(alpha))
    paint_found(paper, answer, lit)
    return paper


def test_three_minds_show_what_each_has_found(still):
    """They are asked when the hand rests and the panel is in sight."""
    still.run("document.getElementById('minds').scrollIntoView()")
    still.wait("return explorer.panels.find(({name}) => name === 'minds').outcome")
    settle(still)
    explorer, scene, said = Explorer(), still.run("return explorer.stage.scene"), []
    for model in ("step-100", "step-400", "finished"):
        answer, arrays = explorer.answer({"ask": "look", "scene": scene, "model": model})
        paper = paint_result(still, answer, arrays, selector=f"[data-mind={model}] canvas")
        labels, names = [answer["detections"][row]["label"] for row in shown_rows(answer)], answer["class_names"]
        words = ", ".join(f"{labels.count(label)} {names[label]}{'s' * (labels.count(label) > 1)}"
                          for label in sorted(set(labels)))
        said.append(f"Found: {words or 'nothing'}.")
        if not labels:      # then it is dashed of what it was surest
            best = answer["detections"][0]
            paper.box(best["box"], color_of(names, best["label"]), dashed=True)
            said[-1] += f" The surest: {names[best['label']]}, {100 * best['score']:.0f} %."
        paper.check()
        assert text(still, f"[data-mind={model}] figcaption span") == said[-1]
    assert len(set(said)) > 1
    still.run("window.scrollTo(0, 0)")


# ---- anchors: where the pointer is ----


def test_anchors_of_the_cell_under_the_pointer(still, seen):
    check_anchors(still, *seen, None)                       # nobody points: where the best detection was born
    for x, y in ((30, 38), (98, 50), (122, 90)):
        still.hover(*place(still, x, y))                    # on the stage
        check_anchors(still, *seen, (x, y))
    for x, y in ((62, 70), (6, 6)):
        still.hover(*place(still, x, y, "#anchors canvas"))     # on the panel's own picture
        check_anchors(still, *seen, (x, y))
    choose(still, "#anchors select", "P4")
    check_anchors(still, *seen, (6, 6), level="P4")
    choose(still, "#anchors select", "")
    still.run("window.scrollTo(0, 0)")
    still.hover(2, 2)
    settle(still)
    check_anchors(still, *seen, None)


def test_arrow_keys_go_from_cell_to_cell(still, seen):
    """They stay on the level that is shown, and stop at its edge."""
    answer, arrays = seen
    history = answer["detections"][0]["history"]
    for chosen, name in (("", answer["levels"][history["level"]]["name"]), ("P3", "P3")):
        choose(still, "#anchors select", chosen)
        check_anchors(still, answer, arrays, None, level=name)      # nobody points
        still.run("document.querySelector('#anchors canvas').focus({preventScroll: true})")
        level = next(each for each in answer["levels"] if each["name"] == name)
        (row, column), (sy, sx) = history["cell"], answer["levels"][history["level"]]["stride"]
        row, column = row * sy // level["stride"][0], column * sx // level["stride"][1]
        for keys, down, right in ((("right", "right", "down"), 1, 2), (("up", "left"), -1, -1)):
            still.press(*keys)
            row, column = row + down, column + right
            check_anchors(still, answer, arrays, (level["stride"][1] * column, level["stride"][0] * row), level=name)
        still.press(*["right"] * level["width"])
        last = level["stride"][1] * (level["width"] - 1)
        check_anchors(still, answer, arrays, (last, level["stride"][0] * row), level=name)
        still.run("document.activeElement.blur()")
    choose(still, "#anchors select", "")
    check_anchors(still, answer, arrays, None)


def check_anchors(page, answer, arrays, point, level=None, lit=None):
    """The panel shows the cell at a point, or where the best or the lit detection was born: there, on a level."""
    levels, objectness = answer["levels"], arrays["objectness"]
    history = answer["detections"][0 if lit is None else lit]["history"]
    if point is None:
        (row, column), born = history["cell"], levels[history["level"]]
        x, y, level = column * born["stride"][1], row * born["stride"][0], level or born["name"]
    else:
        x, y = point
    cells = [(each, int(y // each["stride"][0]), int(x // each["stride"][1]))
             for each in levels if level in (None, each["name"])]
    rows = [each["first"] + (row * each["width"] + column) * 3 + np.arange(3) for each, row, column in cells]
    best = int(np.argmax([objectness[each].max() for each in rows]))
    (level, row, column), rows = cells[best], rows[best]
    paper, (sy, sx) = Paper(page, "#anchors canvas", arrays["image"], 0.45), level["stride"]
    paper.box([column * sx, row * sy, (column + 1) * sx, (row + 1) * sy], INK, 1, fill=0.45)
    for anchor in rows:
        paper.box(arrays["anchors"][anchor], INK, 1.5, dashed=True)
    born = history["anchor"] if lit is not None and point is None else None
    for anchor in rows:
        strong = anchor in (rows[objectness[rows].argmax()], born)
        paper.box(arrays["moved"][anchor], LIT if anchor == born else KEPT, 3 if strong else 1.5,
                  max(0.25, objectness[anchor]), halo=strong)
    paper.check()
    ratios = (np.diff(arrays["anchors"][rows][:, 1::2]) / np.diff(arrays["anchors"][rows][:, ::2])).ravel()
    forms = ["wide" if ratio < 0.8 else "tall" if ratio > 1.25 else "square" for ratio in ratios]
    check_bars(page, "#anchors .bars", forms, objectness[rows], [LIT if each == born else KEPT for each in rows])
    assert text(page, "#anchors .facts").startswith(f"{level['name']}, row {row}, column {column}:")


# ---- history: who is pointed at lights up everywhere ----


def middle_of(answer, row):
    x1, y1, x2, y2 = answer["detections"][row]["box"]
    return (x1 + x2) / 2, (y1 + y2) / 2


def check_history(page, here, answer, arrays, row, pointer=None):
    """What became of one detection is lit in all panels; `pointer` is where it is on the stage, if it is there."""
    settle(page)
    history, levels, names = answer["detections"][row]["history"], answer["levels"], answer["class_names"]
    assert page.run("return [...document.querySelectorAll('.chip')].map(({classList}) => classList.contains('lit'))") \
        == [each == row for each in shown_rows(answer)]
    papers = [paint_stage(page, answer, arrays, row), *paint_proposals(page, answer, arrays, row),
              paint_candidates(page, answer, arrays, row), paint_result(page, answer, arrays, row)]
    for paper in papers:
        paper.check()
    check_anchors(page, answer, arrays, pointer, lit=row)
    check_region(page, *here.answer({"ask": "roi", "detection": row}), arrays["image"], LIT)
    (y, x), (sy, sx) = history["cell"], levels[history["level"]]["stride"]
    cell, born, read = [x * sx, y * sy, (x + 1) * sx, (y + 1) * sy], *(
        levels[history[name]]["name"] for name in ("level", "roi_level"))
    span = np.array([answer["span"][side] for side in ("width", "height", "width", "height")])
    for panel, boxed in (("#maps-P", [(read, history["proposal_box"])]), ("#objectness", [])):
        for frames, expected in ((lit_frames(page, panel, "i:not(.box)"), [(born, cell)]),
                                 (lit_frames(page, panel, "i.box"), boxed)):
            assert [name for name, _ in frames] == [name for name, _ in expected]
            for (_, frame), (_, box) in zip(frames, expected):
                np.testing.assert_allclose(frame, np.array(box) / span, atol=1e-3)
    said = text(page, "#history")
    assert said.startswith(f"This {names[answer['detections'][row]['label']]} began as anchor ")
    assert said.endswith(f"became proposal {history['roi']}, and was read from {read}.")
    assert re.search(f"row {y}, column {x} o[fn] {born},", said)


def lit_frames(page, panel, kind):
    """The frames over maps that are to be seen: the level's name, and the box in parts of the map."""
    return page.run("""return [...document.querySelectorAll(`${arguments[0]} .map`)].flatMap(map => {
        const frame = map.querySelector(arguments[1]);
        if (frame.hidden) return [];
        const [inner, outer] = [frame, map.querySelector('canvas')].map(each => each.getBoundingClientRect());
        return [[map.querySelector('canvas').dataset.map, [(inner.left - outer.left) / outer.width,
            (inner.top - outer.top) / outer.height, (inner.right - outer.left) / outer.width,
            (inner.bottom - outer.top) / outer.height]]];
    });""", panel, kind)


def check_nothing_lit(page):
    """Nobody points at anything any more."""
    page.run("window.scrollTo(0, 0)")
    page.hover(2, 2)
    settle(page)
    assert page.run("return document.querySelectorAll('.map i:not([hidden]), .chip.lit').length") == 0
    assert text(page, "#history").startswith("Point at one of them")


def test_pointing_at_the_stage_lights_a_history(still, here, seen):
    point = middle_of(seen[0], 0)
    still.hover(*place(still, *point))
    check_history(still, here, *seen, 0, pointer=point)
    check_nothing_lit(still)


def test_pointing_at_the_result_lights_a_history(still, here, seen):
    still.hover(*place(still, *middle_of(seen[0], 1), "#result canvas"))
    check_history(still, here, *seen, 1)
    check_nothing_lit(still)


def test_pointing_at_a_name_lights_a_history_and_a_click_keeps_it(still, here, seen):
    row = shown_rows(seen[0])[-1]
    still.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", ".chip")
    still.hover(*still.run("""const {left, top, width, height} = document.querySelector(arguments[0])
        .getBoundingClientRect(); return [left + width / 2, top + height / 2];""", f".chip[data-row='{row}']"))
    assert still.run("return explorer.lit") == row
    still.click(f".chip[data-row='{row}']")
    still.hover(2, 2)                                       # it stays when the pointer goes
    check_history(still, here, *seen, row)
    still.click(f".chip[data-row='{row}']")
    check_nothing_lit(still)


def test_any_proposal_can_be_read(still, here, seen):
    answer, arrays = seen
    slider, follow = "#region input", "#region .controls button"
    for proposal in (0, answer["counts"]["proposals"] // 2, answer["counts"]["proposals"] - 1):
        choose(still, slider, proposal)
        check_region(still, *here.answer({"ask": "roi", "proposal": proposal}), arrays["image"])
        assert still.run("return document.querySelector(arguments[0]).ariaPressed", follow) == "false"
        check_bars(still, "#classes .bars", answer["class_names"], arrays["class_scores"][proposal],
                   [CLASS_COLORS[name] for name in answer["class_names"]])
        assert text(still, "#masks .facts") == "Masks are painted for detections only, and this region is none."
    still.run("document.querySelector(arguments[0]).click()", follow)
    settle(still)
    check_region(still, *here.answer({"ask": "roi", "detection": 0}), arrays["image"])
    history = answer["detections"][0]["history"]
    assert still.run("return +document.querySelector(arguments[0]).value", slider) == history["roi"]
