"""What a helper needs beside a learner: `make sheets LAB=07_drift_detection`.

The lab is executed, and its checks are asked about each wrong answer that is known (answers.py). So the sheet shows the
message that the learner sees, as it is today, beside the answer that earns it and what one may ask instead of telling.
One page in `_build/workshop/`.
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
    target = ROOT / "_build" / "workshop" / f"sheet-{path.stem}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(f"For helpers · {title}", list(sheet(notebook, client.trials))), encoding="utf-8")
    print(f"Print {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
