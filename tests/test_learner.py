"""The learner's copy keeps answers out of the way, and a learner's work is never lost."""

import hashlib
import json
import re

import nbformat
import pytest
from answers import exercises, name_of, tags
from conftest import LABS, ROOT
from learner import COURSE, copy_for_learner, edition, files_for_learner, is_untouched, refresh, welcome
from nbclient import NotebookClient


@pytest.mark.parametrize("answers", [True, False])
def test_a_solution_stands_folded_below_the_hints_or_nowhere(lab, answers):
    """And nothing of it in a check's metadata, where wrong answers would give the right one away."""
    notebook = nbformat.read(lab, as_version=4)
    copy = copy_for_learner(notebook, answers)
    folded = [cell for cell in copy.cells if "solution" in tags(cell)]
    assert len(folded) == answers * len(list(exercises(notebook.cells)))
    rest = "\n".join(cell.source for cell in copy.cells if cell not in folded)
    for cell in folded:
        before = copy.cells[copy.cells.index(cell) - 1]
        assert cell.cell_type == "markdown" and cell.source.startswith("<details>")
        assert "hints" in tags(before)
    shown = ""  # before the exercise, and so no secret
    for cell in notebook.cells:
        if "solution" in tags(cell):
            for line in map(str.strip, cell.source.splitlines()):
                if len(line) > 24 and line not in shown and not line.startswith("except "):
                    assert line not in rest, line
        elif "self-check" not in tags(cell) and "hints" not in tags(cell):
            shown += cell.source
        course = cell.metadata.get("course", {})
        for answer in course.get("wrong", []) + course.get("right", []):
            assert answer not in rest


def test_the_learners_copy_has_no_output(lab):
    copy = copy_for_learner(nbformat.read(lab, as_version=4))
    assert not [cell for cell in copy.cells if cell.cell_type == "code" and cell.outputs]
    assert not [cell for cell in copy.cells if cell.cell_type == "code" and cell.execution_count]
    assert "myst_nb" not in nbformat.writes(copy), "what only the book needs"


def test_the_copy_says_how_long_it_takes_and_leads_to_the_built_book(lab, book):
    text = "\n".join(cell.source for cell in copy_for_learner(nbformat.read(lab, as_version=4)).cells)
    assert re.search(r"\*\*Minutes:\*\* \d\d \(\d+ reading, ", text)
    assert ".md)" not in text and ".md#" not in text
    links = re.findall(r"\]\(/static/([\w/]+\.html)(?:#([\w-]+))?\)", text)
    assert links
    for page, anchor in links:
        assert (book / page).exists(), page
        assert not anchor or f'id="{anchor}"' in (book / page).read_text(encoding="utf-8"), anchor


def test_a_first_copy_has_every_lab_and_the_plot_style(tmp_path):
    assert refresh(tmp_path / "my-labs", files_for_learner()) == []
    assert {lab.name for lab in LABS} <= {path.name for path in (tmp_path / "my-labs").iterdir()}
    assert (tmp_path / "my-labs" / "matplotlibrc").read_bytes() == (ROOT / "labs/matplotlibrc").read_bytes()


def test_a_class_gets_no_references(tmp_path):
    course = json.loads(files_for_learner(answers=False)[COURSE])
    assert course["references"] == {}
    assert len(json.loads(files_for_learner()[COURSE])["references"]) == sum(
        len(list(exercises(nbformat.read(lab, as_version=4).cells))) for lab in LABS
    ), "an exercise has a name of its own, among all labs"


# Editions


def notebook(*sources, offered=True):
    """The bytes of a notebook with these cells, with or without what makes it an edition of ours."""
    new = nbformat.v4
    made = new.new_notebook(cells=[new.new_code_cell(source) for source in sources])
    if offered:
        made.metadata["course"] = {"edition": edition(made)}
    return nbformat.writes(made).encode()


def edited(content, source="my work"):
    made = nbformat.reads(content.decode(), as_version=4)
    made.cells[0].source = source
    return nbformat.writes(made).encode()


FIRST, SECOND, THIRD = (notebook(f"edition {number}") for number in (1, 2, 3))


