"""The book as a reader has it: three lessons and the glossary, on a phone's window and on a wide one.

All pages come from a server that forbids every other host; one test opens them as files.
"""

import functools
import http.server
import threading

import pytest

pytest.importorskip("nbconvert")

from tests.browser.test_worker import Quiet
from tests.browser.webdriver import open_browser, programs
from tests.scripts import script

pytestmark = pytest.mark.skipif(programs() is None, reason="needs chromium and chromedriver")

LESSONS = ["00_map", "03_residual", "08_proposals"]       # frames; the most formulas; folds, wide code and tables
PAGES = ["index.html", *(f"notebooks/{name}.html" for name in LESSONS), "docs/glossary.html"]
WIDER = """
const page = document.documentElement, wider = [];
for (const fold of document.querySelectorAll("details")) fold.open = true;
for (const tag of [page, ...document.querySelectorAll("a.term, button")]) {
  tag.focus({preventScroll: true});
  if (page.scrollWidth > page.clientWidth) wider.push(tag.textContent.slice(0, 40));
}
return wider;"""
SEARCH = """
const query = document.getElementById("query"), text = (tag) => tag.textContent;
query.value = arguments[0];
query.dispatchEvent(new Event("input"));
return [document.getElementById("found").textContent, [...document.querySelectorAll("#places a")].map(text)];"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The site: what the lessons link to is left out, which makes it in a second."""
    book = script("docs/build_book.py")
    with pytest.MonkeyPatch.context() as patch:
        follow = book.shelf.Shelf.follow
        patch.setattr(book.shelf.Shelf, "follow", lambda self, page: follow(self, page) and [])
        patch.setattr(book, "BESIDE", {"docs/glossary.md": "Glossary"})
        patch.setattr(book, "lessons_of", lambda root: [f"notebooks/{name}.ipynb" for name in LESSONS])
        folder = tmp_path_factory.mktemp("book") / "site"
        book.build(folder)
    return folder


@pytest.fixture(scope="module")
def chromium(folder):
    """A browser, and the site's address in `root`; no page must have complained, nor asked another host."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_browser() as browser:
            browser.root = f"http://127.0.0.1:{server.server_port}/"
            yield browser
            assert browser.complaints() == []
            assert {each for each in browser.traffic()
                    if not each.startswith((browser.root, folder.as_uri(), "data:", "chrome:"))} == set()
        server.shutdown()


@pytest.fixture
def phone(chromium):
    """The browser with a phone's window, at lesson 00; nothing glides."""
    chromium.size(400, 800)
    chromium.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    chromium.go(chromium.root + "notebooks/00_map.html")
    return chromium


@pytest.mark.parametrize("width", [320, 400, 1200])
def test_no_page_is_wider_than_the_window_whatever_is_open_and_whichever_word_explained(chromium, width):
    chromium.size(width, 800)
    for name in PAGES:
        chromium.go(chromium.root + name)
        assert chromium.run(WIDER) == [], name


def test_the_search_goes_by_keyboard_to_a_heading_that_is_in_sight(phone):
    phone.press("/")
    phone.wait("return !!window.bookIndex")
    phone.press(*"what neighbors sufer")
    assert phone.run(SEARCH, "what neighbors sufer") == [
        'Nothing has "sufer"; with "suffer": 1 place', ["08 Region proposals › What neighbors suffer"]]
    phone.press("down", "enter")
    phone.wait("return location.pathname.endsWith('08_proposals.html') && location.hash === '#what-neighbors-suffer'")
    phone.wait("return document.querySelector(location.hash).getBoundingClientRect().top < innerHeight")
    assert phone.run("return document.querySelector(location.hash).getBoundingClientRect().top >= "
                     "document.querySelector('.bar').offsetHeight")


@pytest.mark.parametrize("words, first, said", [
    ("batchnorm", "03 Residual networks › Batch norm", ""), ("feature maps", "Glossary › feature map", ""),
    ("non-max suppression", "08 Region proposals › Non-maximum suppression", ""),
    ("what is a residual network?", "03 Residual networks", ""), ("u-net", "Glossary › U-Net", ""),
    ("gradiants", "Glossary › gradient", 'Nothing has "gradiants"; with "gradients": '),
    ("sotfmax", "Glossary › softmax", 'Nothing has "sotfmax"; with "softmax": '),
    ("anchor quarkonium", "Glossary › anchor", "Not all words together: "), ("quarkonium", None, "Nothing found."),
    ("[(*\\", None, "Nothing found.")])
