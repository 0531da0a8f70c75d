"""The printed book: every page of it, an outline, page numbers, nothing folded."""

import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, build
from pdf import find_chromium
from pypdf import PdfReader

pytestmark = pytest.mark.xdist_group("takeaways")


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium found: on Debian or Ubuntu, apt install chromium")
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    subprocess.run([sys.executable, ROOT / "scripts" / "pdf.py", target], check=True, capture_output=True)
    return PdfReader(target)


def titles(outline):
    for entry in outline:
        if isinstance(entry, list):
            yield from titles(entry)
        else:
            yield entry.title


def test_the_outline_names_every_chapter_and_lab(printed):
    named = list(titles(printed.outline))
    for title in ("4 · Model development", "7 · Drift and degradation", "8 · Pipeline automation and CI/CD"):
        assert title in named
    assert {"Lab 4.1 · Which run was it?", "Lab 7.1 · Has it drifted?", "Glossary", "References"} <= set(
        named
    )


def test_the_cover_has_the_first_page_to_itself(printed):
    words = " ".join(printed.pages[0].extract_text().split())
    assert "Mastering MLOps" in words and "a rival opens next door" in words
    assert "How would you know" not in words


def test_pages_are_numbered(printed):
    for number in (3, 20, len(printed.pages)):
        words = printed.pages[number - 1].extract_text().split()
        assert str(number) in (words[0], words[-1])


def test_folded_parts_are_open_and_the_screen_s_furniture_is_gone(printed):
    text = " ".join(" ".join(page.extract_text().split()) for page in printed.pages)
    assert "return (1 / n + 1 / m) * stats.chi2.isf(false_alarms, bins - 1)" in text, "a folded solution"
    assert "Skip to content" not in text


def test_the_cover_links_what_was_printed(tmp_path):
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
    sources = shutil.copytree(ROOT, tmp_path / "sources", ignore=kept_out)
    (sources / "_build" / "downloads").mkdir(parents=True)
    (sources / "_build" / "downloads" / "mastering-mlops.pdf").write_bytes(b"%PDF" * 300_000)
    code, said = build(sources, tmp_path)
    assert code == 0, said[-2000:]
    html = tmp_path / "_build" / "html"
    assert '<a href="mastering-mlops.pdf">PDF, 1.2 MB</a>' in (html / "index.html").read_text()
    assert (html / "mastering-mlops.pdf").exists()
