"""Derive the learner's copy of every lab: exercises without solutions, cells without outputs.

`make lab` keeps it in `my-labs/`. A file that the learner has changed is never overwritten: when the lab has
changed too, its new edition is put beside it as `NAME.new.ipynb`.
"""

import hashlib
import json
import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor, TagRemovePreprocessor

ROOT = Path(__file__).parent.parent
OFFERED = ".offered.json"  # what we wrote last, by digest: how a learner's change is told from ours


def copy_for_learner(notebook):
    """The learner's copy of a lab, as a new notebook.

    Cells tagged `solution` and `glue` are left out (figures for the book's prose), outputs are cleared, and of the
    metadata only the tags stay: a self-check's keeps wrong answers, which would give the right one away.
    """
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={"solution", "glue"}).preprocess(
        nbformat.from_dict(notebook), {}
    )
    notebook, _ = ClearOutputPreprocessor().preprocess(notebook, {})
    keep_tags = ClearMetadataPreprocessor(
        preserve_cell_metadata_mask={"tags"}, preserve_nb_metadata_mask={"kernelspec"}
    )
    notebook, _ = keep_tags.preprocess(notebook, {})
    return notebook


def files_for_learner(labs=ROOT / "labs"):
    """What a learner gets: {path below my-labs: bytes}, the labs and everything they stand on."""
    files = {
        path.name: nbformat.writes(copy_for_learner(nbformat.read(path, as_version=4))).encode() + b"\n"
        for path in sorted(labs.glob("*.ipynb"))
    }
    for path in [*labs.glob("*.py"), *labs.glob("images/*"), labs / "matplotlibrc"]:
        files[path.relative_to(labs).as_posix()] = path.read_bytes()
    return files


def digest(content):
    return hashlib.sha256(content).hexdigest()


def refresh(folder, files):
    """Bring `folder` up to date with `files` without touching a learner's changes; return what to tell them."""
    folder.mkdir(exist_ok=True)
    memory = folder / OFFERED
    try:
        offered = json.loads(memory.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        offered = {}  # then every file counts as the learner's
    messages = []

    def untouched(name):
        path = folder / name
        return not path.exists() or digest(path.read_bytes()) == offered.get(name)

    def write(name, content):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        offered[name] = digest(content)

    for name, content in files.items():
        beside = str(Path(name).with_suffix(".new" + Path(name).suffix))
        if untouched(name):
            write(name, content)
        elif digest(content) in (offered.get(name), offered.get(beside)):
            continue  # the learner's work, on the edition they know
        elif untouched(beside):
            write(beside, content)
            messages.append(f"{name} has a new edition. Yours is kept; the new one is {folder.name}/{beside}")
        else:
            messages.append(
                f"{name} has a new edition, and you have worked in {beside} too: rename one of them, "
                "then run `make lab` again"
            )
    memory.write_text(json.dumps(offered, indent=1))
    return messages


if __name__ == "__main__":
    for message in refresh(ROOT / "my-labs", files_for_learner()):
        print(message, file=sys.stderr)
