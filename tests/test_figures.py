"""Drawings: the cover is true, each drawing can be read aloud, wears the page's colours and stands in the page."""

import json
import re
import shutil
from xml.etree import ElementTree

import cover
import pytest
from conftest import ROOT, build

DRAWINGS = sorted((ROOT / "_assets" / "drawings").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=DRAWINGS, ids=lambda path: path.stem)
def drawing(request):
    return ElementTree.parse(request.param).getroot()


@pytest.fixture(scope="module")
def scored():
    return cover.score()


def test_the_cover_is_what_the_data_draw(scored):
    assert cover.draw(*scored) == cover.TARGET.read_text(), "the data changed? python scripts/cover.py"


def test_the_cover_s_champion_is_that_of_the_lab(scored):
    lab = json.loads((ROOT / "labs" / "07_drift_detection.ipynb").read_text())
    glued = {
        output["metadata"]["scrapbook"]["name"]: output["data"]
        for cell in lab["cells"]
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    (recorded,) = glued["drift.auc_calm"].values()
    _, weeks = scored
    calm = weeks[weeks.applied_at < cover.RIVAL]
    assert cover.auc(calm) == pytest.approx(float("".join(recorded)), abs=1e-6)


def test_a_drawing_can_be_read_aloud(drawing):
    assert drawing.get("role") == "img"
    title, desc = drawing.findtext(f"{SVG}title"), drawing.findtext(f"{SVG}desc")
    assert len(title) < 100 < len(desc)


def test_a_drawing_wears_the_page_s_colours(drawing):
    for element in drawing.iter():
        assert not {"fill", "stroke", "color", "style", "opacity"} & set(element.keys())
        assert element.tag != f"{SVG}style"


def test_drawings_do_not_disturb_each_other_on_one_page(drawing):
    assert not [element for element in drawing.iter() if "id" in element.keys()]


def test_no_figure_of_a_lab_is_typed_into_a_drawing(drawing):
    words = " ".join("".join(text.itertext()) for text in drawing.iter(f"{SVG}text"))
    assert set(re.findall(r"[\d.,]*\d%?", words)) <= {"9", "30", "45"}, (
        "9 June, and the days of the due date and labels"
    )


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_light_and_stands_in_a_page(book, path):
    svg = path.read_text()
    assert len(svg) < 15_000
    assert [page.name for page in book.rglob("*.html") if svg.strip() in page.read_text()]


UNFIT = {
    "missing": (None, "there is no drawing chapters/missing.svg"),
    "broken": ("<svg", "is not well-formed"),
    "silent": ('<svg xmlns="http://www.w3.org/2000/svg"/>', "does not begin with"),
    "untold": ('<svg xmlns="http://www.w3.org/2000/svg" role="img"><title>A</title></svg>', "has no <desc>"),
}


def test_a_drawing_that_cannot_be_shown_to_all_stops_the_build(tmp_path):
    """And the message names the page and the line."""
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache", "labs", "*.md")
    sources = shutil.copytree(ROOT, tmp_path / "sources", ignore=kept_out)
    (sources / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - file: chapters/page\n")
    (sources / "index.md").write_text("# The book\n")
    page = ["# A page"]
    for name, (svg, _) in UNFIT.items():
        page += [f"```{{drawing}} {name}.svg", "```"]
        if svg:
            (sources / "chapters" / f"{name}.svg").write_text(svg)
    (sources / "chapters" / "page.md").write_text("\n".join(page))
    code, printed = build(sources, tmp_path)
    assert code != 0
    for name, (_, said) in UNFIT.items():
        line = page.index(f"```{{drawing}} {name}.svg") + 1
        (report,) = [report for report in printed.splitlines() if f"page.md:{line}: " in report]
        assert f"chapters/{name}.svg" in report and said in report
