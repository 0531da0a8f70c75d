"""What is printed for a class: the days add up, a handout gives nothing away, no page asks a server for anything."""

import datetime
import re
import subprocess
import sys

import handout
import nbformat
import numpy as np
import pytest
import rehearse
import sheets
import slides
import workshop_plan as plan
from answers import Trial, exercises, name_of
from bs4 import BeautifulSoup
from conftest import LABS, PHONE, ROOT
from minutes import minutes
from paper import code, page

LAB = "07_drift_detection"
PLANS = sorted((ROOT / "workshop" / "plans").glob("*.yml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_fills_its_days(path):
    for day in plan.read(path.stem)["days"]:
        parts = plan.schedule(day)
        assert sum(part.minutes for part in parts) == day["minutes"]
        assert all(part.minutes <= 30 for part in parts if part.rest), "nobody fills that"
        table = plan.table(parts, datetime.time(9))
        first, *_, last = re.findall(r"^\| (\d\d:\d\d)", table, re.M)
        ends = datetime.datetime(2000, 1, 1, 9) + datetime.timedelta(minutes=day["minutes"])
        assert first == "09:00" and last == f"{ends:%H:%M}"


FIRST = {"lab": "01_beyond_devops", "incident": "01_evolution#the-incident-one-commit-two-answers"}
TALK, BREAK = {"talk": "x", "minutes": 50}, {"break": "x", "minutes": 10}


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ({"minutes": 100, "parts": [TALK]}, "the parts take 50 minutes, 50 fewer than the day's 100"),
        ({"minutes": 40, "parts": [TALK]}, "the parts take 50 minutes, 10 more than the day's 40"),
        ({"minutes": 100, "parts": [TALK, TALK]}, "100 minutes without a break"),
        ({"minutes": 50, "parts": [{"talk": "x"}]}, "how many minutes does 'x' take"),
        ({"minutes": 50, "parts": [{"song": "x"}]}, "this is none"),
        ({"minutes": 50, "parts": [{"lab": "09_none", "incident": "x#y"}]}, "there is no lab '09_none'"),
        (
            {"minutes": 50, "parts": [{"lab": "01_beyond_devops", "incident": "01_evolution#nowhere"}]},
            "chapter 01_evolution has no heading #nowhere",
        ),
        ({"minutes": 50, "parts": [FIRST]}, "what is told before '01_beyond_devops'?"),
    ],
)
def test_a_day_that_cannot_be_held_gets_a_sentence(day, said):
    with pytest.raises(plan.PlanError, match=re.escape(said)):
        plan.schedule(day)


def test_a_day_with_breaks_is_held_and_what_is_left_goes_to_one_part():
    parts = plan.schedule({"minutes": 120, "parts": [TALK, BREAK, {"talk": "rest", "at_least": 5}]})
    assert [part.minutes for part in parts] == [50, 10, 60]


def test_minutes_that_enough_people_measured_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "WORKSHOP", tmp_path)
    entry = FIRST | {"story": "Two shops, one customer."}
    lab = next(part for part in plan.parts_of(entry) if part.kind == "lab")
    assert lab.counted
    few = "- {date: 2026-02-01, people: 4, minutes: 99}"
    old = "- {date: 2026-01-01, people: 9, minutes: 50}"
    new = "- {date: 2026-02-01, people: 9, minutes: 61}"
    (tmp_path / "timings.yml").write_text(f"01_beyond_devops:\n{few}\n{new}\n{old}\n")
    lab = next(part for part in plan.parts_of(entry) if part.kind == "lab")
    assert lab.minutes == 61 and not lab.counted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["none"], "there is no plan 'none'; plans are: half-day, two-day"),
        (["half-day", "--start", "nine"], "START is a time such as 09:00, and not 'nine'"),
        (["half-day", "--learners", "few"], "LEARNERS is a number of people, and not 'few'"),
    ],
)
def test_bad_input_gets_a_sentence(given, said):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/workshop_plan.py", *given], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.strip() == said


def test_a_rehearsal_without_anybody_gets_a_sentence():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/rehearse.py", "half-day", "--learners", "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "at least one learner and one helper" in done.stderr


def explained(lab):
    """One mistake for each entry of the lab's sheet: what `rehearse.hear` gives, without executing the lab."""
    return {
        exercise: [rehearse.Mistake(entry["says"], on_sheet=True) for entry in entries]
        for exercise, entries in sheets.misconceptions(lab).items()
    }


def rehearsed(lab=LAB, possible=None, seed=1, **assumed):
    notebook = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
    people, rng = rehearse.Class(**assumed), np.random.default_rng(seed)
    return rehearse.lesson(notebook, possible or explained(lab), people, rng)


