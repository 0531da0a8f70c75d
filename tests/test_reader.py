"""The book as its readers meet it: in a browser, without a network, on a desk and on a phone, light and dark."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote, urldefrag, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import DESK, PHONE, PREFIX, ROOT, sheets_of
from drawings import alone
from PIL import Image, ImageChops
from test_takeaways import heads_alone

KIB = 1024
# transferred on a first visit: (gzipped KiB, raw KiB, requests)
BUDGET = {"chapters": (300, 900, 25), "labs": (400, 1100, 25)}


READERS = {
    "desk-light": (DESK, "light"),
    "desk-dark": (DESK, "dark"),
    "phone-light": (PHONE, "light"),
    "phone-dark": (PHONE, "dark"),
}


def by(*readers):
    """Ask of what these readers see. One worker visits all pages, once for all readers, which takes a while."""
    return pytest.mark.parametrize(
        "seen",
        [pytest.param(r, id=r, marks=pytest.mark.xdist_group("visit")) for r in readers],
        indirect=True,
    )


@dataclass
class Page:
    """What one visit of a page shows, whoever looks."""

    asked: list = field(default_factory=list)  # addresses, until the network is idle
    complaints: list = field(default_factory=list)  # of the browser
    anchors: set = field(default_factory=set)
    links: set = field(default_factory=set)


@dataclass
class Seen:
    """What one reader sees of a page, with all folded parts opened."""

    page: Page
    words: list = field(default_factory=list)  # of drawings, with their boxes and sizes in pixels
    width: int = 0  # in pixels
    looks: set = field(default_factory=set)  # of texts, each a colour, background, opacity, size and weight
    violations: list = field(default_factory=list)


def listen(page, heard):
    """Write down what the browser asks and complains of, until `page` is left."""

    def complain(what):
        heard.complaints.append(f"{page.url}: {what}")

    page.on("request", lambda request: heard.asked.append(request.url))
    page.on("requestfailed", lambda request: complain(f"{request.url} failed"))
    page.on("response", lambda r: complain(f"{r.url} {r.status}") if r.status >= 400 else None)
    page.on("console", lambda m: complain(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", complain)


# How each visible text looks: its colour, the first background behind it, what is see-through, size, weight; of a link
# also its line and the colour around it. What looks as nothing in `measured` does is marked, three times at most.
LOOKS = """measured => {
  document.querySelectorAll("[data-new-look]").forEach(node => delete node.dataset.newLook);
  const looks = new Map(), words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !node.checkVisibility({visibilityProperty: true})) continue;
    const {color, fontSize, fontWeight} = getComputedStyle(node), opacities = [], link = node.closest("a[href]");
    let behind = "";
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      opacities.push(style.opacity);
      if (/^rgba\\(.*, 0\\)$/.test(style.backgroundColor) && style.backgroundImage === "none") continue;
      behind += style.backgroundColor + style.backgroundImage;
      if (!style.backgroundColor.startsWith("rgba")) break;
    }
    const look = [color, behind, opacities.filter(opacity => opacity !== "1"), fontSize, fontWeight];
    if (link) look.push(getComputedStyle(link).textDecorationLine, getComputedStyle(link.parentElement).color);
    const times = (looks.get(look.join("; ")) ?? 0) + 1;
    looks.set(look.join("; "), times);
    if (times <= 3 && !measured.includes(look.join("; "))) (link ?? node).dataset.newLook = "";
  }
  return [...looks.keys()];
}"""


WORDS = """[...document.querySelectorAll('.drawing text')].map(text => ({...text.getBoundingClientRect().toJSON(),
  text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize)}))"""
SHORT = {"resultTypes": ["violations"]}  # the other results would be longer than the page
COLOURS = ["color-contrast", "link-in-text-block"]  # what axe-core asks of colours
# The spans that colour code mean nothing to who cannot see, and are half of a lab's page.
PLAIN_CODE = """document.querySelectorAll("pre span:not([id])").forEach(span => span.replaceWith(...span.childNodes))"""


def visit(page, url, readers, measured):
    """Go to `url` and see everything that a test asks of a page: {reader: Seen}.

    The page is loaded once, until the network is idle. Then it changes its size and its colours for each of
    `readers`, as when somebody turns a phone or darkens a screen. Colours take long to measure: they are left out
    for texts whose look is among those `measured` ({colour scheme: looks}), and these grow by what was measured here.
    All else that axe-core looks for depends on no colour: it is asked once for each size, of code without its colours.
    """
    heard = Page()
    listen(page, heard)
    page.goto(url, wait_until="networkidle")
    page.evaluate("document.fonts.ready.then(() => null)")
    page.wait_for_function("!document.querySelector('[aria-busy]')")  # what comes after the page is there
    shown = Page(asked=list(heard.asked), complaints=list(heard.complaints))
    shown.anchors = set(page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)"))
    shown.links = set(page.evaluate("[...document.querySelectorAll('a[href]')].map(node => node.href)"))
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    seen = {}
    for reader in readers:
        viewport, scheme = READERS[reader]
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        here = seen[reader] = Seen(shown)
        here.words = page.evaluate(WORDS)
        here.width = page.evaluate("document.documentElement.scrollWidth")
        here.looks = set(page.evaluate(LOOKS, list(measured[scheme])))
        if here.looks - measured[scheme]:
            only = SHORT | {"runOnly": {"type": "rule", "values": COLOURS}}
            new = {"include": [["[data-new-look]"]]}
            here.violations += Axe().run(page, context=new, options=only).response["violations"]
            measured[scheme] |= here.looks
    page.evaluate(PLAIN_CODE)
    others = SHORT | {"rules": {name: {"enabled": False} for name in COLOURS}}
    for viewport in (DESK, PHONE):
        looking = [reader for reader in readers if READERS[reader][0] is viewport]
        if looking:
            page.set_viewport_size(viewport)
            violations = Axe().run(page, options=others).response["violations"]
            for reader in looking:
                seen[reader].violations += violations
    return seen


@pytest.fixture(scope="module")
def visits():
    return {}


@pytest.fixture
def seen(request, visits, browser, address, pages):
    """What a reader sees: {page: Seen}. Each page is visited once, every time as the first one."""
    if not visits:
        measured = {"light": set(), "dark": set()}
        for name in pages:
            context = browser.new_context(reduced_motion="reduce")
            visits[name] = visit(context.new_page(), address + name, READERS, measured)
            context.close()
    return {name: by_reader[request.param] for name, by_reader in visits.items()}


# what the W3C's checker says of every page, and whose it is
NOT_OURS = (
    "Trailing slash on void elements",  # docutils writes HTML that is XML as well
    "Article lacks heading",  # Furo puts a page in an <article>, docutils its heading in a <section> of that
    "Consider using the “h1” element as a top-level heading",  # the same
)


def test_every_page_is_valid_html(book):
    checker = Path(sys.executable).parent / "vnu"
    if not (checker.exists() and shutil.which("java")):
        pytest.skip(
            "no checker of HTML found: npm install --global --ignore-scripts --prefix .venv vnu-jar, and Java"
        )
    command = [checker, "--format", "json", "--stdout", "--skip-non-html", book]
    said = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["messages"]
    assert any(message["message"].startswith(NOT_OURS[0]) for message in said), "the checker read nothing"
    ours = [message for message in said if not message["message"].startswith(NOT_OURS)]
    assert not ours, "\n".join(f"{m.get('url')}:{m.get('lastLine')}: {m['message']}" for m in ours[:20])


def test_there_are_pages(pages):
    assert {"index.html", "search.html", "404.html", "chapters/07_drift.html"} <= set(pages)


@by("desk-light")
def test_no_page_asks_another_host_or_complains(seen, address):
    own = (address, "data:", "blob:")
    # 404.html is asked for by its own test, with its links below the prefix
    visited = {name: page.page for name, page in seen.items() if name != "404.html"}
    assert not [said for page in visited.values() for said in page.complaints]
    assert not {url for page in visited.values() for url in page.asked if not url.startswith(own)}
    assert all(address + name in page.asked for name, page in visited.items()), "nothing was listened to"


def test_the_book_opens_from_a_folder(context, book, pages):
    """From a USB stick: no page needs a server."""
    complaints = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on(
        "requestfailed",
        lambda request: "favicon" in request.url or complaints.append(f"{page.url}: {request.url} failed"),
    )  # a browser without a window does not load the icon of a file
    for name in ("index.html", "chapters/07_drift.html", "labs/07_drift_detection.html", "practice.html"):
        page.goto((book / name).as_uri(), wait_until="load")
        assert page.evaluate(
            "getComputedStyle(document.querySelector('article p:not([class])')).fontFamily"
        ).startswith('"Source')
    assert not complaints


@by(*READERS)
def test_every_page_is_accessible(seen):
    """axe-core finds nothing, with all folded parts opened."""
    found = []
    for name, page in seen.items():
        for violation in page.violations:
            nodes = [node["html"][:120] for node in violation["nodes"][:3]]
            found.append(f"{name}: {violation['id']} ({violation['help']}) {nodes}")
    assert not found, "\n".join(found)


@by("phone-light")
def test_no_page_is_wider_than_the_phone(seen):
    assert not {name: page.width for name, page in seen.items() if page.width > PHONE["width"]}
    assert all(page.width > 0 for page in seen.values())


@by(*READERS)
def test_every_word_of_a_drawing_can_be_read(seen, request):
    """It has a size for eyes, stands in the page, and no other word stands on it."""
    width = READERS[request.node.callspec.params["seen"]][0]["width"]
    read, faults = set(), []
    for name, page in seen.items():
        read |= {word["text"] for word in page.words}
        for i, word in enumerate(page.words):
            if word["size"] < 11 or word["left"] < 0 or word["right"] > width:
                faults.append(f"{name}: {word['text']}")
            for other in page.words[:i]:
                wide = min(word["right"], other["right"]) - max(word["left"], other["left"])
                high = min(word["bottom"], other["bottom"]) - max(word["top"], other["top"])
                if wide > 0 and high > 2:
                    faults.append(f"{name}: {other['text']} / {word['text']}")
    assert {"a rival opens next door", "Concept change", "the checkout"} <= read
    assert not faults


FAULTY_ELSEWHERE = """<!doctype html><html lang="en"><title>A page</title><style>body { background: white; color: black }
@media (prefers-color-scheme: dark) { .pale { color: #aaa } .link { text-decoration: none; color: #222 } } @media (width > 600px) { img { display: none } }
@media (width < 600px) { div { width: 792px } }</style><body><main><h1>A page</h1><p class="pale">Words</p>
<p>Some words with <a class="link" href="#">a link</a> among them.</p>
<div><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></div></main></body></html>"""
FAULTY = """<!doctype html><html><title>A page</title><body style="width: 1200px"><p id="a">Words</p>
<div class="drawing"><svg><text x="10" y="20" font-size="8">small</text></svg></div>
<a href="#nowhere"><img src="missing.png"></a><script>console.error("a complaint")</script>
<p style="opacity: 1">Dark</p><div style="background: white"><p style="color: #aaa">Pale</p></div></body></html>"""


@pytest.mark.xdist_group("visit")
def test_a_fault_would_be_seen(browser, tmp_path):
    (tmp_path / "page.html").write_text(FAULTY)

    def see(measured):
        context = browser.new_context()
        seen = visit(
            context.new_page(), (tmp_path / "page.html").as_uri(), ["phone-light"], {"light": set(measured)}
        )["phone-light"]
        context.close()
        return seen, {violation["id"] for violation in seen.violations}

    seen, violations = see([])
    complaints = " ".join(seen.page.complaints)
    assert "missing.png failed" in complaints and "a complaint" in complaints
    assert seen.width > PHONE["width"]
    assert [(word["text"], word["size"]) for word in seen.words] == [("small", 8)]
    assert any(url.endswith("#nowhere") for url in seen.page.links) and seen.page.anchors == {"a"}
    assert {"image-alt", "html-has-lang", "color-contrast"} <= violations
    pale = {look for look in seen.looks if "170, 170, 170" in look}
    assert len(pale) == 1 and len(seen.looks) > 1
    assert "color-contrast" in see(seen.looks - pale)[1], "one new look is enough to measure a page"
    assert see(seen.looks)[1] == violations - {"color-contrast"}


@pytest.mark.xdist_group("visit")
def test_a_fault_in_the_dark_or_on_the_phone_alone_would_be_seen(browser, tmp_path):
    """The same visit sees what another reader sees: sizes and colours change within it."""
    (tmp_path / "page.html").write_text(FAULTY_ELSEWHERE)
    context = browser.new_context()
    measured = {"light": set(), "dark": set()}
    seen = visit(context.new_page(), (tmp_path / "page.html").as_uri(), READERS, measured)
    context.close()
    faults = {reader: {v["id"] for v in page.violations} for reader, page in seen.items()}
    assert faults["desk-light"] == set()
    assert faults["desk-dark"] == {"color-contrast", "link-in-text-block"}
    assert faults["phone-light"] == {"image-alt"}
    assert seen["desk-light"].width < seen["phone-light"].width + 1000 and seen["phone-light"].width == 800


def test_a_drawing_follows_the_reader_s_switch_to_dark(context, address):
    page = context.new_page()
    page.goto(address + "index.html", wait_until="load")
    read = "getComputedStyle(document.querySelector('.cover .ask path')).stroke"
    light = page.evaluate(read)
    page.evaluate("document.body.dataset.theme = 'dark'")
    assert page.evaluate(read) != light


# Where the words and marks of a drawing stand, and in which colours.
DRAWN = """() => {
  const {left, top} = document.querySelector("svg").getBoundingClientRect();
  return [...document.querySelectorAll("text, tspan, circle")].map(node => {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    return {box: [box.left - left, box.top - top, box.right - left, box.bottom - top],
            look: [style.fill, style.stroke, style.stroke !== "none" && style.strokeWidth, style.fontWeight >= 650, style.fontSize]};
  });
}"""


@pytest.mark.parametrize(
    "path", sorted((ROOT / "_assets" / "drawings").glob("*.svg")), ids=lambda path: path.stem
)
def test_a_drawing_is_the_same_without_the_page_s_style(context, path):
    """As a reader of books, or Anki, draws it: from its own attributes."""
    page = context.new_page()
    style = (ROOT / "_assets" / "drawings.css").read_text()
    svg = path.read_text()
    frame = (
        "<!doctype html><style>{}</style><body><figure class='{}' style='width: 420px; margin: 0'>{}</figure>"
    )
    page.set_content(frame.format(style.replace("transparent", "white"), "drawing", svg))
    styled, ours = page.evaluate(DRAWN), page.screenshot(clip={"x": 0, "y": 0, "width": 440, "height": 440})
    page.set_content(frame.format("svg { display: block; overflow: visible; }", "", alone(svg)))
    bare, theirs = page.evaluate(DRAWN), page.screenshot(clip={"x": 0, "y": 0, "width": 440, "height": 440})
    assert len(styled) == len(bare) > 3 or path.stem == "cover"
    for one, other in zip(styled, bare, strict=True):
        assert one["look"] == other["look"]
        assert max(abs(a - b) for a, b in zip(one["box"], other["box"], strict=True)) < 2
    differs = ImageChops.difference(
        Image.open(BytesIO(ours)).convert("L"), Image.open(BytesIO(theirs)).convert("L")
    )
    changed = sum(value > 60 for value in differs.get_flattened_data())
    assert changed < 300, "the same picture, but for edges and where a dash begins"


@by("desk-light")
def test_every_link_leads_somewhere(seen, address, book):
    """Each internal link's page exists and has the anchor it names."""
    broken = []
    for name, page in seen.items():
        for url in page.page.links:
            target, anchor = urldefrag(url)
            if name == "404.html" or not target.startswith(address):
                continue
            path = unquote(urlsplit(target).path.removeprefix(PREFIX)) or "index.html"
            if not (book / path).is_file():
                broken.append(f"{name}: {url}")
            elif anchor and path in seen and unquote(anchor) not in seen[path].page.anchors:
                broken.append(f"{name}: {url}")
    assert not broken, "\n".join(broken)


@by("desk-light")
@pytest.mark.parametrize("kind", BUDGET)
def test_a_first_visit_is_light(seen, book, kind):
    gzipped, raw, requests = BUDGET[kind]
    for name in [name for name in seen if name.startswith(kind)]:
        files = [
            (book / urlsplit(url).path.removeprefix(PREFIX)).read_bytes() for url in seen[name].page.asked
        ]
        assert len(files) <= requests, name
        assert sum(map(len, files)) <= raw * KIB, name
        assert sum(len(gzip.compress(file)) for file in files) <= gzipped * KIB, name


@pytest.mark.parametrize("context", [(DESK, "light"), (PHONE, "light")], ids=["desk", "phone"], indirect=True)
def test_nothing_jumps_while_a_page_loads(context, address):
    for name in ("index.html", "chapters/07_drift.html", "labs/07_drift_detection.html", "practice.html"):
        page = context.new_page()
        page.add_init_script(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(entry => "
            "{ if (!entry.hadRecentInput) window.shift += entry.value; })).observe({type: 'layout-shift', buffered: true})"
        )
        page.goto(address + name, wait_until="networkidle")
        page.wait_for_timeout(300)
        assert page.evaluate("window.shift") <= 0.05, name


@pytest.mark.parametrize("context", [(DESK, "light"), (PHONE, "light")], ids=["desk", "phone"], indirect=True)
def test_back_to_top_covers_nothing(context, address):
    """The theme gives it another style when the page moves up; where it stands does not change with that."""
    page = context.new_page()
    page.goto(address + "chapters/07_drift.html", wait_until="load")
    box = "JSON.stringify(document.querySelector('.back-to-top').getBoundingClientRect())"
    style = "document.documentElement.classList.{}('show-back-to-top')"
    boxes = {page.evaluate(f"[{style.format(change)}, {box}][1]") for change in ("remove", "add")}
    assert len(boxes) == 1
    covers = """() => {
      const link = document.querySelector(".back-to-top"), {left, right, top, bottom, width} = link.getBoundingClientRect();
      const below = document.elementsFromPoint((left + right) / 2, (top + bottom) / 2);
      return width ? below.filter(node => node.closest("article") && !node.contains(link)).length : 0;
    }"""
    assert page.evaluate(covers) == 0
    page.click(".back-to-top")
    page.wait_for_function("scrollY === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_strict_policy_leaves_the_page_its_colours(browser, address, scheme):
    """`default-src 'self'`: no style and no script but those of files."""
    context = browser.new_context(viewport=DESK, color_scheme=scheme)

    def strictly(route):
        answer = route.fetch()
        policy = {"content-security-policy": "default-src 'self'"}
        route.fulfill(response=answer, headers=answer.headers | policy)

    look = """() => {
      const of = node => getComputedStyle(node), code = [...document.querySelectorAll(".cell_input span")];
      return [[...new Set(code.map(span => of(span).color))].sort(), of(document.body).backgroundColor,
              of(document.querySelector("article p")).fontFamily, of(document.querySelector("article a")).color,
              document.querySelector("h1").getBoundingClientRect().top];
    }"""
    looks = []
    for policy in (False, True):
        page = context.new_page()
        if policy:
            page.route("**/*.html", strictly)
        page.goto(address + "labs/07_drift_detection.html", wait_until="networkidle")
        looks.append(page.evaluate(look))
    context.close()
    assert len(looks[0][0]) > 4
    assert looks[0] == looks[1]


def test_search_finds_an_answer_by_its_words(context, address):
    page = context.new_page()
    page.goto(address + "search.html?q=planted+fault", wait_until="load")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any("chapters/08_automation.html" in link for link in found)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("is PSI 0.14 drift", "chapters/07_drift.html#"),
        ("PSI threshold rows", "chapters/07_drift.html#drift-which-test"),
        ("drift alarm fires every week", "chapters/07_drift.html#drift-alarm-fatigue"),
        ("Stores, disagreeing", "chapters/08_automation.html#features-disagree"),
        ("which run was it?", "labs/04_experiment_tracking.html"),
        ("DELONG", "labs/08_ci_config.html#"),
    ],
)
def test_search_leads_to_sections_and_questions(context, address, book, words, place):
    page = context.new_page()
    for at in (address, book.as_uri() + "/"):
        page.goto(f"{at}search.html?q={quote(words)}", wait_until="load")
        page.wait_for_selector("#places li a")
        found = page.eval_on_selector_all("#places li a", "links => links.map(link => link.href)")
        assert len(found) <= 10
        assert any(link.startswith(at + place) for link in found[:3])


def test_search_promises_no_place_that_is_not_there(context, address, book):
    text = (book / "places-index.js").read_text()
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert len(text) < 800 * KIB and len(gzip.compress(text.encode())) < 250 * KIB
    pages = [(book / page).read_text() for page, _ in index["pages"]]
    assert len(index["places"]) > len(pages)
    missing = [
        (index["pages"][page][0], anchor)
        for page, anchor, *_ in index["places"]
        if anchor and f'id="{anchor}"' not in pages[page]
    ]
    assert not missing
    page = context.new_page()
    page.goto(f"{address}search.html?q=zzyzx", wait_until="networkidle")
    assert page.locator("#places *").count() == 0


@pytest.fixture(scope="module")
def on_paper(browser, address, tmp_path_factory):
    """Print a page as a reader does: call with its name and a script that runs before; get its text by pages."""
    page = browser.new_page(viewport=DESK, color_scheme="light")

    def on_paper(name, before="0"):
        target = tmp_path_factory.mktemp("paper") / "page.pdf"
        page.goto(address + name, wait_until="load")
        page.evaluate(before)
        page.pdf(path=target, prefer_css_page_size=True)
        return sheets_of(target)

    yield on_paper
    page.close()


def words_of(sheets):
    return "".join("".join(sheet.split()) for sheet in sheets)


def test_a_chapter_prints_alone_with_its_answers_one_below_the_other(context, address, on_paper):
    sheets = on_paper("chapters/07_drift.html")
    assert "Skiptocontent" not in words_of(sheets) and "Backtotop" not in words_of(sheets)
    alone, heads = heads_alone(sheets)
    assert heads > 20 and not alone
    page = context.new_page()
    page.emulate_media(media="print")
    page.goto(address + "chapters/07_drift.html", wait_until="load")
    boxes = page.eval_on_selector_all(
        "section.question:first-of-type .answers > details",
        "all => all.map(one => one.getBoundingClientRect().toJSON())",
    )[:3]
    assert len({box["left"] for box in boxes}) == 1, "one below the other"
    assert boxes[0]["width"] > 0.9 * page.evaluate("document.querySelector('article').clientWidth")


def test_a_lab_prints_without_the_solutions_that_nobody_opened(on_paper, book):
    lab, secret = "labs/07_drift_detection.html", "stats.chi2.isf(false_alarms"
    assert secret in (book / lab).read_text().replace('<span class="p">', "")
    assert secret not in words_of(on_paper(lab))
    opened = "document.querySelectorAll('details').forEach(part => part.open = true)"
    assert secret in words_of(on_paper(lab, opened)), "what is opened is printed"


def test_one_card_prints_alone(on_paper, book):
    bank = json.loads((book / "questions.json").read_text())["questions"]
    name, other = bank[7]["name"], bank[8]

    def letters(text):
        return re.sub(r"[^A-Za-z]", "", text)  # fonts give back other apostrophes

    def click(kind, place):
        return f"""() => {{ window.print = () => {{}};
          document.querySelectorAll('[data-card="{name}"]')[{place}].querySelector('[data-print={kind}]').click(); }}"""

    for kind, place, most in (("alone", 0, 1), ("alone", 1, 2), ("set", 1, 4)):
        sheets = on_paper("cards.html", click(kind, place))
        text = letters(words_of(sheets))
        assert letters(bank[7]["question"])[:35] in text
        assert letters(other["question"])[:35] not in text and "Printalone" not in text
        assert len(sheets) <= most
        assert ("Redflags" in text) == (place == 1) and ("Candidate" in text) == (kind == "set")
    sheets = on_paper(
        "cards.html", "window.print = () => {}; document.querySelector('[data-print=sheet]').click()"
    )
    assert len(sheets) == 1 and "Dimension" in words_of(sheets)


def test_a_missing_page_helps(context, address, book):
    text = (book / "404.html").read_text()
    article = text[text.index("<article") : text.index("</article")]
    assert 'action="/search.html"' in article
    assert 'href="/index.html"' in article, "its links are absolute, since it stands anywhere"


def test_every_page_describes_itself(book, pages):
    described = [name for name in pages if name.split("/")[0] in ("chapters", "labs", "index.html")]
    for name in described:
        assert '<meta name="description"' in (book / name).read_text(), name
