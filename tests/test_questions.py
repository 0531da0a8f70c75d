"""Questions and quizzes: what is wrong with one is said with its line; what is right is worth saying aloud."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, build
from sklearn.feature_extraction.text import TfidfVectorizer

pytestmark = pytest.mark.xdist_group("book")

BIN = Path(sys.executable).parent
LEVELS = ("junior", "senior", "staff")
CHAPTERS = sorted((ROOT / "chapters").glob("*.md"))
SYLLABUS = yaml.safe_load((ROOT / "data" / "syllabus.yml").read_text())


@pytest.fixture(scope="module")
def bank(book):
    return json.loads((book / "questions.json").read_text())["questions"]


def said(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


# A question that is right, and what happens to it.

RIGHT = """\
::::{question} What does `psi` say?
:name: right
:kind: quick-fire
:level: junior
:minutes: 3
:covers: drift.detection
:labs: 07_drift_detection
:sources: gama2014survey

:::{listens-for}
Rows.
:::

:::{junior}
It compares. **It needs rows.** With $x < 1$, that's {glue:text}`../labs/07_drift_detection.ipynb::drift.psi_false_200:.0%`.
:::

:::{senior}
It compares. **It needs many rows** {cite:p}`gama2014survey`.
:::

:::{staff}
It compares. **It needs an owner.**
:::

:::{follow-up} And with *few* rows?
Noise.
:::

:::{red-flag} "0.1"
A number without rows.
:::
::::
"""


def changed(old, new):
    assert old in RIGHT
    return RIGHT.replace(old, new)


FAULTS = {
    "without a name": (changed(":name: right\n", ""), "this question has no name: write `:name:`"),
    "without a level and minutes": (
        changed(":level: junior\n:minutes: 3\n", ""),
        "this question has no level and no minutes",
    ),
    "unknown kind": (changed("quick-fire", "chat"), "deep-dive"),
    "unknown level": (changed(":level: junior", ":level: wizard"), "wizard"),
    "minutes that are no number": (changed("minutes: 3", "minutes: few"), "few"),
    "unknown option": (changed(":minutes: 3", ":minutes: 3\n:mood: calm"), "mood"),
    "unknown item": (changed("covers: drift.detection", "covers: drift.nothing"), "covers drift.nothing, which is no item"),
    "unknown lab": (changed("labs: 07_drift_detection", "labs: 07_nothing"), "labs/07_nothing.ipynb"),
    "unknown source": (changed("sources: gama2014survey", "sources: nobody1999"), "nobody1999"),
    "missing part": (changed(":::{senior}\nIt compares. **It needs many rows** {cite:p}`gama2014survey`.\n:::\n", ""), "has no senior part"),
    "part twice": (changed(":::{senior}", ":::{staff}"), "has 2 staff parts and needs one"),
    "unknown part": (changed(":::{senior}", ":::{principal}"), "principal"),
    "no follow-up": (changed(":::{follow-up} And with *few* rows?\nNoise.\n:::\n", ""), "has no follow-up"),
    "follow-up without its question": (changed("{follow-up} And with *few* rows?", "{follow-up}"), "a follow-up begins with what is said"),
    "empty part": (changed("Rows.\n", ""), "this listens-for is empty"),
    "no sentence marked": (changed("**It needs an owner.**", "It needs an owner."), "makes this answer staff"),
    "two sentences marked": (changed("It compares. **It needs an owner.**", "**It compares.** **It needs an owner.**"), "makes this answer staff"),
    "text between the parts": (changed(":::{staff}", "Oh, and this.\n\n:::{staff}"), "belongs to no part"),
}  # fmt: skip

QUIZ = """\
:::{quiz} What's `psi` when $p = q$?
- [ ] One, as that's what `"same"` means.

  It isn't a correlation.
- [x] $0$, since $\\ln 1 = 0$.

  Each bin adds nothing.