def test_an_untouched_copy_follows_the_lab_whatever_is_remembered(tmp_path):
    refresh(tmp_path, {"a.ipynb": FIRST})
    (tmp_path / ".offered.json").write_text("{broken")
    assert refresh(tmp_path, {"a.ipynb": SECOND}) == []
    assert (tmp_path / "a.ipynb").read_bytes() == SECOND
    (tmp_path / ".offered.json").unlink()
    assert refresh(tmp_path, {"a.ipynb": THIRD}) == []
    assert (tmp_path / "a.ipynb").read_bytes() == THIRD
    assert not list(tmp_path.glob("*.new.*"))


def test_a_copy_that_was_opened_and_run_is_still_untouched(tmp_path):
    """As Jupyter saves it: other ids, outputs, execution counts, metadata, indentation."""
    ran = nbformat.reads(FIRST.decode(), as_version=4)
    ran.cells[0] |= {
        "id": "another",
        "execution_count": 3,
        "outputs": [nbformat.v4.new_output("stream", text="2")],
    }
    ran.metadata["language_info"] = {"name": "python"}
    assert is_untouched(json.dumps(ran, indent=4).encode())
    assert is_untouched(edited(FIRST)) is False
    assert is_untouched(notebook("edition 1", offered=False)) is False
    assert is_untouched(FIRST[:50]) is None


def test_a_learners_edit_is_kept_and_the_new_edition_stands_beside_it(tmp_path):
    refresh(tmp_path, {"a.ipynb": FIRST})
    work = edited(FIRST)
    (tmp_path / "a.ipynb").write_bytes(work)
    assert refresh(tmp_path, {"a.ipynb": FIRST}) == [], "nothing new, nothing to say"
    [message] = refresh(tmp_path, {"a.ipynb": SECOND})
    assert "a.new.ipynb" in message
    assert (tmp_path / "a.ipynb").read_bytes() == work
    assert (tmp_path / "a.new.ipynb").read_bytes() == SECOND
    refresh(tmp_path, {"a.ipynb": THIRD})
    assert (tmp_path / "a.ipynb").read_bytes() == work
    assert (tmp_path / "a.new.ipynb").read_bytes() == THIRD, "untouched, so it follows"


def test_two_edited_editions_are_both_kept(tmp_path):
    refresh(tmp_path, {"a.ipynb": FIRST})
    (tmp_path / "a.ipynb").write_bytes(edited(FIRST))
    refresh(tmp_path, {"a.ipynb": SECOND})
    (tmp_path / "a.new.ipynb").write_bytes(edited(SECOND, "my other work"))
    [message] = refresh(tmp_path, {"a.ipynb": THIRD})
    assert "rename" in message
    assert (tmp_path / "a.ipynb").read_bytes() == edited(FIRST)
    assert (tmp_path / "a.new.ipynb").read_bytes() == edited(SECOND, "my other work")


def test_a_learner_s_own_notebook_of_a_lab_s_name_is_kept(tmp_path):
    mine = notebook("mine", offered=False)
    (tmp_path / "a.ipynb").write_bytes(mine)
    refresh(tmp_path, {"a.ipynb": FIRST})
    assert (tmp_path / "a.ipynb").read_bytes() == mine
    assert (tmp_path / "a.new.ipynb").read_bytes() == FIRST


def test_a_copy_of_the_time_before_editions_follows_the_lab(tmp_path):
    old = notebook("edition 0", offered=False)
    (tmp_path / "a.ipynb").write_bytes(old)
    (tmp_path / ".offered.json").write_text(json.dumps({"a.ipynb": hashlib.sha256(old).hexdigest()}))
    assert refresh(tmp_path, {"a.ipynb": FIRST}) == []
    assert (tmp_path / "a.ipynb").read_bytes() == FIRST


def test_a_truncated_copy_heals_and_is_kept(tmp_path):
    refresh(tmp_path, {"a.ipynb": FIRST})
    (tmp_path / "a.ipynb").write_bytes(FIRST[:40])
    [message] = refresh(tmp_path, {"a.ipynb": FIRST})
    assert "a.mine1.ipynb" in message
    assert (tmp_path / "a.ipynb").read_bytes() == FIRST
    assert (tmp_path / "a.mine1.ipynb").read_bytes() == FIRST[:40]


