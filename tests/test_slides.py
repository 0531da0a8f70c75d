"""A chapter as slides: from the same source, asking no server, and nothing runs over an edge."""

import subprocess
import sys

import pytest
import slides
from bs4 import BeautifulSoup
from conftest import DESK, LABS, PHONE, ROOT, sheets_of

CHAPTERS = [path.stem for path in sorted((ROOT / "chapters").glob("[0-9][0-9]_*.md"))]
PROJECTOR = {"width": 1280, "height": 720}
SMALLEST = 0.55  # of the slide's own size; a table's words then have 13 of a projector's 720 lines


@pytest.fixture
def show(browser, tmp_path):
    """Open the slides of (title, slides) for a viewer; return the tab and what it asked for."""
    contexts = []

    def show(made, viewport=PROJECTOR):
        path = tmp_path / "slides.html"
        path.write_text(slides.deck(*made), encoding="utf-8")
        contexts.append(browser.new_context(viewport=viewport))
        tab, asked = contexts[-1].new_page(), []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: asked.append(str(error)))
        tab.goto(path.as_uri())
        return tab, [url for url in asked if not url.startswith("data:") and url != path.as_uri()]

    yield show
    for context in contexts:
        context.close()


OVER = """() => [...document.querySelectorAll('.slide')].map((slide, i) => {
  const stage = slide.querySelector('.stage'), whole = slide.getBoundingClientRect(), part = stage.getBoundingClientRect();
  return [i + 1, part.height / whole.height, stage.scrollWidth - stage.clientWidth, +slide.dataset.scale];
})"""


@pytest.mark.parametrize("stem", CHAPTERS)
def test_a_chapter_s_slides_fit_and_ask_no_server(stem, book, show):
    made = slides.slides(stem, book)
    labs = [path.stem for path in LABS if path.stem.startswith(stem[:2])]
    begin = [title for _, title in slides.starts(made[1])]
    assert len(begin) == len(labs) and all(title.startswith("Lab ") for title in begin)
    for viewport in (PROJECTOR, PHONE):
        tab, asked = show(made, viewport)
        assert not asked
        for number, height, beyond, scale in tab.evaluate(OVER):
            assert height <= 1.001 and beyond <= 1, f"slide {number} runs over its edge"
            assert scale >= SMALLEST, f"slide {number} is too small to be read"
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not tab.evaluate(
            "[...document.images].filter(image => !image.alt || !image.naturalWidth).length"
        )


def test_what_is_too_much_for_a_slide_is_noticed(show):
    """The test above can fail: a table of a hundred rows is made smaller than anybody reads."""
    rows = "".join(f"<tr><td>{row}</td></tr>" for row in range(100))
    tab, _ = show(("A table", [slides.Slide(f"<table>{rows}</table>")]))
    [[_, height, _, scale]] = tab.evaluate(OVER)
    assert scale < SMALLEST or height > 1.001


def test_a_chapter_s_slides_have_what_it_shows_and_what_its_labs_ask(book):
    title, made = slides.slides("07_drift", book)
    shown = BeautifulSoup("".join(slide.shown for slide in made), "html.parser")
    page = BeautifulSoup((book / "chapters" / "07_drift.html").read_text(encoding="utf-8"), "html.parser")
    assert title.startswith("7 · ")
    assert made[2].shown.startswith("<h2>The incident")
    for what in ("figure.drawing", "figure.plot"):
        outside = [node for node in page.select(what) if not node.find_parent("details")]
        assert len(shown.select(what)) == len(outside) > 1
    quizzes = page.select(".quiz-question")
    asked = [node.get_text() for node in shown.select("h3")]
    assert all(asked.count(quiz.get_text()) == 2 for quiz in quizzes) and quizzes
    assert asked.count("What do you expect?") >= 2 * 10  # asked, then answered
    assert not shown.select("a[href], [id], script") and "Interview questions" not in shown.get_text()
    assert all(slide.minutes > 0 for slide in made if slide.notes)


def test_a_quiz_is_asked_before_it_is_answered(book):
    _, made = slides.slides("08_automation", book)
    first = next(number for number, slide in enumerate(made) if "class='options'" in slide.shown)
    assert "Right." not in made[first].shown and "Right." in made[first + 1].shown


def test_keys_lead_through_the_slides(show):
    tab, _ = show(
        ("Three", [slides.Slide(f"<h2>{word}</h2>", f"say {word}") for word in ("one", "two", "three")])
    )

    def now():
        return tab.locator(".slide.now h2").inner_text()

    assert now() == "one"
    for key, word in [("ArrowRight", "two"), ("Space", "three"), ("ArrowRight", "three"), ("PageUp", "two")]:
        tab.keyboard.press(key)
        assert now() == word
    tab.keyboard.press("End")
    assert now() == "three" and tab.url.endswith("#3")
    tab.keyboard.press("Home")
    assert not tab.get_by_text("say one").is_visible()
    tab.keyboard.press("n")
    assert tab.get_by_text("say one").is_visible() and not tab.get_by_text("say two").is_visible()
    tab.get_by_role("button", name="On").click()
    assert now() == "two" and tab.get_by_text("say two").is_visible()


def test_paper_has_a_slide_on_each_page(show):
    tab, _ = show(("Two", [slides.Slide(f"<h2>{word}</h2>", "said aloud") for word in ("one", "two")]), DESK)
    pages = sheets_of(tab.pdf(prefer_css_page_size=True))
    assert len(pages) == 2 and "one" in pages[0] and "two" in pages[1] and "said aloud" not in "".join(pages)


@pytest.mark.parametrize("name", ["7", "07", "07_drift"])
def test_a_chapter_has_several_names(name):
    assert slides.chapter(name) == "07_drift"


def test_a_chapter_that_is_not_there_gets_a_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "slides.py", "99"], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("there is no chapter '99'; there are 01_evolution")
    with pytest.raises(slides.NoChapter, match="run `make book` first"):
        slides.slides("07_drift", tmp_path)
