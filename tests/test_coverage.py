"""Every item of the article is taught, asked, and proven by something that runs."""

import re
import sys

import pytest
import yaml
from conftest import ROOT

sys.path.append(str(ROOT / "extensions"))
from syllabus import asked, sections_of

ITEMS = [item for section in sections_of(ROOT).values() for item in section["items"]]
CHAPTERS = {path.name: path.read_text() for path in (ROOT / "chapters").glob("*.md")}
QUESTIONS = list(asked(ROOT))
TESTS = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


def slug(heading):
    """The address of a heading, as MyST and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(chapter):
    argument = re.sub(r"^(```+|:::+\{question\}).*?^(```+|::::)$", "", CHAPTERS[chapter], flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", argument, re.M)}


def lacking(item, questions=QUESTIONS):
    """What an item of data/syllabus.yml lacks to be covered as far as it says."""
    chapter, _, heading = item.get("taught", "").partition("#")
    if chapter not in CHAPTERS or heading not in headings(chapter):
        yield f"no heading teaches it: {item.get('taught')}"
    if not any(item["id"] in items for *_, items in questions):
        yield "no question asks it"
    artefacts = item.get("artefacts", [])
    for name in artefacts:
        if not any((place / name).is_file() for place in (ROOT, ROOT / "chapters" / "artefacts")):
            yield f"there is no artefact {name}"
        elif name.rpartition("/")[2].removesuffix(".py") not in TESTS:
            yield f"no test names the artefact {name}"
    if not (item.get("labs") or artefacts):
        yield "neither a lab nor a tested artefact proves it"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["id"])
def test_the_item_is_taught_asked_and_proven(item):
    assert not list(lacking(item))


def test_no_question_covers_what_the_article_does_not_have():
    assert {item for *_, items in QUESTIONS for item in items} <= {item["id"] for item in ITEMS}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"taught": "07_drift.md#no-such-heading"}, "no heading"),
        ({"taught": "99_nothing.md#the-idea"}, "no heading"),
        ({"id": "drift.unheard-of"}, "no question"),
        ({"labs": [], "artefacts": []}, "neither"),
        ({"artefacts": ["nothing.py"]}, "no artefact"),
    ],
)
def test_a_gap_would_be_found(change, said):
    [item] = [item for item in ITEMS if item["id"] == "drift.detection"]
    assert not list(lacking(item))
    assert any(said in gap for gap in lacking(item | change))


def test_the_page_shows_every_section():
    shown = re.findall(r"^```\{coverage\} (\w+)$", (ROOT / "coverage.md").read_text(), re.M)
    assert shown == list(sections_of(ROOT))


def test_the_list_of_items_is_whole():
    text = (ROOT / "data" / "syllabus.yml").read_text()
    assert len(ITEMS) == len({item["id"] for item in ITEMS}) == text.count("covers: ")
    assert all(set(item) <= {"id", "item", "covers", "labs", "artefacts", "taught"} for item in ITEMS)
    assert {item["covers"] for item in ITEMS} == {"lab", "chapter"}
    assert yaml.safe_load(text)


def test_at_least_120_questions_of_all_levels_and_half_with_figures():
    levels = [level for _, _, level, _ in QUESTIONS]
    assert len(QUESTIONS) >= 120
    assert min(levels.count(level) for level in ("junior", "senior", "staff")) >= len(QUESTIONS) / 5
    parts = re.split(r"^:{3,}\{question\}", "".join(CHAPTERS.values()), flags=re.M)[1:]
    with_figures = [part for part in parts if re.search(r"\{(glue:text|artefact)\}", part)]
    assert len(with_figures) >= 60
