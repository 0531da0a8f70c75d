"""The book builds without a warning, holds every page, and quotes the labs."""

import html
import json
import re
import shutil
from html.parser import HTMLParser

import nbformat
import pytest
import yaml
from answers import exercises
from conftest import LABS, ROOT, build
from minutes import minutes, said
from page_facts import reading_minutes

pytestmark = pytest.mark.xdist_group("book")

PAGES = sorted([*(ROOT / "chapters").glob("*.md"), *LABS])


@pytest.fixture
def sources(tmp_path):
    """A copy of the book's sources, to be broken."""
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
    return shutil.copytree(ROOT, tmp_path / "sources", ignore=kept_out)


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.links = [], []

    def handle_data(self, data):
        self.parts.append(data)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src")]


def read(page):
    parser = Text()
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join(parser.parts), parser.links


def page_of(source):
    return source.relative_to(ROOT).with_suffix(".html")


def test_every_chapter_and_lab_is_in_the_table_of_contents():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())

    def files(node):
        if isinstance(node, dict):
            yield from ([node["file"]] if "file" in node else [])
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from files(child)

    listed = list(files(contents))
    assert {str(page.relative_to(ROOT).with_suffix("")) for page in PAGES} <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("source", PAGES, ids=lambda page: page.stem)
def test_the_page_is_built(book, source):
    text, _ = read(book / page_of(source))
    assert len(text) > 1000


def test_a_lab_page_says_its_cost_and_offers_the_learners_copy(book, lab):
    notebook = json.loads(lab.read_text())
    course = notebook["metadata"]["course"]
    text, links = read(book / page_of(lab))
    assert f"{said(minutes(notebook)['core'])} minutes for you" in text
    assert f"{course['cost']['seconds']} s and {course['cost']['mebibytes']:.0f} MiB" in text
    assert f"recorded on {course['recorded']}" in text
    copies = [link for link in links if link.endswith(f"learner/{lab.name}")]
    assert copies
    for link in copies:
        copy = (book / page_of(lab)).parent / link
        assert "raise NotImplementedError" in copy.read_text()
    assert not list(book.glob("_sources/labs/*")), "the edition with the solutions is not offered"


def test_a_lab_page_shows_what_to_predict(book, lab):
    asked = sum(
        len(re.findall(r"(?:^|\n\n)\*\*Predict\.\*\*", "".join(cell["source"])))
        for cell in json.loads(lab.read_text())["cells"]
        if cell["cell_type"] == "markdown"
    )
    assert (book / page_of(lab)).read_text().count('<p class="predict">') == asked > 0


def test_a_lab_page_prints_the_record(book, lab):
    text, _ = read(book / page_of(lab))
    printed = [
        line.strip()
        for cell in json.loads(lab.read_text())["cells"]
        if cell["cell_type"] == "code"
        and not {"hide-cell", "remove-cell"} & set(cell["metadata"].get("tags", []))
        for output in cell["outputs"]
        if output["output_type"] == "stream"
        for line in "".join(output["text"]).splitlines()
        if line.strip()
    ]
    assert not [line for line in printed if line not in text]


def test_no_figure_is_missing(book):
    """A glue role that found nothing leaves its literal text or an empty place; warnings are errors, and this too."""
    for chapter in (ROOT / "chapters").glob("*.md"):
        text, _ = read(book / page_of(chapter))
        quoted = len(re.findall(r"\{glue:text\}", chapter.read_text()))
        assert (book / page_of(chapter)).read_text().count('class="pasted-text"') == quoted
        assert "{glue" not in text


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("{glue:text}`../labs/07_drift_detection.ipynb::drift.nothing_of_that_name`", "not found"),
        ("{cite:p}`nobody1999`", "nobody1999"),
        ("[a link](../labs/07_drift_detection.ipynb#no-such-heading)", "no-such-heading"),
        ("```{nonsense}\n```", "nonsense"),
    ],
)
def test_a_fault_in_a_page_stops_the_build(sources, fault, said):
    (sources / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n  - file: chapters/07_drift\n  - file: labs/07_drift_detection\n"
    )
    (sources / "index.md").write_text("# The book\n")
    (sources / "chapters" / "07_drift.md").write_text(f"# A chapter\n\n{fault}\n")
    code, printed = build(sources, sources / "out")
    assert code != 0
    assert said in printed