def test_a_rehearsal_without_mistakes_takes_the_counted_minutes():
    seen = rehearsed(spread=0.0, wrong=0.0)
    notebook = nbformat.read(ROOT / "labs" / "07_drift_detection.ipynb", as_version=4)
    assert seen.ends == pytest.approx([sum(minutes(notebook)["core"].values())] * 24)
    assert not seen.waits and not seen.mistakes


def test_in_a_rehearsal_mistakes_cost_time_and_one_helper_is_waited_for():
    """Everybody errs once at each exercise and needs a helper: who is helped last waits for all others."""
    stuck = {"spread": 0.0, "wrong": 1.0, "alone": 0.0}
    [one, many] = [rehearsed(helpers=helpers, **stuck) for helpers in (1, 24)]
    assert max(many.waits) == 0 and max(one.waits) == pytest.approx(23 * 3.0)
    assert min(many.ends) > min(rehearsed(spread=0.0, wrong=0.0).ends) + 5
    each = {name: [rehearse.Mistake(f"{n}", True) for n in range(10**4)] for name in explained(LAB)}
    alone = rehearsed(possible=each, **stuck | {"alone": 1.0})
    exercises_left = sum(alone.left_open.values())
    assert exercises_left == 24 * len(alone.left_open) and not alone.waits, "after three wrong answers"


def test_in_a_rehearsal_it_matters_which_mistake_is_made():
    """One message for all mistakes does not help the second time, and a helper without a sheet searches once."""
    sure = {"spread": 0.0, "wrong": 1.0, "alone": 1.0}
    same = {name: [rehearse.Mistake("no", True)] for name in explained(LAB)}
    exercises_done = len(rehearsed(possible=same, **sure).mistakes)
    assert len(rehearsed(possible=same, **sure).waits) == 24 * exercises_done, "each sees it a second time"
    stuck = sure | {"alone": 0.0}
    unknown = {name: [rehearse.Mistake(f"no {name}", False)] for name in same}
    [quick, slow] = [rehearsed(possible=those, **stuck).helped.total() for those in (same, unknown)]
    assert slow - quick == exercises_done * (6.0 - 3.0), "then the helpers know it"


def test_the_mistakes_of_a_rehearsal_are_those_that_the_check_was_tried_with():
    trials = [
        Trial("asked", "wrong", "1", "mistaken", "first: too low"),
        Trial("asked", "wrong", "2", "mistaken", "too high"),
        Trial("asked", "mutant", "`<` becomes `>`", "mistaken", "never a learner's"),
    ]
    known = {"asked": [{"says": "too low", "believes": "…", "ask": "…"}]}
    assert rehearse.mistakes(trials, known) == {
        "asked": [rehearse.Mistake("first: too low", True), rehearse.Mistake("too high", False)]
    }


def test_each_lab_has_mistakes_for_a_rehearsal(lab, run):
    seen = rehearse.mistakes(run.trials, sheets.misconceptions(lab.stem))
    assert rehearsed(lab.stem, seen, wrong=1.0).mistakes


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_holds_in_rehearsal(path):
    said = list(rehearse.rehearse(path.stem, rehearse.Class(), explained))
    assert sum("two thirds are through" in line for line in said) >= 2
    assert not [line for line in said if "GIVE IT MORE TIME" in line]
    assert sum("minutes of helpers go to" in line for line in said) >= 2
    crowded = list(rehearse.rehearse(path.stem, rehearse.Class(wrong=0.9, alone=0.0, helpers=1), explained))
    assert [line for line in crowded if "GIVE IT MORE TIME" in line], "a class that no plan holds"


def test_a_rehearsal_says_what_it_assumes_and_how_to_change_it(monkeypatch, capsys):
    monkeypatch.setattr(rehearse, "hear", explained)
    monkeypatch.setattr(sys, "argv", ["rehearse.py", "half-day", "--learners", "9", "--wrong", "0.25"])
    rehearse.main()
    first, *labs = capsys.readouterr().out.splitlines()
    assert "9 learners and 2 helpers" in first and "chance of 25%" in first and "(--wrong)" in first
    assert sum("minutes with catching up are enough in" in line for line in labs) == 2


def asked_of(book, lab):
    return [q for q in handout.bank(book) if lab in [named["name"] for named in q["labs"]]]