:::
"""
QUIZ_FAULTS = {
    "quiz without options": (":::{quiz} Why?\nBecause.\n:::\n", "a quiz is one list of options"),
    "quiz without an explanation": (QUIZ.replace("\n\n  It isn't a correlation.", ""), "option 1 of this quiz is not"),
    "quiz with another mark": (QUIZ.replace("[x]", "[y]"), "option 2 of this quiz is not"),
    "quiz without a right option": (QUIZ.replace("[x]", "[ ]"), "at least one right option"),
}  # fmt: skip


def put(sources, text):
    """Make `sources` a book of one chapter with `text` in it; return how to build it."""
    (sources / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n  - file: chapters/07_drift\n  - file: labs/07_drift_detection\n"
        "  - file: practice\n  - file: references\n"
    )
    (sources / "index.md").write_text("# The book\n")
    (sources / "chapters" / "07_drift.md").write_text(text)
    return build(sources, sources / "out")


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What the build says of one page with every fault: {fault: [(line, message)]}."""
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
    sources = shutil.copytree(ROOT, tmp_path_factory.mktemp("faults") / "sources", ignore=kept_out)
    text, starts = "# A chapter\n\n## Interview questions\n\n", {}
    for fault, (source, _) in (FAULTS | QUIZ_FAULTS).items():
        starts[fault] = text.count("\n") + 1
        text += source.replace(":name: right", f":name: {fault.replace(' ', '-')}") + "\n"
    starts["duplicate name"] = text.count("\n") + 1
    text += (RIGHT + "\n") * 2
    starts["stray part"] = text.count("\n") + 1
    text += ":::{junior}\nAlone.\n:::\n"
    code, printed = put(sources, text)
    assert code != 0
    found = re.findall(r"chapters/07_drift\.md:(\d+): (?:WARNING|ERROR): (.*)", printed)
    bounds = [*starts.values(), text.count("\n") + 2]
    return {
        fault: [(int(line), said) for line, said in found if first <= int(line) < after]
        for fault, first, after in zip(starts, bounds, bounds[1:], strict=False)
    }


@pytest.mark.parametrize("fault", [*FAULTS, *QUIZ_FAULTS])
def test_a_fault_is_a_build_error_that_names_its_line(complaints, fault):
    wanted = (FAULTS | QUIZ_FAULTS)[fault][1]
    assert any(wanted in message for _, message in complaints[fault]), complaints[fault]


def test_a_name_is_given_once(complaints):
    assert any("the name right is taken" in message for _, message in complaints["duplicate name"])


def test_a_part_stands_inside_of_a_question(complaints):
    assert any("outside of any question" in message for _, message in complaints["stray part"])


def test_a_right_question_and_quiz_are_built_with_all_they_hold(tmp_path):
    kept_out = shutil.ignore_patterns(".venv", ".git", "_build", "my-labs", ".pytest_cache")
    sources = shutil.copytree(ROOT, tmp_path / "sources", ignore=kept_out)
    _, printed = put(
        sources, f"# A chapter\n\n## Interview questions\n\n{RIGHT}\n\n[itself](#right)\n\n{QUIZ}"
    )
    here = [line for line in printed.splitlines() if "07_drift.md" in line]
    assert not here, here
    [question] = json.loads((sources / "out/_build/html/questions.json").read_text())["questions"]
    assert question["question"] == "What does psi say?"
    assert question["url"] == "chapters/07_drift.html#right"
    assert "<math" in question["answers"]["junior"] and "pasted-text" in question["answers"]["junior"]
    assert 'href="references.html#' in question["answers"]["senior"]
    assert question["follow_ups"] == [{"question": "And with <em>few</em> rows?", "reply": "<p>Noise.</p>"}]
    page = (sources / "out/_build/html/chapters/07_drift.html").read_text()
    quiz = page[page.index('class="quiz') :]
    assert (
        quiz.count("<details") == 2
        and "It isn’t a correlation" in quiz
        and "<math" in quiz
        and "that’s what" in quiz
    )
    assert re.search(r"<strong>No\.</strong>.*<strong>Right\.</strong>", quiz, flags=re.DOTALL)


# The questions of the book.