def test_a_changed_file_of_the_course_s_is_set_aside(tmp_path):
    refresh(tmp_path, {"desk.py": b"one"})
    (tmp_path / "desk.py").write_bytes(b"mine")
    [message] = refresh(tmp_path, {"desk.py": b"two"})
    assert "desk.mine1.py" in message
    assert (tmp_path / "desk.py").read_bytes() == b"two"
    assert (tmp_path / "desk.mine1.py").read_bytes() == b"mine"
    assert refresh(tmp_path, {"desk.py": b"three"}) == []


def test_a_withdrawn_lab_stays_with_a_word(tmp_path):
    refresh(tmp_path, {"a.ipynb": FIRST, "b.ipynb": FIRST})
    [message] = refresh(tmp_path, {"a.ipynb": FIRST})
    assert "b.ipynb" in message and (tmp_path / "b.ipynb").exists()


def test_a_folder_that_is_none_gets_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, said in {"file": "rename it", "link": "leads nowhere"}.items():
        with pytest.raises(NotADirectoryError, match=said):
            refresh(tmp_path / name, {})


# The desk


def test_a_lab_with_every_exercise_open_runs_to_its_end_and_says_so(tmp_path):
    """The copy as a learner gets it, of the first lab; of the others the tests of labs/ prove the same."""
    folder = tmp_path / "my-labs"
    (tmp_path / "data").symlink_to(ROOT / "data")
    for name in ("tests", "labs", ".github", "scripts"):  # the files that this lab looks for
        (tmp_path / name).symlink_to(ROOT / name)
    refresh(folder, files_for_learner())
    welcome(folder, ["news"])
    assert (
        "**Begin with [Lab 1.1" in (folder / "start.md").read_text()
        and "- news." in (folder / "start.md").read_text()
    )
    copy = nbformat.read(folder / "01_beyond_devops.ipynb", as_version=4)
    for cell in copy.cells:
        if cell.source.startswith("guess = None"):
            cell.source = "guess = 'lots'"
        if cell.source.startswith("def reacts_rightly"):
            cell.source = "def reacts_rightly(score_rows, rows):\n    return score_rows(rows)"
    NotebookClient(copy, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    printed = "".join(o.get("text", "") for c in copy.cells if c.cell_type == "code" for o in c.outputs)
    assert "○ identity: open." in printed
    assert "✗ reacts_rightly: it gives back an array, and a bool (True or False) is wanted." in printed or (
        "✗ reacts_rightly: it gives back a Series" in printed
    )
    assert "You said 'lots', and a number can be compared. It was: 31 of 1,000 shoppers." in printed
    assert (
        "0 of 2 exercises passed." in printed and "Waiting for an answer: identity, reacts_rightly" in printed
    )
    progress = json.loads((folder / ".progress.json").read_text())
    assert progress == {"identity": {"tries": 0}, "reacts_rightly": {"tries": 1}}


def test_what_was_passed_is_shown_and_outlives_an_edition(tmp_path):
    files = files_for_learner()
    refresh(tmp_path, files)
    names = json.loads(files[COURSE])["labs"][0]["exercises"]
    (tmp_path / ".progress.json").write_text(
        json.dumps({n: {"tries": 1, "passed": "2026-01-01"} for n in names})
    )
    refresh(tmp_path, files)
    welcome(tmp_path, [])
    page = (tmp_path / "start.md").read_text()
    assert "2/2 ✓" in page and "**Go on with [Lab 3.1" in page
    (tmp_path / ".progress.json").write_text("{broken")
    welcome(tmp_path, [])
    assert "**Begin with [Lab 1.1" in (tmp_path / "start.md").read_text()


def test_names_of_exercises_and_checks_agree():
    for lab in LABS:
        for stub, solution, check in exercises(nbformat.read(lab, as_version=4).cells):
            assert f"def {name_of(check)}(" in stub.source and f"def {name_of(check)}(" in solution.source
