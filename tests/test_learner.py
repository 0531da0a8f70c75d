"""The learner's copy gives no answer away, and a learner's work is never lost."""

import json

import nbformat
from conftest import LABS, ROOT, code_cells, tags
from learner import OFFERED, copy_for_learner, files_for_learner, refresh


def test_no_solution_leaks_into_the_learners_copy(lab):
    copy = copy_for_learner(nbformat.read(lab, as_version=4))
    text = nbformat.writes(copy)
    stubs = "\n".join(cell.source for cell in code_cells(lab) if "exercise" in tags(cell))
    shown = ""  # before the exercise, and so no secret
    for cell in code_cells(lab):
        if "solution" in tags(cell):
            for line in map(str.strip, cell.source.splitlines()):
                if line in shown or line.startswith("except "):  # a check expects the same error
                    continue
                assert len(line) < 25 or line in stubs or json.dumps(line)[1:-1] not in text, line
        elif "self-check" not in tags(cell):
            shown += cell.source
        for wrong in cell.metadata.get("course", {}).get("wrong", []):
            assert json.dumps(wrong)[1:-1] not in text
    assert sum("exercise" in tags(cell) for cell in copy.cells) >= 2
    assert sum("self-check" in tags(cell) for cell in copy.cells) >= 2


def test_the_learners_copy_has_no_output(lab):
    copy = copy_for_learner(nbformat.read(lab, as_version=4))
    assert not [cell for cell in copy.cells if cell.cell_type == "code" and cell.outputs]
    assert not [cell for cell in copy.cells if cell.cell_type == "code" and cell.execution_count]


def test_a_first_copy_has_every_lab_and_the_plot_style(tmp_path):
    assert refresh(tmp_path / "my-labs", files_for_learner()) == []
    assert {lab.name for lab in LABS} <= {path.name for path in (tmp_path / "my-labs").iterdir()}
    assert (tmp_path / "my-labs" / "matplotlibrc").read_bytes() == (ROOT / "labs/matplotlibrc").read_bytes()


def test_an_untouched_copy_follows_the_lab(tmp_path):
    refresh(tmp_path, {"a.ipynb": b"first edition"})
    assert refresh(tmp_path, {"a.ipynb": b"second edition"}) == []
    assert (tmp_path / "a.ipynb").read_bytes() == b"second edition"
    assert {path.name for path in tmp_path.iterdir()} == {"a.ipynb", OFFERED}


def test_a_learners_edit_is_kept_and_the_new_edition_stands_beside_it(tmp_path):
    refresh(tmp_path, {"a.ipynb": b"first edition"})
    (tmp_path / "a.ipynb").write_bytes(b"my work")
    assert refresh(tmp_path, {"a.ipynb": b"first edition"}) == [], "nothing new, nothing to say"
    [message] = refresh(tmp_path, {"a.ipynb": b"second edition"})
    assert "a.new.ipynb" in message
    assert (tmp_path / "a.ipynb").read_bytes() == b"my work"
    assert (tmp_path / "a.new.ipynb").read_bytes() == b"second edition"
    assert refresh(tmp_path, {"a.ipynb": b"second edition"}) == [], "said once"


def test_two_edited_editions_are_both_kept(tmp_path):
    refresh(tmp_path, {"a.ipynb": b"first edition"})
    (tmp_path / "a.ipynb").write_bytes(b"my work")
    refresh(tmp_path, {"a.ipynb": b"second edition"})
    (tmp_path / "a.new.ipynb").write_bytes(b"my other work")
    [message] = refresh(tmp_path, {"a.ipynb": b"third edition"})
    assert "rename" in message
    assert (tmp_path / "a.ipynb").read_bytes() == b"my work"
    assert (tmp_path / "a.new.ipynb").read_bytes() == b"my other work"


def test_work_is_kept_when_our_memory_of_what_we_offered_is_lost(tmp_path):
    (tmp_path / "a.ipynb").write_bytes(b"my work")
    (tmp_path / OFFERED).write_text("{broken")
    refresh(tmp_path, {"a.ipynb": b"first edition"})
    assert (tmp_path / "a.ipynb").read_bytes() == b"my work"
    assert (tmp_path / "a.new.ipynb").read_bytes() == b"first edition"
