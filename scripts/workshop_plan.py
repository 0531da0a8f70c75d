"""Plan a day with the course: `make plan PLAN=half-day START=09:00 LEARNERS=24`.

A plan is a file in `workshop/plans/`: its parts in their order, with the minutes that talking and breaks take. A lab's
minutes come from `workshop/timings.yml` where a class has measured them, else from the lab itself (minutes.py), and the
schedule marks which. It is written into `_build/workshop/` as a page to print.
"""

import argparse
import datetime
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from minutes import minutes, total
from paper import page

ROOT = Path(__file__).parent.parent
WORKSHOP = ROOT / "workshop"
LONGEST = 90  # minutes between two breaks
LEARNERS_A_HELPER = 8
ENOUGH = 5  # people whose times make a median


class PlanError(Exception):
    """A plan that cannot be held, with what to change."""


@dataclass
class Part:
    """A stretch of the day: `minutes` long, `kind` one of talk, lab, buffer, debrief, interview, break."""

    kind: str
    title: str
    minutes: int
    does: str = ""
    counted: bool = False  # by the lab itself, not measured in a class
    cut: str = ""  # what to leave out here when it is late
    rest: bool = False  # takes what the others leave, and at least its `minutes`


def read(name, folder=WORKSHOP / "plans"):
    """The plan `name` as a dict. Raises PlanError when there is none, or it is no plan."""
    path = folder / f"{name}.yml"
    if not path.exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yml"))) or "none"
        raise PlanError(f"there is no plan {name!r}; plans are: {known}")
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PlanError(f"{path.name} is no YAML: {error}") from None
    if not isinstance(plan, dict) or not {"title", "days"} <= plan.keys():
        raise PlanError(f"{path.name} needs a title and days")
    for day in plan["days"]:
        if not isinstance(day, dict) or not {"minutes", "parts"} <= day.keys():
            raise PlanError(f"{path.name}: a day needs its minutes and its parts")
    return plan


def measured(lab):
    """The median minutes that classes of ENOUGH people or more took for the core of `lab`; None if nobody measured."""
    path = WORKSHOP / "timings.yml"
    timings = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    found = [entry for entry in (timings or {}).get(lab, []) if entry["people"] >= ENOUGH]
    return round(max(found, key=lambda entry: entry["date"])["minutes"]) if found else None


def headings(chapter):
    """{anchor: heading} of a chapter, as the built book has them."""
    path = ROOT / "chapters" / f"{chapter}.md"
    if not path.exists():
        raise PlanError(f"there is no chapter {chapter!r}")
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-"): heading for heading in found}


def parts_of(entry):
    """The parts of one entry of a plan: a lab is told, done, given time, and talked about."""
    kind = next((kind for kind in ("lab", "talk", "interview", "break") if kind in entry), None)
    if kind is None:
        raise PlanError(f"a part is a lab, a talk, an interview or a break, and this is none: {entry}")
    if kind != "lab":
        length = entry.get("minutes", entry.get("at_least"))
        if not isinstance(length, int) or length <= 0:
            raise PlanError(
                f"how many minutes does {entry[kind]!r} take? (`minutes`, or `at_least` for what is left)"
            )
        rest = "minutes" not in entry
        return [
            Part(kind, str(entry[kind]), length, entry.get("does", ""), cut=entry.get("cut", ""), rest=rest)
        ]
    path = ROOT / "labs" / f"{entry['lab']}.ipynb"
    if not path.exists():
        raise PlanError(f"there is no lab {entry['lab']!r}")
    chapter, _, anchor = entry["incident"].partition("#")
    told = headings(chapter)
    if anchor not in told:
        raise PlanError(f"chapter {chapter} has no heading #{anchor}")
    if not str(entry.get("story", "")).strip():
        raise PlanError(f"what is told before {entry['lab']!r}? (`story`, without what comes of it)")
    notebook = nbformat.read(path, as_version=4)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    core = measured(entry["lab"])
    counted = core is None
    core = total(minutes(notebook)["core"]) if counted else core
    buffer = math.ceil(core / 3)  # with a quarter, a rehearsal was late too often (rehearse.py)
    return [
        Part(
            "talk",
            f"The incident of {title}",
            entry.get("tell", 8),
            f"{entry['story'].strip()} (No further figure: *{told[anchor]}*, in Chapter {int(chapter[:2])}, tells how it ends.)",
        ),
        Part(
            "lab",
            title,
            core,
            f"`LAB={entry['lab']}`. Everybody at their own machine, from the first cell to the take-away.",
            counted,
            entry.get("cut", ""),
        ),
        Part(
            "buffer",
            "Catching up",
            buffer,
            "Who is through goes on with Further, or helps a neighbour. What you said, asked and drew in the lab comes out of these minutes.",
        ),
        Part(
            "debrief",
            "What surprised you?",
            entry.get("debrief", 12),
            f"First the votes against the results, on the slides of {title.split(' · ')[0]} "
            f"(`make slides CH={entry['lab'][:2]}` says where they begin). Then the question on the lab's page in "
            "`workshop/notes/`, then the take-away in their words.",
        ),
    ]