def test_a_handout_gives_nothing_away(lab, book):
    notebook = nbformat.read(lab, as_version=4)
    pages = [list(handout.handout(notebook)), list(handout.cards(notebook, asked_of(book, lab.stem)))]
    text = "\n".join(part for page in pages for part in page)
    core = handout.core(notebook)
    for stub, solution, _ in exercises(notebook.cells):
        assert (stub.source in text) == (stub in core), "Further is not printed"
        for line in map(str.strip, solution.source.splitlines()):
            assert (
                len(line) < 25
                or line in stub.source
                or text.count(line) == 0
                or line in shown(notebook, solution)
            )
    assert "<summary>" not in text and "Hint 1" not in text and "✓" not in text
    assert text.count("class='line turn'") == sum(cell.source.startswith("guess = None") for cell in core)


def test_the_key_goes_through_the_whole_lab(lab):
    notebook = nbformat.read(lab, as_version=4)
    key = "\n".join(handout.key(notebook))
    for stub, solution, check in exercises(notebook.cells):
        assert solution.source in key and f"✓ {name_of(check)}" in key
        assert f"**{name_of(check)}**: {stub.metadata.course['minutes']} minutes" in key
    lab_text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert key.count("*What happened.*") == lab_text.count("<summary>What happened")
    assert key.count("It was: ") >= sum("compare(guess" in cell.source for cell in notebook.cells)


def test_the_answers_of_the_key_have_their_figures(book):
    asked = asked_of(book, LAB)
    assert len(asked) > 3 and any(question["worked"] for question in asked)
    text = page("Key", list(handout.answers(asked)))
    assert "…" not in text and "{glue" not in text and "<a " not in text
    for question in asked:
        soup = BeautifulSoup("".join(question["answers"].values()), "html.parser")
        words = [" ".join(node.get_text().split()) for node in soup.find_all("p")]
        printed = " ".join(BeautifulSoup(text, "html.parser").get_text().split())
        assert all(paragraph in printed for paragraph in words)


def test_a_handout_without_a_book_says_what_to_run(tmp_path):
    with pytest.raises(SystemExit, match="run `make book` first"):
        handout.bank(tmp_path)


def shown(notebook, solution):
    """What a lab shows before an exercise, and so is no secret."""
    return "\n".join(cell.source for cell in notebook.cells[: notebook.cells.index(solution)])


def test_the_cards_begin_with_the_questions_that_the_lab_names(book):
    notebook = nbformat.read(ROOT / "labs" / f"{LAB}.ipynb", as_version=4)
    text = "\n".join(handout.cards(notebook, asked_of(book, LAB)))
    first, more = text.split("More, for another day")
    [end] = [cell.source for cell in notebook.cells if "**Asked in interviews:**" in cell.source]
    assert first.count("class='card'") == len(re.findall(r"\.md#", end.split("**Asked in interviews:**")[1]))
    assert more.count("class='card'") > 3
    assert not re.search(r"\{\w+[:}]|<a |<details", text), "markup of the book"


def test_a_sheet_shows_the_message_beside_the_answer_that_earns_it():
    notebook = nbformat.read(ROOT / "labs" / "01_beyond_devops.ipynb", as_version=4)
    trials = [
        Trial("reacts_rightly", "wrong", "1", "mistaken", "it asks the label."),
        Trial("reacts_rightly", "mutant", "`<` becomes `>`", "mistaken", "compare the direction."),
        Trial("identity", "solution", "", "passed", "never printed"),
    ]
    known = {"reacts_rightly": [{"says": "asks the label", "believes": "Labels are there.", "ask": "When?"}]}
    text = "\n".join(sheets.sheet(notebook, trials, known))
    assert "### it asks the label.\n*Perhaps believed:* Labels are there.\n\n*Ask:* When?\n" in text
    assert text.count("Perhaps believed") == 1
    assert list(sheets.unheard(known, trials)) == []
    assert list(sheets.unexplained(known, trials)) == [], "a mutant's message needs none"
    [open_] = sheets.unexplained({}, trials)
    assert "reacts_rightly, wrong answer 1" in open_ and "it asks the label." in open_
    [missed] = sheets.unheard({"identity": [{"says": "never printed"}]}, trials)
    assert missed.endswith("identity says nowhere: never printed")
    assert "### it asks the label." in text and "### compare the direction." in text
    assert "never printed" not in text
    assert "1. You need the same table with one column changed" in text
    assert sheets.body(next(exercises(notebook.cells))[1].source).startswith("table = pd.util")
    wrong = next(c for *_, c in exercises(notebook.cells) if name_of(c) == "reacts_rightly").metadata.course[
        "wrong"
    ]
    assert sheets.body(wrong[0]) in text and "def reacts_rightly" not in text


