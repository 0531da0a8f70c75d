"""Plots of labs in chapters."""

import re
from html import unescape

import nbformat
import pytest
from conftest import ROOT
from plots import read

DIRECTIVE = re.compile(r"^```\{plot\} \.\./labs/(\w+)\.ipynb::(\S+)$", re.M)
SHOWN = [
    (chapter.stem, *found)
    for chapter in sorted((ROOT / "chapters").glob("*.md"))
    for found in DIRECTIVE.findall(chapter.read_text(encoding="utf-8"))
]


def lab(tmp_path, plots=1, alternative="A line that rises."):
    cell = nbformat.v4.new_code_cell("plot", id="rise")
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": "aGVsbG8="})] * plots
    if alternative:
        cell.metadata["mystnb"] = {"image": {"alt": alternative}}
    path = tmp_path / "00_small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_a_plot_is_what_the_cell_drew_and_says(tmp_path):
    assert read(lab(tmp_path), "rise") == (b"hello", "A line that rises.")


@pytest.mark.parametrize(
    ("made", "cell", "said"),
    [
        ({}, "fall", "has no cell 'fall'"),
        ({"plots": 0}, "rise", "has 0 plots"),
        ({"plots": 2}, "rise", "has 2 plots"),
        ({"alternative": ""}, "rise", r"has no mystnb\.image\.alt"),
    ],
)
def test_a_plot_that_is_not_there_is_said(tmp_path, made, cell, said):
    with pytest.raises(ValueError, match=said):
        read(lab(tmp_path, **made), cell)


def test_a_lab_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"there is no lab 00_none\.ipynb"):
        read(tmp_path / "00_none.ipynb", "rise")


@pytest.mark.parametrize("chapter", sorted({chapter for chapter, *_ in SHOWN}))
def test_a_chapter_shows_its_plots_with_their_alternative_and_caption(book, chapter):
    html = (book / "chapters" / f"{chapter}.html").read_text(encoding="utf-8")
    figures = re.findall(r'<figure class="plot[^>]*>.*?</figure>', html, re.S)
    wanted = [read(ROOT / "labs" / f"{name}.ipynb", cell) for where, name, cell in SHOWN if where == chapter]
    assert len(figures) == len(wanted) > 0
    for figure, (content, alternative) in zip(figures, wanted, strict=True):
        [source] = re.findall(r'src="\.\./(_images/[^"]+)"', figure)
        assert (book / source).read_bytes() == content
        assert unescape(re.search(r'alt="([^"]*)"', figure)[1]) == alternative
        assert re.search(r"<figcaption>\s*<p>.*\w.*</p>", figure, re.S)
