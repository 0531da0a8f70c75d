"""Derive the learner's copy of every lab: exercises without their answers in the way, cells without outputs.

`make lab` keeps the copies in `my-labs/`. A lab that a learner has changed is never overwritten: its new edition is
put beside it as `NAME.new.ipynb`. Which copies are changed is read from the copies themselves: each carries a digest
of its cells as they were offered, so nothing has to be remembered, and nothing that is lost does harm.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import nbformat
from answers import exercises, name_of, tags
from minutes import minutes, said, total
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor, TagRemovePreprocessor
from nbformat.v4 import new_markdown_cell

ROOT = Path(__file__).parent.parent
READ = "/static/"  # where scripts/lab.py serves the book
COURSE = ".course.json"  # what labs/desk.py reads: the labs' names and the references


def copy_for_learner(notebook, answers=True, read=READ):
    """The learner's copy of a lab, as a new notebook.

    Cells tagged `glue` are left out (figures for the book's prose), the solution stands folded as text below the
    hints, or not at all without `answers`; outputs are cleared, and of the metadata only the tags stay: a check's
    keeps wrong answers, which would give the right one away. Links to chapters go to the built book at `read`.
    """
    notebook = nbformat.from_dict(notebook)
    time = minutes(notebook)
    cells = []
    for cell in notebook.cells:
        if "solution" in tags(cell):
            if answers:
                text = f"<details><summary>Solution</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
                cells.append(new_markdown_cell(text, id=cell.id, metadata={"tags": ["solution"]}))
        else:
            cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = re.sub(
                r"\]\(\.\./((?:chapters/|data/)?\w+)\.md(#[\w-]+)?\)", rf"]({read}\1.html\2)", cell.source
            )
    first = cells[0]
    further = f" *Further*, after it: {total(time['further'])} minutes more." * bool(total(time["further"]))
    first.source += f"\n\n**Minutes:** {said(time['core'])}.{further}"
    notebook.cells = cells
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={"glue"}).preprocess(notebook, {})
    notebook, _ = ClearOutputPreprocessor().preprocess(notebook, {})
    keep_tags = ClearMetadataPreprocessor(
        preserve_cell_metadata_mask={"tags"}, preserve_nb_metadata_mask={"kernelspec"}
    )
    notebook, _ = keep_tags.preprocess(notebook, {})
    notebook.metadata["course"] = {"edition": edition(notebook)}
    return notebook


def edition(notebook):
    """A digest of what a learner can change in `notebook`: the cells' kinds and sources, in their order."""
    content = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def entry(path, notebook):
    """What the start page says of the lab in `path`: a dict for labs/desk.py."""
    first = notebook.cells[0].source
    purpose, builds_on = (
        re.search(rf"\*\*{words}\*\* (.*?)(?:\n|\*\*|$)", first) for words in ("You will", "Builds on:")
    )
    time = minutes(notebook)
    return {
        "file": path.name,
        "title": first.splitlines()[0].removeprefix("# "),
        "purpose": purpose[1].strip() if purpose else "",
        "after": (builds_on[1] if builds_on else "").strip().rstrip("."),
        "core": total(time["core"]),
        "further": total(time["further"]),
        "exercises": [name_of(check) for *_, check in exercises(notebook.cells)],
    }


def files_for_learner(labs=ROOT / "labs", answers=True, read=READ):
    """What a learner gets: {path below my-labs: bytes}, the labs and everything they stand on."""
    files, known, references = {}, [], {}
    for path in sorted(labs.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        known.append(entry(path, notebook))
        references |= {name_of(check): solution.source for _, solution, check in exercises(notebook.cells)}
        files[path.name] = nbformat.writes(copy_for_learner(notebook, answers, read)).encode() + b"\n"
    for path in [*labs.glob("*.py"), *labs.glob("images/*"), labs / "matplotlibrc"]:
        files[path.relative_to(labs).as_posix()] = path.read_bytes()
    known.sort(key=lambda lab: [int(number) for number in re.findall(r"\d+", lab["title"].partition("·")[0])])
    repository = os.environ.get("REPOSITORY_URL", "")
    course = {
        "labs": known,
        "references": references if answers else {},
        "read": read,
        "ask": f"[{repository}/issues]({repository}/issues)"
        if repository
        else "whoever gave you this course",
    }
    files[COURSE] = json.dumps(course, indent=1).encode()
    return files


def is_untouched(content):
    """Whether `content` (bytes of a notebook) is as some edition offered it; outputs do not count.

    None for what is no notebook at all, as an interrupted or full disk leaves it.
    """
    try:
        notebook = json.loads(content)
        offered = notebook["metadata"].get("course", {}).get("edition")
        return offered == edition(notebook)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def put(path, content):
    """Write `content` (bytes) to the file `path` whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def set_aside(path):
    """Rename the file `path`, which cannot be read or isn't ours, to a name that is free; return that name."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.mine{number}{path.suffix}")).exists():
        number += 1
    path.rename(aside)
    return aside.name


def refresh(folder, files):
    """Bring `folder` up to date with `files` without losing a learner's change; return what to tell them.

    Raises NotADirectoryError when `folder` is there and is no folder, or leads nowhere.
    """
    if folder.is_symlink() and not folder.exists():
        raise NotADirectoryError(
            f"{folder.name} is a link that leads nowhere: remove it, then `make lab` again"
        )
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder.name} is a file: rename it, then `make lab` again")
    folder.mkdir(exist_ok=True)
    messages = []
    memory = folder / ".offered.json"
    try:
        offered = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        offered = {}
    for name, content in files.items():
        path = folder / name
        old = path.read_bytes() if path.exists() else None
        if old == content:
            pass
        elif old is None or name == COURSE:  # which is ours alone
            put(path, content)
        elif path.suffix != ".ipynb":
            if offered.get(name) != hashlib.sha256(old).hexdigest() and offered:
                messages.append(
                    f"{name} belongs to the course and was changed: yours is kept as {set_aside(path)}"
                )
            put(path, content)
        elif offered.get(name) == hashlib.sha256(old).hexdigest():
            put(path, content)  # ours, of the time before copies carried their edition
        else:
            messages += offer(path, old, content)
        if path.suffix != ".ipynb":
            offered[name] = hashlib.sha256(content).hexdigest()
    put(memory, json.dumps(offered, indent=1).encode())
    for path in sorted(folder.glob("*.ipynb")):
        offered_as = path.name.replace(".new.ipynb", ".ipynb")
        if offered_as not in files and is_untouched(path.read_bytes()):
            messages.append(f"{path.name} is no longer part of the course; it stays until you remove it")
    return messages


def offer(path, old, content):
    """Put the edition `content` in the place of the copy `path`, whose bytes are `old`, or beside it."""
    untouched = is_untouched(old)
    if untouched is None:
        message = f"{path.name} could not be read: it is kept as {set_aside(path)}, and you have a fresh copy"
        put(path, content)
        return [message]
    if untouched:
        put(path, content)
        return []
    mine, new = json.loads(old), json.loads(content)
    if mine["metadata"].get("course") == new["metadata"]["course"]:
        return []  # the learner's work, on the edition of today
    beside = path.with_suffix(".new.ipynb")
    if beside.exists() and is_untouched(beside.read_bytes()) is False:
        theirs = json.loads(beside.read_bytes())["metadata"].get("course")
        if theirs != new["metadata"]["course"]:
            return [
                f"{path.name} has a newer edition, and you have worked in {beside.name} too: rename one of them, "
                "then run `make lab` again"
            ]
        return []
    told = not beside.exists() or beside.read_bytes() != content
    if told:
        put(beside, content)
    return [f"{path.name} has a new edition: [{beside.name}]({beside.name}). Yours is kept as it is"]


def welcome(folder, messages):
    """Write the start page of `folder` with `messages`, and let JupyterLab show it as a page and not as its source."""
    sys.path.append(str(ROOT / "labs"))
    import desk  # the learner's own module writes this page as well

    course = desk.read(folder / COURSE)
    course["news"] = [f"- {message}." for message in messages]
    put(folder / COURSE, json.dumps(course, indent=1).encode())
    page = desk.start_page(course, desk.read(folder / desk.PROGRESS.name))
    put(folder / desk.START.name, page.encode())
    shown = (
        folder
        / ".jupyter"
        / "settings"
        / "@jupyterlab"
        / "docmanager-extension"
        / "plugin.jupyterlab-settings"
    )
    if not shown.exists():
        put(shown, json.dumps({"defaultViewers": {"markdown": "Markdown Preview"}}).encode())