def schedule(day):
    """The Parts of a day, in order. Raises PlanError when they don't fill it or a break comes too late."""
    parts = [part for entry in day["parts"] for part in parts_of(entry)]
    left = day["minutes"] - sum(part.minutes for part in parts)
    waiting = [part for part in parts if part.rest]
    if left < 0 or (left and len(waiting) != 1):
        more = "more" if left < 0 else "fewer"
        raise PlanError(
            f"the parts take {day['minutes'] - left} minutes, {abs(left)} {more} than the day's {day['minutes']}; "
            "one part with `at_least` takes what is left"
        )
    if waiting:
        waiting[0].minutes += left
    since = 0
    for part in parts:
        since = 0 if part.kind == "break" else since + part.minutes
        if since > LONGEST:
            raise PlanError(
                f"{since} minutes without a break before the end of {part.title!r}; {LONGEST} are enough"
            )
    return parts


def table(parts, start):
    """The schedule of a day that begins at `start` (a datetime.time), as a Markdown table."""
    clock = datetime.datetime.combine(datetime.date.today(), start)
    lines = ["| from | minutes | what | how |", "|---|---|---|---|"]
    for part in parts:
        how = part.does + (f" *When late:* {part.cut}." if part.cut else "")
        mark = " (counted)" if part.counted else " (measured)" if part.kind == "lab" else ""
        lines.append(f"| {clock:%H:%M} | {part.minutes}{mark} | {part.title} | {how} |")
        clock += datetime.timedelta(minutes=part.minutes)
    lines.append(f"| {clock:%H:%M} | | end | |")
    return "\n".join(lines)


def written(plan, days, start, learners):
    """The page of a plan as Markdown parts: `days` are lists of Parts, `learners` a number."""
    yield plan.get("for", "")
    for number, parts in enumerate(days, 1):
        if len(days) > 1:
            yield f"## Day {number}"
        yield table(parts, start)
    yield (
        "*Counted* minutes come from the lab itself: its words, code, outputs, predictions and exercises. "
        "*Measured* are the median of a class."
    )
    yield "## When it is late, in this order"
    yield "\n".join(f"{number}. {cut}" for number, cut in enumerate(plan.get("cut", []), 1))
    helpers = math.ceil(learners / LEARNERS_A_HELPER)
    yield "## People and things"
    yield "\n".join(
        [
            f"- {learners} learners, and beside you {helpers} helper{'s' * (helpers > 1)}: one for {LEARNERS_A_HELPER}.",
            f"- {4 * learners} sticky notes, half of them in each of two colours: *I am through*, and *I need somebody*.",
            f"- For each lab: {helpers + 1} sheets (`make sheets LAB=…`), for who wants paper some handouts "
            "(`make handout LAB=…`), one key for you.",
            "- The slides of each lab's chapter (`make slides CH=…`), open in a browser. They tell how a lab ends: show none "
            "before its debrief.",
            f"- {math.ceil(learners / 3)} sets of cards for the interviews (the first pages of `cards-….html`).",
            "- The pages of the labs in `workshop/notes/` for you, `helpers.md` for each helper, the tally (`tally-….html`) for two.",
            f"- Power sockets: {learners + 1}.",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", nargs="?", default="half-day")
    parser.add_argument("--start", default="09:00", help="such as 09:00")
    parser.add_argument("--learners", default="24", help="how many people come")
    given = parser.parse_args()
    try:
        try:
            start = datetime.time.fromisoformat(given.start)
        except ValueError:
            raise PlanError(f"START is a time such as 09:00, and not {given.start!r}") from None
        if not given.learners.isdigit() or int(given.learners) == 0:
            raise PlanError(f"LEARNERS is a number of people, and not {given.learners!r}")
        plan = read(given.plan)
        days = [schedule(day) for day in plan["days"]]
    except PlanError as error:
        sys.exit(str(error))
    target = ROOT / "_build" / "workshop" / f"plan-{given.plan}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        page(plan["title"], list(written(plan, days, start, int(given.learners)))), encoding="utf-8"
    )
    print(f"Print {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
