"""What the checks of a lab say to wrong answers: `make answers LAB=07_drift_detection`.

While the lab is executed, each of its checks is asked about the stub, about the wrong answers that the lab knows of
(`course.wrong` in the check's metadata) and about mutants of the solution (mutants.py). A check has to refuse each of
them with a sentence. Mutants that change nothing are listed in `course.equivalent`: {what was changed: why it may}.
Other right answers (`course.right`) have to pass.
"""

import argparse
import sys
from ast import literal_eval
from dataclasses import dataclass
from pathlib import Path

import nbformat
from mutants import SPOILED, mutants
from nbclient import NotebookClient
from nbclient.util import ensure_async

PATIENCE = 10  # seconds of the processor for one answer; of the clock, six times as many


@dataclass
class Trial:
    """What a check said of one candidate: the stub, a wrong answer, a mutant, or the solution again."""

    exercise: str
    kind: str  # "stub", "wrong", "right", "mutant" or "solution"
    candidate: str
    outcome: str  # "passed", "open" or "mistaken", or "" when the check said nothing
    said: str

    def __str__(self):
        return f"{self.exercise}, {self.kind} {self.candidate}: {self.outcome or 'stopped'}: {self.said}"


def tags(cell):
    return cell.metadata.get("tags", [])


def exercises(cells):
    """Yield (stub, solution, check) of each exercise in `cells` (nbformat 4): three code cells."""
    found = {}
    for cell in cells:
        for tag in {"exercise", "solution", "self-check"} & set(tags(cell)):
            found[tag] = cell
        if "self-check" in tags(cell):
            yield found["exercise"], found["solution"], cell


def name_of(check):
    """The name of the exercise that the cell `check` is about."""
    return check.source.partition('check("')[2].partition('"')[0]


START = f"""
import signal as _signal
def _stop(*_):
    raise TimeoutError("it does not end")
if hasattr(_signal, "SIGALRM"):
    _signal.signal(_signal.SIGALRM, _stop)
    _signal.signal(_signal.SIGPROF, _stop)
    _signal.setitimer(_signal.ITIMER_PROF, {PATIENCE})
    _signal.setitimer(_signal.ITIMER_REAL, {6 * PATIENCE})
"""
END = """
if hasattr(_signal, "SIGALRM"):
    _signal.setitimer(_signal.ITIMER_PROF, 0)
    _signal.setitimer(_signal.ITIMER_REAL, 0)
"""


class Trying:
    """A client of nbclient that tries other answers after each check, unseen, in the lab's own kernel.

    Last it tries the stub: from there on the lab goes on with the reference, as for a learner who leaves the exercise
    open. What was said is in `trials`.
    """

    trials: list

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        executed = await super().async_execute_cell(cell, cell_index, **kwargs)
        if "self-check" in tags(cell):
            await self.try_answers(*list(exercises(self.nb.cells[: cell_index + 1]))[-1])
        return executed

    async def try_answers(self, stub, solution, check):
        course = check.metadata.get("course", {})
        name = name_of(check)
        await self.reply(f"import desk as _desk\n_desk.references[{name!r}] = {solution.source!r}")
        for number, wrong in enumerate(course.get("wrong", []), 1):
            await self.trial(name, "wrong", str(number), wrong, check)
        for number, right in enumerate(course.get("right", []), 1):
            await self.trial(name, "right", str(number), right, check)
        for what, mutant in mutants(solution.source).items():
            tried = await self.trial(name, "mutant", what, mutant, check)
            if tried.outcome == "passed" and what.endswith("in place"):
                _, spoiled = await self.reply("", SPOILED)
                if not spoiled:
                    self.trials.pop()
            if what.endswith("in place"):
                await self.reply("del spoil")
        await self.trial(name, "solution", "", solution.source, check)
        await self.trial(name, "stub", "", stub.source, check)
        await self.reply(f"_desk.outcomes[{name!r}] = ('passed', '')")

    async def trial(self, name, kind, what, source, check):
        await self.reply(f"import desk as _desk\n_desk.outcomes.pop({name!r}, None)\n{START}")
        error, _ = await self.reply(source)
        outcome, said = "", f"the answer cannot be defined: {error}"
        if not error:
            error, answer = await self.reply(check.source, f"_desk.outcomes.get({name!r})")
            outcome, said = answer or ("", f"the check itself stops with {error}")
        await self.reply(END)
        self.trials.append(Trial(name, kind, what, outcome, said))
        return self.trials[-1]

    async def reply(self, source, asked="None"):
        """Run `source` unseen; return its error, or an empty string, and the value of the expression `asked`."""
        message_id = await ensure_async(
            self.kc.execute(source, silent=True, stop_on_error=False, user_expressions={"asked": asked})
        )
        content = (await self.async_wait_for_reply(message_id))["content"]
        error = f"{content['ename']}: {content['evalue']}" if content["status"] == "error" else ""
        value = content.get("user_expressions", {}).get("asked", {}).get("data", {}).get("text/plain", "None")
        return error, literal_eval(value)


def faults(notebook, trials):
    """Yield a sentence for each candidate of `trials` that a check of `notebook` treats as it should not."""
    equivalent = {
        name_of(check): check.metadata.get("course", {}).get("equivalent", {})
        for *_, check in exercises(notebook.cells)
    }
    for trial in trials:
        known = equivalent.get(trial.exercise, {}) if trial.kind == "mutant" else {}
        if trial.kind in ("solution", "right") or trial.candidate in known:
            if trial.outcome != "passed":
                yield f"should pass: {trial}"
        elif trial.kind == "stub":
            if trial.outcome != "open":
                yield f"should be open: {trial}"
        elif trial.outcome != "mistaken":
            yield f"should be refused: {trial}"
    for name, known in equivalent.items():
        tried = {trial.candidate for trial in trials if trial.exercise == name and trial.kind == "mutant"}
        for what in known.keys() - tried:
            yield f"{name}: there is no mutant {what!r}, which `course.equivalent` names"


class Client(Trying, NotebookClient):
    """Executes a lab as it stands, and tries answers."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lab", nargs="+", help="for example 07_drift_detection")
    from record import TIMEOUT, find

    bad = 0
    for path in [find(name) for name in parser.parse_args().lab]:
        notebook = nbformat.read(path, as_version=4)
        client = Client(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(Path(path).parent)}})
        client.trials = []
        client.execute()
        for trial in client.trials:
            print(trial)
        found = list(faults(notebook, client.trials))
        print(
            f"\n{path.stem}: {len(client.trials)} answers tried, {len(found)} not treated as they should be"
        )
        print(*found, sep="\n")
        bad += len(found)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
