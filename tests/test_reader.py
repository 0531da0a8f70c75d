"""The book as its readers meet it: in a browser, without a network, on a desk and on a phone, light and dark."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import DESK, PHONE, PREFIX

pytestmark = pytest.mark.xdist_group("reader")  # builds the book once more, beside test_book

KIB = 1024
# transferred on a first visit: (gzipped KiB, raw KiB, requests)
BUDGET = {"chapters": (300, 900, 25), "labs": (400, 1100, 25)}


every_reader = pytest.mark.parametrize(
    "context",
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["desk-light", "desk-dark", "phone-light", "phone-dark"],
    indirect=True,
)


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


def test_no_page_asks_another_host_or_complains(context, address, pages):
    asked, complaints = set(), []
    page = context.new_page()
    page.on("request", lambda request: asked.add(request.url))
    page.on("requestfailed", lambda request: complaints.append(f"{page.url}: {request.url} failed"))
    page.on(
        "response",
        lambda r: complaints.append(f"{page.url}: {r.url} {r.status}") if r.status >= 400 else None,
    )
    page.on(
        "console",
        lambda m: complaints.append(f"{page.url}: {m.text}") if m.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    for name in pages:
        if name != "404.html":  # it is asked for by its own test, with its links below the prefix
            page.goto(address + name, wait_until="networkidle")
    assert not complaints
    assert not {url for url in asked if not url.startswith((address, "data:", "blob:"))}


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


@every_reader
def test_every_page_is_accessible(context, address, pages):
    """axe-core finds nothing, with all folded parts opened."""
    page, found = context.new_page(), []
    for name in pages:
        page.goto(address + name, wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        for violation in Axe().run(page).response["violations"]:
            nodes = [node["html"][:120] for node in violation["nodes"][:3]]
            found.append(f"{name}: {violation['id']} ({violation['help']}) {nodes}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("context", [(PHONE, "light")], ids=["phone"], indirect=True)
def test_no_page_is_wider_than_the_phone(context, address, pages):
    page, wide = context.new_page(), {}
    for name in pages:
        page.goto(address + name, wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide[name] = width
    assert not wide


@every_reader
def test_every_word_of_a_drawing_can_be_read(context, address, book):
    """It has a size for eyes, stands in the page, and no other word stands on it."""
    drawn = [path for path in book.rglob("*.html") if 'drawing">' in path.read_text()]
    page, read, faults = context.new_page(), set(), []
    for path in drawn:
        page.goto(address + path.relative_to(book).as_posix(), wait_until="load")
        words = page.evaluate(
            "[...document.querySelectorAll('.drawing text')].map(text => ({...text.getBoundingClientRect().toJSON(), "
            "text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize)}))"
        )
        width = page.viewport_size["width"]
        read |= {word["text"] for word in words}
        for i, word in enumerate(words):
            if word["size"] < 11 or word["left"] < 0 or word["right"] > width:
                faults.append(f"{path.stem}: {word['text']}")
            for other in words[:i]:
                wide = min(word["right"], other["right"]) - max(word["left"], other["left"])
                high = min(word["bottom"], other["bottom"]) - max(word["top"], other["top"])
                if wide > 0 and high > 2:
                    faults.append(f"{path.stem}: {other['text']} / {word['text']}")
    assert {"a rival opens next door", "Concept change", "the tills"} <= read
    assert not faults


def test_a_drawing_follows_the_reader_s_switch_to_dark(context, address):
    page = context.new_page()
    page.goto(address + "index.html", wait_until="load")
    read = "getComputedStyle(document.querySelector('.cover .ask path')).stroke"
    light = page.evaluate(read)
    page.evaluate("document.body.dataset.theme = 'dark'")
    assert page.evaluate(read) != light


def test_every_link_leads_somewhere(context, address, book, pages):
    """Each internal link's page exists and has the anchor it names."""
    page, broken = context.new_page(), []
    anchors, links = {}, {}
    for name in pages:
        page.goto(address + name, wait_until="load")
        anchors[name] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)"))
        links[name] = set(page.evaluate("[...document.querySelectorAll('a[href]')].map(node => node.href)"))
    for name, targets in links.items():
        for url in targets:
            target, anchor = urldefrag(url)
            if name == "404.html" or not target.startswith(address):
                continue
            path = unquote(urlsplit(target).path.removeprefix(PREFIX)) or "index.html"
            if not (book / path).is_file():
                broken.append(f"{name}: {url}")
            elif anchor and path in anchors and unquote(anchor) not in anchors[path]:
                broken.append(f"{name}: {url}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("kind", BUDGET)
def test_a_first_visit_is_light(context, address, book, pages, kind):
    gzipped, raw, requests = BUDGET[kind]
    for name in [name for name in pages if name.startswith(kind)]:
        visit, asked = context.browser.new_context(viewport=DESK), []
        page = visit.new_page()
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(address + name, wait_until="networkidle")
        visit.close()
        files = [(book / urlsplit(url).path.removeprefix(PREFIX)).read_bytes() for url in asked]
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


def test_search_finds_an_answer_by_its_words(context, address):
    page = context.new_page()
    page.goto(address + "search.html?q=planted+fault", wait_until="load")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any("chapters/08_automation.html" in link for link in found)


def test_a_missing_page_helps(context, address, book):
    text = (book / "404.html").read_text()
    article = text[text.index("<article") : text.index("</article")]
    assert 'action="/search.html"' in article
    assert 'href="/index.html"' in article, "its links are absolute, since it stands anywhere"


def test_every_page_describes_itself(book, pages):
    described = [name for name in pages if name.split("/")[0] in ("chapters", "labs", "index.html")]
    for name in described:
        assert '<meta name="description"' in (book / name).read_text(), name