def test_what_a_student_types_is_found(phone, words, first, said):
    phone.click("#find")
    phone.wait("return !!window.bookIndex")
    found, places = phone.run(SEARCH, words)
    assert found.startswith(said) and (places[:1] == [first] if first else not places)


def test_the_search_works_in_a_page_that_was_opened_as_a_file(chromium, folder):
    chromium.go((folder / "notebooks/00_map.html").as_uri())
    chromium.click("#find")
    chromium.wait("return !!window.bookIndex")
    assert "Glossary › anchor" in chromium.run(SEARCH, "anchor")[1]
    chromium.run("document.querySelector('#places a').click()")
    chromium.wait("return location.protocol === 'file:' && location.href.includes('docs/glossary.html#anchor')")


def test_a_slider_moves_without_a_kernel(phone):
    state = """const [text, image, slider] = ["output", "img", "input"].map((name) =>
            document.querySelector(".frames " + name));
        return [text.textContent, image.src, slider.value];"""
    text, image, place = phone.run(state)
    phone.run("document.querySelector('.frames input').focus()")
    phone.press("right")
    after = phone.run(state)
    assert after[0] != text and after[1] != image and int(after[2]) == int(place) + 1
    phone.click(".frames button[aria-label='One frame back']")
    assert phone.run(state) == [text, image, place]


def test_folded_code_opens_by_key_and_a_figure_to_its_full_size(phone):
    phone.run("document.querySelector('details.folded summary').focus()")
    shown = "return document.querySelector('details.folded pre').checkVisibility()"
    assert not phone.run(shown)
    phone.press("enter")
    assert phone.run(shown)
    phone.click("figure .enlarge")
    width, natural, box = phone.run("""const box = document.querySelector("figure"), image = box.querySelector("img");
        return [image.clientWidth, image.naturalWidth, box.scrollWidth > box.clientWidth];""")
    assert width == natural > 400 and box and not phone.run(WIDER)


def test_a_word_says_what_it_means_and_leads_to_the_glossary(phone):
    phone.run("document.querySelector('a.term').focus()")
    assert phone.run("return document.getElementById('tip').textContent").startswith("one of a fixed set of boxes")
    phone.press("escape")
    assert phone.run("return document.getElementById('tip').hidden")
    phone.press("enter")
    phone.wait("return location.pathname.endsWith('docs/glossary.html') && "
               "document.querySelector('dt:target').textContent === 'anchor'")


def test_the_contents_open_on_a_phone_and_lead_on(phone):
    assert not phone.run("return document.getElementById('contents').checkVisibility()")
    phone.click(".menu")
    phone.click("#contents a[href='08_proposals.html']")
    phone.wait("return document.querySelector('h1').textContent === '08 Region proposals'")


def test_the_skip_link_is_first_and_leads_past_the_contents(phone):
    phone.press("tab", "enter", "tab")
    assert phone.run("return document.getElementById('main').contains(document.activeElement)")


def test_dark_is_kept_from_page_to_page(phone):
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert phone.run(ground) == "rgb(255, 255, 255)"
    phone.click("#theme")
    dark = phone.run(ground)
    phone.go(phone.root + "docs/glossary.html")
    assert phone.run(ground) == dark != "rgb(255, 255, 255)"
    phone.run("localStorage.clear()")


def test_on_paper_is_what_is_read_and_nothing_to_press(phone):
    phone.devtools("Emulation.setEmulatedMedia", media="print")
    pressed = phone.run("""dispatchEvent(new Event("beforeprint"));
        const seen = (tag) => tag.checkVisibility() && !tag.closest("details:not([open])");
        return [[...document.querySelectorAll("button, nav, input")].filter(seen).length,
                [...document.querySelectorAll("details > pre")].every(seen)];""")
    phone.devtools("Emulation.setEmulatedMedia", media="")
    assert pressed == [0, True]
