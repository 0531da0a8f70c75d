"""A lab to print: `make handout LAB=07_drift_detection`.

Three pages in `_build/workshop/`. The handout is the learner's lab without its answers: stubs with room to write, a line
for each prediction, no output. The cards are for a mock interview in threes, made of the lab's questions, first those
that the lab names itself. The key has the solutions, the recorded results of the predictions, and what each level
answers.
"""

import argparse
import re
from pathlib import Path

import nbformat
from answers import exercises, name_of, tags
from learner import copy_for_learner
from minutes import minutes, said
from paper import code, page
from record import find

ROOT = Path(__file__).parent.parent
MASKED = "…"  # a figure that the book computes: a printed card has none


def plain(source):
    """A lab's or a chapter's Markdown without what only a screen can do: links to pages, figures, citations."""
    source = re.sub(r" ?\{cite:\w+\}`[^`]*`", "", source)
    source = re.sub(r"\{[\w:]+\}`[^`]*`", MASKED, source)
    source = re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", source)
    return re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"*\1*", source)


def handout(notebook):
    """The learner's lab as Markdown parts, without solution, hint or fold."""
    for cell in copy_for_learner(notebook, answers=False).cells:
        if "hints" in tags(cell) or "glue" in tags(cell):
            continue
        if cell.cell_type == "markdown":
            text = re.sub(r"<details>.*?</details>", "", plain(cell.source), flags=re.S)
            yield re.sub(r"^# .*\n", "", text)
        elif "prediction" in tags(cell):
            yield f"{code(cell.source)}\n\n<div class='line'></div>"
        elif "exercise" in tags(cell):
            yield f"{code(cell.source)}\n\n<div class='write'></div>"
        elif "self-check" not in tags(cell):
            yield code(cell.source)


def key(notebook):
    """The solutions, with what the check shows of each, and what came of the predictions, as Markdown parts."""
    yield "## Predictions"
    asked = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "**Predict.**" in cell.source:
            asked = plain(cell.source.partition("**Predict.**")[2].strip())
        if cell.cell_type == "code" and "compare(guess" in cell.source:
            printed = "".join(output.get("text", "") for output in cell.outputs)
            found = re.search(r"It was: .*", printed)
            yield f"{asked} **{found[0] if found else ''}**"
    for stub, solution, check in exercises(notebook.cells):
        shown = "".join(output.get("text", "") for output in check.outputs).strip()
        yield f"## {name_of(check)}: {stub.metadata.course['minutes']} minutes"
        yield code(solution.source)
        yield shown


def questions(lab):
    """(title, {part: text}) of each question in the chapters that names `lab`, in their order."""
    for chapter in sorted((ROOT / "chapters").glob("*.md")):
        text = chapter.read_text(encoding="utf-8")
        for block in re.finditer(r"^(:{4,})\{question\} (.*?)\n(.*?)^\1 *$", text, re.M | re.S):
            body = block[3]
            labs = re.search(r"^:labs: (.*)$", body, re.M)
            if labs and lab in labs[1].split():
                yield (
                    block[2],
                    {"name": re.search(r"^:name: (\S+)$", body, re.M)[1]}
                    | {
                        part: plain(found[1]).strip()
                        for part in ("listens-for", "junior", "senior", "staff", "red-flag")
                        if (
                            found := re.search(
                                rf"^:{{3,}}\{{{part}\}}.*?\n(.*?)^:{{3,}} *$", body, re.M | re.S
                            )
                        )
                    },
                )


def cards(notebook, lab):
    """A card for each question of `lab`, first those that its take-away names: who asks reads it, who answers sees the
    question only."""
    found = list(questions(lab))
    named = set(re.findall(r"\.md#([\w-]+)\)", "\n".join(cell.source for cell in notebook.cells)))
    own = [(title, parts) for title, parts in found if parts["name"] in named]
    others = [(title, parts) for title, parts in found if parts["name"] not in named]
    yield "One asks, one answers for five minutes and sees the question only, one makes a tick for each point under *Listen for*. Then turn."
    for heading, some in (("", own), ("More, for another day", others)):
        if heading and some:
            yield f"<h2 class='new-page'>{heading}</h2>"
        for title, parts in some:
            listens = parts.get("listens-for", "")
            yield f"<div class='card'>\n\n**{plain(title)}**\n\n*Listen for:* {listens}\n\n</div>"


def answers(lab):
    """What each level answers to the questions of `lab`, for the key."""
    for title, parts in questions(lab):
        yield f"## {plain(title)}"
        for level in ("junior", "senior", "staff"):
            yield f"*{level.capitalize()}.* {parts.get(level, '')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", help="for example 07_drift_detection")
    path = find(parser.parse_args().lab)
    notebook = nbformat.read(path, as_version=4)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    pages = {
        f"handout-{path.stem}.html": (title, list(handout(notebook))),
        f"cards-{path.stem}.html": (f"Mock interview · {title}", list(cards(notebook, path.stem))),
        f"key-{path.stem}.html": (
            f"Key · {title}",
            [f"Core: {said(minutes(notebook)['core'])} minutes.", *key(notebook), *answers(path.stem)],
        ),
    }
    folder = ROOT / "_build" / "workshop"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (heading, parts) in pages.items():
        (folder / name).write_text(page(heading, parts), encoding="utf-8")
        print(f"Print {(folder / name).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
