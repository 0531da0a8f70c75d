"""What a helper needs beside a learner: `make sheets LAB=07_drift_detection`.

The lab is executed, and its checks are asked about each wrong answer that is known (answers.py). So the sheet shows the
message that the learner sees, as it is today, beside the answer that earns it and what one may ask instead of telling.
What a learner with this message most likely believes, and what one may ask about it, is written by hand in
`workshop/misconceptions/LAB.yml`: for each exercise a list of {says: a part of the message, believes: …, ask: …}.
Beside it a table for tally marks, which says where the class is when no server counts. Two pages in `_build/workshop/`.
"""

import argparse
import ast
import re
import textwrap

import nbformat
import yaml
from answers import Client, exercises, faults, name_of
from handout import ROOT, plain
from paper import code, page
from record import TIMEOUT, find

SPACE = "\N{NO-BREAK SPACE}" * 40


def heard_in(lab):
    """Execute the lab named `lab` and try its answers: (notebook, trials)."""
    path = find(lab)
    notebook = nbformat.read(path, as_version=4)
    client = Client(
        notebook,
        timeout=TIMEOUT,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
    )
    client.trials = []
    print(f"{path.stem}: executing, to hear what its checks say", flush=True)
    client.execute()
    return notebook, client.trials


def steps(hints):
    """The hints of an exercise, as plain Markdown, in their order."""
    return [plain(step).strip() for step in re.findall(r"</summary>(.*?)</details>", hints, re.S)]


def body(source):
    """A function's source without its first line and its docstring, which a learner was given."""
    lines = source.splitlines()
    function = ast.parse(source).body[-1]
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return textwrap.dedent("\n".join(lines[first.lineno - 1 :]))


def misconceptions(lab):
    """What may lie behind the messages of the lab with the name `lab`: {exercise: [{says, believes, ask}]}."""
    path = ROOT / "workshop" / "misconceptions" / f"{lab}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def heard(trials, exercise):
    """{message: the wrong answers and mutants that earned it} of one exercise, in the order of the trial."""
    told = {}
    for trial in trials:
        if trial.exercise == exercise and trial.kind in ("wrong", "mutant"):
            told.setdefault(trial.said, []).append(trial)
    return told


def unheard(known, trials):
    """Yield a sentence for each entry of `known` (misconceptions) whose message no wrong answer earns."""
    for exercise, entries in known.items():
        messages = heard(trials, exercise)
        for entry in entries:
            if not any(entry["says"] in said for said in messages):
                yield f"workshop/misconceptions: {exercise} says nowhere: {entry['says']}"


def unexplained(known, trials):
    """Yield a sentence for each message that a wrong answer earns and no entry of `known` (misconceptions) explains."""
    for exercise in dict.fromkeys(trial.exercise for trial in trials):
        for said, earned in heard(trials, exercise).items():
            answers = [trial.candidate for trial in earned if trial.kind == "wrong"]
            if answers and not any(entry["says"] in said for entry in known.get(exercise, [])):
                yield f"workshop/misconceptions: {exercise}, wrong answer {', '.join(answers)}: what lies behind {said!r}?"


def sheet(notebook, trials, known):
    """Markdown parts: for each exercise its hints, then each message with what lies behind it (`known`) and the
    answers that earn it."""
    cells = notebook.cells
    core = next(number for number, cell in enumerate(cells) if "## Take away" in cell.source)
    for stub, _, check in exercises(cells):
        name = name_of(check)
        hints = steps(cells[cells.index(stub) + 1].source)
        further = ", in *Further*" * (cells.index(stub) > core)
        yield f"## {name}: {stub.metadata.course['minutes']} minutes{further}"
        yield "*Hints, in this order, if the question below the message was not enough:*"
        yield "\n".join(f"{number}. {hint}" for number, hint in enumerate(hints, 1))
        wrong = check.metadata.course["wrong"]
        for said, earned in heard(trials, name).items():
            yield f"### {plain(said)}"
            for entry in known.get(name, []):
                if entry["says"] in said:
                    yield f"*Perhaps believed:* {entry['believes']}\n\n*Ask:* {entry['ask']}"
            for trial in earned:
                if trial.kind == "wrong":
                    yield code(body(wrong[int(trial.candidate) - 1]))
            slips = [trial.candidate for trial in earned if trial.kind == "mutant"][:3]
            if slips:
                yield "*Also said when:* " + "; ".join(slips)


def tally(notebook, trials):
    """Markdown parts: for each exercise a table with a free field for everything that can happen to a learner."""
    yield "Walk round, and make a mark for each learner. Nobody's name belongs here."
    for _, _, check in exercises(notebook.cells):
        name = name_of(check)
        messages = (plain(said).replace("|", "\\|") for said in heard(trials, name))
        rows = ["not tried", "open", *messages, "passed"]
        yield f"## {name}"
        yield "| what the learner sees | marks |\n|---|---|\n" + "\n".join(
            f"| {row} | {SPACE} |" for row in rows
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", help="for example 07_drift_detection")
    lab = find(parser.parse_args().lab).stem
    notebook, trials = heard_in(lab)
    known = misconceptions(lab)
    for fault in (*faults(notebook, trials), *unheard(known, trials)):
        print(fault)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    for kind, heading, parts in (
        ("sheet", "For helpers", sheet(notebook, trials, known)),
        ("tally", "Where the class is", tally(notebook, trials)),
    ):
        target = ROOT / "_build" / "workshop" / f"{kind}-{lab}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = page(f"{heading} · {title}", list(parts))
        target.write_text(content, encoding="utf-8")
        print(f"Print {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
