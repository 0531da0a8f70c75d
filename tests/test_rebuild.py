"""A build after an edit writes what a clean build would write, and no page that stayed the same."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import nbformat
import pytest
from conftest import ROOT, build
from test_questions import RIGHT

pytestmark = pytest.mark.xdist_group("rebuild")

TOC = """\
format: jb-book
root: index
chapters:
  - file: chapters/07_drift
  - file: chapters/08_other
  - file: labs/07_lab
  - file: glossary
  - file: practice
  - file: using_a_lab
  - file: cards
  - file: coverage
  - file: references
"""
CHAPTER = """\
# A chapter

Of {cite:t}`gama2014survey`, of a {term}`canary`, and of [](08_other.md).

```{drawing} here.svg
A caption.
```

## Interview questions

"""
LAB = "../labs/07_lab.ipynb"
SYLLABUS = """\
- section: here
  items:
    - {id: drift.detection, item: Drift, taught: 07_drift.md#a-chapter}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" role="img"><title>A</title><desc>B</desc><text>north</text></svg>'
REFERENCES = "".join(
    f"@misc{{{key}, author = {{{author}}}, title = {{A title}}, year = {{{year}}}}}\n"
    for key, author, year in (("gama2014survey", "Gama", 2014), ("wozniak1990optimization", "Wozniak", 1990))
)


def lab(figure):
    """A lab that glues `figure`, with its record."""
    kind = "application/papermill.record/"
    glued = nbformat.v4.new_output("display_data", {f"{kind}text/plain": str(figure)})
    glued.metadata = {"scrapbook": {"mime_prefix": kind, "name": "rate"}}
    cell = nbformat.v4.new_code_cell("1", outputs=[glued], metadata={"tags": ["remove-cell"]})
    course = {"covers": [], "cost": {"seconds": 1, "mebibytes": 1}, "recorded": "2026-01-01"}
    cells = [nbformat.v4.new_markdown_cell("# A lab\n\nIts first sentence."), cell]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"course": course})
    return nbformat.writes(notebook)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The sources of a book of a few pages that say all that pages say of each other, and their first build."""
    kept_out = shutil.ignore_patterns(
        ".venv", ".git", "_build", "my-labs", ".pytest_cache", "labs", "chapters"
    )
    sources = shutil.copytree(ROOT, tmp_path_factory.mktemp("rebuild") / "sources", ignore=kept_out)
    for folder in ("labs", "chapters"):
        (sources / folder).mkdir()
    shutil.copy(ROOT / "labs" / "matplotlibrc", sources / "labs")
    question = RIGHT.replace("07_drift_detection.ipynb::drift.psi_false_200", "07_lab.ipynb::rate")
    files = {
        "_toc.yml": TOC,
        "index.md": "# The book\n\nIts first sentence.\n",
        "using_a_lab.md": "# A lab in an interview\n\nIts first sentence.\n",
        "chapters/07_drift.md": CHAPTER + question.replace("07_drift_detection", "07_lab"),
        "chapters/08_other.md": f"# Another chapter\n\nIt was {{glue:text}}`{LAB}::rate:.0%`.\n",
        "chapters/here.svg": SVG,
        "labs/07_lab.ipynb": lab(0.25),
        "coverage.md": "# Coverage\n\n```{coverage} here\n```\n",
        "data/syllabus.yml": SYLLABUS,
        "glossary.md": "# Glossary\n\n```{glossary}\ncanary\n  A small part of the traffic.\n```\n",
        "references.bib": REFERENCES,
    }
    for name, text in files.items():
        (sources / name).write_text(text)
    again(sources)
    return sources


def again(sources):
    """Build the book of `sources` where it was built before; return {page: text}."""
    code, printed = build(sources, sources, SOURCE_DATE_EPOCH="1800000000")
    assert code == 0, printed[-3000:]
    return pages(sources / "_build" / "html")


def pages(html):
    """{path: content} of the files of a built book, but of the deck, a database that has times of its own."""
    files = {
        path.relative_to(html).as_posix(): path.read_bytes()
        for path in html.rglob("*")
        if path.is_file() and path.suffix != ".apkg"
    }
    # Sphinx keeps a word that no page has any more, and that it is on no page
    files["searchindex.js"] = re.sub(rb'"[^"]*": \[\](, )?', b"", files["searchindex.js"]).replace(
        b", }", b"}"
    )
    return files


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def written(sources):
    """{page: when it was written}"""
    html = sources / "_build" / "html"
    return {path.relative_to(html).as_posix(): path.stat().st_mtime_ns for path in html.rglob("*.html")}


# file, what is changed in it, and where it must show; what touches every page first, lest it hides what follows
EDITS = {
    "a figure of a lab": ("labs/07_lab.ipynb", "0.25", "0.75", "75%", ["chapters/08_other.html", "chapters/07_drift.html", "questions.json", "questions.js"]),
    "a citation": ("references.bib", "2014}", "2015}", "2015", ["references.html", "chapters/07_drift.html", "questions.json"]),
    "a title": ("chapters/08_other.md", "# Another", "# A renamed", "A renamed chapter", ["chapters/08_other.html", "chapters/07_drift.html", "index.html", "glossary.html"]),
    "a term": ("glossary.md", "canary\n", "canary\ncanary release\n", "canary release", ["glossary.html", "searchindex.js"]),
    "a question": ("chapters/07_drift.md", "It needs an owner.", "It needs a name.", "It needs a name.", ["chapters/07_drift.html", "questions.json", "questions.js"]),
    "a question's options": ("chapters/07_drift.md", ":level: junior", ":level: staff ", ">staff<", ["coverage.html"]),
    "a drawing": ("chapters/here.svg", "north", "south", "south", ["chapters/07_drift.html"]),
    "the rubric": ("data/rubric.yml", "Numbers", "Counts", "Counts", ["cards.html", "questions.js"]),
    "the definition of a term": ("glossary.md", "A small part", "One per cent", "One per cent", ["glossary.html"]),
    "a word beside the questions": ("chapters/07_drift.md", "Of {cite:t}", "Once of {cite:t}", "Once of", ["chapters/07_drift.html"]),
    "a word": ("chapters/08_other.md", "It was", "It was once", "It was once", ["chapters/08_other.html"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def edited(small):
    """The pages after all edits, each with a build of its own, and after each what was written."""
    missing, touched = {}, {}
    for edit, (name, old, new, sign, places) in EDITS.items():
        before = written(small)
        change(small / name, old, new)
        after = again(small)
        missing[edit] = [place for place in places if sign not in after[place].decode()]
        now = written(small)
        touched[edit] = {page for page in now if now[page] != before.get(page)}
    return missing, touched


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_shows_wherever_it_is_quoted(edited, edit):
    assert not edited[0][edit]


def test_a_word_touches_its_own_page_and_what_sphinx_always_writes(edited):
    always = {"404.html", "genindex.html", "search.html", "index.html"}
    assert edited[1]["a word"] - always == {"chapters/08_other.html"}
    assert edited[1]["a word beside the questions"] - always == {"chapters/07_drift.html"}
    assert {"practice.html", "cards.html"} < edited[1]["a question"]


def test_the_deck_has_the_questions_of_the_last_edit(small, edited):
    with zipfile.ZipFile(small / "_build" / "html" / "questions.apkg") as deck:
        notes = deck.read("collection.anki2")
    assert b"It needs a name." in notes and b"It needs an owner." not in notes


def test_builds_after_edits_equal_a_clean_one(small, edited, tmp_path):
    rebuilt = pages(small / "_build" / "html")
    code, printed = build(small, tmp_path, SOURCE_DATE_EPOCH="1800000000")
    assert code == 0, printed[-3000:]
    clean = pages(tmp_path / "_build" / "html")
    assert set(rebuilt) == set(clean)
    assert not [name for name in clean if clean[name] != rebuilt[name]]


def test_a_build_of_nothing_writes_no_page(small, edited):
    before, deck = written(small), small / "_build" / "html" / "questions.apkg"
    made = deck.stat().st_mtime_ns
    again(small)
    assert (written(small), deck.stat().st_mtime_ns) == (before, made)


def test_a_warning_that_stops_nobody_costs_no_page(small, edited):
    """As below `make serve`, where warnings are no errors."""
    page = small / "chapters" / "08_other.md"
    right = page.read_text()
    page.write_text(right + "\n[A link](#nowhere-at-all)\n")
    command = [sys.executable, ROOT / "scripts" / "book.py", "build", "-n", "--path-output", small, small]
    for _ in range(2):
        before = written(small)
        with page.open("a") as text:
            text.write("\nA word.\n")
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and "nowhere-at-all" in done.stdout + done.stderr
    now = written(small)
    assert "practice.html" not in {name for name in now if now[name] != before[name]}
    page.write_text(right)
    again(small)


def test_a_page_that_held_the_questions_may_go(small, edited):
    contents = (small / "_toc.yml").read_text()
    (small / "_toc.yml").write_text(contents.replace("  - file: practice\n", ""))
    (small / "practice.md").rename(small / "practice.away")
    assert b"It needs a name." in again(small)["questions.json"]
    (small / "practice.away").rename(small / "practice.md")
    (small / "_toc.yml").write_text(contents)
    again(small)


def test_a_fault_is_said_again_until_it_is_mended(small, edited):
    page = small / "chapters" / "08_other.md"
    right = page.read_text()
    page.write_text(right + "\n[A link](#nowhere-at-all)\n")
    for _ in range(2):
        code, printed = build(small, small)
        assert code != 0 and "nowhere-at-all" in printed
    page.write_text(right)
    again(small)


def test_a_build_that_is_killed_leaves_no_page_behind(small, edited):
    chapter, first = small / "chapters" / "07_drift.md", small / "_build" / "html" / "cards.html"
    before = first.stat().st_mtime_ns
    change(chapter, ":level: staff ", ":level: senior")
    command = [sys.executable, ROOT / "scripts" / "book.py", "build", "-n", "--path-output", small, small]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(command, **quiet) as building:
        while building.poll() is None and first.stat().st_mtime_ns == before:
            time.sleep(0.001)
        os.killpg(building.pid, signal.SIGKILL)  # all are read, and one is written
    assert building.returncode == -signal.SIGKILL
    assert ">senior<" in again(small)["coverage.html"].decode()


def test_questions_are_those_of_the_schema_after_a_rebuild(small, edited):
    content = json.loads((small / "_build" / "html" / "questions.json").read_text())
    assert [question["name"] for question in content["questions"]] == ["right"]