def test_a_lab_without_its_cost_is_a_clear_error(sources):
    lab = sources / "labs" / LABS[0].name
    notebook = json.loads(lab.read_text())
    del notebook["metadata"]["course"]["cost"]
    lab.write_text(json.dumps(notebook))
    (sources / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n  - file: labs/{lab.stem}\n")
    (sources / "index.md").write_text("# The book\n")
    code, printed = build(sources, sources / "out")
    assert code != 0
    assert re.search(f"WARNING: {lab.name} has no cost .*make record LAB={lab.stem}", printed)


def test_every_page_is_described_by_a_sentence_of_its_own(book):
    described = []
    for path in [book / "index.html", *(book / page_of(source) for source in PAGES)]:
        pattern = r'<meta (?:name="description"|property="og:description") content="([^"]*)"'
        for_engines, for_friends = re.findall(pattern, path.read_text())
        assert for_engines == for_friends
        assert re.search(r"[.?!]$", for_engines)
        assert not re.match(r"\d+ minutes", for_engines)
        on_page = "".join(read(path)[0].split())
        assert "".join(html.unescape(for_engines).split()) in on_page
        described.append(for_engines)
    assert len(set(described)) == len(described)


def test_the_book_names_an_address_only_when_it_is_told_one(book, tmp_path):
    repository = "https://github.com/somebody/mlops"
    code, printed = build(
        ROOT, tmp_path, BOOK_URL="https://somebody.github.io/mlops/", REPOSITORY_URL=repository
    )
    assert code == 0, printed[-2000:]
    told, page = tmp_path / "_build" / "html", "chapters/07_drift.html"
    assert f'rel="canonical" href="https://somebody.github.io/mlops/{page}"' in (told / page).read_text()
    assert f"https://somebody.github.io/mlops/{page}" in (told / "sitemap.xml").read_text()
    assert 'href="/mlops/search.html"' in (told / "404.html").read_text()
    _, links = read(told / page)
    assert f"{repository}/edit/main/chapters/07_drift.md" in links
    assert any(link.startswith(f"{repository}/issues/new") for link in links)
    card = re.search(
        r'property="og:image" content="https://somebody.github.io/mlops/(.*?)"', (told / page).read_text()
    )
    assert (told / card[1]).read_bytes().startswith(b"\x89PNG")
    assert "og:image" not in (book / page).read_text()
    text, links = read(book / page)
    assert "Report a problem" not in text
    assert not [link for link in links if "/edit/" in link]
    assert not (book / "sitemap.xml").exists()


def test_every_term_in_bold_is_in_the_glossary_and_defined_once():
    terms = re.findall(r"^(\S.*)$", (ROOT / "glossary.md").read_text().split(":sorted:")[1], re.M)
    bold = []
    for chapter in sorted((ROOT / "chapters").glob("*.md")):
        argument = re.sub(r"^(:{3,})\{(question|quiz)\}.*?^\1$", "", chapter.read_text(), flags=re.M | re.S)
        bold += re.findall(r"\*\*(.+?)\*\*", argument)
    assert {term.lower() for term in bold} <= {term.lower() for term in terms}
    assert not {term for term in bold if bold.count(term) > 1}


@pytest.mark.parametrize("chapter", sorted((ROOT / "chapters").glob("*.md")), ids=lambda page: page.stem)
def test_a_chapter_is_read_in_twenty_minutes(book, chapter):
    minutes_to_read = reading_minutes(chapter.read_text(encoding="utf-8"))
    text, _ = read(book / page_of(chapter))
    assert f"{minutes_to_read} minutes to read" in text
    assert minutes_to_read <= 20, "what a first reader doesn't need stands in a fold"


def test_the_minutes_of_a_chapter_are_those_of_its_argument():
    argument = "# Title\n\n" + "word " * 399
    apart = "\n\n:::::{question} What?\n::::{junior}\nmany words\n::::\n:::::\n\n<details>fold\n</details>\n\n| a | table |\n"
    assert reading_minutes(argument + 50 * apart) == reading_minutes(argument) == 2


def test_the_edition_for_a_class_holds_no_solution_and_the_next_build_does(sources):
    (sources / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n  - file: labs/07_drift_detection\n"
    )
    (sources / "index.md").write_text("# The book\n")
    for path in (sources / "labs").glob("*.ipynb"):
        if path.stem != "07_drift_detection":
            path.unlink()
    notebook = nbformat.read(sources / "labs" / "07_drift_detection.ipynb", as_version=4)
    solutions = [cell for _, cell, _ in exercises(notebook.cells)]
    others = "".join(cell.source for cell in notebook.cells if cell not in solutions)
    lines = [[line.strip() for line in cell.source.splitlines() if line not in others] for cell in solutions]
    secrets = [max(of_one, key=len) for of_one in lines]
    assert len(secrets) == 3 and all(len(secret) > 24 for secret in secrets)

    def told():
        """How many solutions each file of the built book tells, in words or in a notebook."""
        files = [
            path
            for path in (sources / "out" / "_build" / "html").rglob("*")
            if path.suffix in (".html", ".ipynb", ".js", ".json")
        ]
        assert len(files) > 5
        texts = {path.name: " ".join(re.sub("<.*?>", "", path.read_text()).split()) for path in files}
        bare = {name: html.unescape(text).replace('\\"', '"') for name, text in texts.items()}
        return {name: sum(secret in text for secret in secrets) for name, text in bare.items()}

    for edition, on_page in (("class", 0), ("", len(secrets)), ("class", 0)):
        code, printed = build(sources, sources / "out", EDITION=edition)
        assert code in (0, 1), printed[-2000:]  # links to chapters lead nowhere here
        counts = told()
        assert counts["07_drift_detection.html"] == on_page
        assert on_page or not any(counts.values()), {name for name, count in counts.items() if count}
        assert bool(counts["07_drift_detection.ipynb"]) == bool(on_page)


def test_an_unknown_edition_is_refused_in_a_sentence(tmp_path):
    code, printed = build(tmp_path, tmp_path, EDITION="clas")
    assert code == 1 and printed.strip() == "EDITION is class, or is not set; it is 'clas'"