def test_the_bank_is_as_its_schema_says(book):
    check = [
        BIN / "check-jsonschema",
        "--schemafile",
        book / "questions.schema.json",
        book / "questions.json",
    ]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_question_of_every_chapter_is_in_the_bank(bank):
    written = [
        name for chapter in CHAPTERS for name in re.findall(r"^:name: (\S+)$", chapter.read_text(), re.M)
    ]
    assert sorted(question["name"] for question in bank) == sorted(written)


def test_an_answer_can_be_spoken(bank):
    lengths = {(q["name"], level): len(said(q["answers"][level]).split()) for q in bank for level in LEVELS}
    assert not {who: words for who, words in lengths.items() if not 55 <= words <= 245}


def similarity(texts):
    weights = TfidfVectorizer(stop_words="english").fit_transform(texts)
    return (weights @ weights.T).toarray()


def test_no_two_questions_are_near_duplicates(bank):
    alike = similarity([f"{q['question']} {said(q['situation'])} {said(q['listens_for'])}" for q in bank])
    pairs = np.argwhere(np.triu(alike, 1) > 0.5)
    assert not [(bank[one]["name"], bank[other]["name"]) for one, other in pairs]


def test_the_three_answers_of_a_question_differ(bank):
    alike = similarity([said(q["answers"][level]) for q in bank for level in LEVELS])
    same = [
        (q["name"], LEVELS[one], LEVELS[other])
        for number, q in enumerate(bank)
        for one, other in ((0, 1), (0, 2), (1, 2))
        if alike[3 * number + one, 3 * number + other] > 0.5
    ]
    assert not same


def test_a_design_is_drawn_and_an_incident_has_its_first_thirty_minutes(bank):
    without = []
    for question in bank:
        worked = question.get("worked") or ""
        drawn = "<pre" in worked or "<svg" in worked
        timed = re.search(r"[Mm]inute", worked) and re.search(r"\b(20|25|30)\b", worked)
        if (question["kind"] == "design" and not drawn) or (question["kind"] == "incident" and not timed):
            without.append(question["name"])
    assert not without


# A figure with a decimal point, a percent or a euro sign and more than one digit that counts looks measured.
FIGURE = re.compile(r"\d[\d.,]*(?:\s?[%€])|\d+\.\d+|[%€]\s?\d[\d.,]*")
CONVENTIONS = {"0.25", "95 %", "99 %", "99.9 %"}  # PSI's second rule of thumb, customary levels


def looks_measured(figure):
    digits = re.sub(r"[^\d]", "", figure).strip("0")
    return len(digits) > 1 and figure.rstrip(".,") not in CONVENTIONS


def test_a_figure_in_an_answer_comes_from_a_lab_or_has_a_citation():
    typed = []
    for chapter in CHAPTERS:
        for level, answer in re.findall(
            r"^:::\{(junior|senior|staff)\}\n(.*?)^:::$", chapter.read_text(), re.M | re.S
        ):
            for sentence in answer.splitlines():
                words = re.sub(r"\{(glue:text|artefact)\}`[^`]*`|`[^`]*`|\$[^$]*\$", "", sentence)
                if "{cite" not in sentence:
                    typed += [
                        (chapter.stem, level, found)
                        for found in FIGURE.findall(words)
                        if looks_measured(found)
                    ]
    assert not typed


@pytest.mark.parametrize("figure", ["0.83", "12 %", "1,240 €", "€1,240", "0.0014"])
def test_a_typed_figure_would_be_noticed(figure):
    assert [found for found in FIGURE.findall(f"It fell to {figure}, then rose.") if looks_measured(found)]


@pytest.mark.parametrize("figure", ["0.1", "5 %", "0.005", "200 rows", "45 days", "02:10", "0.25", "95 %"])
def test_a_chosen_number_may_be_typed(figure):
    assert not [found for found in FIGURE.findall(f"Say {figure}, then look.") if looks_measured(found)]


def test_a_name_is_stable_and_readable(bank):
    assert not [q["name"] for q in bank if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+){1,6}", q["name"])]


def test_the_subjects_are_items_of_the_syllabus(bank):
    items = {item["id"] for section in SYLLABUS for item in section["items"]}
    assert {item for q in bank for item in q["covers"]} <= items