def test_what_lies_behind_a_message_is_written_for_each_exercise(lab):
    """At least two misconceptions each; the message is in the check, and each ends by asking."""
    known = sheets.misconceptions(lab.stem)
    checks = {name_of(check): check.source for *_, check in exercises(nbformat.read(lab, as_version=4).cells)}
    assert known.keys() == checks.keys()
    for name, entries in known.items():
        assert len(entries) >= 2, name
        assert len({entry["says"] for entry in entries}) == len(entries), name
        for entry in entries:
            assert entry.keys() == {"says", "believes", "ask"}
            assert len(entry["says"]) >= 12, "too short to be found again"
            assert entry["believes"].endswith(".") and entry["ask"].rstrip('”"').endswith("?"), entry


def test_a_sheet_for_tally_marks_has_a_field_for_all_that_can_happen():
    notebook = nbformat.read(ROOT / "labs" / "01_beyond_devops.ipynb", as_version=4)
    trials = [
        Trial("reacts_rightly", "wrong", "1", "mistaken", "it asks | the label."),
        Trial("reacts_rightly", "mutant", "`<` becomes `>`", "mistaken", "it asks | the label."),
    ]
    text = page("Tally", list(sheets.tally(notebook, trials)))
    assert text.count("<tr>") == 2 * (1 + 3) + 1 and text.count("it asks | the label.") == 1


def test_code_with_backticks_stays_code():
    assert code("a\n```\nb").startswith("````python\n")


def test_a_printed_page_asks_no_server_and_fits_paper_and_phone(browser, book, tmp_path):
    notebook, asked = nbformat.read(LABS[0], as_version=4), asked_of(book, LABS[0].stem)
    parts = [*handout.handout(notebook), *handout.cards(notebook, asked), *handout.key(notebook)]
    parts += handout.answers(handout.bank(book))  # all of them, with their tables, code and drawings
    path = tmp_path / "page.html"
    path.write_text(page("A <title> & more", parts), encoding="utf-8")
    context = browser.new_context(viewport=PHONE)
    tab, asked = context.new_page(), []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert tab.title() == "A <title> & more"
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 700, "height": 1000})  # a sheet of A4 between its margins
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_every_verb_prints_what_the_committed_plans_need(book, tmp_path, monkeypatch, capsys):
    """As from the command line, into a folder of its own; what a lab's checks say is heard in tests/test_labs.py."""
    for name in ("chapters", "labs", "workshop", "_assets"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "html").symlink_to(book)

    def heard_in(lab):
        notebook = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
        known = sheets.misconceptions(lab)
        return notebook, [
            Trial(exercise, "wrong", "1", "mistaken", entry["says"])
            for exercise, entries in known.items()
            for entry in entries
        ]

    monkeypatch.setattr(sheets, "heard_in", heard_in)

    def run(module, *words):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(sys, "argv", [module.__name__, *words])
        module.main()
        named = re.findall(r"(?:Print|Open) (\S+\.html)", capsys.readouterr().out)
        return "".join((tmp_path / name).read_text(encoding="utf-8") for name in named)

    for path in PLANS:
        assert plan.read(path.stem)["title"] in html_of(run(plan, path.stem, "--start", "13:00"))
        labs = {
            entry["lab"] for day in plan.read(path.stem)["days"] for entry in day["parts"] if "lab" in entry
        }
        for lab in sorted(labs):
            title = heard_in(lab)[0].cells[0].source.splitlines()[0].removeprefix("# ")
            assert html_of(run(handout, lab)).count(title) >= 3
            asked = html_of(run(sheets, lab))
            assert f"For helpers · {title}" in asked and f"Where the class is · {title}" in asked
            for entries in sheets.misconceptions(lab).values():
                assert all(html_of(page("", [entry["ask"]])).strip()[-30:] in asked for entry in entries), lab
        for chapter in {lab[:2] for lab in labs}:
            assert "Slide 2" in run(slides, chapter)


def html_of(text):
    """The words of a page."""
    return " ".join(BeautifulSoup(text, "html.parser").get_text().split())


def test_notes_and_plans_speak_of_labs_that_exist():
    names = {path.stem for path in LABS}
    assert {path.stem for path in (ROOT / "workshop" / "notes").glob("*.md")} <= names
    for path in PLANS:
        if path.stem == "half-day":
            for entry in plan.read(path.stem)["days"][0]["parts"]:
                assert "lab" not in entry or (ROOT / "workshop" / "notes" / f"{entry['lab']}.md").exists()


def test_the_verbs_that_the_guide_names_exist():
    named = re.findall(r"`?make (\w+)", (ROOT / "workshop" / "guide.md").read_text(encoding="utf-8"))
    verbs = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert {"plan", "handout", "sheets", "slides"} <= set(named) <= set(verbs)
