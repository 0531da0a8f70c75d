"""What a helper needs beside a learner: `make sheets LAB=07_drift_detection`.

The lab is executed, and its checks are asked about each wrong answer that is known (answers.py). So the sheet shows the
message that the learner sees, as it is today, beside the answer that earns it and what one may ask instead of telling.
Beside it a table for tally marks, which says where the class is when no server counts. Two pages in `_build/workshop/`.
"""

import argparse
import ast
import re
import textwrap

import nbformat
from answers import Client, exercises, faults, name_of
from handout import ROOT, plain
from paper import code, page
from record import TIMEOUT, find

SPACE = "\N{NO-BREAK SPACE}" * 40


def steps(hints):
    """The hints of an exercise, as plain Markdown, in their order."""
    return [plain(step).strip() for step in re.findall(r"</summary>(.*?)</details>", hints, re.S)]


def body(source):
    """A function's source without its first line and its docstring, which a learner was given."""
    lines = source.splitlines()
    function = ast.parse(source).body[-1]
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return textwrap.dedent("\n".join(lines[first.lineno - 1 :]))


def sheet(notebook, trials):
    """Markdown parts: for each exercise its hints, then each message with the answers that earn it."""
    cells = notebook.cells
    for stub, _, check in exercises(cells):
        name = name_of(check)
        hints = steps(cells[cells.index(stub) + 1].source)
        yield f"## {name}: {stub.metadata.course['minutes']} minutes"
        yield "*Ask, in this order, and wait after each:*"
        yield "\n".join(f"{number}. {hint}" for number, hint in enumerate(hints, 1))
        wrong = check.metadata.course["wrong"]
        told = {}
        for trial in trials:
            if trial.exercise == name and trial.kind in ("wrong", "mutant"):
                told.setdefault(trial.said, []).append(trial)
        for said, earned in told.items():
            yield f"### {plain(said)}"
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
        wrong = dict.fromkeys(t.said for t in trials if t.exercise == name and t.kind in ("wrong", "mutant"))
        rows = ["not tried", "open", *(plain(said).replace("|", "\\|") for said in wrong), "passed"]
        yield f"## {name}"
        yield "| what the learner sees | marks |\n|---|---|\n" + "\n".join(
            f"| {row} | {SPACE} |" for row in rows
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", help="for example 07_drift_detection")
    path = find(parser.parse_args().lab)
    notebook = nbformat.read(path, as_version=4)
    client = Client(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(path.parent)}})
    client.trials = []
    print(f"{path.stem}: executing, to hear what its checks say", flush=True)
    client.execute()
    for fault in faults(notebook, client.trials):
        print(fault)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    for kind, heading, parts in (("sheet", "For helpers", sheet), ("tally", "Where the class is", tally)):
        target = ROOT / "_build" / "workshop" / f"{kind}-{path.stem}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = page(f"{heading} · {title}", list(parts(notebook, client.trials)))
        target.write_text(content, encoding="utf-8")
        print(f"Print {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
