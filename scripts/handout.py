"""A lab to print: `make handout LAB=07_drift_detection`.

Three pages in `_build/workshop/`. The handout is the core of the learner's lab without its answers: stubs with room to
write, a line for each prediction, no output. The cards are for a mock interview in threes, made of the lab's questions,
first those that the lab names itself. The key goes through the lab in its order: what came of each prediction and why,
each solution and what its check shows. Then it has what each level answers, with the figures of the built book.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from answers import exercises, name_of, tags
from learner import copy_for_learner
from minutes import minutes, said
from paper import code, page
from record import find

ROOT = Path(__file__).parent.parent
FOLD_OR_HEADING = r"^(?P<heading>##+ [^\n]*)|<summary>What happened.*?</summary>(?P<fold>.*?)</details>"
MASKED = "…"  # a figure that the book computes: a printed card has none


def plain(source):
    """A lab's or a chapter's Markdown without what only a screen can do: links to pages, figures, citations."""
    source = re.sub(r" ?\{cite:\w+\}`[^`]*`", "", source)
    source = re.sub(r"\{[\w:]+\}`[^`]*`", MASKED, source)
    source = re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", source)
    return re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"*\1*", source)


def core(notebook):
    """The cells of a lab before *Further*."""
    (end,) = (number for number, cell in enumerate(notebook.cells) if "## Take away" in cell.source)
    return notebook.cells[: end + 1]


def handout(notebook):
    """The core of the learner's lab as Markdown parts, without solution, hint or fold."""
    for cell in core(copy_for_learner(notebook, answers=False)):
        if "hints" in tags(cell) or "glue" in tags(cell):
            continue
        if cell.cell_type == "markdown":
            text = re.sub(r"<details>.*?</details>", "", plain(cell.source), flags=re.S)
            yield re.sub(r"^# .*\n", "", text)
        elif "prediction" in tags(cell):
            yield f"{code(cell.source)}\n\n<div class='line turn'></div>"  # the text tells the end
        elif "exercise" in tags(cell):
            yield f"{code(cell.source)}\n\n<div class='write'></div>"
        elif "self-check" not in tags(cell):
            yield code(cell.source)
    if len(core(notebook)) < len(notebook.cells):
        yield "*Further* is on the screen only."


def printed(cell):
    """What a code cell of a record printed."""
    return "".join(output.get("text", "") for output in cell.outputs).strip()


def key(notebook):
    """In the lab's order, as Markdown parts: its headings, what came of each prediction and why, each solution with its
    minutes and what its check shows."""
    yield "Tables and plots stand on the lab's page of the book."
    solved = {solution.id: (stub, check) for stub, solution, check in exercises(notebook.cells)}
    heading, asked, before = [], "", ""  # a heading under which nothing stands is left out
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown" and "hints" not in tags(cell):
            for found in re.finditer(FOLD_OR_HEADING, cell.source, re.M | re.S):
                if found["heading"]:
                    heading = [found["heading"]]
                else:
                    yield from heading
                    if before and before != asked:  # a question that nobody had to answer with a number
                        yield plain(before)
                    yield f"*What happened.* {plain(found['fold']).strip()}"
                    heading = []
            before = cell.source.strip().rpartition("\n\n")[2]
            if "**Predict.**" in cell.source:
                before = asked = plain(cell.source.partition("**Predict.**")[2].strip())
        elif "compare(guess" in cell.source:
            found = re.search(r"It was: .*", printed(cell))
            yield from heading
            yield f"*Predict.* {asked} **{found[0] if found else ''}**"
            heading = []
        elif cell.get("id") in solved:
            stub, check = solved[cell.id]
            yield from heading
            yield f"**{name_of(check)}**: {stub.metadata.course['minutes']} minutes"
            yield code(cell.source)
            yield printed(check)
            heading = []


def bank(book):
    """The questions of the built book at the path `book`, as questions.schema.json describes them.

    Ends the program where the book isn't built."""
    path = book / "questions.json"
    if not path.exists():
        sys.exit(f"{path} is missing: run `make book` first")
    return json.loads(path.read_text(encoding="utf-8"))["questions"]


def on_paper(html):
    """A part of a question without what paper cannot do: links. An empty line in code would end the HTML in Markdown."""
    return re.sub(r"(?<=\n)\n", "&#10;", re.sub(r"</?a\b[^>]*>", "", html))


def named_first(notebook, asked):
    """The questions `asked` as two lists: those that the lab's take-away names, and the others."""
    named = set(re.findall(r"\.md#([\w-]+)\)", "\n".join(cell.source for cell in notebook.cells)))
    return [q for q in asked if q["name"] in named], [q for q in asked if q["name"] not in named]


def cards(notebook, asked):
    """A card for each of the questions `asked`, first those that the lab's take-away names: who asks reads it, who
    answers sees the question only."""
    own, others = named_first(notebook, asked)
    yield "One reads the question aloud and gives the card to the third, who makes a tick for each point that is heard; one answers for five minutes. Then turn."
    for heading, some in (("", own), ("More, for another day", others)):
        if heading and some:
            yield f"<h2 class='new-page'>{heading}</h2>"
        for question in some:
            listens = on_paper(question["listens_for"])
            situation = on_paper(question["situation"])
            yield (
                f"<div class='card'><p><strong>{on_paper(question['question_html'])}</strong></p>{situation}"
                f"<p><em>Listen for:</em></p>{listens}</div>"
            )


def answers(asked):
    """What each level answers to the questions `asked`, what is worked out, and what follows, for the key."""
    yield "<h1 class='new-page'>What each level answers</h1>"
    for question in asked:
        yield f"<h2>{on_paper(question['question_html'])}</h2>{on_paper(question['situation'])}"
        for level, answer in question["answers"].items():
            yield f"<h3>{level.capitalize()}</h3>{on_paper(answer)}"
        if question["worked"]:
            yield f"<h3>Worked out</h3>{on_paper(question['worked'])}"
        for after in question["follow_ups"]:
            yield f"<p><strong>{on_paper(after['question'])}</strong></p>{on_paper(after['reply'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", help="for example 07_drift_detection")
    path = find(parser.parse_args().lab)
    notebook = nbformat.read(path, as_version=4)
    asked = [q for q in bank(ROOT / "_build" / "html") if path.stem in [lab["name"] for lab in q["labs"]]]
    own, others = named_first(notebook, asked)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    pages = {
        f"handout-{path.stem}.html": (title, list(handout(notebook))),
        f"cards-{path.stem}.html": (f"Mock interview · {title}", list(cards(notebook, asked))),
        f"key-{path.stem}.html": (
            f"Key · {title}",
            [
                f"Core: {said(minutes(notebook)['core'])} minutes.",
                *key(notebook),
                *answers(own + others),
            ],
        ),
    }
    folder = ROOT / "_build" / "workshop"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (heading, parts) in pages.items():
        (folder / name).write_text(page(heading, parts), encoding="utf-8")
        print(f"Print {(folder / name).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
